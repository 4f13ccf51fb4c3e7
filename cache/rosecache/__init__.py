"""The cache engine: a music directory on one side, a SQLite cache and queries on the other.

Everything public is importable from here. A name's module is imported when the name is first used, so that a
program pays for what it uses: what only queries does not import what reads tags.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # for type checkers; _HOMES says the same at run time
    from rosecache.changes import Change as Change
    from rosecache.changes import Changes as Changes
    from rosecache.changes import Position as Position
    from rosecache.changes import changes_since as changes_since
    from rosecache.changes import current_position as current_position
    from rosecache.config import Config as Config
    from rosecache.database import close_connections as close_connections
    from rosecache.database import connect as connect
    from rosecache.database import maybe_invalidate_cache_database as maybe_invalidate_cache_database
    from rosecache.errors import ConfigError as ConfigError
    from rosecache.errors import FileProblemError as FileProblemError
    from rosecache.errors import InvalidDatafileError as InvalidDatafileError
    from rosecache.errors import LockTimeoutError as LockTimeoutError
    from rosecache.errors import RosecacheError as RosecacheError
    from rosecache.errors import SourceDirectoryError as SourceDirectoryError
    from rosecache.errors import TagWriteError as TagWriteError
    from rosecache.errors import TemplateError as TemplateError
    from rosecache.errors import UnreadableAudioError as UnreadableAudioError
    from rosecache.field_search import ValueTest as ValueTest
    from rosecache.field_search import release_ids_with as release_ids_with
    from rosecache.field_search import track_ids_with as track_ids_with
    from rosecache.locks import lock as lock
    from rosecache.model import RELEASE_TYPES as RELEASE_TYPES
    from rosecache.model import ROLES as ROLES
    from rosecache.model import Artist as Artist
    from rosecache.model import ArtistMapping as ArtistMapping
    from rosecache.model import Collage as Collage
    from rosecache.model import DescriptorEntry as DescriptorEntry
    from rosecache.model import File as File
    from rosecache.model import GenreEntry as GenreEntry
    from rosecache.model import LabelEntry as LabelEntry
    from rosecache.model import PartialDate as PartialDate
    from rosecache.model import Playlist as Playlist
    from rosecache.model import Release as Release
    from rosecache.model import Track as Track
    from rosecache.query.facets import artist_exists as artist_exists
    from rosecache.query.facets import descriptor_exists as descriptor_exists
    from rosecache.query.facets import genre_exists as genre_exists
    from rosecache.query.facets import label_exists as label_exists
    from rosecache.query.facets import list_artists as list_artists
    from rosecache.query.facets import list_descriptors as list_descriptors
    from rosecache.query.facets import list_genres as list_genres
    from rosecache.query.facets import list_labels as list_labels
    from rosecache.query.files import ReleaseFiles as ReleaseFiles
    from rosecache.query.files import get_release_files as get_release_files
    from rosecache.query.lists import get_collage as get_collage
    from rosecache.query.lists import get_collage_releases as get_collage_releases
    from rosecache.query.lists import get_playlist as get_playlist
    from rosecache.query.lists import get_playlist_cover as get_playlist_cover
    from rosecache.query.lists import get_playlist_tracks as get_playlist_tracks
    from rosecache.query.lists import list_collages as list_collages
    from rosecache.query.lists import list_playlists as list_playlists
    from rosecache.query.lists import release_within_collage as release_within_collage
    from rosecache.query.lists import track_within_playlist as track_within_playlist
    from rosecache.query.lists import track_within_release as track_within_release
    from rosecache.query.releases import filter_releases as filter_releases
    from rosecache.query.releases import get_release as get_release
    from rosecache.query.releases import get_release_logtext as get_release_logtext
    from rosecache.query.releases import list_releases as list_releases
    from rosecache.query.times import newest_change as newest_change
    from rosecache.query.times import newest_changes as newest_changes
    from rosecache.query.tracks import filter_tracks as filter_tracks
    from rosecache.query.tracks import get_track as get_track
    from rosecache.query.tracks import get_track_logtext as get_track_logtext
    from rosecache.query.tracks import get_tracks_of_release as get_tracks_of_release
    from rosecache.query.tracks import get_tracks_of_releases as get_tracks_of_releases
    from rosecache.query.tracks import list_tracks as list_tracks
    from rosecache.search import search_releases as search_releases
    from rosecache.search import search_tracks as search_tracks
    from rosecache.update import update_cache as update_cache
    from rosecache.update import update_cache_for_collages as update_cache_for_collages
    from rosecache.update import update_cache_for_playlists as update_cache_for_playlists
    from rosecache.update import update_cache_for_releases as update_cache_for_releases

_HOMES = {
    "changes": ("Change", "Changes", "Position", "changes_since", "current_position",),
    "config": ("Config",),
    "database": ("close_connections", "connect", "maybe_invalidate_cache_database",),
    "errors": (
        "ConfigError", "FileProblemError", "InvalidDatafileError", "LockTimeoutError",
        "RosecacheError", "SourceDirectoryError", "TagWriteError", "TemplateError",
        "UnreadableAudioError",
    ),
    "field_search": ("ValueTest", "release_ids_with", "track_ids_with",),
    "locks": ("lock",),
    "model": (
        "RELEASE_TYPES", "ROLES", "Artist", "ArtistMapping", "Collage", "DescriptorEntry", "File",
        "GenreEntry", "LabelEntry", "PartialDate", "Playlist", "Release", "Track",
    ),
    "query.facets": (
        "artist_exists", "descriptor_exists", "genre_exists", "label_exists", "list_artists",
        "list_descriptors", "list_genres", "list_labels",
    ),
    "query.files": ("ReleaseFiles", "get_release_files",),
    "query.lists": (
        "get_collage", "get_collage_releases", "get_playlist", "get_playlist_cover",
        "get_playlist_tracks", "list_collages", "list_playlists", "release_within_collage",
        "track_within_playlist", "track_within_release",
    ),
    "query.releases": ("filter_releases", "get_release", "get_release_logtext", "list_releases",),
    "query.times": ("newest_change", "newest_changes",),
    "query.tracks": (
        "filter_tracks", "get_track", "get_track_logtext", "get_tracks_of_release",
        "get_tracks_of_releases", "list_tracks",
    ),
    "search": ("search_releases", "search_tracks",),
    "update": (
        "update_cache", "update_cache_for_collages", "update_cache_for_playlists",
        "update_cache_for_releases",
    ),
}  # fmt: skip
"""The public names by module."""

_MODULES = {name: f"{__name__}.{module}" for module, names in _HOMES.items() for name in names}
__all__ = list(_MODULES)

if not TYPE_CHECKING:  # a type checker would take any name for a public one

    def __getattr__(name: str) -> object:
        """Imports a public name when it is first used; see PEP 562."""
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value: object = getattr(importlib.import_module(_MODULES[name]), name)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
