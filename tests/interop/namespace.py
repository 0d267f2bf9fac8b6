"""A network of our own: every test process moves into a private network namespace, so that all of
127.0.0.0/8, ::1 and every port are free, nothing leaves the machine, and several test processes
can run beside each other."""

import ctypes
import fcntl
import os
import shutil
import socket
import struct
import subprocess

import pytest

CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000
SIOCGIFFLAGS = 0x8913
SIOCSIFFLAGS = 0x8914
IFF_UP = 0x1

_libc = ctypes.CDLL(None, use_errno=True)


def _unshare(flags):
    if _libc.unshare(ctypes.c_int(flags)) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), "unshare")


def _write(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def _bring_loopback_up():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(control, SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | IFF_UP))


def enter():
    """Moves this process (and all that it starts from now on) into a new namespace. Returns None,
    or the reason why that is not possible here."""
    uid, gid = os.getuid(), os.getgid()
    try:
        if uid == 0:
            _unshare(CLONE_NEWNET)
        else:
            _unshare(CLONE_NEWUSER | CLONE_NEWNET)
            _write("/proc/self/setgroups", "deny")
            _write("/proc/self/uid_map", f"0 {uid} 1")
            _write("/proc/self/gid_map", f"0 {gid} 1")
        _bring_loopback_up()
    except OSError as error:
        return f"no private network namespace can be made here: {error}"
    return None


def require_nft():
    if not shutil.which("nft"):
        pytest.skip("nft is not here: apt-get install nftables")


def cut_datagrams(one, two):
    """From now on no datagram passes between the two; streams and everybody else are not touched."""
    rules = ["add table inet interop",
             "add chain inet interop input { type filter hook input priority 0; }"]
    for source, target in ((one, two), (two, one)):
        rules.append(f"add rule inet interop input ip saddr {source.host} ip daddr {target.host} "
                     "meta l4proto udp drop")
    subprocess.run(["nft", "-f", "-"], input="\n".join(rules), text=True, check=True,
                   capture_output=True)
