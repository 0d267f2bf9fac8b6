"""libcserf as somebody else's build finds it: installed, by pkg-config, with nothing of ours but the
names it promises."""

import os
import re
import shutil
import subprocess

import pytest

from agents import OURS, REPOSITORY
from library import BUILD, ExampleMember, is_sanitized, run_rpc

MESON = "/usr/bin/meson"
HEADERS = ["cserf.h", "member.h", "rpc.h", "types.h", "version.h"]
SHARED = BUILD / "src/lib/libcserf.so"


def run(*command, **more):
    done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
                          **more)
    assert done.returncode == 0, f"{command}:\n{done.stdout}"
    return done.stdout


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A root folder into which everything was installed."""
    if is_sanitized(SHARED):
        pytest.skip("a library under sanitizers is for programs under sanitizers only")
    directory = tmp_path_factory.mktemp("root")
    run(MESON, "install", "-C", BUILD, "--no-rebuild", "--quiet", "--destdir", directory)
    return directory


@pytest.fixture(scope="module")
def pkg_config(root):
    path = next(root.rglob("cserf.pc"))

    def ask(*arguments):
        return run("pkg-config", *arguments, "cserf",
                   env={**os.environ, "PKG_CONFIG_PATH": str(path.parent),
                        "PKG_CONFIG_SYSROOT_DIR": str(root)}).split()
    return ask


@pytest.fixture(scope="module")
def build(root, pkg_config, tmp_path_factory):
    """Builds an example outside of this tree; the program, and its environment."""
    directory = tmp_path_factory.mktemp("programs")

    def build_one(name, *flags, static=False):
        program = directory / f"{name}-{'static' if static else 'shared'}"
        libraries = pkg_config("--libs", *(["--static"] if static else []))
        if static:
            libraries = ["-l:libcserf.a" if word == "-lcserf" else word for word in libraries]
        run("cc", "-Wall", "-Wextra", "-Werror", *flags, *pkg_config("--cflags"),
            REPOSITORY / "examples" / f"{name}.c", "-o", program, *libraries)
        library = next(root.rglob("libcserf.so.0"))
        return program, {"LD_LIBRARY_PATH": str(library.parent)}
    return build_one


def test_the_library_shows_its_own_names_only(root):
    shared = next(root.rglob("libcserf.so.0"))
    names = {line.split()[-1] for line in
             run("nm", "-D", "--defined-only", "--without-symbol-versions", shared).splitlines()}
    promised = set()
    for header in HEADERS:
        text = (REPOSITORY / "include/cserf" / header).read_text("utf-8")
        promised |= set(re.findall(r"CSERF_API [^;(]*?\b(cserf_\w+)\(", text))
    assert len(promised) > 40
    assert names - {"CSERF_0"} == promised
    archive = next(root.rglob("libcserf.a"))
    names = {line.split()[-1] for line in
             run("nm", "-g", "--defined-only", archive).splitlines() if len(line.split()) == 3}
    assert names == promised


def test_the_shared_library_is_known_by_its_major_version(root):
    shared = next(root.rglob("libcserf.so.0"))
    assert "Library soname: [libcserf.so.0]" in run("readelf", "-d", shared)
    assert (shared.parent / "libcserf.so").resolve() == shared.resolve()


def test_what_is_installed_is_what_pkg_config_says(root, pkg_config):
    assert sorted(path.name for path in next(root.rglob("include/cserf")).iterdir()) == HEADERS
    version = pkg_config("--modversion")[0]
    header = (REPOSITORY / "include/cserf/version.h").read_text("utf-8")
    assert f'"{version}"' in header
    assert pkg_config("--libs")[-1] == "-lcserf"  # and nothing of what it is made of


@pytest.mark.parametrize("language", ["c99", "c11", "c++11"])
@pytest.mark.parametrize("header", HEADERS)
def test_each_header_stands_alone(tmp_path, header, language):
    compiler = "c++" if language == "c++11" else "cc"
    suffix = ".cc" if language == "c++11" else ".c"
    if not shutil.which(compiler):
        compiler = "clang++"
    if not shutil.which(compiler):
        pytest.skip("no C++ compiler is here: apt-get install clang")
    source = tmp_path / f"alone{suffix}"
    source.write_text(f"#include <cserf/{header}>\n#include <cserf/{header}>\n"
                      "int used(void);\nint used(void)\n{\n    return CSERF_VERSION_NUMBER;\n}\n",
                      "utf-8")
    run(compiler, f"-std={language}", "-pedantic", "-Wall", "-Wextra", "-Werror",
        "-fsyntax-only", f"-I{REPOSITORY / 'include'}", source)


@pytest.mark.parametrize("static", [False, True], ids=["shared", "static"])
def test_the_examples_build_against_what_is_installed_and_run(cluster, tmp_path, build, static):
    member, variables = build("member", static=static)
    client, _ = build("rpc", "-std=c99", static=static)
    if static:
        assert "libcserf" not in run("readelf", "-d", client)
        variables = {}
    agent = cluster.agent(OURS, "agent")
    with ExampleMember(member, tmp_path, "embedded", agent, env=variables) as embedded:
        cluster.wait_members({"agent": "alive", "embedded": "alive"})
        lines = run_rpc(client, agent, variables)
        assert f"member embedded  {embedded.address}  alive  role=example" in lines
        embedded.wait_line("user example: hello")
        embedded.say("leave")
        assert embedded.wait_exit() == 0
