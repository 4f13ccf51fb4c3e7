"""What a mount takes after much use: its memory, threads, open files, and what it knows for the kernel."""

from __future__ import annotations

import ctypes
import json
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from rosefs.vfs.filesystem import FileSystem
from rosefs.vfs.model import ROOT_INODE
from tests.support.mounts import Mounted

_COUNTERS = "user.counters"
_MS_NOSUID, _MS_NODEV, _MS_REMOUNT = 2, 4, 32


class TellingFileSystem(FileSystem):
    """Tells its counters, by an extended attribute of its top directory."""

    def has_attribute(self, inode: int, name: bytes) -> bool:
        return (inode == ROOT_INODE and name == _COUNTERS.encode()) or super().has_attribute(inode, name)

    def getxattr(self, inode: int, name: bytes) -> bytes:
        if inode == ROOT_INODE and name == _COUNTERS.encode():
            return json.dumps(asdict(self.counters())).encode()
        return super().getxattr(inode, name)


@dataclass(frozen=True)
class Worn:
    """What the process of a mount takes.

    Attributes:
        resident: Its memory, in KiB.
        threads: How many threads it has.
        files: How many files it has open.
        inodes: How many numbers it knows because the kernel may.
        handles: How many files and directories programs have open.
    """

    resident: int
    threads: int
    files: int
    inodes: int
    handles: int


def worn(mount: Mounted) -> Worn:
    """Returns what a mount takes now."""
    process = mount.process.pid
    status = Path(f"/proc/{process}/status").read_text()
    counters = json.loads(os.getxattr(mount.path, _COUNTERS))
    return Worn(
        int(re.findall(r"VmRSS:\s+(\d+)", status)[0]), int(re.findall(r"Threads:\s+(\d+)", status)[0]),
        len(os.listdir(f"/proc/{process}/fd")), counters["inodes"], counters["handles"],
    )  # fmt: skip


def forget(mount: Mounted) -> None:
    """Has the kernel forget all names of a mount that nobody uses, and say so to it. Only root can."""
    # A system call, since mount(8) would start the program that the file system is named after.
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(
        None, os.fsencode(mount.path), None, ctypes.c_ulong(_MS_REMOUNT | _MS_NOSUID | _MS_NODEV), None
    ):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(mount.path))
