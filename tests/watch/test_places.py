"""What a path below the source directory is about."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from rosecache.config import Config
from rosefs.watch.places import Place, place_of

C = Config(
    music_source_dir=Path("/music"), cache_dir=Path("/music/.cache"), ignore_release_directories=("Books",)
)


@pytest.mark.parametrize(
    ("path", "place"),
    [
        (b"Album", Place("release", b"Album")),
        (b"Album/CD 1/01.flac", Place("release", b"Album")),
        (b"Caf\xe9/01.flac", Place("release", b"Caf\xe9")),
        (b"!collages/Best.toml", Place("collage", b"Best")),
        (b"!collages", Place("collage")),
        (b"!playlists/Mix.v2.toml", Place("playlist", b"Mix.v2")),
        (b"!playlists/Mix.jpg", Place("playlist", b"Mix")),
        (b".in-progress.rosefs.x/01.flac", None),
        (b"Album/.in-progress.01.flac", None),
        (b"!playlists/.in-progress.rosefs.y", None),
        (b"Books/1/1.mp3", None),
        (b".Trash-1000/files/Album/01.mp3", None),
        (b".cache/rosecache.1.sqlite3", None),
        (b".cache", None),
        (b".cached/01.mp3", Place("release", b".cached")),
    ],
)
def test_a_path_is_about_a_place_or_nothing(path: bytes, place: Place | None) -> None:
    assert place_of(C, path) == place


def test_a_cache_directory_elsewhere_hides_nothing() -> None:
    c = msgspec.structs.replace(C, cache_dir=Path("/cache"))
    assert place_of(c, b".cache") == Place("release", b".cache")
