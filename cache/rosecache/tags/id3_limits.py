"""Which ID3 tags are read: those that take no ages.

Mutagen copies what is left of a tag for each frame in it, so its work is the number of frames times the size of the
tag. That is nothing for a tag as programs write it, a second for one with hundreds of chapters and their pictures,
and hours for one that was made to be slow. What is no text is left out where it would cost too much, and what is
still too much is refused. Nothing here looks into a frame.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence

from mutagen.id3 import ID3, Frames
from mutagen.id3._tags import ID3Header, determine_bpi
from mutagen.id3._util import unsynch

from rosecache.tags.sparing import MOST_TEXT, TooMuchError

_MOST_FRAMES = 4096
_MOST_COPIED = 10**9
"""Bytes; some hundred milliseconds."""

_MOST_COPIED_WHOLE = 5 * _MOST_COPIED
"""The same where everything has to be looked at, because the file is written to."""

_SMALL = 6 * _MOST_FRAMES
"""Bytes: no tag of this size can hold too many frames, each of which has at least a header of six, nor too much of
anything else."""

_Span = tuple[int, int]
"""Start and end of a frame."""


class TextTags(ID3):
    """Tags without the frames that are no text, where these are many and large."""

    def _read(self, header: ID3Header, data: bytes) -> bytes:
        read: Callable[[ID3Header, bytes], bytes] = super()._read
        if len(data) <= _SMALL:
            return read(header, data)
        plain = _plain(header, data)
        spans = _spans(header.version[1], plain)
        if _copied(len(plain), spans) > _MOST_COPIED:
            data = b"".join(plain[start:end] for start, end in spans if _is_text(plain, start))
            if _copied(len(data), _spans(header.version[1], data)) > _MOST_COPIED:
                raise TooMuchError("its ID3 tag holds too many texts")
        return read(header, data)


class WholeTags(ID3):
    """Tags with all their frames; more of these are too much."""

    def _read(self, header: ID3Header, data: bytes) -> bytes:
        plain = _plain(header, data)
        if _copied(len(plain), _spans(header.version[1], plain)) > _MOST_COPIED_WHOLE:
            raise TooMuchError("its ID3 tag holds more than can be compared")
        read: Callable[[ID3Header, bytes], bytes] = super()._read
        return read(header, data)


def _plain(header: ID3Header, data: bytes) -> bytes:
    """Returns a tag's body with unsynchronisation undone, where mutagen would undo it for all frames at once."""
    if header.version[1] < 4 and header.f_unsynch:
        try:
            return bytes(unsynch.decode(data))
        except ValueError:
            pass
    return data


def _spans(version: int, data: bytes) -> Sequence[_Span]:
    """Returns where the frames are, as mutagen finds them. Raises TooMuchError if they are too many or too large."""
    by_bits = {bits: list(itertools.islice(_walk(version, data, bits), _MOST_FRAMES + 1)) for bits in (7, 8)}
    if max(map(len, by_bits.values())) > _MOST_FRAMES:
        raise TooMuchError(f"its ID3 tag holds more than {_MOST_FRAMES:,} frames")
    # Some taggers write plain numbers where version 2.4 wants sizes of seven bits per byte.
    spans = by_bits[8 if version < 4 or determine_bpi(data, Frames) is int else 7]
    if sum(end - start for start, end in spans if _is_text(data, start)) > MOST_TEXT:
        raise TooMuchError(f"its ID3 tag holds more than {MOST_TEXT // 2**20} MiB of text")
    return spans


def _walk(version: int, data: bytes, bits: int) -> Iterator[_Span]:
    """Yields the frames. What is no frame is gone over as if it were one; zeros are the end."""
    id_size, header_size = (3, 6) if version == 2 else (4, 10)
    start = 0
    while start + header_size <= len(data) and any(data[start : start + id_size]):
        size = 0
        for byte in data[start + id_size : start + 2 * id_size]:
            size = size << bits | byte & (1 << bits) - 1
        end = min(start + header_size + size, len(data))
        yield start, end
        start = end


def _is_text(data: bytes, start: int) -> bool:
    """Says whether a frame holds texts, people (TIPL, IPLS) among them."""
    return data.startswith((b"T", b"IPL"), start)


def _copied(size: int, spans: Sequence[_Span]) -> int:
    return sum(size - start for start, _ in spans)
