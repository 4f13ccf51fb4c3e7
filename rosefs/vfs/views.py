"""The views: one declaration each, of what it is made of and how to ask the cache for it.

A new view is a line here, its key in the settings, and its templates in the configuration.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

import msgspec
from msgspec.structs import replace

import rosecache
from rosecache.config import Config
from rosecache.model import Release
from rosecache.query.filters import NOT_LOOSE, Filter, release_filter
from rosecache.query.times import ShownValue, list_shown_values
from rosefs.settings import SmartKind, ViewKey
from rosefs.vfs.nodes import SEARCH, SMART_LISTS

OF_ANY = ("release", "loose_track")
"""What the cache calls all releases when asked when any of them changed last."""

Values = Sequence[ShownValue]
"""Artists, genres …"""


def _nowhere(_: Release) -> Iterable[str]:
    return ()


class View(msgspec.Struct, frozen=True):
    """One directory at the top of the mount, and what is below it.

    Attributes:
        key: Its name in the configuration.
        newest_of_all: What the cache calls what is in the view when asked when it changed last; several where any of
            them counts.
        context: Under which key templates find the value of this view; empty if it has none.
        values: Lists the directories in it; None if it lists releases itself.
        wanted: What to ask the cache with for the releases under a value (an empty text if there are none); None for
            playlists, for what matchers find, and for what has an order of its own.
        is_slow: What to ask with may take a while to find out.
        releases: Lists what has an order of its own.
        values_of: Under which values a release is shown. Nowhere for those that list members by id.
        ordered: Its members have positions.
        keeps_left: Names of what went elsewhere by a retag still work.
        of_any: Any change of any release may change what it lists.
        smart: What its smart lists are; empty if it has none.
    """

    key: ViewKey
    wanted: Callable[[Config, str], Filter] | None
    values: Callable[[Config], Values] | None = None
    values_of: Callable[[Release], Iterable[str]] = _nowhere
    context: str = ""
    ordered: bool = False
    keeps_left: bool = True
    newest_of_all: tuple[str, ...] = OF_ANY
    of_any: bool = False
    smart: SmartKind | None = None
    releases: Callable[[Config, str], list[Release]] | None = None
    is_slow: bool = False


def _no_values(_: Config) -> Values:
    return []


def _shelved(_: Config, __: str) -> Filter:
    return NOT_LOOSE


def _if_shelved(release: Release) -> Iterable[str]:
    return () if release.releasetype == "loosetrack" else ("",)


def _artists_of(release: Release) -> Iterable[str]:
    return (artist.name for artist in release.releaseartists.all)


def _genres_of(release: Release) -> Iterable[str]:
    yield from release.genres
    yield from release.parent_genres
    yield from release.secondary_genres
    yield from release.parent_secondary_genres


_DECLARED = (
    View("releases", _shelved, values_of=_if_shelved, newest_of_all=("release",)),
    View(
        "releases_new",
        lambda c, _: release_filter(c, new=True),
        values_of=lambda release: ("",) if release.new else (),
        keeps_left=False,
        newest_of_all=("new",),
    ),
    View("releases_added_on", _shelved, values_of=_if_shelved, newest_of_all=("release",)),
    View("releases_released_on", _shelved, values_of=_if_shelved, newest_of_all=("release",)),
    View(
        "artists",
        lambda c, artist: release_filter(c, release_artist_filter=artist),
        values=partial(list_shown_values, kind="artist"),
        values_of=_artists_of,
        context="artist",
    ),
    View(
        "genres",
        lambda c, genre: release_filter(c, genre_filter=genre),
        values=partial(list_shown_values, kind="genre"),
        values_of=_genres_of,
        context="genre",
        is_slow=True,  # the tree of genres is compared with all that the cache has
    ),
    View(
        "descriptors",
        lambda c, descriptor: release_filter(c, descriptor_filter=descriptor),
        values=partial(list_shown_values, kind="descriptor"),
        values_of=lambda release: release.descriptors,
        context="descriptor",
    ),
    View(
        "labels",
        lambda c, label: release_filter(c, label_filter=label),
        values=partial(list_shown_values, kind="label"),
        values_of=lambda release: release.labels,
        context="label",
    ),
    View(
        "loose_tracks",
        lambda c, _: release_filter(c, release_type_filter="loosetrack"),
        newest_of_all=("loose_track",),
        values_of=lambda release: ("",) if release.releasetype == "loosetrack" else (),
    ),
    View(
        "collages",
        None,
        values=partial(list_shown_values, kind="collage"),
        context="collage",
        newest_of_all=("collage",),
        ordered=True,
        keeps_left=False,
        smart="collage",
        releases=rosecache.get_collage_releases,
    ),
    View(
        "playlists",
        None,
        values=partial(list_shown_values, kind="playlist"),
        context="playlist",
        newest_of_all=("playlist",),
        ordered=True,
        keeps_left=False,
        smart="playlist",
    ),
    View(SEARCH, None, values=_no_values, context="search", of_any=True, smart="search"),
)

VIEWS: Mapping[str, View] = {view.key: view for view in _DECLARED}
"""Every view by its key."""

SPACES: Mapping[str, View] = {
    **VIEWS,
    **{
        space: replace(VIEWS[key], of_any=True, wanted=None, releases=None)
        for space, key in SMART_LISTS.items()
    },
}
"""By the space of a directory's key the view that it is in; of what is in a smart list, with other queries."""
