"""The commands of tools/cluster."""

import argparse
import json
import os
import signal
import subprocess
import sys
import time

from . import loopback, namespaces, pods, supervisor
from .state import State, Unreachable

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
SETTLE_TIMEOUT_S = 30
RUN_TIMEOUT_S = 10


class Failure(Exception):
    """What went wrong, and what to do about it, for a person."""


def say(text=""):
    print(text, flush=True)


def note(text):
    print("  " + text, flush=True)


# --- the supervisor ---


def start_supervisor(state, mode):
    """Returns once it answers. Mode None: namespaces, or else loopback addresses, saying so."""
    for attempt in [mode] if mode else ["namespaces", "loopback"]:
        reason = try_supervisor(state, attempt)
        if reason is None:
            return
        if attempt == "namespaces" and mode is None:
            say(f"network namespaces can't be made here ({reason});\n"
                "using loopback addresses and a small forwarder instead")
    raise Failure(f"the local cluster can't be started: {reason}")


def try_supervisor(state, mode):
    ready, tell_ready = os.pipe()
    launcher = namespaces.launcher() if mode == "namespaces" else []
    command = [*launcher, sys.executable, os.path.realpath(sys.argv[0]), "--state", state.directory,
               "supervise", mode, str(tell_ready)]
    with open(state.log_path("supervisor"), "ab") as log:
        try:
            subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                             pass_fds=[tell_ready], start_new_session=True)
        except FileNotFoundError as error:
            os.close(tell_ready)
            return str(error)
        finally:
            os.close(tell_ready)
    with os.fdopen(ready, encoding="utf-8") as answer:
        word = answer.read()
    if word == "ready":
        return None
    if word.startswith("impossible: "):
        return word[len("impossible: "):]
    with open(state.log_path("supervisor"), encoding="utf-8", errors="replace") as log:
        lines = log.read().strip().splitlines()
    return lines[-1] if lines else "it ended without a word"


def running(state):
    """What runs, from the supervisor itself."""
    try:
        return state.ask({"do": "status"})
    except Unreachable:
        raise Failure("no local cluster runs here; `make up` starts one") from None


def replicas_of(content):
    return [pod for pod in content["pods"] if not pod["by_hand"]]


# --- inside a pod ---


def pod_environment(state, content, pod):
    environment = dict(os.environ)
    http = pods.http_address(content["mode"], pod["address"])
    environment.update(pods.environment(pod["name"], http, content["service"],
                                        content["api_server"], state.path("config"),
                                        state.path("bin")))
    if content["mode"] == "loopback":
        environment["SERF_RPC_ADDR"] = f"{pod['address']}:7373"
        environment["SERF_HTTP_ADDR"] = http
    else:
        environment.pop("SERF_RPC_ADDR", None)
        environment.pop("SERF_HTTP_ADDR", None)
    return environment


def pod_command(content, pod, command):
    if content["mode"] == "loopback":
        return command
    return [*namespaces.enter_command(pod["pid"]), *command]


def ask_members(state, content, pod):
    """What a replica says of the cluster: {name: {status, addr, ...}}, or None without an answer."""
    command = pod_command(content, pod, [state.path("bin", "serf"), "members", "-format", "json"])
    try:
        result = subprocess.run(command, env=pod_environment(state, content, pod), check=False,
                                capture_output=True, text=True, timeout=RUN_TIMEOUT_S)
        members = json.loads(result.stdout)["members"]
    except (subprocess.TimeoutExpired, ValueError, KeyError, TypeError):
        return None
    return {member["name"]: member for member in members or []}


def sees_all(view, names):
    """Whether a view has just these replicas alive (members started by hand do not count)."""
    alive = {name for name, member in (view or {}).items() if member["status"] == "alive"}
    return names <= alive and all(not name.startswith("serf-") for name in alive - names)


