"""Identifiers stay with their files: through renames, moves, copies, backups and rebuilds."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from rosecache.config import Config
from rosecache.errors import TagWriteError
from rosecache.flushing import Flushing
from rosecache.query.releases import list_releases
from rosecache.tags import IdWrite, read_tags, writing_ids
from rosecache.update import assign, update_cache, update_cache_for_releases
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


def test_a_new_file_in_a_swapped_directory_takes_no_id_of_its_place(c: Config, rebuilt: bool) -> None:
    one, two = make_release(c.music_source_dir, "One"), make_release(c.music_source_dir, "Two")
    update_cache(c)
    ids = ids_on_disk(one)
    (one / "01.opus").rename(one / "09.opus")
    one.rename(c.music_source_dir / "x")
    two.rename(one)
    (c.music_source_dir / "x").rename(two)
    make_track(one / "new.opus").replace(one / "01.opus")
    update(c, rebuilt)
    assert ids_on_disk(two)["09.opus"] == ids["01.opus"]
    assert len({*ids_on_disk(one).values(), *ids_on_disk(two).values()}) == 4


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


def test_a_file_keeps_its_id_when_it_was_renamed_and_copied_elsewhere(c: Config) -> None:
    """Whichever release is looked at first."""
    home, other = make_release(c.music_source_dir, "Home"), make_release(c.music_source_dir, "A guest")
    update_cache(c)
    ids = ids_on_disk(home)
    shutil.copy2(home / "01.opus", other / "copy.opus")
    (home / "01.opus").rename(home / "renamed.opus")
    update_cache_for_releases(c, [other])
    update(c, rebuilt=False)
    assert ids_on_disk(home)["renamed.opus"] == ids["01.opus"]
    assert ids_on_disk(other)["copy.opus"] != ids["01.opus"]


def test_a_link_beside_its_file_does_not_take_its_id(c: Config) -> None:
    directory = make_release(c.music_source_dir, "R", tracks=1)
    update_cache(c)
    ids = ids_on_disk(directory)
    (directory / "00.opus").symlink_to("01.opus")
    shutil.rmtree(c.cache_dir)
    update_cache(c)
    update_cache(c, force=True)
    assert read_tags(directory / "01.opus").id == ids["01.opus"] == cached_ids(c)["R/01.opus"]


def test_two_copies_claim_an_id_in_one_update_and_one_gets_it(
    c: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when worker processes look at them at the same time."""
    home = make_release(c.music_source_dir, "Home", tracks=1)
    update_cache(c)
    for number in range(60):
        make_release(c.music_source_dir, f"R{number}", tracks=1)
        shutil.copy2(home / "01.opus", c.music_source_dir / f"R{number}" / "copy.opus")
    shutil.rmtree(home)
    shutil.rmtree(c.cache_dir)
    assert update_cache(c).problems == []
    check_cache(c)
    ids = list(ids_on_disk(c.music_source_dir).values())
    assert len(set(ids)) == len(ids) == 120


def test_a_datafile_whose_name_is_in_capitals_counts(c: Config) -> None:
    directory = make_release(c.music_source_dir, "R")
    identifier = "018b268e-ef68-7180-a01e-19bc3fdf970e"
    (directory / f".rose.{identifier.upper()}.toml").write_text("new = false\n")
    update(c, rebuilt=False)
    (release,) = list_releases(c)
    assert (release.id, release.new) == (identifier, False)


def test_a_datafile_that_cannot_be_recreated_costs_no_known_id(
    c: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = make_release(c.music_source_dir, "R")
    update_cache(c)
    identifier, ids = release_id_on_disk(directory), cached_ids(c)
    (directory / f".rose.{identifier}.toml").unlink()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(assign, "writing_release_datafile", full)
    assert len(update_cache(c, force=True).problems) == 1
    assert [release.id for release in list_releases(c)] == [identifier]
    assert cached_ids(c) == ids
    monkeypatch.undo()
    monkeypatch.setattr(assign, "QUIET_SECONDS", 0.0)
    update_cache(c, force=True)
    assert release_id_on_disk(directory) == identifier
    check_cache(c)


def test_an_id_derived_from_a_name_is_not_given_twice(c: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that could not be written is, later, and then moves away; another one takes its name."""
    directory = make_release(c.music_source_dir, "R", tracks=2)

    def failing(_: Path, writes: Sequence[IdWrite]) -> Flushing[list[TagWriteError]]:
        yield ()
        return [TagWriteError(write.path, "No space left on device") for write in writes]

    monkeypatch.setattr(assign, "writing_ids", failing)
    update_cache(c)
    monkeypatch.setattr(assign, "writing_ids", writing_ids)
    update(c, rebuilt=False)
    ids = ids_on_disk(directory)
    (directory / "01.opus").rename(directory / "09.opus")
    make_track(directory / "01.opus")
    monkeypatch.setattr(assign, "writing_ids", failing)
    update_cache(c)
    assert len(set(cached_ids(c).values())) == 3
    monkeypatch.setattr(assign, "writing_ids", writing_ids)
    update(c, rebuilt=False)
    assert ids_on_disk(directory)["09.opus"] == ids["01.opus"]


def test_a_copy_of_a_release_that_cannot_be_seen_just_now_is_still_a_copy(
    c: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = make_release(c.music_source_dir, "R")
    update_cache(c)
    identifier, ids = release_id_on_disk(directory), ids_on_disk(directory)
    copy = Path(shutil.copytree(directory, c.music_source_dir / "Copy"))
    stat = os.stat

    def failing(path: Any, *arguments: Any, **named: Any) -> os.stat_result:
        if isinstance(path, bytes) and path.startswith(os.fsencode(directory)):
            raise OSError(errno.EIO, "Input/output error")
        return stat(path, *arguments, **named)

    monkeypatch.setattr(os, "stat", failing)
    update_cache(c)
    monkeypatch.undo()
    monkeypatch.setattr(assign, "QUIET_SECONDS", 0.0)
    update(c, rebuilt=False)
    assert (release_id_on_disk(directory), ids_on_disk(directory)) == (identifier, ids)
    assert release_id_on_disk(copy) != identifier
