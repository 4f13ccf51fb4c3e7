"""What the tags of one audio file say, as a value, and how it is made of the texts found in a file.

All rules of reading that are the same for every container are here; this module opens no file.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Mapping
from typing import TypeVar

import msgspec
from mutagen import FileType

from rosecache.model import RELEASE_TYPES, ArtistMapping, PartialDate
from rosecache.tags.artists import merge_artists, parse_artist_field, with_role
from rosecache.tags.fields import (
    FIELDS,
    KEYS,
    READ_ONLY_ROLES,
    Container,
    Values,
    clean,
    every_text,
    fields_in,
    size_of_fields,
    split,
    split_genres,
    texts,
)
from rosecache.tags.sparing import MOST_SHOWN, TooMuchError

T = TypeVar("T")

_UUID = re.compile(
    r"\{?([0-9a-f]{8})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{12})\}?", re.ASCII
)
_LONGEST = 2**31
"""No audio file is longer, in seconds: a stream that says so is broken."""

_SHORT = 256
"""Characters of the texts of one field, and their number, up to which it is remembered what they say."""

_NOTHING: Mapping[str, tuple[str, ...]] = dict.fromkeys(FIELDS, ())


class RawTags(msgspec.Struct, frozen=True):
    """What a container module found: texts by name in capitals, and the length in seconds.

    Making one raises TooMuchError if the fields that are shown hold more than the cache takes of one file.
    """

    container: Container
    values: Values
    length: float

    def __post_init__(self) -> None:
        if self.size > MOST_SHOWN and self.shown_size > MOST_SHOWN:
            raise TooMuchError(f"its fields hold more than {MOST_SHOWN // 2**20} MiB of text")

    @property
    def size(self) -> int:
        """Characters of all texts: pictures and comments, too, where the container has them as text."""
        return sum(len(text) for found in self.values.values() for text in found)

    @property
    def shown_size(self) -> int:
        """Characters of the fields that the table of fields names."""
        return size_of_fields(self.container, self.values)


def length_of(audio: FileType) -> float:
    """Returns the length that a mutagen file has, in seconds; 0 if it has none."""
    return float(getattr(audio.info, "length", 0.0) or 0.0)


class AudioTags(msgspec.Struct, frozen=True):
    """What the tags of one audio file say. Texts are clean: stripped, without NUL and lone surrogates."""

    id: str | None
    """The track's id: canonical lower-case UUID text; None if the tag is missing or holds anything else."""
    release_id: str | None
    """The same of its release."""
    tracktitle: str | None
    tracknumber: str
    """Text, since vinyl sides are ``A1``; without a total; ``1`` if missing."""
    discnumber: str
    """As ``tracknumber``."""
    releasetitle: str | None
    releasetype: str
    """One of ``RELEASE_TYPES``."""
    releasedate: PartialDate | None
    originaldate: PartialDate | None
    compositiondate: PartialDate | None
    genres: tuple[str, ...]
    secondary_genres: tuple[str, ...]
    descriptors: tuple[str, ...]
    labels: tuple[str, ...]
    catalognumber: str | None
    edition: str | None
    releaseartists: ArtistMapping
    trackartists: ArtistMapping
    """All that the artist field and the fields of single roles name."""
    duration_seconds: int
    """Rounded; 0 when unknown."""


def parse_uuid(text: str) -> str | None:
    """Returns a UUID in canonical form, whatever case, hyphens and braces it has; None if the text is none."""
    matched = _UUID.fullmatch(text.lower())
    return "-".join(matched.groups()) if matched else None


def ids_of(raw: RawTags) -> tuple[str | None, str | None]:
    """Returns the ids of track and release, as :class:`AudioTags` has them."""
    keys, values = KEYS[raw.container], raw.values
    return _uuid(texts(values, keys["id"])), _uuid(texts(values, keys["release_id"]))


def tags_of(raw: RawTags) -> AudioTags:
    """Applies the rules of reading to what a container module found."""
    keys, values = KEYS[raw.container], raw.values
    present = fields_in(raw.container, values)
    found = {**_NOTHING, **present}

    def date(field: str) -> PartialDate | None:
        return _date(tuple(every_text(values, keys[field]))) if field in present else None

    trackartists = _artists(found["trackartists"])
    for role in READ_ONLY_ROLES:
        if names := found[role]:
            trackartists = with_role(trackartists, role, _values(names))
    return AudioTags(
        id=_uuid(found["id"]),
        release_id=_uuid(found["release_id"]),
        tracktitle=_first(found["tracktitle"]),
        tracknumber=_number(found["tracknumber"]),
        discnumber=_number(found["discnumber"]),
        releasetitle=_first(found["releasetitle"]),
        releasetype=_release_type(found["releasetype"]),
        releasedate=date("releasedate"),
        originaldate=date("originaldate"),
        compositiondate=date("compositiondate"),
        genres=_genres(found["genres"]),
        secondary_genres=_genres(found["secondary_genres"]),
        descriptors=_values(found["descriptors"]),
        labels=_values(found["labels"]),
        catalognumber=_first(found["catalognumber"]),
        edition=_first(found["edition"]),
        releaseartists=_artists(found["releaseartists"]),
        trackartists=trackartists,
        duration_seconds=_seconds(raw.length),
    )


def _remembering(read: Callable[[tuple[str, ...]], T]) -> Callable[[tuple[str, ...]], T]:
    """Makes a reader of texts one that remembers what it read: the tracks of a release have mostly the same."""
    read_again = functools.lru_cache(maxsize=256)(read)
    nothing = read(())

    def reading(found: tuple[str, ...]) -> T:
        if not found:
            return nothing
        return read_again(found) if sum(map(len, found), len(found)) <= _SHORT else read(found)

    return reading


def _first(found: tuple[str, ...]) -> str | None:
    return found[0] if found else None


def _uuid(found: tuple[str, ...]) -> str | None:
    return parse_uuid(found[0]) if found else None


def _number(found: tuple[str, ...]) -> str:
    return (found[0].partition("/")[0].strip() if found else "") or "1"


_values = _remembering(split)
_genres = _remembering(split_genres)


@_remembering
def _date(found: tuple[str, ...]) -> PartialDate | None:
    return next(filter(None, map(PartialDate.parse, map(clean, found))), None)


@_remembering
def _release_type(found: tuple[str, ...]) -> str:
    # Some taggers put secondary types beside the first one ("album; live"): the first known one counts.
    return next((kind for text in split(found) if (kind := text.lower()) in RELEASE_TYPES), "unknown")


@_remembering
def _artists(found: tuple[str, ...]) -> ArtistMapping:
    if len(found) == 1:
        return parse_artist_field(found[0])
    # Each repetition is a whole field: joined up, one's guests would swallow the next one's artists.
    return merge_artists(map(parse_artist_field, found))


def _seconds(length: float) -> int:
    return round(length) if math.isfinite(length) and 0 <= length < _LONGEST else 0
