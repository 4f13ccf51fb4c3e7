"""The tables of an MP4 file that hold positions in the file, and what becomes of them when bytes move.

Positions relative to something that moves along (``trun``, ``sidx``) need nothing.
Specifications: ISO/IEC 14496-12, 8.7.5 (``stco``, ``co64``), 8.8.7 (``tfhd``), 8.8.10 (``tfra``).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from rosecache.tags.mp4_atoms import Atom, children
from rosecache.tags.patches import Patch, PlanError

_CHUNK_OFFSETS = {b"stco": "I", b"co64": "Q"}
_TO_SAMPLE_TABLES = (b"trak", b"mdia", b"minf", b"stbl")
_HAS_BASE_OFFSET = 1


def moved_offsets(file: BinaryIO, atoms: Sequence[Atom], at: int, growth: int) -> Iterator[Patch]:
    """Yields the patches that correct every position in the file.

    Args:
        file: The old file.
        atoms: Its top level.
        at: All bytes from here on move.
        growth: By how many bytes.

    Raises:
        PlanError: A table is damaged, cannot hold the new positions, or is of a kind that is not supported.
    """
    for atom in atoms:
        if atom.name == b"moov":
            for table in _below(file, atom, _TO_SAMPLE_TABLES):
                if table.name in _CHUNK_OFFSETS:
                    yield from _chunk_offsets(file, table, at, growth)
                elif table.name == b"saio":
                    raise PlanError("the file is encrypted, and has no room for tags")
        elif atom.name == b"moof":
            for header in _below(file, atom, (b"traf",)):
                if header.name == b"tfhd":
                    yield from _fragment_header(file, header, at, growth)
        elif atom.name == b"mfra":
            for index in children(file, atom):
                if index.name == b"tfra":
                    yield from _fragment_index(file, index, at, growth)


def _below(file: BinaryIO, atom: Atom, path: Sequence[bytes]) -> Iterator[Atom]:
    """Yields the children of all atoms that a path of names leads to."""
    for inner in children(file, atom):
        if not path:
            yield inner
        elif inner.name == path[0]:
            yield from _below(file, inner, path[1:])


def _chunk_offsets(file: BinaryIO, table: Atom, at: int, growth: int) -> Iterator[Patch]:
    data = table.content(file)
    code = _CHUNK_OFFSETS[table.name]
    count = struct.unpack_from(">I", data, 4)[0] if len(data) >= 8 else 0
    layout = f">{count}{code}"
    if 8 + struct.calcsize(layout) > len(data):
        raise PlanError(f"the table {table.name!r} is cut off")
    moved = [_moved(offset, at, growth, code) for offset in struct.unpack_from(layout, data, 8)]
    yield Patch(table.start + 8, struct.calcsize(layout), struct.pack(layout, *moved))


def _fragment_header(file: BinaryIO, header: Atom, at: int, growth: int) -> Iterator[Patch]:
    data = header.content(file)
    if len(data) >= 16 and data[3] & _HAS_BASE_OFFSET:
        (offset,) = struct.unpack_from(">Q", data, 8)
        yield Patch(header.start + 8, 8, struct.pack(">Q", _moved(offset, at, growth, "Q")))


def _fragment_index(file: BinaryIO, index: Atom, at: int, growth: int) -> Iterator[Patch]:
    data = bytearray(index.content(file))
    if len(data) < 16:
        raise PlanError("the table b'tfra' is cut off")
    sizes, count = struct.unpack_from(">II", data, 8)
    code = "Q" if data[0] == 1 else "I"
    width = struct.calcsize(code)
    step = 2 * width + sum((sizes >> shift & 3) + 1 for shift in (0, 2, 4))
    if 16 + count * step > len(data):
        raise PlanError("the table b'tfra' is cut off")
    for entry in range(count):
        position = 16 + entry * step + width
        (offset,) = struct.unpack_from(f">{code}", data, position)
        struct.pack_into(f">{code}", data, position, _moved(offset, at, growth, code))
    yield Patch(index.start, len(data), bytes(data))


def _moved(offset: int, at: int, growth: int, code: str) -> int:
    new = offset + growth if offset >= at else offset
    if new >= 256 ** struct.calcsize(f">{code}"):
        raise PlanError("the file would become too long for its table of positions")
    return new
