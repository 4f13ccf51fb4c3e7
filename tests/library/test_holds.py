"""Holds: whatever becomes of held files, they are in the library in the end, once, and nothing is overwritten."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

import rosecache
from rosecache.config import Config
from rosecache.tags import TagChanges, write_tags
from rosecache.temporary import HOLD_PREFIX
from rosefs.library.files import rename_new
from rosefs.library.holds import HOLD_SECONDS, Holds, holds_are_left, recover_holds
from rosefs.library.journal import Journal
from rosefs.library.releases import delete_release
from rosefs.library.undo import undo
from tests.support.audio import set_tags
from tests.support.browsing import Clock
from tests.support.library import cached_ids, snapshot

PUT_BACK = "put back"


def release_of(c: Config, directory: str) -> rosecache.Release:
    (found,) = [each for each in rosecache.list_releases(c) if each.source_path.name == directory]
    return found


def settled(holds: Holds, clock: Clock) -> None:
    clock.advance(HOLD_SECONDS)
    assert holds.settle() is None


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def holds(library: Config, clock: Clock) -> Holds:
    return Holds(library, clock)


def test_what_is_still_there_is_let_go(library: Config, holds: Holds, clock: Clock) -> None:
    before = snapshot(library.music_source_dir)
    holds.hold_release(release_of(library, "loona"))
    held = list(library.music_source_dir.glob(f"{HOLD_PREFIX}*/1/*"))
    assert len(held) == 4
    assert all(path.stat().st_nlink == 2 for path in held)
    clock.advance(HOLD_SECONDS - 1)
    assert holds.settle() == 1
    holds.use()
    clock.advance(1)
    assert holds.settle() == HOLD_SECONDS - 1
    assert holds_are_left(library)
    settled(holds, clock)
    assert not holds_are_left(library)
    assert snapshot(library.music_source_dir) == before


@pytest.mark.expects_log(PUT_BACK)
def test_what_is_gone_is_put_back_and_cached(library: Config, holds: Holds, clock: Clock) -> None:
    source = library.music_source_dir
    (source / "loona/Disc 2/scans").mkdir(parents=True)
    (source / "loona/Disc 2/scans/a.txt").write_text("a")
    (source / "loona/link").symlink_to("cover.png")
    before, ids = snapshot(source), cached_ids(library)
    times = {path: path.stat().st_mtime_ns for path in source.rglob("*.opus")}
    holds.hold_release(release_of(library, "loona"))
    shutil.rmtree(source / "loona")
    rosecache.update_cache(library)
    assert cached_ids(library) != ids
    settled(holds, clock)
    assert snapshot(source) == before
    assert (source / "loona/link").readlink() == Path("cover.png")
    assert {path: path.stat().st_mtime_ns for path in source.rglob("*.opus")} == times
    assert cached_ids(library) == ids
    assert not holds_are_left(library)


@pytest.mark.expects_log(PUT_BACK)
def test_one_track_that_is_gone_is_put_back(library: Config, holds: Holds, clock: Clock) -> None:
    before = snapshot(library.music_source_dir)
    track = rosecache.get_tracks_of_release(library, release_of(library, "nobody"))[0]
    holds.hold_track(track)
    holds.hold_track(track)
    shutil.rmtree(track.source_path.parent)
    settled(holds, clock)
    assert (track.source_path).read_bytes() == before["nobody/01.opus"]
    assert [path.name for path in track.source_path.parent.glob("*.opus")] == ["01.opus"]


@pytest.mark.expects_log(PUT_BACK)
def test_nothing_is_overwritten_when_putting_back(library: Config, holds: Holds, clock: Clock) -> None:
    release = library.music_source_dir / "loona"
    second = (release / "02.opus").read_bytes()
    holds.hold_release(release_of(library, "loona"))
    for path in release.iterdir():
        path.unlink()
    (release / "01.opus").write_bytes(b"another one")
    settled(holds, clock)
    assert (release / "01.opus").read_bytes() == b"another one"
    assert (release / "02.opus").read_bytes() == second


def _rename_directory(c: Config) -> None:
    (c.music_source_dir / "loona").rename(c.music_source_dir / "elsewhere")


def _rename_by_tags(c: Config) -> None:
    for path in (c.music_source_dir / "loona").glob("*.opus"):
        set_tags(path, album="Renamed")
    rosecache.update_cache(msgspec.structs.replace(c, rename_source_files=True))
    assert not (c.music_source_dir / "loona").exists()


def _trash(c: Config) -> None:
    delete_release(c, Journal(c.cache_dir.parent / "state"), release_of(c, "loona"))


def _rewrite_and_rename(c: Config) -> None:
    """As a tagger by temporary file, and a rename by hand that an update has seen."""
    for path in (c.music_source_dir / "loona").iterdir():
        copy = path.with_name(f".{path.name}.new")
        shutil.copy2(path, copy)
        copy.replace(path)
    _rename_directory(c)
    rosecache.update_cache(c)


@pytest.mark.parametrize("happen", [_rename_directory, _rename_by_tags, _trash, _rewrite_and_rename])
def test_what_was_moved_within_reach_is_not_put_back(
    library: Config, holds: Holds, clock: Clock, happen: Callable[[Config], None]
) -> None:
    holds.hold_release(release_of(library, "loona"))
    happen(library)
    moved = {path for path in library.music_source_dir.iterdir() if not path.name.startswith(HOLD_PREFIX)}
    settled(holds, clock)
    assert set(library.music_source_dir.iterdir()) == moved
    assert not holds_are_left(library)
    rosecache.update_cache(library)
    assert (happen is _trash) == (len(rosecache.list_releases(library)) == 2)


def test_a_release_in_the_trash_can_be_taken_back(library: Config, holds: Holds, clock: Clock) -> None:
    before = snapshot(library.music_source_dir)
    holds.hold_release(release_of(library, "loona"))
    _trash(library)
    settled(holds, clock)
    undo(library, Journal(library.cache_dir.parent / "state"))
    assert snapshot(library.music_source_dir) == before


def test_an_edit_of_a_held_file_is_not_undone_by_the_hold(
    library: Config, holds: Holds, clock: Clock
) -> None:
    path = library.music_source_dir / "loona/01.opus"
    holds.hold_release(release_of(library, "loona"))
    new = path.with_name("new")
    new.write_bytes(path.read_bytes() + b"\0")
    new.replace(path)
    settled(holds, clock)
    assert path.read_bytes()[-1:] == b"\0"


@pytest.mark.expects_log(PUT_BACK)
def test_of_a_file_that_was_edited_while_held_the_edited_one_is_put_back(
    library: Config, holds: Holds, clock: Clock
) -> None:
    release = release_of(library, "loona")
    holds.hold_release(release)
    changes = TagChanges(tracktitle="Edited")
    write_tags(release.source_path / "01.opus", changes)
    rosecache.update_cache(library)
    before = snapshot(library.music_source_dir / "loona")
    holds.hold_release(release_of(library, "loona"))
    shutil.rmtree(release.source_path)
    settled(holds, clock)
    assert snapshot(library.music_source_dir / "loona") == before


def test_a_file_that_was_removed_on_purpose_is_not_put_back(
    library: Config, holds: Holds, clock: Clock, journal: Journal
) -> None:
    release = release_of(library, "loona")
    holds.hold_release(release)
    track = release.source_path / "01.opus"
    write_tags(
        track, TagChanges(tracktitle="Edited")
    )  # of which the trash has the new version, and the hold the old
    with journal.edit("delete") as edit:
        edit.trash(track)
    holds.let_go(track)
    rosecache.update_cache(library)
    settled(holds, clock)
    assert not track.exists()
    assert not holds_are_left(library)


@pytest.mark.expects_log(PUT_BACK)
def test_other_names_that_a_file_had_before_do_not_count(
    library: Config, holds: Holds, clock: Clock, tmp_path: Path
) -> None:
    path = library.music_source_dir / "loona/01.opus"
    os.link(path, tmp_path / "shared elsewhere.opus")
    content = path.read_bytes()
    holds.hold_release(release_of(library, "loona"))
    path.unlink()
    settled(holds, clock)
    assert path.read_bytes() == content


@pytest.mark.expects_log(PUT_BACK)
def test_without_hard_links_the_bytes_are_held(
    library: Config, holds: Holds, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError(errno.EOPNOTSUPP, "no links")

    before = snapshot(library.music_source_dir)
    monkeypatch.setattr(os, "link", refuse)
    holds.hold_release(release_of(library, "loona"))
    shutil.rmtree(library.music_source_dir / "loona")
    settled(holds, clock)
    assert snapshot(library.music_source_dir) == before


def test_what_cannot_be_held_leaves_nothing(
    library: Config, holds: Holds, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, count = os.link, 0

    def refuse_third(*args: str, **kwargs: bool) -> None:
        nonlocal count
        count += 1
        if count == 3:
            raise OSError(errno.ENOSPC, "full")
        real(*args, **kwargs)  # type: ignore[arg-type]

    before = snapshot(library.music_source_dir)
    monkeypatch.setattr(os, "link", refuse_third)
    with pytest.raises(OSError, match="full"):
        holds.hold_release(release_of(library, "loona"))
    holds.close()
    assert snapshot(library.music_source_dir) == before
    assert not holds_are_left(library)


# Ends and crashes -------------------------------------------------------------------------------------------


@pytest.mark.expects_log(PUT_BACK)
def test_closing_puts_back_what_is_gone(library: Config, holds: Holds) -> None:
    before = snapshot(library.music_source_dir)
    holds.hold_release(release_of(library, "loona"))
    shutil.rmtree(library.music_source_dir / "loona")
    holds.close()
    assert snapshot(library.music_source_dir) == before
    assert not holds_are_left(library)


@pytest.mark.expects_log(PUT_BACK)
def test_what_is_still_there_when_closing_is_held_until_somebody_starts(
    library: Config, holds: Holds
) -> None:
    before = snapshot(library.music_source_dir)
    holds.hold_release(release_of(library, "loona"))
    holds.close()
    assert recover_holds(library) == []
    assert holds_are_left(library)
    shutil.rmtree(library.music_source_dir / "loona")  # whoever moved it was not done
    assert len(recover_holds(library)) == 4
    assert snapshot(library.music_source_dir) == before
    assert not holds_are_left(library)


def test_what_was_left_long_ago_is_let_go(library: Config, holds: Holds) -> None:
    before = snapshot(library.music_source_dir)
    holds.hold_release(release_of(library, "loona"))
    holds.close()
    assert recover_holds(library, clock=lambda: time.time() + HOLD_SECONDS + 1) == []
    assert snapshot(library.music_source_dir) == before
    assert not holds_are_left(library)


def test_what_a_living_process_holds_is_left_to_it(library: Config, holds: Holds) -> None:
    holds.hold_release(release_of(library, "loona"))
    shutil.rmtree(library.music_source_dir / "loona")
    assert recover_holds(library, clock=lambda: time.time() + 1e6) == []
    assert not (library.music_source_dir / "loona").exists()


KILLED = """
import os, sys
from pathlib import Path
from rosecache.config import Config
from rosecache.query.releases import list_releases
from rosefs.library import holds
c = Config(music_source_dir=Path(sys.argv[1]), cache_dir=Path(sys.argv[2]))
left = int(sys.argv[3])
def dying(function):
    def wrapped(*args, **kwargs):
        global left
        if left == 0:
            os._exit(9)
        left -= 1
        return function(*args, **kwargs)
    return wrapped