def settle(state, content):
    """Waits until every replica sees every replica alive and no other. Returns when that was, on
    the monotonic clock; a Failure that shows the views when it takes too long."""
    replicas = replicas_of(content)
    names = {pod["name"] for pod in replicas}
    deadline = time.monotonic() + SETTLE_TIMEOUT_S
    waiting = list(replicas)
    while waiting:
        view = ask_members(state, content, waiting[0])
        if sees_all(view, names):
            waiting.pop(0)
        elif time.monotonic() > deadline:
            raise Failure(not_one_cluster(state, content, replicas))
        else:
            time.sleep(0.05)
    return time.monotonic()


def not_one_cluster(state, content, replicas):
    """Who sees whom: replicas of the same view on one line."""
    lines = [f"the replicas have not become one cluster within {SETTLE_TIMEOUT_S} s:"]
    by_view = {}
    for pod in replicas:
        view = ask_members(state, content, pod)
        if view is None:
            lines.append(f"  {pod['name']} does not answer; see {state.log_path(pod['name'])}")
            continue
        seen = ", ".join(f"{name} {view[name]['status']}" for name in sorted(view))
        by_view.setdefault(seen, []).append(pod["name"])
    lines += [f"  {', '.join(names)}: see {seen}" for seen, names in by_view.items()]
    return "\n".join(lines)


# --- commands ---


def command_up(state, options):
    with state.lock(say):
        if state.is_running():
            content = running(state)
            if replicas_of(content):
                say(f"the local cluster is up already: {len(replicas_of(content))} replicas "
                    f"behind {content['service']}; nothing to do")
                print_members(state, content)
                return 0
        else:
            prepare(state, options)
            start_supervisor(state, options.mode)
            content = running(state)
        say(f"local cluster: {content['mode']}, service address {content['service']}, "
            f"logs in {os.path.relpath(state.directory)}")
        if options.at_once or options.replicas <= 1:
            steps = [options.replicas]
        else:
            steps = [1, options.replicas]
        for replicas in steps:
            say("starting one replica" if replicas == 1 else f"scaling to {replicas} replicas")
            content = grow_and_settle(state, replicas)
        print_members(state, content)
        explain(state, content)
    return 0


def prepare(state, options):
    if not os.access(options.binary, os.X_OK):
        raise Failure(f"{options.binary} is not there; `make build` builds it")
    state.prepare(options.binary)


def grow_and_settle(state, replicas):
    content = state.ask({"do": "scale", "replicas": replicas}, note)
    began = time.monotonic()
    took = settle(state, content) - began
    if replicas == 1:
        wait_until_in_service(state)
        note("it runs, and the service leads to it")
    elif replicas > 1:
        note(f"one cluster of {replicas} after {took:.1f} s")
    return content


def wait_until_in_service(state):
    deadline = time.monotonic() + SETTLE_TIMEOUT_S
    while not all(pod["in_service"] for pod in replicas_of(running(state))):
        if time.monotonic() > deadline:
            raise Failure("the service does not lead to the replica")
        time.sleep(0.05)


def explain(state, content):
    name = replicas_of(content)[0]["name"]
    tool = os.path.relpath(os.path.join(ROOT, "tools", "cluster"))
    where = "" if state.directory == default_state() else f" --state {state.directory}"
    say(f"""
look around   {tool}{where} exec {name} -- serf members
              {tool}{where} exec {name} -- sh
read          make logs
resize        make scale N=8
stop          make down""")


def command_scale(state, options):
    with state.lock(say):
        before = len(replicas_of(running(state)))
        if before == options.replicas:
            say(f"there are {before} replicas already; nothing to do")
            return 0
        say(f"scaling from {before} to {options.replicas} replicas")
        content = grow_and_settle(state, options.replicas)
        if options.replicas:
            print_members(state, content)
    return 0


def print_members(state, content):
    """The table as the first replica's own `serf members` prints it."""
    pod = replicas_of(content)[0]
    say()
    subprocess.run(pod_command(content, pod, [state.path("bin", "serf"), "members"]),
                   env=pod_environment(state, content, pod), check=False, timeout=RUN_TIMEOUT_S)


