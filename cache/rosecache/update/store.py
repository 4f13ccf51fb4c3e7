"""Writing one release to the cache, or removing it: rows, search text, change feed and losses.

Every function here runs inside its caller's transaction and is the only code that writes these tables.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Mapping, Sequence

import msgspec
from msgspec.structs import replace

from rosecache.naming import UNNAMED, hash_name, split_names
from rosecache.update.naming import Names
from rosecache.update.rows import FACETS, Credits, ReleaseRow, TrackRow, load_release, rows_among


class _Known(msgspec.Struct, frozen=True):
    """A release row that the new one replaces."""

    key: int
    id: str
    stamp: bytes
    mtime: int
    metahash: str


def store_release(
    connection: sqlite3.Connection, row: ReleaseRow, known: ReleaseRow | None, names: Names
) -> bool:
    """Stores a release in place of what the cache holds under its directory or its id.

    Args:
        connection: In a transaction.
        row: What is on the disk now.
        known: What the cache held for this directory or, if the directory was renamed, this id.
        names: What it and its tracks are called.

    Returns:
        Whether anything shown changed. A new stamp alone is stored, but is no change.
    """
    _remove_others(connection, row)
    metahash = row.metahash
    stored = _find(connection, row)
    if stored is not None and stored.metahash == metahash:
        if stored.stamp == row.stamp and known == replace(row, mtime=stored.mtime):
            return False  # and an update that changes nothing writes nothing
        connection.execute(
            "UPDATE releases SET directory = ?, stamp = ? WHERE key = ?",
            (row.directory, row.stamp, stored.key),
        )
        _store_times(connection, stored.key, row)
        return False
    mtime = row.mtime
    if stored is not None:
        # Never back, and never the same: programs read a directory again only when its time changed.
        mtime = row.mtime if row.mtime > stored.mtime else max(stored.mtime + 1, time.time_ns())
    key = _store_columns(connection, row, mtime, metahash, stored, names)
    _store_parts(connection, key, row, mtime, names, is_stored=stored is not None)
    if known is not None:
        note_losses(connection, _listings(known) - _listings(row), mtime)
    _feed(connection, row.id, "added" if stored is None else "changed")
    return True


def replace_names(connection: sqlite3.Connection, key: int, names: Names) -> None:
    """Stores other names of a release and of its tracks, of which nothing else has changed."""
    connection.execute(
        "UPDATE releases SET naming = ?, names = ? WHERE key = ?", (names.number, names.release, key)
    )
    connection.executemany(
        "UPDATE tracks SET names = ? WHERE id = ?",
        [(packed, identifier) for identifier, packed in names.tracks.items()],
    )
    connection.execute("DELETE FROM release_names WHERE release_key = ?", (key,))
    _store_hashes(connection, key, names)


def _store_hashes(connection: sqlite3.Connection, key: int, names: Names) -> None:
    connection.executemany(
        "INSERT INTO release_names VALUES (?, ?)",
        [(number, key) for number in {hash_name(name) for name in split_names(names.release)}],
    )


def remove_release(connection: sqlite3.Connection, row: ReleaseRow) -> None:
    """Removes a release that is gone from the disk."""
    found = connection.execute("SELECT key FROM releases WHERE id = ?", (row.id,)).fetchone()
    _remove_key(connection, found["key"])
    # A time in the future, which a file can have, does not go back either.
    note_losses(connection, _listings(row) | {("release", "")}, max(time.time_ns(), row.mtime + 1))
    _feed(connection, row.id, "removed")


def feed(connection: sqlite3.Connection, kind: str, identifier: str, change: str) -> None:
    """Appends to the change feed. Kinds: release, collage, playlist; changes: added, changed, removed."""
    connection.execute("INSERT INTO changes (kind, id, change) VALUES (?, ?, ?)", (kind, identifier, change))


def _feed(connection: sqlite3.Connection, release_id: str, change: str) -> None:
    feed(connection, "release", release_id, change)


def _find(connection: sqlite3.Connection, row: ReleaseRow) -> _Known | None:
    found = connection.execute(
        "SELECT key, id, stamp, mtime, metahash FROM releases WHERE id = ?", (row.id,)
    ).fetchone()
    return None if found is None else _Known(*found)


def _remove_others(connection: sqlite3.Connection, row: ReleaseRow) -> None:
    """Removes what stands in the way: another id under this directory, and these track ids elsewhere."""
    other = connection.execute(
        "SELECT id FROM releases WHERE directory = ? AND id != ?", (row.directory, row.id)
    ).fetchone()
    if other is not None and (gone := load_release(connection, release_id=other["id"])) is not None:
        remove_release(connection, gone)
    moved = rows_among(
        connection,
        "SELECT tracks.key, releases.key, releases.id FROM tracks JOIN releases ON releases.key = release_key"
        " WHERE tracks.id IN ({}) AND releases.id != ? ORDER BY tracks.key",
        [track.id for track in row.tracks],
        row.id,
    )
    for key, release_key, release_id in moved:
        # The release that it left is looked at again, whatever its stamp says, and stored again, even
        # if it has the track back by then. What its tracks are called can depend on how many there are.
        _remove_tracks(connection, [key])
        connection.execute(
            "UPDATE releases SET stamp = x'', metahash = '', naming = ? WHERE key = ?", (UNNAMED, release_key)
        )
        _feed(connection, release_id, "changed")


def _remove_key(connection: sqlite3.Connection, key: int) -> None:
    tracks = [
        row["key"] for row in connection.execute("SELECT key FROM tracks WHERE release_key = ?", (key,))
    ]
    _remove_tracks(connection, tracks)
    connection.execute("DELETE FROM releases_text WHERE rowid = ?", (key,))
    connection.execute("DELETE FROM releases WHERE key = ?", (key,))


def _remove_tracks(connection: sqlite3.Connection, keys: Iterable[int]) -> None:
    arguments = [(key,) for key in keys]
    connection.executemany("DELETE FROM tracks_text WHERE rowid = ?", arguments)
    connection.executemany("DELETE FROM tracks WHERE key = ?", arguments)


def _store_times(connection: sqlite3.Connection, key: int, row: ReleaseRow) -> None:
    connection.executemany(
        "UPDATE tracks SET ctime = ? WHERE release_key = ? AND path = ?",
        [(track.ctime, key, track.path) for track in row.tracks],
    )
    connection.executemany(
        "UPDATE files SET ctime = ? WHERE release_key = ? AND path = ?",
        [(file.ctime, key, file.path) for file in row.files],
    )


def _store_columns(
    connection: sqlite3.Connection,
    row: ReleaseRow,
    mtime: int,
    metahash: str,
    stored: _Known | None,
    names: Names,
) -> int:
    columns = {
        "id": row.id,
        "directory": row.directory,
        "stamp": row.stamp,
        "title": row.tags.title,
        "type": row.tags.type,
        "releasedate": row.tags.releasedate,
        "originaldate": row.tags.originaldate,
        "compositiondate": row.tags.compositiondate,
        "edition": row.tags.edition,
        "catalognumber": row.tags.catalognumber,
        "added_at": row.added_at,
        "new": row.new,
        "datafile_mtime": row.datafile_mtime,
        "mtime": mtime,
        "metahash": metahash,
        "naming": names.number,
        "names": names.release,
    }
    if stored is not None:
        assignments = ", ".join(f"{name} = :{name}" for name in columns)
        connection.execute(
            f"UPDATE releases SET {assignments} WHERE key = :key", {**columns, "key": stored.key}
        )
        return stored.key
    listed = ", ".join(columns)
    marks = ", ".join(f":{name}" for name in columns)
    key = connection.execute(f"INSERT INTO releases ({listed}) VALUES ({marks})", columns).lastrowid
    assert key is not None
    return key


def _store_parts(
    connection: sqlite3.Connection, key: int, row: ReleaseRow, mtime: int, names: Names, *, is_stored: bool
) -> None:
    """Stores everything of a release but its own columns, in place of what was there.

    ``mtime`` is that column, which what the release is browsed by has, too.
    """
    if is_stored:
        _remove_parts(connection, key)
    connection.executemany(
        "INSERT INTO files VALUES (?, ?, ?, ?, ?, ?, ?)",
        [(key, file.path, file.kind, file.size, file.mtime, file.ctime, file.problem) for file in row.files],
    )
    for kind in FACETS:
        if values := row.tags.facets[kind]:
            keys = _interned(connection, _FACETS_OF[kind], values)
            connection.executemany(
                "INSERT INTO release_facets VALUES (?, ?, ?, ?, ?)",
                [
                    (key, keys[value], position, row.new, mtime)
                    for position, value in enumerate(values, start=1)
                ],
            )
    connection.execute("INSERT INTO releases_text (rowid, text) VALUES (?, ?)", (key, release_text(row)))
    credited = [*row.tags.artists, *(credit for track in row.tracks for credit in track.artists)]
    artists = _interned(connection, _ARTISTS, [name for _, name in credited])
    connection.executemany(
        "INSERT INTO release_artists VALUES (?, ?, ?, ?, ?, ?)",
        [(*credit, row.new, mtime) for credit in _credit_rows(key, row.tags.artists, artists)],
    )
    _store_tracks(connection, key, row.tracks, artists, names)
    _store_hashes(connection, key, names)


def _remove_parts(connection: sqlite3.Connection, key: int) -> None:
    old = [
        track["key"] for track in connection.execute("SELECT key FROM tracks WHERE release_key = ?", (key,))
    ]
    _remove_tracks(connection, old)
    for table in ("files", "release_artists", "release_facets", "release_names"):
        connection.execute(f"DELETE FROM {table} WHERE release_key = ?", (key,))
    connection.execute("DELETE FROM releases_text WHERE rowid = ?", (key,))


def _store_tracks(
    connection: sqlite3.Connection,
    release_key: int,
    tracks: Sequence[TrackRow],
    artists: Mapping[str, int],
    names: Names,
) -> None:
    # As SQLite would number them; nobody else writes during the transaction.
    (last,) = connection.execute("SELECT coalesce(max(key), 0) FROM tracks").fetchone()
    numbered = list(enumerate(tracks, start=last + 1))
    connection.executemany(
        "INSERT INTO tracks (key, id, release_key, path, size, mtime, ctime, title, tracknumber, discnumber,"
        " duration_seconds, metahash, names) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                key, track.id, release_key, track.path, track.size, track.mtime, track.ctime, track.title,
                track.tracknumber, track.discnumber, track.duration_seconds, track.metahash,
                names.tracks[track.id],
            )
            for key, track in numbered
        ],
    )  # fmt: skip
    connection.executemany(
        "INSERT INTO track_artists VALUES (?, ?, ?, ?)",
        [line for key, track in numbered for line in _credit_rows(key, track.artists, artists)],
    )
    connection.executemany(
        "INSERT INTO tracks_text (rowid, text) VALUES (?, ?)",
        [(key, track_text(track)) for key, track in numbered],
    )


def _credit_rows(key: int, credits: Credits, artists: Mapping[str, int]) -> list[tuple[int, int, str, int]]:
    return [(key, position, role, artists[name]) for position, (role, name) in enumerate(credits, start=1)]


class _Interning(msgspec.Struct, frozen=True):
    """How values that have a row each are found, many at once, and how one is added."""

    find: str
    add: str


_ARTISTS = _Interning(
    "SELECT name, key FROM artists WHERE name IN ({})", "INSERT INTO artists (name) VALUES (?)"
)
_FACETS_OF = {
    kind: _Interning(
        f"SELECT value, key FROM facets WHERE value IN ({{}}) AND kind = '{kind}'",
        f"INSERT INTO facets (kind, value) VALUES ('{kind}', ?)",
    )
    for kind in FACETS
}


def _interned(connection: sqlite3.Connection, how: _Interning, values: Iterable[str]) -> dict[str, int]:
    """Returns the keys of the rows that hold some values, by value; those that there are not yet are made."""
    wanted = list(dict.fromkeys(values))
    keys = dict(rows_among(connection, how.find, wanted))
    for value in wanted:
        if value not in keys:
            made = connection.execute(how.add, (value,)).lastrowid
            assert made is not None
            keys[value] = made
    return keys


def release_text(row: ReleaseRow) -> str:
    """Returns every shown field of a release, a line each, as the full-text search holds it."""
    tags = row.tags
    single = (
        tags.title, tags.type, tags.releasedate, tags.originaldate, tags.compositiondate, tags.edition,
        tags.catalognumber,
    )  # fmt: skip
    lines = [value for value in single if value]
    lines += [name for _, name in tags.artists]
    lines += [value for kind in FACETS for value in tags.facets[kind]]
    return "\n".join(lines)


def track_text(track: TrackRow) -> str:
    """Returns every shown field of a track that is not its release's, a line each."""
    lines = [track.title, track.tracknumber, track.discnumber, *(name for _, name in track.artists)]
    return "\n".join(line for line in lines if line)


def _listings(row: ReleaseRow) -> set[tuple[str, str]]:
    """Returns the listings that show a release, as (kind, value) of the table ``losses``."""
    listings = {("artist", name) for _, name in row.tags.artists}
    for kind in FACETS:
        shown = "genre" if kind == "secondary_genre" else kind
        listings |= {(shown, value) for value in row.tags.facets[kind]}
    if row.new:
        listings.add(("new", ""))
    listings.add(("loose_track" if row.tags.type == "loosetrack" else "release", ""))
    return listings


def note_losses(connection: sqlite3.Connection, lost: Iterable[tuple[str, str]], at: int) -> None:
    """Remembers when listings, as (kind, value) of the table ``losses``, lost something."""
    connection.executemany(
        "INSERT INTO losses VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET at = max(at, excluded.at)",
        [(kind, value, at) for kind, value in lost],
    )
