"""What the bindings ask of a tree, as a protocol: ``rosefs.vfs.filesystem.FileSystem`` is the real one.

Declared here so that a binding names every call that it makes, and nothing else of the tree; it never adds
behaviour of its own.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Protocol

from rosefs.vfs.model import Attributes, DirectoryEntry, OpenFile


class Operations(Protocol):
    """A tree to serve. Every method may be called from several threads at once.

    A method refuses by raising a ``FileSystemError``; whatever else it raises is taken for a mistake in the
    program. Names are bytes, offsets and sizes are bytes. Of these methods ``open``, ``read`` and
    ``statfs`` touch a disk at any time, and ``getxattr`` may query; so may ``lookup`` and ``opendir``, unless
    ``is_cheap`` says that they will not, and ``getattr``, unless ``is_known`` says so.
    """

    def lookup(self, parent: int, name: bytes) -> Attributes:
        """Finds a name and counts one lookup. Raises NoEntryError if it is not there."""

    def remember(self, inode: int) -> None:
        """Counts one lookup of an inode that ``readdir`` gave and the kernel took."""

    def forget(self, inode: int, count: int) -> None:
        """Takes back ``count`` lookups."""

    def getattr(self, inode: int) -> Attributes:
        """Returns what ``stat`` shows."""

    def opendir(self, inode: int) -> int:
        """Opens a directory for one listing, which stays as it is now, and returns the handle."""

    def readdir(self, handle: int, offset: int) -> Iterator[DirectoryEntry]:
        """Yields the entries after an offset, all of them for 0. From memory; counts no lookup."""

    def releasedir(self, handle: int) -> None:
        """Closes a directory."""

    def open(self, inode: int, flags: int) -> OpenFile:
        """Opens a file with the flags of open(2), O_TRUNC among them. Raises ReadOnlyError for writing."""

    def read_now(self, handle: int, offset: int, size: int) -> bytes | None:
        """Reads what is asked for if no disk has to be waited for; None otherwise."""

    def read(self, handle: int, offset: int, size: int) -> bytes:
        """Reads at an offset; shorter than asked for only at the end of the file."""

    def release(self, handle: int) -> None:
        """Closes a file."""

    def statfs(self) -> os.statvfs_result:
        """Returns size and use of the source disk."""

    def getxattr(self, inode: int, name: bytes) -> bytes:
        """Returns an extended attribute. Raises NoAttributeError if there is none of the name."""

    def has_attribute(self, inode: int, name: bytes) -> bool:
        """Tells whether an inode can have an extended attribute; programs ask for many that none has."""

    def listxattr(self, inode: int) -> list[bytes]:
        """Returns the names of the extended attributes. From memory."""

    def is_cheap(self, inode: int) -> bool:
        """Tells whether questions about the names in a directory are answered from memory."""

    def is_known(self, inode: int) -> bool:
        """Tells whether the attributes of an inode are answered from memory."""

    def absence_may_be_cached(self, parent: int) -> bool:
        """Tells whether the kernel may remember that a directory does not have some name."""
