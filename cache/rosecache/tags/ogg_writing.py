"""Putting texts into the comment packet of an Ogg Vorbis, Opus or FLAC stream.

Only the pages that hold that packet are made anew. Where they become more, the later pages of that stream
get new numbers and checksums, but keep their packets and granule positions; pages of other streams are
not touched. Specifications: RFC 3533 (Ogg), RFC 7845 (Opus), the Vorbis I specification, RFC 9639 (FLAC).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO

import msgspec

from rosecache.tags.comments import with_texts
from rosecache.tags.fields import Texts
from rosecache.tags.patches import BLOCK, Patch, PlanError, is_blank, read_at, size_of

_HEADER = struct.Struct("<4sBBqIIIB")
_CONTINUED, _FIRST, _LAST = 1, 2, 4
_MOST_SEGMENTS = 255
_UNFINISHED = -1
"""The granule position of a page on which no packet ends."""

_Edited = tuple[bytes, bytes, bool]
"""A packet with the texts in it, what followed it in the old one, and whether that was, and may be, padding."""
_Edit = Callable[[bytes], _Edited]

_REVERSED_BITS = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


class _Page(msgspec.Struct, frozen=True):
    """The header of a page in the file."""

    offset: int
    flags: int
    granule: int
    serial: int
    number: int
    lacing: bytes

    @property
    def size(self) -> int:
        return _HEADER.size + len(self.lacing) + sum(self.lacing)

    @property
    def content_offset(self) -> int:
        return self.offset + _HEADER.size + len(self.lacing)

    def content(self, file: BinaryIO) -> bytes:
        return read_at(file, self.content_offset, sum(self.lacing))


def plan_vorbis(file: BinaryIO, texts: Texts) -> list[Patch]:
    """Plans the patches that put texts into an Ogg Vorbis file. Raises PlanError if it is damaged."""

    def edit(packet: bytes) -> _Edited:
        _expect(packet, b"\x03vorbis")
        new, trailing = with_texts(packet[7:], texts)
        # A framing bit ends the comments; what follows is nobody's unless it is all zero.
        return b"\x03vorbis" + new + trailing[:1], trailing[1:], is_blank(trailing[1:])

    return _plan(file, b"\x01vorbis", edit)


def plan_opus(file: BinaryIO, texts: Texts) -> list[Patch]:
    """Plans the patches that put texts into an Ogg Opus file. Raises PlanError if it is damaged."""

    def edit(packet: bytes) -> _Edited:
        _expect(packet, b"OpusTags")
        new, trailing = with_texts(packet[8:], texts)
        # RFC 7845, 5.2: if the first bit of what follows is set, it is data to be preserved, else padding.
        return b"OpusTags" + new, trailing, not (trailing and trailing[0] & 1)

    return _plan(file, b"OpusHead", edit)


def plan_flac(file: BinaryIO, texts: Texts) -> list[Patch]:
    """Plans the patches that put texts into a file of FLAC in Ogg. Raises PlanError if it is damaged."""

    def edit(packet: bytes) -> _Edited:
        if len(packet) < 4 or packet[0] & 0x7F != 4:
            raise PlanError("the second packet does not hold the comments")
        new, trailing = with_texts(packet[4:], texts)
        size = struct.pack(">I", len(new) + len(trailing))[1:]
        if len(new) + len(trailing) >= 2**24:
            raise PlanError("the comment block would become longer than such a block can be")
        return packet[:1] + size + new, trailing, False

    return _plan(file, b"\x7fFLAC", edit)


def _plan(file: BinaryIO, magic: bytes, edit: _Edit) -> list[Patch]:
    """Plans the change of the comment packet, the second one of the stream that starts with ``magic``."""
    pages = _pages(file, 0)
    serial = _stream(file, pages, magic)
    held: list[_Page] = []
    for page in pages:
        if page.serial == serial:
            held.append(page)
            if min(page.lacing, default=255) < 255:
                break
    else:
        raise PlanError("the comment packet does not end")
    if held[0].flags & (_CONTINUED | _FIRST):
        raise PlanError("the comment packet does not start on the second page")
    lacing = b"".join(page.lacing for page in held)
    content = b"".join(page.content(file) for page in held)
    segments = next(index for index, value in enumerate(lacing) if value < 255) + 1
    size = sum(lacing[:segments])
    packet = _fitted(edit(content[:size]), size, len(lacing) - segments, len(held))
    new_lacing = b"\xff" * (len(packet) // 255) + bytes([len(packet) % 255]) + lacing[segments:]
    new = _paginated(held, new_lacing, packet + content[size:])
    patches = [Patch(old.offset, old.size, data) for old, data in zip(held, new, strict=False)]
    if added := new[len(held) :]:
        last = patches[-1]
        patches[-1] = Patch(last.offset, last.length, last.data + b"".join(added))
        patches += _renumbered(file, held[-1], len(added))
    return patches


def _fitted(edited: _Edited, size: int, other_segments: int, pages: int) -> bytes:
    """Returns the new packet: as long as the old one if padding allows it, else with new padding.

    Args:
        edited: What the edit of a packet returned.
        size: The old packet's size.
        other_segments: How many segments of the pages hold something else.
        pages: How many pages hold the packet.
    """
    content, rest, may_pad = edited
    if not may_pad:
        return content + rest
    if len(content) <= size:
        return content.ljust(size, b"\0")
    length = len(content)
    while missing := -_growth(size, length) % BLOCK:
        length += max(1, missing * 255 // 256 - 1)
    room = pages * _MOST_SEGMENTS - other_segments
    if len(content) // 255 < room <= length // 255:
        return content  # with padding the packet would need another page, and all later ones new numbers
    return content.ljust(length, b"\0")


def _growth(old: int, new: int) -> int:
    """Returns by how much pages grow with a packet: its bytes, and a lacing value for every 255 of them."""
    return new - old + new // 255 - old // 255


def _paginated(old: Sequence[_Page], lacing: bytes, content: bytes) -> list[bytes]:
    """Lays out segments on as many pages as before if they fit there, else on more."""
    counts = [len(page.lacing) for page in old]
    excess = len(lacing) - sum(counts)
    for index in reversed(range(len(counts))):
        change = min(max(excess, 1 - counts[index]), _MOST_SEGMENTS - counts[index])
        counts[index] += change
        excess -= change
    while excess > 0:
        counts.append(min(excess, _MOST_SEGMENTS))
        excess -= counts[-1]
    if excess < 0:
        raise PlanError("the comment packet is spread over pages in a way that is not supported")
    pages = []
    segment = at = 0
    for index, count in enumerate(counts):
        own = lacing[segment : segment + count]
        model = old[min(index, len(old) - 1)]
        is_final = index == len(counts) - 1
        flags = _CONTINUED if segment and lacing[segment - 1] == 255 else 0
        if is_final:
            flags |= old[-1].flags & _LAST
        # On pages of headers the position is 0; the last page may hold more, and keeps what it has.
        granule = old[-1].granule if is_final else max(0, model.granule) if index < len(old) - 1 else 0
        if min(own) == 255:
            granule = _UNFINISHED
        size = sum(own)
        header = _HEADER.pack(
            b"OggS", 0, flags, granule, model.serial, (old[0].number + index) % 2**32, 0, count
        )
        pages.append(with_checksum(header + own + content[at : at + size]))
        segment, at = segment + count, at + size
    return pages


def _renumbered(file: BinaryIO, after: _Page, added: int) -> Iterator[Patch]:
    """Yields the patches that give later pages of a stream new numbers, up to the end of that stream."""
    at = after.offset + after.size
    for page in _pages(file, at):
        at = page.offset + page.size
        if page.serial != after.serial:
            continue
        if page.flags & _FIRST or after.flags & _LAST:
            return  # a chained stream that has the same serial number again
        number = struct.pack("<I", (page.number + added) % 2**32)
        data = bytearray(read_at(file, page.offset, page.size))
        data[18:22] = number
        yield Patch(page.offset + 18, 8, with_checksum(bytes(data))[18:26])
        after = page
    _expect_no_pages(file, at + 4)


def _expect_no_pages(file: BinaryIO, at: int) -> None:
    """Makes sure that nothing needs a number behind the place where the pages end, or are damaged."""
    file.seek(at)
    tail = b""
    while chunk := file.read(2**20):
        if b"OggS" in tail + chunk:
            raise PlanError("there are damaged pages in the middle of the stream")
        tail = chunk[-3:]


def _pages(file: BinaryIO, at: int) -> Iterator[_Page]:
    """Yields the whole pages from a position on, up to the first bytes that are none."""
    end = size_of(file)
    while at + _HEADER.size <= end:
        magic, version, flags, granule, serial, number, _, count = _HEADER.unpack(
            read_at(file, at, _HEADER.size)
        )
        if magic != b"OggS" or version != 0:
            return
        file.seek(at + _HEADER.size)
        page = _Page(at, flags, granule, serial, number, file.read(count))
        at += page.size
        if len(page.lacing) < count or at > end:
            return
        yield page


def _stream(file: BinaryIO, pages: Iterator[_Page], magic: bytes) -> int:
    """Returns the serial number of the first stream that starts with ``magic``."""
    for page in pages:
        if page.flags & _FIRST and page.content(file).startswith(magic):
            return page.serial
    raise PlanError("the stream was not found")


def with_checksum(page: bytes) -> bytes:
    """Returns a page with its checksum: zlib's CRC, but of bits in the other order, not inverted."""
    blank = page[:22] + bytes(4) + page[26:]
    mirrored = ~zlib.crc32(blank.translate(_REVERSED_BITS), 0xFFFFFFFF) & 0xFFFFFFFF
    checksum = mirrored.to_bytes(4, "big").translate(_REVERSED_BITS)
    return page[:22] + checksum + page[26:]


def _expect(packet: bytes, magic: bytes) -> None:
    if not packet.startswith(magic):
        raise PlanError("the second packet does not hold the comments")
