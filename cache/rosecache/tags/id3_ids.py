"""Putting the ids into an ID3 tag without changing another byte of it.

Frames are moved as they are, never parsed and written anew, so a tag keeps its version, its encodings,
its order, its pictures, and frames that nobody knows; ID3v1 and APEv2 tags at the end of the file are not
looked at. Specifications: https://id3.org/id3v2-00, https://id3.org/id3v2.3.0,
https://id3.org/id3v2.4.0-structure
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

from rosecache.tags.patches import BLOCK, Patch, PlanError, read_at

_HEADER = 10
_LARGEST = 2**28 - 1
_UNSYNCHRONISED, _EXTENDED, _FOOTER = 0x80, 0x40, 0x10
_COMPRESSED_V22 = 0x40

_FRAME_ID = {2: re.compile(rb"[A-Z][A-Z0-9]{2}"), 3: re.compile(rb"[A-Z][A-Z0-9]{2}[A-Z0-9\0 ]")}
_FRAME_ID[4] = _FRAME_ID[3]

_OPAQUE = {2: 0, 3: 0xC0, 4: 0x0C}
"""Frame flags, by version, of compression and encryption."""
_GROUPED = {2: 0, 3: 0x20, 4: 0x40}
_FRAME_UNSYNCHRONISED, _FRAME_HAS_LENGTH = 0x02, 0x01  # version 2.4

_TEXT_ENCODINGS = ("latin-1", "utf-16", "utf-16-be", "utf-8")


@dataclass(frozen=True, slots=True)
class _Frame:
    """A frame of a tag. Positions are in the tag's body after unsynchronisation was undone."""

    start: int
    end: int
    key: str | None
    """The description in capitals, if it is a frame of user-defined text."""
    text: str


def plan_ids(file: BinaryIO, track_id: str, release_id: str) -> list[Patch]:
    """Plans the patches that put the ids into an MP3 file.

    Raises:
        PlanError: The tag is damaged or uses a feature that protects it against being changed.
    """
    ids = {"ROSEID": track_id, "ROSERELEASEID": release_id}
    file.seek(0)
    header = file.read(_HEADER)
    if header[:3] != b"ID3" or len(header) < _HEADER:
        return [Patch(0, 0, _new_tag(ids))]
    version, flags = header[3], header[5]
    if version not in _FRAME_ID or (version == 2 and flags & _COMPRESSED_V22):
        raise PlanError(f"ID3 version 2.{version} with flags {flags:#04x} is not supported")
    body = read_at(file, _HEADER, _from_syncsafe(header[6:10]))
    positions = _raw_positions(body) if version < 4 and flags & _UNSYNCHRONISED else range(len(body) + 1)
    plain = bytes(body[at] for at in positions[:-1]) if not isinstance(positions, range) else body
    start, padding_at = _extended_header(version, flags, plain)
    frames, end = _frames(version, plain, start)

    kept = bytearray(body[: positions[start]])
    for frame in frames:
        raw = body[positions[frame.start] : positions[frame.end]]
        if frame.key in ids:
            wanted = ids.pop(frame.key)
            kept += raw if frame.text == wanted else _new_frame(version, frame.key, wanted)
        elif frame.key not in ("ROSEID", "ROSERELEASEID"):
            kept += raw
    for key, value in ids.items():
        kept += _new_frame(version, key, value)
    rest = body[positions[end] :]
    return _fitted(header, body, kept, rest, padding_at)


def _fitted(header: bytes, body: bytes, kept: bytearray, rest: bytes, padding_at: int | None) -> list[Patch]:
    """Puts the new content into the old body if it fits there, else into a longer one."""
    has_footer = header[3] == 4 and bool(header[5] & _FOOTER)
    if any(rest):
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


def _new_tag(ids: dict[str, str]) -> bytes:
    frames = b"".join(_new_frame(4, key, value) for key, value in ids.items())
    body = frames.ljust(BLOCK - _HEADER, b"\0")
    return b"ID3\x04\x00\x00" + _to_syncsafe(len(body)) + body


def _new_frame(version: int, key: str, value: str) -> bytes:
    # Latin-1 throughout: every version has it, and nothing in it needs unsynchronisation.
    content = b"\0" + key.encode("ascii") + b"\0" + value.encode("ascii")
    if version == 2:
        return b"TXX" + struct.pack(">I", len(content))[1:] + content
    # Below 128 bytes, where both versions write the size alike.
    return b"TXXX" + struct.pack(">IH", len(content), 0) + content


def _extended_header(version: int, flags: int, plain: bytes) -> tuple[int, int | None]:
    """Returns where the frames start, and where the extended header holds the padding's size, if it does."""
    if version == 2 or not flags & _EXTENDED:
        return 0, None
    if _FRAME_ID[version].match(plain):
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


def _frames(version: int, plain: bytes, start: int) -> tuple[Sequence[_Frame], int]:
    """Returns the frames, and where they end: at the padding, or at what cannot be a frame."""
    if version == 4:
        # Some taggers write plain numbers where version 2.4 wants sizes of seven bits per byte.
        return max(
            (_walk(version, plain, start, 7), _walk(version, plain, start, 8)),
            key=lambda walked: (not any(plain[walked[1] :]), walked[1]),
        )
    return _walk(version, plain, start, 8)


def _walk(version: int, plain: bytes, start: int, bits: int) -> tuple[list[_Frame], int]:
    id_size, header_size = (3, 6) if version == 2 else (4, 10)
    frames = []
    at = start
    while at + header_size <= len(plain):
        frame_id = plain[at : at + id_size]
        if not _FRAME_ID[version].fullmatch(frame_id):
            break
        size_bytes = plain[at + id_size : at + 2 * id_size]
        if bits == 7 and any(byte & 0x80 for byte in size_bytes):
            break
        size = sum(byte << (bits * power) for power, byte in enumerate(reversed(size_bytes)))
        end = at + header_size + size
        if end > len(plain):
            break
        key, text = None, ""
        if frame_id in (b"TXXX", b"TXX"):
            flags = plain[at + 9] if version > 2 else 0
            key, text = _user_text(version, flags, plain[at + header_size : end])
        frames.append(_Frame(at, end, key, text))
        at = end
    return frames, at


def _user_text(version: int, flags: int, content: bytes) -> tuple[str | None, str]:
    """Returns description, in capitals, and text of user-defined text; no description if unreadable."""
    if flags & _OPAQUE[version]:
        return None, ""
    if flags & _GROUPED[version]:
        content = content[1:]
    if version == 4 and flags & _FRAME_HAS_LENGTH:
        content = content[4:]
    if version == 4 and flags & _FRAME_UNSYNCHRONISED:
        content = content.replace(b"\xff\0", b"\xff")
    if not content or content[0] >= len(_TEXT_ENCODINGS):
        return None, ""
    encoding = _TEXT_ENCODINGS[content[0]]
    # Each of two UTF-16 texts may have its own byte order mark, which one decoding leaves in the second.
    decoded = content[1:].decode(encoding, "replace")
    key, _, text = decoded.partition("\0")
    return key.upper(), text.lstrip("\ufeff").rstrip("\0")


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
