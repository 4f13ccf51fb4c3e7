"""Identifiers stay with their files: through renames, moves, copies, backups and rebuilds."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from rosecache.config import Config
from rosecache.query.releases import list_releases
from rosecache.tags import read_tags
from rosecache.update import assign, update_cache
from tests.support.audio import make_release, make_track, set_tags
from tests.support.library import cached_ids, check_cache, ids_on_disk, release_id_on_disk


@pytest.fixture(autouse=True)
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets new files count as left alone for long enough."""
    monkeypatch.setattr(assign, "QUIET_SECONDS", 0.0)


@pytest.fixture(params=["known to the cache", "after a rebuild"])
def rebuilt(request: pytest.FixtureRequest) -> bool:
    """Whether the cache is thrown away before the update under test."""
    return bool(request.param == "after a rebuild")


def update(c: Config, rebuilt: bool) -> None:
    if rebuilt:
        shutil.rmtree(c.cache_dir)
    assert update_cache(c).problems == []
    check_cache(c)


def test_a_renamed_directory_keeps_all_ids(c: Config, rebuilt: bool) -> None:
    directory = make_release(c.music_source_dir, "Old")
    update_cache(c)
    release, ids = release_id_on_disk(directory), ids_on_disk(directory)
    renamed = directory.rename(directory.with_name("New"))
    update(c, rebuilt)
    assert (release_id_on_disk(renamed), ids_on_disk(renamed)) == (release, ids)


def test_swapped_directories_keep_their_ids(c: Config, rebuilt: bool) -> None:
    one, two = make_release(c.music_source_dir, "One"), make_release(c.music_source_dir, "Two")
    update_cache(c)
    ids = ids_on_disk(one), ids_on_disk(two)
    one.rename(c.music_source_dir / "x")
    two.rename(one)
    (c.music_source_dir / "x").rename(two)
    update(c, rebuilt)
    assert (ids_on_disk(two), ids_on_disk(one)) == ids


def test_renamed_and_swapped_tracks_keep_their_ids(c: Config, rebuilt: bool) -> None:
    directory = make_release(c.music_source_dir, "R", tracks=3)
    update_cache(c)
    one, two, three = ids_on_disk(directory).values()
    (directory / "01.opus").rename(directory / "x")
    (directory / "02.opus").rename(directory / "01.opus")
    (directory / "x").rename(directory / "02.opus")
    (directory / "03.opus").rename(directory / "Disc 1.opus")
    update(c, rebuilt)
    assert ids_on_disk(directory) == {"01.opus": two, "02.opus": one, "Disc 1.opus": three}


def test_a_moved_track_keeps_its_id_and_gets_its_new_release(c: Config, rebuilt: bool) -> None:
    one, two = make_release(c.music_source_dir, "One"), make_release(c.music_source_dir, "Two")
    update_cache(c)
    identifier = ids_on_disk(one)["02.opus"]
    (one / "02.opus").rename(two / "09.opus")
    update(c, rebuilt)
    assert ids_on_disk(two)["09.opus"] == identifier
    assert read_tags(two / "09.opus").release_id == release_id_on_disk(two)


@pytest.mark.parametrize("name", ["A copy", "Z copy"])
def test_of_a_track_and_its_copy_the_one_at_home_keeps_the_id(c: Config, rebuilt: bool, name: str) -> None:
    home, other = make_release(c.music_source_dir, "Home"), make_release(c.music_source_dir, name)
    update_cache(c)
    ids = ids_on_disk(home)
    shutil.copy2(home / "01.opus", other / "copy.opus")
    update(c, rebuilt)
    assert ids_on_disk(home) == ids
    assert ids_on_disk(other)["copy.opus"] not in ids.values()


def test_a_copy_beside_the_track_gets_its_own_id(c: Config, rebuilt: bool) -> None:
    directory = make_release(c.music_source_dir, "R")
    update_cache(c)
    identifier = ids_on_disk(directory)["01.opus"]
    shutil.copy2(directory / "01.opus", directory / "01 copy.opus")
    update(c, rebuilt)
    ids = ids_on_disk(directory)
    if not rebuilt:
        assert ids["01.opus"] == identifier
    assert identifier in (ids["01.opus"], ids["01 copy.opus"])
    assert len(set(ids.values())) == 3


