"""Copying into collages and playlists with real programs: what is added, what is shown, and that nothing is lost."""

from __future__ import annotations

import errno
import functools
import os
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

import rosecache
from rosefs.library.holds import HOLD_SECONDS, holds_are_left
from rosefs.library.journal import Journal
from rosefs.library.undo import undo
from tests.fuse.conftest import MP3_RELEASE, RELEASE, Workbench, run
from tests.fuse.test_gestures_lists import BOTH, MIX, listed, members
from tests.support.audio import PICTURE
from tests.support.library import cached_ids, release_id_on_disk, snapshot
from tests.support.mounts import REPOSITORY
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("need_fuse")

LISTS = ("!collages/", "!playlists/")


def music(bench: Workbench) -> dict[str, bytes]:
    """Returns the content of every file of the source that is no list's."""
    files = snapshot(bench.source)
    return {name: data for name, data in files.items() if not name.startswith((*LISTS, ".in-progress."))}


def settle(bench: Workbench) -> None:
    """Lets the time go by that has to before what was copied in is forgotten, and checks everything."""

    def is_forgotten() -> bool:
        bench.clock.advance(HOLD_SECONDS + 1)
        return not holds_are_left(bench.c)

    wait_until(is_forgotten)
    bench.check()


def new_list(bench: Workbench, view: str, name: str) -> Path:
    run("mkdir", bench.top / view / name)
    return bench.top / view / name


def copytree(source: Path, target: Path) -> None:
    shutil.copytree(source, target / source.name)


COPY_RELEASE: dict[str, Callable[[Path, Path], object]] = {
    "cp -r": lambda source, target: run("cp", "-r", source, target),
    "cp -a": lambda source, target: run("cp", "-a", source, target),
    "rsync": lambda source, target: run("rsync", "-a", source, target),
    "rsync again": lambda source, target: run("rsync", "-a", "--ignore-times", source, target),
    "copytree": copytree,
}


def test_a_release_is_copied_into_collages(bench: Workbench) -> None:
    before = music(bench)
    sources = [bench.release, bench.source / "loona", bench.top / "Artists/LOONA" / bench.release.name,
               bench.top / "Collages/Both" / BOTH[0], bench.release]  # fmt: skip
    (bench.source / "loona/Disc 2").mkdir()
    (bench.source / "loona/Disc 2/notes.txt").write_text("x")
    for (name, copy), source in zip(COPY_RELEASE.items(), sources, strict=True):
        collage = new_list(bench, "Collages", name)
        copy(source, collage)
        assert listed(collage) == [BOTH[0]], name
        assert members(bench, f"!collages/{name}.toml") == [release_id_on_disk(bench.source / "loona")]
        run("diff", "-r", source, collage / source.name)
        run("ls", "-l", collage / source.name)
        if name == "rsync":
            copy(source, collage)
            COPY_RELEASE["rsync again"](source, collage)
    run("rm", "-r", bench.top / "Collages/cp -r" / bench.release.name)
    assert listed(bench.top / "Collages/cp -r") == []
    assert members(bench, "!collages/cp -r.toml") == []
    settle(bench)
    # What was written is gone, and what is real is there.
    assert not (bench.top / "Collages/copytree" / "loona").exists()
    (bench.source / "loona/Disc 2/notes.txt").unlink()
    assert music(bench) == before
    assert bench.journal().count("add to collage copytree") == 1


COPY_TRACKS: dict[str, Callable[[list[Path], Path], object]] = {
    "cp": lambda sources, target: run("cp", *sources, target),
    "cp -a": lambda sources, target: run("cp", "-a", *sources, target),
    "rsync": lambda sources, target: [run("rsync", "-a", source, target) for source in sources],
    "install": lambda sources, target: run("install", *sources, target),
    "gio copy": lambda sources, target: run("gio", "copy", *sources, target),
    "copy2": lambda sources, target: [shutil.copy2(source, target) for source in sources],
}


