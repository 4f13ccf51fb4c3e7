"""Vorbis comments: the one kind of tag that FLAC and the Ogg formats share.

Nothing is ever written through mutagen. Specification: https://xiph.org/vorbis/doc/v-comment.html
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import BinaryIO

from mutagen import FileType
from mutagen._vorbis import VComment
from mutagen.flac import FLAC
from mutagen.oggflac import OggFLAC
from mutagen.oggopus import OggOpus
from mutagen.oggvorbis import OggVorbis

from rosecache.tags.values import RawTags, length_of


def read_flac(file: BinaryIO) -> RawTags:
    """Reads a FLAC file. Raises what mutagen raises."""
    return _raw(FLAC(file))


def read_ogg_vorbis(file: BinaryIO) -> RawTags:
    """Reads an Ogg Vorbis file. Raises what mutagen raises."""
    return _raw(OggVorbis(file))


def read_ogg_opus(file: BinaryIO) -> RawTags:
    """Reads an Ogg Opus file. Raises what mutagen raises."""
    return _raw(OggOpus(file))


def read_ogg_flac(file: BinaryIO) -> RawTags:
    """Reads a file of FLAC in Ogg. Raises what mutagen raises."""
    return _raw(OggFLAC(file))


def others(_file: BinaryIO, _names: Set[str]) -> Mapping[str, str]:
    """Returns nothing: what is read of these files holds every comment, and nothing else is written to."""
    return {}


def _raw(audio: FileType) -> RawTags:
    values: dict[str, list[str]] = {}
    if isinstance(audio.tags, VComment):
        for key, text in audio.tags:
            values.setdefault(key.upper(), []).append(text)
    return RawTags("vorbis", values, length_of(audio))
