"""Queries for what directories show: names and what ``stat`` has to know, as rows, with nothing else decoded.

A name is what the update stored, see :mod:`rosecache.naming`. It is empty where that was made by other templates
than the ones that are asked for, or could not be made: then whoever shows it makes it. Paths are in the bytes of
the file system. There are queries for whole listings, at one statement each, and for what has one name.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

from rosecache.config import Config
from rosecache.database import connect
from rosecache.naming import SEPARATOR, Naming, hash_name
from rosecache.query.filters import Filter
from rosecache.query.rows import natural_order

ShownRelease = tuple[str, int, str]
"""The id of a release, its time in nanoseconds, and its name."""


ShownTrack = tuple[str, int, int, bytes, str]
"""The id of a track, its size, its time, its path, and its name."""

ShownFile = tuple[str, bytes, bytes, int, int]
"""The kind of a file that is no track, its path up to the release's directory and below it, its size and its time."""

_BELOW = itemgetter(2)
"""Of a ShownFile."""


class ReleaseHead(NamedTuple):
    """What has to be known of a release to read what it holds.

    Attributes:
        key: Its key in the tables, which is good for as long as the snapshot that it was read in.
        id: Its id.
        number: What the names are made by, see :class:`rosecache.naming.Naming`.
        directory: The name of its directory.
    """

    key: int
    id: str
    number: int
    directory: bytes


_RELEASES = "SELECT r.id, r.mtime, r.naming, r.names FROM releases AS r"
_LISTED = f"{_RELEASES} WHERE {{condition}} ORDER BY r.directory"
_SOME = """
SELECT id, mtime, naming, names FROM
  (SELECT r.id, r.mtime, r.naming, r.names, r.directory FROM releases AS r WHERE {condition} LIMIT :some)
ORDER BY directory
"""
# With a row in any case, which says between which numbers all names are, and whether some could not be made.
_NAMED = """
SELECT least, most, unmade, r.id, r.mtime, r.naming, r.names
FROM (
  SELECT (SELECT min(naming) FROM releases) AS least, (SELECT max(naming) FROM releases) AS most,
    EXISTS (SELECT 1 FROM release_names WHERE hash = :empty) AS unmade
)
LEFT JOIN releases AS r
ON r.key IN (SELECT release_key FROM release_names WHERE hash = :hash) AND {condition}
"""

_HEADS = "SELECT r.key, r.id, r.naming, r.directory FROM releases AS r"
_HEADS_LISTED = f"{_HEADS} WHERE {{condition}} ORDER BY r.directory"
_TRACKS = """
SELECT release_key, path, id, size, mtime, discnumber, tracknumber, names
FROM tracks WHERE release_key IN (SELECT value FROM json_each(:keys))
"""
# Of one release everything in one statement, which sees one state by itself: first its tracks, then its other files.
# The joins are CROSS ones so that the release is found first.
_CONTENTS = """
SELECT '', t.path, t.size, t.mtime, r.directory, r.naming, t.names, t.id, t.discnumber, t.tracknumber
FROM releases AS r CROSS JOIN tracks AS t ON t.release_key = r.key WHERE r.id = :id
UNION ALL
SELECT f.kind, f.path, f.size, f.mtime, r.directory, 0, '', '', '', ''
FROM releases AS r CROSS JOIN files AS f ON f.release_key = r.key WHERE r.id = :id
"""
_TRACKS_OF_ONE = """
SELECT t.id, t.size, t.mtime, r.directory, t.path, r.naming, t.names
FROM releases AS r CROSS JOIN tracks AS t ON t.release_key = r.key WHERE r.id = :id
"""


def list_shown_releases(c: Config, wanted: Filter, naming: Naming, place: int) -> list[ShownRelease]:
    """Returns the releases that pass a filter, by source path, with one of their names.

    Args:
        c: The configuration.
        wanted: Conditions on ``r``, the release.
        naming: What the names are to be made by.
        place: Which of them is wanted, see :meth:`rosecache.naming.Naming.place`.
    """
    rows = _fetch(c, _LISTED.format(condition=wanted.condition), wanted.values)
    return _releases(rows, naming, place)


def list_few_releases(
    c: Config, wanted: Filter, naming: Naming, place: int, most: int
) -> list[ShownRelease] | None:
    """Returns what :func:`list_shown_releases` does if it is no more than ``most``, and else None.

    Looks at no more than one more, and so costs the same in a library of any size.
    """
    rows = _fetch(c, _SOME.format(condition=wanted.condition), {**wanted.values, "some": most + 1})
    return None if len(rows) > most else _releases(rows, naming, place)


