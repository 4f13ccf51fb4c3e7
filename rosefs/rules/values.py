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
        "tracktitle": _one(track.tracktitle),
        "tracknumber": _one(track.tracknumber),
        "tracktotal": (str(track.tracktotal),),
        "discnumber": _one(track.discnumber),
        **dict(_artists("trackartist", track.trackartists)),
        **values_of_release(track.release),
    }


def values_of_release(release: Release) -> TagValues:
    """Returns the values of the tags that all tracks of a release share; aliases of artists are left out."""
    return {
        "disctotal": (str(release.disctotal),),
        **dict(_artists("releaseartist", release.releaseartists)),
        "releasetitle": _one(release.releasetitle),
        "releasetype": _one(release.releasetype),
        "releasedate": _one(release.releasedate),
        "originaldate": _one(release.originaldate),
        "compositiondate": _one(release.compositiondate),
        "genre": release.genres,
        "parentgenre": release.parent_genres,
        "secondarygenre": release.secondary_genres,
        "parentsecondarygenre": release.parent_secondary_genres,
        "descriptor": release.descriptors,
        "label": release.labels,
        "catalognumber": _one(release.catalognumber),
        "edition": _one(release.edition),
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


def _one(value: object | None) -> tuple[str, ...]:
    text = "" if value is None else str(value)
    return (text,) if text else ()


def _artists(kind: str, mapping: ArtistMapping) -> Iterator[tuple[Tag, tuple[str, ...]]]:
    for role, artists in mapping.items():
        yield f"{kind}[{role}]", tuple(artist.name for artist in artists if not artist.alias)
