"""The journal of tag writes in place, and recovery after a crash.

Before bytes of audio files are overwritten, the old and the new ones go into one file in the release's
directory. A process that dies in between leaves that file, and whoever starts next makes each audio file
whole again. Nothing here decides what is written; that is the caller's plan.

The format: a magic line with a version, a BLAKE2b checksum of the rest, and a msgpack structure. A journal whose
checksum is wrong was still being written, so nothing had been overwritten yet.
"""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

import msgspec

from rosecache.errors import FileProblemError
from rosecache.flushing import Flushing, flush
from rosecache.tags.patches import Patch
from rosecache.temporary import SPOOL_PREFIX, TEMPORARY_PREFIX, claim

JOURNAL_PREFIX = TEMPORARY_PREFIX + "journal."
REWRITE_PREFIX = TEMPORARY_PREFIX + "tags."
"""Starts the name of a new version of an audio file; the rest is a token and the file's suffix."""

_MAGIC = b"rosefs tag journal 1\n"
_CHECKSUM_SIZE = 32


class Span(msgspec.Struct, frozen=True, array_like=True):
    """Some bytes of a file that are to be overwritten by as many others."""

    offset: int
    old: bytes
    new: bytes


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """One audio file of a journal. The times are the file's own, in nanoseconds, and stay as they are."""

    path: bytes
    """Relative to the release's directory."""
    size: int
    atime: int
    mtime: int
    spans: tuple[Span, ...]


def entry_of(release_dir: Path, path: Path, status: os.stat_result, fd: int, patches: list[Patch]) -> Entry:
    """Returns the journal entry for patches in place of an open file. Raises OSError if it cannot be read."""
    return Entry(
        os.fsencode(path.relative_to(release_dir)),
        status.st_size,
        status.st_atime_ns,
        status.st_mtime_ns,
        tuple(Span(p.offset, os.pread(fd, p.length, p.offset), p.data) for p in patches),
    )


def writing_journal(path: Path, directory: int, entries: list[Entry]) -> Flushing[int]:
    """Writes a journal so that it outlives a crash, and returns its descriptor, which holds a lock.

    The lock tells :func:`recover` of other processes that this one is alive.

    Args:
        path: Of the journal.
        directory: A descriptor of the directory that it is in.
        entries: What it says.

    Raises:
        OSError: It cannot be written, and is not there.
    """
    body = msgspec.msgpack.encode(entries)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        claim(fd)
        write_all(fd, _MAGIC + _checksum(body) + body)
        errors = yield (fd, directory)
        for error in (errors.get(fd), errors.get(directory)):
            if error is not None:
                raise error
    except BaseException:
        # Nothing is overwritten before this function has returned, so nobody needs a journal that failed.
        os.close(fd)
        path.unlink(missing_ok=True)
        raise
    return fd


def removing_journal(path: Path, directory: int) -> Flushing[None]:
    """Removes a journal whose files are all whole and flushed. Raises OSError.

    The removal is flushed too: a journal that came back after files were edited again would say old things.
    """
    path.unlink()
    errors = yield (directory,)
    if directory in errors:
        raise errors[directory]


def write_spans(fd: int, entry: Entry, *, new: bool) -> None:
    """Overwrites the spans of an open file by their new or their old bytes, and keeps its times."""
    for span in entry.spans:
        write_all(fd, span.new if new else span.old, span.offset)
    os.utime(fd, ns=(entry.atime, entry.mtime))


def recover(release_dir: Path) -> list[FileProblemError]:
    """Makes whole what a killed process left half done in a release's directory, and cleans up after it.

    An audio file that was half overwritten gets its old bytes back; unfinished new versions of files go. What
    a living process is working on is left to it. The caller holds the release's lock.

    Returns:
        What could not be repaired or removed, with the reason.
    """
    problems: list[FileProblemError] = []
    for directory, _, names in os.walk(release_dir):
        for name in names:
            path = Path(directory, name)
            try:
                if name.startswith(JOURNAL_PREFIX):
                    problems += _finish(release_dir, path)
                elif name.startswith((REWRITE_PREFIX, SPOOL_PREFIX)):
                    _remove_abandoned(path)
            except OSError as error:
                problems.append(FileProblemError(path, error.strerror or str(error)))
    return problems


