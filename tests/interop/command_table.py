"""Every command of `serf` and every option of each, as rows: what is typed, what the agent is like
that it is typed at, and whether ours must answer as the reference does. test_command_table.py runs
them.

In the words of a row {self} is the name of the agent that is asked, {peer} the other one's,
{self_host} and {peer_host} are their addresses, {nobody} is an address where nothing listens,
{noise} one that talks nonsense, {closer} one that closes each connection, {dir} a folder with the
row's files, {host} the address of an agent that the row itself starts, {target} that of one to
join, {taken} one whose port is in use, {patience} a time for answers that grows when a row is run
again.

A row that differs names what docs/differences.md says about it: the first cell of a line there."""

import shlex
import signal
from dataclasses import dataclass

# --- what the agent is like ---

NONE = "no agent"
PAIR = "one of a pair, with a failed and a left member"
KEYED = "one of a pair that encrypts, with keyring files"
TOKEN = "asks for a token"
ALONE = "alone, and for this row only"
START = "the command is an agent, which must end by itself"
RUN = "the command is an agent, which is stopped when it runs"

# --- what is masked, because the specification leaves it open ---

ROWS = "the order of rows"
TAGS = "the order of tags in a row"
BLOCKS = "the order of members in JSON"
LISTS = "the order of acks in JSON"
NAMES = "the names and addresses of the agent that is asked and of the other one"
NUMBERS = "numbers that describe a process"
TIMES = "times and durations"
HELP = "the help after its first line, which each says in words of its own"
LOG = "the order and times of log lines, and those that tell when others acted"
NO_LOG = "the log"
HELD = "log lines of a start that failed"
WORDS = "words that newer versions of the reference have changed"
KEY = "random keys"
LEVELS = "all log lines but those of the start, and of the records all fields"
RESOLVER = "what the system's resolver says"
ANSWERS = "answers that came before the interrupt"

TABLE = (ROWS, TAGS)

# --- what docs/differences.md says: first cells of its lines ---

OWN_HELP = "the help of each command"
HELD_LINES = "log lines held back at the start are lost when it fails"
NEWEST_WORDS = "some words differ between its versions, such as `Failed to join IP`"
SORTED = "members and tags in random order"
REMEDY = "`==> Error` lines without a hint"
TYPES = "errors in files speak of the types of its language"
PLACES = "an error in a JSON file has no place"
KEYS_LISTED = "unknown keys of a file are a list of several lines"
PORTS = "a port that is none is a matter of `strconv`"
JSON_ALONE = "with `-format json`, errors and the warning about `-role` stand before the JSON"
ROLE_WARNING = "the warning about `-role` is part of the output"
VERSION_ANYWHERE = "`-v` anywhere, even in a payload, prints the version"
BAD_FILTER = "a bad filter of `members` closes the connection"
BAD_TAG_FILTER = "a tag filter that is no expression: nobody answers, and nobody says why"
UNTIL = "`serf query` lasts until the deadline"
REAL_PORT = "a port of 0 is shown as 0"
OWN_NAME = "an own name with a slash or a control character"
NAME_SIZE = "bytes of a member's name"
NO_EFFECT = "`enable_compression`, `disable_coordinates` and `validate_node_names` have no effect"
EXPLICIT_FALSE = "an explicit `false` in a later file changes nothing"
NO_HTTP = "no HTTP"
BARE_ADDRESS = "`-bind=::1` is refused: too many colons"
NOBODY_NAMED = "joining an empty address looks it up"

# A mask that hides a difference, and what is said about it.
DOCUMENTED_MASKS = {HELP: OWN_HELP, HELD: HELD_LINES, WORDS: NEWEST_WORDS, ROWS: SORTED}


@dataclass(frozen=True)
class Row:
    words: str
    state: str
    masks: tuple = ()
    differs: str = None
    same_status: bool = True
    hints: bool = False    # of each line, ours begins with what the reference's is
    before: tuple = ()     # commands that must succeed first
    files: tuple = ()      # (name, content) in {dir}
    variables: tuple = ()  # (name, value) in the environment
    slow: bool = False     # all agents are asked at the same time
    until: str = None      # a pattern of the output, after which the command is interrupted
    until_log: str = None  # the same of the agent's log
    meanwhile: str = None  # a command that is repeated until then
    signal: int = signal.SIGTERM  # what stops an agent that runs
    crosswise: bool = True

    @property
    def argv(self):
        return shlex.split(self.words)

    @property
    def id(self):
        text = self.words or "(nothing)"
        extra = "".join(f" {key}={value}" for key, value in self.variables)
        files = "".join(f" {content}" for _, content in self.files)
        text = (text + extra + files).encode("unicode_escape").decode("ascii")
        return text if len(text) < 90 else text[:87] + "..."


