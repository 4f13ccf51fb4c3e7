"""What is listed by value, and when a listing last changed: the newest change of what it shows, or of what it lost.

That is what a directory shows as its time. All times are integer nanoseconds; 0 stands for a listing that
never held anything. A time never goes back, as releases' own times do not and losses are remembered.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from rosecache.aliases import load_aliases
from rosecache.config import Config
from rosecache.database import connect
from rosecache.genres import load_genre_tree
from rosecache.model import RELEASE_TYPES
from rosecache.query.rows import fetch, pack

# Two steps into an index for each value, however many releases have it. What is asked for in a subquery and needed
# twice would be looked for twice.
_OF_FACETS = """
SELECT value, TRUE,
  (SELECT max(mtime) FROM release_facets WHERE facet_key = facets.key AND new = 0),
  (SELECT max(mtime) FROM release_facets WHERE facet_key = facets.key AND new = 1)
FROM facets WHERE kind IN ({kinds})
"""
_BY_VALUE: Mapping[str, str] = {
    # One pass through an index: most artists have few releases, and there are many that have none but tracks.
    "artist": """
        SELECT name, TRUE, max(mtime) FILTER (WHERE new = 0), max(mtime) FILTER (WHERE new = 1)
        FROM release_artists CROSS JOIN artists ON artists.key = artist_key GROUP BY artist_key
    """,
    "genre": _OF_FACETS.format(kinds="'genre', 'secondary_genre'"),
    "descriptor": _OF_FACETS.format(kinds="'descriptor'"),
    "label": _OF_FACETS.format(kinds="'label'"),
    "collage": """
        SELECT name, TRUE, max(collages.mtime, coalesce(max(releases.mtime), 0)), NULL FROM collages
        LEFT JOIN collage_members ON collage_key = collages.key
        LEFT JOIN releases ON releases.id = release_id GROUP BY collages.key
    """,
    "playlist": """
        SELECT name, TRUE, max(playlists.mtime, coalesce(cover_mtime, 0), coalesce(max(releases.mtime), 0)), NULL
        FROM playlists LEFT JOIN playlist_members ON playlist_key = playlists.key
        LEFT JOIN tracks ON tracks.id = track_id
        LEFT JOIN releases ON releases.key = release_key GROUP BY playlists.key
    """,
}
"""By kind of listing: its values, TRUE, and when anything under each last changed that is not new, and that is new.

A value that is shown has at least one of both times; lists have the first."""

_LOST = "UNION ALL SELECT value, FALSE, at, NULL FROM losses WHERE kind = :kind"

_OF_ONE: Mapping[str, str] = {
    "release": """
        SELECT max((SELECT max(mtime) FROM releases WHERE type = each.value)) FROM json_each(:shelved) AS each
    """,
    "new": "SELECT max(mtime) FROM releases WHERE new",
    "loose_track": "SELECT max(mtime) FROM releases WHERE type = 'loosetrack'",
}
"""The kinds that have one listing, and when what it shows last changed."""

_LOSS = "UNION ALL SELECT at FROM losses WHERE kind = :kind"
_SHELVED = pack(each for each in RELEASE_TYPES if each != "loosetrack")


ShownValue = tuple[str, bool, int]
"""A value, whether all releases that have it are new, and when what it lists last changed."""


def newest_changes(c: Config, kind: str) -> dict[str, int]:
    """Returns by value when its listing last changed.

    Args:
        c: The configuration.
        kind: ``artist``, ``genre``, ``descriptor``, ``label``, ``collage`` or ``playlist``. Artists include
            those that aliases add, genres the parents. Values that only lost releases are there too.
    """
    newest, _ = _by_value(c, kind)
    own = dict(newest)
    for value, listing in _also_shown_under(c, kind, own, own):
        newest[listing] = max(newest.get(listing, 0), own[value])
    return newest


def list_shown_values(c: Config, kind: str) -> list[ShownValue]:
    """Returns what there is of a kind of :func:`newest_changes`, sorted: what its directory shows."""
    newest, only_new = _by_value(c, kind)
    times, news = dict(newest), dict(only_new)
    for value, listing in _also_shown_under(c, kind, times, news):
        newest[listing] = max(newest.get(listing, 0), times[value])
        if value in news:
            only_new[listing] = news[value] and only_new.get(listing, True)
    return [(value, only_new[value], newest[value]) for value in sorted(only_new)]


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
        rows = fetch(connection, f"{_OF_ONE[kind]} {_LOSS}", {"kind": kind, "shelved": _SHELVED})
    return max(time or 0 for (time,) in rows)


def _by_value(c: Config, kind: str) -> tuple[dict[str, int], dict[str, bool]]:
    """Returns when the listing of each value last changed, and of those that are shown whether all is new."""
    with connect(c) as connection:
        rows = fetch(connection, f"{_BY_VALUE[kind]} {_LOST}", {"kind": kind})
    newest: dict[str, int] = {}
    only_new: dict[str, bool] = {}
    for value, is_shown, old, recent in rows:
        time = recent if old is None or (recent is not None and recent > old) else old
        if time is None:
            continue  # no release has it any more
        if is_shown:
            only_new[value] = old is None and only_new.get(value, True)
        newest[value] = max(time, newest.get(value, 0))
    return newest, only_new


def _also_shown_under(
    c: Config, kind: str, values: Collection[str], shown: Collection[str]
) -> Iterator[tuple[str, str]]:
    """Yields values with the other listings that show their releases, too.

    A parent of a genre is listed as the tree writes it, and as the tags do if ``shown`` has it so.
    """
    if kind == "artist":
        for alias, owners in load_aliases(c).owners.items():
            if alias in values:
                yield from ((alias, owner) for owner in owners)
    elif kind == "genre":
        tree = load_genre_tree(c)
        written: dict[str, list[str]] = {}
        for value in shown:
            written.setdefault(value.casefold(), []).append(value)
        for value in values:
            for parent in tree.parents(value):
                yield from ((value, name) for name in (parent, *written.get(parent.casefold(), ())))
