"""Planning a write of tags into one file: what to change, and whether it may be changed at all.

A plan is made of one reading of the file, and is worth nothing once the file has changed. Nothing here writes.
"""

from __future__ import annotations

import errno
import fcntl
import io
import os
import signal
import stat
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import msgspec

from rosecache.errors import TagWriteError
from rosecache.tags.fields import FIELDS, Container, Texts
from rosecache.tags.patches import Patch, PlanError, is_in_place, read_at, without_sameness
from rosecache.tags.reading import BROKEN_FILE_ERRORS, Reading, identity_of
from rosecache.tags.values import RawTags, ids_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from _typeshed import WriteableBuffer

    from rosecache.tags.containers import Kind

BEING_WRITTEN = "another program is writing to it"

_REFUSALS: tuple[type[Exception], ...] = (PlanError, *BROKEN_FILE_ERRORS)


class IdWrite(msgspec.Struct, frozen=True):
    """The ids that a file is to carry."""

    path: Path
    """Absolute, inside the release's directory."""
    track_id: str
    """Canonical UUID text."""
    release_id: str
    """Canonical UUID text."""
    reading: Reading | None = None
    """What the file said when it was read, which need not be done again if it is still the same file."""


class Request(msgspec.Struct, frozen=True):
    """What is to be done to the tags of a file, once it is known what they say."""

    texts: Texts
    """By the names of the file's kind of tag."""
    problem: Callable[[RawTags], str | None]
    """Takes a reading of the new version; says what is not as it was asked for."""
    is_edit: bool
    """Whether a user asked for it: then the file gets new times, and everything else in it is compared."""


class Plan(msgspec.Struct, frozen=True):
    """What to change in a file."""

    path: Path
    request: Request
    raw: RawTags
    """What the file's tags say now."""
    others: Mapping[str, str]
    """What else is in the tags now; empty unless it is to be compared."""
    status: os.stat_result
    """The file's, from before it was read."""
    patches: Sequence[Patch]
    """Empty if the file says what was asked for already."""

    @property
    def size(self) -> int:
        """Characters of the tags and bytes to be written, together."""
        return self.raw.size + sum(len(patch.data) for patch in self.patches)

    @property
    def is_in_place(self) -> bool:
        """Whether the bytes may be overwritten where they are.

        A file with further names (hard links) is never overwritten: a name outside the library, such as
        that of a file being shared, would change with it, and of two names inside, each needs an id of its
        own. Its new version breaks the link, which costs space and harms nobody. A user's edit always makes a
        new version: it is read back whole before it counts.
        """
        return is_in_place(self.patches) and self.status.st_nlink == 1 and not self.request.is_edit

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
    if identity_of(plan.status) != identity_of(status):
        raise TagWriteError(plan.path, "another program has changed it meanwhile")


def expect_as_planned(plan: Plan, kind: Kind, file: BinaryIO) -> None:
    """Raises TagWriteError if what a file would say, or its new version says, is not what was planned.

    Read by the reader that everything else uses: the last defence against a file that is odder than it looks.
    """
    new = kind.read(file)
    names = {name.upper() for name in plan.request.texts}
    old_others, new_others = (
        {key: found for key, found in raw.values.items() if key not in names} for raw in (plan.raw, new)
    )
    if (reason := plan.request.problem(new)) is not None:
        raise TagWriteError(plan.path, reason)
    if (
        new_others != old_others
        or new.length != plan.raw.length
        or _others(plan.request, kind, file) != plan.others
    ):
        raise TagWriteError(plan.path, "more than was asked for would change")


def _others(request: Request, kind: Kind, file: BinaryIO) -> Mapping[str, str]:
    if not request.is_edit or not request.texts:
        return {}
    file.seek(0)
    return kind.others(file, {name.upper() for name in request.texts})


def is_inside(release_dir: Path, directory: Path) -> bool:
    """Says whether a directory is a release's, or in it by its name without leaving it through links."""
    real = os.path.realpath(release_dir)
    real_directory = os.path.realpath(directory)
    return directory.is_relative_to(release_dir) and os.path.commonpath((real, real_directory)) == real


