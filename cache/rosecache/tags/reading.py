"""Reading the tags of an audio file, whatever its container.

The one place where the many ways in which mutagen fails on a broken file become one error. Files are
opened for reading only, and nothing here writes.
"""

from __future__ import annotations

import errno
import io
import os
import stat
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeVar

import msgspec
from mutagen import MutagenError

from rosecache.errors import UnreadableAudioError
from rosecache.tags.suffixes import suffix_of
from rosecache.tags.values import AudioTags, RawTags, ids_of, tags_of

if TYPE_CHECKING:
    from rosecache.tags.containers import Kind

BROKEN_FILE_ERRORS: tuple[type[Exception], ...] = (
    MutagenError,  # what mutagen means to raise
    struct.error,  # fewer bytes than a number needs
    ValueError,  # numbers out of range, text that does not decode, seeks before the start; our own refusals
    LookupError,  # an empty packet or page, an unknown genre number
    EOFError,  # the end of the file in the middle of a structure
    ArithmeticError,  # a sample rate or time scale of zero, a size that fits no machine number
    TypeError,  # a byte asked for where the file ends
    AttributeError,  # a structure that is used, but was not found
    AssertionError,  # a promise of the format that mutagen asserts
    NotImplementedError,  # a variant of the format that mutagen does not know
    zlib.error,  # a compressed frame that is not
    MemoryError,  # a claimed size beyond all memory
    RecursionError,  # MP4 atoms nested without end
)
"""What mutagen raises on files that are broken: found by reading its code and by feeding it damaged files."""

T = TypeVar("T")


def read_tags(path: Path) -> AudioTags:
    """Reads all tags of an audio file that the table of fields names.

    Raises:
        UnreadableAudioError: The file is broken, empty, or not what its suffix says.
        OSError: The file cannot be opened or read.
    """
    return tags_of(read_raw(path))


class Reading(msgspec.Struct, frozen=True):
    """What an audio file said, and which file that was."""

    raw: RawTags
    identity: tuple[int, ...]

    @property
    def tags(self) -> AudioTags:
        """What the tags say by the rules of fields."""
        return tags_of(self.raw)


def identity_of(status: os.stat_result) -> tuple[int, ...]:
    """Returns what tells whether a file is still the same one, with the same content."""
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def read_file(path: Path) -> Reading:
    """Reads all tags of an audio file, for somebody who may have to write to it. Raises what :func:`read_tags` does."""

    def read(kind: Kind, file: BinaryIO) -> Reading:
        identity = identity_of(os.fstat(file.fileno()))
        return Reading(kind.read(file), identity)

    return read_with(path, read)


def read_ids(path: Path) -> tuple[str | None, str | None]:
    """Reads the ids of track and release, each canonical or None. Raises what :func:`read_tags` does."""
    return ids_of(read_raw(path))


def read_raw(path: Path) -> RawTags:
    """Reads an audio file without applying the rules of fields. Raises what :func:`read_tags` does."""
    return read_with(path, lambda kind, file: kind.read(file))


def read_with(path: Path, read: Callable[[Kind, BinaryIO], T]) -> T:
    """Opens an audio file and has it read. Raises what :func:`read_tags` does, and what ``read`` means to."""
    from rosecache.tags.containers import kind_of  # slow to import, and most updates read no file

    with _open(path) as file:
        try:
            return read(kind_of(suffix_of(os.path.basename(path)), file), file)
        except BROKEN_FILE_ERRORS as error:
            if (failed := _failed_io(error)) is not None:
                raise failed from error
            raise UnreadableAudioError(path, _reason(error)) from error


def _open(path: Path) -> io.BufferedReader:
    # Opening a named pipe would otherwise wait for somebody to write into it.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise UnreadableAudioError(path, "not a regular file")
        if status.st_size == 0:
            raise UnreadableAudioError(path, "the file is empty")
        return io.BufferedReader(io.FileIO(descriptor))
    except BaseException:
        os.close(descriptor)
        raise


def _failed_io(error: BaseException | None) -> OSError | None:
    """Returns the failure of the disk that mutagen wrapped in an error of its own, if that is what happened.

    Mutagen also wraps the OSError of its own seeks to before the start (EINVAL): a broken file's fault.
    """
    while error is not None:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            return error
        error = error.__cause__ or error.__context__
    return None


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text[:200] if text else f"the file is broken ({type(error).__name__})"
