"""Flushing what was written to the disk, for many files at once.

To wait for the disk costs more than to write to it, and hardly more for a hundred files than for one. So work that has
to wait can be written as a generator, which yields what must be on the disk before it goes on: alone it waits for that
by itself, and of several such works each goes on when all have got so far. Nothing here opens a file of a user's.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Generic, TypeVar

T = TypeVar("T")

Errors = Mapping[int, OSError]
"""Why a descriptor could not be flushed."""

Flushing = Generator[Sequence[int], Errors, T]
"""Work that yields the descriptors of what must be on the disk, files and directories, before it goes on.

It is sent the errors of those that could not be flushed, and perhaps of others. It must be able to be closed instead.
"""

_FEW = 4
"""So many files are flushed one by one."""

_FLUSHED_WHOLE = frozenset({"ext3", "ext4", "xfs", "btrfs", "f2fs", "tmpfs"})
"""File systems of which syncfs(2) flushes all that fsync(2) would, the caches of the disk too."""

_MOST_DIRTY = 128 * 2**20
"""Bytes. When more than this waits to be written, somebody else writes much, and waiting for all of it takes long."""


def flushed(work: Flushing[T]) -> T:
    """Does work that waits for the disk, and returns what comes of it. Raises what it raises."""
    paused = Paused(work)
    while paused.descriptors is not None:
        paused.go_on(flush(paused.descriptors))
    return paused.result


class Paused(Generic[T]):
    """Work that has got to where it waits for the disk, or to its end."""

    def __init__(self, work: Flushing[T]) -> None:
        """Begins the work. Raises what it raises."""
        self._work = work
        self._results: list[T] = []
        self.descriptors: Sequence[int] | None = None
        """What it waits for; None if it has ended."""
        self._run(lambda: next(work))

    @property
    def result(self) -> T:
        """What came of it; only when it has ended without an error."""
        return self._results[0]

    @property
    def has_result(self) -> bool:
        """Whether it has ended without an error."""
        return bool(self._results)

    def go_on(self, errors: Errors) -> None:
        """Goes on to the next wait, or to the end. Raises what the work raises, which ends it, too."""
        self._run(lambda: self._work.send(errors))

    def close(self) -> None:
        """Gives it up where it is."""
        self.descriptors = None
        self._work.close()

    def _run(self, step: Callable[[], Sequence[int]]) -> None:
        self.descriptors = None
        try:
            self.descriptors = step()
        except StopIteration as end:
            self._results.append(end.value)


def flush(descriptors: Iterable[int]) -> dict[int, OSError]:
    """Makes sure that open files and directories outlive a power cut, and returns those of which that failed.

    Many on one disk are flushed by having the disk flush everything.
    """
    errors = {}
    for descriptor in _left(list(descriptors)):
        try:
            os.fsync(descriptor)
        except OSError as error:
            # What file systems say that cannot flush a directory.
            is_unable = error.errno in (errno.EINVAL, errno.EOPNOTSUPP)
            if not (is_unable and stat.S_ISDIR(os.fstat(descriptor).st_mode)):
                errors[descriptor] = error
    return errors


def _left(descriptors: Sequence[int]) -> Sequence[int]:
    """Flushes whole disks where that is the way, and returns the descriptors that are still to be flushed."""
    if len(descriptors) <= _FEW or _dirty() > _MOST_DIRTY or not _reports_errors():
        return descriptors
    by_disk: dict[int, list[int]] = {}
    for descriptor in descriptors:
        by_disk.setdefault(os.fstat(descriptor).st_dev, []).append(descriptor)
    return [
        descriptor
        for held in by_disk.values()
        if len(held) <= _FEW or not (_is_flushed_whole(held[0]) and _flush_whole(held[0]))
        for descriptor in held
    ]


def _flush_whole(descriptor: int) -> bool:
    """Has the file system of an open file flush everything; False if it cannot, or not all could be written."""
    import ctypes  # takes some milliseconds, and most processes never need it

    library = ctypes.CDLL(None)
    return hasattr(library, "syncfs") and library.syncfs(descriptor) == 0


def _is_flushed_whole(descriptor: int) -> bool:
    """Tells whether an open file is on a file system that is known to flush everything when asked to."""
    with suppress(OSError, ValueError, LookupError):
        told = Path(f"/proc/self/fdinfo/{descriptor}").read_text(encoding="ascii")
        (mount,) = (line.split()[1] for line in told.splitlines() if line.startswith("mnt_id:"))
        for line in Path("/proc/self/mountinfo").read_bytes().splitlines():
            fields = line.split()
            if fields[0].decode() == mount:
                return fields[fields.index(b"-") + 1].decode() in _FLUSHED_WHOLE
    return False


def _reports_errors() -> bool:
    """Tells whether the kernel says when not everything could be written: Linux does from 5.8 on."""
    with suppress(ValueError):
        return tuple(map(int, os.uname().release.split(".")[:2])) >= (5, 8)
    return False


def _dirty() -> int:
    """Returns how many bytes the kernel has to write to any disk."""
    with suppress(OSError, ValueError, LookupError):
        told = dict(
            line.split(":") for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        )
        return sum(int(told[name].split()[0]) * 1024 for name in ("Dirty", "Writeback"))
    return _MOST_DIRTY + 1
