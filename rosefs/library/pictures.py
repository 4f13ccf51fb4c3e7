"""Images: what kind a file is by its first bytes, and those that audio files have embedded.

Decides nothing about covers, and writes nothing.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import mutagen

from rosecache.errors import UnreadableAudioError

HEAD_SIZE = 32
"""So many bytes of a file tell what it is."""

FRONT_COVER = 3
"""The type of picture that ID3v2 and FLAC call the front cover."""


class _Format(msgspec.Struct, frozen=True):
    name: str
    extensions: tuple[str, ...]
    """The first is what a file without a name gets."""
    matches: Callable[[bytes], bool]


_FORMATS = (
    _Format("JPEG", ("jpg", "jpeg", "jpe", "jfif"), lambda head: head.startswith(b"\xff\xd8\xff")),
    _Format("PNG", ("png",), lambda head: head.startswith(b"\x89PNG\r\n\x1a\n")),
    _Format("GIF", ("gif",), lambda head: head.startswith((b"GIF87a", b"GIF89a"))),
    _Format("WebP", ("webp",), lambda head: head.startswith(b"RIFF") and head[8:12] == b"WEBP"),
    _Format("AVIF", ("avif",), lambda head: head[4:12] in (b"ftypavif", b"ftypavis")),
    _Format("BMP", ("bmp",), lambda head: head.startswith(b"BM")),
    _Format("TIFF", ("tif", "tiff"), lambda head: head.startswith((b"II*\0", b"MM\0*"))),
    _Format("JPEG XL", ("jxl",), lambda head: head.startswith((b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n"))),
)


def extensions_of(head: bytes) -> tuple[str, ...]:
    """Returns the extensions that an image of these first bytes may have; none if it is no image we know."""
    return next((format.extensions for format in _FORMATS if format.matches(head)), ())


def name_of(head: bytes) -> str:
    """Returns what kind of image these first bytes begin, for people."""
    return next((format.name for format in _FORMATS if format.matches(head)), "no image")


def is_known_extension(extension: str) -> bool:
    """Tells whether we know what a file of this extension, in lower case and without dot, has to look like."""
    return any(extension in format.extensions for format in _FORMATS)


def embedded_picture(path: Path) -> bytes | None:
    """Returns an audio file's front cover, else its first picture, else None.

    Raises:
        OSError: It cannot be read.
        UnreadableAudioError: It is broken, or no audio file.
    """
    with open(path, "rb") as file:  # mutagen would wrap the errors of opening in its own
        try:
            audio = mutagen.File(file)
            found = list(_pictures(audio))
        except mutagen.MutagenError as error:
            raise UnreadableAudioError(path, str(error)) from error
    if audio is None:
        raise UnreadableAudioError(path, "not an audio file")
    found.sort(key=lambda picture: picture[0] != FRONT_COVER)
    return found[0][1] if found else None


def _pictures(audio: Any) -> Iterator[tuple[int, bytes]]:
    """Yields the type and the bytes of each picture in an audio file."""
    from mutagen.flac import FLAC  # slow to import, like the others
    from mutagen.id3 import ID3
    from mutagen.mp4 import MP4Tags

    tags = audio.tags if audio is not None else None
    if isinstance(audio, FLAC):
        yield from ((picture.type, picture.data) for picture in audio.pictures)
    if isinstance(tags, ID3):
        yield from ((int(frame.type), frame.data) for frame in tags.getall("APIC") if frame.data)
    elif isinstance(tags, MP4Tags):
        yield from ((FRONT_COVER, bytes(data)) for data in tags.get("covr", ()))
    elif tags is not None and not isinstance(audio, FLAC):
        yield from _vorbis_pictures(tags.get("metadata_block_picture", ()), tags.get("coverart", ()))


def _vorbis_pictures(blocks: Sequence[str], bare: Sequence[str]) -> Iterator[tuple[int, bytes]]:
    """Yields the pictures of Vorbis comments: FLAC's structure in base64, and the old way, images in base64."""
    from mutagen.flac import Picture

    for text in blocks:
        try:
            picture = Picture(base64.b64decode(text, validate=True))
        except (ValueError, struct.error, mutagen.MutagenError):
            continue
        yield picture.type, picture.data
    for text in bare:
        try:
            yield FRONT_COVER, base64.b64decode(text, validate=True)
        except ValueError:  # not base64, or not even ASCII
            continue
