"""Queries for tracks: one, some, all, those of a release, or those that pass filters.

A track comes with its release. Tracks are in the order of their releases' source paths, then of disc and
track number, compared as numbers where they are numbers, then of path.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rosecache.config import Config
from rosecache.database import connect
from rosecache.formatting import format_artists
from rosecache.model import Release, Track
from rosecache.query.filters import TRACK_CONDITIONS, make_filter
from rosecache.query.rows import (
    SELECT_RELEASES,
    SELECT_TOTALS,
    SELECT_TRACKS,
    count_totals,
    decoder_of,
    fetch,
    pack,
    snapshot,
)

_OF_RELEASE = f"{SELECT_TRACKS} WHERE r.id = :id"
_OF_RELEASES = f"{SELECT_TRACKS} WHERE r.id IN (SELECT value FROM json_each(:ids))"


def get_track(c: Config, track_id: str) -> Track | None:
    """Returns a track, or None if there is none of this id."""
    found = tracks_where(c, "t.id = :id", {"id": track_id})
    return found[0] if found else None


def list_tracks(c: Config, track_ids: Iterable[str] | None = None) -> list[Track]:
    """Returns all tracks, or those of the given ids that exist, each once."""
    if track_ids is None:
        return tracks_where(c, "TRUE", {})
    return tracks_where(c, "t.id IN (SELECT value FROM json_each(:ids))", {"ids": pack(track_ids)})


def filter_tracks(
    c: Config,
    *,
    track_artist_filter: str | None = None,
    release_artist_filter: str | None = None,
    all_artist_filter: str | None = None,
    genre_filter: str | None = None,
    descriptor_filter: str | None = None,
    label_filter: str | None = None,
    new: bool | None = None,
) -> list[Track]:
    """Returns the tracks that pass every filter given.

    Args:
        c: The configuration.
        track_artist_filter: A track artist, of any role; tracks of the artist's aliases pass too.
        release_artist_filter: The same of the release's artists.
        all_artist_filter: The same of either.
        genre_filter: A genre or secondary genre of the release; its child genres pass too.
        descriptor_filter: A descriptor of the release.
        label_filter: A label of the release.
        new: Whether the release must be new, or must not be.
    """
    wanted = make_filter(
        c,
        TRACK_CONDITIONS,
        {
            "track_artist_filter": track_artist_filter,
            "release_artist_filter": release_artist_filter,
            "all_artist_filter": all_artist_filter,
            "genre_filter": genre_filter,
            "descriptor_filter": descriptor_filter,
            "label_filter": label_filter,
            "new": new,
        },
    )
    return tracks_where(c, wanted.condition, wanted.values)


def tracks_where(c: Config, condition: str, values: Mapping[str, object]) -> list[Track]:
    """Returns the tracks for which an SQL condition on ``t``, the track, and ``r``, its release, holds."""
    keys = f"SELECT release_key FROM tracks AS t JOIN releases AS r ON r.key = release_key WHERE {condition}"
    with snapshot(c) as connection:
        release_rows = fetch(connection, f"{SELECT_RELEASES} WHERE r.key IN ({keys})", values)
        total_rows = fetch(connection, SELECT_TOTALS.format(releases=keys), values)
        rows = fetch(connection, f"{SELECT_TRACKS} WHERE {condition}", values)
    decoder = decoder_of(c)
    releases = {release.id: release for release in map(decoder.release, release_rows)}
    totals = {(release_id, disc): total for release_id, disc, total in total_rows}
    return decoder.tracks(rows, releases, totals)


def get_tracks_of_release(c: Config, release: Release) -> list[Track]:
    """Returns the tracks of a release, in disc and track order; none if the release is gone."""
    with connect(c) as connection:
        rows = fetch(connection, _OF_RELEASE, {"id": release.id})
    return decoder_of(c).tracks(rows, {release.id: release}, count_totals(rows))


def get_tracks_of_releases(c: Config, releases: Iterable[Release]) -> list[tuple[Release, list[Track]]]:
    """Returns each of the given releases, in the given order, with its tracks in disc and track order."""
    given = list(releases)
    by_id = {release.id: release for release in given}
    with connect(c) as connection:
        rows = fetch(connection, _OF_RELEASES, {"ids": pack(by_id)})
    tracks: dict[str, list[Track]] = {release_id: [] for release_id in by_id}
    for track in decoder_of(c).tracks(rows, by_id, count_totals(rows)):
        tracks[track.release.id].append(track)
    return [(release, list(tracks[release.id])) for release in given]


def get_track_logtext(c: Config, track_id: str) -> str | None:
    """Returns a short name for log lines, ``Artist - Title [2020]``; None if there is no such track."""
    track = get_track(c, track_id)
    return None if track is None else track_logtext(track)


def track_logtext(track: Track) -> str:
    """Returns what a track is called in log lines."""
    date = track.release.originaldate or track.release.releasedate
    year = "" if date is None else f" [{date.year}]"
    return f"{format_artists(track.trackartists)} - {track.tracktitle or 'Unknown Title'}{year}"
