"""ID3 tags of MP3 files: what they say.

Versions 2.2, 2.3, 2.4 and 1 are read, as mutagen parses them but without its translation to 2.4, which
drops dates that it cannot merge. Nothing is ever written through mutagen.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Set
from typing import Any, BinaryIO

from mutagen.id3 import ID3NoHeaderError
from mutagen.mp3 import MP3

from rosecache.tags.fields import FIELDS
from rosecache.tags.id3_limits import TextTags, WholeTags
from rosecache.tags.id3_quick import QUICK_FRAMES
from rosecache.tags.values import RawTags, length_of

TEXT_FRAMES = frozenset(
    {name for names in FIELDS.values() for name in names.id3 if ":" not in name} | {"TDAT"}
)
"""The frames that :func:`read` returns, besides those that have a description or people."""

_YEAR = re.compile(r"\s*\d{4}\s*")
_DAY_MONTH = re.compile(r"\s*(\d\d)(\d\d)\s*")


class _MP3(MP3):
    ID3 = TextTags


_read: Callable[..., MP3] = _MP3
_read_all: Callable[..., Any] = WholeTags


def read(file: BinaryIO) -> RawTags:
    """Reads an MP3 file. Raises what mutagen raises, and ValueError if it is hardly MPEG audio."""
    audio = _read(file, translate=False, known_frames=QUICK_FRAMES)
    values: dict[str, list[str]] = {}
    # Mutagen's frames get their attributes at run time, so no type checker knows them.
    frames: Iterable[Any] = audio.tags.values() if audio.tags is not None else ()
    for frame in frames:
        name: str = frame.FrameID
        if name == "TXXX":
            values.setdefault(f"TXXX:{frame.desc.upper()}", []).extend(map(str, frame.text))
        elif name == "TCON":
            values[name] = list(frame.genres)
        elif name in TEXT_FRAMES:
            values[name] = list(map(str, frame.text))
        elif name in ("TIPL", "IPLS"):
            for role, person in frame.people:
                values.setdefault(f"{name}:{role.strip().upper()}", []).append(person)
    if audio.tags is None and getattr(audio.info, "sketchy", True):
        # Two chance frame headers in a row are common in random bytes.
        raise ValueError("no MPEG audio found")
    _put_day_to_year(values)
    return RawTags("id3", values, length_of(audio))


def others(file: BinaryIO, names: Set[str]) -> Mapping[str, str]:
    """Returns the frames, pictures too, but for those of some names. Raises what mutagen raises.

    Involved people are left out too: :func:`read` returns each of them.
    """
    try:
        tags = _read_all(file, translate=False)
    except ID3NoHeaderError:
        return {}
    found = {
        key: repr(frame)
        for key, frame in tags.items()
        if key.upper() not in names and frame.FrameID not in ("TIPL", "IPLS")
    }
    return found | {f"unknown {number}": repr(raw) for number, raw in enumerate(tags.unknown_frames)}


def _put_day_to_year(values: dict[str, list[str]]) -> None:
    """Before version 2.4 a date is two frames: the year, and four digits of day and month."""
    for year, day in zip(values.get("TYER", ()), values.get("TDAT", ()), strict=False):
        matched = _DAY_MONTH.fullmatch(day)
        if matched is not None and _YEAR.fullmatch(year):
            values["TYER"] = [f"{year.strip()}-{matched[2]}-{matched[1]}"]
        return
