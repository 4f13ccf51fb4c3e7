"""Writing a file's new version beside it and renaming it over the old one, for changes that move bytes.

At every moment there is the whole old file or the whole new one under the name. The old content is copied
by the kernel, as a reflink where the disk can, so audio that keeps its place within blocks is shared.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from rosecache.errors import TagWriteError, UnreadableAudioError
from rosecache.flushing import Flushing, flushed
from rosecache.tags.attributes import keep_attributes
from rosecache.tags.journal import REWRITE_PREFIX, open_directory, write_all
from rosecache.tags.patches import BLOCK, Patch
from rosecache.tags.plans import (
    BEING_WRITTEN,
    Plan,
    expect_as_planned,
    expect_unchanged,
    is_open_for_writing,
    open_audio,
)
from rosecache.tags.reading import read_with
from rosecache.temporary import make_temporary

_CANNOT_COPY = (errno.EXDEV, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS, errno.EPERM)
"""What the kernel answers when it will not copy between two files itself."""

_CHUNK = 2**20


class NewVersion(msgspec.Struct, frozen=True):
    """A new version of an audio file, whole, read back and beside the old one."""

    plan: Plan
    path: Path
    """Its temporary name."""
    fd: int

    def expect_replaceable(self) -> None:
        """Makes sure that the old version is still what the new one was made of, and nobody writes to it.

        Raises TagWriteError if not, OSError if it cannot be looked at.
        """
        source = open_audio(self.plan.path, os.O_RDONLY)
        try:
            expect_unchanged(self.plan, os.fstat(source))
            if is_open_for_writing(source):
                raise TagWriteError(self.plan.path, BEING_WRITTEN)
        finally:
            os.close(source)


@contextlib.contextmanager
def prepared(plan: Plan) -> Iterator[NewVersion]:
    """Writes the new version that a plan asks for, flushed to the disk, for the block to rename over the old one.

    On leaving it goes, if nobody has renamed it.

    Raises:
        TagWriteError: It cannot be made; nothing is left of it.
    """
    try:
        version = _write_new_version(plan)
    except (OSError, TagWriteError) as error:
        raise plan.problem(error) from error
    try:
        try:
            os.fsync(version.fd)
        except OSError as error:
            raise plan.problem(error) from error
        yield version
    finally:
        _discard(version.path, version.fd)


def rewrite(plans: Sequence[Plan]) -> list[TagWriteError]:
    """Carries out plans that move bytes, as :func:`rewriting` does."""
    return flushed(rewriting(plans))


def rewriting(plans: Sequence[Plan]) -> Flushing[list[TagWriteError]]:
    """Carries out plans that move bytes: first all are written, then all flushed, then all renamed.

    Returns:
        The files that failed, which are as they were.
    """
    problems: list[TagWriteError] = []
    versions: list[NewVersion] = []
    try:
        for plan in plans:
            try:
                versions.append(_write_new_version(plan))
            except (OSError, TagWriteError) as error:
                problems.append(plan.problem(error))
        errors = yield [version.fd for version in versions]
        renamed: set[Path] = set()
        for version in versions:
            try:
                if version.fd in errors:
                    raise errors[version.fd]
                _rename(version)
                renamed.add(version.path.parent)
            except (OSError, TagWriteError) as error:
                problems.append(version.plan.problem(error))
        problems += yield from _flushing_directories(sorted(renamed))
    finally:
        for version in versions:
            _discard(version.path, version.fd)
    return problems


def _flushing_directories(directories: Sequence[Path]) -> Flushing[list[TagWriteError]]:
    problems = []
    with contextlib.ExitStack() as opened:
        waiting = {}
        for directory in directories:
            try:
                fd = open_directory(directory)
            except OSError as error:
                problems.append(_unflushed(directory, error))
                continue
            opened.callback(os.close, fd)
            waiting[fd] = directory
        errors = yield [*waiting]
        problems += [_unflushed(directory, errors[fd]) for fd, directory in waiting.items() if fd in errors]
    return problems


def _unflushed(directory: Path, error: OSError) -> TagWriteError:
    return TagWriteError(directory, f"cannot be flushed: {error.strerror}")


def _write_new_version(plan: Plan) -> NewVersion:
    path, fd = make_temporary(plan.path.parent, REWRITE_PREFIX, plan.path.suffix, 0o600)
    try:
        source = open_audio(plan.path, os.O_RDONLY)
        try:
            expect_unchanged(plan, os.fstat(source))
            _copy_patched(source, fd, plan.status.st_size, plan.patches)
            _verify(plan, path)
            keep_attributes(source, fd, plan.status, times=not plan.request.is_edit)
        finally:
            os.close(source)
    except BaseException:
        _discard(path, fd)
        raise
    return NewVersion(plan, path, fd)


def _verify(plan: Plan, path: Path) -> None:
    try:
        read_with(path, functools.partial(expect_as_planned, plan))
    except UnreadableAudioError as error:
        raise TagWriteError(plan.path, f"the new version could not be read: {error.reason}") from error


def _rename(version: NewVersion) -> None:
    """Puts the new version in the old file's place, unless that has changed, or is about to be."""
    version.expect_replaceable()
    os.replace(version.path, version.plan.path)


def _discard(path: Path, fd: int) -> None:
    """Closes a new version, and removes it if it has not been renamed."""
    with contextlib.suppress(OSError):  # recovery will try again
        path.unlink(missing_ok=True)
    os.close(fd)


def _copy_patched(source: int, target: int, size: int, patches: Sequence[Patch]) -> None:
    """Writes the old file with the patches applied into an empty file."""
    read = written = 0
    for patch in patches:
        _copy(source, target, read, written, patch.offset - read)
        written += patch.offset - read
        write_all(target, patch.data, written)
        read, written = patch.end, written + len(patch.data)
    _copy(source, target, read, written, size - read)


def _copy(source: int, target: int, read: int, written: int, length: int) -> None:
    """Copies a stretch of bytes. The part of whole blocks goes separately, since only that can be shared."""
    head = min(-written % BLOCK, length)
    for start, count in ((0, head), (head, length - head)):
        _copy_stretch(source, target, read + start, written + start, count)


def _copy_stretch(source: int, target: int, read: int, written: int, length: int) -> None:
    while length:
        try:
            count = os.copy_file_range(source, target, length, read, written)
        except OSError as error:
            if error.errno not in _CANNOT_COPY:
                raise
            data = os.pread(source, min(length, _CHUNK), read)
            write_all(target, data, written)
            count = len(data)
        if not count:
            raise OSError(errno.EIO, "the file became shorter while it was read")
        read, written, length = read + count, written + count, length - count
