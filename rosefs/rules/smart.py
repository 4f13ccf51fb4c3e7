"""Smart lists: what the tables ``[[smart]]`` mean, and what they list now.

A list is a matcher, and how what it finds is sorted and cut off. Nothing of it is kept: it is asked of the cache
whenever it is wanted. Nothing here changes anything.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from operator import itemgetter
from pathlib import Path
from typing import Any

import msgspec

from rosecache.config import Config
from rosecache.errors import ConfigError
from rosecache.formatting import format_artists
from rosecache.model import ArtistMapping, Release, Track
from rosecache.query.releases import list_releases
from rosecache.query.rows import natural_order, snapshot
from rosecache.query.tracks import list_tracks
from rosecache.query.values import Values, list_release_values, list_track_values
from rosefs.rules.errors import RuleSyntaxError
from rosefs.rules.matching import release_ids_of, track_ids_of
from rosefs.rules.model import Matcher
from rosefs.rules.parsing import parse_matcher
from rosefs.settings import SmartKind, SmartSettings


class _By(msgspec.Struct, frozen=True):
    """What of a release or a track it is sorted by.

    Attributes:
        field: The field that it is made of.
        value: Makes it; None, or an empty text, for what has none.
    """

    field: str
    value: Callable[[Any], Any] = lambda value: value


def _number(text: str) -> tuple[int, tuple[tuple[int, str], ...]] | None:
    """Numbers by size, and what is none, such as the side of a record, after them by its text."""
    if not text:
        return None
    if text.isascii() and text.isdecimal():
        return (0, natural_order(text))
    return (1, ((0, text.casefold()),))


def _time(text: str) -> datetime | None:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)


def _artists(artists: ArtistMapping) -> str:
    return format_artists(artists).casefold()


_OF_RELEASES: Mapping[str, _By] = {
    "added_at": _By("added_at", _time),
    "releasedate": _By("releasedate"),
    "originaldate": _By("originaldate"),
    "compositiondate": _By("compositiondate"),
    "releasetitle": _By("releasetitle", str.casefold),
    "artist": _By("releaseartists", _artists),
}
_OF_TRACKS: Mapping[str, _By] = {
    **_OF_RELEASES,
    "artist": _By("trackartists", _artists),
    "tracktitle": _By("tracktitle", str.casefold),
    "discnumber": _By("discnumber", _number),
    "tracknumber": _By("tracknumber", _number),
    "duration": _By("duration_seconds"),
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
    with snapshot(c):
        found = release_ids_of(c, smart.matcher)
        listed = _listed(list_release_values(c, found, _fields(smart, _OF_RELEASES)), smart, _OF_RELEASES)
        by_id = {release.id: release for release in list_releases(c, listed)}
    return [by_id[release_id] for release_id in listed]


def tracks_of(c: Config, smart: Smart) -> list[Track]:
    """Returns the tracks that a playlist lists, in order."""
    with snapshot(c):
        found = track_ids_of(c, smart.matcher)
        listed = _listed(list_track_values(c, found, _fields(smart, _OF_TRACKS)), smart, _OF_TRACKS)
        by_id = {track.id: track for track in list_tracks(c, listed)}
    return [by_id[track_id] for track_id in listed]


def _fields(smart: Smart, by: Mapping[str, _By]) -> list[str]:
    return [by[each.key].field for each in smart.sort]


def _listed(found: Sequence[tuple[str, Values]], smart: Smart, by: Mapping[str, _By]) -> list[str]:
    """Sorts and cuts off ids, which come with what they are sorted by; only what is left is read as a whole then."""
    listed = found
    for position, each in reversed(list(enumerate(smart.sort))):
        value = by[each.key].value
        keyed = [(value(one[1][position]), one) for one in listed]
        present = [pair for pair in keyed if pair[0] not in (None, "")]
        present.sort(key=itemgetter(0), reverse=each.descending)  # keeps the order of equals, either way
        listed = [one for _, one in present]
        listed += [one for key, one in keyed if key in (None, "")]
    return [identifier for identifier, _ in listed[: smart.limit]]
