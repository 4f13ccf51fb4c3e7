"""The values that a track or a release has under each tag, and whether a matcher is about them.

Works on values that the cache gave out; reads nothing by itself, and changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rosecache.model import ArtistMapping, Release, Track
from rosecache.search import without_case
from rosefs.rules.model import Matcher, Pattern, Tag

TagValues = Mapping[Tag, tuple[str, ...]]
"""What each tag holds, in order: none, one, or, for one of LIST_TAGS, several. Never an empty text.

A tag that is not in the mapping is none of the thing's: a release has no ``tracktitle``.
"""


def values_of_track(track: Track) -> TagValues:
    """Returns the values of every tag of a track, those of its release among them; aliases are left out."""
    return {
        "tracktitle": texts_of(track.tracktitle),
        "tracknumber": texts_of(track.tracknumber),
        "tracktotal": (str(track.tracktotal),),
        "discnumber": texts_of(track.discnumber),
        **dict(artists_of("trackartist", track.trackartists)),
        **values_of_release(track.release),
    }


def values_of_release(release: Release) -> TagValues:
    """Returns the values of the tags that all tracks of a release share; aliases of artists are left out."""
    return {
        "disctotal": (str(release.disctotal),),
        **dict(artists_of("releaseartist", release.releaseartists)),
        "releasetitle": texts_of(release.releasetitle),
        "releasetype": texts_of(release.releasetype),
        "releasedate": texts_of(release.releasedate),
        "originaldate": texts_of(release.originaldate),
        "compositiondate": texts_of(release.compositiondate),
        "genre": release.genres,
        "parentgenre": release.parent_genres,
        "secondarygenre": release.secondary_genres,
        "parentsecondarygenre": release.parent_secondary_genres,
        "descriptor": release.descriptors,
        "label": release.labels,
        "catalognumber": texts_of(release.catalognumber),
        "edition": texts_of(release.edition),
        "new": ("true" if release.new else "false",),
    }


def matches(pattern: Pattern, value: str) -> bool:
    """Returns whether a pattern fits one value. Both are taken to be in NFC."""
    text = pattern.text
    if pattern.ignore_case:
        text, value = without_case(text), without_case(value)
    if pattern.at_start and pattern.at_end:
        return value == text
    if pattern.at_start:
        return value.startswith(text)
    if pattern.at_end:
        return value.endswith(text)
    return text in value


def matches_track(matcher: Matcher, values: TagValues) -> bool:
    """Returns whether any value of any of the matcher's tags fits; a tag without values has one empty text.

    Also for the values of a release: the tags that it does not have fit nothing.
    """
    return any(
        matches(matcher.pattern, value)
        for tag in matcher.tags
        if (found := values.get(tag)) is not None
        for value in found or ("",)
    )


def texts_of(value: object | None) -> tuple[str, ...]:
    """Returns a value, or several, as texts; nothing for one that is absent or empty."""
    if isinstance(value, tuple):
        return value
    text = "" if value is None else str(value)
    return (text,) if text else ()


def artists_of(kind: str, mapping: ArtistMapping) -> Iterator[tuple[Tag, tuple[str, ...]]]:
    """Yields the tags of a track's or a release's artists with their names; aliases are left out."""
    for role, artists in mapping.items():
        yield f"{kind}[{role}]", tuple(artist.name for artist in artists if not artist.alias)
