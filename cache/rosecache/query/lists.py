"""Queries for collages and playlists: their names, themselves, and their members in order.

A member that cannot be found is left out; one that is in a list twice is there twice.
"""

from __future__ import annotations

from rosecache.config import Config
from rosecache.database import connect
from rosecache.model import Collage, File, Playlist, Release, Track
from rosecache.query.releases import list_releases
from rosecache.query.rows import decoder_of, fetch, snapshot
from rosecache.query.tracks import list_tracks

_MEMBERS_OF_COLLAGE = """
SELECT release_id FROM collages JOIN collage_members ON collage_key = key
WHERE name = :name ORDER BY position
"""
_MEMBERS_OF_PLAYLIST = """
SELECT track_id FROM playlists JOIN playlist_members ON playlist_key = key
WHERE name = :name ORDER BY position
"""
_IN_RELEASE = """
SELECT 1 FROM tracks JOIN releases ON releases.key = release_key WHERE tracks.id = :a AND releases.id = :b
"""
_IN_PLAYLIST = """
SELECT 1 FROM playlist_members JOIN playlists ON playlists.key = playlist_key
JOIN tracks ON tracks.id = track_id WHERE track_id = :a AND name = :b
"""
_IN_COLLAGE = """
SELECT 1 FROM collage_members JOIN collages ON collages.key = collage_key
JOIN releases ON releases.id = release_id WHERE release_id = :a AND name = :b
"""
_PLAYLISTS = b"!playlists"


def list_collages(c: Config) -> list[str]:
    """Returns the names of all collages, sorted."""
    return _names(c, "collages")


def list_playlists(c: Config) -> list[str]:
    """Returns the names of all playlists, sorted."""
    return _names(c, "playlists")


def get_collage(c: Config, name: str) -> Collage | None:
    """Returns a collage, or None if there is none of this name."""
    with connect(c) as connection:
        rows = fetch(connection, "SELECT name, mtime FROM collages WHERE name = :name", {"name": name})
    return Collage(*rows[0]) if rows else None


def get_playlist(c: Config, name: str) -> Playlist | None:
    """Returns a playlist, or None if there is none of this name."""
    with connect(c) as connection:
        rows = fetch(
            connection, "SELECT name, mtime, cover FROM playlists WHERE name = :name", {"name": name}
        )
    if not rows:
        return None
    name, mtime, cover = rows[0]
    return Playlist(name, mtime, None if cover is None else decoder_of(c).path(_PLAYLISTS, cover))


def get_playlist_cover(c: Config, name: str) -> File | None:
    """Returns a playlist's cover, or None if there is no such playlist or it has none."""
    with connect(c) as connection:
        rows = fetch(
            connection,
            "SELECT cover, cover_size, cover_mtime FROM playlists WHERE name = :name AND cover IS NOT NULL",
            {"name": name},
        )
    if not rows:
        return None
    cover, size, mtime = rows[0]
    return File(decoder_of(c).path(_PLAYLISTS, cover), size, mtime)


def get_collage_releases(c: Config, name: str) -> list[Release]:
    """Returns the releases of a collage that are there, in its order; none if there is no such collage."""
    with snapshot(c) as connection:
        members = [member for (member,) in fetch(connection, _MEMBERS_OF_COLLAGE, {"name": name})]
        found = {release.id: release for release in list_releases(c, members)}
    return [found[member] for member in members if member in found]


def get_playlist_tracks(c: Config, name: str) -> list[Track]:
    """Returns the tracks of a playlist that are there, in its order; none if there is no such playlist."""
    with snapshot(c) as connection:
        members = [member for (member,) in fetch(connection, _MEMBERS_OF_PLAYLIST, {"name": name})]
        found = {track.id: track for track in list_tracks(c, members)}
    return [found[member] for member in members if member in found]


def track_within_release(c: Config, track_id: str, release_id: str) -> bool:
    """Returns whether a track is of a release."""
    return _is_within(c, _IN_RELEASE, track_id, release_id)


def track_within_playlist(c: Config, track_id: str, playlist_name: str) -> bool:
    """Returns whether a track is there and in a playlist."""
    return _is_within(c, _IN_PLAYLIST, track_id, playlist_name)


def release_within_collage(c: Config, release_id: str, collage_name: str) -> bool:
    """Returns whether a release is there and in a collage."""
    return _is_within(c, _IN_COLLAGE, release_id, collage_name)


def _names(c: Config, table: str) -> list[str]:
    with connect(c) as connection:
        return [name for (name,) in fetch(connection, f"SELECT name FROM {table} ORDER BY name")]


def _is_within(c: Config, statement: str, member: str, whole: str) -> bool:
    with connect(c) as connection:
        return bool(fetch(connection, statement, {"a": member, "b": whole}))
