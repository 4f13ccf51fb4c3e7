"""What the cache holds of one release, as values: loaded to compare with the disk, made to be stored.

The same values describe both sides, so that "did anything shown change" is one comparison.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec.structs import fields

from rosecache.model import ROLES, Artist, ArtistMapping, PartialDate
from rosecache.tags import AudioTags

FACETS = ("genre", "secondary_genre", "descriptor", "label")
"""The kinds of values that a release has lists of, and that views are made of."""

Credits = tuple[tuple[str, str], ...]
"""Artists as (role, name), in order."""


class FileRow(msgspec.Struct, frozen=True):
    """A file that is no track. ``kind``: cover, datafile, extra or broken."""

    path: bytes
    kind: str
    size: int
    mtime: int
    ctime: int
    problem: str | None = None


class TrackRow(msgspec.Struct, frozen=True):
    """A readable audio file, and what its tags say of the track."""

    id: str
    path: bytes
    size: int
    mtime: int
    ctime: int
    title: str
    tracknumber: str
    discnumber: str
    duration_seconds: int
    artists: Credits

    @property
    def metahash(self) -> str:
        """A digest of what is shown of the track itself."""
        return _digest(self.shown)

    @property
    def shown(self) -> tuple[object, ...]:
        """What is shown of the track. Times of inodes are not."""
        return (
            self.id, self.path, self.size, self.mtime, self.title, self.tracknumber, self.discnumber,
            self.duration_seconds, self.artists,
        )  # fmt: skip


class ReleaseTags(msgspec.Struct, frozen=True):
    """What the tags of a release's first audio file say of the release."""

    title: str
    type: str
    releasedate: str | None
    originaldate: str | None
    compositiondate: str | None
    edition: str | None
    catalognumber: str | None
    artists: Credits
    facets: Mapping[str, tuple[str, ...]]
    """Values by kind, every one of FACETS."""


class ReleaseRow(msgspec.Struct, frozen=True):
    """All of one release: its tags, its datafile, its tracks and its other files."""

    id: str
    directory: bytes
    stamp: bytes
    """See :func:`rosecache.update.walk.make_stamp`; empty when the next update must look again."""
    tags: ReleaseTags
    added_at: str
    new: bool
    datafile_mtime: int
    mtime: int
    tracks: tuple[TrackRow, ...]
    files: tuple[FileRow, ...]

    @property
    def metahash(self) -> str:
        """A digest of everything shown of the release and its tracks. Times of inodes are not shown."""
        files = [(file.path, file.kind, file.size, file.mtime, file.problem) for file in self.files]
        own = (self.id, self.directory, self.tags, self.added_at, self.new, self.datafile_mtime)
        return _digest((own, [track.shown for track in self.tracks], files))


def _digest(value: object) -> str:
    return hashlib.blake2b(repr(value).encode("utf-8", "backslashreplace"), digest_size=8).hexdigest()


def credits_of(artists: ArtistMapping) -> Credits:
    """Flattens a mapping to (role, name) pairs."""
    return tuple((role, artist.name) for role, named in artists.items() for artist in named)


def mapping_of(credits: Credits) -> ArtistMapping:
    """Makes the mapping that :func:`credits_of` flattened."""
    by_role: dict[str, list[Artist]] = {role: [] for role in ROLES}
    for role, name in credits:
        by_role[role].append(Artist(name))
    return ArtistMapping(**{role: tuple(artists) for role, artists in by_role.items()})


def release_tags_of(tags: AudioTags) -> ReleaseTags:
    """Returns the part of an audio file's tags that speaks of its release."""
    return ReleaseTags(
        title=tags.releasetitle or "",
        type=tags.releasetype,
        releasedate=_text(tags.releasedate),
        originaldate=_text(tags.originaldate),
        compositiondate=_text(tags.compositiondate),
        edition=tags.edition,
        catalognumber=tags.catalognumber,
        artists=credits_of(tags.releaseartists),
        facets={
            "genre": tags.genres,
            "secondary_genre": tags.secondary_genres,
            "descriptor": tags.descriptors,
            "label": tags.labels,
        },
    )


def _text(date: PartialDate | None) -> str | None:
    return None if date is None else str(date)


def load_release(
    connection: sqlite3.Connection, *, directory: bytes | None = None, release_id: str | None = None
) -> ReleaseRow | None:
    """Returns what the cache holds of a release, asked for by its directory or its id; None if nothing."""
    row = connection.execute(
        "SELECT * FROM releases WHERE directory = ? OR id = ?", (directory, release_id)
    ).fetchone()
    if row is None:
        return None
    key = row["key"]
    facets: dict[str, list[str]] = {kind: [] for kind in FACETS}
    for kind, value in connection.execute(
        "SELECT kind, value FROM release_facets JOIN facets ON facets.key = facet_key"
        " WHERE release_key = ? ORDER BY position",
        (key,),
    ).fetchall():
        facets[kind].append(value)
    tags = ReleaseTags(
        **{name: row[name] for name in _TAG_COLUMNS},
        artists=_credits(connection, "release", key),
        facets={kind: tuple(values) for kind, values in facets.items()},
    )
    return ReleaseRow(
        id=row["id"],
        directory=row["directory"],
        stamp=row["stamp"],
        tags=tags,
        added_at=row["added_at"],
        new=bool(row["new"]),
        datafile_mtime=row["datafile_mtime"],
        mtime=row["mtime"],
        tracks=_tracks(connection, key),
        files=tuple(
            FileRow(**dict(file))
            for file in connection.execute(
                "SELECT path, kind, size, mtime, ctime, problem FROM files"
                " WHERE release_key = ? ORDER BY path",
                (key,),
            ).fetchall()
        ),
    )


def rows_among(
    connection: sqlite3.Connection, query: str, values: Sequence[str], *further: object
) -> list[tuple[Any, ...]]:
    """Returns what a query finds for any of some values, asked for all of them at once.

    Args:
        connection: To the cache.
        query: Has ``IN ({})`` where the values go.
        values: As many as there are.
        further: What else the query asks for, behind the values.
    """
    found: list[tuple[Any, ...]] = []
    for start in range(0, len(values), _AT_ONCE):
        some = values[start : start + _AT_ONCE]
        # Few different texts, so that the statements are compiled once; a value may be there twice.
        size = -(-len(some) // _STEP) * _STEP
        marks = ",".join("?" * size)
        padded = [*some, *[some[-1]] * (size - len(some))]
        found += map(tuple, connection.execute(query.format(marks), (*padded, *further)).fetchall())
    return found


_AT_ONCE = 240
_STEP = 8

_TAG_COLUMNS = tuple(field.name for field in fields(ReleaseTags) if field.name not in ("artists", "facets"))
_TRACK_COLUMNS = tuple(field.name for field in fields(TrackRow) if field.name != "artists")


def _tracks(connection: sqlite3.Connection, release_key: int) -> tuple[TrackRow, ...]:
    rows = connection.execute(
        f"SELECT key, {', '.join(_TRACK_COLUMNS)} FROM tracks WHERE release_key = ? ORDER BY path",
        (release_key,),
    ).fetchall()
    return tuple(
        TrackRow(
            **{name: row[name] for name in _TRACK_COLUMNS},
            artists=_credits(connection, "track", row["key"]),
        )
        for row in rows
    )


def _credits(connection: sqlite3.Connection, owner: str, key: int) -> Credits:
    rows = connection.execute(
        f"SELECT role, name FROM {owner}_artists JOIN artists ON artists.key = artist_key"
        f" WHERE {owner}_key = ? ORDER BY position",
        (key,),
    ).fetchall()
    return tuple((role, name) for role, name in rows)
