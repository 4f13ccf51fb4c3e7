"""The atoms (boxes) of an MP4 file: where they are and what they hold.

Only what is asked for is walked, one level at a time, so no nesting is too deep. Nothing here writes.
Specification: ISO/IEC 14496-12, 4.2.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

import msgspec

from rosecache.tags.patches import Patch, PlanError, read_at, size_of

_EXTRA = {b"meta": 4}
"""Bytes between the header and the first child."""


class Atom(msgspec.Struct, frozen=True):
    """One atom. All numbers are in bytes of the file."""

    offset: int
    name: bytes
    header: int
    """Size of the header: 8, or 16 with a size of 64 bits."""
    size: int
    """With the header."""
    to_end: bool = False
    """Its size is not written down: it goes to the end of the file."""

    @property
    def start(self) -> int:
        """Where the content starts, in a container the first child."""
        return self.offset + self.header + _EXTRA.get(self.name, 0)

    @property
    def end(self) -> int:
        """Where the atom ends."""
        return self.offset + self.size

    def content(self, file: BinaryIO) -> bytes:
        """Reads what is between start and end."""
        return read_at(file, self.start, self.end - self.start)

    def grown(self, growth: int) -> Patch | None:
        """Returns the patch of the size field for a content that grows, or None if none is needed."""
        if growth == 0 or self.to_end:
            return None
        if self.header == 16:
            return Patch(self.offset + 8, 8, struct.pack(">Q", self.size + growth))
        if self.size + growth >= 2**32:
            raise PlanError(f"the atom {self.name!r} would become longer than it can be")
        return Patch(self.offset, 4, struct.pack(">I", self.size + growth))


def top_level(file: BinaryIO) -> list[Atom]:
    """Returns the atoms that are in no other one; a cut-off one at the end is returned as it claims to be."""
    return list(_atoms(file, 0, size_of(file), is_top=True))


def children(file: BinaryIO, parent: Atom) -> list[Atom]:
    """Returns the atoms in a container. Raises PlanError if they do not fill it."""
    return list(_atoms(file, parent.start, parent.end, is_top=False))


def child(file: BinaryIO, parent: Atom, name: bytes) -> Atom | None:
    """Returns a container's first atom of a name."""
    return next((atom for atom in children(file, parent) if atom.name == name), None)


def rendered(name: bytes, content: bytes) -> bytes:
    """Returns the bytes of an atom."""
    return struct.pack(">I4s", 8 + len(content), name) + content


def _atoms(file: BinaryIO, at: int, end: int, *, is_top: bool) -> Iterator[Atom]:
    while at + 8 <= end:
        size, name = struct.unpack(">I4s", read_at(file, at, 8))
        header, to_end = 8, False
        if size == 1:
            header = 16
            (size,) = struct.unpack(">Q", read_at(file, at + 8, 8))
        elif size == 0 and is_top:
            size, to_end = end - at, True
        elif size == 0:
            return  # some writers end a container with zeros
        if size < header or (at + size > end and not is_top):
            raise PlanError(f"the atom {name!r} at {at} has a wrong size")
        yield Atom(at, name, header, size, to_end)
        at += size
