"""Searches and smart lists in a real mount, by real programs: what they show, and that it is always current."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import rosecache
from rosefs.settings import SmartSettings
from tests.conftest import need_program
from tests.fuse.conftest import Workbench, run, wait_for, working
from tests.support.audio import set_tags
from tests.support.library import snapshot
from tests.support.mounts import SHARED_LIMIT

pytestmark = pytest.mark.usefixtures("need_fuse")

SMART = (
    SmartSettings(name="Old", kind="collage", matcher="releasedate:201", sort="releasedate"),
    SmartSettings(name="Firsts", kind="playlist", matcher="tracktitle:Track 1", sort="-releasedate"),
    SmartSettings(name="Saved", kind="search", matcher="artist:LOONA"),
)
LOONA = "{NEW} LOONA - 2018. Hash"


@pytest.fixture(scope="module")
def smart_bench(tmp_path_factory: pytest.TempPathFactory, binding: str) -> Iterator[Workbench]:
    """The library with smart lists; each test leaves it as it was."""
    with working(
        tmp_path_factory.mktemp("smart"), binding, hard_limit=SHARED_LIMIT, smart=SMART,
        allows_log=("is no matcher",),
    ) as bench:  # fmt: skip
        yield bench


def test_programs_find_what_is_typed(smart_bench: Workbench, tmp_path: Path) -> None:
    search = smart_bench.top / "Search"
    assert run("ls", search) == "Saved\n"
    assert run("ls", search / "artist:loona:i").splitlines() == ["!All Tracks", LOONA]
    assert run("ls", search / "tracktitle:Track 3" / "artist:LOONA").splitlines() == ["!All Tracks"]
    assert run("ls", search / "Saved" / "releasedate:^2018").splitlines() == ["!All Tracks", LOONA]
    found = run("find", search / "artist:LOONA", "-name", "*.flac").splitlines()
    assert len(found) == 4
    assert all(Path(each).stat().st_size for each in found)
    run("cp", "-r", search / "artist:LOONA" / LOONA, tmp_path / "cp")
    run("rsync", "-a", f"{search}/artist:LOONA/{LOONA}/", tmp_path / "rsync")
    assert (tmp_path / "cp/01. Track 1.flac").read_bytes() == (
        smart_bench.source / "loona/01.flac"
    ).read_bytes()
    assert snapshot(tmp_path / "cp") == snapshot(tmp_path / "rsync")
    assert run("ls", search) == "Saved\n"


@pytest.mark.parametrize(
    ("name", "number"),
    [("genr:x", errno.ENOENT), ("x", errno.ENOENT), ("genre:" + "x" * 250, errno.ENAMETOOLONG)],
)
def test_what_is_no_search_does_not_exist(smart_bench: Workbench, name: str, number: int) -> None:
    for _ in range(2):
        with pytest.raises(OSError, match=os.strerror(number)) as raised:
            os.stat(smart_bench.top / "Search" / name)
        assert raised.value.errno == number


def test_smart_lists_are_shown_as_others_are(smart_bench: Workbench) -> None:
    top = smart_bench.top
    assert sorted(os.listdir(top / "Collages")) == ["Both", "Old"]
    assert sorted(os.listdir(top / "Collages/Old")) == [
        "!All Tracks", "1. {NEW} BLACKPINK - 2016. Square", f"2. {LOONA}",
    ]  # fmt: skip
    names = ["1. LOONA - Track 1.flac", "2. BLACKPINK - Track 1.mp3"]
    assert sorted(os.listdir(top / "Playlists/Firsts")) == [*names, "Firsts.m3u8"]
    lines = run("cat", top / "Playlists/Firsts/Firsts.m3u8").splitlines()
    assert lines[2::2] == names
    for name in names:
        assert (top / "Playlists/Firsts" / name).read_bytes()


@pytest.mark.parametrize("title", ["Zebra", "Lion"])
def test_every_change_shows_although_the_kernel_remembers(smart_bench: Workbench, title: str) -> None:
    top, path = smart_bench.top, smart_bench.source / "blackpink/02.mp3"
    search = top / "Search" / f"tracktitle:{title}"
    release = search / "{NEW} BLACKPINK - 2016. Square"
    assert os.listdir(search) == ["!All Tracks"]
    assert not release.exists()
    before = search.stat().st_mtime_ns
    set_tags(path, title=title)
    rosecache.update_cache(smart_bench.c)
    wait_for(release.exists)
    assert os.listdir(search) == ["!All Tracks", release.name]
    assert search.stat().st_mtime_ns > before
    set_tags(path, title="Track 1")
    rosecache.update_cache(smart_bench.c)
    wait_for(lambda: os.listdir(search) == ["!All Tracks"])
    wait_for(lambda: len(os.listdir(top / "Playlists/Firsts")) == 4)
    assert len(run("cat", top / "Playlists/Firsts/Firsts.m3u8").splitlines()) == 7
    set_tags(path, title="Track 2")
    rosecache.update_cache(smart_bench.c)
    wait_for(lambda: len(os.listdir(top / "Playlists/Firsts")) == 3)


REFUSED = (
    "mkdir {top}/Search/new",
    "mkdir {top}/Search/genr:x",
    "rmdir {top}/Search/genre:x",
    "rmdir {top}/Search/artist:LOONA/genre:x",
    "rmdir {top}/Search/Saved",
    "mv {top}/Search/Saved {top}/Search/x",
    "mv {top}/Search/genre:x {top}/Search/genre:y",
    "touch {top}/Search/genre:x",
    "touch {top}/Search/file",
    "cp {file} {top}/Search/genre:x/",
    "mkdir {top}/Search/genre:x/new",
    "rmdir {top}/Collages/Old",
    "rmdir {top}/Playlists/Firsts",
    "mv {top}/Collages/Old {top}/Collages/Older",
    "mv {top}/Playlists/Firsts {top}/Playlists/Seconds",
    "mkdir {top}/Collages/Old/new",
    "touch {top}/Collages/Old",
    "cp {file} {top}/Playlists/Firsts/",
    "cp {file} {top}/Playlists/Firsts/1.*",
    "cp {file} {top}/Playlists/Firsts/cover.png",
    "cp -r {release} {top}/Collages/Old/",
    "cp {file} {top}/Collages/Old/1.*/01*",
    "rm {top}/Playlists/Firsts/1.*",
    "rm {top}/Collages/Old/1.*/01*",
    "rm -r {top}/Collages/Old/1.*",
    "rm -r {top}/Search/Saved",
    "rm -r {top}/Search/Saved/*LOONA*",
    "rm -r {top}/Search/Saved/genre:K-Pop",
    "rm {top}/Search/Saved/*LOONA*/01*",
    "rm {top}/Search/Saved/\\!All\\ Tracks/*01*",
    "rm {top}/Search/Saved/releasedate:2018/*LOONA*/01*",
    "mv {top}/Search/Saved/*LOONA* {top}/Search/Saved/x",
    "cp -r {release} {top}/Search/Saved/new",
    "cp {file} {top}/Search/Saved/*LOONA*/01*",
    "sh -c 'echo >> \"$0\"' {top}/Search/Saved/*LOONA*/01*",
    "setfattr -n user.rosefs.new -v false {top}/Search/Saved/*LOONA*",
    "mv {top}/Playlists/Firsts/1.* {top}/Playlists/Firsts/2.x",
    "sh -c 'echo >> \"$0\"' {top}/Playlists/Firsts/1.*",
    "setfattr -n user.rosefs.new -v false {top}/Collages/Old/1.*",
)


@pytest.mark.parametrize("command", REFUSED)
def test_what_has_no_meaning_there_is_refused_and_changes_nothing(
    smart_bench: Workbench, command: str
) -> None:
    if command.startswith("setfattr"):
        need_program("setfattr")
    before, edits = snapshot(smart_bench.source), smart_bench.journal()
    file, release = smart_bench.source / "loona/01.flac", smart_bench.source / "loona"
    text = command.format(top=smart_bench.top, file=file, release=release)
    done = run("sh", "-c", f"LC_ALL=C; export LC_ALL; ({text}) 2>&1; echo $?")
    *said, status = done.splitlines()
    assert status != "0", done
    assert "Operation not permitted" in "".join(said) or "not permitted" in "".join(said), done
    assert snapshot(smart_bench.source) == before
    assert smart_bench.journal() == edits
    smart_bench.check()


def test_a_file_that_is_listed_in_a_saved_search_can_be_changed_elsewhere(smart_bench: Workbench) -> None:
    top, path = smart_bench.top, smart_bench.source / "loona/02.flac"
    before = path.read_bytes()
    typed, saved = (
        top / search / LOONA / "02. Track 2.flac" for search in ("Search/artist:LOONA", "Search/Saved")
    )
    for _ in range(2):
        typed.open("r+b").close()
        assert saved.name in os.listdir(saved.parent)
        with pytest.raises(PermissionError):
            saved.open("r+b").close()
        assert saved.read_bytes() == before
    assert path.read_bytes() == before
    smart_bench.check()
