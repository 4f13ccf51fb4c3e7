"""How a release or a track is read from the tables: what to select, and how to decode it.

Lists of values come out of SQL as JSON arrays, never as text joined by a separator that a tag could hold.
Totals are computed by the statements; no table stores them. Nothing here decides which rows are wanted.
"""

from __future__ import annotations

import functools
import json
import os
import re
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from operator import itemgetter
from pathlib import Path
from typing import Any

import msgspec

from rosecache.aliases import load_aliases
from rosecache.config import Config
from rosecache.database import connect
from rosecache.genres import GenreTree, load_genre_tree
from rosecache.model import Artist, ArtistMapping, PartialDate, Release, Track

Pairs = tuple[tuple[str, str], ...]
"""What a packed column holds: (role, name) of credits or (kind, value) of facets, in their order."""

Totals = Mapping[tuple[str, str], int]
"""How many tracks a disc has, by release id and disc number."""

# An aggregate over an ordered subquery takes the rows in that order; SQLite before 3.44 has no ORDER BY
# within the aggregate itself.
RELEASE_CREDITS = """
  (SELECT json_group_array(json_array(role, name)) FROM
    (SELECT role, name FROM release_artists JOIN artists ON artists.key = artist_key
     WHERE release_key = r.key ORDER BY position))
"""
TRACK_CREDITS = """
  (SELECT json_group_array(json_array(role, name)) FROM
    (SELECT role, name FROM track_artists JOIN artists ON artists.key = artist_key
     WHERE track_key = t.key ORDER BY position))
"""
"""What :meth:`Decoder.credits` decodes; of ``t``, a track."""

SELECT_RELEASES = f"""
SELECT r.key, r.id, r.directory, r.title, r.type, r.releasedate, r.originaldate, r.compositiondate, r.edition,
  r.catalognumber, r.added_at, r.new, r.datafile_mtime, r.mtime, r.metahash,
  (SELECT path FROM files WHERE release_key = r.key AND kind = 'cover' ORDER BY path LIMIT 1),
  (SELECT count(DISTINCT discnumber) FROM tracks WHERE release_key = r.key),
  {RELEASE_CREDITS},
  (SELECT json_group_array(json_array(kind, value)) FROM
    (SELECT kind, value FROM release_facets JOIN facets ON facets.key = facet_key
     WHERE release_key = r.key ORDER BY position))
FROM releases AS r
"""
"""Selects what :meth:`Decoder.release` decodes. A condition on ``r`` can follow."""

SELECT_TRACKS = f"""
SELECT t.id, t.path, t.mtime, t.size, t.title, t.tracknumber, t.discnumber, t.duration_seconds, t.metahash,
  r.id, r.directory, {TRACK_CREDITS}
FROM tracks AS t JOIN releases AS r ON r.key = t.release_key
"""
"""Selects what :meth:`Decoder.tracks` decodes. A condition on ``t`` and ``r`` can follow."""

_DISC, _RELEASE_ID = 6, 9  # columns of SELECT_TRACKS

SELECT_TOTALS = """
SELECT r.id, discnumber, count(*) FROM tracks JOIN releases AS r ON r.key = release_key
WHERE release_key IN ({releases}) GROUP BY release_key, discnumber
"""
"""Counts the tracks of each disc of the releases whose keys a subquery selects."""


def count_totals(rows: Iterable[sqlite3.Row]) -> Totals:
    """Returns the totals of rows of SELECT_TRACKS that are all the tracks of their releases."""
    return Counter((row[_RELEASE_ID], row[_DISC]) for row in rows)


@contextmanager
def snapshot(c: Config) -> Iterator[sqlite3.Connection]:
    """Gives a connection whose statements in the block all see the same state.

    For what takes more than one statement. Ends with the block, so that no read transaction is left open.
    """
    with connect(c) as connection:
        if connection.in_transaction:
            yield connection
            return
        connection.execute("BEGIN")
        try:
            yield connection
        finally:
            if connection.in_transaction:  # an error may have ended it
                connection.execute("COMMIT")


def fetch(
    connection: sqlite3.Connection, statement: str, values: Mapping[str, object] | None = None
) -> list[sqlite3.Row]:
    """Returns all rows of a query at once.

    A value that is no Unicode text (a name decoded from other bytes) is in no row, so there are none.
    """
    try:
        return connection.execute(statement, values or {}).fetchall()
    except UnicodeEncodeError:
        return []


def pack(texts: Iterable[str]) -> str:
    """Returns texts as the JSON array that ``json_each`` takes apart; however many, they are one variable.

    Left out is what no row can hold: a NUL, at which ``json_each`` would cut, and halves of surrogate pairs.
    """
    return json.dumps([text for text in texts if "\0" not in text and not _SURROGATE.search(text)])


_SURROGATE = re.compile("[\ud800-\udfff]")
_pairs = msgspec.json.Decoder(Pairs)


def unpack(packed: str) -> Pairs:
    """Decodes a column that SQL made by ``json_group_array(json_array(…, …))``."""
    return () if packed == "[]" else _pairs.decode(packed)


class _Facets(msgspec.Struct, frozen=True):
    """The facets of a release by kind, with the parents of its genres."""

    genres: tuple[str, ...]
    parent_genres: tuple[str, ...]
    secondary_genres: tuple[str, ...]
    parent_secondary_genres: tuple[str, ...]
    descriptors: tuple[str, ...]
    labels: tuple[str, ...]