def test_tracks_are_copied_into_playlists(bench: Workbench) -> None:
    before, ids = music(bench), cached_ids(bench.c)
    sources = [
        bench.release / "02. Track 2.flac",
        bench.source / "blackpink/03.mp3",
        bench.release / "01. Track 1.flac",
    ]
    wanted = [ids["loona/02.flac"], ids["blackpink/03.mp3"], ids["loona/01.flac"]]
    for name, copy in COPY_TRACKS.items():
        playlist = new_list(bench, "Playlists", name)
        copy(sources, playlist)
        assert members(bench, f"!playlists/{name}.toml") == wanted, name
        assert listed(playlist) == [
            "1. LOONA - Track 2.flac",
            "2. BLACKPINK - Track 3.mp3",
            "3. LOONA - Track 1.flac",
        ]
        for source in sources:
            run("cmp", source, playlist / source.name)
        run("touch", "-d", "@1000000000", playlist / sources[0].name)
        assert (playlist / sources[0].name).stat().st_mtime == 1_000_000_000
        run("rm", playlist / sources[0].name)
        assert members(bench, f"!playlists/{name}.toml") == wanted[1:], name
    undo(bench.c, Journal(bench.state_dir))
    assert members(bench, "!playlists/copy2.toml") == wanted
    undo(bench.c, Journal(bench.state_dir))
    assert members(bench, "!playlists/copy2.toml") == []
    settle(bench)
    assert not (bench.top / "Playlists/cp/03.mp3").exists()
    assert music(bench) == before


def test_a_playlist_is_copied_whole_and_gets_a_cover(bench: Workbench, tmp_path: Path) -> None:
    image = tmp_path / "img.png"
    image.write_bytes(PICTURE)
    playlist = new_list(bench, "Playlists", "P")
    run(
        "cp",
        bench.source / "loona/01.flac",
        bench.source / "loona/02.flac",
        bench.source / "blackpink/02.mp3",
        playlist,
    )
    run("cp", image, playlist / "cover.png")
    assert (bench.source / "!playlists/P.png").read_bytes() == PICTURE
    image.write_bytes(PICTURE + b"2")
    run("rsync", "-a", image, playlist / "cover.png")
    image.rename(tmp_path / "img.jpg").write_bytes(b"\xff\xd8\xff a JPEG")
    run("cp", tmp_path / "img.jpg", playlist / "cover.jpg")
    assert sorted(path.name for path in (bench.source / "!playlists").glob("P.*")) == ["P.jpg", "P.toml"]
    assert bench.in_trash() == ["P.png"]
    settle(bench)
    shown = sorted(os.listdir(playlist))
    for name, command in (("Q", ["cp", "-r"]), ("R", ["cp", "-a"]), ("S", ["rsync", "-a"])):
        source = f"{playlist}/" if command[0] == "rsync" else playlist
        run(*command, source, playlist.with_name(name))
        assert sorted(members(bench, f"!playlists/{name}.toml")) == sorted(
            members(bench, "!playlists/P.toml")
        )
        assert (bench.source / f"!playlists/{name}.jpg").read_bytes() == b"\xff\xd8\xff a JPEG"
    assert sorted(os.listdir(playlist.with_name("S"))) == [*shown[:-2], "S.m3u8", "cover.jpg"]
    run("rm", playlist / "cover.jpg")
    assert not (bench.source / "!playlists/P.jpg").exists()
    settle(bench)


def test_the_cover_of_a_playlist_is_replaced_and_written_in_place(bench: Workbench, tmp_path: Path) -> None:
    cover, source = bench.top / "Playlists/Mix/cover.png", bench.source / "!playlists/Mix.png"
    for number in range(3):
        image = tmp_path / "img.png"
        image.write_bytes(PICTURE + bytes(number))
        run("cp", image, cover)
        assert cover.read_bytes() == source.read_bytes() == PICTURE + bytes(number)
        bench.clock.advance(11)  # from then on it is the cover that is written over, not what was copied
    with cover.open("r+b") as file:
        file.seek(len(PICTURE))
        file.write(b"12")
    assert cover.read_bytes() == source.read_bytes() == PICTURE + b"12"
    with pytest.raises(OSError, match="Invalid argument"), cover.open("r+b") as file:
        file.write(b"no image")
    assert cover.read_bytes() == source.read_bytes() == PICTURE + b"12"
    undo(bench.c, Journal(bench.state_dir))
    assert source.read_bytes() == PICTURE + bytes(2)
    bench.check()


def test_what_names_no_member_is_refused(bench: Workbench, tmp_path: Path) -> None:
    before = snapshot(bench.source)
    for name in ("junk.mp3", "image.png", "notes.txt"):
        (tmp_path / name).write_bytes(b"junk")
        ran = subprocess.run(
            ["cp", tmp_path / name, bench.top / "Playlists/Mix"], capture_output=True, check=False
        )
        assert (ran.returncode, b"Invalid argument" in ran.stderr) == (1, True)
        ran = subprocess.run(
            ["mv", tmp_path / name, bench.top / "Playlists/Mix"], capture_output=True, check=False
        )
        assert ran.returncode == 1
        assert (tmp_path / name).read_bytes() == b"junk"
    with pytest.raises(OSError) as caught:  # noqa: PT011 - the number is what is tested
        os.mkdir(bench.top / "Collages/Both/Nothing")
    assert caught.value.errno == errno.EINVAL
    assert listed(bench.top / "Playlists/Mix") == MIX
    assert snapshot(bench.source) == before
    assert bench.journal() == []


