"""What is listed by value, and when a listing last changed: the newest change of what it shows, or of what it lost.

That is what a directory shows as its time. All times are integer nanoseconds; 0 stands for a listing that
never held anything. A time never goes back, as releases' own times do not and losses are remembered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from rosecache.aliases import load_aliases
from rosecache.config import Config
from rosecache.database import connect
from rosecache.genres import load_genre_tree
from rosecache.query.rows import fetch

_OF_FACETS = """
SELECT value, max(mtime), min(new) FROM release_facets JOIN facets ON facets.key = facet_key
JOIN releases ON releases.key = release_key WHERE kind IN ({kinds}) GROUP BY kind, value
"""
_BY_VALUE: Mapping[str, str] = {
    "artist": """
        SELECT name, max(mtime), min(new) FROM release_artists JOIN artists ON artists.key = artist_key
        JOIN releases ON releases.key = release_key GROUP BY artist_key
    """,
    "genre": _OF_FACETS.format(kinds="'genre', 'secondary_genre'"),
    "descriptor": _OF_FACETS.format(kinds="'descriptor'"),
    "label": _OF_FACETS.format(kinds="'label'"),
    "collage": """
        SELECT name, max(collages.mtime, coalesce(max(releases.mtime), 0)), FALSE FROM collages
        LEFT JOIN collage_members ON collage_key = collages.key
        LEFT JOIN releases ON releases.id = release_id GROUP BY collages.key
    """,
    "playlist": """
        SELECT name, max(playlists.mtime, coalesce(cover_mtime, 0), coalesce(max(releases.mtime), 0)), FALSE
        FROM playlists LEFT JOIN playlist_members ON playlist_key = playlists.key
        LEFT JOIN tracks ON tracks.id = track_id
        LEFT JOIN releases ON releases.key = release_key GROUP BY playlists.key
    """,
}
"""By kind of listing, when what each value shows last changed, and whether all of that are new releases."""

_OF_ONE: Mapping[str, str] = {
    "release": "SELECT max(mtime) FROM releases WHERE type != 'loosetrack'",
    "new": "SELECT max(mtime) FROM releases WHERE new",
    "loose_track": "SELECT max(mtime) FROM releases WHERE type = 'loosetrack'",
}
"""The kinds that have one listing, and when what it shows last changed."""

_LOSSES = "UNION ALL SELECT value, at, NULL FROM losses WHERE kind = :kind"
_LOSS = "UNION ALL SELECT at FROM losses WHERE kind = :kind"


ShownValue = tuple[str, bool, int]
"""A value, whether all releases that have it are new, and when what it lists last changed."""


def newest_changes(c: Config, kind: str) -> dict[str, int]:
    """Returns by value when its listing last changed.

    Args:
        c: The configuration.
        kind: ``artist``, ``genre``, ``descriptor``, ``label``, ``collage`` or ``playlist``. Artists include
            those that aliases add, genres the parents. Values that only lost releases are there too.
    """
    rows = _by_value(c, kind)
    also = _also_shown_under(c, kind, {value for value, _, _ in rows})
    newest: dict[str, int] = {}
    for value, time, _ in rows:
        for listing in (value, *also(value)):
            newest[listing] = max(newest.get(listing, 0), time)
    return newest


def list_shown_values(c: Config, kind: str) -> list[ShownValue]:
    """Returns what there is of a kind of :func:`newest_changes`, sorted: what its directory shows, in one pass."""
    rows = _by_value(c, kind)
    also = _also_shown_under(c, kind, {value for value, _, new in rows if new is not None})
    newest: dict[str, int] = {}
    only_new: dict[str, bool] = {}
    for value, time, new in rows:
        for listing in (value, *also(value)):
            if time > newest.get(listing, 0):
                newest[listing] = time
            if new is not None:
                only_new[listing] = bool(new) and only_new.get(listing, True)
    return [(value, only_new[value], newest.get(value, 0)) for value in sorted(only_new)]


def newest_change(c: Config, kind: str) -> int:
    """Returns when anything of a kind of listing last changed.

    Args:
        c: The configuration.
        kind: ``release`` (all but loose tracks), ``new``, ``loose_track``, or a kind of
            :func:`newest_changes`, for all its values together.
    """
    if kind not in _OF_ONE:
        return max(newest_changes(c, kind).values(), default=0)
    with connect(c) as connection:
        rows = fetch(connection, f"{_OF_ONE[kind]} {_LOSS}", {"kind": kind})
    return max(time or 0 for (time,) in rows)


def _by_value(c: Config, kind: str) -> list[tuple[str, int, int | None]]:
    """Returns values, when each last changed, and whether only new releases have it; None for what was lost."""
    with connect(c) as connection:
        return list(map(tuple, fetch(connection, f"{_BY_VALUE[kind]} {_LOSSES}", {"kind": kind})))


def _also_shown_under(c: Config, kind: str, values: Iterable[str]) -> Callable[[str], Iterable[str]]:
    """Returns what gives the other listings of a value's releases; ``values`` are all that are stored."""
    if kind == "artist":
        owners = load_aliases(c).owners
        return lambda artist: owners.get(artist, ())
    if kind == "genre":
        tree = load_genre_tree(c)
        written: dict[str, list[str]] = {}
        for value in values:
            written.setdefault(value.casefold(), []).append(value)
        # A parent is listed as the tree writes it, and as the tags do if they name it too.
        return lambda genre: (
            name for parent in tree.parents(genre) for name in (parent, *written.get(parent.casefold(), ()))
        )
    return lambda _: ()
