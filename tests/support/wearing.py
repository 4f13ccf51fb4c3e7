"""What a mount takes after much use: its memory, threads, open files, and what it knows for the kernel."""

from __future__ import annotations

import ctypes
import gc
import json
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import msgspec

from rosefs.settings import VfsSettings
from rosefs.vfs.filesystem import FileSystem
from rosefs.vfs.model import ROOT_INODE
from tests.support.mounts import Mounted

_COUNTERS, _RELOAD = "user.counters", "user.reload"
_MS_NOSUID, _MS_NODEV, _MS_REMOUNT = 2, 4, 32


class TellingFileSystem(FileSystem):
    """Tells its counters, by an extended attribute of its top directory, and reloads its settings by another."""

    def has_attribute(self, inode: int, name: bytes) -> bool:
        return (inode == ROOT_INODE and name == _COUNTERS.encode()) or super().has_attribute(inode, name)

    def getxattr(self, inode: int, name: bytes) -> bytes:
        if inode == ROOT_INODE and name == _COUNTERS.encode():
            gc.collect()
            return json.dumps(
                {**msgspec.structs.asdict(self.counters()), "blocks": sys.getallocatedblocks()}
            ).encode()
        return super().getxattr(inode, name)

    def setxattr(self, inode: int, name: bytes, value: bytes) -> None:
        if inode == ROOT_INODE and name == _RELOAD.encode():
            self.reconfigure(self._c.path_templates, VfsSettings())
            return
        super().setxattr(inode, name, value)


@dataclass(frozen=True)
class Worn:
    """What the process of a mount takes.

    Attributes:
        resident: Its memory, in KiB.
        blocks: How many pieces of memory its Python objects have.
        threads: How many threads it has.
        files: How many files it has open.
        inodes: How many numbers it knows because the kernel may.
        handles: How many files and directories programs have open.
        directories: How many directories its tree has.
    """

    resident: int
    blocks: int
    threads: int
    files: int
    inodes: int
    handles: int
    directories: int


def worn(mount: Mounted) -> Worn:
    """Returns what a mount takes now."""
    process = mount.process.pid
    counters = json.loads(os.getxattr(mount.path, _COUNTERS))
    status = Path(f"/proc/{process}/status").read_text()
    return Worn(
        int(re.findall(r"VmRSS:\s+(\d+)", status)[0]), counters["blocks"],
        int(re.findall(r"Threads:\s+(\d+)", status)[0]), len(os.listdir(f"/proc/{process}/fd")),
        counters["inodes"], counters["handles"], counters["directories"],
    )  # fmt: skip


def reload(mount: Mounted) -> None:
    """Has a mount take its settings anew, as it does when it reads its configuration again."""
    os.setxattr(mount.path, _RELOAD, b"")


def forget(mount: Mounted) -> None:
    """Has the kernel forget all names of a mount that nobody uses, and say so to it. Only root can."""
    # A system call, since mount(8) would start the program that the file system is named after.
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(
        None, os.fsencode(mount.path), None, ctypes.c_ulong(_MS_REMOUNT | _MS_NOSUID | _MS_NODEV), None
    ):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(mount.path))
