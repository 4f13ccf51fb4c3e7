"""Looking at a cache from outside, which changes nothing of it."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from rosecache.changes import current_position
from rosecache.config import Config
from rosecache.database import close_connections, database_path
from rosecache.inspection import BrokenFile, Contents, Health, broken_files_of, contents_of, health_of
from rosecache.update import update_cache
from tests.support.audio import make_release
from tests.support.library import make_list, release_id_on_disk, snapshot


@pytest.fixture
def database(c: Config) -> Path:
    """The cache of two releases, one of which has a broken file, and of a collage."""
    make_release(c.music_source_dir, "A", tracks=3)
    release = make_release(c.music_source_dir, "B", tracks=1)
    (release / "broken.mp3").write_bytes(b"")
    update_cache(c)
    make_list(c.collages_dir / "A.toml", "releases", release_id_on_disk(release))
    update_cache(c)
    close_connections()
    return database_path(c)


def test_everything_is_counted(database: Path) -> None:
    assert contents_of(database) == Contents(releases=2, tracks=4, collages=1, playlists=0)


def test_broken_files_are_listed(database: Path) -> None:
    assert broken_files_of(database) == [BrokenFile(b"B/broken.mp3", "the file is empty")]


def test_a_sound_cache_is_sound(c: Config, database: Path) -> None:
    assert health_of(database) == Health(damage="", position=current_position(c).sequence)


def test_damage_is_found(database: Path) -> None:
    with database.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(32 * 4096))
    try:
        damage = health_of(database).damage
    except sqlite3.DatabaseError as error:
        damage = str(error)
    assert "ok" not in damage
    assert damage


def test_looking_changes_nothing_and_makes_nothing(c: Config, database: Path) -> None:
    before = snapshot(c.cache_dir)  # SQLite may put its own files beside it, for as long as somebody reads
    contents_of(database), health_of(database), broken_files_of(database)
    assert {**snapshot(c.cache_dir), **before} == snapshot(c.cache_dir)
    missing = c.cache_dir / "no # such ? file"
    for look in (contents_of, health_of, broken_files_of):
        with pytest.raises(sqlite3.OperationalError):
            look(missing)
    assert not missing.exists()
