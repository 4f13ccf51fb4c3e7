"""The values that the tree gives to whoever serves it: neutral types, of no FUSE library.

All times are integer nanoseconds since the epoch, all sizes are bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

ROOT_INODE = 1
"""The inode number of the mount's top directory, as the kernel wants it."""


@dataclass(frozen=True, slots=True)
class Attributes:
    """What ``stat`` shows of a file or directory.

    ``mode`` holds the permission bits alone; ``is_directory`` tells the type, which is a regular file
    otherwise.
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


@dataclass(frozen=True, slots=True)
class DirectoryEntry:
    """One line of a directory.

    ``offset`` is where to go on after this entry: never 0, distinct, and stable as long as the handle is
    open. ``name`` is UTF-8.
    """

    name: bytes
    attributes: Attributes
    offset: int


@dataclass(frozen=True, slots=True)
class OpenFile:
    """An open file. ``keep_cache``: pages that the kernel has of this inode are still good."""

    handle: int
    keep_cache: bool


@dataclass(frozen=True, slots=True)
class Counters:
    """What a file system keeps in memory and has done, for tests and benchmarks.

    ``evaluations`` counts the name templates that were evaluated since it was made; the others are numbers
    of what is there now.
    """

    inodes: int
    directories: int
    handles: int
    evaluations: int
