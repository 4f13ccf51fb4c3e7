"""Which tracks and releases of a library a matcher means, found by what the cache knows of their tags.

The cache looks for the values that pass, and only what has one is read as a whole. What matches is what
:func:`rosefs.rules.values.matches_track` says of each track, only sooner. Nothing here changes anything.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterable

from rosecache.config import Config
from rosecache.field_search import ValueTest, release_ids_with, track_ids_with
from rosecache.model import Release, Track
from rosecache.query.releases import list_releases
from rosecache.query.rows import snapshot
from rosecache.query.tracks import list_tracks
from rosefs.rules.model import TRACK_TAGS, Matcher, Tag
from rosefs.rules.values import matches


def find_tracks(c: Config, matcher: Matcher, ignore: Iterable[Matcher] = ()) -> list[Track]:
    """Returns the tracks that match, and that no ``ignore`` matches, in the order of all listings of tracks.

    A track matches if its own tags or its release's do.
    """
    with snapshot(c):
        return list_tracks(c, track_ids_of(c, matcher, ignore))


def find_releases(c: Config, matcher: Matcher, ignore: Iterable[Matcher] = ()) -> list[Release]:
    """Returns the releases that match, and that no ``ignore`` matches, by source path.

    A release matches if its own tags or those of any of its tracks do.
    """
    with snapshot(c):
        return list_releases(c, release_ids_of(c, matcher, ignore))


def track_ids_of(c: Config, matcher: Matcher, ignore: Iterable[Matcher] = ()) -> set[str]:
    """Returns the ids of what :func:`find_tracks` finds; for whoever needs no more of many tracks."""
    return _ids(c, track_ids_with, matcher, ignore)


def release_ids_of(c: Config, matcher: Matcher, ignore: Iterable[Matcher] = ()) -> set[str]:
    """Returns the ids of what :func:`find_releases` finds; for whoever needs no more of many releases."""
    return _ids(c, release_ids_with, matcher, ignore)


def _ids(
    c: Config,
    ids_with: Callable[[Config, Collection[str], ValueTest], set[str]],
    matcher: Matcher,
    ignore: Iterable[Matcher],
) -> set[str]:
    with snapshot(c):
        found = ids_with(c, _tags_to_test(matcher), _test_of(matcher))
        for ignored in ignore:
            if found:
                found -= ids_with(c, _tags_to_test(ignored), _test_of(ignored))
    return found


def _tags_to_test(matcher: Matcher) -> Collection[Tag]:
    """Returns the tags to look at: one is enough for a pattern that every value matches, and an absent one too."""
    pattern = matcher.pattern
    if pattern.text or (pattern.at_start and pattern.at_end):
        return matcher.tags
    return sorted(matcher.tags, key=TRACK_TAGS.__contains__)[:1]  # what the release has, all its tracks have


def _test_of(matcher: Matcher) -> ValueTest:
    pattern = matcher.pattern
    return ValueTest(functools.partial(matches, pattern), pattern.text, pattern.ignore_case)
