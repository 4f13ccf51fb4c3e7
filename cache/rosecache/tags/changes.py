"""What a user wants the tags of a file to say: as a value, and as the text of each field.

Everything that can be said about a value without looking at a file is said here, so a value that would not
be read back as it was meant is refused before anything is written. This module opens no file.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

import msgspec

from rosecache.composing import compose
from rosecache.model import RELEASE_TYPES, Artist, ArtistMapping, PartialDate
from rosecache.tags.artists import format_artist_field, parse_artist_field
from rosecache.tags.fields import Container, clean, split, split_genres
from rosecache.tags.values import AudioTags, parse_uuid

ParentGenres = Callable[[tuple[str, ...]], tuple[str, ...]]
"""Takes the genres of a field, and returns the parents to write behind them."""


class Unchanged(Enum):
    """The type of :data:`UNCHANGED`."""

    UNCHANGED = "unchanged"


UNCHANGED: Final = Unchanged.UNCHANGED
"""Stands for the value of a field that is to stay byte for byte."""


@dataclass(frozen=True, slots=True)
class TagChanges:
    """New values of fields, named as in :class:`AudioTags`. None, and whatever is empty, removes the field."""

    id: str | Unchanged | None = UNCHANGED
    release_id: str | Unchanged | None = UNCHANGED
    tracktitle: str | Unchanged | None = UNCHANGED
    tracknumber: str | Unchanged | None = UNCHANGED
    """Without a total; one that is in the file stays."""
    discnumber: str | Unchanged | None = UNCHANGED
    releasetitle: str | Unchanged | None = UNCHANGED
    releasetype: str | Unchanged | None = UNCHANGED
    """One of ``RELEASE_TYPES``."""
    releasedate: PartialDate | Unchanged | None = UNCHANGED
    originaldate: PartialDate | Unchanged | None = UNCHANGED
    compositiondate: PartialDate | Unchanged | None = UNCHANGED
    genres: tuple[str, ...] | Unchanged = UNCHANGED
    secondary_genres: tuple[str, ...] | Unchanged = UNCHANGED
    descriptors: tuple[str, ...] | Unchanged = UNCHANGED
    labels: tuple[str, ...] | Unchanged = UNCHANGED
    catalognumber: str | Unchanged | None = UNCHANGED
    edition: str | Unchanged | None = UNCHANGED
    releaseartists: ArtistMapping | Unchanged = UNCHANGED
    trackartists: ArtistMapping | Unchanged = UNCHANGED
    """Every role: what the fields of single roles say is replaced too. Aliases are not written."""


def changes_between(old: AudioTags, new: AudioTags) -> TagChanges:
    """Returns the changes that make tags which say ``old`` say ``new``; aliases make no difference."""
    values = {
        field.name: (_without_aliases(getattr(old, field.name)), _without_aliases(getattr(new, field.name)))
        for field in dataclasses.fields(TagChanges)
    }
    return TagChanges(**{field: now for field, (before, now) in values.items() if now != before})


class Wish(msgspec.Struct, frozen=True):
    """What one field is to hold."""

    field: str
    text: str | None
    """None for no such field."""
    value: object
    """What :class:`AudioTags` has then."""
    has_parents: bool = False
    """Whether the text holds something derived, which reading drops."""


def wishes(
    changes: TagChanges, container: Container, parent_genres: ParentGenres | None = None
) -> list[Wish]:
    """Returns what each field that is to change shall hold.

    Raises:
        ValueError: A value cannot be written; the text names the field and says why.
    """
    found = []
    for field in dataclasses.fields(TagChanges):
        value = getattr(changes, field.name)
        if value is UNCHANGED:
            continue
        try:
            wish = _WISHES[field.name](field.name, value, container)
        except ValueError as error:
            raise ValueError(f"{field.name}: {error}") from error
        if parent_genres is not None and wish.text is not None and field.name in _GENRES:
            wish = _with_parents(wish, parent_genres)
        found.append(wish)
    return found


def _without_aliases(value: Any) -> Any:
    if not isinstance(value, ArtistMapping):
        return value
    return ArtistMapping(**{role: tuple(a for a in found if not a.alias) for role, found in value.items()})


def _text_wish(field: str, value: str | None, _container: Container) -> Wish:
    text = _text(value)
    return Wish(field, text, text)


def _number_wish(field: str, value: str | None, container: Container) -> Wish:
    text = _text(value)
    if text is None:
        return Wish(field, None, "1")
    if "/" in text:
        raise ValueError(f"{text!r} is no single number")
    if container == "mp4":
        if not (text.isascii() and text.isdecimal() and 1 <= int(text) < 2**16):
            raise ValueError(f"{text!r} is not a whole number from 1 to 65535, and .m4a files hold no other")
        text = str(int(text))
    return Wish(field, text, text)


def _type_wish(field: str, value: str | None, _container: Container) -> Wish:
    text = _text(value)
    if text is None:
        return Wish(field, None, "unknown")
    if text.lower() not in RELEASE_TYPES:
        raise ValueError(f"{text!r} is none of {', '.join(RELEASE_TYPES)}")
    return Wish(field, text.lower(), text.lower())


def _date_wish(field: str, value: PartialDate | None, _container: Container) -> Wish:
    if value is None:
        return Wish(field, None, None)
    if (value.month is None) != (value.day is None) or PartialDate.parse(str(value)) != value:
        raise ValueError(f"{value!r} is no date")
    return Wish(field, str(value), value)


def _id_wish(field: str, value: str | None, _container: Container) -> Wish:
    text = _text(value)
    identifier = None if text is None else parse_uuid(text)
    if text is not None and identifier is None:
        raise ValueError(f"{text!r} is no UUID")
    return Wish(field, identifier, identifier)


def _list_wish(field: str, value: Sequence[str], _container: Container) -> Wish:
    read = split_genres if field in _GENRES else split
    values = _distinct(value)
    for each in values:
        if read([each]) != (each,):
            raise ValueError(f"{each!r} holds what separates one value from the next")
    text = ";".join(values)
    if read([text]) != values:
        raise ValueError(f"{text!r} would be read back as {_shown(read([text]))}")
    return Wish(field, text or None, values)


def _artists_wish(field: str, value: ArtistMapping, _container: Container) -> Wish:
    mapping = ArtistMapping(
        **{
            role: tuple(map(Artist, _distinct([artist.name for artist in artists if not artist.alias])))
            for role, artists in value.items()
        }
    )
    for artist in mapping.all:
        if parse_artist_field(artist.name) != ArtistMapping(main=(artist,)):
            raise ValueError(f"{artist.name!r} holds what separates one artist from the next")
    text = format_artist_field(mapping)
    if parse_artist_field(text) != mapping:
        raise ValueError(f"{text!r} would be read back as other artists")
    return Wish(field, text or None, mapping)


def _with_parents(wish: Wish, parent_genres: ParentGenres) -> Wish:
    parents = ";".join(_distinct(parent_genres(split_genres([wish.text or ""]))))
    text = rf"{wish.text}\\PARENTS:\\{parents}" if parents else wish.text
    return msgspec.structs.replace(wish, text=text, has_parents=True)


def _text(value: str | None) -> str | None:
    """Returns the text as reading cleans it; None if nothing is left."""
    stripped = compose((value or "").strip())
    if clean(stripped) != stripped:
        raise ValueError(f"{value!r} holds a character that is no text")
    return stripped or None


def _distinct(values: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for value in values if (text := _text(value)) is not None))


def _shown(values: Sequence[str]) -> str:
    return ", ".join(map(repr, values)) or "nothing"


_GENRES = ("genres", "secondary_genres")

_WISHES: Mapping[str, Callable[[str, Any, Container], Wish]] = {
    "id": _id_wish,
    "release_id": _id_wish,
    "tracktitle": _text_wish,
    "tracknumber": _number_wish,
    "discnumber": _number_wish,
    "releasetitle": _text_wish,
    "releasetype": _type_wish,
    "releasedate": _date_wish,
    "originaldate": _date_wish,
    "compositiondate": _date_wish,
    "genres": _list_wish,
    "secondary_genres": _list_wish,
    "descriptors": _list_wish,
    "labels": _list_wish,
    "catalognumber": _text_wish,
    "edition": _text_wish,
    "releaseartists": _artists_wish,
    "trackartists": _artists_wish,
}
