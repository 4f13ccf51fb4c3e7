"""Copying releases into Releases with real programs: shown at once, a release when left alone, nothing ever lost."""

from __future__ import annotations

import errno
import mmap
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import rosecache
from rosecache.query.releases import list_releases
from rosefs.fuse.mount import unmount
from tests.fuse.conftest import (
    RELEASE,
    Workbench,
    audio_of,
    run,
    updated_all_the_while,
    wait_for,
    working,
)
from tests.support.audio import make_release
from tests.support.library import cached_ids, check_cache, snapshot
from tests.support.mounts import SHARED_LIMIT

pytestmark = pytest.mark.usefixtures("need_fuse")

TIME = 1_000_000_000


@pytest.fixture(scope="module")
def importing(tmp_path_factory: pytest.TempPathFactory, binding: str) -> Iterator[Workbench]:
    """The library, for tests that each import releases of their own names."""
    with working(tmp_path_factory.mktemp("imports"), binding, hard_limit=SHARED_LIMIT) as bench:
        yield bench


def make_album(directory: Path, name: str, *, tracks: int = 2) -> Path:
    """Makes an album outside of the library, with a second disc below and files that nobody may write."""
    album = make_release(
        directory, name, tracks=tracks, format="flac", album=name, artist="Somebody", cover=True
    )
    make_release(album, "Disc 2", tracks=1, format="mp3", album=name, artist="Somebody", discnumber="2")
    (album / "Disc 2" / "Scans" / "large").mkdir(parents=True)
    (album / "Disc 2" / "Scans" / "large" / "booklet.pdf").write_bytes(os.urandom(300_000))
    (album / "01.flac").chmod(0o440)
    for path in [*album.rglob("*"), album]:
        os.utime(path, (TIME, TIME))
    return album