def plan_ids(write: IdWrite) -> Plan:
    """Reads a file, if it has not been read, and plans how to put the ids into it.

    Raises:
        TagWriteError: The file must not be written, or cannot be.
    """

    def problem(new: RawTags) -> str | None:
        wanted = (write.track_id, write.release_id)
        return None if ids_of(new) == wanted else "the ids could not be read back"

    def request(raw: RawTags) -> Request:
        return Request(_id_texts(raw.container, write), problem, is_edit=False)

    return plan_write(write.path, request, write.reading)


def _id_texts(container: Container, write: IdWrite) -> Texts:
    ids = {"id": write.track_id, "release_id": write.release_id}
    return {FIELDS[field].of(container)[0]: text for field, text in ids.items()}


def plan_write(path: Path, request_for: Callable[[RawTags], Request], reading: Reading | None = None) -> Plan:
    """Reads a file and plans how to do what is asked for.

    Args:
        path: The file, absolute.
        request_for: Says what is asked for, given what the file says. Raises ValueError if it cannot be done.
        reading: What it said when it was read, if it was.

    Raises:
        TagWriteError: The file must not be written, or cannot be.
    """
    try:
        fd = open_audio(path, os.O_RDONLY)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise TagWriteError(path, "it is a symbolic link, and what it leads to is not ours") from error
        raise failure(path, error) from error
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        os.close(fd)
        raise TagWriteError(path, "not a regular file")
    with open(fd, "rb") as file:
        if not os.access(path, os.W_OK, effective_ids=True):
            # Renaming over it would work, but whoever made it read-only meant it.
            raise TagWriteError(path, os.strerror(errno.EACCES))
        if is_open_for_writing(fd):
            raise TagWriteError(path, BEING_WRITTEN)
        try:
            return _planned(path, file, status, request_for, reading)
        except OSError as error:
            raise failure(path, error) from error
        except _REFUSALS as error:
            raise TagWriteError(path, str(error) or type(error).__name__) from error


def _planned(
    path: Path,
    file: BinaryIO,
    status: os.stat_result,
    request_for: Callable[[RawTags], Request],
    reading: Reading | None,
) -> Plan:
    from rosecache.tags.containers import kind_of  # as for reading

    kind = kind_of(path.suffix, file)
    is_known = reading is not None and reading.identity == identity_of(status)
    raw = reading.raw if reading is not None and is_known else kind.read(file)
    request = request_for(raw)
    proposed = kind.plan(file, request.texts)
    patches = without_sameness(file, proposed)
    plan = Plan(path, request, raw, _others(request, kind, file), status, patches)
    if not patches and (reason := request.problem(raw)) is not None:
        raise TagWriteError(path, reason)
    if patches and plan.is_in_place and not _is_plainly_right(plan, kind, file, proposed):
        preview = io.BufferedReader(_Preview(file.fileno(), status.st_size, patches))
        expect_as_planned(plan, kind, preview)
    return plan


def _is_plainly_right(plan: Plan, kind: Kind, file: BinaryIO, proposed: Sequence[Patch]) -> bool:
    """Tells whether a plan that moves no byte does what was asked for and nothing else, if that is easily told.

    Args:
        plan: It.
        kind: Of the file.
        file: The file.
        proposed: The patches before they were cut down: each is of a whole structure.
    """
    (patch, *more), texts = plan.patches, plan.request.texts
    ids = {name: text for name, text in texts.items() if text is not None}
    if more or ids != texts or not plan.raw.values:
        return False
    whole = next(each for each in proposed if each.offset <= patch.offset and patch.end <= each.end)
    old = read_at(file, whole.offset, whole.length)
    start = patch.offset - whole.offset
    new = old[:start] + patch.data + old[start + patch.length :]
    return kind.is_plainly_right(old, new, ids, plan.raw)


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