def same(words, state, *masks, **more):
    return Row(words, state, masks, **more)


def differs(why, words, state, *masks, **more):
    return Row(words, state, masks, differs=why, **more)


def hints(words, state, *masks, why=REMEDY, **more):
    return Row(words, state, masks, differs=why, hints=True, **more)


COMMANDS = ("agent", "event", "force-leave", "info", "join", "keygen", "keys", "leave", "members",
            "monitor", "query", "reachability", "rtt", "tags", "version")
CLIENTS = tuple(name for name in COMMANDS if name not in ("agent", "keygen", "version"))
PING = "event -coalesce=false ping"
# A command line of each client that gets as far as its agent.
CALLS = {"event": "event x", "force-leave": "force-leave x", "info": "info",
         "join": "join {nobody}", "keys": "keys -list", "leave": "leave",
         "members": "members", "monitor": "monitor", "query": "query x",
         "reachability": "reachability", "rtt": "rtt x y",
         "tags": "tags -delete=x"}


def call(name, to, *flags):
    """The command line of a client, at an address."""
    words = CALLS[name].split(" ")
    return " ".join([words[0], f"-rpc-addr={to}", *flags, *words[1:]])

ROWS_OF_THE_TABLE = [
    # --- the front door ---
    # The list of commands is the answer to all of these, and ours has one more.
    *[differs(NO_HTTP, words, NONE) for words in
      ("", "help", "help members", "-h", "-help", "--help", "bogus", "bogus -h", "-bogus",
       "-version", "MEMBERS", "member", "''", "--", "-- members")],
    same("version", NONE, NUMBERS),
    same("version x -bogus", NONE, NUMBERS),
    same("-v", NONE, NUMBERS),
    same("--version", NONE, NUMBERS),
    same("version -v", NONE, NUMBERS),
    same("event foo -v", NONE, NUMBERS),
    same("bogus -v", NONE, NUMBERS),
    same("-v -h", NONE, NUMBERS),
    differs(VERSION_ANYWHERE, "event -- -v", NONE, NUMBERS, same_status=False),
    same("version -h", NONE),
    same("version --help", NONE),
    same("version -help", NONE),
    same("keygen", NONE, KEY),
    same("keygen x", NONE, KEY),
    same("keygen -bogus", NONE, KEY),
    *[same(f"{name} {flag}", NONE, HELP) for name in COMMANDS if name != "version"
      for flag in ("-h", "-help", "--help")],
    *[same(f"{name} x -h", NONE, HELP) for name in COMMANDS if name != "version"],
    *[same(f"-bogus {name}", NONE, HELP) for name in COMMANDS],
    *[same(f"-rpc-addr={{nobody}} {name}", NONE, HELP) for name in COMMANDS],

    # --- flags, in all commands ---
    *[same(f"{name} -bogus", NONE, HELP) for name in (*CLIENTS, "agent")],
    *[same(f"{name} --bogus=1", NONE, HELP) for name in (*CLIENTS, "agent")],
    *[same(f"{name} {flag}", NONE, HELP) for name in CLIENTS
      for flag in ("-rpc-addr", "-rpc-auth", "-=x", "---x")],
    *[same(f"{words}", NONE, HELP) for words in (
        "event -coalesce=x e", "event -coalesce= e", "event -coalesce=maybe",
        "force-leave -prune=x n", "info -format", "join -replay=x a", "keys -install",
        "keys -use", "keys -remove", "keys -list=x", "members -detailed=x", "members -format",
        "members -name", "members -role", "members -status", "members -tag", "monitor -log-level",
        "query -format", "query -node", "query -tag", "query -timeout", "query -timeout=5 q",
        "query -timeout=x q", "query -timeout= q", "query -timeout=1sx q", "query -no-ack=x q",
        "query -relay-factor", "query -relay-factor=x q", "query -relay-factor=1.5 q",
        "query -relay-factor= q", "query -relay-factor=99999999999999999999 q",
        "reachability -verbose=x", "tags -set", "tags -delete", "agent -retry-join",
        "agent -protocol=x", "agent -protocol=1.5", "agent -retry-max=x", "agent -replay=x",
        "agent -rejoin=x", "agent -syslog=x", "agent -disable-compression=x", "agent -bind",
        "agent -iface", "agent -advertise", "agent -config-file", "agent -config-dir",
        "agent -discover", "agent -encrypt", "agent -keyring-file", "agent -event-handler",
        "agent -join", "agent -log-level", "agent -node", "agent -profile", "agent -protocol",
        "agent -retry-interval", "agent -retry-max", "agent -role", "agent -rpc-addr",
        "agent -snapshot", "agent -tag", "agent -tags-file", "agent -broadcast-timeout")],

    # --- arguments that are wrong without an agent ---
    same("event", NONE, HELP),
    same("event a b c", NONE, HELP),
    same("force-leave", NONE, HELP),
    same("force-leave a b", NONE, HELP),
    same("force-leave a -prune", NONE, HELP),
    same("join", NONE, HELP),
    same("keys", NONE, HELP),
    same("keys x", NONE, HELP),
    same("keys -install=", NONE, HELP),
    same("keys -install=a -use=b", NONE),
    same("keys -list -remove=b", NONE),
    same("keys -install=a -use=b -remove=c -list", NONE),
    same("keys -install=a -install=b -rpc-addr={nobody}", NONE),
    same("members -tag=novalue", NONE),
    same("members -tag==x", NONE),
    same("members -tag=", NONE),
    same("query", NONE, HELP),
    same("query a b c", NONE, HELP),
    same("query -tag=novalue q", NONE),
    same("query -tag==x q", NONE),
    same("query -relay-factor=256 q", NONE),
    same("query -relay-factor=-1 q", NONE),
    same("query -relay-factor=0x100 q", NONE),
    same("rtt", NONE, HELP),
    same("rtt a b c", NONE, HELP),
    same("tags", NONE, HELP),
    same("tags x", NONE, HELP),

    # --- addresses of an agent ---
    *[same(call(name, "{nobody}:7373"), NONE) for name in CLIENTS],
    *[same(f"members -rpc-addr={to}", NONE, RESOLVER, WORDS) for to in
      ("''", "foo", "127.0.0.1", "127.0.0.1:", "127.0.0.1:99999", "127.0.0.1:-1", "127.0.0.1:abc",
       "no-such-host.invalid:7373", "[::1]:7", "[::1", "[::1]x:7", "[127.0.0.1]:1", "256.1.1.1:1", "'a b:1'", ":1", "localhost:1")],
    *[hints(f"members -rpc-addr={to}", NONE) for to in ("::1:7373", "127.0.0.1:1:2")],
    *[differs(BARE_ADDRESS, f"members -rpc-addr={to}", NONE) for to in ("::1", "[::1]")],
    *[same(call(name, "{closer}"), NONE) for name in CLIENTS],
    *[same(call(name, "{noise}"), NONE) for name in ("members", "monitor", "query")],
    same("members", NONE, variables=(("SERF_RPC_ADDR", "127.0.0.1:2"),)),
    same("members -rpc-addr=127.0.0.1:1", NONE, variables=(("SERF_RPC_ADDR", "127.0.0.1:2"),)),
    same("members", NONE, variables=(("SERF_RPC_ADDR", ""),)),
    same("members -rpc-addr=''", NONE, variables=(("SERF_RPC_ADDR", "127.0.0.1:2"),)),

    # --- the token ---
    *[same(CALLS[name].replace("{nobody}", "127.0.0.1:1"), TOKEN) for name in CLIENTS],
    *[same(CALLS[name].replace(name, name + " -rpc-auth=wrong", 1), TOKEN) for name in CLIENTS],
    same("members -rpc-auth=sesame", TOKEN, NAMES),
    same("members -rpc-auth sesame", TOKEN, NAMES),
    same("members", TOKEN, NAMES, variables=(("SERF_RPC_AUTH", "sesame"),)),
    same("members -rpc-auth=wrong", TOKEN, variables=(("SERF_RPC_AUTH", "sesame"),)),
    same("members -rpc-auth=''", TOKEN, variables=(("SERF_RPC_AUTH", "sesame"),)),
    same("members -rpc-auth=needless", PAIR, *TABLE),

    # --- members ---
    same("members", PAIR, *TABLE),
    same("members x y", PAIR, *TABLE),
    same("members --", PAIR, *TABLE),
    same("members -detailed", PAIR, *TABLE),
    same("members -detailed=false", PAIR, *TABLE),
    same("members -detailed=T", PAIR, *TABLE),
    same("members --detailed=0", PAIR, *TABLE),
    same("members -format=text", PAIR, *TABLE),
    same("members -format json", PAIR, BLOCKS),
    same("members -format=json -detailed", PAIR, BLOCKS),
    same("members -format=xml", PAIR),
    same("members -format=JSON", PAIR),
    same("members -format=", PAIR),
    *[same(f"members {flags}", PAIR, *TABLE) for flags in
      ("-name=node-a", "-name=node-b", "-name=node", "-name=node.*", "-name=nobody", "-name=''",
       "-name='node-a|x'", "-name='(node-a|x-left)'", "-name=^node-a$", "-name=(?i)NODE-A",
       "-name=.*-a -name=.*-b", "-status=alive", "-status=failed", "-status=left", "-status=al",
       "-status=al.*", "-status='alive|left'", "-status=ALIVE", "-status=none", "-status=''",
       "-tag=role=web", "-tag role=web", "-tag=role=w", "-tag=role=.*", "-tag=role=",
       "-tag=nosuch=", "-tag=nosuch=.*", "-tag=nosuch=x", "-tag=dc=east -tag=role=web",
       "-tag=dc=east -tag=role=db", "-tag=role=web -tag=role=db", "-tag=k=v=w",
       "-tag=dc='ea[a-z]+'", "-name=.* -status=alive -tag=role=db", "-name=x-.* -detailed")],
    # The language of the expressions is the same, with its surprises: "^" and "$" are put around.
    *[same(f"members -name='{pattern}'", PAIR, *TABLE) for pattern in
      ("node-a\\", "a]", "*node-a", r"\Qnode-a", "$?.*", "[[:alpha:]]+-a", "node{1}-a",
       "node{,1}-a", r"nod\x65-a", "(?P<x>node-a)", r"\bnode-a", r"\b+node-a", "(?i:NODE-A)")],
    same("members -name=nobody -format=json", PAIR, BLOCKS),
    same("members -tag=role=web -format=json", PAIR, BLOCKS),
    differs(ROLE_WARNING, "members -role=web", PAIR, *TABLE),
    differs(ROLE_WARNING, "members -role=web -detailed", PAIR, *TABLE),
    differs(JSON_ALONE, "members -role=web -format=json", PAIR, BLOCKS),
    differs(BAD_FILTER, "members -name=(", PAIR),
    same("members -status=*", PAIR, *TABLE),
    differs(BAD_FILTER, "members -tag=role=[", PAIR),
    differs(BAD_FILTER, "members -name='(?=x)y'", PAIR),
    differs(BAD_FILTER, "members -name=( -format=json", PAIR, crosswise=False),
    differs(JSON_ALONE, "members -rpc-addr={nobody}:7373 -format=json", NONE),
    differs(JSON_ALONE, "members -tag=novalue -format=json", NONE),

    # --- info ---
    same("info", KEYED, NAMES, NUMBERS),
    same("info x", KEYED, NAMES, NUMBERS),
    same("info -format=text", KEYED, NAMES, NUMBERS),
    same("info -format=json", KEYED, NAMES, NUMBERS),
    same("info -format=xml", PAIR),
    same("info -format=", PAIR),
    same("info", ALONE, NAMES, NUMBERS),

    # --- event ---
    same("event deploy", PAIR),
    same("event deploy v1", PAIR),
    same("event -coalesce deploy v1", PAIR),
    same("event -coalesce=false deploy v1", PAIR),
    same("event -coalesce=F deploy", PAIR),
    same("event -coalesce false deploy", PAIR),
    same("event -- -name payload", PAIR),
    same("event - payload", PAIR),
    same("event ''", PAIR),
    same("event 'a b'", PAIR),
    same("event grüße '世界'", PAIR),
    same("event deploy -coalesce=false", PAIR),
    same("event x -rpc-addr=y", PAIR),
    same(f"event x {'p' * 481}", PAIR),
    same(f"event x {'p' * 482}", PAIR),
    same(f"event x {'p' * 511}", PAIR),
    same(f"event x {'p' * 512}", PAIR),
    same(f"event {'n' * 512}", PAIR),
    same(f"event {'n' * 513}", PAIR),

    # --- query ---
    same("query -timeout={patience} load", PAIR, ROWS, slow=True),
    same("query -timeout={patience} load now", PAIR, ROWS, slow=True),
    same("query -timeout={patience} -format=json load", PAIR, LISTS, slow=True),
    same("query -timeout={patience} -format=text load", PAIR, ROWS, slow=True),
    same("query -format=xml load", PAIR),
    same("query -format= load", PAIR),
    same("query -timeout={patience} unknown", PAIR, ROWS, slow=True),
    same("query -timeout={patience} -format=json unknown", PAIR, LISTS, slow=True),
    same("query -timeout={patience} -no-ack load", PAIR, ROWS, slow=True),
    same("query -timeout={patience} -no-ack=false load", PAIR, ROWS, slow=True),
    same("query -timeout={patience} -no-ack -format=json load", PAIR, LISTS, slow=True),
    same("query -timeout={patience} -node=node-a load", PAIR, ROWS, slow=True),
    same("query -timeout={patience} -node=node-b load", PAIR, ROWS, slow=True),
    same("query -timeout={patience} -node=node-a -node=node-b load", PAIR, ROWS, slow=True),
    same("query -timeout={patience} -node=nobody load", PAIR, ROWS, slow=True),
    same("query -timeout={patience} -node='' load", PAIR, ROWS, slow=True),
    same("query -timeout={patience} -node=nobody -format=json load", PAIR, LISTS, slow=True),
    same("query -timeout={patience} -tag=role=web load", PAIR, ROWS, slow=True),
    same("query -timeout={patience} -tag=role=w load", PAIR, ROWS, slow=True),
    same("query -timeout={patience} -tag=nosuch= load", PAIR, ROWS, slow=True),
    same("query -timeout={patience} -tag=nosuch=x load", PAIR, ROWS, slow=True),
    same("query -timeout={patience} -tag=role=web -tag=dc=east load", PAIR, ROWS, slow=True),
    same("query -timeout={patience} -tag=role=web -node=node-b load", PAIR, ROWS, slow=True),
    differs(BAD_TAG_FILTER, "query -timeout={patience} -tag=role=[ load", PAIR, ROWS,
            same_status=False),
    same("query -timeout={patience} -relay-factor=2 load", PAIR, ROWS, slow=True),
    same("query -timeout={patience} -relay-factor=255 load", PAIR, ROWS, slow=True),
    same("query -timeout={patience} -relay-factor=0x1 load", PAIR, ROWS, slow=True),
    same("query -timeout=-1s load", PAIR, slow=True),
    same("query -timeout=0 -node=nobody load", PAIR, slow=True),
    same("query load -timeout={patience}", PAIR, ROWS, slow=True),
    same(f"query -timeout={{patience}} x {'p' * 915}", PAIR, NAMES, ROWS, slow=True),
    same(f"query -timeout={{patience}} x {'p' * 916}", PAIR),
    same("query -timeout=1h load", PAIR, ANSWERS, until="dispatched"),
    same("query -timeout=1h -format=json load", PAIR, until_log="Requesting query send: load"),
    differs(UNTIL, "query -timeout=3s -until-complete load", PAIR, ANSWERS, HELP, same_status=False,
            crosswise=False),
    differs(UNTIL, "query -timeout=3s -until-acks load", PAIR, ANSWERS, HELP, same_status=False,
            crosswise=False),

    # --- join ---
    same("join {peer_host}", PAIR),
    same("join {peer_host}:7946", PAIR),
    same("join -replay {peer_host}", PAIR),
    same("join -replay=false {peer_host}", PAIR),
    same("join {peer}/{peer_host}:7946", PAIR),
    same("join {peer}/{peer_host}", PAIR),
    same("join {self_host}", PAIR),
    same("join {nobody} {peer_host}", PAIR, WORDS, RESOLVER),
    same("join {peer_host} {self_host}", PAIR),
    same("join {nobody}", PAIR, WORDS, RESOLVER),
    same("join {nobody}:17946", PAIR, WORDS, RESOLVER),
    same("join {nobody} {nobody}:17946", PAIR, WORDS, RESOLVER),
    same("join no-such-host.invalid", PAIR, WORDS, RESOLVER),
    same("join no-such-host.invalid:1", PAIR, WORDS, RESOLVER),
    differs(NOBODY_NAMED, "join ''", PAIR, WORDS),
    differs(PORTS, "join 127.0.0.1:x", PAIR, WORDS),
    differs(PORTS, "join 127.0.0.1:99999", PAIR, WORDS),
    same("join {closer}", PAIR, WORDS, NUMBERS),
    same("join {noise}", PAIR, WORDS, NUMBERS),
    same("join [::1]:7946", PAIR, WORDS, RESOLVER),
    same("join ::1", PAIR, WORDS, RESOLVER),
    same("join -- {peer_host}", PAIR),
    same("join {peer_host} -replay", PAIR),

    # --- force-leave ---
    same("force-leave x-left", PAIR),
    same("force-leave nobody", PAIR),
    same("force-leave -prune nobody", PAIR),
    same("force-leave x-failed", PAIR),
    same("force-leave -- -x", PAIR),

    # --- tags ---
    same("tags -set=a=b", PAIR),
    same("tags -set a=b -set c=d", PAIR),
    same("tags -delete=a -delete c", PAIR),
    same("tags -delete=absent", PAIR),
    same("tags -set=a=1 -delete=a", PAIR),
    same("tags -set=a=", PAIR),
    same("tags -set=a=b=c", PAIR),
    same("tags -set=novalue", PAIR),
    same("tags -set==x", PAIR),
    same("tags -set=", PAIR),
    same("tags -delete=", PAIR),
    same(f"tags -set=long={'v' * 600}", PAIR),
    same("tags -delete=a x", PAIR),
    same("tags -set=novalue -rpc-addr={nobody}:1", NONE),

    # --- reachability and rtt ---
    same("reachability", PAIR, NAMES, ROWS, TIMES, slow=True),
    same("reachability x", PAIR, NAMES, ROWS, TIMES, slow=True),
    same("reachability -verbose", PAIR, NAMES, ROWS, TIMES, slow=True),
    same("reachability -verbose", PAIR, ANSWERS, until="Starting"),
    same("rtt {peer}", PAIR, NAMES, TIMES),
    same("rtt {self}", PAIR, NAMES, TIMES),
    same("rtt {self} {peer}", PAIR, NAMES, TIMES),
    same("rtt {peer} {self}", PAIR, NAMES, TIMES),
    same("rtt nobody", PAIR),
    same("rtt {self} nobody", PAIR),
    same("rtt nobody {self}", PAIR),
    same("rtt 'no\"body'", PAIR),
    same("rtt ''", PAIR),
    same("rtt -rpc-addr={nobody}:1", NONE, HELP),

    # --- keys ---
    same("keys -list", PAIR, NAMES, ROWS),
    same("keys -install={key_2}", PAIR, NAMES, ROWS),
    same("keys -use={key_2}", PAIR, NAMES, ROWS),
    same("keys -remove={key_2}", PAIR, NAMES, ROWS),
    same("keys -install=!!!", PAIR),
    same("keys -list", KEYED, ROWS),
    same("keys -list x", KEYED, ROWS),
    same("keys -install={key_2}", KEYED),
    same("keys -install {key_2} x", KEYED),
    same("keys -use={key_2}", KEYED, before=("keys -install={key_2}",)),
    same("keys -use={key_1}", KEYED),
    same("keys -remove={key_2}", KEYED, before=("keys -use={key_1}",)),
    same("keys -remove={key_1}", KEYED, NAMES, ROWS, WORDS),
    same("keys -use={key_3}", KEYED, NAMES, ROWS, WORDS),
    same("keys -remove={key_3}", KEYED),
    same("keys -install=!!!", KEYED),
    same("keys -use=!!!", KEYED),
    same("keys -remove=!!!", KEYED),
    same("keys -install=YWJj", KEYED, NAMES, ROWS),
    same("keys -install=YWJ", KEYED),
    same("keys -install='YW Jj'", KEYED),
    same("keys -list -list=false", KEYED, HELP),

    # --- monitor ---
    same("monitor -log-level=foo", PAIR),
    same("monitor -log-level=", PAIR),
    same("monitor -log-level=error", PAIR),
    *[same(f"monitor -log-level={level}", ALONE, LEVELS, until="Event Info", meanwhile=PING)
      for level in ("trace", "DEBUG", "Info", "warn", "ERR")],
    same("monitor", ALONE, LEVELS, until="Event Info", meanwhile=PING),
    same("monitor x", ALONE, LEVELS, until="Event Info", meanwhile=PING),

    # --- leave ---
    same("leave", ALONE),
    same("leave x", ALONE),
]


