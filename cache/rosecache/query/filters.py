"""What a filter of releases or tracks means in SQL: one table, one line per filter.

Every filter becomes a condition on ``r``, the release, or ``t``, the track, that an index answers; a filter
that is None is left out. Artists are matched with their aliases, genres with their children.
"""

from __future__ import annotations

import functools
import json
import unicodedata
from collections.abc import Iterable, Mapping

import msgspec

from rosecache.aliases import load_aliases
from rosecache.config import Config
from rosecache.database import connect
from rosecache.genres import GenreTree, load_genre_tree
from rosecache.query.rows import fetch, pack

ARTIST_KEYS = (
    "SELECT key FROM artists WHERE name IN"
    " (SELECT :{name} UNION ALL SELECT value FROM json_each(:{name}_more))"
)
"""Selects the keys of an artist and its aliases. The name is a variable of its own: it may be anything."""

FACET_KEYS = "SELECT key FROM facets WHERE kind = '{kind}' AND value = :{name}"

GENRE_KEYS = (
    "SELECT key FROM facets WHERE kind IN ('genre', 'secondary_genre') AND value = :{name}"
    " UNION ALL SELECT value FROM json_each(:{name}_more)"
)
"""Selects the keys of a genre as it is written and of its children, which are looked up beforehand."""

_BY_RELEASE_ARTIST = f"r.key IN (SELECT release_key FROM release_artists WHERE artist_key IN ({ARTIST_KEYS}))"
_BY_TRACK_ARTIST = f"t.key IN (SELECT track_key FROM track_artists WHERE artist_key IN ({ARTIST_KEYS}))"
_BY_FACET = f"r.key IN (SELECT release_key FROM release_facets WHERE facet_key IN ({FACET_KEYS}))"

_OF_BOTH: Mapping[str, str] = {
    "release_artist_filter": _BY_RELEASE_ARTIST,
    "genre_filter": f"r.key IN (SELECT release_key FROM release_facets WHERE facet_key IN ({GENRE_KEYS}))",
    "descriptor_filter": _BY_FACET.replace("{kind}", "descriptor"),
    "label_filter": _BY_FACET.replace("{kind}", "label"),
    "new": "r.new = :{name}",
}
RELEASE_CONDITIONS: Mapping[str, str] = {
    **_OF_BOTH,
    "all_artist_filter": (
        f"r.key IN (SELECT release_key FROM release_artists WHERE artist_key IN ({ARTIST_KEYS})"
        " UNION ALL SELECT release_key FROM tracks WHERE key IN"
        f" (SELECT track_key FROM track_artists WHERE artist_key IN ({ARTIST_KEYS})))"
    ),
    "release_type_filter": "r.type = :{name}",
}
TRACK_CONDITIONS: Mapping[str, str] = {
    **_OF_BOTH,
    "track_artist_filter": _BY_TRACK_ARTIST,
    "all_artist_filter": (
        f"t.key IN (SELECT track_key FROM track_artists WHERE artist_key IN ({ARTIST_KEYS})"
        " UNION ALL SELECT key FROM tracks WHERE release_key IN"
        f" (SELECT release_key FROM release_artists WHERE artist_key IN ({ARTIST_KEYS})))"
    ),
}


class Filter(msgspec.Struct, frozen=True):
    """Conditions in SQL, all of which must hold, and the values of their variables."""

    condition: str
    values: Mapping[str, object]


def make_filter(c: Config, conditions: Mapping[str, str], wanted: Mapping[str, str | bool | None]) -> Filter:
    """Turns filters by name into SQL. Raises KeyError for a name that the table does not have."""
    given = {name: value for name, value in wanted.items() if value is not None}
    condition = " AND ".join(["TRUE", *(conditions[name].format(name=name) for name in given)])
    values: dict[str, object] = {}
    for name, value in given.items():
        values |= variables(c, name, value)
    return Filter(condition, values)


NOT_LOOSE = Filter("r.type != 'loosetrack'", {})
"""All releases but those that are loose tracks."""


def release_filter(c: Config, **wanted: str | bool | None) -> Filter:
    """Returns what to ask for releases with: filters by the names of ``RELEASE_CONDITIONS``."""
    return make_filter(c, RELEASE_CONDITIONS, wanted)


def ids_filter(ids: Iterable[str]) -> Filter:
    """Returns what to ask for releases of some ids with."""
    return Filter("r.id IN (SELECT value FROM json_each(:ids))", {"ids": pack(ids)})


def variables(c: Config, name: str, value: str | bool) -> dict[str, object]:
    """Returns the variables of a filter's condition: its value, and what else counts as it."""
    if isinstance(value, str):
        value = unicodedata.normalize("NFC", value)
    if isinstance(value, str) and name.endswith("artist_filter"):
        return {name: value, f"{name}_more": pack(load_aliases(c).members_of(value))}
    if isinstance(value, str) and name == "genre_filter":
        return {name: value, f"{name}_more": _children_keys(c).get(value.casefold(), "[]")}
    return {name: value}


_FACETS_STATE = "SELECT epoch, (SELECT max(key) FROM facets) FROM meta"
_GENRES = "SELECT key, value FROM facets WHERE kind IN ('genre', 'secondary_genre')"


def _children_keys(c: Config) -> Mapping[str, str]:
    """Returns for each genre that has children in the cache, without case, their keys as a JSON array.

    The tree is compared with all genres of the cache, which takes a while, but only once for as long as there
    are no others: a row of the table ``facets`` is never changed or removed.
    """
    with connect(c) as connection:
        epoch, newest = fetch(connection, _FACETS_STATE)[0]
    return _children_keys_at(c, load_genre_tree(c), epoch, newest)


@functools.lru_cache(maxsize=4)
def _children_keys_at(c: Config, tree: GenreTree, epoch: str, newest: int | None) -> Mapping[str, str]:
    """Returns :func:`_children_keys` of the state of the table that ``epoch`` and ``newest`` stand for."""
    keys: dict[str, list[int]] = {}
    with connect(c) as connection:
        rows = fetch(connection, _GENRES)
    for key, genre in rows:
        for parent in tree.parents(genre):
            keys.setdefault(parent.casefold(), []).append(key)
    return {parent: json.dumps(children) for parent, children in keys.items()}
