"""Vorbis comments: the one kind of tag that FLAC and the Ogg formats share.

Nothing is ever written through mutagen. Specification: https://xiph.org/vorbis/doc/v-comment.html
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Mapping, Set
from typing import Any, BinaryIO

from mutagen import FileType
from mutagen._vorbis import VComment
from mutagen.flac import FLAC
from mutagen.oggflac import OggFLAC, OggFLACVComment
from mutagen.oggopus import OggOpus, OggOpusVComment
from mutagen.oggvorbis import OggVCommentDict, OggVorbis

from rosecache.tags.sparing import TooMuchError
from rosecache.tags.values import RawTags, length_of

_MOST_COMMENTS = 20_000


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


class _VorbisComments(OggVCommentDict):
    def load(self, fileobj: BinaryIO, *arguments: Any, **named: Any) -> None:
        _check(fileobj)
        load: Callable[..., None] = super().load
        load(fileobj, *arguments, **named)


class _OpusComments(OggOpusVComment):
    def load(self, fileobj: BinaryIO, *arguments: Any, **named: Any) -> None:
        _check(fileobj)
        load: Callable[..., None] = super().load
        load(fileobj, *arguments, **named)


class _FLACComments(OggFLACVComment):
    def load(self, fileobj: BinaryIO, *arguments: Any, **named: Any) -> None:
        _check(fileobj)
        load: Callable[..., None] = super().load
        load(fileobj, *arguments, **named)


class _OggVorbis(OggVorbis):
    _Tags = _VorbisComments


class _OggOpus(OggOpus):
    _Tags = _OpusComments


class _OggFLAC(OggFLAC):
    _Tags = _FLACComments


def read_flac(file: BinaryIO) -> RawTags:
    """Reads a FLAC file. Raises what mutagen raises."""
    return _raw(FLAC, file)


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
