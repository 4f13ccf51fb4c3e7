"""The old ID3 tag of 128 bytes at the end of an MP3 file, which has to go along when a field is edited.

Readers fall back to it where the tag at the start lacks a field, so a field that was removed would come
back. It is never added to a file. Specification: https://id3.org/ID3v1
"""

from __future__ import annotations

from typing import BinaryIO

from mutagen.id3 import TCON

from rosecache.tags.fields import Texts, split_genres
from rosecache.tags.patches import Patch, read_at, size_of

_SIZE = 128
_FIELDS = {"TIT2": (3, 30), "TPE1": (33, 30), "TALB": (63, 30), "TDRC": (93, 4)}
"""Offset and size of the texts."""
_TRACK_MARK, _TRACK, _GENRE = 125, 126, 127
_NO_GENRE = 255


def plan(file: BinaryIO, texts: Texts, after: int) -> list[Patch]:
    """Plans the patch that makes such a tag say the same as new texts, as far as it can.

    Args:
        file: The old file.
        texts: By the names of ID3v2.4.
        after: Where the tag at the start ends; what lies before is none at the end.

    Raises:
        PlanError: The file ends too early.
    """
    offset = size_of(file) - _SIZE
    if offset < after or not _is_tag(file, offset):
        return []
    tag = bytearray(read_at(file, offset, _SIZE))
    for name, (start, size) in _FIELDS.items():
        if name in texts:
            text = (texts[name] or "").encode("latin-1", "replace")
            tag[start : start + size] = text[:size].ljust(size, b"\0")
    # Without the mark the comment has the track's place.
    if "TRCK" in texts and not tag[_TRACK_MARK]:
        number = (texts["TRCK"] or "").partition("/")[0]
        is_number = number.isascii() and number.isdecimal()
        tag[_TRACK] = int(number) if is_number and int(number) < 256 else 0
    if "TCON" in texts:
        tag[_GENRE] = _genre(texts["TCON"] or "")
    return [Patch(offset, _SIZE, bytes(tag))]


def _is_tag(file: BinaryIO, offset: int) -> bool:
    if read_at(file, offset, 3) != b"TAG":
        return False
    # The mark of another kind of tag, APEv2, holds the same letters.
    return offset < 3 or read_at(file, offset - 3, 8) != b"APETAGEX"


def _genre(text: str) -> int:
    """Returns the number of the first genre that has one."""
    numbers = {name.lower(): number for number, name in enumerate(TCON.GENRES)}
    known = (numbers.get(genre.lower()) for genre in split_genres([text]))
    return next((number for number in known if number is not None), _NO_GENRE)
