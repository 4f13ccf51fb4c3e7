"""Values of a few fields of many releases or tracks, for whoever needs no more of them, as to put them in order.

What a field holds is what :class:`rosecache.model.Release` and :class:`rosecache.model.Track` have under its name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from rosecache.config import Config
from rosecache.database import connect
from rosecache.query.rows import RELEASE_CREDITS, TRACK_CREDITS, decoder_of, fetch, pack, parse_date

Values = tuple[Any, ...]
"""One value for each field that was asked for, in the same order."""

_OF_RELEASES: Mapping[str, str] = {
    "added_at": "r.added_at",
    "releasetitle": "r.title",
    "releasedate": "r.releasedate",
    "originaldate": "r.originaldate",
    "compositiondate": "r.compositiondate",
    "releaseartists": RELEASE_CREDITS,
}
_OF_TRACKS: Mapping[str, str] = {
    **_OF_RELEASES,
    "tracktitle": "t.title",
    "tracknumber": "t.tracknumber",
    "discnumber": "t.discnumber",
    "duration_seconds": "t.duration_seconds",
    "trackartists": TRACK_CREDITS,
}
"""By field what to select."""

_RELEASES = """
SELECT r.id{columns} FROM releases AS r
WHERE r.id IN (SELECT value FROM json_each(:ids)) ORDER BY r.directory
"""
_TRACKS = """
SELECT t.id{columns} FROM tracks AS t JOIN releases AS r ON r.key = t.release_key
WHERE t.id IN (SELECT value FROM json_each(:ids)) ORDER BY r.directory, t.path
"""


def list_release_values(c: Config, ids: Iterable[str], fields: Sequence[str]) -> list[tuple[str, Values]]:
    """Returns the ids of those of some releases that exist, by source path, with the values of fields.

    Args:
        c: The configuration.
        ids: Which releases.
        fields: ``added_at``, ``releasetitle``, ``releasedate``, ``originaldate``, ``compositiondate`` and
            ``releaseartists`` can be had.

    Raises:
        KeyError: There is no such field.
    """
    return _list(c, _RELEASES, ids, fields, [_OF_RELEASES[field] for field in fields])


def list_track_values(c: Config, ids: Iterable[str], fields: Sequence[str]) -> list[tuple[str, Values]]:
    """Returns the ids of those of some tracks that exist, by source path, with the values of fields.

    Args:
        c: The configuration.
        ids: Which tracks.
        fields: ``tracktitle``, ``tracknumber``, ``discnumber``, ``duration_seconds`` and ``trackartists`` can be had,
            and of their releases what :func:`list_release_values` has.

    Raises:
        KeyError: There is no such field.
    """
    return _list(c, _TRACKS, ids, fields, [_OF_TRACKS[field] for field in fields])


def _list(
    c: Config, statement: str, ids: Iterable[str], fields: Sequence[str], columns: Sequence[str]
) -> list[tuple[str, Values]]:
    decoders = [_decoder(c, field) for field in fields]
    selected = "".join(f", {column}" for column in columns)
    with connect(c) as connection:
        rows = fetch(connection, statement.format(columns=selected), {"ids": pack(ids)})
    return [
        (row[0], tuple(decode(value) for decode, value in zip(decoders, row[1:], strict=True)))
        for row in rows
    ]


def _decoder(c: Config, field: str) -> Callable[[Any], Any]:
    if field.endswith("date"):
        return parse_date
    if field.endswith("artists"):
        return decoder_of(c).credits
    return _as_it_is


def _as_it_is(value: Any) -> Any:
    return value
