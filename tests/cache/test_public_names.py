"""What can be imported from rosecache itself."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from operator import attrgetter

import pytest

import rosecache

NAMES = (
    "connect", "maybe_invalidate_cache_database", "lock", "update_cache", "update_cache_for_releases",
    "update_cache_for_collages", "update_cache_for_playlists", "filter_releases", "filter_tracks",
    "list_releases", "get_release", "get_release_logtext", "list_tracks", "get_track",
    "get_tracks_of_release", "track_within_release", "track_within_playlist", "release_within_collage",
    "list_playlists", "get_playlist", "list_collages", "get_collage", "list_artists", "artist_exists",
    "list_genres", "genre_exists", "list_descriptors", "descriptor_exists", "list_labels",
    "label_exists", "get_tracks_of_releases", "get_track_logtext", "get_collage_releases",
    "get_playlist_tracks", "search_tracks", "search_releases", "changes_since", "Config",
    "RosecacheError", "Artist", "ArtistMapping", "PartialDate", "Release", "File", "Track", "Collage",
    "Playlist", "GenreEntry", "DescriptorEntry", "LabelEntry",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_the_interface_is_importable_from_rosecache(name: str) -> None:
    assert name in rosecache.__all__
    value = getattr(rosecache, name)
    assert value.__doc__


def test_type_checkers_and_programs_see_the_same_names() -> None:
    tree = ast.parse(inspect.getsource(rosecache))
    for_type_checkers = {
        (alias.name, node.module)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if (node.module or "").startswith("rosecache.")
    }
    at_run_time = {
        (name, f"rosecache.{module}") for module, names in rosecache._HOMES.items() for name in names
    }
    assert for_type_checkers == at_run_time
    assert all(hasattr(rosecache, name) for name, _ in at_run_time)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'rosecache' has no attribute 'nothing'"):
        attrgetter("nothing")(rosecache)


def test_queries_do_not_import_what_they_do_not_need() -> None:
    program = (
        "import sys\n"
        "from rosecache import Config, changes_since, get_release, list_genres, search_tracks\n"
        "print(sorted({'mutagen', 'jinja2', 'tomlkit', 'trio', 'rosecache.update'} & sys.modules.keys()))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
