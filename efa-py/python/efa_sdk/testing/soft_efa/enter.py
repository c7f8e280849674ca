"""Runs a command where a made tree is /sys and /dev: ``enter.py ROOT HOSTNAME COMMAND…``.

It makes a mount namespace (without root: also a user namespace, in which the user is root), puts
the tree's directories in place of the real ones and becomes the command, with the same process id.
What the tree does not have (networks, processors, control groups, terminals) is the machine's own,
and so is its name where HOSTNAME is empty.
Needs the standard library of Python only. ``--try`` does the same with an empty tree, and ends.
"""

from __future__ import annotations

import ctypes
import os
import socket
import sys
import tempfile
from pathlib import Path
from typing import NoReturn

_CLONE_NEWNS, _CLONE_NEWUTS, _CLONE_NEWUSER = 0x00020000, 0x04000000, 0x10000000
_MS_BIND, _MS_REC, _MS_PRIVATE = 4096, 16384, 1 << 18

#: Directories of /sys that stay the machine's own.
_SYS = ("block", "devices/system", "devices/virtual/net", "fs", "kernel")
#: Files and directories of /dev that stay the machine's own.
_DEV = ("null", "zero", "full", "random", "urandom", "tty", "shm", "pts", "mqueue", "fuse")
_DEV_LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
    "ptmx": "pts/ptmx",
}

_libc = ctypes.CDLL(None, use_errno=True)


def main() -> NoReturn:
    """Becomes the command, or ends with a message."""
    if len(sys.argv) == 2 and sys.argv[1] == "--try":
        with tempfile.TemporaryDirectory(prefix="soft-efa-try-") as folder:
            child = os.fork()
            if child == 0:
                _try(Path(folder))
            _, status = os.waitpid(child, 0)
        sys.exit(os.waitstatus_to_exitcode(status))
    root, hostname, command = Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
    try:
        _enter(root)
        if hostname:
            socket.sethostname(hostname)
    except OSError as error:
        sys.exit(f"efa-sdk soft-efa: no namespace for {root}: {error}")
    os.environ["SYSFS_PATH"] = "/sys"
    try:
        os.execvp(command[0], command)
    except OSError as error:
        print(f"efa-sdk soft-efa: {command[0]}: {error.strerror}", file=sys.stderr)
        sys.exit(127 if isinstance(error, FileNotFoundError) else 126)


def _try(root: Path) -> NoReturn:
    """Tries it in a child, and ends the child."""
    try:
        _enter(root)
    except OSError as error:
        print(error, file=sys.stderr, flush=True)
        os._exit(1)
    os._exit(0)


def _enter(root: Path) -> None:
    user, group = os.geteuid(), os.getegid()
    if user == 0:
        _call("unshare", _CLONE_NEWNS | _CLONE_NEWUTS)
    else:
        _call("unshare", _CLONE_NEWNS | _CLONE_NEWUTS | _CLONE_NEWUSER)
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1")
    _mount("none", "/", _MS_REC | _MS_PRIVATE)
    sys_, dev = root / "sys", root / "dev"
    for name in _SYS:
        _show(Path("/sys") / name, sys_ / name)
    _networks(sys_)
    for name in _DEV:
        _show(Path("/dev") / name, dev / name)
    for name, target in _DEV_LINKS.items():
        if not (dev / name).is_symlink():
            (dev / name).symlink_to(target)
    # A bind of /dev/null is a character device for every user; mknod is root's.
    verbs = dev / "infiniband"
    for path in verbs.iterdir() if verbs.is_dir() else ():
        _mount("/dev/null", str(path), _MS_BIND)
    _mount(str(sys_), "/sys", _MS_BIND | _MS_REC)
    _mount(str(dev), "/dev", _MS_BIND | _MS_REC)


def _networks(sys_: Path) -> None:
    """The machine's network devices: links into parts of /sys that the tree has of its own."""
    folder = sys_ / "class/net"
    folder.mkdir(parents=True, exist_ok=True)
    for entry in Path("/sys/class/net").iterdir():
        if not entry.is_dir():
            continue
        real = entry.resolve()
        own = sys_ / real.relative_to("/sys")
        _show(real, own)
        link = folder / entry.name
        if not link.is_symlink():
            link.symlink_to(os.path.relpath(own, folder))


def _show(source: Path, target: Path) -> None:
    """Shows a file or a directory of the machine in the tree, where the machine has it."""
    if not source.exists():
        return
    if source.is_dir():
        target.mkdir(parents=True, exist_ok=True)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()
    _mount(str(source), str(target), _MS_BIND | _MS_REC)


def _mount(source: str, target: str, flags: int) -> None:
    none = ctypes.c_void_p(None)
    if _libc.mount(source.encode(), target.encode(), none, ctypes.c_ulong(flags), none) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"mount {source}: {os.strerror(number)}", target)


def _call(name: str, flags: int) -> None:
    if getattr(_libc, name)(flags) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


if __name__ == "__main__":
    main()
