"""What writing means in lists whose names the kernel keeps, by real programs; and that lists are found when renamed."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.fuse.conftest import Workbench, run, working
from tests.fuse.test_gestures_lists import BOTH, MIX, listed, members
from tests.fuse.test_gestures_sinks import music, settle
from tests.support.audio import PICTURE, set_tags

pytestmark = pytest.mark.usefixtures("need_fuse")

TRACK = "01. Track 1.flac"


def seen(bench: Workbench) -> tuple[Path, Path, Path]:
    """Returns a track where it is, in a playlist and in a collage, when the kernel has all names of it."""
    paths = (
        bench.release / TRACK,
        bench.top / "Playlists/Mix" / MIX[0],
        bench.top / "Collages/Both" / BOTH[0] / TRACK,
    )
    run("find", bench.top, "-ls")
    assert len({path.stat().st_ino for path in paths}) == 1
    return paths


@contextmanager
def refused(number: int) -> Iterator[None]:
    with pytest.raises(OSError, match=os.strerror(number)) as raised:
        yield
    assert raised.value.errno == number


def test_in_turns_each_way_means_what_it_does(bench: Workbench) -> None:
    track, member, other = seen(bench)
    source, before = bench.source / "loona/01.flac", members(bench, "!playlists/Mix.toml")
    another = (bench.source / "blackpink/03.mp3").read_bytes()
    for number in range(3):
        content = source.read_bytes() + b"\0"
        track.write_bytes(content)
        assert source.read_bytes() == content
        shutil.copyfile(bench.source / "loona/01.flac", member)
        shutil.copyfile(bench.source / "loona/01.flac", other)
        assert (source.read_bytes(), track.read_bytes()) == (content, content)
        assert member.stat().st_ino != track.stat().st_ino  # what was copied is shown for a moment
        bench.clock.advance(11)
        set_tags(member, title=f"Title {number}")
        set_tags(track, title="Track 1")
        assert member.stat().st_ino == track.stat().st_ino == other.stat().st_ino
    assert members(bench, "!playlists/Mix.toml") == before
    shutil.copyfile(bench.source / "blackpink/03.mp3", bench.top / "Playlists/Mix/new.mp3")
    assert len(members(bench, "!playlists/Mix.toml")) == len(before) + 1
    assert (bench.source / "blackpink/03.mp3").read_bytes() == another
    settle(bench)


def test_two_threads_at_once_by_two_ways(tmp_path: Path, binding: str) -> None:
    # What is copied is not what is in the library when that is written to meanwhile, and is kept then.
    with working(tmp_path, binding, allows_log=["a copy of it is in the trash"]) as bench:
        write_at_once(bench)


def write_at_once(bench: Workbench) -> None:
    track, member, _ = seen(bench)
    source, before = bench.source / "loona/01.flac", members(bench, "!playlists/Mix.toml")
    whole = source.read_bytes()

    def write_where_it_is() -> None:
        for number in range(20):
            content = whole + bytes(number)
            track.write_bytes(content)
            assert source.read_bytes() == content

    def copy_over_member() -> None:
        for _ in range(20):
            member.write_bytes(whole)
            assert member.read_bytes() == whole
            bench.clock.advance(11)

    with ThreadPoolExecutor(2) as threads:
        for work in [threads.submit(write_where_it_is), threads.submit(copy_over_member)]:
            work.result()
    assert source.read_bytes() == whole + bytes(19)
    assert members(bench, "!playlists/Mix.toml") == before
    track.write_bytes(whole)
    settle(bench)


def test_a_shell_writes_over_a_member_and_not_over_the_track(bench: Workbench) -> None:
    track, member, _ = seen(bench)
    before = music(bench)
    run("sh", "-c", 'cat "$0" > "$1"', bench.source / "loona/01.flac", member)
    assert music(bench) == before
    bench.clock.advance(11)
    run("sh", "-c", 'cat "$0" > "$1" && printf x >> "$1"', bench.source / "loona/02.flac", track)
    assert (bench.source / "loona/01.flac").stat().st_size == len(before["loona/02.flac"]) + 1


def test_a_member_is_not_cut_off_by_its_path_and_the_track_is(bench: Workbench) -> None:
    track, member, _ = seen(bench)
    before = music(bench)
    os.truncate(member, 0)  # that of a file that is there for a moment
    assert music(bench) == before
    assert track.stat().st_size == len(before["loona/01.flac"])
    os.truncate(track, len(before["loona/01.flac"]) - 1)
    assert (bench.source / "loona/01.flac").read_bytes() == before["loona/01.flac"][:-1]


def test_times_and_permissions_are_set_where_the_track_is(bench: Workbench) -> None:
    track, member, other = seen(bench)
    source = bench.source / "loona/01.flac"
    before = source.stat()
    for path in (member, other):
        with refused(errno.EPERM):
            path.chmod(0o600)
        with refused(errno.EPERM):
            os.utime(path, (1, 1))
    assert (source.stat().st_mode, source.stat().st_mtime) == (before.st_mode, before.st_mtime)
    os.utime(track, (1_000_000_000, 1_000_000_000))
    track.chmod(0o600)
    assert (source.stat().st_mode & 0o777, source.stat().st_mtime) == (0o600, 1_000_000_000)
    run("cp", "-p", bench.source / "loona/02.flac", track)  # sets them by a descriptor, once
    assert source.stat().st_mtime_ns == (bench.source / "loona/02.flac").stat().st_mtime_ns
    with track.open("r+b") as file, ThreadPoolExecutor(1) as another:
        another.submit(os.utime, file.fileno(), (1_100_000_000, 1_100_000_000)).result()
    with track.open("rb") as file:
        os.utime(file.fileno(), (1_200_000_000, 1_200_000_000))
    assert source.stat().st_mtime == 1_200_000_000


def test_what_is_opened_by_a_descriptor_is_edited_in_place_and_not_truncated(bench: Workbench) -> None:
    for path in seen(bench):
        before = music(bench)
        with path.open("rb") as file:
            again = f"/proc/self/fd/{file.fileno()}"
            with refused(errno.EPERM):
                os.close(os.open(again, os.O_WRONLY | os.O_TRUNC))
            assert music(bench) == before
            with open(again, "r+b") as other:
                other.write(b"fLaC")
        assert music(bench) == before


def test_a_file_has_one_link_after_it_was_removed_from_a_list(bench: Workbench) -> None:
    track, member, other = seen(bench)
    member.unlink()
    other.unlink()
    assert (track.stat().st_nlink, (bench.top / "Playlists/Mix" / MIX[2]).stat().st_nlink) == (1, 1)
    bench.clock.advance(11)
    assert other.stat().st_nlink == 1


def test_a_renamed_list_is_found_at_once(bench: Workbench) -> None:
    (bench.source / "!playlists/Mix.png").write_bytes(PICTURE)
    run("rm", bench.top / "Playlists/Mix" / MIX[3])  # and the cache knows of the cover
    bench.clock.advance(11)
    collages, playlists = bench.top / "Collages", bench.top / "Playlists"
    names = [collages / "Both", playlists / "Mix"]
    for number in range(10):
        run("find", *names, "-ls")
        stands = os.open(names[1], os.O_RDONLY)
        for index, old in enumerate(names):
            new = names[index] = old.with_name(f"New {number}")
            os.rename(old, new)
            assert listed(new) == (BOTH if index == 0 else MIX[:3])
            assert not old.exists()
        assert (names[0] / BOTH[0] / TRACK).read_bytes()
        assert (names[1] / "cover.png").read_bytes() == PICTURE
        assert (names[1] / f"New {number}.m3u8").read_bytes().startswith(b"#EXTM3U")
        assert sorted(os.listdir(stands)) == sorted([*MIX[:3], "cover.png", f"New {number}.m3u8"])
        os.close(stands)
    os.rename(names[0], collages / "Both")
    assert listed(collages / "Both") == BOTH
    assert os.listdir(collages) == ["Both"]
    bench.check()
