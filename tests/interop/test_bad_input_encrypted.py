"""Bad input to an agent that has a key: from those without it, and from those who hold it and
still send what no peer would."""

import os
import struct

import pytest

import protocol as p
from agents import OURS, REFERENCE, next_host

aead = pytest.importorskip("cryptography.hazmat.primitives.ciphers.aead",
                           reason="python3-cryptography is not here")

KEY = bytes(range(16))
OTHER_KEY = bytes(range(1, 17))
KEY_FLAG = "-encrypt=AAECAwQFBgcICQoLDA0ODw=="


def seal(plain, version=1, key=KEY, additional=b""):
    nonce = os.urandom(12)
    return bytes([version]) + nonce + aead.AESGCM(key).encrypt(nonce, plain, additional)


def padded(plain, last=None):
    """As version 0 pads; `last` puts another number where the length of the padding stands."""
    count = 16 - len(plain) % 16
    return plain + bytes([count]) * (count - 1) + bytes([count if last is None else last])


def seal_stream(plain, version=1, key=KEY):
    size = 1 + 12 + len(plain) + 16
    header = bytes([p.ENCRYPT]) + struct.pack(">I", size)
    return header + seal(plain, version, key, header)


def open_sealed(sealed, additional=b""):
    return aead.AESGCM(KEY).decrypt(sealed[1:13], sealed[13:], additional)


@pytest.fixture
def encrypted(mixed_cluster):
    target = mixed_cluster.agent(OURS, "target", KEY_FLAG, "-disable-compression")
    mixed_cluster.grow(REFERENCE, "friend", KEY_FLAG, join=[target])
    stranger = p.DatagramPeer(target, next_host())
    yield mixed_cluster, target, stranger
    stranger.close()


def is_well(cluster, target, stranger):
    """Alive, of the same opinion, and answering a key holder, who tells that all was handled."""
    stranger.send(seal(p.ping("target", 4242)))
    answered = False
    while not answered:
        datagram = stranger.receive()
        assert datagram, f"{target} does not answer an encrypted ping"
        answered = any(part[0] == p.ACK and p.Reader.over(part[1:]).value()["SeqNo"] == 4242
                       for part in p.parts_of(open_sealed(datagram)))
    assert target.statuses() == {"target": "alive", "friend": "alive"}
    assert cluster.failures_logged() == []


def one_bit_wrong(data):
    return data[:-1] + bytes([data[-1] ^ 1])


DATAGRAMS = {
    "plain text": p.alive("phantom", "127.9.9.9"),
    "another key": seal(p.alive("phantom", "127.9.9.9"), key=OTHER_KEY),
    "data of another message": seal(p.alive("phantom", "127.9.9.9"), additional=b"blue"),
    "the version alone": b"\x01",
    "one byte too short": seal(b"")[:28],
    "one bit wrong": one_bit_wrong(seal(p.ping("target"))),
    "an unknown version": bytes([2]) + seal(p.ping("target"))[1:],
    "nothing inside": seal(b""),
    "padding of 0": seal(padded(p.alive("phantom", "127.9.9.9"), 0), 0),
    "padding of 17": seal(padded(p.alive("phantom", "127.9.9.9"), 17), 0),
    "padding longer than all": seal(padded(p.alive("phantom", "127.9.9.9"), 255), 0),
    "padding and nothing else": seal(b"\x10" * 16, 0),
    "encrypted twice": seal(seal(p.alive("phantom", "127.9.9.9"))),
    "wrong checksum": seal(p.with_crc(p.alive("phantom", "127.9.9.9"), wrong=3)),
}


@pytest.mark.parametrize("datagram", DATAGRAMS.values(), ids=DATAGRAMS.keys())
def test_a_datagram_that_does_not_decrypt_to_a_message_is_refused(encrypted, datagram):
    cluster, target, stranger = encrypted
    mark = target.log_mark()
    stranger.send(datagram)
    is_well(cluster, target, stranger)
    target.wait_log(r"\[(ERR|WARN)\] memberlist: .*from=|Got invalid checksum", since=mark)


@pytest.mark.parametrize("version, plain", [(0, padded(p.ping("target", 9))),
                                            (1, p.ping("target", 9)),
                                            (0, padded(p.with_crc(p.ping("target", 9)))),
                                            (1, p.compress(p.compound(p.ping("target", 9))))],
                         ids=["version-0", "version-1", "version-0-checksum", "compressed"])
def test_both_versions_of_encryption_are_understood(encrypted, version, plain):
    _, _, stranger = encrypted
    stranger.send(seal(plain, version))
    parts = []
    while not any(part[0] == p.ACK for part in parts):
        datagram = stranger.receive()
        assert datagram, "the ping was not answered"
        parts = p.parts_of(open_sealed(datagram))


STREAMS = {
    "plain text": p.push_pull([p.node_state("phantom", "127.9.9.9")]),
    "another key": seal_stream(p.push_pull([p.node_state("phantom", "127.9.9.9")]),
                               key=OTHER_KEY),
    "nothing inside": seal_stream(b""),
    "padding of 0": seal_stream(padded(p.push_pull([p.node_state("phantom", "127.9.9.9")]), 0), 0),
    "padding of 255": seal_stream(padded(p.push_pull([]), 255), 0),
    "no room for a tag": bytes([p.ENCRYPT]) + struct.pack(">I", 5) + b"\x01abcd",
    "a length of 0": bytes([p.ENCRYPT, 0, 0, 0, 0]),
    "21 MB announced": bytes([p.ENCRYPT]) + struct.pack(">I", 20971521),
    "an unknown version": bytes([p.ENCRYPT]) + struct.pack(">I", 40) + b"\x07" * 40,
    "members that are missing": seal_stream(p.push_pull([], node_count=3)),
    "a state that is missing": seal_stream(p.push_pull([], state_size=5000)),
}


@pytest.mark.parametrize("data", STREAMS.values(), ids=STREAMS.keys())
def test_a_stream_that_does_not_decrypt_to_a_message_is_closed(encrypted, data):
    cluster, target, stranger = encrypted
    before, mark = target.resident_kib(), target.log_mark()
    with p.StreamPeer(target) as stream:
        stream.send(data)
        stream.end()
        assert stream.read_to_end(12) is not None
    is_well(cluster, target, stranger)
    target.wait_log(r"\[(ERR|WARN)\] memberlist: ", since=mark)
    assert target.resident_kib() - before < 24 * 1024 * (8 if OURS.is_sanitized else 1)


def test_a_plain_stream_is_told_why_in_our_own_key(encrypted):
    _, target, _ = encrypted
    with p.StreamPeer(target) as stream:
        stream.send(p.push_pull([]))
        answer = stream.read_to_end()
    assert answer[0] == p.ENCRYPT
    plain = open_sealed(answer[5:], answer[:5])
    assert plain[0] == p.ERR
    assert b"ncryption is configured but remote state is not encrypted" in plain
