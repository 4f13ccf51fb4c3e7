"""What can be a value of a tag, and how a file gives it back: asked when a rule is read, and when it acts.

Asks those who write tags, and opens no file.
"""

from __future__ import annotations

from typing import Any

from rosecache.model import Artist, ArtistMapping, PartialDate
from rosecache.tags.changes import TagChanges, wishes
from rosecache.tags.fields import Container
from rosefs.rules.model import LIST_TAGS, Tag

WITHOUT: dict[Tag, str] = {"tracknumber": "1", "discnumber": "1", "releasetype": "unknown"}
"""What some tags read as when a file has none."""

_DATES = ("releasedate", "originaldate", "compositiondate")

_FIELDS = {
    "genre": "genres",
    "secondarygenre": "secondary_genres",
    "descriptor": "descriptors",
    "label": "labels",
}
"""The tags of several values, without artists, by what writing calls them; all others are called the same."""


def checked(tag: Tag, values: tuple[str, ...], container: Container = "vorbis") -> tuple[str, ...]:
    """Returns values as a file would give them back after they were written to it.

    Args:
        tag: One that can be changed.
        values: At most one if the tag is not in LIST_TAGS.
        container: The kind of file. The usual one holds all that any does.

    Raises:
        ValueError: They cannot be the tag's values; the text says why, without the tag.
    """
    if not values:
        if tag == "new":
            raise ValueError("new is true or false, and never neither")
        return (WITHOUT[tag],) if tag in WITHOUT else ()
    if tag == "new":
        if values[0].lower() not in ("true", "false"):
            raise ValueError("new is true or false")
        return (values[0].lower(),)
    if tag in _DATES:
        date = PartialDate.parse(values[0])
        if date is None:
            raise ValueError("a date is YYYY or YYYY-MM-DD")
        return (str(date),)
    try:
        [wish] = wishes(_changes(tag, values), container)
    except ValueError as error:
        raise ValueError(str(error).partition(": ")[2]) from error
    return values if tag in LIST_TAGS else (str(wish.value),)


def _changes(tag: Tag, values: tuple[str, ...]) -> TagChanges:
    field, _, role = tag.removesuffix("]").partition("[")
    value: Any
    if role:
        field, value = f"{field}s", ArtistMapping(**{role: tuple(map(Artist, values))})
    elif tag in LIST_TAGS:
        field, value = _FIELDS[tag], values
    else:
        value = values[0]
    return TagChanges(**{field: value})
