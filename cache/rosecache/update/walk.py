"""What is on the disk: release directories, their files, and a stamp that tells whether they changed.

One directory walk and one ``stat`` per file. Reads no file, knows nothing of the database.
"""

from __future__ import annotations

import errno
import functools
import hashlib
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

import msgspec

from rosecache.config import Config
from rosecache.temporary import IN_PROGRESS_PREFIX, TEMPORARY_PREFIX

_IN_PROGRESS = IN_PROGRESS_PREFIX.encode()
_OWN_TEMPORARY = TEMPORARY_PREFIX.encode()
_MAX_DEPTH = 32

_TRASH = (b".Trash", b".Trashes", b"$RECYCLE.BIN")
"""What is at the top of a volume for what was deleted there, besides ``.Trash-<user id>``: the trash specification of
freedesktop.org, macOS and Windows. A music directory may be the whole of a volume."""


_COARSE = 10 * 10**6
"""Nanoseconds: a change time of whole ticks of so much, or of seconds, is one of a disk that does not tell more."""

_UNSETTLED = 10 * 10**9
"""Nanoseconds: the longest such tick, two seconds, and as much as the clocks of two computers are taken to differ."""


class FoundFile(NamedTuple):
    """A file of a release directory. ``path`` is below that directory, in the file system's bytes."""

    path: bytes
    size: int
    mtime: int
    ctime: int
    """As :func:`change_time` gives it."""


def change_time(status: os.stat_result) -> int:
    """Returns the time of the last change to an inode, in nanoseconds, which is another one after another change.

    Some disks count in ticks of up to two seconds. What happens to a file later in the tick of its time does not
    show in that. While that may still happen, the digits that the disk does not give are those of now, and the time
    equals no other one. A time far in the future will not be reached by a change soon, and stands as it is.
    """
    time_ns: int = status.st_ctime_ns
    if time_ns % _COARSE == 0:
        now = time.time_ns()
        if abs(now - time_ns) < _UNSETTLED:
            return time_ns + 1 + now % (_COARSE - 1)
    return time_ns


class Listing(msgspec.Struct, frozen=True):
    """All files of one release directory, sorted by path."""

    files: tuple[FoundFile, ...]
    leftovers: bool
    """Some of our own temporary files are there: a process was killed, or is at work."""
    mtime: int
    """The newest time of the release directory and those below it."""


def release_stamp(c: Config, listing: Listing) -> bytes:
    """Returns a digest of every name, size and time: equal stamps mean that nothing changed.

    It begins with where ids are written to, so that a change of that setting has every release looked at.
    """
    return _place_of_ids(c) + make_stamp(listing.files)


def was_other_place(c: Config, stamp: bytes) -> bool:
    """Tells whether a stamp was made when ids were written to another place than now."""
    return not stamp.startswith(_place_of_ids(c))


def _place_of_ids(c: Config) -> bytes:
    return b"tags:" if c.write_ids_to_tags else b"datafile:"


def make_stamp(files: Sequence[FoundFile]) -> bytes:
    """Returns a 16-byte digest of files in order."""
    return hashlib.blake2b(repr([tuple(file) for file in files]).encode(), digest_size=16).digest()


def list_release_directories(c: Config) -> list[bytes]:
    """Returns the names of the directories that may be releases, sorted.

    One of which nobody can tell what it is now, such as a link into a disk that fails, is among them.

    Raises OSError if the source directory cannot be read.
    """
    names = []
    with os.scandir(os.fsencode(c.music_source_dir)) as entries:
        for entry in entries:
            if not may_be_release(c, entry.name):
                continue
            try:
                is_directory = entry.is_dir()
            except OSError:
                is_directory = True
            if is_directory:
                names.append(entry.name)
    names.sort()
    return names


def may_be_release(c: Config, name: bytes) -> bool:
    """Tells whether a directory of this name can be a release: not if it is ours, ignored, in progress or a trash."""
    return name not in reserved_names(c) and not name.startswith((_IN_PROGRESS, b".Trash-"))


def reserved_names(c: Config) -> frozenset[bytes]:
    """Returns the names below the source directory that are never a release's."""
    return frozenset([*map(os.fsencode, c.ignore_release_directories), b"!collages", b"!playlists", *_TRASH])


def shown_elsewhere(c: Config, name: bytes) -> bytes | None:
    """Returns what a linked release directory shows a second time, or None if it is a release of its own.

    A link into the source directory, or around it, has the files of other releases; of several links to one
    directory only the first by name counts. Taken for a copy, such a release would get new ids, and the
    release whose files they are would lose its own.
    """
    source = os.fsencode(c.music_source_dir)
    path = os.path.join(source, name)
    if not os.path.islink(path):
        return None
    target, top = os.path.realpath(path), os.path.realpath(source)
    if os.path.commonpath([target, top]) in (target, top):
        return target
    first = _first_links(c, os.stat(source).st_mtime_ns).get(target, name)
    return None if first == name else os.path.join(source, first)


@functools.lru_cache(maxsize=1)
def _first_links(c: Config, mtime: int) -> dict[bytes, bytes]:
    """Returns the first link by name to each target, in a source directory that last changed at that time."""
    source = os.fsencode(c.music_source_dir)
    with os.scandir(source) as entries:
        links = [entry.name for entry in entries if entry.is_symlink() and may_be_release(c, entry.name)]
    return {os.path.realpath(os.path.join(source, link)): link for link in sorted(links, reverse=True)}


def list_files(directory: bytes, *, names_only: bool = False) -> Listing:
    """Walks one release directory, given by its full path.

    With ``names_only`` no file is asked for its size and times, which are zero then.

    Symbolic links to files count as files, those to directories below the release are not followed: they
    could lead round in a circle. A file that vanishes meanwhile was never there.

    Raises:
        OSError: The directory, or one below it, cannot be read: its files are unknown, not gone.
    """
    files: list[FoundFile] = []
    state = _Walk(files, names_only=names_only)
    state.walk(directory, b"", 0)
    files.sort()
    return Listing(tuple(files), state.leftovers, state.mtime)


class _Walk:
    __slots__ = ("files", "leftovers", "mtime", "names_only")

    def __init__(self, files: list[FoundFile], *, names_only: bool) -> None:
        self.files = files
        self.names_only = names_only
        self.leftovers = False
        self.mtime = 0

    def walk(self, directory: bytes, prefix: bytes, depth: int) -> None:
        status = os.stat(directory)
        # The inode's time says when the directory came here, also for one whose files are old.
        self.mtime = max(self.mtime, status.st_mtime_ns, status.st_ctime_ns)
        below = []
        with os.scandir(directory) as entries:
            for entry in entries:
                name = entry.name
                if name.startswith(_IN_PROGRESS):
                    self.leftovers = self.leftovers or name.startswith(_OWN_TEMPORARY)
                elif entry.is_dir(follow_symlinks=False):
                    below.append(name)
                else:
                    self.add(entry, prefix)
        if depth < _MAX_DEPTH:
            for name in below:
                with suppress(FileNotFoundError, NotADirectoryError):  # moved meanwhile, the rest was not
                    self.walk(directory + b"/" + name, prefix + name + b"/", depth + 1)

    def add(self, entry: os.DirEntry[bytes], prefix: bytes) -> None:
        try:
            if not entry.is_file():
                return
            if self.names_only:
                self.files.append(FoundFile(prefix + entry.name, 0, 0, 0))
                return
            status = entry.stat()
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno == errno.ELOOP:
                return  # a link that leads round in a circle is no file
            raise
        self.files.append(
            FoundFile(prefix + entry.name, status.st_size, status.st_mtime_ns, change_time(status))
        )
