"""The database file: made, kept, replaced and connected to."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import msgspec
import pytest

from rosecache import database
from rosecache.config import ArtistAlias, Config
from rosecache.database import close_connections, connect, database_path, maybe_invalidate_cache_database

SCHEMA = Path(database.__file__).with_name("schema.sql").read_text()


def test_schema(c: Config) -> None:
    """A new database has the tables of schema.sql, and says which schema and settings it is for."""
    maybe_invalidate_cache_database(c)
    with connect(c) as connection:
        fingerprint = connection.execute("SELECT fingerprint FROM meta").fetchone()[0]
        tables = {
            row["name"] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        }
        assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        assert connection.execute("PRAGMA foreign_keys").fetchone()[0] == 1
    assert fingerprint in database_path(c).name
    assert {"releases", "tracks", "files", "collages", "playlists", "changes", "releases_text"} <= tables


def test_every_column_of_the_schema_is_explained_or_plain() -> None:
    assert SCHEMA.count("--") > 40


def test_migration(c: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another version makes another database, and a process with the old one reads on."""
    maybe_invalidate_cache_database(c)
    old_path = database_path(c)
    with connect(c) as old:
        old.execute("INSERT INTO artists (name) VALUES ('LOONA')")
        monkeypatch.setattr(database, "CACHE_VERSION", database.CACHE_VERSION + 1)
        database._fingerprint.cache_clear()
        database.database_path.cache_clear()
        try:
            maybe_invalidate_cache_database(c)
            assert database_path(c) != old_path
            with connect(c) as new:
                assert new.execute("SELECT count(*) FROM artists").fetchone()[0] == 0
            assert old.execute("SELECT name FROM artists").fetchone()[0] == "LOONA"
            assert old_path.exists()
        finally:
            database._fingerprint.cache_clear()
            database.database_path.cache_clear()


@pytest.mark.parametrize(
    ("setting", "value", "rebuilds"),
    [
        ("cover_art_stems", ("front",), True),
        ("valid_art_exts", ("webp",), True),
        ("ignore_release_directories", ("Incoming",), True),
        ("music_source_dir", Path("/elsewhere"), True),
        ("follow_links_to", (Path("/elsewhere"),), True),
        ("artist_aliases", (ArtistAlias("A", ("B",)),), False),
        ("max_proc", 7, False),
        ("rename_source_files", True, False),
        ("write_ids_to_tags", False, False),
    ],
)
def test_only_settings_that_shape_the_cache_rebuild_it(
    c: Config, setting: str, value: object, rebuilds: bool
) -> None:
    other = msgspec.structs.replace(c, **{setting: value})
    assert (database_path(other) != database_path(c)) == rebuilds


def test_nothing_of_the_database_is_mapped_into_memory(c: Config) -> None:
    """What is mapped counts as the process's own, for each connection anew."""
    maybe_invalidate_cache_database(c)
    with connect(c) as connection:
        connection.executemany("INSERT INTO artists (name) VALUES (?)", [(str(n),) for n in range(1000)])
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        assert len(connection.execute("SELECT name FROM artists").fetchall()) == 1000
        mapped = {line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines()}
    assert f"{database_path(c)}-shm" in mapped  # which all who have it open share
    assert str(database_path(c)) not in mapped


def test_nothing_is_touched_when_all_is_well(c: Config) -> None:
    maybe_invalidate_cache_database(c)
    with connect(c) as connection:
        epoch = connection.execute("SELECT epoch FROM meta").fetchone()[0]
    before = database_path(c).stat()
    maybe_invalidate_cache_database(c)
    after = database_path(c).stat()
    assert (after.st_ino, after.st_mtime_ns, after.st_size) == (
        before.st_ino,
        before.st_mtime_ns,
        before.st_size,
    )
    with connect(c) as connection:
        assert connection.execute("SELECT epoch FROM meta").fetchone()[0] == epoch


@pytest.mark.parametrize(
    "damage", [b"", b"no database at all" * 100, b"SQLite format 3\x00" + b"\xff" * 4000]
)
def test_a_damaged_database_is_replaced(c: Config, damage: bytes) -> None:
    maybe_invalidate_cache_database(c)
    close_connections()
    database_path(c).write_bytes(damage)
    maybe_invalidate_cache_database(c)
    with connect(c) as connection:
        assert connection.execute("SELECT count(*) FROM releases").fetchone()[0] == 0


def test_a_database_of_another_fingerprint_under_this_name_is_replaced(c: Config) -> None:
    maybe_invalidate_cache_database(c)
    with connect(c) as connection:
        connection.execute("UPDATE meta SET fingerprint = 'other'")
    maybe_invalidate_cache_database(c)
    with connect(c) as connection:
        assert connection.execute("SELECT fingerprint FROM meta").fetchone()[0] in database_path(c).name


def test_a_replaced_database_file_is_noticed_by_open_connections(c: Config) -> None:
    with connect(c) as connection:
        connection.execute("INSERT INTO artists (name) VALUES ('old')")
    database_path(c).unlink()
    maybe_invalidate_cache_database(c)
    with connect(c) as connection:
        assert connection.execute("SELECT count(*) FROM artists").fetchone()[0] == 0


def test_connections_are_kept_by_thread(c: Config) -> None:
    with connect(c) as first, connect(c) as second:
        assert first is second
    seen: list[sqlite3.Connection] = []

    def other() -> None:
        with connect(c) as connection:
            seen.append(connection)

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert seen[0] is not first


def test_the_database_is_private(c: Config) -> None:
    maybe_invalidate_cache_database(c)
    with connect(c) as connection:
        connection.execute("INSERT INTO artists (name) VALUES ('x')")
    files = list(c.cache_dir.glob("rosecache.*"))
    assert files
    for path in files:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_long_unused_databases_are_removed(c: Config) -> None:
    other = msgspec.structs.replace(c, cover_art_stems=("other",))
    maybe_invalidate_cache_database(other)
    close_connections()
    old = time.time() - 365 * 24 * 3600
    os.utime(database_path(other), (old, old))
    recent = msgspec.structs.replace(c, cover_art_stems=("recent",))
    maybe_invalidate_cache_database(recent)
    maybe_invalidate_cache_database(c)
    assert not database_path(other).exists()
    assert database_path(recent).exists()
    assert database_path(c).exists()


def test_two_processes_make_one_database(c: Config) -> None:
    program = (
        "import sys; from pathlib import Path; from rosecache.config import Config;"
        "from rosecache.database import connect, maybe_invalidate_cache_database;"
        "c = Config(music_source_dir=Path(sys.argv[1]), cache_dir=Path(sys.argv[2]));"
        "maybe_invalidate_cache_database(c)\n"
        "with connect(c) as k: print(k.execute('SELECT epoch FROM meta').fetchone()[0])"
    )
    arguments = [sys.executable, "-c", program, str(c.music_source_dir), str(c.cache_dir)]
    processes = [subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    epochs = {process.communicate(timeout=60)[0] for process in processes}
    assert len(epochs) == 1
    assert all(process.returncode == 0 for process in processes)


def test_what_fails_in_the_block_is_what_failed(c: Config) -> None:
    """A missing file is one for the caller, also while a connection is used again."""
    for _ in range(2):
        with pytest.raises(FileNotFoundError, match="somewhere"), connect(c):
            raise FileNotFoundError("somewhere")
