"""Vorbis comments: the one kind of tag that FLAC and the Ogg formats share.

Nothing is ever written through mutagen. Specification: https://xiph.org/vorbis/doc/v-comment.html
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Callable, Mapping, Set
from typing import BinaryIO

from mutagen import FileType
from mutagen._vorbis import VComment
from mutagen.flac import FLAC, VCFLACDict
from mutagen.oggflac import OggFLAC, OggFLACVComment
from mutagen.oggopus import OggOpus, OggOpusVComment
from mutagen.oggvorbis import OggVCommentDict, OggVorbis

from rosecache.tags.sparing import TooMuchError
from rosecache.tags.values import RawTags, length_of

_MOST_COMMENTS = 20_000

_SIZE = struct.Struct("<I")
_FRAMING = tuple(bytes([odd]) for odd in range(1, 256, 2))
"""The byte at the end, of which one bit is set."""

_NAME = re.compile(r"[ -<>-}]+")
"""What may be a name: printable ASCII without the equals sign that ends it, and without a tilde."""


def _check(file: BinaryIO) -> None:
    """Raises TooMuchError if there are too many comments. Those of a FLAC file are read from the file itself."""
    start = file.tell()
    vendor_size = file.read(4)
    if len(vendor_size) == 4:
        file.seek(struct.unpack("<I", vendor_size)[0], os.SEEK_CUR)
        count = file.read(4)
        if len(count) == 4 and struct.unpack("<I", count)[0] > _MOST_COMMENTS:
            raise TooMuchError(f"it has more than {_MOST_COMMENTS:,} comments")
    file.seek(start)


def _load(comments: VComment, file: BinaryIO, load: Callable[..., None], *, framing: bool) -> None:
    """Fills in comments as mutagen's ``load`` does, which is called for those that have anything special."""
    start = file.tell()
    plain = _plain(file, framing=framing)
    if plain is None:
        file.seek(start)
        load(file, framing=framing)
    else:
        comments.extend(plain)


def _plain(file: BinaryIO, *, framing: bool) -> list[tuple[str, str]] | None:
    """Returns names and texts; None if the file ends before them, or there is a name that is not ASCII."""
    found = []
    try:
        file.read(*_SIZE.unpack(file.read(4)))  # the name of a program
        for number in range(*_SIZE.unpack(file.read(4))):
            comment = file.read(*_SIZE.unpack(file.read(4))).decode("utf-8", "replace")
            name, separator, text = comment.partition("=")
            if not separator:
                name, text = f"unknown{number}", comment  # as mutagen calls it
            if _NAME.fullmatch(name):
                found.append((name, text))
            elif not name.isascii():
                return None
    except struct.error:
        return None
    if framing and not file.read(1).startswith(_FRAMING):
        return None
    return found


class _VorbisComments(OggVCommentDict):
    def load(self, fileobj: BinaryIO, errors: str = "replace", framing: bool = True) -> None:
        _check(fileobj)
        _load(self, fileobj, super().load, framing=framing)


class _OpusComments(OggOpusVComment):
    def load(self, fileobj: BinaryIO, errors: str = "replace", framing: bool = True) -> None:
        _check(fileobj)
        _load(self, fileobj, super().load, framing=framing)


class _OggFLACComments(OggFLACVComment):
    def load(self, fileobj: BinaryIO, errors: str = "replace", framing: bool = True) -> None:
        _check(fileobj)
        _load(self, fileobj, super().load, framing=framing)


class _FLACComments(VCFLACDict):
    def load(self, data: BinaryIO, errors: str = "replace", framing: bool = False) -> None:
        _load(self, data, super().load, framing=framing)


class _OggVorbis(OggVorbis):
    _Tags = _VorbisComments


class _OggOpus(OggOpus):
    _Tags = _OpusComments


class _OggFLAC(OggFLAC):
    _Tags = _OggFLACComments


_BLOCKS = [_FLACComments if block is VCFLACDict else block for block in FLAC.METADATA_BLOCKS]


class _FLAC(FLAC):
    METADATA_BLOCKS = _BLOCKS


def read_flac(file: BinaryIO) -> RawTags:
    """Reads a FLAC file. Raises what mutagen raises."""
    return _raw(_FLAC, file)


def read_ogg_vorbis(file: BinaryIO) -> RawTags:
    """Reads an Ogg Vorbis file. Raises what mutagen raises."""
    return _raw(_OggVorbis, file)


def read_ogg_opus(file: BinaryIO) -> RawTags:
    """Reads an Ogg Opus file. Raises what mutagen raises."""
    return _raw(_OggOpus, file)


def read_ogg_flac(file: BinaryIO) -> RawTags:
    """Reads a file of FLAC in Ogg. Raises what mutagen raises."""
    return _raw(_OggFLAC, file)


def others(_file: BinaryIO, _names: Set[str]) -> Mapping[str, str]:
    """Returns nothing: what is read of these files holds every comment, and nothing else is written to."""
    return {}


def _raw(read: Callable[[BinaryIO], FileType], file: BinaryIO) -> RawTags:
    audio = read(file)
    values: dict[str, list[str]] = {}
    if isinstance(audio.tags, VComment):
        for key, text in audio.tags:
            values.setdefault(key.upper(), []).append(text)
    return RawTags("vorbis", values, length_of(audio))
