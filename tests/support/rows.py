"""Builders of cached libraries for tests of queries: rows as an update stores them, without any files.

Rows go in through the update's own storing of a release, so that what queries read is what updates write.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rosecache.config import Config
from rosecache.database import connect, transaction
from rosecache.update.naming import names_of
from rosecache.update.rows import FileRow, ReleaseRow, ReleaseTags, TrackRow, load_release
from rosecache.update.store import remove_release, store_release

Named = Mapping[str, Sequence[str]]
"""Artists by role."""


def track_row(
    track_id: str,
    tracknumber: str = "1",
    discnumber: str = "1",
    *,
    title: str = "Track",
    artists: Named | None = None,
    path: bytes | None = None,
    mtime: int = 1_000,
    size: int = 5_000,
    duration_seconds: int = 180,
) -> TrackRow:
    """Makes a track; its path is its id unless given."""
    return TrackRow(
        id=track_id,
        path=path if path is not None else f"{track_id}.mp3".encode(),
        size=size,
        mtime=mtime,
        ctime=mtime,
        title=title,
        tracknumber=tracknumber,
        discnumber=discnumber,
        duration_seconds=duration_seconds,
        artists=_credits(artists if artists is not None else {"main": ["Artist"]}),
    )


def release_row(
    release_id: str,
    *,
    directory: bytes | None = None,
    title: str = "Title",
    type: str = "album",
    releasedate: str | None = "2020",
    originaldate: str | None = None,
    compositiondate: str | None = None,
    edition: str | None = None,
    catalognumber: str | None = None,
    artists: Named | None = None,
    genres: Sequence[str] = (),
    secondary_genres: Sequence[str] = (),
    descriptors: Sequence[str] = (),
    labels: Sequence[str] = (),
    new: bool = False,
    mtime: int = 1_000,
    tracks: Sequence[TrackRow] = (),
    files: Sequence[FileRow] = (),
) -> ReleaseRow:
    """Makes a release; its directory is its id unless given."""
    return ReleaseRow(
        id=release_id,
        directory=directory if directory is not None else release_id.encode(),
        stamp=b"stamp",
        tags=ReleaseTags(
            title=title,
            type=type,
            releasedate=releasedate,
            originaldate=originaldate,
            compositiondate=compositiondate,
            edition=edition,
            catalognumber=catalognumber,
            artists=_credits(artists if artists is not None else {"main": ["Artist"]}),
            facets={
                "genre": tuple(genres),
                "secondary_genre": tuple(secondary_genres),
                "descriptor": tuple(descriptors),
                "label": tuple(labels),
            },
        ),
        added_at="2023-10-25T12:00:00-04:00",
        new=new,
        datafile_mtime=mtime,
        mtime=mtime,
        tracks=tuple(tracks),
        files=tuple(files),
    )


def _credits(artists: Named) -> tuple[tuple[str, str], ...]:
    return tuple((role, name) for role, names in artists.items() for name in names)


def store(c: Config, *rows: ReleaseRow) -> None:
    """Stores releases, each in place of what the cache holds under its id."""
    with connect(c) as connection, transaction(connection):
        for row in rows:
            store_release(connection, row, load_release(connection, release_id=row.id), names_of(c, row))


def get_row(c: Config, release_id: str) -> ReleaseRow:
    """Returns what the cache holds of a release."""
    with connect(c) as connection:
        row = load_release(connection, release_id=release_id)
    assert row is not None
    return row


def store_over(c: Config, known: ReleaseRow, row: ReleaseRow) -> None:
    """Stores a release under a directory in which another was, as an update does."""
    with connect(c) as connection, transaction(connection):
        store_release(connection, row, known, names_of(c, row))


def remove(c: Config, release_id: str) -> None:
    """Removes a release, as an update does when its directory is gone."""
    row = get_row(c, release_id)
    with connect(c) as connection, transaction(connection):
        remove_release(connection, row)


def store_collage(c: Config, name: str, *release_ids: str, mtime: int = 1_000) -> None:
    """Stores a collage; members that are no release in the cache are flagged as missing."""
    _store_list(c, "collage", "release", name, release_ids, mtime)


def store_playlist(
    c: Config, name: str, *track_ids: str, mtime: int = 1_000, cover: tuple[bytes, int, int] | None = None
) -> None:
    """Stores a playlist; ``cover`` is the file's name, size and time."""
    _store_list(c, "playlist", "track", name, track_ids, mtime)
    if cover is not None:
        with connect(c) as connection:
            connection.execute(
                "UPDATE playlists SET cover = ?, cover_size = ?, cover_mtime = ? WHERE name = ?",
                (*cover, name),
            )


def _store_list(c: Config, kind: str, member: str, name: str, ids: Sequence[str], mtime: int) -> None:
    with connect(c) as connection, transaction(connection):
        key = connection.execute(
            f"INSERT INTO {kind}s (name, stamp, mtime, checked) VALUES (?, x'', ?, 0)", (name, mtime)
        ).lastrowid
        connection.executemany(
            f"INSERT INTO {kind}_members VALUES (?, ?, ?, NOT EXISTS (SELECT 1 FROM {member}s WHERE id = ?))",
            [(key, position, each, each) for position, each in enumerate(ids, start=1)],
        )