def test_a_copied_release_gets_ids_of_its_own(c: Config, rebuilt: bool) -> None:
    directory = make_release(c.music_source_dir, "R")
    update_cache(c)
    release, ids = release_id_on_disk(directory), ids_on_disk(directory)
    copy = Path(shutil.copytree(directory, c.music_source_dir / "A copy of R"))
    update(c, rebuilt)
    assert (release_id_on_disk(directory), ids_on_disk(directory)) == (release, ids)
    assert release_id_on_disk(copy) != release
    assert not set(ids.values()) & set(ids_on_disk(copy).values())
    assert len(list_releases(c)) == 2


def test_a_restored_datafile_gives_the_old_id_back(c: Config, rebuilt: bool) -> None:
    directory = make_release(c.music_source_dir, "R")
    update_cache(c)
    identifier = release_id_on_disk(directory)
    datafile = directory / f".rose.{identifier}.toml"
    saved = datafile.rename(c.music_source_dir.parent / "backup")
    update_cache(c)
    saved.rename(datafile)
    update(c, rebuilt)
    assert [release.id for release in list_releases(c)] == [identifier]


def test_of_two_datafiles_the_one_that_the_tags_name_wins(c: Config, rebuilt: bool) -> None:
    directory = make_release(c.music_source_dir, "R")
    update_cache(c)
    identifier = release_id_on_disk(directory)
    other = directory / ".rose.00000000-0000-7000-8000-000000000000.toml"
    other.write_text("new = false\n")
    if rebuilt:
        shutil.rmtree(c.cache_dir)
    report = update_cache(c)
    assert [problem.path for problem in report.problems] == [other]
    assert [release.id for release in list_releases(c)] == [identifier]
    assert list_releases(c)[0].new
    assert other.read_text() == "new = false\n"


def test_a_file_replaced_without_ids_keeps_the_id_of_its_place(c: Config) -> None:
    directory = make_release(c.music_source_dir, "R")
    update_cache(c)
    ids = ids_on_disk(directory)
    make_track(directory / "01.opus", title="Remaster")
    update(c, rebuilt=False)
    assert ids_on_disk(directory) == ids


def test_stripped_ids_come_back(c: Config) -> None:
    directory = make_release(c.music_source_dir, "R", format="flac")
    update_cache(c)
    ids = ids_on_disk(directory)
    set_tags(directory / "02.flac", roseid=None, rosereleaseid=None)
    update(c, rebuilt=False)
    assert ids_on_disk(directory) == ids


def test_only_a_wrong_release_id_is_corrected(c: Config) -> None:
    directory = make_release(c.music_source_dir, "R", format="mp3")
    update_cache(c)
    ids = ids_on_disk(directory)
    set_tags(directory / "01.mp3", rosereleaseid="00000000-0000-7000-8000-000000000000")
    update(c, rebuilt=False)
    assert ids_on_disk(directory) == ids
    assert read_tags(directory / "01.mp3").release_id == release_id_on_disk(directory)


def test_an_id_that_is_no_uuid_is_replaced(c: Config) -> None:
    directory = make_release(c.music_source_dir, "R")
    set_tags(directory / "01.opus", roseid="../../etc/passwd")
    update(c, rebuilt=False)
    assert len(set(cached_ids(c).values())) == 2


def test_names_of_any_bytes_are_kept(c: Config, rebuilt: bool) -> None:
    raw = os.fsencode(c.music_source_dir) + b"/Caf\xe9 \xff\n/01 \xfe.opus"
    make_track(c.music_source_dir / "x.opus")
    os.mkdir(os.path.dirname(raw))
    os.rename(c.music_source_dir / "x.opus", raw)
    update(c, rebuilt=False)
    update(c, rebuilt)
    assert os.fsencode(list_releases(c)[0].source_path) == os.path.dirname(raw)
