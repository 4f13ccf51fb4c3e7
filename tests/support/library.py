"""Looking at a library from outside: what is on the disk, what is in the cache, and whether they agree."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from rosecache.config import Config
from rosecache.database import connect
from rosecache.tags import is_audio, read_tags

UPDATE_PROGRAM = """
import sys
from pathlib import Path
from rosecache.config import Config
from rosecache.update import update_cache
c = Config(music_source_dir=Path(sys.argv[1]), cache_dir=Path(sys.argv[2]), max_proc=2)
report = update_cache(c, progress=lambda done, total: print(done, total, flush=True))
print("report", report.seen, report.changed, report.evicted, len(report.problems))
print(*report.problems, sep="\\n")
"""
"""An update as a process of its own, given a source and a cache directory; tells its progress by lines."""


def snapshot(directory: Path) -> dict[str, bytes]:
    """Returns the content of every file below a directory, by relative path."""
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def exact_snapshot(directory: Path) -> dict[str, tuple[int, int, int, bytes]]:
    """Returns mode, inode number, time and content of everything below a directory, and of itself."""
    found = {}
    for path in (directory, *sorted(directory.rglob("*"))):
        status = path.lstat()
        content = path.read_bytes() if path.is_file() else b""
        found[str(path.relative_to(directory))] = (status.st_mode, status.st_ino, status.st_mtime_ns, content)
    return found


def ids_on_disk(directory: Path) -> dict[str, str | None]:
    """Returns the track id in the tags of every audio file below a directory, by relative path."""
    return {
        str(path.relative_to(directory)): read_tags(path).id
        for path in sorted(directory.rglob("*"))
        if path.is_file() and is_audio(path.name)
    }


def release_id_on_disk(release: Path) -> str:
    """Returns the id in the name of a release's one datafile."""
    (datafile,) = release.glob(".rose.*.toml")
    return datafile.name.removeprefix(".rose.").removesuffix(".toml")


def cached_ids(c: Config) -> dict[str, str]:
    """Returns the id of every track in the cache, by its path below the source directory."""
    with connect(c) as connection:
        rows = connection.execute(
            "SELECT tracks.id, directory, path FROM tracks JOIN releases ON releases.key = release_key"
        ).fetchall()
    return {os.fsdecode(os.path.join(row["directory"], row["path"])): row["id"] for row in rows}


def check_cache(c: Config) -> None:
    """Checks that the cache holds exactly what is on the disk, and that its own tables agree with each other.

    For libraries whose files are all readable and carry their ids in their tags.
    """
    assert cached_ids(c) == ids_on_disk(c.music_source_dir)
    with connect(c) as connection:
        assert [tuple(row) for row in connection.execute("PRAGMA integrity_check")] == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        check_browsed_by(connection)
        for row in connection.execute("SELECT id, directory FROM releases").fetchall():
            assert release_id_on_disk(c.music_source_dir / os.fsdecode(row["directory"])) == row["id"]
        for row in connection.execute(
            "SELECT * FROM tracks NATURAL JOIN (SELECT key AS release_key, directory FROM releases)"
        ).fetchall():
            path = c.music_source_dir / os.fsdecode(row["directory"]) / os.fsdecode(row["path"])
            status, tags = path.stat(), read_tags(path)
            assert (row["size"], row["mtime"], row["ctime"]) == (
                status.st_size, status.st_mtime_ns, status.st_ctime_ns,
            )  # fmt: skip
            assert (row["title"], row["tracknumber"]) == (tags.tracktitle or "", tags.tracknumber)
        for table in ("releases", "tracks"):
            keys = [row["key"] for row in connection.execute(f"SELECT key FROM {table} ORDER BY key")]
            texts = [
                row["rowid"] for row in connection.execute(f"SELECT rowid FROM {table}_text ORDER BY rowid")
            ]
            assert keys == texts
            # An FTS5 index that disagrees with its text makes this raise.
            connection.execute(f"INSERT INTO {table}_text ({table}_text) VALUES ('integrity-check')")
    assert not list(c.music_source_dir.rglob(".in-progress.rosefs.*"))


def check_browsed_by(connection: sqlite3.Connection) -> None:
    """Checks that what releases are browsed by is of the same time as they are, and as new."""
    for table in ("release_artists", "release_facets"):
        wrong = connection.execute(
            f"SELECT * FROM {table} AS each JOIN releases ON key = release_key"
            " WHERE (each.new, each.mtime) != (releases.new, releases.mtime)"
        ).fetchall()
        assert wrong == []


def make_list(path: Path, key: str, *ids: str) -> None:
    """Writes a collage (key ``releases``) or a playlist (``tracks``) with these members."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(
        "".join(f'[[{key}]]\nuuid = "{identifier}"\ndescription_meta = "?"\n' for identifier in ids)
    )
