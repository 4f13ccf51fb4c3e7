"""Putting texts into a FLAC file without changing anything but the comment block and padding.

Every other block keeps its bytes and its place in the order, and so does an ID3 tag before the first block.
Specification: RFC 9639.
"""

from __future__ import annotations

import struct
from typing import BinaryIO

import msgspec

from rosecache.tags.comments import empty_comments, with_texts
from rosecache.tags.fields import Texts
from rosecache.tags.patches import BLOCK, Patch, PlanError, joined, read_at

_STREAMINFO, _PADDING, _COMMENTS = 0, 1, 4
_LAST = 0x80
_LARGEST = 2**24 - 1
_HEADER = 4


class _Block(msgspec.Struct, frozen=True):
    """A metadata block: where it starts, with its header, and the size of its content."""

    offset: int
    code: int
    size: int
    is_last: bool

    @property
    def end(self) -> int:
        return self.offset + _HEADER + self.size


def plan(file: BinaryIO, texts: Texts) -> list[Patch]:
    """Plans the patches that put texts into a FLAC file.

    Raises:
        PlanError: The metadata blocks are damaged, or too full.
    """
    blocks = _blocks(file)
    comments = next((block for block in blocks if block.code == _COMMENTS), None)
    if comments is None and not any(texts.values()):
        return []
    if comments is None:
        content, _ = with_texts(empty_comments(), texts)
        # Behind the first block, which has to be the first; never the last block, since padding follows it.
        at = blocks[0].end
        changed = Patch(at, 0, _block(_COMMENTS, content, is_last=False))
    else:
        old = read_at(file, comments.offset + _HEADER, comments.size)
        content, trailing = with_texts(old, texts)
        changed = Patch(
            comments.offset,
            _HEADER + comments.size,
            _block(_COMMENTS, content + trailing, is_last=comments.is_last),
        )
    if len(content) > _LARGEST:
        raise PlanError("the comment block would become longer than such a block can be")
    if comments is not None and changed.growth == 0:
        return [changed]
    return _padded(file, blocks, comments, changed)


def _padded(file: BinaryIO, blocks: list[_Block], comments: _Block | None, changed: Patch) -> list[Patch]:
    """Lets padding take up the growth of the comments if there is enough; else makes some."""
    paddings = [block for block in blocks if block.code == _PADDING]
    # The nearest one, since all that lies between moves.
    padding = min(paddings, key=lambda block: abs(block.offset - changed.offset), default=None)
    if padding is not None and 0 <= padding.size - changed.growth <= _LARGEST:
        room = _block(_PADDING, bytes(padding.size - changed.growth), is_last=padding.is_last)
        absorbed = Patch(padding.offset, _HEADER + padding.size, room)
        return [joined(file, sorted((changed, absorbed), key=lambda patch: patch.offset))]
    if padding is not None:
        size = padding.size - changed.growth
        size += -(-max(0, -size) // BLOCK) * BLOCK
        room = _block(_PADDING, bytes(size), is_last=padding.is_last)
        patches = [changed, Patch(padding.offset, _HEADER + padding.size, room)]
        return sorted(patches, key=lambda patch: patch.offset)
    last = blocks[-1]
    size = -(changed.growth + _HEADER) % BLOCK
    room = _block(_PADDING, bytes(size), is_last=True)
    if comments is last:
        return [Patch(changed.offset, changed.length, bytes([_COMMENTS]) + changed.data[1:] + room)]
    no_longer_last = Patch(last.offset, 1, bytes([last.code]))
    return sorted([changed, no_longer_last, Patch(last.end, 0, room)], key=lambda patch: patch.offset)


def _block(code: int, content: bytes, *, is_last: bool) -> bytes:
    return struct.pack(">I", len(content) | (code | (_LAST if is_last else 0)) << 24) + content


def _blocks(file: BinaryIO) -> list[_Block]:
    at = _start(file)
    blocks: list[_Block] = []
    while not blocks or not blocks[-1].is_last:
        (header,) = struct.unpack(">I", read_at(file, at, _HEADER))
        kind = header >> 24
        block = _Block(at, kind & ~_LAST, header & _LARGEST, bool(kind & _LAST))
        blocks.append(block)
        at = block.end
    # Some taggers write wrong sizes, which decoders find their way around; here it would be damage.
    file.seek(at)
    if blocks[0].code != _STREAMINFO or file.read(2) not in (b"\xff\xf8", b"\xff\xf9"):
        raise PlanError("the metadata blocks do not end where the audio starts")
    return blocks


def _start(file: BinaryIO) -> int:
    """Returns where the first block is: after the marker, which an ID3 tag may precede."""
    head = read_at(file, 0, 10)
    at = 0
    if head.startswith(b"ID3"):
        at = 10 + sum((byte & 0x7F) << shift for byte, shift in zip(head[6:], (21, 14, 7, 0), strict=True))
    if read_at(file, at, 4) != b"fLaC":
        raise PlanError("there is no FLAC stream where it should start")
    return at + 4
