"""Patches: what is to change in a file, as spans of bytes to put in place of others.

Container modules plan them, and whoever applies them decides how. Nothing here writes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import BinaryIO

import msgspec

from rosecache.errors import RosecacheError

BLOCK = 4096
"""Growth is rounded up to this where a format has room for padding: a disk that shares blocks between files
can then share the audio of the old and the new file, and the next write finds room."""

_UNCHECKED = 64 * 1024


class PlanError(RosecacheError):
    """A file is built in a way in which the ids cannot be put into it without harm; the text says how."""


class Patch(msgspec.Struct, frozen=True):
    """``data`` takes the place of the ``length`` bytes at ``offset``, all in bytes of the old file."""

    offset: int
    length: int
    data: bytes

    @property
    def end(self) -> int:
        """Where the replaced bytes end."""
        return self.offset + self.length

    @property
    def growth(self) -> int:
        """By how many bytes the file grows; negative if it shrinks."""
        return len(self.data) - self.length


def read_at(file: BinaryIO, offset: int, size: int) -> bytes:
    """Reads exactly ``size`` bytes. Raises PlanError if the file ends before."""
    # A damaged size can be anything, and reading makes room for all of it first.
    data = b""
    if size <= _UNCHECKED or offset + size <= size_of(file):
        file.seek(offset)
        data = file.read(size)
    if len(data) != size:
        raise PlanError(f"the file ends inside a structure of {size} bytes at {offset}")
    return data


def is_blank(data: bytes) -> bool:
    """Says whether bytes are all zero, as padding is."""
    return not data.strip(b"\0")


def size_of(file: BinaryIO) -> int:
    """Returns the size of an open file."""
    return file.seek(0, 2)


def joined(file: BinaryIO, patches: Sequence[Patch]) -> Patch:
    """Returns one patch that does what several do, by holding the bytes between them too.

    Args:
        file: The old file.
        patches: At least one, in order of offset, without overlaps.
    """
    data = bytearray()
    end = patches[0].offset
    for patch in patches:
        data += read_at(file, end, patch.offset - end) + patch.data
        end = patch.end
    return Patch(patches[0].offset, end - patches[0].offset, bytes(data))


def is_in_place(patches: Sequence[Patch]) -> bool:
    """Says whether no byte of the file changes its position."""
    return all(patch.growth == 0 for patch in patches)


def without_sameness(file: BinaryIO, patches: Sequence[Patch]) -> list[Patch]:
    """Returns the patches cut down to where they differ from the file; one that changes nothing goes."""
    trimmed = []
    for patch in patches:
        old, new = read_at(file, patch.offset, patch.length), patch.data
        limit = min(len(old), len(new))
        start = _common(old[:limit], new[:limit])
        tail = limit - start
        stop = _common(old[len(old) - tail :][::-1], new[len(new) - tail :][::-1])
        if start < len(old) - stop or start < len(new) - stop:
            span = len(old) - start - stop
            trimmed.append(Patch(patch.offset + start, span, new[start : len(new) - stop]))
    return trimmed


def _common(one: bytes, other: bytes) -> int:
    """Returns how many bytes two strings of the same length have in common at their start."""
    if one == other:
        return len(one)
    low, high = 0, len(one)
    while high - low > 1:
        middle = (low + high) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle
    return low