def _finish(release_dir: Path, path: Path) -> list[FileProblemError]:
    fd = _lock_abandoned(path)
    if fd is None:
        return []
    problems: list[FileProblemError] = []
    with os.fdopen(fd, "rb") as journal:
        for entry in _entries(journal.read()):
            file = release_dir / os.fsdecode(entry.path)
            try:
                _restore(release_dir, file, entry)
            except FileNotFoundError:
                continue  # removed since: nothing to repair
            except OSError as error:
                problems.append(FileProblemError(file, f"half-written tags: {error.strerror or error}"))
        # A journal that could not be carried out stays, for the next time.
        if not problems:
            path.unlink()
            flush_directory(path.parent)
    return problems


def _entries(data: bytes) -> list[Entry]:
    head, body = data[: len(_MAGIC) + _CHECKSUM_SIZE], data[len(_MAGIC) + _CHECKSUM_SIZE :]
    if head != _MAGIC + _checksum(body):
        return []
    try:
        return msgspec.msgpack.decode(body, type=list[Entry])
    except msgspec.DecodeError:
        return []  # another version's, with a magic of ours: its files are beyond us


def _restore(release_dir: Path, file: Path, entry: Entry) -> None:
    """Puts the old bytes back if a file is torn: its spans a mixture of old and new ones."""
    real = os.path.realpath(release_dir)
    if os.path.commonpath((real, os.path.realpath(file.parent))) != real:
        return  # no journal of ours names a file outside
    fd = os.open(file, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(fd)
        if stat.S_ISREG(status.st_mode) and status.st_size == entry.size and _is_torn(fd, entry):
            write_spans(fd, entry, new=False)
            os.fsync(fd)
    finally:
        os.close(fd)


def _is_torn(fd: int, entry: Entry) -> bool:
    found = [os.pread(fd, len(span.old), span.offset) for span in entry.spans]
    if all(now == span.old for now, span in zip(found, entry.spans, strict=True)):
        return False
    if all(now == span.new for now, span in zip(found, entry.spans, strict=True)):
        return False
    # Bytes that are neither were written by somebody else since, and are theirs.
    return all(
        byte in choices
        for now, span in zip(found, entry.spans, strict=True)
        for byte, *choices in zip(now, span.old, span.new, strict=True)
    )


def _remove_abandoned(path: Path) -> None:
    fd = _lock_abandoned(path)
    if fd is not None:
        os.close(fd)
        path.unlink()


def _lock_abandoned(path: Path) -> int | None:
    """Opens a file of ours and locks it; None if a living process has it, or it is gone or no file of ours."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        claim(fd)
        if stat.S_ISREG(os.fstat(fd).st_mode):
            return fd
    except BlockingIOError:
        os.close(fd)
        return None
    except BaseException:
        os.close(fd)
        raise
    os.close(fd)
    return None


def write_all(fd: int, data: bytes, offset: int = 0) -> None:
    """Writes all of some bytes at a position. Raises OSError."""
    view = memoryview(data)
    while view:
        written = os.pwrite(fd, view, offset)
        view, offset = view[written:], offset + written


def open_directory(directory: Path) -> int:
    """Opens a directory, for its names to be flushed. Raises OSError."""
    return os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def flush_directory(directory: Path) -> None:
    """Makes sure that the names in a directory outlive a crash. Raises OSError."""
    fd = open_directory(directory)
    try:
        for error in flush([fd]).values():
            raise error
    finally:
        os.close(fd)


def _checksum(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=_CHECKSUM_SIZE).digest()
