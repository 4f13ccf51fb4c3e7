"""The values that the tree gives to whoever serves it: neutral types, of no FUSE library.

All times are integer nanoseconds since the epoch, all sizes are bytes.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import msgspec

from rosefs.settings import ViewKey

ROOT_INODE = 1
"""The inode number of the mount's top directory, as the kernel wants it."""


class Appearance(msgspec.Struct, frozen=True):
    """How a mount shows the tree, apart from what is in it.

    Attributes:
        view: The view that is the top directory; None for a top directory that lists the views.
        uid: Whose the files are shown to be.
        gid: Which group's they are shown to be.
        umask: The permissions that nobody has.
    """

    view: ViewKey | None = None
    uid: int = msgspec.field(default_factory=os.getuid)
    gid: int = msgspec.field(default_factory=os.getgid)
    umask: int = 0o022

    def mode(self, *, is_directory: bool, writable: bool) -> int:
        """Returns the permission bits of a file or directory."""
        most = 0o777 if is_directory else 0o666
        return most & ~self.umask & (0o777 if writable else 0o555)


@dataclass(slots=True)
class Attributes:
    """What ``stat`` shows of a file or directory. Never changed; not frozen, since to make that takes twice as long.

    ``mode`` holds the permission bits alone; ``is_directory`` tells the type, which is a regular file
    otherwise. ``keep_name``: the kernel may remember that the name just asked for, or listed, leads here;
    ``keep``: that the attributes are these. It is told when that is not true any more.
    """

    inode: int
    is_directory: bool
    mode: int
    links: int
    size: int
    mtime: int
    ctime: int
    atime: int
    uid: int
    gid: int
    keep_name: bool = field(default=True, compare=False)
    keep: bool = field(default=True, compare=False)


_LINKS = 1
"""Of a directory it says nothing of how many are in it; with 2, ``find`` could conclude that there are none."""


class Looks:
    """Attributes of what is as the cache says, with all that is the same for the whole mount."""

    def __init__(self, appearance: Appearance, *, writable: bool) -> None:
        self.file_mode = appearance.mode(is_directory=False, writable=writable)
        self.generated_mode = appearance.mode(is_directory=False, writable=False)
        self._directory_mode = appearance.mode(is_directory=True, writable=writable)
        self._uid, self._gid = appearance.uid, appearance.gid

    def file(
        self, inode: int, mode: int, size: int, mtime: int, keep_name: bool, keep: bool
    ) -> Attributes:  # fmt: skip
        """Returns the attributes of a file."""
        uid, gid = self._uid, self._gid
        return Attributes(inode, False, mode, _LINKS, size, mtime, mtime, mtime, uid, gid, keep_name, keep)

    def directory(self, inode: int, mtime: int, keep_name: bool, keep: bool) -> Attributes:
        """Returns the attributes of a directory."""
        uid, gid = self._uid, self._gid
        return Attributes(
            inode, True, self._directory_mode, _LINKS, 0, mtime, mtime, mtime, uid, gid, keep_name, keep
        )


class DirectoryEntry(NamedTuple):
    """One line of a directory.

    ``offset`` is where to go on after this entry: never 0, distinct, and the same as long as the entry is there.
    ``name`` is UTF-8.
    """

    name: bytes
    attributes: Attributes
    offset: int


class OpenFile(msgspec.Struct, frozen=True):
    """An open file. ``keep_cache``: pages that the kernel has of this inode are still good."""

    handle: int
    keep_cache: bool


class Counters(msgspec.Struct, frozen=True):
    """What a file system keeps in memory and has done, for tests and benchmarks.

    ``evaluations`` counts the name templates that were evaluated since it was made, and ``told`` what the kernel
    was told to forget; the others are numbers of what is there now.
    """

    inodes: int
    directories: int
    handles: int
    evaluations: int
    told: int


class Changes(msgspec.Struct, frozen=True):
    """The attributes that a program sets; None for those that it leaves as they are."""

    size: int | None = None
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    atime: int | None = None
    mtime: int | None = None

    @property
    def has_others(self) -> bool:
        """Whether anything but size and owner is set."""
        return (self.mode, self.atime, self.mtime) != (None, None, None)


class Kernel(Protocol):
    """Who has to be told what it must not remember any more.

    Each method may wait until requests are answered that concern the same, so a thread that others wait for must not
    call it. Each returns whether the kernel knew of what it was told about, and raises OSError if it cannot be told.
    """

    @property
    def keeps_listings(self) -> bool:
        """Whether it remembers what directories list."""

    def forget_entry(self, parent: int, name: bytes) -> bool:
        """Has it forget where a name in a directory leads, or that the name is not there."""

    def forget_attributes(self, inode: int) -> bool:
        """Has it forget the attributes of a file or directory. Waits for nothing."""

    def drop_pages(self, inode: int) -> bool:
        """Has it forget what it keeps of a file's content, or of a directory's, and its attributes."""
