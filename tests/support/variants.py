"""The kinds of audio files on which an id may have to be written, each with tags, a cover and odd bytes.

Every builder makes one file from the checked-in fixtures, with mutagen, ffmpeg or by hand, and returns its path.
"""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mutagen import File
from mutagen.id3 import ID3

from tests.support.audio import FIXTURES, PICTURE, make_track, set_picture, set_tags

Builder = Callable[[Path], Path]

TAGS: Mapping[str, Any] = {"title": "Ein Lied", "producer": "P", "genre": "K-Pop;Pop", "comment": "kept"}


def without_padding(path: Path) -> Path:
    """Saves a file's tags again so that no byte of padding is left."""
    audio = File(path)
    audio.save(padding=lambda info: 0)
    return path


def _tagged(suffix: str) -> Builder:
    return lambda directory: make_track(directory / f"01.{suffix}", picture=PICTURE, **TAGS)


def _tight(suffix: str) -> Builder:
    return lambda directory: without_padding(_tagged(suffix)(directory))


def _bare(suffix: str) -> Builder:
    def build(directory: Path) -> Path:
        path = directory / f"01.{suffix}"
        path.write_bytes((FIXTURES / f"silence.{suffix}").read_bytes())
        return path

    return build


def id3_tag(version: int, frames: bytes, *, flags: int = 0, padding: int = 0) -> bytes:
    """Returns an ID3 tag of frames that are bytes already."""
    size = len(frames) + padding
    syncsafe = bytes(size >> shift & 127 for shift in (21, 14, 7, 0))
    return b"ID3" + bytes([version, 0, flags]) + syncsafe + frames + bytes(padding)


def id3_frame(version: int, name: bytes, content: bytes, *, flags: int = 0) -> bytes:
    """Returns a frame; its size is written as the version has it."""
    if version == 2:
        return name + len(content).to_bytes(3, "big") + content
    shifts = (21, 14, 7, 0) if version == 4 else (24, 16, 8, 0)
    mask = 127 if version == 4 else 255
    return name + bytes(len(content) >> shift & mask for shift in shifts) + struct.pack(">H", flags) + content


def with_id3(directory: Path, tag: bytes, end: bytes = b"") -> Path:
    """Makes an MP3 file of a tag, the fixture's audio, and something after it."""
    path = directory / "01.mp3"
    path.write_bytes(tag + (FIXTURES / "silence.mp3").read_bytes() + end)
    return path


def _id3v22(padding: int) -> Builder:
    frames = b"".join(
        (
            id3_frame(2, b"TT2", b"\0Ein Lied"),
            id3_frame(2, b"TP1", b"\x01\xff\xfeA\0"),
            id3_frame(2, b"XYZ", b"whatever"),
            id3_frame(2, b"PIC", b"\0PNG\x03\0" + PICTURE),
        )
    )
    return lambda directory: with_id3(directory, id3_tag(2, frames, padding=padding))


def _id3v23(padding: int) -> Builder:
    def build(directory: Path) -> Path:
        path = _tagged("mp3")(directory)
        ID3(path).save(path, v2_version=3, padding=lambda info: padding)
        return path

    return build


def _moov_first(directory: Path) -> Path:
    return _remuxed(directory, "m4a", "m4a", "-movflags", "+faststart")


def _moov_first_tight(directory: Path) -> Path:
    return without_padding(_moov_first(directory))


def _fragmented(directory: Path) -> Path:
    return _remuxed(directory, "m4a", "m4a", "-movflags", "+frag_keyframe", "-frag_duration", "200000")


def _ogg_flac(directory: Path) -> Path:
    path = _remuxed(directory, "flac", "ogg", "-f", "ogg")
    set_tags(path, **TAGS)
    set_picture(path, PICTURE)
    return path


def _two_streams(directory: Path) -> Path:
    return _remuxed(directory, "opus", "ogg", "-map", "0:a", "-map", "0:a")


def _remuxed(directory: Path, source: str, suffix: str, *arguments: str) -> Path:
    path = directory / f"01.{suffix}"
    original = make_track(directory / f"original.{source}", **TAGS)
    subprocess.run(
        ["ffmpeg", "-nostdin", "-v", "error", "-i", original, "-c:a", "copy", *arguments, path],
        check=True, timeout=60,
    )  # fmt: skip
    original.unlink()
    return path


VARIANTS: Mapping[str, Builder] = {
    "mp3, no tag": _bare("mp3"),
    "mp3, ID3v2.2": _id3v22(1000),
    "mp3, ID3v2.2, no padding": _id3v22(0),
    "mp3, ID3v2.3": _id3v23(1000),
    "mp3, ID3v2.3, no padding": _id3v23(0),
    "mp3, ID3v2.4": _tagged("mp3"),
    "mp3, ID3v2.4, no padding": _tight("mp3"),
    "m4a, moov last": _tagged("m4a"),
    "m4a, moov last, no padding": _tight("m4a"),
    "m4a, moov first": _moov_first,
    "m4a, moov first, no padding": _moov_first_tight,
    "m4a, no tag": _bare("m4a"),
    "m4a, fragmented": _fragmented,
    "ogg vorbis": _tagged("ogg"),
    "ogg vorbis, no padding": _tight("ogg"),
    "ogg opus": _tagged("opus"),
    "ogg opus, no padding": _tight("opus"),
    "ogg flac": _ogg_flac,
    "ogg, two streams": _two_streams,
    "flac": _tagged("flac"),
    "flac, no padding": _tight("flac"),
    "flac, no tag": _bare("flac"),
}

KINDS = (
    "mp3, ID3v2.2",
    "mp3, ID3v2.3",
    "mp3, ID3v2.4",
    "m4a, moov last",
    "ogg vorbis",
    "ogg opus",
    "ogg flac",
    "flac",
)
"""One variant of each kind of tag and container."""
