"""The frames of an ID3 tag as bytes: finding them, saying what each is called, and making new ones.

Frames are moved as they are, never parsed and written anew. Nothing here writes.
Specifications: https://id3.org/id3v2-00, https://id3.org/id3v2.3.0, https://id3.org/id3v2.4.0-structure
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence, Set

import msgspec
from mutagen.id3 import Frames_2_2

from rosecache.tags.patches import is_blank

FRAME_ID = {2: re.compile(rb"[A-Z][A-Z0-9]{2}"), 3: re.compile(rb"[A-Z][A-Z0-9]{2}[A-Z0-9\0 ]")}
FRAME_ID[4] = FRAME_ID[3]

_NAMES: dict[bytes, str] = {
    name.encode("ascii"): frame.__mro__[1].__name__ for name, frame in Frames_2_2.items()
}
_NAMES_V22: dict[str, bytes] = {name: short for short, name in _NAMES.items()}
"""What the frames of version 2.2 are called from 2.3 on, and the reverse."""

_OPAQUE = {2: 0, 3: 0xC0, 4: 0x0C}
"""Frame flags, by version, of compression and encryption."""
_GROUPED = {2: 0, 3: 0x20, 4: 0x40}
_UNSYNCHRONISED, _HAS_LENGTH = 0x02, 0x01  # version 2.4

_ENCODINGS = ("latin-1", "utf-16", "utf-16-be", "utf-8")
_LATIN1, _UTF16, _UTF8 = 0, 1, 3
_PEOPLE = ("TIPL", "IPLS")


class Frame(msgspec.Struct, frozen=True):
    """A frame of a tag. Positions are in the tag's body after unsynchronisation was undone."""

    start: int
    end: int
    name: str
    """Of version 2.3 or 2.4."""
    flags: int
    """Those that say how the content is stored."""
    content: bytes | None
    """As it is meant; None if it is compressed or encrypted."""

    @property
    def key(self) -> str | None:
        """What the table of fields calls the frame, in capitals; None if that cannot be known."""
        if self.name != "TXXX":
            return self.name
        decoded = self._decoded()
        return None if decoded is None else f"TXXX:{decoded.partition(chr(0))[0].upper()}"

    @property
    def text(self) -> str | None:
        """The text of a text frame; of one with several, all of them with NUL in between."""
        decoded = self._decoded()
        if decoded is not None and self.name == "TXXX":
            decoded = decoded.partition("\0")[2]
        # Each of two UTF-16 texts may have its own byte order mark, which one decoding leaves in the second.
        return None if decoded is None else decoded.lstrip("\ufeff").rstrip("\0")

    def _decoded(self) -> str | None:
        if not self.content or self.content[0] >= len(_ENCODINGS):
            return None
        return self.content[1:].decode(_ENCODINGS[self.content[0]], "replace")


def frames_of(version: int, plain: bytes, start: int) -> tuple[Sequence[Frame], int, int]:
    """Returns the frames of a tag's body, where they end, and how many bits of each byte of a size count.

    They end at the padding, or at what cannot be a frame.
    """
    if version == 4:
        found = _walk(version, plain, start, 7)
        if is_blank(plain[found[1] :]) and all(frame.end - frame.start < 128 for frame in found[0]):
            return found
        # Some taggers write plain numbers where version 2.4 wants sizes of seven bits per byte. A plain number
        # that is none can leap over frames into the padding: whoever finds more of them is right.
        return max(
            (found, _walk(version, plain, start, 8)),
            key=lambda walked: (is_blank(plain[walked[1] :]), len(walked[0])),
        )
    return _walk(version, plain, start, 8)


def text_frame(version: int, bits: int, key: str, text: str) -> bytes:
    """Returns a new text frame.

    Text beyond ASCII is stored as Unicode: programs disagree about what the one-byte encoding means.

    Args:
        version: Of the tag: 2, 3 or 4.
        bits: How many bits of each byte of a size count.
        key: What the table of fields calls the frame, spelled as there.
        text: Its text.
    """
    name, _, description = key.partition(":")
    encoding = _LATIN1 if (description + text).isascii() else _UTF8 if version == 4 else _UTF16
    content = bytes([encoding])
    if name == "TXXX":
        content += description.encode(_ENCODINGS[encoding]) + bytes(2 if encoding == _UTF16 else 1)
    return _frame(version, bits, name, 0, content + text.encode(_ENCODINGS[encoding]))


