"""What goes wrong with the database: damage is mended by building anew, and everything else leaves it alone."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from rosecache.config import Config
from rosecache.database import (
    close_connections,
    connect,
    database_path,
    maybe_invalidate_cache_database,
    transaction,
)
from rosecache.query.releases import list_releases
from rosecache.query.tracks import list_tracks
from rosecache.update import update_cache, update_cache_for_releases
from tests.support.audio import make_release
from tests.support.library import UPDATE_PROGRAM, cached_ids, check_cache, ids_on_disk


def epoch(c: Config) -> str:
    with connect(c) as connection:
        found: str = connection.execute("SELECT epoch FROM meta").fetchone()[0]
    return found


@pytest.mark.expects_log("the cache is damaged")
@pytest.mark.parametrize("workers", [False, True], ids=["here", "in workers"])
def test_damage_that_shows_in_the_middle_of_an_update_costs_the_cache_only(c: Config, workers: bool) -> None:
    for number in range(60 if workers else 3):
        make_release(c.music_source_dir, f"R{number}", tracks=2)
    update_cache(c)
    ids = ids_on_disk(c.music_source_dir)
    with connect(c) as connection:
        page_size = connection.execute("PRAGMA page_size").fetchone()[0]
        pages = [
            row["rootpage"]
            for row in connection.execute(
                "SELECT rootpage FROM sqlite_master WHERE tbl_name IN ('tracks', 'artists')"
            )
        ]
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    close_connections()
    with open(database_path(c), "r+b") as file:
        for page in pages:
            file.seek((page - 1) * page_size)
            file.write(b"\xff" * page_size)
    for path in c.music_source_dir.rglob("*.opus"):
        os.utime(path)
    report = update_cache_for_releases(c, [c.music_source_dir / "R0"]) if not workers else update_cache(c)
    assert report.problems == []
    assert cached_ids(c) == ids
    check_cache(c)


@pytest.mark.parametrize(
    "code",
    [sqlite3.SQLITE_BUSY_RECOVERY, sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR_READ],
)
def test_a_database_that_is_whole_is_not_replaced_because_of_other_errors(
    c: Config, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    maybe_invalidate_cache_database(c)
    before = epoch(c)

    class Failing(sqlite3.Connection):
        def execute(self, *_: object) -> sqlite3.Cursor:
            error = sqlite3.OperationalError("not now")
            error.sqlite_errorcode = code
            raise error

    connect_ = sqlite3.connect
    monkeypatch.setattr(
        sqlite3, "connect", lambda *args, **named: connect_(*args, **{**named, "factory": Failing})
    )
    with pytest.raises(sqlite3.OperationalError, match="not now"):
        maybe_invalidate_cache_database(c)
    monkeypatch.undo()
    assert epoch(c) == before


def commit_nonsense(connection: sqlite3.Connection) -> None:
    """Leaves it to the commit to find that there is no such release, nor such a value."""
    with transaction(connection):
        connection.execute("PRAGMA defer_foreign_keys = ON")
        connection.execute("INSERT INTO release_facets VALUES (1, 1, 1, 0, 1)")


def test_a_commit_that_fails_leaves_a_connection_that_works(c: Config) -> None:
    with connect(c) as connection:
        with pytest.raises(sqlite3.IntegrityError):
            commit_nonsense(connection)
        with transaction(connection):
            connection.execute("INSERT INTO artists (name) VALUES ('LOONA')")
        assert connection.execute("SELECT count(*) FROM release_facets").fetchone()[0] == 0


def test_the_log_of_a_database_in_use_is_not_removed_for_its_age(c: Config) -> None:
    other = msgspec.structs.replace(c, cover_art_stems=("other",))
    with connect(other) as connection:
        connection.execute("INSERT INTO artists (name) VALUES ('LOONA')")
        old = time.time() - 365 * 24 * 3600
        files = [Path(f"{database_path(other)}{ending}") for ending in ("-wal", "-shm")]
        for path in files:
            os.utime(path, (old, old))
        maybe_invalidate_cache_database(c)
        assert all(path.exists() for path in files)


def test_a_cache_that_cannot_be_written_is_an_error_and_no_damage(c: Config) -> None:
    make_release(c.music_source_dir, "R")
    update_cache(c)
    close_connections()
    ids = cached_ids(c)
    close_connections()
    setpriv = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    protected = [path for path in (c.cache_dir, *c.cache_dir.iterdir()) if path.is_dir()]
    for path in protected:
        path.chmod(0o555)
    try:
        done = subprocess.run(
            [*setpriv, sys.executable, "-c", UPDATE_PROGRAM, str(c.music_source_dir), str(c.cache_dir)],
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip
    finally:
        for path in protected:
            path.chmod(0o755)
    assert done.returncode == 1
    assert "sqlite3.OperationalError" in done.stderr
    assert cached_ids(c) == ids
    assert len(list_releases(c)) == 1
    assert len(list_tracks(c)) == 2