def refused(words, *masks, **more):
    """An agent that must end by itself. With `why`, ours says something else."""
    masks = (NAMES, HELD, WORDS, *masks)
    return Row(f"agent {words}", START, masks, **more)


def remedied(words, *masks, **more):
    return refused(words, *masks, differs=REMEDY, hints=True, **more)


def refused_file(content, *masks, **more):
    return refused("-config-file={dir}/x.json", *masks, files=(("x.json", content),), **more)


def remedied_file(content, *masks, **more):
    return refused_file(content, *masks, differs=REMEDY, hints=True, **more)


def runs(words, *masks, **more):
    """An agent that runs. With LOG it is stopped by a signal when its own join is an event, else
    killed when its banner is out."""
    return Row(f"agent {words}", RUN, (NAMES, *(masks or (NO_LOG,))), slow=LOG in masks, **more)


def runs_file(content, *masks, **more):
    return runs("-config-file={dir}/x.json", *masks, files=(("x.json", content),), **more)


KEYS_OF_TYPES = {
    "string": ("node_name", "bind", "interface", "advertise", "discover", "encrypt_key",
               "keyring_file", "snapshot_path", "log_level", "syslog_facility", "profile", "role",
               "tags_file", "rpc_addr", "rpc_auth", "statsite_addr", "statsd_addr"),
    "bool": ("replay_on_join", "rejoin_after_leave", "enable_syslog", "enable_compression",
             "leave_on_terminate", "skip_leave_on_interrupt", "disable_name_resolution",
             "disable_coordinates"),
    "int": ("protocol", "retry_max_attempts", "query_size_limit", "query_response_size_limit",
            "user_event_size_limit"),
    "list": ("event_handlers", "start_join", "retry_join"),
    "map": ("tags",),
    "duration": ("retry_interval", "broadcast_timeout", "reconnect_interval", "reconnect_timeout",
                 "tombstone_timeout"),
}
WRONG = {"string": ("4", "true", "[]", "{}"), "bool": ('"true"', '"x"', "[]"),
         "int": ('"4"', "true", "[]"), "list": ('"x"', "4", "[4]", "{}"),
         "map": ('"x"', "4", '{"a": 1}', "[]"), "duration": ("5", '"5"', '"x"', "true")}