def command_members(state, options):
    content = running(state)
    replicas = replicas_of(content)
    if not options.json:
        if not replicas:
            raise Failure("the local cluster has no replica; `make scale N=1` starts one")
        print_members(state, content)
        return 0
    names = {pod["name"] for pod in replicas}
    for pod in replicas:
        view = ask_members(state, content, pod)
        pod["sees_all"] = sees_all(view, names)
        pod["members"] = None if view is None else {
            name: {"status": member["status"], "addr": member["addr"]}
            for name, member in sorted(view.items())}
    content["one_cluster"] = all(pod["sees_all"] for pod in replicas)
    say(json.dumps(content, indent=2))
    return 0


def command_logs(state, options):
    """Every line with the replica's name in front; goes on when someone watches."""
    follow = options.follow or sys.stdout.isatty()
    files, rests = {}, {}
    while True:
        names = log_names(state)
        if not names and not follow:
            raise Failure("there are no logs; `make up` starts a cluster")
        for name in names:
            if name not in files:
                files[name] = open(state.log_path(name), encoding="utf-8", errors="replace")
            *lines, rests[name] = (rests.get(name, "") + files[name].read()).split("\n")
            for line in lines:
                print(f"{name}: {line}")
        sys.stdout.flush()
        if not follow:
            return 0
        time.sleep(0.2)


def log_names(state):
    """The replicas that have a log, in the order of their starts as far as that is known."""
    try:
        started = state.load()["history"]
    except (OSError, ValueError):
        started = []
    found = sorted(entry[:-len(".log")] for entry in os.listdir(state.directory)
                   if entry.endswith(".log") and entry != "supervisor.log")
    return [name for name in started if name in found] + [
        name for name in found if name not in started]


def command_down(state, options):
    if not os.path.isdir(state.directory):
        say("no local cluster runs here; nothing to do")
        return 0
    with state.lock(say):
        try:
            supervisor_pid = state.ask({"do": "status"})["supervisor"]
            say("stopping the local cluster")
            state.ask({"do": "kill" if options.kill else "down"}, note)
        except Unreachable:
            state.forget()
            say("no local cluster runs here; nothing to do")
            return 0
        deadline = time.monotonic() + 10
        while os.path.exists(f"/proc/{supervisor_pid}") and os.path.exists(state.path("socket")):
            if time.monotonic() > deadline:
                raise Failure(f"process {supervisor_pid}, the supervisor, does not end")
            time.sleep(0.02)
        say("stopped")
    return 0


def find_pod(content, name):
    for pod in content["pods"]:
        if pod["name"] == name:
            return pod
    known = ", ".join(pod["name"] for pod in content["pods"]) or "none"
    raise Failure(f"there is no pod called {name}; there are: {known}")


def command_exec(state, options):
    content = running(state)
    pod = find_pod(content, options.name)
    command = pod_command(content, pod, options.command)
    try:
        os.execvpe(command[0], command, pod_environment(state, content, pod))
    except OSError as error:
        raise Failure(f"{command[0]}: {error.strerror}") from error


def command_run(state, options):
    """Runs a command in a new pod, which is gone when the command ends."""
    running(state)
    content = state.ask({"do": "add", "name": options.name, "client": os.getpid()})
    try:
        pod = find_pod(content, options.name)
        values = {"{name}": pod["name"], "{address}": pod["address"],
                  "{service}": content["service"]}
        command = [values.get(word, word) for word in options.command]
        process = subprocess.Popen(pod_command(content, pod, command),
                                   env=pod_environment(state, content, pod))
        return wait_for(process, content, pod)
    finally:
        try:
            state.ask({"do": "remove", "name": options.name})
        except Unreachable:
            pass  # the whole cluster was stopped meanwhile


