"""Putting texts into an MP4 file without changing another byte of its tags or its audio.

The item list gets atoms for them; a ``free`` atom beside it takes up the growth. Where there is no such
room, what follows moves, and the tables of positions in the file are corrected.
Specifications: ISO/IEC 14496-12; the QuickTime File Format, "Metadata".
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from rosecache.tags.fields import Texts
from rosecache.tags.mp4_atoms import Atom, child, children, rendered, top_level
from rosecache.tags.mp4_offsets import moved_offsets
from rosecache.tags.patches import BLOCK, Patch, PlanError, joined, read_at

_FREE = b"free"
_FREE_HEADER = 8
_UTF8 = 1
_PAIRS = {"trkn": bytes(2), "disk": b""}
"""Items that hold a number and a total, and what follows those."""
_HANDLER = rendered(b"hdlr", bytes(8) + b"mdirappl" + bytes(9))


def plan(file: BinaryIO, texts: Texts) -> list[Patch]:
    """Plans the patches that put texts into an MP4 file.

    The numbers of track and disc must be texts of whole numbers; a total that stands beside one is kept.

    Raises:
        PlanError: Its atoms are damaged, or of a kind in which nothing can be moved.
    """
    atoms = top_level(file)
    moov = next((atom for atom in atoms if atom.name == b"moov"), None)
    if moov is None:
        raise PlanError("there is no movie header")
    path = [moov]
    for name in (b"udta", b"meta", b"ilst"):
        if (inner := child(file, path[-1], name)) is None:
            break
        path.append(inner)
    if len(path) < 4:
        return _with_new_list(file, atoms, path[:2], texts) if any(texts.values()) else []
    *parents, ilst = path
    items = rendered(b"ilst", b"".join(_items(file, ilst, texts)))
    changed = Patch(ilst.offset, ilst.size, items)
    if changed.growth == 0:
        return [changed]
    return _absorbed(file, atoms, parents, changed) or _moving(file, atoms, parents, changed)


def _absorbed(file: BinaryIO, atoms: Sequence[Atom], parents: Sequence[Atom], changed: Patch) -> list[Patch]:
    """Lets a ``free`` atom beside the item list take up its growth; nothing if there is no fitting one."""
    siblings = [(list(atoms), parents)]
    siblings += [(children(file, parent), parents[depth + 1 :]) for depth, parent in enumerate(parents)]
    for level, growing in reversed(siblings):
        for free in level:
            left = free.size - changed.growth
            is_behind = free.offset == changed.end
            # Before the list only within its own container: further out, the container's start would move.
            is_before = free.end == changed.offset and not growing
            if free.name != _FREE or not (is_behind or is_before) or 0 < left < _FREE_HEADER:
                continue
            if left >= 0 and not free.to_end:
                room = Patch(free.offset, free.size, _free(left))
                both = joined(file, sorted((changed, room), key=lambda patch: patch.offset))
                return _in_order([*_grown(growing, changed.growth), both])
    return []


def _moving(file: BinaryIO, atoms: Sequence[Atom], parents: Sequence[Atom], changed: Patch) -> list[Patch]:
    """Makes room behind the item list, and moves all that follows."""
    behind = (atom for atom in children(file, parents[-1]) if atom.offset == changed.end)
    length = changed.length + sum(atom.size for atom in behind if atom.name == _FREE)
    growth = -(-(len(changed.data) + _FREE_HEADER - length) // BLOCK) * BLOCK
    data = changed.data + _free(length + growth - len(changed.data))
    patch = Patch(changed.offset, length, data)
    offsets = moved_offsets(file, atoms, patch.end, patch.growth)
    return _in_order([*_grown(parents, patch.growth), patch, *offsets])


def _with_new_list(
    file: BinaryIO, atoms: Sequence[Atom], parents: Sequence[Atom], texts: Texts
) -> list[Patch]:
    """Puts a new item list into a file that has none: into its user data, or into new user data."""
    ilst = rendered(
        b"ilst", b"".join(_new_item(key, text) for key, text in texts.items() if text is not None)
    )
    overhead = 8 + 4 + len(_HANDLER) + len(ilst) + (8 if len(parents) == 1 else 0)
    free = _free(-(overhead + _FREE_HEADER) % BLOCK + _FREE_HEADER)
    data = rendered(b"meta", bytes(4) + _HANDLER + ilst + free)
    # At the start of user data, since its end may be marked by four bytes of zero; but a movie header's
    # first atom has to stay the first.
    at = parents[-1].start
    if len(parents) == 1:
        data, at = rendered(b"udta", data), parents[-1].end
    patch = Patch(at, 0, data)
    return _in_order([*_grown(parents, patch.growth), patch, *moved_offsets(file, atoms, at, patch.growth)])


def _items(file: BinaryIO, ilst: Atom, texts: Texts) -> Iterator[bytes]:
    """Yields the list's items: each replaced where it stands, further ones left out, missing ones added."""
    keys = {key.upper() for key in texts}
    missing = {key.upper(): (key, text) for key, text in texts.items() if text is not None}
    for item in children(file, ilst):
        raw = read_at(file, item.offset, item.size)
        key, values = _parsed(item, raw[item.header :])
        if key not in keys:
            yield raw
        elif key in missing:
            spelled, text = missing.pop(key)
            yield raw if values == [(_UTF8, text.encode())] else _new_item(spelled, text, values)
    for spelled, text in missing.values():
        yield _new_item(spelled, text)


