"""What the bindings ask of a tree, as a protocol: ``rosefs.vfs.filesystem.FileSystem`` is the real one.

Declared here so that a binding names every call that it makes, and nothing else of the tree; it never adds
behaviour of its own.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Protocol

from rosefs.vfs.model import Attributes, Changes, DirectoryEntry, Kernel, OpenFile


class Operations(Protocol):
    """A tree to serve. Every method may be called from several threads at once.

    A method refuses by raising a ``FileSystemError``; whatever else it raises is taken for a mistake in the
    program. Names are bytes, offsets and sizes are bytes. Of these methods ``open``, ``read`` and
    ``statfs`` touch the disk of the music at any time, and ``getxattr`` may query. ``open`` waits for nothing if
    ``opens_at_once`` says so. ``lookup`` and ``entries`` may ask for much, unless ``is_cheap`` says that they will
    not, and ``getattr``, unless ``is_known`` says so. What changes something always takes its time; so does
    ``flush``, unless ``is_clean`` says that it will not.

    ``asker`` is the number of the thread that asks, as the kernel tells it (``pid`` in ``linux/fuse.h``); 0 if that is
    in another namespace. Who is about to change a file may be refused by StaleError: then the kernel looks up all names
    of the path again, in the same thread, and tries once more.
    """

    @property
    def writable(self) -> bool:
        """Whether anything can be changed; otherwise all that would do so raises ReadOnlyError."""

    def connect(self, kernel: Kernel) -> None:
        """Gives the tree whom to tell what the kernel must not keep. Called once, before anything else."""

    def disconnect(self) -> None:
        """Has the tree tell nothing any more, and waits for what it is telling."""

    def lookup(self, parent: int, name: bytes, asker: int) -> Attributes:
        """Finds a name and counts one lookup.

        Raises NoEntryError if it is not there, and of these AbsentError if the kernel may remember that.
        """

    def forget(self, inode: int, count: int) -> None:
        """Takes back ``count`` lookups."""

    def getattr(self, inode: int) -> Attributes:
        """Returns what ``stat`` shows."""

    def entries(self, inode: int, offset: int) -> Iterator[DirectoryEntry]:
        """Yields the entries of a directory after an offset, all of them for 0. Counts a lookup of each.

        From memory, when it has begun.
        """

    def open(self, inode: int, flags: int, asker: int = 0) -> OpenFile:
        """Opens a file with the flags of open(2), O_TRUNC among them."""

    def opens_at_once(self, inode: int) -> bool:
        """Tells whether a file is opened for reading without waiting for anything."""

    def read_now(self, handle: int, offset: int, size: int) -> bytes | None:
        """Reads what is asked for if no disk has to be waited for; None otherwise."""

    def read(self, handle: int, offset: int, size: int) -> bytes:
        """Reads at an offset; shorter than asked for only at the end of the file."""

    def is_clean(self, handle: int) -> bool:
        """Tells whether closing a file has nothing to save."""

    def flush(self, handle: int) -> None:
        """Saves what was written, before the program that closes the file gets its answer."""

    def release(self, handle: int) -> None:
        """Closes a file for good, without waiting for anything."""

    def create(
        self, parent: int, name: bytes, mode: int, flags: int, asker: int
    ) -> tuple[OpenFile, Attributes]:
        """Makes a file, or opens one that is there, with the flags of open(2). Counts one lookup."""

    def write(self, handle: int, offset: int, data: bytes) -> int:
        """Writes at an offset, and returns how many bytes."""

    def fsync(self, handle: int) -> None:
        """Has what was written flushed to the disk."""

    def setattr(self, inode: int, changes: Changes, handle: int | None, asker: int) -> Attributes:
        """Sets attributes; of an open file if there is a handle."""

    def mkdir(self, parent: int, name: bytes) -> Attributes:
        """Makes a directory, and counts one lookup of it."""

    def unlink(self, parent: int, name: bytes) -> None:
        """Removes a file."""

    def rmdir(self, parent: int, name: bytes) -> None:
        """Removes a directory."""

    def rename(self, parent: int, name: bytes, to_parent: int, to_name: bytes, flags: int) -> None:
        """Renames, with the flags of renameat2(2)."""

    def setxattr(self, inode: int, name: bytes, value: bytes) -> None:
        """Sets an extended attribute."""

    def removexattr(self, inode: int, name: bytes) -> None:
        """Removes an extended attribute."""

    def statfs(self) -> os.statvfs_result:
        """Returns size and use of the source disk."""

    def getxattr(self, inode: int, name: bytes) -> bytes:
        """Returns an extended attribute. Raises NoAttributeError if there is none of the name."""

    def has_attribute(self, inode: int, name: bytes) -> bool:
        """Tells whether an inode can have an extended attribute; programs ask for many that none has."""

    def listxattr(self, inode: int) -> list[bytes]:
        """Returns the names of the extended attributes. From memory if ``is_known`` says so."""

    def is_cheap(self, inode: int, name: bytes = b"") -> bool:
        """Tells whether a name in a directory, or without one all of them, are found by a few short queries at most."""

    def is_known(self, inode: int) -> bool:
        """Tells whether the attributes of an inode are answered from memory."""

    def drop_pages(self, inode: int) -> None:
        """Has the kernel drop what it keeps of a file, and waits until it did, but not for long."""

    def follow(self) -> None:
        """Notices what changed behind the tree's back; called several times a second, never by two at once."""
