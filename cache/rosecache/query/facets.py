"""What releases are browsed by: artists, genres, descriptors and labels: every value, and whether one exists.

A value exists while some release has it; for artists the aliases count, for genres the children.
"""

from __future__ import annotations

from collections.abc import Mapping

from rosecache.aliases import load_aliases
from rosecache.config import Config
from rosecache.database import connect
from rosecache.genres import load_genre_tree
from rosecache.model import DescriptorEntry, GenreEntry, LabelEntry
from rosecache.query.filters import ARTIST_KEYS, FACET_KEYS, GENRE_KEYS, variables
from rosecache.query.rows import fetch

STORED_KINDS: Mapping[str, tuple[str, ...]] = {
    "genre": ("genre", "secondary_genre"),
    "descriptor": ("descriptor",),
    "label": ("label",),
}
"""By kind of facet, the kinds of its values in the table ``facets``."""

_ARTISTS = (
    "SELECT name FROM artists WHERE EXISTS (SELECT 1 FROM release_artists WHERE artist_key = artists.key)"
)

_VALUES = """
SELECT value, NOT max(EXISTS (SELECT 1 FROM release_facets WHERE facet_key = facets.key AND new = 0)) FROM facets
WHERE kind IN ({kinds}) AND EXISTS (SELECT 1 FROM release_facets WHERE facet_key = facets.key) GROUP BY value
"""

_HAS_FACET = "SELECT 1 FROM release_facets WHERE facet_key IN ({keys}) LIMIT 1"
_EXISTENCE: Mapping[str, str] = {
    name: statement.format(keys=keys.format(name=name, kind=name.removesuffix("_filter")))
    for name, keys, statement in (
        (
            "release_artist_filter",
            ARTIST_KEYS,
            "SELECT 1 FROM release_artists WHERE artist_key IN ({keys}) LIMIT 1",
        ),
        ("genre_filter", GENRE_KEYS, _HAS_FACET),
        ("descriptor_filter", FACET_KEYS, _HAS_FACET),
        ("label_filter", FACET_KEYS, _HAS_FACET),
    )
}
"""By filter, the statement that finds one release that passes it."""


def list_artists(c: Config) -> list[str]:
    """Returns every release artist and everybody whom the aliases add to one, sorted."""
    with connect(c) as connection:
        credited = {name for (name,) in fetch(connection, _ARTISTS)}
    owners = load_aliases(c).owners
    return sorted(credited.union(*(owners[name] for name in credited & owners.keys())))


def list_genres(c: Config) -> list[GenreEntry]:
    """Returns every genre and secondary genre of a release, and all their parents in the tree, sorted."""
    tree = load_genre_tree(c)
    own = _values(c, "genre")
    names = set(own)
    below: dict[str, bool] = {}
    for genre, only_new in own.items():
        for parent in tree.parents(genre):
            names.add(parent)
            folded = parent.casefold()
            below[folded] = below.get(folded, True) and only_new
    return [
        GenreEntry(name, own.get(name, True) and below.get(name.casefold(), True)) for name in sorted(names)
    ]


def list_descriptors(c: Config) -> list[DescriptorEntry]:
    """Returns every descriptor of a release, sorted."""
    return [DescriptorEntry(*item) for item in sorted(_values(c, "descriptor").items())]


def list_labels(c: Config) -> list[LabelEntry]:
    """Returns every label of a release, sorted."""
    return [LabelEntry(*item) for item in sorted(_values(c, "label").items())]


def artist_exists(c: Config, artist: str) -> bool:
    """Returns whether a release credits the artist, in any role, or one of the artist's aliases."""
    return _exists(c, "release_artist_filter", artist)


def genre_exists(c: Config, genre: str) -> bool:
    """Returns whether a release has the genre, as genre or secondary genre, or one of its children."""
    return _exists(c, "genre_filter", genre)


def descriptor_exists(c: Config, descriptor: str) -> bool:
    """Returns whether a release has the descriptor."""
    return _exists(c, "descriptor_filter", descriptor)


def label_exists(c: Config, label: str) -> bool:
    """Returns whether a release has the label."""
    return _exists(c, "label_filter", label)


def _values(c: Config, kind: str) -> dict[str, bool]:
    """Returns every value of a facet, and whether all releases that have it are new."""
    kinds = ", ".join(f"'{stored}'" for stored in STORED_KINDS[kind])
    with connect(c) as connection:
        rows = fetch(connection, _VALUES.format(kinds=kinds))
    return {value: bool(only_new) for value, only_new in rows}


def _exists(c: Config, filter_name: str, value: str) -> bool:
    """Returns whether any release passes a filter. Stops at the first, however many there are."""
    with connect(c) as connection:
        return bool(fetch(connection, _EXISTENCE[filter_name], variables(c, filter_name, value)))