_Typed = tuple[int, bytes]
"""A value of an item: the code of its type, and its bytes."""


def _parsed(item: Atom, content: bytes) -> tuple[str, Sequence[_Typed]]:
    """Returns what the table of fields calls an item, in capitals, and its values."""
    parts: dict[bytes, list[bytes]] = {}
    at = 0
    while at + 8 <= len(content):
        size, name = struct.unpack_from(">I4s", content, at)
        if size < 8:
            break
        parts.setdefault(name, []).append(content[at + 8 : at + size])
        at += size
    key = item.name.decode("latin-1")
    if item.name == b"----":
        mean, name = (parts.get(part, [b""])[0][4:].decode("utf-8", "replace") for part in (b"mean", b"name"))
        key = f"----:{mean}:{name}"
    data = [value for value in parts.get(b"data", ()) if len(value) >= 8]
    return key.upper(), [(int.from_bytes(value[:4], "big"), value[8:]) for value in data]


def _new_item(key: str, text: str, old: Sequence[_Typed] = ()) -> bytes:
    if key in _PAIRS:
        number, _, given = text.partition("/")
        kept = old[0][1][4:6].rjust(2, b"\0") if old else bytes(2)
        total = struct.pack(">H", int(given)) if given else kept
        return rendered(
            key.encode("ascii"), _data(0, bytes(2) + struct.pack(">H", int(number)) + total + _PAIRS[key])
        )
    if not key.startswith("----:"):
        return rendered(key.encode("latin-1"), _data(_UTF8, text.encode()))
    # Other programs compare these names with regard to case, so they are written as the table has them.
    _, mean, name = key.split(":")
    return rendered(
        b"----",
        rendered(b"mean", bytes(4) + mean.encode("ascii"))
        + rendered(b"name", bytes(4) + name.encode("ascii"))
        + _data(_UTF8, text.encode()),
    )


def _data(code: int, value: bytes) -> bytes:
    return rendered(b"data", struct.pack(">II", code, 0) + value)


def _free(size: int) -> bytes:
    return rendered(_FREE, bytes(size - _FREE_HEADER)) if size else b""


def _grown(parents: Sequence[Atom], growth: int) -> list[Patch]:
    return [patch for parent in parents if (patch := parent.grown(growth)) is not None]


def _in_order(patches: Sequence[Patch]) -> list[Patch]:
    return sorted(patches, key=lambda patch: patch.offset)
