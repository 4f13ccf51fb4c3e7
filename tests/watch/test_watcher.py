"""The watcher on real directories: what taggers, shells and other processes do to them is in the cache soon after."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import trio

import rosecache
from rosecache.config import Config
from rosecache.database import connect, database_path
from rosefs.settings import WatchSettings
from rosefs.watch import watcher as watching_module
from rosefs.watch.watcher import Watcher
from tests.support.audio import PICTURE, make_release, make_track, set_tags
from tests.support.library import cached_ids, check_cache, make_list, release_id_on_disk
from tests.watch.conftest import EVENTS, POLLING, in_thread, run, until, watching

BOTH = pytest.mark.parametrize("settings", [EVENTS, POLLING], ids=["events", "polling"])


def titles(c: Config) -> dict[str, str]:
    return {
        f"{track.release.releasetitle}/{track.tracktitle}": track.id for track in rosecache.list_tracks(c)
    }


def directories(c: Config) -> set[str]:
    return {release.source_path.name for release in rosecache.list_releases(c)}


def shell(command: str, cwd: Path) -> None:
    subprocess.run(["sh", "-ec", command], cwd=cwd, check=True, timeout=60)


# What programs do -------------------------------------------------------------------------------------


def tag_by_mutagen(source: Path) -> None:
    set_tags(source / "one" / "01.flac", title="New")


def tag_by_metaflac(source: Path) -> None:
    shell("metaflac --remove-tag=TITLE --set-tag=TITLE=New one/01.flac", source)


def put_picture(path: Path) -> None:
    path.write_bytes(PICTURE)


CHANGES: dict[str, tuple[Callable[[Path], None], Callable[[Config], bool]]] = {
    "a tag by mutagen": (tag_by_mutagen, lambda c: "Album/New" in titles(c)),
    "a tag by metaflac": (tag_by_metaflac, lambda c: "Album/New" in titles(c)),
    "a track removed": (
        lambda source: (source / "one" / "02.flac").unlink(),
        lambda c: len(cached_ids(c)) == 3,
    ),
    "a release removed": (lambda source: shutil.rmtree(source / "one"), lambda c: directories(c) == {"two"}),
    "a release renamed": (
        lambda source: os.rename(source / "one", source / "three"),
        lambda c: directories(c) == {"two", "three"},
    ),
    "a release moved away": (
        lambda source: os.rename(source / "one", source.parent / "out"),
        lambda c: directories(c) == {"two"},
    ),
    "a cover": (
        lambda source: put_picture(source / "one" / "cover.png"),
        lambda c: any(release.cover_image_path for release in rosecache.list_releases(c)),
    ),
    "a collage": (
        lambda source: make_list(
            source / "!collages" / "Best.toml", "releases", release_id_on_disk(source / "one")
        ),
        lambda c: len(rosecache.get_collage_releases(c, "Best")) == 1,
    ),
    "a playlist": (
        lambda source: make_list(source / "!playlists" / "Mix.toml", "tracks"),
        lambda c: rosecache.get_playlist(c, "Mix") is not None,
    ),
}


@BOTH
@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_in_the_cache_soon_after(c: Config, change: str, settings: WatchSettings) -> None:
    for name in ("one", "two"):
        make_release(c.music_source_dir, name, format="flac", tracks=2)
    rosecache.update_cache(c)
    ids = {release.id for release in rosecache.list_releases(c)}
    make, is_seen = CHANGES[change]

    async def test() -> None:
        async with watching(c, settings):
            make(c.music_source_dir)
            await until(lambda: is_seen(c), lambda: (cached_ids(c), directories(c)))

    run(test)
    assert {release.id for release in rosecache.list_releases(c)} <= ids
    check_cache(c)


@pytest.mark.parametrize("settings", [EVENTS, POLLING], ids=["events", "polling"])
def test_an_album_that_is_copied_in_is_scanned_once_and_whole(
    c: Config, tmp_path: Path, settings: WatchSettings, caplog: pytest.LogCaptureFixture
) -> None:
    """File by file, with pauses between them, as from a slow disk."""
    album = make_release(tmp_path / "elsewhere", "album", format="flac", tracks=12)
    seen: list[int] = []

    def copy() -> None:
        shell(
            'mkdir ../../source/album; for file in *; do head -c 1000 "$file" > "../../source/album/$file"; sleep 0.05;'
            ' tail -c +1001 "$file" >> "../../source/album/$file"; done',
            album,
        )

    async def test() -> None:
        async with watching(c, settings):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(in_thread, copy)
                while nursery.child_tasks:
                    seen.append(len(cached_ids(c)))
                    await trio.sleep(0.005)
            await until(lambda: len(cached_ids(c)) == 12, lambda: cached_ids(c))
            seen.append(len(cached_ids(c)))

    run(test)
    assert set(seen) == {0, 12}
    check_cache(c)


def test_a_file_that_is_still_open_for_writing_is_waited_for(c: Config, tmp_path: Path) -> None:
    track = make_track(tmp_path / "01.flac").read_bytes()
    release = c.music_source_dir / "album"

    async def test() -> None:
        async with watching(c) as watcher:
            release.mkdir()
            with (release / "01.flac").open("wb") as file:
                file.write(track[:5000])
                file.flush()
                await until(lambda: watcher.state.updates >= 3, lambda: watcher.state)
                assert cached_ids(c) == {}
                file.write(track[5000:])
            await until(lambda: cached_ids(c), lambda: watcher.state)

    run(test)
    check_cache(c)


def test_what_is_in_progress_is_nobodys_business(c: Config) -> None:
    make_release(c.music_source_dir, "one")

    async def test() -> None:
        async with watching(c) as watcher:
            hidden = make_release(c.music_source_dir, ".in-progress.copy")
            assert watcher.state.updates
            os.rename(hidden, c.music_source_dir / "two")
            await until(lambda: directories(c) == {"one", "two"}, lambda: watcher.state)

    run(test)
    check_cache(c)


def test_our_own_writes_do_not_cause_looks_without_end(c: Config, caplog: pytest.LogCaptureFixture) -> None:
    """An update writes ids, which are events like any other; what comes of them finds nothing to write."""
    caplog.set_level(logging.DEBUG, "rosefs.watch")

    async def test() -> None:
        async with watching(c) as watcher:
            make_release(c.music_source_dir, "one", format="mp3")
            await until(lambda: cached_ids(c), lambda: watcher.state)
            await until_idle(c, watcher)
            assert any("release one" in message for message in caplog.messages)
            caplog.clear()
            await until_idle(c, watcher)
            assert any("release marker" in message for message in caplog.messages)
            assert not any("release one" in message for message in caplog.messages)

    run(test)
    check_cache(c)


async def until_idle(c: Config, watcher: Watcher) -> None:
    """Waits until the watcher has nothing left to do: not for any event until now, nor later."""
    await until(lambda: not watcher.state.pending, lambda: watcher.state)
    last_event = watcher.state.last_event
    marker = c.music_source_dir / "marker"  # whose events come after all those before it
    marker.mkdir()
    marker.rmdir()
    await until(partial(has_heard_more, watcher, last_event), lambda: watcher.state)
    await until(lambda: not watcher.state.pending, lambda: watcher.state)


def has_heard_more(watcher: Watcher, last_event: float | None) -> bool:
    return watcher.state.last_event != last_event


def test_what_was_left_for_later_is_looked_at_when_it_is_quiet(c: Config) -> None:
    """A new track in a known release gets its id when it has been left alone for some seconds."""
    release = make_release(c.music_source_dir, "one", tracks=1)
    rosecache.update_cache(c)

    async def test() -> None:
        async with watching(c) as watcher:
            make_track(release / "02.opus", title="Two", tracknumber="2")
            await until(lambda: "Album/Two" in titles(c), lambda: watcher.state)

    run(test)
    check_cache(c)


def test_what_changed_before_it_watches_is_seen_too(c: Config) -> None:
    make_release(c.music_source_dir, "one")

    async def test() -> None:
        async with watching(c):
            assert directories(c) == {"one"}

    run(test)


@pytest.mark.expects_log(r"01\.mp3: ")
def test_a_broken_file_is_told_of_once_and_forgotten_when_it_is_repaired(
    c: Config, caplog: pytest.LogCaptureFixture
) -> None:
    release = make_release(c.music_source_dir, "one", format="mp3", tracks=2)
    rosecache.update_cache(c)
    whole = (release / "01.mp3").read_bytes()

    async def test() -> None:
        async with watching(c) as watcher:
            (release / "01.mp3").write_bytes(b"")
            await until(lambda: watcher.state.problems, lambda: watcher.state)
            assert [problem.path for problem in watcher.state.problems] == [release / "01.mp3"]
            updates = watcher.state.updates
            (release / "notes.txt").write_text("x")
            await until(lambda: watcher.state.updates > updates, lambda: watcher.state)
            assert watcher.state.problems
            (release / "01.mp3").write_bytes(whole)
            await until(lambda: not watcher.state.problems, lambda: watcher.state)

    run(test)
    assert len([record for record in caplog.records if record.levelno >= logging.WARNING]) == 1


# What goes wrong --------------------------------------------------------------------------------------


@pytest.mark.expects_log("is not followed: it is not there", "is there again")
@BOTH
def test_a_source_that_goes_away_is_waited_for_and_nothing_is_evicted(
    c: Config, settings: WatchSettings
) -> None:
    make_release(c.music_source_dir, "one")
    make_release(c.music_source_dir, "two")
    rosecache.update_cache(c)
    away = c.music_source_dir.with_name("away")

    async def test() -> None:
        async with watching(c, settings) as watcher:
            os.rename(c.music_source_dir, away)
            await until(lambda: watcher.state.mode == "waiting", lambda: watcher.state)
            assert directories(c) == {"one", "two"}
            make_release(away, "three", tracks=1)
            os.rename(away, c.music_source_dir)
            await until(lambda: "three" in directories(c), lambda: watcher.state)
            assert watcher.state.mode == settings.mode
            set_tags(c.music_source_dir / "three" / "01.opus", title="New")
            await until(lambda: "Album/New" in titles(c), lambda: watcher.state)

    run(test)
    check_cache(c)


@pytest.mark.expects_log("could not be brought up to date, which is tried again")
def test_an_update_that_fails_is_tried_again(
    c: Config, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    release = make_release(c.music_source_dir, "one", tracks=1)
    rosecache.update_cache(c)
    monkeypatch.setattr("rosefs.watch.gathering.BACKOFF", (0.05, 0.1))

    async def test() -> None:
        async with watching(c) as watcher:
            blocked = c.cache_dir.with_name("blocked")
            os.rename(c.cache_dir, blocked)
            c.cache_dir.write_text("no directory")
            set_tags(release / "01.opus", title="New")
            await until(lambda: watcher.state.failures >= 2, lambda: watcher.state)
            c.cache_dir.unlink()
            os.rename(blocked, c.cache_dir)
            await until(lambda: "Album/New" in titles(c), lambda: watcher.state)

    run(test)
    told = [record for record in caplog.records if "could not be brought up to date" in record.message]
    assert [record.levelname for record in told if record.levelno >= logging.WARNING] == ["WARNING"]


@pytest.mark.expects_log("could not be brought up to date")
def test_a_damaged_cache_is_built_anew(c: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(40):
        make_release(c.music_source_dir, f"release {number}", tracks=1)
    rosecache.update_cache(c)
    monkeypatch.setattr("rosefs.watch.gathering.BACKOFF", (0.05, 0.1))

    async def test() -> None:
        async with watching(c) as watcher:
            path = database_path(c)
            with connect(c) as connection:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            with path.open("r+b") as file:
                file.seek(4096)
                file.write(os.urandom(path.stat().st_size - 4096))
            make_release(c.music_source_dir, "last", tracks=1)
            await until(lambda: watcher.state.failures, lambda: watcher.state)
            await until(lambda: not watcher.state.failures, lambda: watcher.state)

    run(test)
    check_cache(c)
    assert len(directories(c)) == 41


def test_a_release_that_is_a_link_is_followed_to_where_it_leads(
    c: Config, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "rosefs.watch")
    release = make_release(tmp_path, "elsewhere", tracks=1)

    async def test() -> None:
        async with watching(c) as watcher:
            (c.music_source_dir / "one").symlink_to(release)
            await until(lambda: directories(c) == {"one"}, lambda: watcher.state)
            await until(lambda: caplog.text.count("by events") == 2, lambda: caplog.text)
            set_tags(release / "01.opus", title="New")
            await until(lambda: "Album/New" in titles(c), lambda: watcher.state)

    run(test)


def _put_a_directory(c: Config) -> None:
    two = make_release(c.music_source_dir.with_name("elsewhere"), "two", tracks=1)
    os.rename(two, os.fsencode(c.music_source_dir) + b"/tw\xe9")


def _put_a_file(c: Config) -> None:
    two = make_release(c.music_source_dir.with_name("elsewhere"), "two", tracks=1)
    os.rename(os.fsencode(two / "01.opus"), os.fsencode(two) + b"/caf\xe9.opus")
    os.rename(two, c.music_source_dir / "two")


@pytest.mark.expects_log("a name is not UTF-8: .*; rename it")
@pytest.mark.parametrize("put", [_put_a_directory, _put_a_file])
def test_a_name_that_is_not_utf_8_has_it_poll(c: Config, put: Callable[[Config], None]) -> None:
    release = make_release(c.music_source_dir, "one", tracks=1)
    rosecache.update_cache(c)

    async def test() -> None:
        async with watching(c, WatchSettings(mode="events", poll_seconds=0.1)) as watcher:
            put(c)
            await until(lambda: len(directories(c)) == 2, lambda: watcher.state)
            set_tags(release / "01.opus", title="New")
            await until(lambda: "Album/New" in titles(c), lambda: watcher.state)
            assert watcher.state.mode == "polling"

    run(test)
    check_cache(c)


def test_it_does_nothing_when_it_is_off(c: Config) -> None:
    watcher = Watcher(c, WatchSettings(mode="off"))
    trio.run(watcher.run)
    assert (watcher.state.mode, watcher.state.reason) == ("off", "")


# At rest ----------------------------------------------------------------------------------------------


class Steps(trio.abc.Instrument):
    """Notes which tasks of the watcher do something on the event loop."""

    def __init__(self) -> None:
        self.taken: list[str] = []

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        if "rosefs.watch" in task.name:
            self.taken.append(task.name)


def test_when_nothing_happens_the_event_loop_is_left_alone(
    c: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = threading.Semaphore(0)

    def look(path: object, *args: object, **named: object) -> os.stat_result:
        if path == c.music_source_dir and threading.current_thread() is not threading.main_thread():
            looks.release()
        return stat(path, *args, **named)  # type: ignore[arg-type]

    async def test() -> None:
        async with watching(c) as watcher:
            await until(lambda: not watcher.state.pending)
            monkeypatch.setattr(os, "stat", look)
            steps = Steps()
            trio.lowlevel.add_instrument(steps)
            for _ in range(20):  # until it has told of its first update
                steps.taken.clear()
                await in_thread(lambda: [looks.acquire(timeout=60) for _ in range(5)])
                if not steps.taken:
                    break
            trio.lowlevel.remove_instrument(steps)
            assert steps.taken == []

    stat = os.stat
    monkeypatch.setattr(watching_module, "GUARD_SECONDS", 0.02)
    run(test)