def without_people(version: int, bits: int, frame: Frame, raw: bytes, roles: Set[str]) -> bytes:
    """Returns a frame of involved people without those of some roles; nothing if nobody is left.

    Args:
        version: Of the tag.
        bits: How many bits of each byte of a size count.
        frame: The frame.
        raw: Its bytes, which are returned if nobody goes.
        roles: In capitals.
    """
    if frame.name not in _PEOPLE or not frame.content or frame.content[0] >= len(_ENCODINGS):
        return raw
    encoding = frame.content[0]
    texts = _terminated(frame.content[1:], 2 if encoding in (1, 2) else 1)
    pairs = [texts[at : at + 2] for at in range(0, len(texts), 2)]
    kept = [pair for pair in pairs if _role(pair[0], encoding) not in roles]
    if kept == pairs:
        return raw
    if not kept:
        return b""
    content = bytes([encoding]) + b"".join(text for pair in kept for text in pair)
    flags = frame.flags & _UNSYNCHRONISED if version == 4 else 0
    if flags:
        content = content.replace(b"\xff", b"\xff\0")
    return _frame(version, bits, frame.name, flags, content)


def roles_of(name: str, keys: Set[str]) -> Set[str]:
    """Returns the roles that go from frames of involved people of a name, if some keys of the table go."""
    if name not in _PEOPLE:
        return frozenset()
    return {key.partition(":")[2] for key in keys if key.startswith(f"{name}:")}


def exists_in(version: int, key: str) -> bool:
    """Says whether a version has a frame of that name; only 2.2 lacks any that can be written."""
    return version > 2 or key.partition(":")[0] in _NAMES_V22


def _walk(version: int, plain: bytes, start: int, bits: int) -> tuple[list[Frame], int, int]:
    id_size, header_size = (3, 6) if version == 2 else (4, 10)
    frames = []
    at = start
    while at + header_size <= len(plain):
        frame_id = plain[at : at + id_size]
        if not FRAME_ID[version].fullmatch(frame_id):
            break
        size_bytes = plain[at + id_size : at + 2 * id_size]
        if bits == 7 and max(size_bytes) > 0x7F:
            break
        size = int.from_bytes(size_bytes, "big")
        if bits == 7:
            size = (size >> 3 & 0xFE00000) | (size >> 2 & 0x1FC000) | (size >> 1 & 0x3F80) | (size & 0x7F)
        end = at + header_size + size
        if end > len(plain):
            break
        flags = plain[at + 9] if version > 2 else 0
        content = _content(version, flags, plain[at + header_size : end])
        frames.append(Frame(at, end, _name(frame_id), flags, content))
        at = end
    return frames, at, bits


def _name(frame_id: bytes) -> str:
    """Returns the name from version 2.3 on; some taggers write the shorter ones of 2.2 into later tags."""
    return _NAMES.get(frame_id.rstrip(b"\0"), frame_id.decode("ascii"))


def _content(version: int, flags: int, content: bytes) -> bytes | None:
    if flags & _OPAQUE[version]:
        return None
    if flags & _GROUPED[version]:
        content = content[1:]
    if version == 4 and flags & _HAS_LENGTH:
        content = content[4:]
    if version == 4 and flags & _UNSYNCHRONISED:
        content = content.replace(b"\xff\0", b"\xff")
    return content


def _frame(version: int, bits: int, name: str, flags: int, content: bytes) -> bytes:
    if version == 2:
        return _NAMES_V22[name] + struct.pack(">I", len(content))[1:] + content
    mask = (1 << bits) - 1
    size = bytes(len(content) >> bits * power & mask for power in (3, 2, 1, 0))
    return name.encode("ascii") + size + struct.pack(">H", flags) + content


def _terminated(data: bytes, unit: int) -> list[bytes]:
    """Splits bytes behind each terminator, which is as long as a unit of the encoding."""
    texts = []
    start = 0
    for at in range(0, len(data), unit):
        if not any(data[at : at + unit]):
            texts.append(data[start : at + unit])
            start = at + unit
    return [*texts, data[start:]] if start < len(data) else texts


def _role(text: bytes, encoding: int) -> str:
    return text.decode(_ENCODINGS[encoding], "replace").strip("\ufeff\0").strip().upper()