def wait_for(process, content, pod):
    """Waits for a command in a pod; SIGTERM to us is SIGTERM to it."""
    def pass_on(number, _frame):
        if content["mode"] == "loopback":
            process.send_signal(number)
        else:  # nsenter in front of the command would not pass it on
            subprocess.run(pod_command(content, pod, namespaces.kill_others(number)),
                           check=False, capture_output=True)

    signal.signal(signal.SIGTERM, pass_on)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to the command as well
    status = process.wait()
    return 128 - status if status < 0 else status


def command_supervise(state, options):
    return supervisor.run(state, options.network, options.ready_fd)


def command_forward(_state, options):
    loopback.Forwarder(options.tcp_fd, options.udp_fd).run()


# --- the command line ---


def default_state():
    return os.path.join(ROOT, "build", "cluster")


def parse(arguments):
    parser = argparse.ArgumentParser(prog="tools/cluster", description=__doc__)
    parser.add_argument("--state", default=default_state(), metavar="DIR",
                        help="where this cluster's files are (default: build/cluster)")
    commands = parser.add_subparsers(dest="command_name", required=True, metavar="COMMAND")

    up = commands.add_parser("up", help="start a cluster: one replica, then the others")
    up.add_argument("--replicas", type=int, default=5, metavar="N")
    up.add_argument("--at-once", action="store_true", help="start all at the same instant")
    up.add_argument("--binary", default=os.path.join(ROOT, "build", "serf"), metavar="PATH")
    up.add_argument("--mode", choices=["namespaces", "loopback"],
                    help="default: namespaces, or loopback where they can't be made")
    up.set_defaults(run=command_up)

    scale = commands.add_parser("scale", help="add or remove replicas")
    scale.add_argument("replicas", type=int, metavar="N")
    scale.set_defaults(run=command_scale)

    logs = commands.add_parser("logs", help="all logs, each line with its replica's name")
    logs.add_argument("-f", "--follow", action="store_true")
    logs.set_defaults(run=command_logs)

    members = commands.add_parser("members", help="the members as a replica sees them")
    members.add_argument("--json", action="store_true", help="the view of every replica")
    members.set_defaults(run=command_members)

    down = commands.add_parser("down", help="let all replicas leave, and stop")
    down.add_argument("--kill", action="store_true", help="stop without leaving")
    down.set_defaults(run=command_down)

    execute = commands.add_parser("exec", help="run a command inside a replica")
    execute.add_argument("name", metavar="NAME")
    execute.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND")
    execute.set_defaults(run=command_exec)

    by_hand = commands.add_parser(
        "run", help="run a command in a new pod of its own; the words {name}, {address} and "
                    "{service} in it stand for the pod's and the service's")
    by_hand.add_argument("name", metavar="NAME")
    by_hand.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND")
    by_hand.set_defaults(run=command_run)

    supervise = commands.add_parser("supervise")
    supervise.add_argument("network")
    supervise.add_argument("ready_fd", type=int)
    supervise.set_defaults(run=command_supervise)

    forward = commands.add_parser("forward")
    forward.add_argument("tcp_fd", type=int)
    forward.add_argument("udp_fd", type=int)
    forward.set_defaults(run=command_forward)

    options = parser.parse_args(["--help"] if arguments[:1] == ["help"] else arguments)
    if "command" in options:
        if options.command[:1] == ["--"]:
            options.command = options.command[1:]
        if not options.command:
            parser.error(f"{options.command_name} needs a command after the name")
    return options


def main(arguments):
    options = parse(arguments)
    state = State(options.state)
    try:
        return options.run(state, options)
    except (Failure, RuntimeError) as error:
        print(f"tools/cluster: {error}", file=sys.stderr)
        return 1
    except Unreachable as error:
        print(f"tools/cluster: the cluster's supervisor is gone ({error}); "
              f"see {state.log_path('supervisor')}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted; what was started goes on: `make down` stops it", file=sys.stderr)
        return 130
