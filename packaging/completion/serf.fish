# fish completion for serf. Commands and options are asked of the program, whose help lists them:
# this file knows only what their values look like.

function __serf_command
    for word in (commandline -opc)[2..-1]
        string match -q -- '-*' $word; or echo $word; and return
    end
    return 1
end

function __serf_commands
    serf -help 2>&1 </dev/null | string replace -rf '^    ([a-z][a-z-]*) +(.*)' '$1\t$2'
end

function __serf_members
    timeout 1 serf members 2>/dev/null </dev/null | string replace -rf '^([^ ]+) +[^ ]+:[0-9]+ .*' '$1'
end

# The values of option $argv[2] of command $argv[1], whose help shows it as $argv[3].
function __serf_values
    switch $argv[2]
        case -format -log-format
            string split ' ' 'text json'
        case -log-level
            string split ' ' 'trace debug info warn err'
        case -profile
            string split ' ' 'lan wan local'
        case -status
            string split ' ' 'alive leaving left failed'
        case -coalesce
            string split ' ' 'true false'
        case -iface -mdns-iface
            path basename /sys/class/net/*
        case -name -node
            test $argv[1] = agent; or __serf_members
        case '*'
            switch "$argv[3]"
                case FILE
                    __fish_complete_path (commandline -ct | string replace -r '^--?[a-z0-9-]+=' '')
                case DIR
                    __fish_complete_directories (commandline -ct | string replace -r '^--?[a-z0-9-]+=' '')
            end
    end
end

# Options, values behind their "=", or values of an option that is the word before.
function __serf_arguments
    set -l command (__serf_command)
    set -l current (commandline -ct)
    set -l before (commandline -opc)[-1]
    set -l options
    for line in (serf $command -help 2>&1 </dev/null)
        set -l part (string match -rg '^  (-[a-z0-9-]+)(?:[= ](?! ))?([^ ]*) *(.*)$' -- $line); or continue
        set -l option $part[1]
        set -l value $part[2]
        if test -z "$value"
            set -a options $option\t$part[3]
            continue
        end
        if test "$before" = $option -o "$before" = -$option
            __serf_values $command $option $value
            return
        end
        if string match -q -- "$option=*" $current; or string match -q -- "-$option=*" $current
            set -l values (__serf_values $command $option $value)
            test (count $values) -eq 0; or string join \n -- (string replace -r '=.*' '=' -- $current)$values
            return
        end
        set -a options $option=\t$part[3]
    end
    if string match -q -- '-*' $current
        string join \n -- $options
    else if contains -- $command force-leave rtt
        __serf_members
    end
end

complete -c serf -f
complete -c serf -n 'not __serf_command >/dev/null' -a '(__serf_commands)'
complete -c serf -n '__serf_command >/dev/null' -a '(__serf_arguments)'