ROWS_OF_THE_TABLE += [
    # --- the agent that does not start ---
    remedied("-tag=novalue"),
    remedied("-tag==x"),
    refused(f"-tag=k={'v' * 600}"),
    remedied("-retry-interval=5"),
    remedied("-retry-interval=x"),
    remedied("-broadcast-timeout=5"),
    refused("-protocol=1"),
    refused("-protocol=6"),
    remedied("-profile=LAN"),
    remedied("-profile=x"),
    refused("-log-level=loud"),
    refused("-log-level=error"),
    remedied("-encrypt=!!!"),
    remedied("-encrypt=YWJj"),
    refused("-bind=203.0.113.9"),
    remedied("-bind=::1:7946"),
    refused("-bind=127.0.0.1:x", differs=PORTS),
    refused("-bind=127.0.0.1:99999", differs=PORTS),
    refused("-bind=no-such-host.invalid", RESOLVER),
    remedied("-advertise=::1:7946"),
    refused("-advertise=127.0.0.1:x", differs=PORTS),
    refused("-advertise=no-such-host.invalid", RESOLVER),
    remedied("-iface=nope0"),
    refused("-iface=lo -bind=203.0.113.9"),
    refused("-rpc-addr=127.0.0.1"),
    refused("-rpc-addr=127.0.0.1:x"),
    refused("-rpc-addr=203.0.113.9:1"),
    refused("-rpc-addr={taken}"),
    refused("-bind={taken}"),
    refused("-join={nobody}"),
    refused("-join={nobody}:1 -join={nobody}:2"),
    refused("-join=no-such-host.invalid", RESOLVER),
    refused("-join={noise}", NUMBERS),
    remedied("-event-handler=bogus=x"),
    remedied("-event-handler=member-join:x=y"),
    remedied("-event-handler=user:a,bogus=x"),
    refused("-config-file=/nonexistent/x.json"),
    refused("-config-dir=/nonexistent"),
    refused("-config-dir={dir}", differs=PLACES, files=(("a.json", "{}"), ("b.json", "{bad}"))),
    refused("-keyring-file=/nonexistent/keys"),
    remedied("-keyring-file={dir}/k -encrypt={key_1}",
             files=(("k", '["AAECAwQFBgcICQoLDA0ODw=="]'),)),
    *[remedied("-keyring-file={dir}/k", files=(("k", content),)) for content in ("[]", "null")],
    *[refused("-keyring-file={dir}/k", files=(("k", content),)) for content in
      ("", '["!!"]', '["YWJj"]')],
    refused("-keyring-file={dir}/k", differs=PLACES, hints=True, files=(("k", "{"),)),
    *[refused("-keyring-file={dir}/k", differs=TYPES, files=(("k", content),)) for content in
      ("{}", "[4]")],
    refused("-tags-file={dir}/t", files=(("t", ""),)),
    refused("-tags-file={dir}/t", differs=PLACES, hints=True, files=(("t", "{"),)),
    *[refused("-tags-file={dir}/t", differs=TYPES, files=(("t", content),)) for content in
      ("[]", '{"a": 1}')],
    refused("-tags-file={dir}/t", files=(("t", f'{{"a": "{"v" * 600}"}}'),)),
    remedied("-tags-file={dir}/t -tag=a=b"),
    remedied("-tags-file={dir}/t -role=b"),
    refused("-snapshot=/nonexistent/snapshot"),
    refused("-snapshot={dir}"),
    refused("-node=x -retry-max=0 -retry-join", HELP),
    remedied_file(""),
    *[refused_file(content, differs=PLACES, hints=True) for content in ("{", '{"node_name": "x"')],
    *[refused_file(content, differs=PLACES) for content in
      ("{bad}", "// x", '{"node_name": "x",}', "\ufeff{}", '{"a" 1}')],
    *[refused_file(content, differs=TYPES) for content in ("[]", '"x"', "4")],
    *[refused_file(content, differs=KEYS_LISTED) for content in
      ('{"bogus": 1}', '{"bogus": 1, "alpha": 2}', '{"a b": 1, "protocol": "x"}')],
    *[refused_file(content) for content in
      ('{"protocol": 1}', '{"user_event_size_limit": 9217}')],
    *[remedied_file(content) for content in
      ('{"enable_syslog": true, "syslog_facility": "BOGUS"}', '{"event_handlers": ["bogus=x"]}',
       '{"tags": {"a": "b"}, "tags_file": "x"}', '{"interface": "nope0"}',
       '{"encrypt_key": "!!!"}', '{"advertise": "::1:7946"}')],
    *[refused_file(f'{{"{key}": {value}}}', differs=TYPES) for kind, keys in KEYS_OF_TYPES.items()
      for key in keys for value in WRONG[kind]],

    # --- names ---
    *[refused(f"-node='{name}'", differs=OWN_NAME, same_status=False)
      for name in ("a/b", "a\nb", "a\x1bb", "a\tb")],
    refused(f"-node={'n' * 256}", differs=NAME_SIZE, same_status=False),

    # --- the agent that does ---
    runs(f"-node={'n' * 255}"),
    *[runs(f"-node='{name}'") for name in ("a|b", "größe", "a:b", "-x", ".", "a=b,c=d")],
    runs_file('{"user_event_size_limit": 9216}'),
    runs(f"-tag=k={'v' * 504}"),
    runs("-protocol=5"),
    runs(""),
    runs("", LOG),
    runs("", LOG, signal=signal.SIGINT),
    runs("", LOG, signal=signal.SIGHUP),
    runs("x y"),
    runs("-log-level=trace", LOG),
    runs("-log-level=warn"),
    runs("-log-level=ERR"),
    runs("-node=''"),
    runs("-node='a b'"),
    runs(f"-node={'n' * 200}"),
    runs("-bind={host}:8000"),
    runs("-bind=0.0.0.0:7950 -advertise={host}"),
    runs("-bind=localhost"),
    runs("-bind=[::1]"),
    runs("-bind=[::1]:8000"),
    runs("-bind={host}:0", differs=REAL_PORT),
    runs("-bind={host}:", differs=REAL_PORT),
    runs("-iface=lo -bind=0.0.0.0:8000"),
    runs("-iface=lo -bind=127.0.0.1"),
    runs("-advertise={host}:1234"),
    runs("-advertise=10.1.2.3"),
    runs("-rpc-addr=localhost:7373"),
    runs("-rpc-addr=[::1]:7373"),
    runs("-rpc-addr=:7374"),
    runs("-config-file={dir}/none.json", files=(("none.json", "null"),)),
    runs("-config-dir={dir}", files=(("2.json", '{"profile": "wan"}'),
                                     ("10.json", '{"profile": "local"}'))),
    runs("-encrypt={key_1}"),
    runs("-keyring-file={dir}/k", LOG, files=(("k", '["AAECAwQFBgcICQoLDA0ODw=="]'),)),
    runs("-event-handler=true -event-handler=user:x,member-join=true"),
    runs("-join={target}", LOG),
    runs("-join={target} -replay", LOG),
    runs("-join={nobody} -join={target}"),
    runs("-retry-join={target} -retry-max=3 -retry-interval=1s"),
    runs("-retry-interval=1ms"),
    runs("-broadcast-timeout=1ms"),
    runs("-disable-compression"),
    runs("-profile=wan"),
    runs("-protocol=2"),
    runs("-protocol=0"),
    runs("-protocol=-1"),
    runs("-rejoin"),
    runs("-rejoin -snapshot={dir}/s"),
    runs("-role=web", LOG),
    runs("-snapshot={dir}/s", LOG),
    runs("-tag=a=b -tag a=c"),
    runs("-tags-file={dir}/t", LOG, files=(("t", '{"a": "b"}'),)),
    runs("-tags-file={dir}/t", LOG, files=(("t", "null"),)),
    runs("-tags-file={dir}/t"),
    *[runs_file(content) for content in
      ("{}", '{"NODE_name": "x", "PROTOCOL": 4}', '{"node_name": null}', "{} {bad}",
       '{"protocol": 4.7}', '{"profile": "wan", "profile": "local"}',
       '{"disable_coordinates": true}', '{"query_size_limit": 1, "query_response_size_limit": 1}',
       '{"reconnect_interval": "1h2m3.5s", "tombstone_timeout": "1us"}',
       '{"retry_interval": "0"}', '{"role": "x", "tags": {"role": "y"}}',
       '{"encrypt_key": "AAECAwQFBgcICQoLDA0ODw=="}', '{"enable_compression": true}')],
    runs_file('{"enable_compression": false}', differs=NO_EFFECT),
    runs_file('{"leave_on_terminate": true}', LOG),
    runs("-config-dir={dir}", LOG, differs=EXPLICIT_FALSE, same_status=False,
         files=(("1.json", '{"leave_on_terminate": true}'),
                ("2.json", '{"leave_on_terminate": false}'))),
    runs_file('{"skip_leave_on_interrupt": true}', LOG, signal=signal.SIGINT),
]
