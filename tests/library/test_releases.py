"""Deleting releases, and marking them as new."""

from __future__ import annotations

import errno
import subprocess
import threading
from pathlib import Path

import pytest

from rosecache.config import Config
from rosecache.errors import InvalidDatafileError
from rosecache.model import Release
from rosecache.query.lists import get_collage_releases
from rosecache.query.releases import get_release, list_releases
from rosecache.update import update_cache
from rosecache.update.release import lock_release
from rosefs.library import lists
from rosefs.library.errors import NotFoundError, TrashError
from rosefs.library.journal import Journal
from rosefs.library.releases import delete_release, set_new, toggle_new
from rosefs.library.undo import undo
from tests.support.audio import make_release
from tests.support.disks import fill_disk
from tests.support.library import check_cache, snapshot


@pytest.fixture
def loona(library: Config) -> Release:
    (found,) = [release for release in list_releases(library) if release.source_path.name == "loona"]
    return found


def test_a_deleted_release_is_in_the_trash_and_not_in_the_cache(
    library: Config, journal: Journal, loona: Release
) -> None:
    content = snapshot(loona.source_path)
    trashed = delete_release(library, journal, loona)
    assert snapshot(trashed.files_path) == content
    assert get_release(library, loona.id) is None
    assert journal.history(1)[0].title == "delete LOONA - 2018. Hash"
    check_cache(library)


def test_a_deleted_release_is_missing_in_its_collage(
    library: Config, journal: Journal, loona: Release
) -> None:
    path = lists.create(library, journal, lists.COLLAGES, "mix")
    lists.add(library, journal, lists.COLLAGES, "mix", [loona.id])
    delete_release(library, journal, loona)
    assert get_collage_releases(library, "mix") == []
    assert "missing = true" in path.read_text()


def test_where_the_library_is_a_whole_volume_its_trash_is_none_of_it(
    tmp_path: Path, volume: Path, journal: Journal
) -> None:
    c = Config(music_source_dir=volume, cache_dir=tmp_path / "cache")
    make_release(volume, "loona")
    make_release(volume, "other")
    update_cache(c)
    deleted, other = sorted(list_releases(c), key=lambda release: release.source_path)
    trashed = delete_release(c, journal, deleted)
    assert volume in trashed.files_path.parents
    content = snapshot(trashed.files_path)
    update_cache(c, force=True)
    assert [release.id for release in list_releases(c)] == [other.id]
    assert snapshot(trashed.files_path) == content
    undo(c, journal)
    assert {release.id for release in list_releases(c)} == {deleted.id, other.id}


def test_on_a_volume_without_a_trash_nothing_is_deleted(
    tmp_path: Path, volume: Path, journal: Journal
) -> None:
    c = Config(music_source_dir=volume / "source", cache_dir=tmp_path / "cache")
    make_release(c.music_source_dir, "loona")
    update_cache(c)
    before = snapshot(c.music_source_dir)
    subprocess.run(["mount", "-o", "remount,ro", str(volume)], check=True)
    with pytest.raises(TrashError, match="Read-only file system") as raised:
        delete_release(c, journal, list_releases(c)[0])
    assert raised.value.errno in (errno.EROFS, errno.EPERM)
    assert snapshot(c.music_source_dir) == before
    assert len(list_releases(c)) == 1
    assert journal.history() == []


def test_marking_as_not_new_changes_that_and_nothing_else(
    library: Config, journal: Journal, loona: Release
) -> None:
    datafile = loona.source_path / f".rose.{loona.id}.toml"
    datafile.write_text(f"# mine\n{datafile.read_text()}note = 'kept' # here\n")
    before = datafile.read_text()
    done = set_new(library, journal, loona, new=False)
    assert (done.new, done.changed) == (False, True)
    assert datafile.read_text() == before.replace("new = true", "new = false")
    found = get_release(library, loona.id)
    assert found is not None
    assert not found.new


def test_marking_again_does_nothing(library: Config, journal: Journal, loona: Release) -> None:
    before = snapshot(library.music_source_dir)
    done = set_new(library, journal, loona, new=True)
    assert (done.new, done.changed) == (True, False)
    assert snapshot(library.music_source_dir) == before
    assert journal.history() == []


def test_toggling_goes_by_what_the_file_says_now(library: Config, journal: Journal, loona: Release) -> None:
    assert toggle_new(library, journal, loona).new is False
    assert toggle_new(library, journal, loona).new is True  # although ``loona`` was read before either


def test_a_datafile_that_is_gone_or_broken_is_not_touched(
    library: Config, journal: Journal, loona: Release
) -> None:
    datafile = loona.source_path / f".rose.{loona.id}.toml"
    datafile.write_text("new = ")
    with pytest.raises(InvalidDatafileError, match="not valid TOML"):
        toggle_new(library, journal, loona)
    assert datafile.read_text() == "new = "
    datafile.unlink()
    with pytest.raises(NotFoundError, match="rosefs cache update"):
        toggle_new(library, journal, loona)
    assert journal.history() == []


def test_a_release_that_somebody_is_at_work_on_is_waited_for(
    library: Config, journal: Journal, loona: Release
) -> None:
    order: list[str] = []

    def mark() -> None:
        set_new(library, journal, loona, new=False)
        order.append("marked")

    with lock_release(library, b"loona"):
        waiter = threading.Thread(target=mark)
        waiter.start()
        waiter.join(0.05)  # long enough to be done, if it did not wait
        order.append("released")
    waiter.join()
    assert order == ["released", "marked"]


def test_a_full_disk_leaves_the_old_datafile(tmp_path: Path, volume: Path, journal: Journal) -> None:
    c = Config(music_source_dir=volume / "source", cache_dir=tmp_path / "cache")
    make_release(c.music_source_dir, "loona", tracks=1)
    update_cache(c)
    release = list_releases(c)[0]
    fill_disk(volume)
    before = snapshot(release.source_path)
    with pytest.raises(OSError, match="No space left") as raised:
        set_new(c, journal, release, new=False)
    assert raised.value.errno == errno.ENOSPC
    assert snapshot(release.source_path) == before
    assert journal.history() == []


def test_a_directory_without_permission_leaves_the_old_datafile(
    library: Config, journal: Journal, loona: Release, permissions_count: None
) -> None:
    before = snapshot(loona.source_path)
    loona.source_path.chmod(0o500)
    try:
        with pytest.raises(OSError, match="Permission denied") as raised:
            set_new(library, journal, loona, new=False)
    finally:
        loona.source_path.chmod(0o755)
    assert raised.value.errno == errno.EACCES
    assert snapshot(loona.source_path) == before
    assert journal.history() == []