def find_shown_releases(
    c: Config, wanted: Filter, naming: Naming, place: int, name: str
) -> list[ShownRelease] | None:
    """Returns the releases that pass a filter and have a name, before a directory makes equal ones distinct.

    None if that cannot be told, since there are releases whose names were made by something else, or could not be made.
    Costs the same in a library of any size.
    """
    values = {**wanted.values, "hash": hash_name(name), "empty": hash_name("")}
    rows = _fetch(c, _NAMED.format(condition=wanted.condition), values)
    if not rows:
        return []  # as the value of the filter can be in no row
    least, most, unmade = rows[0][:3]
    if unmade or {least, most} - {naming.number, None}:
        return None
    found = _releases([row[3:] for row in rows if row[3] is not None], naming, place)
    return [each for each in found if each[2] == name]


def list_release_heads(c: Config, wanted: Filter) -> list[ReleaseHead]:
    """Returns the releases that pass a filter, conditions on ``r``, by source path."""
    rows = _fetch(c, _HEADS_LISTED.format(condition=wanted.condition), wanted.values)
    return list(map(ReleaseHead._make, rows))


def list_shown_tracks(
    c: Config, releases: Iterable[ReleaseHead], naming: Naming, place: int | None
) -> dict[str, list[ShownTrack]]:
    """Returns the tracks of releases by the ids of these, in disc and track order, with one of their names.

    Args:
        c: The configuration.
        releases: Read in the snapshot that this is called in.
        naming: What the names are to be made by.
        place: Which of them is wanted; None for none, all are empty then.
    """
    by_key: dict[int, tuple[ReleaseHead, list[tuple[Any, ...]]]] = {
        release.key: (release, []) for release in releases
    }
    for key, path, track_id, size, mtime, disc, track, names in _fetch(
        c, _TRACKS, {"keys": json.dumps(list(by_key))}
    ):
        by_key[key][1].append((_order(disc, track), path, track_id, size, mtime, names))
    shown = {}
    for release, rows in by_key.values():
        rows.sort()
        above = _above(c, release.directory)
        at = place if release.number == naming.number else None
        shown[release.id] = [
            (track_id, size, mtime, above + path, "" if at is None else names.split(SEPARATOR)[at])
            for _, path, track_id, size, mtime, names in rows
        ]
    return shown


def list_contents(
    c: Config, release_id: str, naming: Naming, place: int | None
) -> tuple[list[ShownTrack], list[ShownFile]] | None:
    """Returns what one release holds: its tracks as :func:`list_shown_tracks` does, and its other files by path.

    None if there is no such release.
    """
    tracks, files = [], []
    for kind, path, size, mtime, directory, number, names, track_id, disc, track in _fetch(
        c, _CONTENTS, {"id": release_id}
    ):
        above = _above(c, directory)
        if kind:
            files.append((kind, above, path, size, mtime))
            continue
        name = names.split(SEPARATOR)[place] if place is not None and number == naming.number else ""
        tracks.append((_order(disc, track), path, (track_id, size, mtime, above + path, name)))
    tracks.sort()
    files.sort(key=_BELOW)
    return ([shown for _, _, shown in tracks], files) if tracks or files else None


def find_shown_tracks(
    c: Config, release_id: str, naming: Naming, place: int, name: str
) -> list[ShownTrack] | None:
    """Returns the tracks of one release that have a name, before a directory makes equal ones distinct.

    None if that cannot be told, since the names were made by something else, or could not be made.
    """
    found = []
    for track_id, size, mtime, directory, path, number, names in _fetch(
        c, _TRACKS_OF_ONE, {"id": release_id}
    ):
        shown = names.split(SEPARATOR)[place] if number == naming.number else ""
        if not shown:
            return None
        if shown == name:
            found.append((track_id, size, mtime, _above(c, directory) + path, name))
    return found


def _above(c: Config, directory: bytes) -> bytes:
    """Returns the path of a release's directory, with a slash at its end."""
    return b"%b/%b/" % (_source(c.music_source_dir), directory)


@functools.lru_cache(maxsize=16)
def _source(directory: Path) -> bytes:
    return os.fsencode(directory).rstrip(b"/")


def release_time(c: Config, release_id: str) -> int | None:
    """Returns the time of a release in nanoseconds, or None if there is none of this id."""
    rows = _fetch(c, "SELECT mtime FROM releases WHERE id = :id", {"id": release_id})
    return rows[0][0] if rows else None


@functools.lru_cache(maxsize=4096)
def _order(discnumber: str, tracknumber: str) -> tuple[object, ...]:
    return (natural_order(discnumber), natural_order(tracknumber))


def _releases(rows: Iterable[Sequence[Any]], naming: Naming, place: int) -> list[ShownRelease]:
    number = naming.number
    return [
        (release_id, mtime, names.split(SEPARATOR)[place] if made_by == number else "")
        for release_id, mtime, made_by, names in rows
    ]


def _fetch(c: Config, statement: str, values: Mapping[str, object]) -> list[tuple[Any, ...]]:
    """Returns all rows of a query as plain tuples, which cost less than rows with names."""
    with connect(c) as connection:
        cursor = connection.cursor()
        cursor.row_factory = None
        try:
            return cursor.execute(statement, values).fetchall()
        except UnicodeEncodeError:  # a value that is no Unicode text is in no row
            return []
