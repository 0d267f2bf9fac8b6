# bash completion for serf. Commands and options are asked of the program, whose help lists them:
# this file knows only what their values look like.

_serf_commands()
{
    "$1" -help 2>&1 </dev/null | sed -nE 's/^    ([a-z][a-z-]*) .*/\1/p'
}

# The options of a command, a line each: "-list", "-format=" where a value follows.
_serf_options()
{
    "$1" "$2" -help 2>&1 </dev/null |
        sed -nE -e 's/^  (-[a-z0-9-]+)(=| [^ ]).*/\1=/p' -e t -e 's/^  (-[a-z0-9-]+).*/\1/p'
}

# FILE, DIR or what else the help shows as the value of an option.
_serf_placeholder()
{
    "$1" "$2" -help 2>&1 </dev/null | sed -nE "s/^  $3[= ]([^ ]+).*/\1/p"
}

_serf_members()
{
    timeout 1 "$1" members 2>/dev/null </dev/null | awk '$2 ~ /:[0-9]+$/ { print $1 }'
}

# Program, command, option and the beginning of its value.
_serf_value()
{
    local values
    case $3 in
    -format | -log-format) values="text json" ;;
    -log-level) values="trace debug info warn err" ;;
    -profile) values="lan wan local" ;;
    -status) values="alive leaving left failed" ;;
    -coalesce) values="true false" ;;
    -iface | -mdns-iface) values=$(cd /sys/class/net 2>/dev/null && echo *) ;;
    -name | -node) [[ $2 == agent ]] || values=$(_serf_members "$1") ;;
    *)
        case $(_serf_placeholder "$1" "$2" "$3") in
        FILE) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$4") ;;
        DIR) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$4") ;;
        esac
        return
        ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$values" -- "$4")
}

_serf()
{
    local program=$1 current=${COMP_WORDS[COMP_CWORD]} option='' command='' i
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        [[ ${COMP_WORDS[i]} == -* ]] || { command=${COMP_WORDS[i]}; break; }
    done
    if [[ -z $command ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_serf_commands "$program") --help --version" -- "$current")
        return
    fi

    # bash takes -format=json apart into three words.
    if [[ $current == = ]]; then
        option=${COMP_WORDS[COMP_CWORD - 1]} current=
    elif [[ ${COMP_WORDS[COMP_CWORD - 1]} == = ]]; then
        option=${COMP_WORDS[COMP_CWORD - 2]}
    elif _serf_options "$program" "$command" | grep -qxF -e "${COMP_WORDS[COMP_CWORD - 1]/#--/-}="; then
        option=${COMP_WORDS[COMP_CWORD - 1]}
    fi
    if [[ -n $option ]]; then
        _serf_value "$program" "$command" "${option/#--/-}" "$current"
    elif [[ $current == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_serf_options "$program" "$command")" -- "${current/#--/-}")
        [[ ${COMPREPLY[0]} == *= ]] && compopt -o nospace 2>/dev/null
    elif [[ $command == force-leave || $command == rtt ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_serf_members "$program")" -- "$current")
    fi
    return 0
}

complete -F _serf serf
