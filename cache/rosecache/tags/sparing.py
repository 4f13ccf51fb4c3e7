"""Reading a file for its tags without giving it more memory and time than any music file needs.

A broken or hostile file can claim sizes beyond all memory, hold tags of hundreds of megabytes, or consist of
a million pieces. It is refused as soon as that shows. Nothing here knows a format.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import BinaryIO, TypeVar, cast

T = TypeVar("T")

MOST_BYTES = 40 * 2**20
"""What a reader may be given of one file. Tags are all text and pictures; the audio behind them is never read."""

MOST_TEXT = 16 * 2**20
"""Of these, what may be text that mutagen is given to take apart: bytes."""

MOST_SHOWN = 2**20
"""And what the fields may hold that the library shows: characters. Ten thousand artists are a tenth of it."""

_MOST_READS = 120_000
"""How often a reader may ask for something: a piece of a file takes one or two questions, and some microseconds."""

_SMALL = 16 * 1024


class TooMuchError(ValueError):
    """A file's tags are beyond what is read."""


class _SparingFile:
    """A file that never makes room for more than it holds, and says so when too much of it is asked for."""

    def __init__(self, file: BinaryIO) -> None:
        self._read, self._seek = file.read, file.seek
        self._bytes = MOST_BYTES
        self._reads = _MOST_READS
        self._at = file.seek(0)

    def tell(self) -> int:
        # The file would ask the system each time, and readers of MP4 ask more often than they read.
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        self._at = at = self._seek(offset, whence)
        return at

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0 or size > _SMALL:
            left = self._left()
            size = left if size is None or size < 0 else min(size, left)
        self._bytes -= size
        self._reads -= 1
        if self._bytes < 0:
            raise TooMuchError(f"its tags are larger than {MOST_BYTES // 2**20} MiB")
        if self._reads < 0:
            raise TooMuchError("its tags consist of too many pieces")
        data = self._read(size)
        self._at += len(data)
        return data

    def _left(self) -> int:
        end = self._seek(0, os.SEEK_END)
        self._seek(self._at)
        return max(0, end - self._at)


def sparing(read: Callable[[BinaryIO], T]) -> Callable[[BinaryIO], T]:
    """Makes a reader of files one that raises TooMuchError where it would take too much of a file."""

    def read_sparingly(file: BinaryIO) -> T:
        return read(cast(BinaryIO, _SparingFile(file)))

    return read_sparingly
