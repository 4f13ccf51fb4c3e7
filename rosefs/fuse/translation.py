"""What the two bindings have in common: how long the kernel may keep an answer, and attributes in its form.

Imports no binding: the values that both libraries call ``EntryAttributes`` and ``StatvfsData`` have the same
fields, and are filled here through a protocol. It never decides what is in a file's attributes.
"""

from __future__ import annotations

import logging
import os
import signal
import stat
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec

from rosefs.fuse.operations import Operations
from rosefs.vfs.model import ROOT_INODE, Attributes, Changes, Kernel

log = logging.getLogger(__name__)

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""Signals that end a mount in good order."""

BLOCK_SIZE = 4096
"""What ``stat`` gives as the preferred size of a read. Larger ones upset kernels that cache by page."""

_DIRECTORY, _FILE = stat.S_IFDIR, stat.S_IFREG

_SECTOR = 512
"""The unit of ``st_blocks``, whatever the block size: stat(2)."""

STATVFS_FIELDS = (
    "f_bsize", "f_frsize", "f_blocks", "f_bfree", "f_bavail", "f_files", "f_ffree", "f_favail", "f_namemax",
)  # fmt: skip


class Timeouts(msgspec.Struct, frozen=True):
    """For how many seconds the kernel may answer from its own memory, unless it is told to forget earlier."""

    entry: float = 3600.0
    """That a name leads to an inode."""
    attributes: float = 3600.0
    """What ``stat`` shows."""
    absent: float = 3600.0
    """That a name is not there."""

    def untold(self) -> Timeouts:
        """Returns what is right for a kernel that is told nothing: within a second a change has to be seen."""
        return Timeouts(*(min(each, 1.0) for each in (self.entry, self.attributes, self.absent)))


def trusted_timeouts(kernel: Kernel, wanted: Timeouts) -> Timeouts:
    """Returns the timeouts for a kernel that is told what to forget, if it lets itself be told; others otherwise."""
    try:
        kernel.forget_attributes(ROOT_INODE)
    except OSError as error:
        log.warning("the kernel cannot be told what changed, and so asks every second (%s)", error)
        return wanted.untold()
    return wanted


Companion = Callable[[], Awaitable[None]]
"""What runs beside a mount, on trio, until it is done, or cancelled when the mount ends. Must not touch the mount."""


class Serve(Protocol):
    """How a binding is started: mounts, calls ``on_ready`` once requests are answered, and serves.

    Returns after an unmount from outside or one of ``STOP_SIGNALS``, with nothing mounted any more. To be
    called in the main thread. ``on_ready`` may be called in another one, and must not touch the mount. The
    companions run from then until the mount ends.

    Raises:
        MountError: The mount was refused.
    """

    def __call__(
        self,
        tree: Operations,
        mountpoint: Path,
        options: frozenset[str],
        timeouts: Timeouts,
        on_ready: Callable[[], None],
        companions: Sequence[Companion],
    ) -> None: ...


class Entry(Protocol):
    """The fields of an ``EntryAttributes`` that are filled."""

    st_ino: int
    generation: int
    entry_timeout: float
    attr_timeout: float
    st_mode: int
    st_nlink: int
    st_uid: int
    st_gid: int
    st_size: int
    st_blksize: int
    st_blocks: int
    st_atime_ns: int
    st_mtime_ns: int
    st_ctime_ns: int


EntryT = TypeVar("EntryT", bound=Entry)
StatvfsT = TypeVar("StatvfsT")


def fill_entry(entry: EntryT, attributes: Attributes, timeouts: Timeouts) -> EntryT:
    """Puts what the tree knows of a file or directory into a binding's entry, and returns it."""
    entry.generation = 0
    entry.st_nlink = attributes.links
    entry.st_blksize = BLOCK_SIZE
    return refill_entry(entry, attributes, timeouts)


def refill_entry(entry: EntryT, attributes: Attributes, timeouts: Timeouts) -> EntryT:
    """Does the same with an entry that was filled before: not all of it is another one for each file."""
    entry.st_ino = attributes.inode
    entry.st_uid = attributes.uid
    entry.st_gid = attributes.gid
    entry.entry_timeout = timeouts.entry if attributes.keep_name else 0
    entry.attr_timeout = timeouts.attributes if attributes.keep else 0
    entry.st_mode = (_DIRECTORY if attributes.is_directory else _FILE) | attributes.mode
    size = attributes.size
    entry.st_size = size
    entry.st_blocks = -(-size // _SECTOR)
    entry.st_atime_ns = attributes.atime
    entry.st_mtime_ns = attributes.mtime
    entry.st_ctime_ns = attributes.ctime
    return entry


class SetattrFields(Protocol):
    """Which fields of an ``EntryAttributes`` are to be set; a program's wish for the present time is one too."""

    @property
    def update_size(self) -> bool: ...
    @property
    def update_mode(self) -> bool: ...
    @property
    def update_uid(self) -> bool: ...
    @property
    def update_gid(self) -> bool: ...
    @property
    def update_atime(self) -> bool: ...
    @property
    def update_mtime(self) -> bool: ...


def changes_of(entry: Entry, fields: SetattrFields) -> Changes:
    """Returns what a binding's request to set attributes asks for."""
    return Changes(
        size=entry.st_size if fields.update_size else None,
        mode=stat.S_IMODE(entry.st_mode) if fields.update_mode else None,
        uid=entry.st_uid if fields.update_uid else None,
        gid=entry.st_gid if fields.update_gid else None,
        atime=entry.st_atime_ns if fields.update_atime else None,
        mtime=entry.st_mtime_ns if fields.update_mtime else None,
    )


def fill_absent(entry: EntryT, timeouts: Timeouts) -> EntryT:
    """Makes a binding's entry say that the name is not there, for the kernel to remember."""
    entry.st_ino = 0
    entry.entry_timeout = timeouts.absent
    return entry


def fill_statvfs(target: StatvfsT, numbers: os.statvfs_result) -> StatvfsT:
    """Copies the numbers of a disk into a binding's value, and returns it."""
    for field in STATVFS_FIELDS:
        value: Any = getattr(numbers, field)
        setattr(target, field, value)
    return target
