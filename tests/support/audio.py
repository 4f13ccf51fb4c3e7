"""Builders of small real audio files for tests.

The files are copies of the checked-in fixtures, tagged through mutagen's own classes: never through the
package under test, so that a mistake in that package cannot hide itself. Fields are named as in the
table of tag fields: the Vorbis comment's name stands for the field in every container.
"""

from __future__ import annotations

import base64
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mutagen import FileType
from mutagen.flac import FLAC, Picture
from mutagen.id3 import APIC, ID3, TXXX, Encoding, Frames, ID3NoHeaderError
from mutagen.mp4 import MP4, MP4Cover, MP4FreeForm
from mutagen.oggflac import OggFLAC
from mutagen.oggopus import OggOpus
from mutagen.oggvorbis import OggVorbis

FORMATS: tuple[str, ...] = ("mp3", "m4a", "ogg", "opus", "flac")
"""Suffixes of the audio files, without the dot."""

FIXTURES = Path(__file__).parent.parent / "data" / "audio"

PICTURE = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de"
    "0000000c4944415408d763f8cfc0000003010100c9fe92ef0000000049454e44ae426082"
)
"""A PNG of one red pixel."""

ID3_NAMES: Mapping[str, str] = {
    "roseid": "TXXX:ROSEID", "rosereleaseid": "TXXX:ROSERELEASEID", "title": "TIT2", "tracknumber": "TRCK",
    "discnumber": "TPOS", "album": "TALB", "releasetype": "TXXX:RELEASETYPE", "date": "TDRC",
    "originaldate": "TDOR", "compositiondate": "TXXX:COMPOSITIONDATE", "genre": "TCON",
    "secondarygenre": "TXXX:SECONDARYGENRE", "descriptor": "TXXX:DESCRIPTOR", "label": "TPUB",
    "catalognumber": "TXXX:CATALOGNUMBER", "edition": "TXXX:EDITION", "albumartist": "TPE2",
    "artist": "TPE1", "remixer": "TPE4", "composer": "TCOM", "conductor": "TPE3",
    "producer": "TIPL:producer", "djmixer": "TIPL:DJ-mix", "comment": "TXXX:COMMENT",
}  # fmt: skip

_ROSE = "----:net.sunsetglow.rose:"
_ITUNES = "----:com.apple.iTunes:"
MP4_NAMES: Mapping[str, str] = {
    "roseid": _ROSE + "ID", "rosereleaseid": _ROSE + "RELEASEID", "title": "\xa9nam", "tracknumber": "trkn",
    "discnumber": "disk", "album": "\xa9alb", "releasetype": _ITUNES + "RELEASETYPE", "date": "\xa9day",
    "originaldate": _ROSE + "ORIGINALDATE", "compositiondate": _ROSE + "COMPOSITIONDATE",
    "genre": "\xa9gen", "secondarygenre": _ROSE + "SECONDARYGENRE", "descriptor": _ROSE + "DESCRIPTOR",
    "label": _ITUNES + "LABEL", "catalognumber": _ITUNES + "CATALOGNUMBER", "edition": _ROSE + "EDITION",
    "albumartist": "aART", "artist": "\xa9ART", "remixer": _ITUNES + "REMIXER", "composer": "\xa9wrt",
    "conductor": _ITUNES + "CONDUCTOR", "producer": _ITUNES + "PRODUCER", "djmixer": _ITUNES + "DJMIXER",
    "comment": "\xa9cmt",
}  # fmt: skip


