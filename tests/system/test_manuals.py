"""Manual pages and shell completion know the options that the program has, and no others.

What the program has is what its help says; a unit test holds the table of keys, and the help, to
docs/configuration.md."""

import os
import pty
import re
import select
import shutil
import signal
import subprocess
import time

import pytest

from local_cluster import BINARY

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
MANUALS = os.path.join(ROOT, "docs", "man")
COMPLETION = os.path.join(ROOT, "packaging", "completion")
PATIENCE_S = 70


def read(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as file:
        return file.read()


def helped(*words):
    return subprocess.run([BINARY, *words, "-help"], capture_output=True, text=True,
                          check=True).stderr


COMMANDS = re.findall(r"^    ([a-z][a-z-]*) ", helped(), re.MULTILINE)


def options(command):
    """{option: what the help shows as its value, or ""}"""
    return {match[1]: match[2] or "" for match in re.finditer(
        r"^  (-[a-z0-9-]+)(?:[= ](\S+))?", helped(command), re.MULTILINE)}


CONNECTION = {"-rpc-addr", "-rpc-auth"}  # described once, for all commands


def without_roff(text):
    text = re.sub(r"\\f[BIRP]|\\f\(..", "", text.replace("\\-", "-"))
    return text.replace("\\&", "")


def manual_sections():
    """serf(1) by command: what stands behind ".B command" up to the next one, and the rest."""
    commands_part, rest = re.split(r"^\.SH OPTIONS\n", read("docs", "man", "serf.1"),
                                   flags=re.MULTILINE)
    parts = re.split(r"^\.TP\n\.B (?!\\)((?:[a-z]|\\-)+)(?= |$)", commands_part, flags=re.MULTILINE)
    names = [without_roff(name) for name in parts[1::2]]
    return {name: without_roff(name + text) for name, text in zip(names, parts[2::2])}, rest


# --- manual pages ---


def test_serf_1_has_every_command_and_no_other():
    assert sorted(manual_sections()[0]) == sorted(COMMANDS)


@pytest.mark.parametrize("command", sorted(set(COMMANDS) - {"agent"}))
def test_serf_1_has_every_option_of_a_command_and_no_other(command):
    section = manual_sections()[0][command]
    # An option begins a .TP item or the synopsis line; -h and those of the agent are mentioned only.
    shown = set(re.findall(r"(?:^\.(?:TP\n\.)?BI?R? |[\[{|])(-[a-z][a-z-]+)", section, re.MULTILINE))
    known = set(options(command)) - CONNECTION
    assert known <= shown, f"docs/man/serf.1: {command}: describe {sorted(known - shown)}"
    strange = shown - known - set(options("agent"))
    assert not strange, f"docs/man/serf.1: {command}: the program has no {sorted(strange)}"


def test_serf_1_has_the_options_of_the_connection():
    rest = without_roff(manual_sections()[1])
    assert set(re.findall(r"^\.TP\n\.BI (-[a-z-]+)=", rest, re.MULTILINE)) == CONNECTION
    for command in COMMANDS:
        if command not in ("agent", "health", "keygen", "version"):
            assert CONNECTION <= set(options(command))


def test_serf_agent_8_has_every_option_and_no_other():
    text = without_roff(read("docs", "man", "serf-agent.8"))
    shown = {"-" + name for line in re.findall(r"^\.It (Fl .*)", text, re.MULTILINE)
             for name in re.findall(r"Fl ([a-z0-9-]+)", line)}
    known = set(options("agent"))
    assert known <= shown, f"docs/man/serf-agent.8: add .It Fl for {sorted(known - shown)}"
    assert shown <= known, f"docs/man/serf-agent.8: the program has no {sorted(shown - known)}"


def test_serf_json_5_has_every_key_and_no_other():
    source = read("src", "agent", "config.c")
    table = source[source.index("config_keys[] = {"):source.index("CONFIG_KEY_COUNT")]
    known = set(re.findall(r'(?:KEY\w*\(|\{)"(\w[\w.]*)",', table))
    assert len(known) > 40
    page = made_manual()
    keys = page[page.index(".Sh KEYS AND FLAGS"):]
    keys = keys[:keys.index(".El")]
    shown = set(re.findall(r"^\.It (\w[\w.]*)(?: †| \\\(dg)? ", without_roff(keys), re.MULTILINE))
    assert shown == known, "docs/configuration.md: the table of keys is not config_keys[]"


def test_the_table_of_keys_has_every_flag_and_no_other():
    rows = [line.split("|") for line in read("docs", "configuration.md").splitlines()
            if line.startswith("| ") and line.count("|") == 7]
    shown = set(re.findall(r"`(-[a-z0-9-]+)`", " ".join(row[2] for row in rows)))
    assert shown == set(options("agent"))


def made_manual():
    result = subprocess.run(
        [os.path.join(ROOT, "tools", "markdown-to-manual"), "serf.json", "5",
         "configuration of the Serf agent", os.path.join(ROOT, "docs", "configuration.md")],
        capture_output=True, text=True, check=True)
    return result.stdout


@pytest.fixture
def pages(tmp_path):
    """The paths of all manual pages."""
    made = tmp_path / "serf.json.5"
    made.write_text(made_manual(), encoding="utf-8")
    return [str(made)] + [os.path.join(MANUALS, name) for name in sorted(os.listdir(MANUALS))]


def test_mandoc_has_no_complaint(pages):
    tool = shutil.which("mandoc")
    if not tool:
        pytest.skip("mandoc is not installed: tools/install-packages test")
    result = subprocess.run([tool, "-T", "lint", "-W", "warning", *pages], capture_output=True,
                            text=True, check=False)
    assert result.stdout + result.stderr == ""


def test_man_has_no_warning(pages):
    tool = shutil.which("man")
    if not tool or not shutil.which("groff"):
        pytest.skip("man-db is not installed: tools/install-packages test")
    for page in pages:
        result = subprocess.run(
            [tool, "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", page], text=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False,
            env={**os.environ, "LC_ALL": "C.UTF-8", "MANROFFSEQ": "", "MANWIDTH": "80"})
        assert result.returncode == 0 and result.stderr == "", page


def test_the_program_names_no_page_that_does_not_exist(pages):
    names = {os.path.basename(page) for page in pages}
    for page in pages:
        with open(page, encoding="utf-8") as file:
            text = file.read()
        for name, section in re.findall(r"^\.Xr (\S+) (\d)", text, re.MULTILINE):
            assert f"{name}.{section}" in names, page


# --- completion ---


@pytest.fixture
def path(tmp_path):
    """An environment whose serf is the binary under test."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "serf").symlink_to(BINARY)
    return {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "LC_ALL": "C.UTF-8",
            "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}


def bash_completes(path, *words):
    script = ('. "$0"; COMP_WORDS=(serf "$@"); COMP_CWORD=$#; _serf serf; '
              'printf "%s\\n" "${COMPREPLY[@]}"')
    result = subprocess.run(
        ["bash", "--norc", "-c", script, os.path.join(COMPLETION, "serf.bash"), *words], env=path,
        capture_output=True, text=True, check=False)
    assert result.stderr == ""
    return result.stdout.split()


def fish_completes(path, *words):
    if not shutil.which("fish"):
        pytest.skip("fish is not installed: tools/install-packages test")
    line = " ".join(["serf", *words])
    result = subprocess.run(
        ["fish", "--no-config", "-c", f"source {COMPLETION}/serf.fish; complete -C '{line}'"],
        env=path, capture_output=True, text=True, check=False)
    assert result.stderr == ""
    return [line.split("\t")[0] for line in result.stdout.splitlines()]


def zsh_completes(path, *words):
    """What _arguments and _describe are given: the matching is zsh's own."""
    if not shutil.which("zsh"):
        pytest.skip("zsh is not installed: tools/install-packages test")
    script = ('_arguments() { print -rl -- "$@" }; _describe() { print -rl -- "${(@P)2}" }; '
              'service=serf; words=(serf "$@"); CURRENT=$#words; . "$0"')
    result = subprocess.run(["zsh", "-f", "-c", script, os.path.join(COMPLETION, "_serf"), *words],
                            env=path, capture_output=True, text=True, check=False)
    assert result.stderr == ""
    found = []
    for line in result.stdout.splitlines():
        if match := re.match(r"\*(-[a-z0-9-]+=?)\[", line):
            found.append(match[1])
        elif re.match(r"[a-z-]+:", line):
            found.append(line.split(":")[0])
    return found


SHELLS = [bash_completes, zsh_completes, fish_completes]


@pytest.mark.parametrize("completes", SHELLS)
def test_completion_offers_every_command_and_no_other(completes, path):
    offered = set(completes(path, "")) - {"--help", "--version"}
    assert offered == set(COMMANDS)


@pytest.mark.parametrize("completes", SHELLS)
def test_completion_offers_every_option_and_no_other(completes, path):
    for command in COMMANDS:
        offered = {option for option in completes(path, command, "-") if option[0] == "-"}
        assert offered == {name + ("=" if value else "") for name, value
                           in options(command).items()}, command


@pytest.mark.parametrize("completes", [bash_completes, fish_completes])
def test_completion_knows_the_values_of_an_option(completes, path):
    assert set(completes(path, "members", "-format", "")) == {"text", "json"}
    assert "/etc" in {value.rstrip("/") for value in completes(path, "agent", "-config-dir", "/et")}
    assert completes(path, "query", "-node", "") == []  # no agent runs: no name, and no error either


def test_bash_completes_behind_the_equals_sign(path):
    assert bash_completes(path, "agent", "-log-level", "=", "de") == ["debug"]
    assert bash_completes(path, "agent", "--log-level", "=") == [
        "trace", "debug", "info", "warn", "err"]


def test_fish_completes_behind_the_equals_sign(path):
    assert fish_completes(path, "agent", "-log-level=de") == ["-log-level=debug"]


def test_zsh_takes_the_specifications(path):
    """A zsh on a terminal, since nothing else runs the completion system as a whole."""
    if not shutil.which("zsh"):
        pytest.skip("zsh is not installed: tools/install-packages test")
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvpe("zsh", ["zsh", "-f", "-i"], {**path, "TERM": "dumb", "PS1": "> "})
    try:
        type_line(terminal, f"fpath=({COMPLETION} $fpath); autoload -Uz compinit; "
                            "compinit -u -D; print re''ady\n", r"ready\r?\n")
        type_line(terminal, "serf agent -log-level=de\t", r"-log-level=debug")
        type_line(terminal, "\x15serf mem\t", r"serf members ")
        type_line(terminal, "-det\t\t", r"serf members -detailed")  # listed first
    finally:
        os.kill(pid, signal.SIGKILL)
        os.close(terminal)
        os.waitpid(pid, 0)


def type_line(terminal, keys, wanted):
    os.write(terminal, keys.encode())
    seen, deadline = "", time.monotonic() + PATIENCE_S
    while not re.search(wanted, seen):
        left = deadline - time.monotonic()
        assert left > 0 and select.select([terminal], [], [], left)[0], f"no {wanted} in {seen!r}"
        seen += os.read(terminal, 65536).decode(errors="replace")