# Over what is there -----------------------------------------------------------------------------------------


def rewrite(source: Path, target: Path) -> None:
    target.write_bytes(source.read_bytes())


def cut_off(source: Path, target: Path) -> None:
    os.truncate(target, 5)


def is_real(bench: Workbench, target: Path, content: bytes) -> bool:
    """Lets ten seconds go by: the kernel may still have to tell that a file was closed."""
    bench.clock.advance(11)
    return target.stat().st_size == len(content)


@pytest.mark.parametrize(
    "damage",
    [
        lambda source, target: run("cp", source, target),
        lambda source, target: run("cp", "-a", source, target),
        lambda source, target: run("rsync", "-a", "--ignore-times", source, target),
        lambda source, target: run("dd", f"if={source}", f"of={target}", "status=none"),
        rewrite,
        cut_off,
    ],
    ids=["cp", "cp -a", "rsync", "dd", "open", "truncate"],
)
def test_damaged_files_over_members_change_no_byte_of_the_source(
    shared_bench: Workbench, tmp_path: Path, damage: Callable[[Path, Path], object]
) -> None:
    bench, before = shared_bench, snapshot(shared_bench.source)
    for name, target in (
        ("01. Track 1.flac", bench.top / "Collages/Both" / BOTH[0] / "01. Track 1.flac"),
        ("cover.png", bench.top / "Collages/Both" / BOTH[0] / "cover.png"),
        ("1. LOONA - Track 1.flac", bench.top / "Playlists/Mix" / MIX[0]),
        ("3. LOONA - Track 1.flac", bench.top / "Playlists/Mix" / MIX[2]),
    ):
        content = target.read_bytes()
        damaged = tmp_path / name
        damaged.write_bytes(content[:100] + b"\0" * 5000)
        is_refused = "Playlists" in str(target)
        try:
            damage(damaged, target)
        except (OSError, AssertionError):
            assert is_refused
        else:
            if not is_refused:
                assert target.read_bytes()[:5] in (damaged.read_bytes()[:5], b"\0" * 5)
        assert before == {
            k: v for k, v in snapshot(bench.source).items() if not k.startswith(".in-progress.")
        }
        wait_until(functools.partial(is_real, bench, target, content))
        assert target.read_bytes() == content
    settle(bench)
    assert snapshot(bench.source) == before


def test_another_track_over_a_member_is_added(bench: Workbench, tmp_path: Path) -> None:
    before, ids = music(bench), cached_ids(bench.c)
    mix = members(bench, "!playlists/Mix.toml")
    other = tmp_path / "other.flac"
    shutil.copyfile(bench.source / "loona/02.flac", other)
    playlist = bench.top / "Playlists/Mix"
    run("cp", other, playlist / MIX[0])
    run("cmp", other, playlist / MIX[0])
    assert members(bench, "!playlists/Mix.toml") == [*mix, ids["loona/02.flac"]]
    run("cp", bench.source / "blackpink/02.mp3", playlist / MIX[3])
    assert members(bench, "!playlists/Mix.toml") == [*mix, ids["loona/02.flac"]]
    # Programs that move remove what is there first, and so the member.
    run("mv", "-f", other, playlist / MIX[1])
    assert members(bench, "!playlists/Mix.toml") == [
        mix[0],
        *mix[2:],
        ids["loona/02.flac"],
        ids["loona/02.flac"],
    ]
    settle(bench)
    assert music(bench) == before


def test_what_is_renamed_over_another_file_after_copying_does_not_come_back(bench: Workbench) -> None:
    (bench.release / "first.tmp").write_text("first")
    run("cp", "-r", bench.release, new_list(bench, "Collages", "C"))
    run("mv", bench.release / "first.tmp", bench.release / "rip.log")
    (bench.release / "second.tmp").write_text("second")
    run("mv", bench.release / "second.tmp", bench.release / "rip.log")
    before = music(bench)
    settle(bench)
    assert music(bench) == before
    assert (bench.source / "loona/rip.log").read_text() == "second"


# Moving from outside, at once, and killed -------------------------------------------------------------------


