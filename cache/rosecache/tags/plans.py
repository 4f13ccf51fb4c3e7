"""Planning the write of ids into one file: what to change, and whether it may be changed at all.

A plan is made of one reading of the file, and is worth nothing once the file has changed. Nothing here writes.
"""

from __future__ import annotations

import errno
import fcntl
import io
import os
import signal
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rosecache.errors import TagWriteError
from rosecache.tags.containers import kind_of
from rosecache.tags.fields import KEYS
from rosecache.tags.patches import Patch, PlanError, is_in_place, without_sameness
from rosecache.tags.reading import BROKEN_FILE_ERRORS
from rosecache.tags.values import RawTags, ids_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from _typeshed import WriteableBuffer

BEING_WRITTEN = "another program is writing to it"

_REFUSALS: tuple[type[Exception], ...] = (PlanError, *BROKEN_FILE_ERRORS)


@dataclass(frozen=True, slots=True)
class IdWrite:
    """The ids that a file is to carry."""

    path: Path
    """Absolute, inside the release's directory."""
    track_id: str
    """Canonical UUID text."""
    release_id: str
    """Canonical UUID text."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to change in a file."""

    path: Path
    track_id: str
    release_id: str
    raw: RawTags
    """What the file's tags say now."""
    status: os.stat_result
    """The file's, from before it was read."""
    patches: Sequence[Patch]
    """Empty if the file has the ids already."""

    @property
    def is_in_place(self) -> bool:
        """Whether the bytes may be overwritten where they are.

        A file with further names (hard links) is never overwritten: a name outside the library, such as
        that of a file being shared, would change with it, and of two names inside, each needs an id of its
        own. Its new version breaks the link, which costs space and harms nobody.
        """
        return is_in_place(self.patches) and self.status.st_nlink == 1

    def problem(self, error: OSError | TagWriteError) -> TagWriteError:
        """Returns the report of a failure to carry out this plan."""
        return error if isinstance(error, TagWriteError) else failure(self.path, error)


def failure(path: Path, error: OSError) -> TagWriteError:
    """Returns the report that a file could not be written because of an error of the system."""
    return TagWriteError(path, error.strerror or str(error))


def open_audio(path: Path, flags: int) -> int:
    """Opens a file, never through a symbolic link, never waiting. Raises OSError."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)


def expect_unchanged(plan: Plan, status: os.stat_result) -> None:
    """Raises TagWriteError if a file is not the one that a plan was made of."""
    if _identity(plan.status) != _identity(status):
        raise TagWriteError(plan.path, "another program has changed it meanwhile")


def expect_only_ids_changed(plan: Plan, new: RawTags) -> None:
    """Raises TagWriteError if what a file would say, or its new version says, is not what was planned.

    Read by the reader that everything else uses: the last defence against a file that is odder than it looks.
    """
    ids = {key for field in ("id", "release_id") for key in KEYS[new.container][field]}
    old_others, new_others = (
        {key: found for key, found in raw.values.items() if key not in ids} for raw in (plan.raw, new)
    )
    if ids_of(new) != (plan.track_id, plan.release_id):
        raise TagWriteError(plan.path, "the ids could not be read back")
    if new_others != old_others or new.length != plan.raw.length:
        raise TagWriteError(plan.path, "more than the ids would change")


def is_inside(release_dir: Path, path: Path) -> bool:
    """Says whether a file is in a release's directory by its name, and does not leave it through links."""
    real = os.path.realpath(release_dir)
    real_parent = os.path.realpath(path.parent)
    return path.is_relative_to(release_dir) and os.path.commonpath((real, real_parent)) == real


def plan_write(release_dir: Path, write: IdWrite) -> Plan:
    """Reads a file and plans how to put the ids into it.

    Raises:
        TagWriteError: The file must not be written, or cannot be.
    """
    path = write.path
    if not is_inside(release_dir, path):
        raise TagWriteError(path, "it lies outside the release's directory")
    try:
        fd = open_audio(path, os.O_RDONLY)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise TagWriteError(path, "it is a symbolic link, and what it leads to is not ours") from error
        raise failure(path, error) from error
    with open(fd, "rb") as file:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise TagWriteError(path, "not a regular file")
        if not os.access(path, os.W_OK, effective_ids=True):
            # Renaming over it would work, but whoever made it read-only meant it.
            raise TagWriteError(path, os.strerror(errno.EACCES))
        if is_open_for_writing(fd):
            raise TagWriteError(path, BEING_WRITTEN)
        try:
            kind = kind_of(path.suffix, file)
            raw = kind.read(file)
            patches = without_sameness(file, kind.plan_ids(file, write.track_id, write.release_id))
            plan = Plan(path, write.track_id, write.release_id, raw, status, patches)
            if is_in_place(patches):
                expect_only_ids_changed(
                    plan, kind.read(io.BufferedReader(_Preview(fd, status.st_size, patches)))
                )
        except OSError as error:
            raise failure(path, error) from error
        except _REFUSALS as error:
            raise TagWriteError(path, str(error) or type(error).__name__) from error
    return plan


def is_open_for_writing(fd: int) -> bool:
    """Says whether some program has a file open for writing; False also if that cannot be known.

    A read lease (fcntl(2), "Leases") is granted only on a file that nobody has open for writing. It is given
    back at once. In between, a program that opens the file would have the kernel send us a signal; SIGURG
    is one that does nothing, unlike the SIGIO that it would be otherwise.

    Args:
        fd: Descriptor of the file, opened for reading only.
    """
    try:
        fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as error:
        return error.errno == errno.EAGAIN
    fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False


class _Preview(io.RawIOBase):
    """An open file as it would read with patches in place applied."""

    def __init__(self, fd: int, size: int, patches: Sequence[Patch]) -> None:
        self._fd = fd
        self._size = size
        self._patches = patches
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        self._at = base + offset
        return self._at

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer).cast("B")
        count = os.preadv(self._fd, [view], self._at)
        for patch in self._patches:
            start, stop = max(patch.offset, self._at), min(patch.end, self._at + count)
            if start < stop:
                new = patch.data[start - patch.offset : stop - patch.offset]
                view[start - self._at : stop - self._at] = new
        self._at += count
        return count


def _identity(status: os.stat_result) -> tuple[int, ...]:
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