for name in ("link", "open", "fsync", "utime"):
    setattr(os, name, dying(getattr(os, name)))
holds.flush_directory = dying(holds.flush_directory)
holds._write_manifest = dying(holds._write_manifest)
(release,) = [each for each in list_releases(c) if each.source_path.name == "loona"]
holds.Holds(c).hold_release(release)
os._exit(0)
"""
"""Holds a release, and is killed after so many calls."""


@pytest.mark.parametrize("calls", range(14))
def test_killed_while_holding_loses_and_leaves_nothing(library: Config, calls: int) -> None:
    before = snapshot(library.music_source_dir)
    ran = subprocess.run(
        [sys.executable, "-c", KILLED, library.music_source_dir, library.cache_dir, str(calls)],
        check=False, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert ran.returncode in (0, 9)
    assert (calls < 5) <= (ran.returncode == 9)  # enough calls, and it is done
    recover_holds(library, clock=lambda: time.time() + HOLD_SECONDS + 1)
    assert snapshot(library.music_source_dir) == before
    assert not holds_are_left(library)


@pytest.mark.expects_log(PUT_BACK)
@pytest.mark.parametrize("after", range(5))
def test_killed_while_putting_back_goes_on_the_next_time(
    library: Config, holds: Holds, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    before, real, count = snapshot(library.music_source_dir), rename_new, 0

    def dying(old: Path, new: Path) -> None:
        nonlocal count
        count += 1
        if count > after:
            raise KeyboardInterrupt
        real(old, new)

    holds.hold_release(release_of(library, "loona"))
    holds.close()
    shutil.rmtree(library.music_source_dir / "loona")
    with monkeypatch.context() as patch:
        patch.setattr("rosefs.library.holds.rename_new", dying)
        if after < 4:
            with pytest.raises(KeyboardInterrupt):
                recover_holds(library)
    recover_holds(library)
    assert snapshot(library.music_source_dir) == before
    assert not holds_are_left(library)