@pytest.fixture
def album(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """An album named after the test, so that tests can share a mount."""
    return make_album(tmp_path / "downloads", request.node.name.replace("_", " "))


def in_progress(bench: Workbench, album: Path) -> Path:
    return bench.source / f".in-progress.rosefs.{album.name}"


def shown(bench: Workbench, album: Path) -> Path:
    return bench.top / "Releases" / f"{{NEW}} Somebody - 2020. {album.name}"


def complete(bench: Workbench, album: Path) -> None:
    """Lets time go by until an import is a release."""
    wait_until_whole(bench, in_progress(bench, album))
    wait_for(lambda: shown(bench, album).exists())


def wait_until_whole(bench: Workbench, directory: Path) -> None:
    """Lets time go by until a directory got its name; we hear of a closed file a moment after its program."""

    def is_whole() -> bool:
        bench.clock.advance(6)
        return not directory.exists()

    wait_for(is_whole)


def times(directory: Path) -> dict[str, int]:
    return {
        str(path.relative_to(directory)): int(path.stat().st_mtime)
        for path in [directory, *directory.rglob("*")]
    }


def copytree(album: Path, releases: Path) -> None:
    shutil.copytree(album, releases / album.name)


def rsync_twice(album: Path, releases: Path) -> None:
    run("rsync", "-a", "--delete", f"{album}/", f"{releases / album.name}/")
    said = run("rsync", "-a", "--delete", "--itemize-changes", f"{album}/", f"{releases / album.name}/")
    assert said == ""


PROGRAMS: dict[str, Callable[[Path, Path], object]] = {
    "cp -r": lambda album, releases: run("cp", "-r", album, f"{releases}/"),
    "cp -a": lambda album, releases: run("cp", "-a", album, f"{releases}/"),
    "rsync -a": lambda album, releases: run("rsync", "-a", album, f"{releases}/"),
    "rsync -a --delete": rsync_twice,
    "mv": lambda album, releases: run("mv", album, f"{releases}/"),
    "copytree": copytree,
}
KEEP_NO_TIMES = ("cp -r",)


@pytest.mark.parametrize("program", PROGRAMS)
def test_importing_a_release(importing: Workbench, album: Path, program: str) -> None:
    bench, before, ids = importing, snapshot(album), cached_ids(importing.c)
    audio, kept = audio_of(album), times(album)
    PROGRAMS[program](album, bench.top / "Releases")
    assert album.exists() == (program != "mv")
    arriving = bench.top / "Releases" / album.name
    assert snapshot(arriving) == snapshot(in_progress(bench, album)) == before
    if program not in KEEP_NO_TIMES:
        assert times(arriving) == kept
    assert (arriving / "01.flac").stat().st_mode & 0o777 == 0o440
    assert album.name in os.listdir(bench.top / "Releases")
    complete(bench, album)
    assert audio_of(bench.source / album.name) == audio
    found = {path for path in snapshot(bench.source / album.name) if ".rose." not in path}
    assert found == before.keys()
    tracks = sorted(path.name for path in shown(bench, album).iterdir() if path.suffix in (".flac", ".mp3"))
    assert tracks == ["01-01. Track 1.flac", "01-02. Track 2.flac", "02-01. Track 1.mp3"]
    assert album.name not in os.listdir(bench.top / "Releases")
    assert (arriving / "01.flac").stat().st_ino == (shown(bench, album) / tracks[0]).stat().st_ino
    assert (arriving / "Disc 2" / "01.mp3").stat().st_ino == (shown(bench, album) / tracks[2]).stat().st_ino
    assert ids.items() <= cached_ids(bench.c).items()
    assert bench.journal()[-1] == f"import {album.name}"
    bench.check()


def test_a_program_that_writes_music_and_one_that_copies_files(importing: Workbench, album: Path) -> None:
    bench, arriving = importing, importing.top / "Releases" / album.name
    run("mkdir", arriving)
    run(
        "ffmpeg", "-loglevel", "error", "-f", "lavfi", "-i", "sine=duration=1", "-metadata", f"album={album.name}",
        "-metadata", "artist=Somebody", "-metadata", "album_artist=Somebody", "-metadata", "date=2020",
        "-metadata", "releasetype=album", "-metadata", "title=A sine", arriving / "made.flac",
    )  # fmt: skip
    for name in ("01.flac", "02.flac"):
        run("gio", "copy", album / name, f"{arriving}/")
    run("install", "-m", "600", album / "cover.png", arriving / "front.png")
    run("dd", f"if={album / 'cover.png'}", f"of={arriving / 'cover.png'}", "status=none")
    complete(bench, album)
    assert len(list(shown(bench, album).glob("*.flac"))) == 3
    assert (shown(bench, album) / "cover.png").read_bytes() == (album / "cover.png").read_bytes()
    bench.check()


def test_files_are_files_while_they_arrive(importing: Workbench, album: Path) -> None:
    arriving = importing.top / "Releases" / album.name
    run("cp", "-r", album, f"{importing.top}/Releases/")
    path = arriving / "cover.png"
    number = path.stat().st_ino
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
        memory[:4] = b"mmap"
    os.truncate(path, 6)
    with path.open("ab") as more:
        more.write(b"end!")
    content = path.read_bytes()
    assert (content[:4], content[6:]) == (b"mmap", b"end!")
    assert (in_progress(importing, album) / "cover.png").read_bytes() == content
    os.setxattr(path, "user.comment", b"x")
    assert os.listxattr(path) == ["user.comment"]
    path.rename(arriving / "Disc 2" / "x.png")
    assert (arriving / "Disc 2" / "x.png").stat().st_ino == number
    assert os.statvfs(path.parent).f_blocks == os.statvfs(importing.source).f_blocks
    refusals: tuple[Callable[[], object], ...] = (
        lambda: os.link(arriving / "01.flac", arriving / "x"),
        lambda: os.symlink("x", arriving / "x"),
        lambda: os.mkdir(arriving / ".DS_Store"),
        lambda: os.rename(arriving / "01.flac", importing.release / "x.flac"),
        lambda: os.rename(arriving, importing.top / "Releases - New/x"),
    )
    for refused in refusals:
        with pytest.raises(PermissionError) as caught:
            refused()
        assert caught.value.errno == errno.EPERM
    run("rm", "-r", arriving)
    assert not arriving.exists()
    assert not in_progress(importing, album).exists()
    assert {"02.flac", "x.png"} <= set(importing.in_trash())


def test_a_release_of_the_library_is_copied(importing: Workbench) -> None:
    bench, ids = importing, cached_ids(importing.c)
    before = {path: data for path, data in snapshot(bench.source).items() if path.startswith("loona/")}
    run("cp", "-a", bench.top / RELEASE, f"{bench.top}/Releases/Copy")
    wait_until_whole(bench, bench.source / ".in-progress.rosefs.Copy")
    after = cached_ids(bench.c)
    assert ids.items() <= after.items()
    assert len(set(after.values())) == len(after) == len(ids) + 2
    assert {
        path: data for path, data in snapshot(bench.source).items() if path.startswith("loona/")
    } == before
    wait_for(lambda: (bench.top / f"{RELEASE} [2]").exists())
    bench.check()


SHELL = """
cd "$1"; exec 3<"Disc 2/01.mp3"; echo ready; read line
ls >/dev/null; cd "Disc 2"; cat <&3 >/dev/null; cat 01.mp3 >/dev/null; cd ..; /bin/pwd
"""


def test_who_stands_in_it_or_reads_it_is_not_disturbed(importing: Workbench, album: Path) -> None:
    arriving = importing.top / "Releases" / album.name
    run("cp", "-r", album, f"{importing.top}/Releases/")
    shell = subprocess.Popen(
        ["sh", "-ec", SHELL, "sh", arriving], text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert shell.stdout is not None
    assert shell.stdout.readline() == "ready\n"
    importing.clock.advance(60)
    assert in_progress(importing, album).exists()  # it has a file open
    standing = os.open(arriving, os.O_RDONLY | os.O_DIRECTORY)
    number = os.fstat(standing).st_ino
    said, complaint = shell.communicate("\n", timeout=60)
    assert (shell.returncode, complaint, said) == (0, "", f"{arriving}\n")
    here = os.getcwd()
    try:
        os.fchdir(standing)
        complete(importing, album)
        assert os.stat(".").st_ino == number
        assert Path(os.getcwd()) in (arriving, shown(importing, album))
        assert "01-01. Track 1.flac" in os.listdir(".")
        assert os.stat("01.flac").st_size
        assert os.listdir("Disc 2")
        assert os.path.samefile("..", importing.top / "Releases")
        Path("notes.txt").write_text("more")
    finally:
        os.chdir(here)
        os.close(standing)
    assert (importing.source / album.name / "notes.txt").read_text() == "more"


def test_imports_at_once_while_the_cache_is_updated(importing: Workbench, tmp_path: Path) -> None:
    bench, known = importing, len(list_releases(importing.c))
    albums = [make_album(tmp_path, f"At once {number}", tracks=8) for number in range(3)]
    halves = [make_album(tmp_path / half, "Of two", tracks=tracks) for half, tracks in (("a", 4), ("b", 8))]
    for path in halves[1].glob("0[1-4].flac"):
        path.unlink()
    (bench.top / "Releases/Of two").mkdir()
    with updated_all_the_while(bench):
        with ThreadPoolExecutor(5) as programs:
            work = [programs.submit(run, "cp", "-r", album, f"{bench.top}/Releases/") for album in albums]
            work += [
                programs.submit(run, "rsync", "-a", f"{half}/", f"{bench.top}/Releases/Of two/")
                for half in halves
            ]
            for each in work:
                each.result()
            assert len(list_releases(bench.c)) == known
        for album in (*albums, halves[0]):
            complete(bench, album)
            (release,) = (each for each in list_releases(bench.c) if each.releasetitle == album.name)
            assert len(rosecache.get_tracks_of_release(bench.c, release)) == 9
    for album in albums:
        assert audio_of(bench.source / album.name) == audio_of(album)
    bench.check()


def test_a_kill_and_an_unmount_in_the_middle(tmp_path: Path, binding: str) -> None:
    killed, unmounted = (
        make_album(tmp_path / "downloads", "Killed"),
        make_album(tmp_path / "downloads", "Unmounted"),
    )
    audio = [audio_of(album) for album in (killed, unmounted)]
    with working(tmp_path, binding) as bench:
        run("mv", killed, f"{bench.top}/Releases/")
        half = (bench.top / "Releases/Killed/half.flac").open("wb")
        half.write(b"fLaC")
        half.flush()
        bench.mount.process.kill()
        bench.mount.process.wait()
        with pytest.raises(OSError, match="not connected"):
            half.close()
        unmount(bench.mount.path)
        assert in_progress(bench, killed).exists()
        rosecache.update_cache(bench.c, force=True)
        assert len(list_releases(bench.c)) == 2
    with bench.mounted_again(binding) as again:
        assert shown(again, killed).exists()
        assert (again.source / "Killed/half.flac").read_bytes() == b"fLaC"
        (again.source / "Killed/half.flac").unlink()
        run("mv", unmounted, f"{again.top}/Releases/")
        run("mkdir", again.top / "Releases/Papers", again.top / "Releases/Empty")
        run("cp", unmounted.parent.parent / "serve.log", again.top / "Releases/Papers/a log")
    for name, expected in zip(("Killed", "Unmounted"), audio, strict=True):
        assert audio_of(bench.source / name) == expected
    assert (bench.source / "Papers/a log").exists()
    assert not (bench.source / "Empty").exists()
    rosecache.update_cache(bench.c, force=True)
    assert len(list_releases(bench.c)) == 4
    check_cache(bench.c)
