"""The rules of the source tree that no compiler checks."""

import glob
import os
import re
import shutil
import subprocess

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

# Calls that can't be used safely, that know no bounds or no errors, or that a static binary
# does not have (names are resolved by c-ares).
BANNED_CALLS = """
    strcpy stpcpy strcat strncpy strncat sprintf vsprintf gets strtok strtok_r atoi atol atoll atof
    scanf sscanf fscanf alloca getaddrinfo getnameinfo gethostbyname gethostbyaddr getservbyname
    getservbyport getprotobyname getprotobynumber tmpnam mktemp system popen dlopen rand srand
    setjmp longjmp
""".split()

# What a room may use: the rooms whose headers it includes.
ROOMS = {
    "base": set(),
    "wire": {"base"},
    "swim": {"base", "wire"},
    "serf": {"base", "wire", "swim"},
    "sim": {"base", "wire", "swim", "serf"},
    "host": {"base"},
    "kube": {"base", "host"},
    "node": {"base", "wire", "swim", "serf", "host"},
    "rpc": {"base", "wire"},
    "agent": {"base", "wire", "swim", "serf", "host", "kube", "node", "rpc"},
    "client": {"base", "wire", "host", "rpc"},
    "lib": {"base", "wire", "swim", "serf", "host", "node", "rpc", "client"},
    "cli": {"base", "wire", "host", "kube", "rpc", "client"},
}


def source_files(*patterns):
    return [path for pattern in patterns
            for path in sorted(glob.glob(os.path.join(ROOT, pattern), recursive=True))]


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def where(path, text, position):
    return f"{os.path.relpath(path, ROOT)}:{text.count(chr(10), 0, position) + 1}"


def without_comments_and_strings(text):
    """The same text with those blanked, so that places stay what they were."""
    pattern = r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\''
    return re.sub(pattern, lambda match: re.sub(r"[^\n]", " ", match[0]), text, flags=re.DOTALL)


def test_no_banned_call_is_used():
    call = re.compile(r"(?<![\w.>])(" + "|".join(BANNED_CALLS) + r")\s*\(")
    found = []
    for path in source_files("src/**/*.[ch]"):
        text = without_comments_and_strings(read(path))
        found += [f"{where(path, text, match.start())}: {match[1]}"
                  for match in call.finditer(text)]
    assert not found


def owners():
    """{header: its room}; file names are unique over all rooms."""
    found = {}
    for path in source_files("src/*/*.[ch]"):
        name, room = os.path.basename(path), os.path.basename(os.path.dirname(path))
        assert name not in found, f"{name} is in {found[name]} and in {room}"
        found[name] = room
    return found


def test_every_room_is_known():
    rooms = {os.path.basename(os.path.dirname(path)) for path in source_files("src/*/meson.build")}
    assert rooms <= set(ROOMS)


def test_includes_point_only_to_rooms_below():
    owner = owners()
    wrong = []
    for path in source_files("src/*/*.[ch]"):
        room = os.path.basename(os.path.dirname(path))
        text = read(path)
        for match in re.finditer(r'^\s*#\s*include\s+"([^"]+)"', text, re.MULTILINE):
            target = owner.get(match[1])
            if target is None:
                wrong.append(f"{where(path, text, match.start())}: {match[1]} is in no room")
            elif target != room and target not in ROOMS[room]:
                wrong.append(f"{where(path, text, match.start())}: {room} may not use {target}")
    assert not wrong


def test_the_build_gives_each_room_only_rooms_below():
    wrong = []
    for path in source_files("src/*/meson.build"):
        room = os.path.basename(os.path.dirname(path))
        for group in re.findall(r"dependencies:\s*\[([^]]*)\]", read(path)):
            named = set(re.findall(r"\w+", group)) & set(ROOMS)
            wrong += [f"{room} is given {other}" for other in named - ROOMS[room] - {room}]
    assert not wrong


def test_the_map_of_the_rooms_shows_what_they_may_use():
    """The table of docs/architecture.md, which leaves out what a room has through another."""
    rows = re.findall(r"^\| `(\w+)` \|[^|]*\|([\w, ]*)\|$",
                      read(os.path.join(ROOT, "docs/architecture.md")), re.MULTILINE)
    direct = {room: set(re.findall(r"\w+", used)) for room, used in rows}
    shown = {}
    for room in direct:
        shown[room], new = set(), {room}
        while new:
            new = {other for one in new for other in direct[one]} - shown[room]
            shown[room] |= new
    assert shown == ROOMS


def test_the_core_asks_the_system_for_nothing():
    """Time, randomness, sockets and files reach the core only through its host."""
    system = re.compile(r"#\s*include\s+<(time\.h|sys/(?!types)\w+\.h|unistd\.h|pthread\.h|"
                        r"netinet/\w+\.h|arpa/\w+\.h|fcntl\.h|poll\.h|signal\.h|event2/[^>]*)>")
    found = []
    for path in source_files("src/wire/*.[ch]", "src/swim/*.[ch]", "src/serf/*.[ch]"):
        text = read(path)
        found += [f"{where(path, text, match.start())}: {match[1]}"
                  for match in system.finditer(text)]
    assert not found


def test_every_test_folder_says_what_it_is():
    folders = [path for path in source_files("tests/*") if os.path.isdir(path)
               and not path.endswith("__pycache__")]
    missing = [os.path.relpath(path, ROOT) for path in folders
               if not os.path.exists(os.path.join(path, "README.md"))]
    assert not missing


def test_c_files_are_laid_out_by_clang_format():
    tool = shutil.which("clang-format")
    if not tool:
        pytest.skip("clang-format is not installed: tools/install-packages lint")
    files = source_files("src/**/*.[ch]", "include/**/*.h", "examples/*.c", "tests/**/*.[ch]")
    result = subprocess.run([tool, "--dry-run", "-Werror", *files], capture_output=True, text=True,
                            check=False)
    assert result.returncode == 0, result.stderr[-4000:]


def test_shell_scripts_pass_shellcheck():
    tool = shutil.which("shellcheck")
    if not tool:
        pytest.skip("shellcheck is not installed: tools/install-packages lint")
    scripts = [path for path in source_files("tools/*", ".ci/*", "debian/*", "image/*",
                                             "packaging/**/*", "tests/**/*") if
               os.path.isfile(path) and not path.endswith((".pyc", ".bin")) and is_shell(path)]
    assert scripts
    result = subprocess.run([tool, *scripts], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


def is_shell(path):
    with open(path, "rb") as file:
        first = file.readline(100)
    return first.startswith(b"#!") and re.search(rb"\b(ba)?sh\b", first) is not None
