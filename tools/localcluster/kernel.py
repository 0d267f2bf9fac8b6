"""System calls that Python 3.11 does not offer: namespaces, mounts, and a parent's death."""

import ctypes
import os
import signal

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

_MS_BIND = 0x1000
_MS_REC_PRIVATE = 0x4000 | 0x40000
_PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result, doing):
    if result != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{doing}: {os.strerror(error)}")


def unshare(flags):
    _check(_libc.unshare(ctypes.c_int(flags)), "unshare")


def enter(namespace_fd, flags):
    _check(_libc.setns(ctypes.c_int(namespace_fd), ctypes.c_int(flags)), "setns")


def make_mounts_private():
    """What is mounted from here on is seen by nobody else. False where the system refuses, as in
    a chroot."""
    return _libc.mount(b"none", b"/", None, ctypes.c_ulong(_MS_REC_PRIVATE), None) == 0


def mount_proc():
    """A view of the processes of this namespace only. False where the system refuses."""
    return _libc.mount(b"proc", b"/proc", b"proc", ctypes.c_ulong(0), None) == 0


def mount(source, target):
    """From here on the file or folder `target` is `source`, or an empty folder in memory when that is
    None. A folder in memory is where targets may be missing."""
    if source is None:
        result = _libc.mount(b"tmpfs", os.fsencode(target), b"tmpfs", ctypes.c_ulong(0), None)
    else:
        if os.path.isdir(source):
            os.makedirs(target, exist_ok=True)
        result = _libc.mount(os.fsencode(source), os.fsencode(target), None,
                             ctypes.c_ulong(_MS_BIND), None)
    _check(result, f"mount at {target}")


def set_hostname(name):
    encoded = name.encode()
    _check(_libc.sethostname(encoded, ctypes.c_size_t(len(encoded))), "sethostname")


def die_with_parent():
    """The calling process is killed when the thread that made it ends, however that comes."""
    _check(_libc.prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL)), "prctl")


def set_network(name, value):
    """A setting of this network namespace, below /proc/sys/net."""
    with open(f"/proc/sys/net/{name}", "w", encoding="ascii") as file:
        file.write(str(value))
