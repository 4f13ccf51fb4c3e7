"""Failures stay small: one line in the report, and the rest of the library goes on."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from rosecache.config import Config
from rosecache.errors import TagWriteError
from rosecache.flushing import Flushing
from rosecache.query.releases import list_releases
from rosecache.query.tracks import list_tracks
from rosecache.tags import IdWrite, read_file, writing_ids
from rosecache.update import Report, assign, content, update_cache
from tests.support.audio import FORMATS, make_release, make_track, set_tags
from tests.support.library import UPDATE_PROGRAM, cached_ids, check_cache, release_id_on_disk, snapshot


@pytest.fixture(autouse=True)
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assign, "QUIET_SECONDS", 0.0)


def paths(report: Report) -> list[Path]:
    return [problem.path for problem in report.problems]


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("damage", ["empty", "text", "cut"])
def test_a_broken_audio_file_is_one_line_every_time(c: Config, format: str, damage: str) -> None:
    directory = make_release(c.music_source_dir, "R", format=format)
    make_release(c.music_source_dir, "Other")
    bad = directory / f"02.{format}"
    whole = bad.read_bytes()
    bad.write_bytes({"empty": b"", "text": b"this is no audio" * 64, "cut": whole[:40]}[damage])
    broken = bad.read_bytes()
    for _ in range(2):
        report = update_cache(c)
        assert paths(report) == [bad]
        assert len(list_tracks(c)) == 3
    assert bad.read_bytes() == broken
    bad.write_bytes(whole)
    assert update_cache(c).problems == []
    check_cache(c)


def test_a_release_of_broken_files_only_is_none(c: Config) -> None:
    directory = make_release(c.music_source_dir, "R", tracks=1)
    update_cache(c)
    (directory / "01.opus").write_bytes(b"")
    report = update_cache(c)
    assert (paths(report), report.evicted) == ([directory / "01.opus"], 1)
    assert list_releases(c) == []


@pytest.mark.parametrize("text", ["new = maybe", "new = 3", "added_at = []", "\x00", "[tracks]\na = 1"])
def test_a_broken_datafile_keeps_the_cached_state_and_touches_nothing(c: Config, text: str) -> None:
    directory = make_release(c.music_source_dir, "R")
    make_release(c.music_source_dir, "Other")
    update_cache(c)
    identifier = release_id_on_disk(directory)
    (directory / f".rose.{identifier}.toml").write_text(text)
    make_track(directory / "03.opus")
    before = snapshot(directory)
    for _ in range(2):
        report = update_cache(c)
        assert paths(report) == [directory / f".rose.{identifier}.toml"]
        assert snapshot(directory) == before
        assert len(list_tracks(c)) == 4


def update_as_user(c: Config) -> str:
    """Runs an update in a process that permissions stop, as they do not stop root, and returns its words."""
    setpriv = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    done = subprocess.run(
        [*setpriv, sys.executable, "-c", UPDATE_PROGRAM, str(c.music_source_dir), str(c.cache_dir)],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    return done.stdout


@pytest.fixture
def protected(c: Config) -> Iterator[Callable[..., None]]:
    """Takes permissions away from files and directories; they are given back at the end, to be removed."""
    changed: list[Path] = []

    def protect(mode: int, *paths: Path) -> None:
        for path in paths:
            path.chmod(mode)
            changed.append(path)

    yield protect
    for path in reversed(changed):
        path.chmod(0o755)


def test_what_cannot_be_read_is_not_gone(c: Config, protected: Callable[..., None]) -> None:
    file, directory = make_release(c.music_source_dir, "File"), make_release(c.music_source_dir, "Directory")
    assert "report 2 2 0 0" in update_as_user(c)
    protected(0, file / "01.opus", directory)
    output = update_as_user(c)
    assert "report 2 0 0 2" in output
    assert f"{file / '01.opus'}: Permission denied" in output
    assert f"{directory}: Permission denied" in output
    assert len(cached_ids(c)) == 4


def test_a_library_that_cannot_be_written_is_shown_all_the_same(
    c: Config, protected: Callable[..., None]
) -> None:
    directory = make_release(c.music_source_dir, "R", format="flac")
    before = snapshot(c.music_source_dir)
    protected(0o555, c.music_source_dir, directory)
    protected(0o444, *directory.iterdir())
    assert "Permission denied" in update_as_user(c)
    ids = cached_ids(c)
    assert len(ids) == 2
    shutil.rmtree(c.cache_dir)
    update_as_user(c)
    assert cached_ids(c) == ids
    assert snapshot(c.music_source_dir) == before


def test_a_file_that_vanishes_while_it_is_read(c: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = make_release(c.music_source_dir, "R")
    read = read_file

    def vanishing(path: Path) -> object:
        if path.name == "02.opus":
            path.unlink()
        return read(path)

    monkeypatch.setattr(content, "read_file", vanishing)
    assert update_cache(c).problems == []
    monkeypatch.undo()
    assert [track.source_path for track in list_tracks(c)] == [directory / "01.opus"]
    update_cache(c)
    check_cache(c)


def test_a_directory_that_vanishes_while_it_is_read(c: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = make_release(c.music_source_dir, "R")
    make_release(c.music_source_dir, "Other")
    read = read_file

    def vanishing(path: Path) -> object:
        if path.parent == directory:
            shutil.rmtree(directory, ignore_errors=True)
        return read(path)

    monkeypatch.setattr(content, "read_file", vanishing)
    update_cache(c)
    monkeypatch.undo()
    assert update_cache(c).problems == []
    assert [release.source_path.name for release in list_releases(c)] == ["Other"]


def test_a_file_that_changes_while_it_is_read_is_looked_at_again(
    c: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_release(c.music_source_dir, "R", tracks=1)
    update_cache(c)
    path = c.music_source_dir / "R" / "01.opus"
    set_tags(path, title="Read")
    read = read_file

    def changing(path: Path) -> object:
        tags = read(path)
        set_tags(path, title="Changed after that")
        return tags

    monkeypatch.setattr(content, "read_file", changing)
    update_cache(c)
    monkeypatch.undo()
    update_cache(c)
    assert [track.tracktitle for track in list_tracks(c)] == ["Changed after that"]
    check_cache(c)


def test_a_failed_id_write_is_reported_and_tried_again(c: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = make_release(c.music_source_dir, "R")

    def full(release_dir: Path, writes: Sequence[IdWrite]) -> Flushing[list[TagWriteError]]:
        possible = [write for write in writes if write.path.name != "01.opus"]
        refusal = TagWriteError(directory / "01.opus", "No space left on device")
        return [refusal, *(yield from writing_ids(release_dir, possible))]

    monkeypatch.setattr(assign, "writing_ids", full)
    report = update_cache(c)
    assert [str(problem) for problem in report.problems] == [
        f"{directory / '01.opus'}: no id written: No space left on device"
    ]
    assert len(list_tracks(c)) == 2
    monkeypatch.undo()
    assert update_cache(c).problems == []
    check_cache(c)


def test_symbolic_links_are_not_followed_in_circles(c: Config) -> None:
    directory = make_release(c.music_source_dir, "R")
    (directory / "again").symlink_to(directory)
    (directory / "nowhere.opus").symlink_to("/does/not/exist")
    (c.music_source_dir / "dangling").symlink_to("/does/not/exist")
    assert update_cache(c).problems == []
    assert len(list_tracks(c)) == 2


def test_a_linked_release_directory_is_a_release(c: Config, tmp_path: Path) -> None:
    elsewhere = make_release(tmp_path / "other disk", "R")
    (c.music_source_dir / "Linked").symlink_to(elsewhere)
    assert update_cache(c).problems == []
    assert [track.source_path for track in list_tracks(c)] == [
        c.music_source_dir / "Linked" / "01.opus", c.music_source_dir / "Linked" / "02.opus",
    ]  # fmt: skip
