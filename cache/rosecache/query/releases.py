"""Queries for releases: one, some, all, or those that pass filters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rosecache.config import Config
from rosecache.database import connect
from rosecache.formatting import format_artists
from rosecache.model import Release
from rosecache.query.filters import NOT_LOOSE, Filter, ids_filter, release_filter
from rosecache.query.rows import SELECT_RELEASES, decoder_of, fetch

_ONE = f"{SELECT_RELEASES} WHERE r.id = :id"


def get_release(c: Config, release_id: str) -> Release | None:
    """Returns a release, or None if there is none of this id."""
    with connect(c) as connection:
        rows = fetch(connection, _ONE, {"id": release_id})
    return decoder_of(c).release(rows[0]) if rows else None


def list_releases(
    c: Config, release_ids: Iterable[str] | None = None, *, include_loose_tracks: bool = True
) -> list[Release]:
    """Returns all releases, or those of the given ids that exist, each once, by source path."""
    kept = "TRUE" if include_loose_tracks else NOT_LOOSE.condition
    if release_ids is None:
        return releases_where(c, kept, {})
    wanted = ids_filter(release_ids)
    return releases_where(c, f"{wanted.condition} AND {kept}", wanted.values)


def filter_releases(
    c: Config,
    *,
    release_artist_filter: str | None = None,
    all_artist_filter: str | None = None,
    genre_filter: str | None = None,
    descriptor_filter: str | None = None,
    label_filter: str | None = None,
    release_type_filter: str | None = None,
    new: bool | None = None,
    include_loose_tracks: bool = True,
) -> list[Release]:
    """Returns the releases that pass every filter given, by source path.

    Args:
        c: The configuration.
        release_artist_filter: A release artist, of any role; releases of the artist's aliases pass too.
        all_artist_filter: The same, and releases with a track of the artist pass too.
        genre_filter: A genre or secondary genre; releases of its child genres pass too.
        descriptor_filter: A descriptor.
        label_filter: A label.
        release_type_filter: One of ``model.RELEASE_TYPES``.
        new: Whether the release must be new, or must not be.
        include_loose_tracks: Whether releases of type ``loosetrack`` can pass.
    """
    wanted = release_filter(
        c,
        release_artist_filter=release_artist_filter,
        all_artist_filter=all_artist_filter,
        genre_filter=genre_filter,
        descriptor_filter=descriptor_filter,
        label_filter=label_filter,
        release_type_filter=release_type_filter,
        new=new,
    )
    kept = "TRUE" if include_loose_tracks else NOT_LOOSE.condition
    return releases_where(c, f"{wanted.condition} AND {kept}", wanted.values)


def releases_that_pass(c: Config, wanted: Filter) -> list[Release]:
    """Returns the releases that pass a filter, by source path."""
    return releases_where(c, wanted.condition, wanted.values)


def releases_where(c: Config, condition: str, values: Mapping[str, object]) -> list[Release]:
    """Returns the releases for which an SQL condition on ``r``, the release, holds, by source path."""
    with connect(c) as connection:
        rows = fetch(connection, f"{SELECT_RELEASES} WHERE {condition} ORDER BY r.directory", values)
    decode = decoder_of(c).release
    return [decode(row) for row in rows]


def get_release_logtext(c: Config, release_id: str) -> str | None:
    """Returns a short name for log lines, ``Artist - 2020. Title``; None if there is no such release."""
    release = get_release(c, release_id)
    return None if release is None else release_logtext(release)


def release_logtext(release: Release) -> str:
    """Returns what a release is called in log lines."""
    date = release.originaldate or release.releasedate
    year = "" if date is None else f"{date.year}. "
    return f"{format_artists(release.releaseartists)} - {year}{release.releasetitle or 'Unknown Release'}"
