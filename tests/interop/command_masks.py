"""The masks of the command table: they make equal what the specification leaves open, and what
docs/differences.md says to differ everywhere."""

import re

import command_table as table

STAMP = r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d"
CHANGED_WORDS = ((r"[Ff]ailed to join \S+:(?= )", "failed to join ADDRESS:"),
                 (r"Failed to resolve", "failed to resolve"),
                 (r"Could not set up", "could not set up"),
                 (r"Failed to start TCP", "failed to start TCP"),
                 (r"Removing the primary", "removing the primary"),
                 (r"Requested key", "requested key"),
                 (r"address (tcp/\S+): unknown port", r"lookup \1: unknown port"))


def names(text, command):
    """The command's own agent and the other one."""
    for agent, name in ((command.agent, "SELF"), (command.peer, "PEER")):
        if agent:
            text = one_name(text, agent.name, agent.host, name)
    return one_name(text, command.name, command.host, "SELF") if command.host else text


def one_name(text, name, host, mask):
    return re.sub(re.escape(host) + r"(?!\d)", f"{mask}-HOST", text.replace(name, mask))


def numbers(text, _):
    text = re.sub(r"(?m)^(\s*\"?(goroutines|max_procs|version|\w+_time|\w+_queue|health_score|"
                  r"coordinate_resets)\"?\s*[=:]\s*).*$", r"\1...", text)
    text = re.sub(r"(?m)^\S+\n(?=Agent Protocol)", "VERSION\n", text)
    return re.sub(r"(\d+\.\d+\.\d+\.\d+):\d+->", r"\1:PORT->", text)


def times(text, _):
    return re.sub(r"\d+\.\d+ (sec|ms)", r"... \1", text)


def help_bodies(text, _):
    return re.sub(r"(?s)((?:==> )?Usage: serf (?!\[)[^\n]*\n).*", r"\1...\n", text)


def keys(text, _):
    return re.sub(r"[A-Za-z0-9+/]{43}=", "KEY", text)


def tags(text, _):
    return re.sub(r"\S+=\S*", lambda found: ",".join(sorted(found[0].split(","))), text)


def blocks(text, _):
    def in_order(found):
        parts = re.findall(r"(?s)    \{\n.*?\n    \}(?=,?\n)", found[0])
        return "\n".join(sorted(parts)) + "\n"
    return re.sub(r"(?s)    \{\n.*    \}\n", in_order, text)


def lists(text, _):
    return re.sub(r"(?s)\[\n.*?\]", lambda found: str(sorted(re.findall(r'"[^"]*"', found[0]))),
                  text)


def rows(text, _):
    return "".join(sorted(line.rstrip() + "\n" for line in text.splitlines()))


def start_of_log(text, _):
    return "".join(sorted({re.sub(STAMP, "TIME", line) + "\n" for line in text.splitlines()
                           if "agent: Serf agent starting" in line or "Event Info" in line}))


def answers(text, _):
    return re.sub(r"(?m)^\s*(Ack|Response) from .*\n", "", text)


def resolver(text, _):
    return re.sub(r"(lookup [^:\n]*?)( on \S+)?: (?!unknown port).*", r"\1: ...", text)


def held_log(text, _):
    return re.sub(rf"(?m)^    {STAMP} .*\n", "", text)


def changed_words(text, _):
    for pattern, word in CHANGED_WORDS:
        text = re.sub(pattern, word, text)
    return text


def no_log(text, _):
    """The output of an agent up to its log."""
    return re.sub(r"(?s)(?<=as it occurs:\n).*", "", text)


def log(text, _):
    """Each kind of line of the log once, in order, without those that only tell when other members
    or timers happened to act."""
    text = re.sub(rf"(?m)^    {STAMP} ", "    ", text)
    before, mark, after = text.partition("as it occurs:\n")
    kept = {line for line in after.splitlines()
            if not re.search(r"Received event|Stream connection|Suspect|push/pull|\[DEBUG\]|"
                                r"Serf shutdown detected", line)}
    return before + mark + "".join(line + "\n" for line in sorted(kept))


def directory(text, command):
    return text.replace(str(command.directory), "DIR") if command.directory else text


MASKS = {
    table.NAMES: names, table.NUMBERS: numbers, table.TIMES: times, table.HELP: help_bodies,
    table.KEY: keys, table.TAGS: tags, table.BLOCKS: blocks, table.LISTS: lists,
    table.LEVELS: start_of_log, table.ANSWERS: answers, table.WORDS: changed_words,
    table.RESOLVER: resolver, table.HELD: held_log, table.LOG: log, table.NO_LOG: no_log,
    table.ROWS: rows,
}


def masked(command, outcome, without=None):
    """The outcome of a command behind the masks of its row, all or without one."""
    changed = type(outcome)(outcome.status, outcome.stdout, outcome.stderr)
    for stream in ("stdout", "stderr"):
        text = directory(getattr(outcome, stream), command)
        for name, mask in MASKS.items():
            if name in command.row.masks and name != without:
                text = mask(text, command)
        setattr(changed, stream, text)
    return changed
