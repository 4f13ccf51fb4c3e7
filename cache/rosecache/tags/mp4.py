"""MP4 tags (``moov.udta.meta.ilst``) of M4A files: what they say.

Nothing is ever written through mutagen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Set
from typing import Any, BinaryIO

from mutagen.mp4 import MP4, AtomDataType, MP4FreeForm, MP4Tags

from rosecache.tags.sparing import MOST_TEXT, TooMuchError
from rosecache.tags.values import RawTags, length_of


class _ReadTags(MP4Tags):
    def _render(self, key: str, value: object) -> bytes:
        return b""  # mutagen would write each value once to see whether it can, and nothing is written through it


class _MP4(MP4):
    MP4Tags = _ReadTags


_read: Callable[[BinaryIO], MP4] = _MP4


def read(file: BinaryIO) -> RawTags:
    """Reads an MP4 file. Raises what mutagen raises."""
    audio = _read(file)
    values: dict[str, list[str]] = {}
    tags: Iterable[tuple[str, Any]] = audio.tags.items() if audio.tags is not None else ()
    for key, found in tags:
        if key in ("trkn", "disk"):
            # Zero is how MP4 says that there is no number.
            values[key.upper()] = [str(number) for number, _ in found if number]
        elif key.startswith("----"):
            values.setdefault(key.upper(), []).extend(map(_text, found))
        elif isinstance(found, list) and key[0] in "\xa9a":
            values[key.upper()] = [text for text in found if isinstance(text, str)]
    if sum(len(text) for found in values.values() for text in found) > MOST_TEXT:
        raise TooMuchError(f"its tags hold more than {MOST_TEXT // 2**20} MiB of text")
    return RawTags("mp4", values, length_of(audio))


def others(file: BinaryIO, names: Set[str]) -> Mapping[str, str]:
    """Returns the items of the list, cover art too, but for those of some names. Raises what mutagen raises."""
    tags: Iterable[tuple[str, Any]] = (MP4(file).tags or {}).items()
    return {key: repr(found) for key, found in tags if key.upper() not in names}


def _text(value: MP4FreeForm) -> str:
    encoding = "utf-16-be" if value.dataformat == AtomDataType.UTF16 else "utf-8"
    return bytes(value).decode(encoding, "replace")
