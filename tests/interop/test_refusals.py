"""What an operator gets wrong: the agent ends with status 1 and one line that names the thing and
the value. Where the reference has the same flag, it refuses the same."""

import json
import socket

import pytest

import agents
from agents import OURS, REFERENCE, next_host

KEY = "MDEyMzQ1Njc4OWFiY2RlZg=="


def start(program, *flags, files=(), directory=None):
    """Runs an agent that must end by itself. {dir} in a flag is the directory of the files."""
    for name, content in files:
        (directory / name).write_text(content, encoding="utf-8")
    host = next_host()
    words = ["agent", f"-bind={host}", f"-rpc-addr={host}:7373", "-node=x", "-profile=local",
             *[flag.format(dir=directory, host=host) for flag in flags]]
    return agents.run(program, *words, timeout=20)


def reasons(done):
    """The lines that say why: not held log lines, help or notices of the start."""
    lines = (done.stderr + done.stdout).splitlines()
    for number, line in enumerate(lines):
        if "Usage: serf agent" in line:
            lines = lines[:number]
            break
    return [line for line in lines if line.strip() and not line.startswith("    ")
            and "Starting Serf agent" not in line and "Joining cluster" not in line
            and "Serf agent running!" not in line]


FLAGS = {
    "an unknown flag": (["-bogus"], ["-bogus"]),
    "a flag without its value": (["-retry-join"], ["-retry-join"]),
    "a bad boolean": (["-replay=perhaps"], ["perhaps", "-replay"]),
    "a bad number": (["-protocol=five"], ["five", "-protocol"]),
    "a duration without a unit": (["-retry-interval=5"], ["5"]),
    "a protocol too low": (["-protocol=1"], ["1", "[2, 5]"]),
    "a protocol too high": (["-protocol=6"], ["6", "[2, 5]"]),
    "an unknown profile": (["-profile=LAN"], ["LAN"]),
    "an unknown log level": (["-log-level=loud"], ["LOUD"]),
    "a tag without a value": (["-tag=foo"], ["foo"]),
    "tags that are too long": (["-tag=k=" + "v" * 600], ["512"]),
    "a key that is no base64": (["-encrypt=!!!"], ["key"]),
    "a key of the wrong size": (["-encrypt=YWJj"], ["16, 24 or 32"]),
    "a foreign address": (["-bind=203.0.113.9"], ["203.0.113.9"]),
    "an address that is none": (["-bind=::1:7946"], ["::1:7946"]),
    "an interface that is not there": (["-iface=nope0"], ["interface"]),
    "an address to advertise that is none": (["-advertise=::1:7946"], ["::1:7946"]),
    "an rpc address without a port": (["-rpc-addr=127.0.0.1"], ["127.0.0.1"]),
    "a join of nobody": (["-join=127.9.9.9:1"], ["127.9.9.9"]),
    "a join of a name that is none": (["-join=no-such-host.invalid"], ["no-such-host.invalid"]),
    "a file that is not there": (["-config-file=/nonexistent/serf.json"],
                                 ["/nonexistent/serf.json"]),
    "a keyring file that is not there": (["-keyring-file=/nonexistent/keys"],
                                         ["/nonexistent/keys"]),
}


@pytest.mark.parametrize("flags, names", FLAGS.values(), ids=FLAGS.keys())
def test_a_wrong_flag_is_named_with_its_value(tmp_path, flags, names):
    done = start(OURS, *flags, directory=tmp_path)
    assert done.returncode == 1, done
    said = reasons(done)
    # A join's reasons are a list, one a line, as in the reference.
    assert len(said) == 1 or said[0] == "==> 1 error occurred:" and len(said) == 2, said
    for name in names:
        assert name in "\n".join(said) + done.stdout, said


@pytest.mark.parametrize("flags, names", FLAGS.values(), ids=FLAGS.keys())
def test_the_reference_refuses_the_same(reference, tmp_path, flags, names):
    assert start(REFERENCE, *flags, directory=tmp_path).returncode == 1


FILES = {
    "no JSON": ("{bad}", ["serf.json", "1"]),
    "a list": ("[]", ["serf.json"]),
    "empty": ("", ["serf.json"]),
    "cut off": ('{"node_name": "x"', ["serf.json"]),
    "unknown keys": ('{"bogus": 1, "alpha": 2}', ["serf.json", "alpha", "bogus"]),
    "a text for a number": ('{"protocol": "4"}', ["serf.json", "protocol"]),
    "a number for a text": ('{"node_name": 4}', ["serf.json", "node_name"]),
    "a text for a list": ('{"retry_join": "x"}', ["serf.json", "retry_join"]),
    "a bad duration": ('{"reconnect_interval": "5"}', ["serf.json", "5"]),
}


@pytest.mark.parametrize("content, names", FILES.values(), ids=FILES.keys())
def test_a_bad_file_is_named_with_what_is_wrong(tmp_path, content, names):
    done = start(OURS, "-config-dir={dir}", directory=tmp_path,
                 files=[("aaa.json", '{"tags": {"a": "b"}}'), ("serf.json", content)])
    assert done.returncode == 1, done
    said = reasons(done)
    assert len(said) == 1, said
    for name in names:
        assert name in said[0], said


@pytest.mark.parametrize("content, names", FILES.values(), ids=FILES.keys())
def test_the_reference_refuses_the_same_file(reference, tmp_path, content, names):
    done = start(REFERENCE, "-config-dir={dir}", directory=tmp_path, files=[("serf.json", content)])
    assert done.returncode == 1


@pytest.mark.parametrize("content, reason", [
    ("[]", "no keys"), ("{", "decode"), ('["!!"]', "base64"), ('["YWJj"]', "16, 24 or 32")])
def test_a_bad_keyring_file_is_refused(tmp_path, content, reason):
    done = start(OURS, "-keyring-file={dir}/keys", directory=tmp_path, files=[("keys", content)])
    assert done.returncode == 1 and reason in reasons(done)[0], done


def test_a_key_and_a_keyring_file_exclude_each_other(tmp_path):
    done = start(OURS, "-keyring-file={dir}/keys", f"-encrypt={KEY}", directory=tmp_path,
                 files=[("keys", json.dumps([KEY]))])
    assert done.returncode == 1
    assert "Encryption key not allowed while using a keyring" in reasons(done)[0]


@pytest.mark.parametrize("program", [OURS, pytest.param(REFERENCE)], ids=["cserf", "serf"])
@pytest.mark.parametrize("port", [7946, 7373])
def test_a_port_in_use_is_named(reference, tmp_path, program, port):
    host = next_host()
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as taken:
        taken.bind((host, port))
        taken.listen()
        done = agents.run(program, "agent", f"-bind={host}", f"-rpc-addr={host}:7373", "-node=x")
    assert done.returncode == 1
    assert f"{host}:{port}: bind: address already in use" in done.stdout
    assert "listen tcp" in done.stdout