class Decoder:
    """Turns rows into values under one configuration.

    Equal artists and equal facets of many rows become the same objects: they are decoded once and held once.
    """

    def __init__(self, c: Config) -> None:
        self._base_text = os.path.join(c.music_source_dir, "")
        self._aliases = load_aliases(c)
        self._genres = load_genre_tree(c)
        self.credits = functools.lru_cache(maxsize=8192)(self._decode_credits)
        self._facets = functools.lru_cache(maxsize=8192)(self._decode_facets)

    def path(self, *parts: bytes) -> Path:
        """Returns the path of something below the source directory."""
        return Path(self._base_text + os.fsdecode(b"/".join(parts)))

    def release(self, row: Iterable[Any]) -> Release:
        """Decodes a row of SELECT_RELEASES."""
        (
            _, release_id, directory, title, release_type, releasedate, originaldate, compositiondate,
            edition, catalognumber, added_at, new, datafile_mtime, mtime, metahash, cover, disctotal, artists,
            facets,
        ) = row  # fmt: skip
        by_kind: _Facets = self._facets(facets)
        return Release(
            id=release_id,
            source_path=self.path(directory),
            cover_image_path=None if cover is None else self.path(directory, cover),
            added_at=added_at,
            datafile_mtime=datafile_mtime,
            releasetitle=title,
            releasetype=release_type,
            releasedate=parse_date(releasedate),
            originaldate=parse_date(originaldate),
            compositiondate=parse_date(compositiondate),
            edition=edition,
            catalognumber=catalognumber,
            new=bool(new),
            disctotal=disctotal,
            genres=by_kind.genres,
            parent_genres=by_kind.parent_genres,
            secondary_genres=by_kind.secondary_genres,
            parent_secondary_genres=by_kind.parent_secondary_genres,
            descriptors=by_kind.descriptors,
            labels=by_kind.labels,
            releaseartists=self.credits(artists),
            metahash=metahash,
            mtime=mtime,
        )

    def tracks(
        self, rows: Iterable[Iterable[Any]], releases: Mapping[str, Release], totals: Totals
    ) -> list[Track]:
        """Decodes rows of SELECT_TRACKS, sorted by release, disc and track.

        Args:
            rows: The rows, in any order.
            releases: Every release of the rows, by id.
            totals: The tracktotal of every row, by release id and disc number.
        """
        found = []
        for row in rows:
            (
                track_id, path, mtime, size, title, number, disc, duration, metahash, release_id, directory,
                artists,
            ) = row  # fmt: skip
            track = Track(
                id=track_id,
                source_path=self.path(directory, path),
                source_mtime=mtime,
                source_size=size,
                tracktitle=title,
                tracknumber=number,
                tracktotal=totals[release_id, disc],
                discnumber=disc,
                duration_seconds=duration,
                trackartists=self.credits(artists),
                metahash=metahash,
                release=releases[release_id],
            )
            found.append(((directory, natural_order(disc), natural_order(number), path), track))
        found.sort(key=itemgetter(0))
        return [track for _, track in found]

    def _decode_credits(self, packed: str) -> ArtistMapping:
        by_role: dict[str, list[Artist]] = {}
        for role, name in unpack(packed):
            by_role.setdefault(role, []).append(Artist(name))
        mapping = ArtistMapping(**{role: tuple(artists) for role, artists in by_role.items()})
        return self._aliases.applied_to(mapping)

    def _decode_facets(self, packed: str) -> _Facets:
        by_kind: dict[str, list[str]] = {"genre": [], "secondary_genre": [], "descriptor": [], "label": []}
        for kind, value in unpack(packed):
            by_kind[kind].append(value)
        genres, secondary = tuple(by_kind["genre"]), tuple(by_kind["secondary_genre"])
        return _Facets(
            genres=genres,
            parent_genres=tuple(self._genres.parents_of_all(genres)),
            secondary_genres=secondary,
            parent_secondary_genres=tuple(self._genres.parents_of_all(secondary)),
            descriptors=tuple(by_kind["descriptor"]),
            labels=tuple(by_kind["label"]),
        )


def decoder_of(c: Config) -> Decoder:
    """Returns the decoder of a configuration, and of the genre tree in force."""
    return _decoder_of(c, load_genre_tree(c))


@functools.lru_cache(maxsize=16)
def _decoder_of(c: Config, genres: GenreTree) -> Decoder:
    return Decoder(c)


parse_date = functools.lru_cache(maxsize=4096)(PartialDate.parse)


def forget_decoded() -> None:
    """Lets go of all artists, facets and dates that were decoded before. They are decoded again at need."""
    _decoder_of.cache_clear()
    parse_date.cache_clear()


_RUNS = re.compile(r"[0-9]+|[^0-9]+")


@functools.lru_cache(maxsize=4096)
def natural_order(text: str) -> tuple[tuple[int, str], ...]:
    """Returns a key that sorts texts with numbers in them by the numbers: 2, 10, A1, A2, A10, B1.

    Numbers are compared by their digits, since a tag may hold more of them than ``int`` takes.
    """
    return tuple(
        (len(run.lstrip("0")), run.lstrip("0")) if run[0] in "0123456789" else (_AFTER_NUMBERS, run)
        for run in _RUNS.findall(text)
    )


_AFTER_NUMBERS = 1 << 62
