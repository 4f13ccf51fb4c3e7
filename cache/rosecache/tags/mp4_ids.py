"""Putting the ids into an MP4 file without changing another byte of its tags or its audio.

The item list gets its two atoms; a ``free`` atom beside it takes up the growth. Where there is no such
room, what follows moves, and the tables of positions in the file are corrected.
Specifications: ISO/IEC 14496-12; the QuickTime File Format, "Metadata".
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from rosecache.tags.fields import FIELDS
from rosecache.tags.mp4_atoms import Atom, child, children, rendered, top_level
from rosecache.tags.mp4_offsets import moved_offsets
from rosecache.tags.patches import BLOCK, Patch, PlanError, joined, read_at

_FREE = b"free"
_FREE_HEADER = 8
_UTF8 = 1
_HANDLER = rendered(b"hdlr", bytes(8) + b"mdirappl" + bytes(9))


def plan_ids(file: BinaryIO, track_id: str, release_id: str) -> list[Patch]:
    """Plans the patches that put the ids into an MP4 file.

    Raises:
        PlanError: Its atoms are damaged, or of a kind in which nothing can be moved.
    """
    ids = {_key("id"): track_id, _key("release_id"): release_id}
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
        return _with_new_list(file, atoms, path[:2], ids)
    *parents, ilst = path
    items = rendered(b"ilst", b"".join(_items(file, ilst, ids)))
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
    file: BinaryIO, atoms: Sequence[Atom], parents: Sequence[Atom], ids: dict[str, str]
) -> list[Patch]:
    """Puts a new item list into a file that has none: into its user data, or into new user data."""
    ilst = rendered(b"ilst", b"".join(_new_item(key, value) for key, value in ids.items()))
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


def _items(file: BinaryIO, ilst: Atom, ids: dict[str, str]) -> Iterator[bytes]:
    """Yields the list's items: an id replaced where it stands, further ones left out, missing ones added."""
    missing = dict(ids)
    for item in children(file, ilst):
        raw = read_at(file, item.offset, item.size)
        key, value = _free_form(raw[item.header :]) if item.name == b"----" else ("", "")
        if key not in ids:
            yield raw
        elif key in missing:
            wanted = missing.pop(key)
            yield raw if value == wanted else _new_item(key, wanted)
    for key, value in missing.items():
        yield _new_item(key, value)


def _free_form(content: bytes) -> tuple[str, str]:
    """Returns the key of a free-form item, ``----:MEAN:NAME`` in capitals, and its text."""
    parts: dict[bytes, bytes] = {}
    at = 0
    while at + 8 <= len(content):
        size, name = struct.unpack_from(">I4s", content, at)
        if size < 8:
            return "", ""
        parts.setdefault(name, content[at + 8 : at + size])
        at += size
    mean, name = (parts.get(part, b"")[4:].decode("utf-8", "replace") for part in (b"mean", b"name"))
    data = parts.get(b"data", b"")
    text = data[8:].decode("ascii", "replace") if data[:4] == struct.pack(">I", _UTF8) else ""
    return f"----:{mean}:{name}".upper(), text


def _new_item(key: str, value: str) -> bytes:
    # Other programs compare these names with regard to case, so they are written as the table has them.
    _, mean, name = next(names.mp4[0] for names in FIELDS.values() if names.mp4[0].upper() == key).split(":")
    return rendered(
        b"----",
        rendered(b"mean", bytes(4) + mean.encode("ascii"))
        + rendered(b"name", bytes(4) + name.encode("ascii"))
        + rendered(b"data", struct.pack(">II", _UTF8, 0) + value.encode("ascii")),
    )


def _key(field: str) -> str:
    return FIELDS[field].mp4[0].upper()


def _free(size: int) -> bytes:
    return rendered(_FREE, bytes(size - _FREE_HEADER)) if size else b""


def _grown(parents: Sequence[Atom], growth: int) -> list[Patch]:
    return [patch for parent in parents if (patch := parent.grown(growth)) is not None]


def _in_order(patches: Sequence[Patch]) -> list[Patch]:
    return sorted(patches, key=lambda patch: patch.offset)