def make_track(
    path: Path,
    *,
    title: str | None = "Track",
    artist: str | None = "Artist",
    album: str | None = "Album",
    albumartist: str | None = None,
    tracknumber: str | None = "1",
    discnumber: str | None = "1",
    date: str | None = "2020",
    genre: str | None = "K-Pop;Pop",
    label: str | None = "Label",
    releasetype: str | None = "album",
    picture: bytes | None = None,
    **more: str | None,
) -> Path:
    """Makes an audio file of the format that the path's suffix names, one second long, and returns the path.

    The directory is made if need be. None leaves a field out; ``albumartist`` is the artist unless given.
    ``more`` takes every other field of the table (``originaldate``, ``descriptor``, ``producer`` …).
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(FIXTURES / f"silence{path.suffix.lower()}", path)
    set_tags(
        path, title=title, artist=artist, album=album, albumartist=albumartist or artist,
        tracknumber=tracknumber, discnumber=discnumber, date=date, genre=genre, label=label,
        releasetype=releasetype, **more,
    )  # fmt: skip
    if picture is not None:
        set_picture(path, picture)
    return path


def make_release(
    source: Path,
    name: str = "Artist - Album",
    *,
    tracks: int = 2,
    format: str = "opus",
    cover: bool = False,
    picture: bytes | None = None,
    **tags: str | None,
) -> Path:
    """Makes a release directory of tracks ``01.opus``, ``02.opus`` … titled ``Track 1`` …, and returns it.

    ``tags`` and ``picture`` go to every track, as in :func:`make_track`; ``cover`` adds a ``cover.png``.
    """
    release = source / name
    for number in range(1, tracks + 1):
        own: dict[str, str | None] = {"title": f"Track {number}", "tracknumber": str(number)}
        make_track(release / f"{number:02}.{format}", picture=picture, **(own | tags))
    if cover:
        (release / "cover.png").write_bytes(PICTURE)
    return release


def set_tags(path: Path, **fields: str | None) -> None:
    """Edits tags in place, as a tagger would. None removes a field; fields not named stay."""
    match path.suffix.lower():
        case ".mp3":
            _set_id3(path, fields)
        case ".m4a":
            _set_mp4(path, fields)
        case _:
            audio = open_vorbis(path)
            if isinstance(audio, FLAC) and audio.tags is None:
                audio.add_tags()
            for name, value in fields.items():
                if value is None:
                    audio.pop(name, None)
                else:
                    audio[name] = [value]
            audio.save()


def open_vorbis(path: Path) -> FileType:
    """Opens a file of one of the Vorbis comment formats with the mutagen class for what it really holds."""
    head = path.read_bytes()[:64]
    if b"OpusHead" in head:
        return OggOpus(path)
    if b"\x01vorbis" in head:
        return OggVorbis(path)
    return OggFLAC(path) if b"\x7fFLAC" in head else FLAC(path)


def texts_by_mutagen(path: Path) -> Mapping[str, list[str]]:
    """Returns all texts by the names of the kind of tag, as mutagen finds them without any help of ours."""
    if path.suffix == ".mp3":
        return {key: list(map(str, getattr(frame, "text", ()))) for key, frame in ID3(path).items()}
    if path.suffix == ".m4a":
        tags: Mapping[str, Any] = MP4(path).tags or {}
        return {
            key: [v.decode(errors="replace") if isinstance(v, bytes) else str(v) for v in found]
            for key, found in tags.items()
        }
    audio = open_vorbis(path)
    return {key: list(audio[key]) for key in audio}


def set_picture(path: Path, picture: bytes) -> None:
    """Puts a front cover (PNG) into the file's tags."""
    match path.suffix.lower():
        case ".mp3":
            tags = ID3(path)
            tags.add(APIC(encoding=Encoding.UTF8, mime="image/png", type=3, desc="front", data=picture))
            tags.save()
        case ".m4a":
            mp4 = MP4(path)
            mp4["covr"] = [MP4Cover(picture, MP4Cover.FORMAT_PNG)]
            mp4.save()
        case _:
            block = Picture()
            block.type, block.mime, block.desc, block.data = 3, "image/png", "front", picture
            audio = open_vorbis(path)
            if isinstance(audio, FLAC):
                audio.add_picture(block)
            else:
                audio["metadata_block_picture"] = [_base64(block.write())]
            audio.save()


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _set_id3(path: Path, fields: Mapping[str, str | None]) -> None:
    try:
        tags = ID3(path)
    except ID3NoHeaderError:
        tags = ID3()
    for field, value in fields.items():
        frame, _, key = ID3_NAMES.get(field, f"TXXX:{field.upper()}").partition(":")
        if frame == "TIPL":
            old = tags.getall("TIPL")
            people = [pair for tipl in old for pair in tipl.people if pair[0] != key]
            people += [[key, value]] if value is not None else []
            tags.delall("TIPL")
            if people:
                tags.add(Frames["TIPL"](encoding=Encoding.UTF8, people=people))
            continue
        tags.delall(f"{frame}:{key}" if key else frame)
        if value is not None and key:
            tags.add(TXXX(encoding=Encoding.UTF8, desc=key, text=[value]))
        elif value is not None:
            tags.add(Frames[frame](encoding=Encoding.UTF8, text=[value]))
    tags.save(path)


def _set_mp4(path: Path, fields: Mapping[str, str | None]) -> None:
    audio = MP4(path)
    if audio.tags is None:
        audio.add_tags()
    for field, value in fields.items():
        key = MP4_NAMES.get(field, _ITUNES + field.upper())
        if value is None:
            audio.pop(key, None)
        elif key in ("trkn", "disk"):
            number, _, total = value.partition("/")
            audio[key] = [(int(number), int(total or 0))]
        elif key.startswith("----"):
            audio[key] = [MP4FreeForm(value.encode())]
        else:
            audio[key] = [value]
    audio.save()
