"""Putting texts into an ID3 tag without changing another byte of it.

Frames are moved as they are, never parsed and written anew, so a tag keeps its version, its encodings,
its order, its pictures, and frames that nobody knows; an APEv2 tag at the end of the file is not looked at.
Specifications: https://id3.org/id3v2-00, https://id3.org/id3v2.3.0,
https://id3.org/id3v2.4.0-structure
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from typing import BinaryIO

from rosecache.tags import id3v1
from rosecache.tags.fields import Texts
from rosecache.tags.id3_frames import (
    FRAME_ID,
    exists_in,
    frames_of,
    roles_of,
    text_frame,
    without_people,
)
from rosecache.tags.patches import BLOCK, Patch, PlanError, is_blank, read_at

_HEADER = 10
_LARGEST = 2**28 - 1
_UNSYNCHRONISED, _EXTENDED, _FOOTER = 0x80, 0x40, 0x10
_COMPRESSED_V22 = 0x40
_NEW_VERSION = 4


def plan(file: BinaryIO, texts: Texts) -> list[Patch]:
    """Plans the patches that put texts into an MP3 file.

    Args:
        file: The file.
        texts: By the names of ID3v2.4; older tags get what they have in place of those.

    Raises:
        PlanError: The tag is damaged or uses a feature that protects it against being changed.
    """
    file.seek(0)
    header = file.read(_HEADER)
    if header[:3] != b"ID3" or len(header) < _HEADER:
        new = [Patch(0, 0, _new_tag(texts))] if any(texts.values()) else []
        return new + id3v1.plan(file, texts, 0)
    version, flags = header[3], header[5]
    if version not in FRAME_ID or (version == 2 and flags & _COMPRESSED_V22):
        raise PlanError(f"ID3 version 2.{version} with flags {flags:#04x} is not supported")
    body = read_at(file, _HEADER, _from_syncsafe(header[6:10]))
    positions = _raw_positions(body) if version < 4 and flags & _UNSYNCHRONISED else range(len(body) + 1)
    plain = bytes(body[at] for at in positions[:-1]) if not isinstance(positions, range) else body
    if version < 4 and isinstance(positions, range):
        # A tag that only claims to be unsynchronised might become what it claims.
        header = header[:5] + bytes([flags & ~_UNSYNCHRONISED]) + header[6:]
    start, padding_at = _extended_header(version, flags, plain)
    kept, end = _edited(version, body, positions, plain, start, _in_version(version, texts))
    patches = _fitted(header, body, kept, body[positions[end] :], padding_at)
    return patches + id3v1.plan(file, texts, patches[-1].end)


def _edited(
    version: int, body: bytes, positions: Sequence[int], plain: bytes, start: int, texts: Texts
) -> tuple[bytearray, int]:
    """Returns the body with the texts in it, and where its frames ended, in the plain body."""
    frames, end, bits = frames_of(version, plain, start)
    keys = {key.upper() for key in texts}
    missing = {
        key.upper(): (key, text)
        for key, text in texts.items()
        if text is not None and exists_in(version, key)
    }

    def new_frame(key: str, text: str) -> bytes:
        made = text_frame(version, bits, key, text)
        return made if isinstance(positions, range) else made.replace(b"\xff", b"\xff\0")

    kept = bytearray(body[: positions[start]])
    for frame in frames:
        raw = body[positions[frame.start] : positions[frame.end]]
        key = frame.key
        if key in missing:
            spelled, text = missing.pop(key)
            kept += raw if frame.text == text else new_frame(spelled, text)
        elif roles := roles_of(frame.name, keys):
            left = without_people(version, bits, frame, raw, roles)
            is_new = left != raw and not isinstance(positions, range)
            kept += left.replace(b"\xff", b"\xff\0") if is_new else left
        elif key not in keys:
            kept += raw
    for spelled, text in missing.values():
        kept += new_frame(spelled, text)
    return kept, end


def _in_version(version: int, texts: Texts) -> Texts:
    """Returns the texts by the names that a tag's version has for dates.

    Before version 2.4 there are frames for the year, and for day and month. The original date has only a
    year: a whole one goes beside it into the frame of 2.4, or, since 2.2 has no such names, in its place.
    """
    if version == 4:
        return texts
    moved = dict(texts)
    if "TDRC" in texts:
        date = texts["TDRC"] or ""
        moved |= {"TDRC": None, "TYER": date[:4] or None, "TDAT": date[8:10] + date[5:7] or None}
    if "TDOR" in texts:
        date = texts["TDOR"] or ""
        has_day = len(date) > 4
        year = date if version == 2 else date[:4]
        moved |= {"TDOR": date if has_day and version == 3 else None, "TORY": year or None}
    return moved


def _fitted(header: bytes, body: bytes, kept: bytearray, rest: bytes, padding_at: int | None) -> list[Patch]:
    """Puts the new content into the old body if it fits there, else into a longer one."""
    has_footer = header[3] == 4 and bool(header[5] & _FOOTER)
    if not is_blank(rest):
        # Not padding: something that nobody can name, so it stays, behind the frames as it was.
        kept += rest
    elif len(kept) <= len(body) and not has_footer:
        kept += bytes(len(body) - len(kept))
    growth = len(kept) - len(body)
    if growth and not has_footer:
        padding = -growth % BLOCK
        kept += bytes(padding)
        growth += padding
    if len(kept) > _LARGEST:
        raise PlanError("the ID3 tag would become longer than such a tag can be")
    if padding_at is not None:
        kept[padding_at : padding_at + 4] = struct.pack(">I", len(kept) - len(bytes(kept).rstrip(b"\0")))
    size = _to_syncsafe(len(kept))
    patches = [Patch(0, _HEADER + len(body), header[:6] + size + bytes(kept))]
    if has_footer:
        patches.append(Patch(_HEADER + len(body) + 6, 4, size))
    return patches


def _new_tag(texts: Texts) -> bytes:
    frames = b"".join(
        text_frame(_NEW_VERSION, 7, key, text) for key, text in texts.items() if text is not None
    )
    body = frames + bytes(-(len(frames) + _HEADER) % BLOCK)
    return b"ID3" + bytes([_NEW_VERSION, 0, 0]) + _to_syncsafe(len(body)) + body


def _extended_header(version: int, flags: int, plain: bytes) -> tuple[int, int | None]:
    """Returns where the frames start, and where the extended header holds the padding's size, if it does."""
    if version == 2 or not flags & _EXTENDED:
        return 0, None
    if FRAME_ID[version].match(plain):
        return 0, None  # some taggers set the flag and write no such header
    if len(plain) < 6:
        raise PlanError("the ID3 tag's extended header is cut off")
    if version == 4:
        start, has_checksum = _from_syncsafe(plain[:4]), plain[5] & 0x20
    else:
        start, has_checksum = 4 + struct.unpack_from(">I", plain)[0], plain[4] & 0x80
    if has_checksum:
        raise PlanError("the ID3 tag is protected by a checksum")
    if start < 6 or start > len(plain) or (version == 3 and flags & _UNSYNCHRONISED):
        raise PlanError("the ID3 tag's extended header is of a kind that is not supported")
    return start, 6 if version == 3 and start >= 10 else None


def _raw_positions(body: bytes) -> Sequence[int]:
    """Returns where each byte of the tag stands before unsynchronisation is undone, and one for the end.

    A tag that has the flag, but bytes that unsynchronisation cannot have made, is taken as it is.
    """
    if re.search(rb"\xff[\xe0-\xff]|\xff\Z", body):
        return range(len(body) + 1)
    inserted = {match.start() + 1 for match in re.finditer(rb"\xff\0", body)}
    return [at for at in range(len(body) + 1) if at not in inserted]


def _from_syncsafe(data: bytes) -> int:
    if any(byte & 0x80 for byte in data):
        raise PlanError("a size in the ID3 tag is not of seven bits per byte")
    return sum(byte << (7 * power) for power, byte in enumerate(reversed(data)))


def _to_syncsafe(number: int) -> bytes:
    return bytes(number >> shift & 0x7F for shift in (21, 14, 7, 0))
