"""A library that counts what is asked of it, for tests of what the kernel answers by itself.

The counts are read through an extended attribute of the top directory, as those of ``memory_tree`` are.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from rosefs.vfs.filesystem import FileSystem
from rosefs.vfs.model import ROOT_INODE, Attributes, DirectoryEntry, OpenFile

CALLS = "user.calls"


class CountingFileSystem(FileSystem):
    """Counts the requests that look or read, by operation, and under ``told`` what the kernel was told."""

    calls: ClassVar[Counter[str]] = Counter()

    def lookup(self, parent: int, name: bytes, asker: int = 0) -> Attributes:
        self.calls["lookup"] += 1
        return super().lookup(parent, name, asker)

    def getattr(self, inode: int) -> Attributes:
        self.calls["getattr"] += 1
        return super().getattr(inode)

    def entries(self, inode: int, offset: int) -> Iterator[DirectoryEntry]:
        self.calls["entries"] += 1
        return super().entries(inode, offset)

    def open(self, inode: int, flags: int, asker: int = 0) -> OpenFile:
        self.calls["open"] += 1
        return super().open(inode, flags, asker)

    def read_now(self, handle: int, offset: int, size: int) -> bytes | None:
        self.calls["read"] += 1
        return super().read_now(handle, offset, size)

    def read(self, handle: int, offset: int, size: int) -> bytes:
        self.calls["read"] += 1
        return super().read(handle, offset, size)

    def has_attribute(self, inode: int, name: bytes) -> bool:
        return (inode == ROOT_INODE and name == CALLS.encode()) or super().has_attribute(inode, name)

    def getxattr(self, inode: int, name: bytes) -> bytes:
        if inode == ROOT_INODE and name == CALLS.encode():
            # What the kernel has still to be told to forget would be asked for again, and counted, at any later time.
            assert self._telling.wait(60)
            return json.dumps({**self.calls, "told": self.counters().told}).encode()
        return super().getxattr(inode, name)


def counted(top: Path) -> Counter[str]:
    """Returns what the library mounted at ``top`` has counted, when the kernel was told of all changes seen so far.

    Costs no request that is counted.
    """
    return Counter(json.loads(os.getxattr(top, CALLS)))
