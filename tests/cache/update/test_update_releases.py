"""Releases: disk to cache, as a user's library changes under it."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from rosecache.changes import changes_since, current_position
from rosecache.config import Config
from rosecache.database import close_connections, connect, database_path
from rosecache.errors import SourceDirectoryError
from rosecache.query.releases import get_release, list_releases
from rosecache.query.tracks import list_tracks
from rosecache.search import search_tracks
from rosecache.tags import Reading, read_file, read_tags
from rosecache.update import assign, content, update_cache, update_cache_for_releases
from tests.support.audio import FORMATS, make_release, make_track, set_tags
from tests.support.library import (
    cached_ids,
    check_cache,
    ids_on_disk,
    make_list,
    release_id_on_disk,
    snapshot,
)


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets new files count as left alone for long enough, as if the update ran some seconds later."""
    monkeypatch.setattr(assign, "QUIET_SECONDS", 0.0)


@pytest.fixture
def files_read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the audio files that updates read the tags of."""
    names: list[str] = []
    read = read_file

    def counting(path: Path) -> Any:
        names.append(path.name)
        return read(path)

    monkeypatch.setattr(content, "read_file", counting)
    return names


def test_update_cache_all(c: Config) -> None:
    """Everything new is stored, everything gone is evicted, and everything is counted."""
    make_release(c.music_source_dir, "One", tracks=2)
    gone = make_release(c.music_source_dir, "Two", tracks=3, format="mp3")
    report = update_cache(c)
    assert (report.seen, report.changed, report.evicted, report.problems) == (2, 2, 0, [])
    check_cache(c)

    shutil.rmtree(gone)
    make_release(c.music_source_dir, "Three", tracks=1, format="m4a")
    report = update_cache(c)
    assert (report.seen, report.changed, report.evicted, report.problems) == (2, 1, 1, [])
    check_cache(c)


@pytest.mark.parametrize("format", FORMATS)
def test_update_cache_releases(c: Config, format: str) -> None:
    """Every tag arrives in the values, and a datafile with its defaults is made."""
    directory = make_release(
        c.music_source_dir, "BLACKPINK - Square Two", tracks=2, format=format, cover=True,
        album="SQUARE TWO", artist="BLACKPINK feat. Guest", albumartist="BLACKPINK", genre="K-Pop;Pop",
        label="YG Entertainment", date="2016-11-01", originaldate="2015", releasetype="single",
        descriptor="Energetic", secondarygenre="Dance", catalognumber="YG-1", edition="Deluxe",
    )  # fmt: skip
    (directory / "booklet.pdf").write_bytes(b"%PDF")
    update_cache_for_releases(c)

    (release,) = list_releases(c)
    assert release.id == release_id_on_disk(directory)
    assert release.source_path == directory
    assert release.cover_image_path == directory / "cover.png"
    assert (release.releasetitle, release.releasetype) == ("SQUARE TWO", "single")
    assert (str(release.releasedate), str(release.originaldate)) == ("2016-11-01", "2015")
    assert (release.genres, release.secondary_genres) == (("K-Pop", "Pop"), ("Dance",))
    assert (release.labels, release.descriptors) == (("YG Entertainment",), ("Energetic",))
    assert (release.catalognumber, release.edition) == ("YG-1", "Deluxe")
    assert [artist.name for artist in release.releaseartists.main] == ["BLACKPINK"]
    assert (release.new, release.disctotal) == (True, 1)

    datafile = tomllib.loads((directory / f".rose.{release.id}.toml").read_text())
    assert datafile == {"new": True, "added_at": release.added_at}

    first, second = list_tracks(c)
    assert (first.tracktitle, first.tracknumber, first.tracktotal) == ("Track 1", "1", 2)
    assert second.source_path == directory / f"02.{format}"
    assert first.duration_seconds == 1
    assert [artist.name for artist in first.trackartists.guest] == ["Guest"]
    assert first.source_size == first.source_path.stat().st_size
    assert first.source_mtime == first.source_path.stat().st_mtime_ns


@pytest.mark.parametrize("format", FORMATS)
def test_update_cache_releases_writes_ids_to_tags(c: Config, format: str) -> None:
    directory = make_release(c.music_source_dir, format=format)
    update_cache_for_releases(c)
    paths = list(directory.glob(f"*.{format}"))
    assert len(paths) == 2
    for path in paths:
        tags = read_tags(path)
        assert tags.release_id == release_id_on_disk(directory)
        assert tags.id == cached_ids(c)[str(path.relative_to(c.music_source_dir))]
    check_cache(c)


def test_update_cache_releases_preserves_track_ids_across_rebuilds(c: Config) -> None:
    for format in FORMATS:
        make_release(c.music_source_dir, format, format=format)
    update_cache(c)
    ids, releases = ids_on_disk(c.music_source_dir), {release.id for release in list_releases(c)}
    files = snapshot(c.music_source_dir)
    shutil.rmtree(c.cache_dir)
    update_cache(c)
    assert cached_ids(c) == ids
    assert {release.id for release in list_releases(c)} == releases
    assert snapshot(c.music_source_dir) == files


def test_without_ids_in_tags_audio_files_stay_as_they_are(c: Config) -> None:
    c = msgspec.structs.replace(c, write_ids_to_tags=False)
    for format in FORMATS:
        make_release(c.music_source_dir, format, format=format)
    make_track(c.music_source_dir / "mp3" / "Disc 2" / "01.mp3", title="Nested", discnumber="2")
    before = snapshot(c.music_source_dir)
    update_cache(c)
    ids = cached_ids(c)
    after = snapshot(c.music_source_dir)
    assert {name: after[name] for name in before} == before
    assert len(set(ids.values())) == len(before)

    table = tomllib.loads(next((c.music_source_dir / "mp3").glob(".rose.*")).read_text())["tracks"]
    assert table["Disc 2/01.mp3"] == ids["mp3/Disc 2/01.mp3"]

    shutil.rmtree(c.cache_dir)
    assert update_cache(c).problems == []
    assert cached_ids(c) == ids


def test_without_ids_in_tags_a_renamed_file_keeps_its_id(c: Config) -> None:
    c = msgspec.structs.replace(c, write_ids_to_tags=False)
    directory = make_release(c.music_source_dir, "R")
    update_cache(c)
    ids = cached_ids(c)
    os.rename(directory / "01.opus", directory / "99.opus")
    update_cache(c)
    assert cached_ids(c) == {"R/99.opus": ids["R/01.opus"], "R/02.opus": ids["R/02.opus"]}


def test_update_cache_releases_ignores_partially_written_directory(c: Config) -> None:
    """Ids in tags without a datafile mean that somebody is still copying the directory."""
    directory = make_release(c.music_source_dir, "R")
    update_cache(c)
    identifier = release_id_on_disk(directory)
    ids = ids_on_disk(c.music_source_dir)
    (datafile,) = directory.glob(".rose.*.toml")
    saved = datafile.read_bytes()
    datafile.unlink()
    shutil.rmtree(c.cache_dir)
    files = snapshot(c.music_source_dir)

    report = update_cache(c)
    assert (report.skipped, report.changed) == (1, 0)
    assert list_releases(c) == []
    assert snapshot(c.music_source_dir) == files

    datafile.write_bytes(saved)
    update_cache(c)
    assert [release.id for release in list_releases(c)] == [identifier]
    assert cached_ids(c) == ids


def test_a_forced_update_recreates_a_lost_datafile_under_its_id(c: Config) -> None:
    directory = make_release(c.music_source_dir, "R")
    update_cache(c)
    identifier = release_id_on_disk(directory)
    (directory / f".rose.{identifier}.toml").unlink()
    update_cache(c, force=True)
    assert release_id_on_disk(directory) == identifier
    check_cache(c)


def test_directories_in_progress_are_skipped(c: Config) -> None:
    make_release(c.music_source_dir, ".in-progress.Album")
    before = snapshot(c.music_source_dir)
    report = update_cache(c)
    assert (report.seen, report.problems) == (0, [])
    assert snapshot(c.music_source_dir) == before


def test_ignored_directories_and_those_without_audio_are_no_releases(c: Config) -> None:
    c = msgspec.structs.replace(c, ignore_release_directories=("Incoming",))
    make_release(c.music_source_dir, "Incoming")
    (c.music_source_dir / "Scans").mkdir()
    (c.music_source_dir / "Scans" / "front.jpg").write_bytes(b"x")
    make_list(c.collages_dir / "C.toml", "releases")
    make_track(c.music_source_dir / "loose.mp3")
    before = snapshot(c.music_source_dir)
    assert update_cache_for_releases(c).seen == 0
    assert snapshot(c.music_source_dir) == before


@pytest.mark.parametrize("trash", [".Trash/1000", ".Trash-1000", ".Trashes/501", "$RECYCLE.BIN"])
def test_what_was_deleted_is_no_release(c: Config, trash: str) -> None:
    release = make_release(c.music_source_dir, "R")
    make_release(c.music_source_dir, "S")
    update_cache(c)
    (c.music_source_dir / trash / "files").mkdir(parents=True)
    release.rename(c.music_source_dir / trash / "files" / "R")
    before = snapshot(c.music_source_dir)
    update_cache(c, force=True)
    update_cache_for_releases(c, [Path(trash.partition("/")[0])], force=True)
    assert [found.source_path.name for found in list_releases(c)] == ["S"]
    assert snapshot(c.music_source_dir) == before


def test_an_update_with_nothing_changed_reads_and_writes_nothing(c: Config, files_read: list[str]) -> None:
    make_release(c.music_source_dir, "R", cover=True)
    make_list(c.playlists_dir / "P.toml", "tracks", "nobody")
    update_cache(c)
    files_read.clear()
    with connect(c) as connection:
        version = connection.execute("PRAGMA data_version").fetchone()[0]
        log = Path(f"{database_path(c)}-wal").stat()
        report = update_cache(c)
        assert (report.seen, report.changed) == (2, 0)
        assert Path(f"{database_path(c)}-wal").stat().st_mtime_ns == log.st_mtime_ns
        assert connection.execute("PRAGMA data_version").fetchone()[0] == version
    assert files_read == []


def test_only_changed_files_are_read_and_each_once(c: Config, files_read: list[str]) -> None:
    directory = make_release(c.music_source_dir, "R", tracks=4)
    make_release(c.music_source_dir, "Other")
    update_cache(c)
    assert sorted(files_read) == ["01.opus", "01.opus", "02.opus", "02.opus", "03.opus", "04.opus"]
    files_read.clear()
    set_tags(directory / "03.opus", title="Changed")
    update_cache(c)
    assert files_read == ["03.opus"]
    check_cache(c)


def test_a_retag_that_keeps_size_and_mtime_is_noticed(c: Config) -> None:
    directory = make_release(c.music_source_dir, "R", format="flac")
    update_cache(c)
    path = directory / "01.flac"
    before = path.stat()
    set_tags(path, title="Kcart 1")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    update_cache(c)
    assert "Kcart 1" in [track.tracktitle for track in list_tracks(c)]


def test_the_first_file_speaks_for_the_release(c: Config, later: None) -> None:
    directory = make_release(c.music_source_dir, "R", album="Second")
    update_cache(c)
    make_track(directory / "00.opus", album="First", tracknumber="0")
    update_cache(c)
    assert list_releases(c)[0].releasetitle == "First"
    (directory / "00.opus").unlink()
    update_cache(c)
    assert list_releases(c)[0].releasetitle == "Second"
    check_cache(c)


def test_track_totals_are_counted_not_stored(c: Config, later: None) -> None:
    directory = make_release(c.music_source_dir, "R", tracks=2, format="mp3")
    set_tags(directory / "01.mp3", tracknumber="1/99")
    make_track(directory / "Disc 2" / "01.mp3", discnumber="2")
    update_cache(c)
    tracks = list_tracks(c)
    assert [(track.discnumber, track.tracknumber, track.tracktotal) for track in tracks] == [
        ("1", "1", 2), ("1", "2", 2), ("2", "1", 1),
    ]  # fmt: skip
    assert tracks[0].release.disctotal == 2
    shutil.rmtree(directory / "Disc 2")
    (directory / "02.mp3").unlink()
    update_cache(c)
    (track,) = list_tracks(c)
    assert (track.tracktotal, track.release.disctotal) == (1, 1)
    with connect(c) as connection:
        columns = {
            row["name"]
            for table in ("releases", "tracks")
            for row in connection.execute(f"PRAGMA table_info({table})")
        }
    assert not {"tracktotal", "disctotal"} & columns


def test_a_null_duration_is_zero(c: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    make_release(c.music_source_dir, "R", tracks=1)

    def read(path: Path) -> Reading:
        reading = read_file(path)
        return replace(reading, raw=replace(reading.raw, length=0.0))

    monkeypatch.setattr(content, "read_file", read)
    update_cache(c)
    assert list_tracks(c)[0].duration_seconds == 0


def test_update_cache_releases_updates_full_text_search(c: Config) -> None:
    directory = make_release(c.music_source_dir, "R", tracks=1, title="Butterfly", album="[XX]")
    update_cache(c)
    assert [track.tracktitle for track in search_tracks(c, "utterf")] == ["Butterfly"]
    set_tags(directory / "01.opus", title="Satellite")
    update_cache(c)
    assert search_tracks(c, "utterf") == []
    assert [track.tracktitle for track in search_tracks(c, "satel")] == ["Satellite"]
    assert [track.tracktitle for track in search_tracks(c, "xx")] == ["Satellite"]
    shutil.rmtree(directory)
    update_cache(c, force=True)
    assert search_tracks(c, "satel") == []


def test_the_datafile_is_filled_and_keeps_what_it_does_not_know(c: Config) -> None:
    directory = make_release(c.music_source_dir, "R")
    identifier = "018b268e-ef68-7180-a01e-19bc3fdf970e"
    datafile = directory / f".rose.{identifier}.toml"
    datafile.write_text("# mine\nnew = false\nrating = 5 # stars\n")
    update_cache(c)
    text = datafile.read_text()
    assert text.startswith("# mine\nnew = false\nrating = 5 # stars\n")
    assert tomllib.loads(text)["added_at"]
    (release,) = list_releases(c)
    assert (release.id, release.new) == (identifier, False)


def test_a_changed_datafile_changes_the_release(c: Config) -> None:
    directory = make_release(c.music_source_dir, "R")
    update_cache(c)
    position = current_position(c)
    (datafile,) = directory.glob(".rose.*.toml")
    datafile.write_text(datafile.read_text().replace("new = true", "new = false"))
    update_cache(c)
    (release,) = list_releases(c)
    assert not release.new
    assert [(change.kind, change.id, change.change) for change in changes_since(c, position).changes] == [
        ("release", release.id, "changed")
    ]


def test_an_empty_source_directory_evicts_nothing_unless_forced(c: Config) -> None:
    directory = make_release(c.music_source_dir, "R")
    update_cache(c)
    identifier = release_id_on_disk(directory)
    make_list(c.collages_dir / "C.toml", "releases", identifier)
    update_cache(c)
    away = c.music_source_dir.rename(c.music_source_dir.with_name("away"))
    c.music_source_dir.mkdir()
    report = update_cache(c)
    assert len(report.problems) == 1
    assert [release.id for release in list_releases(c)] == [identifier]
    c.music_source_dir.rmdir()
    with pytest.raises(SourceDirectoryError, match="not mounted"):
        update_cache(c)
    assert [release.id for release in list_releases(c)] == [identifier]
    report = update_cache(c, force=True)
    assert report.evicted == 2
    assert list_releases(c) == []
    away.rename(c.music_source_dir)
    update_cache(c)
    check_cache(c)


def test_a_release_shows_when_it_last_changed_and_never_goes_back(c: Config) -> None:
    directory = make_release(c.music_source_dir, "R")
    update_cache(c)
    first = list_releases(c)[0].mtime
    path = directory / "01.opus"
    set_tags(path, title="Older")
    os.utime(path, (0, 0))
    update_cache(c)
    assert list_releases(c)[0].mtime > first


def test_the_metahash_follows_everything_shown(c: Config, later: None) -> None:
    directory = make_release(c.music_source_dir, "R", cover=True)
    seen = set()

    def step(act: Callable[[], object]) -> None:
        act()
        update_cache(c)
        seen.add((list_releases(c)[0].metahash, list_tracks(c)[0].metahash))

    steps: list[Callable[[], object]] = [
        lambda: None,
        lambda: set_tags(directory / "02.opus", title="Other"),
        lambda: set_tags(directory / "01.opus", genre="Ambient"),
        lambda: (directory / "cover.png").write_bytes(b"another"),
        lambda: make_track(directory / "03.opus"),
        lambda: (directory / "notes.txt").write_text("hello"),
        lambda: os.rename(directory / "03.opus", directory / "04.opus"),
    ]
    for act in steps:
        step(act)
    assert len(seen) == len(steps)
    step(lambda: update_cache(c, force=True))
    assert len(seen) == len(steps)


def test_covers_are_chosen_by_stem_and_extension(c: Config) -> None:
    directory = make_release(c.music_source_dir, "R")
    for name in ("front.png", "Cover.JPG", "cover.png", "Scans/folder.jpg", "cover.gif"):
        (directory / name).parent.mkdir(exist_ok=True)
        (directory / name).write_bytes(b"x")
    update_cache(c)
    assert list_releases(c)[0].cover_image_path == directory / "Cover.JPG"


def test_a_crash_in_the_middle_leaves_whole_releases(c: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """No release is stored by more than one transaction: a failure inside one leaves nothing of it."""
    from rosecache.update import store

    for number in range(3):
        make_release(c.music_source_dir, f"R{number}", tracks=3)
    update_cache(c)
    shutil.rmtree(c.cache_dir)
    close_connections()
    stored = []
    original = store._store_tracks

    def failing(connection: sqlite3.Connection, key: int, *others: Any) -> None:
        stored.append(key)
        original(connection, key, *others)
        if len(stored) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(store, "_store_tracks", failing)
    with pytest.raises(KeyboardInterrupt):
        update_cache(c)
    monkeypatch.undo()
    assert len(list_releases(c)) == 1
    assert len(list_tracks(c)) == 3
    update_cache(c)
    check_cache(c)


def test_get_release_gives_what_the_update_stored(c: Config) -> None:
    directory = make_release(c.music_source_dir, "R")
    update_cache(c)
    release = get_release(c, release_id_on_disk(directory))
    assert release is not None
    assert release.datafile_mtime == next(directory.glob(".rose.*")).stat().st_mtime_ns


def test_some_releases_only(c: Config) -> None:
    one, two = make_release(c.music_source_dir, "One"), make_release(c.music_source_dir, "Two")
    make_release(c.music_source_dir, "Untouched")
    assert update_cache_for_releases(c, [one]).changed == 1
    assert [release.source_path for release in list_releases(c)] == [one]
    update_cache_for_releases(c, [two])
    shutil.rmtree(one)
    shutil.rmtree(two)
    assert update_cache_for_releases(c, [two]).evicted == 1
    assert [release.source_path for release in list_releases(c)] == [one]
    with pytest.raises(ValueError, match="not directly below"):
        update_cache_for_releases(c, [one / "deeper"])


def test_progress_is_told(c: Config) -> None:
    for number in range(3):
        make_release(c.music_source_dir, f"R{number}", tracks=1)
    told: list[tuple[int, int]] = []
    update_cache(c, progress=lambda done, total: told.append((done, total)))
    assert told == [(0, 3), (1, 3), (2, 3), (3, 3)]


def test_a_new_file_gets_no_id_while_it_may_still_be_written(c: Config) -> None:
    directory = make_release(c.music_source_dir, "R")
    update_cache(c)
    new = make_track(directory / "03.opus")
    content_before = new.read_bytes()
    report = update_cache(c)
    assert report.skipped == 1
    assert new.read_bytes() == content_before
    assert len(list_tracks(c)) == 2
    waited = time.time() + 6
    outcome = _update_at(c, "R", waited)
    assert outcome.changed
    assert len(list_tracks(c)) == 3
    check_cache(c)


def _update_at(c: Config, name: str, now: float) -> Any:
    from rosecache.update.release import update_release

    return update_release(c, os.fsencode(name), clock=lambda: now)


def test_a_release_in_whose_place_is_a_file_is_gone(c: Config) -> None:
    release = make_release(c.music_source_dir, "one")
    make_release(c.music_source_dir, "two")
    update_cache(c)
    shutil.rmtree(release)
    release.write_text("no directory")
    report = update_cache_for_releases(c, [release])
    assert (report.evicted, report.problems) == (1, [])
    check_cache(c)