@pytest.mark.parametrize("bench", [("put back",)], indirect=True)
def test_moving_out_of_the_source_loses_nothing(bench: Workbench, tmp_path: Path) -> None:
    before, ids = music(bench), cached_ids(bench.c)
    copy = tmp_path / "loona"
    shutil.copytree(bench.source / "loona", copy)
    collage, playlist = new_list(bench, "Collages", "C"), new_list(bench, "Playlists", "P")
    run("mv", copy, collage)
    run("mv", bench.source / "blackpink", collage)
    run("mv", bench.source / "loona/02.flac", playlist)
    assert not copy.exists()
    assert not (bench.source / "blackpink").exists()
    assert len(listed(collage)) == 2
    assert members(bench, "!playlists/P.toml") == [ids["loona/02.flac"]]
    settle(bench)
    assert music(bench) == before
    assert cached_ids(bench.c) == ids
    assert len(listed(collage)) == 2
    assert (bench.mp3_release / "01. Track 1.mp3").read_bytes() == before["blackpink/01.mp3"]


RECOVER = """
import sys
from pathlib import Path
import rosecache
from rosecache.config import Config
from rosefs.library.holds import recover_holds
c = Config(music_source_dir=Path(sys.argv[1]), cache_dir=Path(sys.argv[2]))
rosecache.update_cache(c)
recover_holds(c)
"""


@pytest.mark.parametrize("moment", ["held", "added", "deleting", "moved"])
def test_a_kill_while_moving_loses_nothing(bench: Workbench, moment: str) -> None:
    before, ids = music(bench), cached_ids(bench.c)
    collage = new_list(bench, "Collages", "C")
    mover = subprocess.Popen(["mv", bench.source / "blackpink", collage], stderr=subprocess.PIPE)
    moments: dict[str, Callable[[], object]] = {
        "held": lambda: holds_are_left(bench.c),
        "added": lambda: members(bench, "!collages/C.toml"),
        "deleting": lambda: len(list((bench.source / "blackpink").glob("*"))) < 4,
        "moved": lambda: mover.poll() is not None,
    }
    wait_until(moments[moment])
    bench.mount.process.send_signal(signal.SIGKILL)
    bench.mount.process.wait()
    mover.communicate(timeout=60)
    subprocess.run(
        [sys.executable, "-c", RECOVER, bench.source, bench.c.cache_dir], check=True, cwd=REPOSITORY
    )
    assert music(bench) == before
    assert cached_ids(bench.c) == ids
    tomllib.loads((bench.source / "!collages/C.toml").read_text())


FORCED_UPDATES = """
import select, sys
from pathlib import Path
import rosecache
from rosecache.config import Config
c = Config(music_source_dir=Path(sys.argv[1]), cache_dir=Path(sys.argv[2]), max_proc=1)
print("updating", flush=True)
while not select.select([sys.stdin], [], [], 0)[0]:
    assert rosecache.update_cache(c, force=True).problems == []
"""
"""Updates everything again and again, until nobody is there any more who reads of it."""


def test_programs_that_copy_at_once_beside_an_update_add_each_member_once(bench: Workbench) -> None:
    before, ids = music(bench), cached_ids(bench.c)
    collage, playlist = new_list(bench, "Collages", "C"), new_list(bench, "Playlists", "P")
    sources = [bench.source / path for path in ids]
    updating = subprocess.Popen(
        [sys.executable, "-c", FORCED_UPDATES, str(bench.source), str(bench.c.cache_dir)],
        cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert updating.stdout is not None
    assert updating.stdout.readline() == "updating\n"
    copies = [
        subprocess.Popen([str(word) for word in command], stderr=subprocess.PIPE, text=True)
        for command in (
            ["cp", "-r", bench.top / RELEASE, bench.top / MP3_RELEASE, collage],
            ["cp", "-r", bench.source / "blackpink", bench.source / "loona", collage],
            ["cp", *sources[:2], playlist],
            ["cp", *sources[2:], playlist],
        )
    ]
    for process in copies:
        _, complaint = process.communicate(timeout=60)
        assert (process.returncode, complaint) == (0, "")
    updating.communicate(timeout=60)
    assert updating.returncode == 0
    in_collage = members(bench, "!collages/C.toml")
    assert sorted(in_collage) == sorted(release.id for release in rosecache.list_releases(bench.c))
    assert sorted(members(bench, "!playlists/P.toml")) == sorted(ids.values())
    assert len(listed(playlist)) == len(ids)
    settle(bench)
    assert music(bench) == before
