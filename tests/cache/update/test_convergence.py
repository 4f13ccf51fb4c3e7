"""Updates come to rest: what went wrong or changed underneath is looked at again, and then nothing is."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rosecache.config import Config
from rosecache.database import connect, database_path
from rosecache.errors import TagWriteError
from rosecache.flushing import Flushing
from rosecache.query.tracks import list_tracks
from rosecache.tags import IdWrite, read_file, writing_ids
from rosecache.update import assign, content, release, update_cache, update_cache_for_releases
from rosecache.update.renames import Renamed, rename_source
from rosecache.update.rows import ReleaseRow
from tests.support.audio import make_release, make_track, set_tags
from tests.support.library import check_cache, ids_on_disk


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assign, "QUIET_SECONDS", 0.0)


@pytest.fixture
def failing_disk(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Lets the disk fail on reading 01.opus until the fixture is undone."""

    def failing(path: Path) -> Any:
        if path.name == "01.opus":
            raise OSError(errno.EIO, "Input/output error", str(path))
        return read_file(path)

    monkeypatch.setattr(content, "read_file", failing)
    return monkeypatch


def writes_nothing(c: Config) -> bool:
    """Runs an update and tells whether it left the database's log alone."""
    log = Path(f"{database_path(c)}-wal")
    with connect(c):  # a connection that stays, or the log would go with the last one
        before = log.stat()
        update_cache(c)
        return (log.stat().st_mtime_ns, log.stat().st_size) == (before.st_mtime_ns, before.st_size)


def test_a_new_file_that_the_disk_fails_on_is_tried_again(
    c: Config, failing_disk: pytest.MonkeyPatch
) -> None:
    directory = make_release(c.music_source_dir, "R")
    for _ in range(2):
        assert [problem.path for problem in update_cache(c).problems] == [directory / "01.opus"]
        assert len(list_tracks(c)) == 1
    failing_disk.undo()
    failing_disk.setattr(assign, "QUIET_SECONDS", 0.0)
    update_cache(c)
    check_cache(c)
    assert len(list_tracks(c)) == 2
    assert writes_nothing(c)


def test_a_retagged_file_that_the_disk_fails_on_is_tried_again(
    c: Config, request: pytest.FixtureRequest
) -> None:
    directory = make_release(c.music_source_dir, "R")
    update_cache(c)
    set_tags(directory / "01.opus", title="Retagged")
    failing_disk = request.getfixturevalue("failing_disk")
    for _ in range(2):
        assert [problem.path for problem in update_cache(c).problems] == [directory / "01.opus"]
        assert len(list_tracks(c)) == 2
    failing_disk.undo()
    update_cache(c)
    assert list_tracks(c)[0].tracktitle == "Retagged"
    check_cache(c)


def test_a_release_that_has_to_wait_is_not_stored_anew_each_time(c: Config) -> None:
    directory = make_release(c.music_source_dir, "R")
    update_cache(c)
    make_track(directory / "03.opus")
    update_cache(c)
    assert writes_nothing(c)


def test_a_change_right_after_ids_were_written_is_noticed(c: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = make_release(c.music_source_dir, "R")

    def disturbed(release_dir: Path, writes: Sequence[IdWrite]) -> Flushing[list[TagWriteError]]:
        failures = yield from writing_ids(release_dir, writes)
        set_tags(directory / "02.opus", title="Just now")
        return failures

    monkeypatch.setattr(assign, "writing_ids", disturbed)
    update_cache(c)
    monkeypatch.undo()
    update_cache(c)
    assert list_tracks(c)[1].tracktitle == "Just now"
    check_cache(c)
    assert writes_nothing(c)


def test_a_change_while_files_are_renamed_is_noticed(c: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    make_release(c.music_source_dir, "R", artist="A", album="B")
    c = msgspec.structs.replace(c, rename_source_files=True)

    def disturbed(c: Config, row: ReleaseRow) -> Renamed:
        renamed = rename_source(c, row)
        for path in (c.music_source_dir).rglob("*2.opus"):
            set_tags(path, title="Just now")
        return renamed

    monkeypatch.setattr(release, "rename_source", disturbed)
    update_cache(c)
    monkeypatch.undo()
    update_cache(c)
    assert list_tracks(c)[1].tracktitle == "Just now"
    check_cache(c)


def test_a_track_that_went_and_came_back_is_there_again(c: Config, later: None) -> None:
    """Also when only the release that it visited was looked at in between."""
    home, other = make_release(c.music_source_dir, "Home"), make_release(c.music_source_dir, "Other")
    update_cache(c)
    ids = ids_on_disk(home)
    (home / "02.opus").rename(other / "guest.opus")
    update_cache_for_releases(c, [other])
    (other / "guest.opus").rename(home / "02.opus")
    update_cache(c)
    assert ids_on_disk(home) == ids
    check_cache(c)


def test_a_track_that_never_takes_an_id_comes_to_rest(c: Config, tmp_path: Path) -> None:
    """A link to an audio file outside is shown, never written, and not tried again with every update."""
    directory = make_release(c.music_source_dir, "R", tracks=1)
    outside = make_track(tmp_path / "outside.opus")
    content_before = outside.read_bytes()
    (directory / "02.opus").symlink_to(outside)
    assert [problem.path.name for problem in update_cache(c).problems] == ["02.opus"]
    ids = [track.id for track in list_tracks(c)]
    assert writes_nothing(c)
    update_cache(c, force=True)
    assert [track.id for track in list_tracks(c)] == ids
    assert outside.read_bytes() == content_before
    with connect(c) as connection:
        assert connection.execute("SELECT count(*) FROM releases WHERE stamp = x''").fetchone()[0] == 0
