"""Smart lists: what the tables ``[[smart]]`` mean, and what they list now.

A list is a matcher, and how what it finds is sorted and cut off. Nothing of it is kept: it is asked of the cache
whenever it is wanted. Nothing here changes anything.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from rosecache.config import Config
from rosecache.errors import ConfigError
from rosecache.formatting import format_artists
from rosecache.model import Release, Track
from rosefs.rules.errors import RuleSyntaxError
from rosefs.rules.matching import find_releases, find_tracks
from rosefs.rules.model import Matcher
from rosefs.rules.parsing import parse_matcher
from rosefs.settings import SmartKind, SmartSettings

_T = TypeVar("_T")
_Value = Callable[[Any], Any]
"""What of a release or a track it is sorted by; None, or an empty text, for what has none."""


def _text(get: Callable[[Any], str]) -> _Value:
    return lambda thing: get(thing).casefold()


def _number(get: Callable[[Any], str]) -> _Value:
    """Numbers by size, and what is none, such as the side of a record, after them by its text."""

    def value(thing: Any) -> tuple[int, int, str] | None:
        text = get(thing)
        if not text:
            return None
        return (0, int(text), "") if text.isascii() and text.isdecimal() else (1, 0, text.casefold())

    return value


def _added(release: Release) -> datetime | None:
    try:
        added = datetime.fromisoformat(release.added_at)
    except ValueError:
        return None
    return added if added.tzinfo is not None else added.replace(tzinfo=UTC)


_OF_RELEASES: Mapping[str, _Value] = {
    "added_at": _added,
    "releasedate": attrgetter("releasedate"),
    "originaldate": attrgetter("originaldate"),
    "compositiondate": attrgetter("compositiondate"),
    "releasetitle": _text(attrgetter("releasetitle")),
    "artist": _text(lambda release: format_artists(release.releaseartists)),
}


def _of_release(value: _Value) -> _Value:
    return lambda track: value(track.release)


_OF_TRACKS: Mapping[str, _Value] = {
    **{key: _of_release(value) for key, value in _OF_RELEASES.items()},
    "artist": _text(lambda track: format_artists(track.trackartists)),
    "tracktitle": _text(attrgetter("tracktitle")),
    "discnumber": _number(attrgetter("discnumber")),
    "tracknumber": _number(attrgetter("tracknumber")),
    "duration": attrgetter("duration_seconds"),
}

SORT_KEYS: Mapping[SmartKind, Collection[str]] = {
    "collage": _OF_RELEASES, "search": _OF_RELEASES, "playlist": _OF_TRACKS,
}  # fmt: skip
"""By what each kind can be sorted."""


class SortKey(msgspec.Struct, frozen=True):
    """One thing to sort by: one of SORT_KEYS, and whether from the greatest on."""

    key: str
    descending: bool


class Smart(msgspec.Struct, frozen=True):
    """A smart list.

    Attributes:
        name: Its name, once among those of its kind.
        kind: Where it is shown.
        matcher: What it lists.
        sort: By what it is sorted, the most important first. What is equal then is in the order of source paths,
            and what has no value is last.
        limit: How many it lists at most, from the first; None for all.
    """

    name: str
    kind: SmartKind
    matcher: Matcher
    sort: tuple[SortKey, ...] = ()
    limit: int | None = None


def parse_smart(settings: Iterable[SmartSettings], *, path: Path | None = None) -> tuple[Smart, ...]:
    """Reads the tables ``[[smart]]``, in order.

    Args:
        settings: The tables.
        path: The file that they are from, for errors.

    Raises:
        ConfigError: A matcher or what to sort by cannot be read; the error names the key.
    """
    return tuple(_parse(each, f"smart[{index}]", path) for index, each in enumerate(settings))


def _parse(settings: SmartSettings, key: str, path: Path | None) -> Smart:
    try:
        matcher = parse_matcher(settings.matcher)
    except RuleSyntaxError as error:
        raise ConfigError(str(error), key=f"{key}.matcher", path=path) from error
    words = [word.strip() for word in settings.sort.split(",")] if settings.sort.strip() else []
    sort = tuple(SortKey(word.removeprefix("-"), word.startswith("-")) for word in words)
    known = SORT_KEYS[settings.kind]
    for each in sort:
        if each.key not in known:
            reason = f"a {settings.kind} cannot be sorted by {each.key!r}, but by {', '.join(known)}"
            raise ConfigError(reason, key=f"{key}.sort", path=path)
    return Smart(settings.name, settings.kind, matcher, sort, settings.limit)


def releases_of(c: Config, smart: Smart) -> list[Release]:
    """Returns the releases that a collage or a search lists, in order."""
    return _listed(find_releases(c, smart.matcher), smart, _OF_RELEASES)


def tracks_of(c: Config, smart: Smart) -> list[Track]:
    """Returns the tracks that a playlist lists, in order."""
    return _listed(find_tracks(c, smart.matcher), smart, _OF_TRACKS)


def _listed(found: Sequence[_T], smart: Smart, values: Mapping[str, _Value]) -> list[_T]:
    listed = sorted(found, key=attrgetter("source_path"))
    for each in reversed(smart.sort):
        keyed = [(values[each.key](thing), thing) for thing in listed]
        present = [pair for pair in keyed if pair[0] not in (None, "")]
        present.sort(
            key=lambda pair: pair[0], reverse=each.descending
        )  # keeps the order of equals, either way
        listed = [thing for _, thing in present]
        listed += [thing for value, thing in keyed if value in (None, "")]
    return listed[: smart.limit]
