"""What an update costs, counted: files opened, files asked for their times, rows written."""

from __future__ import annotations

import itertools
import os
import shutil
import stat as stat_module
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from rosecache.config import Config
from rosecache.database import close_connections, connect, database_path
from rosecache.update import assign, update_cache
from rosecache.update.rows import ReleaseRow
from tests.support.audio import make_release, set_tags
from tests.support.rows import release_row, store, track_row

_opened: list[str] | None = None


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and _opened is not None and isinstance(arguments[0], str | bytes):
        _opened.append(os.fsdecode(arguments[0]))


sys.addaudithook(_note)  # cannot be taken away again, and notes nothing outside of `opened_in`


@contextmanager
def opened_in(directory: Path) -> Iterator[Counter[str]]:
    """Counts how often each file below a directory is opened, by its path below it."""
    global _opened
    counts: Counter[str] = Counter()
    _opened = []
    try:
        yield counts
    finally:
        paths, _opened = _opened, None
        top = f"{directory}/"
        counts.update(
            path.removeprefix(top) for path in paths if path.startswith(top) and os.path.isfile(path)
        )


class CountedEntry:
    """A directory entry that notes when it is asked for what takes a system call."""

    def __init__(self, entry: os.DirEntry[bytes], asked: Counter[bytes]) -> None:
        self.name, self.path = entry.name, entry.path
        self.is_dir, self.is_file, self.is_symlink = entry.is_dir, entry.is_file, entry.is_symlink
        self._entry = entry
        self._asked = asked

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        self._asked[self.path] += 1
        return self._entry.stat(follow_symlinks=follow_symlinks)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Counter[bytes]:
    """Counts how often a file was asked for its size and times, by its path."""
    counts: Counter[bytes] = Counter()
    scandir, stat = os.scandir, os.stat

    @contextmanager
    def counted_scandir(path: bytes) -> Iterator[Iterator[Any]]:
        with scandir(path) as entries:
            yield (CountedEntry(entry, counts) for entry in entries)

    def counted_stat(path: Any, **named: Any) -> os.stat_result:
        status = stat(path, **named)
        if isinstance(path, bytes) and stat_module.S_ISREG(status.st_mode):
            counts[path] += 1
        return status

    monkeypatch.setattr(os, "scandir", counted_scandir)
    monkeypatch.setattr(os, "stat", counted_stat)
    return counts


@pytest.fixture
def library(c: Config, monkeypatch: pytest.MonkeyPatch) -> Config:
    """Three releases of four tracks and a cover, up to date."""
    monkeypatch.setattr(assign, "QUIET_SECONDS", 0.0)
    for number in range(3):
        make_release(c.music_source_dir, f"R{number}", tracks=4, cover=True)
    update_cache(c)
    return c


def files(c: Config, pattern: str = "*") -> set[Path]:
    return {path for path in c.music_source_dir.rglob(pattern) if path.is_file()}


def test_an_update_that_finds_nothing_opens_no_file(library: Config) -> None:
    with opened_in(library.music_source_dir) as opened:
        assert update_cache(library).changed == 0
    assert opened == {}


def test_an_update_that_finds_nothing_asks_once_for_the_times_of_each_file(
    library: Config, asked: Counter[bytes]
) -> None:
    assert update_cache(library).changed == 0
    assert asked == {os.fsencode(path): 1 for path in files(library)}


def test_an_update_that_finds_nothing_writes_nothing(library: Config) -> None:
    log = database_path(library).with_name(f"{database_path(library).name}-wal")
    with connect(library) as connection:
        before = (connection.total_changes, log.stat().st_size, log.stat().st_mtime_ns)
        assert update_cache(library).changed == 0
        assert (connection.total_changes, log.stat().st_size, log.stat().st_mtime_ns) == before


def test_an_update_after_one_edit_opens_one_audio_file_once(library: Config) -> None:
    set_tags(library.music_source_dir / "R1" / "02.opus", title="Another")
    with opened_in(library.music_source_dir) as opened:
        assert update_cache(library).changed == 1
    assert {path: count for path, count in opened.items() if path.endswith(".opus")} == {"R1/02.opus": 1}


def test_an_update_after_one_edit_asks_twice_only_for_the_times_of_its_release(
    library: Config, asked: Counter[bytes]
) -> None:
    """Once to find it, and once more when it is locked."""
    set_tags(library.music_source_dir / "R1" / "02.opus", title="Another")
    assert update_cache(library).changed == 1
    of_release = {path: asked[path] for path in asked if b"/R1/" in path and not path.endswith(b".toml")}
    others = {path: asked[path] for path in asked if b"/R1/" not in path}
    assert set(of_release.values()) == {2}
    assert set(others.values()) == {1}


def test_a_rebuild_opens_each_file_that_says_something_once(library: Config) -> None:
    close_connections()
    shutil.rmtree(library.cache_dir)
    with opened_in(library.music_source_dir) as opened:
        assert update_cache(library).changed == 3
    saying = files(library, "*.opus") | files(library, ".rose.*.toml")
    assert opened == {str(path.relative_to(library.music_source_dir)): 1 for path in saying}


def test_a_rebuild_asks_once_for_the_times_of_each_file(library: Config, asked: Counter[bytes]) -> None:
    close_connections()
    shutil.rmtree(library.cache_dir)
    asked.clear()
    assert update_cache(library).changed == 3
    assert {asked[os.fsencode(path)] for path in files(library, "*.opus")} == {1}


BROWSED_BY = ("artists", "facets", "release_artists", "release_facets", "losses")


def rows_written_by_an_edit(c: Config, size: int, **changed: Any) -> int:
    """Returns how many rows of what releases are browsed by change when one of so many does, which share values."""
    for number in range(size):
        store(c, shared_release(f"r{number}"))
    with connect(c) as connection:
        connection.execute("CREATE TEMP TABLE written (count)")
        for table, change in itertools.product(BROWSED_BY, ("INSERT", "UPDATE", "DELETE")):
            connection.execute(
                f"CREATE TEMP TRIGGER {change}_{table} AFTER {change} ON main.{table}"
                " BEGIN INSERT INTO written VALUES (1); END"
            )
        store(c, shared_release("r1", mtime=2_000, **changed))
        count: int = connection.execute("SELECT count(*) FROM written").fetchone()[0]
    return count


def shared_release(release_id: str, **changed: Any) -> ReleaseRow:
    shown = {"genres": ["K-Pop", "House"], "labels": ["Ebb"], "artists": {"main": ["Kim", "Zed"]}}
    return release_row(release_id, tracks=[track_row(f"{release_id} t")], **{**shown, **changed})


@pytest.mark.parametrize("changed", [{"new": True}, {"title": "Other"}, {"genres": []}])
def test_an_edit_writes_as_many_rows_however_many_releases_have_its_values(
    tmp_path: Path, changed: dict[str, Any]
) -> None:
    written = {
        rows_written_by_an_edit(
            Config(music_source_dir=tmp_path, cache_dir=tmp_path / str(size)), size, **changed
        )
        for size in (3, 60)
    }
    assert len(written) == 1
    assert 0 < max(written) <= 2 * 5 + 2  # the rows of its five values, out and in again, and what it lost
