"""A music library, mounted: what programs see of it and read from it, on both bindings."""

from __future__ import annotations

import errno
import fcntl
import itertools
import mmap
import os
import shutil
import subprocess
import time
import unicodedata
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import rosecache
from rosecache.config import Config
from rosefs.fuse.mount import Timeouts
from tests.conftest import need_program
from tests.support.audio import FORMATS, PICTURE, make_release, set_tags
from tests.support.library import cached_ids, make_list, snapshot
from tests.support.mounts import SHARED_LIMIT, Mounted, mounted_library
from tests.support.writes import WRITES

pytestmark = pytest.mark.usefixtures("need_fuse")

MANY_LABELS = [f"Label {number:04}" for number in range(2100)]
NFC = unicodedata.normalize("NFC", "Bj\u00f6rk & Zo\u00eb \uac00")
SOURCE_PATH = "user.rosefs.source_path"


@dataclass(frozen=True)
class Library:
    """A mounted library with a release in every format, and one whose label field has many values."""

    c: Config
    mount: Mounted

    @property
    def top(self) -> Path:
        return self.mount.path

    def tracks(self) -> list[Path]:
        """Returns every track of the mount, by way of the releases."""
        return [
            path
            for path in sorted((self.top / "Releases").glob("*/*"))
            if path.suffix[1:] in FORMATS and path.parent.name != "!All Tracks"
        ]

    def update(self) -> None:
        assert rosecache.update_cache(self.c).problems == []


def make_library(directory: Path) -> Config:
    c = Config(music_source_dir=directory / "source", cache_dir=directory / "cache", max_proc=1)
    c.cache_dir.mkdir()
    for format in FORMATS:
        release = make_release(
            c.music_source_dir, f"in {format}", format=format, album=f"In {format}", cover=True
        )
        (release / "01.lrc").write_text("[00:00.00] la")
        (release / "rip.log").write_bytes(b"\x00\xff log")
    make_release(c.music_source_dir, "many", tracks=1, album="Many", label=";".join(MANY_LABELS))
    make_release(c.music_source_dir, "names", tracks=1, album="Names", artist=NFC)
    rosecache.update_cache(c)
    ids = cached_ids(c)
    make_list(c.playlists_dir / "Two.toml", "tracks", ids["in mp3/02.mp3"], ids["in flac/01.flac"])
    assert rosecache.update_cache(c).problems == []
    return c


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory, binding: str) -> Iterator[Library]:
    """For tests that change nothing of it."""
    directory = tmp_path_factory.mktemp("library")
    c = make_library(directory)
    with mounted_library(c, directory, binding, hard_limit=SHARED_LIMIT) as mount:
        yield Library(c, mount)


@pytest.fixture
def changing(tmp_path: Path, binding: str) -> Iterator[Library]:
    """For tests that change it."""
    c = make_library(tmp_path)
    with mounted_library(c, tmp_path, binding) as mount:
        yield Library(c, mount)


def source_of(track: Path) -> Path:
    return Path(os.fsdecode(os.getxattr(track, SOURCE_PATH)))


def wait_for(condition: Callable[[], Any]) -> None:
    """Waits until the condition holds. The mount's own hard limit ends what never happens."""
    while not condition():
        time.sleep(0.01)


def run(*command: str | Path) -> str:
    """Runs a program that has to succeed without a word of complaint, and returns what it says."""
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout


# Reading ------------------------------------------------------------------------------------------------


def test_every_track_is_its_source_file_byte_for_byte(library: Library) -> None:
    tracks = library.tracks()
    assert len(tracks) == 12
    sources = {source_of(track) for track in tracks}
    assert sources == {path for path in library.c.music_source_dir.rglob("*") if path.suffix[1:] in FORMATS}
    for track in tracks:
        assert track.read_bytes() == source_of(track).read_bytes()
        assert track.stat().st_size == source_of(track).stat().st_size
        assert track.stat().st_mtime_ns == source_of(track).stat().st_mtime_ns


def test_eight_readers_at_once(library: Library) -> None:
    with ThreadPoolExecutor(8) as readers:
        read = list(readers.map(Path.read_bytes, library.tracks() * 8))
    assert read == [source_of(track).read_bytes() for track in library.tracks()] * 8


def test_what_is_no_track_reads_too(library: Library) -> None:
    (release,) = (library.top / "Releases").glob("*In mp3")
    assert (release / "cover.png").read_bytes() == PICTURE
    assert (release / "01. Track 1.lrc").read_text() == "[00:00.00] la"
    assert (release / "rip.log").read_bytes() == b"\x00\xff log"
    (datafile,) = release.glob(".rose.*.toml")
    assert datafile.read_bytes() == (library.c.music_source_dir / "in mp3" / datafile.name).read_bytes()


def test_a_playlist_can_be_played_from_where_it_stands(library: Library) -> None:
    playlist = library.top / "Playlists/Two/Two.m3u8"
    paths = [line for line in playlist.read_text().splitlines() if not line.startswith("#")]
    assert [source_of(playlist.parent / path).name for path in paths] == ["02.mp3", "01.flac"]


@pytest.mark.parametrize("format", FORMATS)
def test_mmap_of_every_format(library: Library, format: str) -> None:
    (track,) = (library.top / "Releases").glob(f"*In {format}/01. *.{format}")
    with track.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
        assert mapped[:] == source_of(track).read_bytes()


@pytest.mark.parametrize("format", FORMATS)
def test_ffprobe_knows_the_track(library: Library, format: str) -> None:
    need_program("ffprobe")
    (track,) = (library.top / "Releases").glob(f"*In {format}/01. *.{format}")
    said = run(
        "ffprobe", "-v", "error", "-show_entries", "format_tags=title:stream_tags=title", "-of", "csv", track
    )
    assert "Track 1" in said


# Walking ------------------------------------------------------------------------------------------------


def test_programs_walk_everything_without_an_error(library: Library, tmp_path: Path) -> None:
    without_many = ["-name", "Labels", "-prune", "-o"]
    found = run("find", library.top, *without_many, "-type", "f", "-size", "+0", "-print").splitlines()
    assert len(found) > 100
    assert run("ls", "-lR", library.top / "Releases").count(".opus") == 2 * (2 + 1 + 1)
    run("tar", "-C", library.top, "-c", "-f", tmp_path / "releases.tar", "Releases")
    run("cp", "-r", library.top / "Releases", tmp_path / "copy")
    run("diff", "-r", library.top / "Releases", tmp_path / "copy")


def test_rsync_finds_nothing_to_do_after_a_copy(library: Library, tmp_path: Path) -> None:
    need_program("rsync")
    run("cp", "-a", library.top / "Releases", tmp_path / "copy")
    assert run("rsync", "-an", "--out-format=%n", f"{library.top}/Releases/", f"{tmp_path}/copy/") == ""


def test_a_large_directory_is_complete_and_without_repeats(library: Library) -> None:
    names = os.listdir(library.top / "Labels")
    assert sorted(names) == sorted([*MANY_LABELS, "Label"])


def test_a_large_directory_can_be_listed_twice_at_once(library: Library) -> None:
    with os.scandir(library.top / "Labels") as one, os.scandir(library.top / "Labels") as other:
        pairs = list(itertools.zip_longest(one, other))
    assert len(pairs) == len(MANY_LABELS) + 1
    assert all(a.name == b.name for a, b in pairs)


def test_names_are_shown_composed_and_found_decomposed(library: Library) -> None:
    assert NFC in os.listdir(library.top / "Artists")
    composed = (library.top / "Artists" / NFC).stat()
    decomposed = (library.top / "Artists" / unicodedata.normalize("NFD", NFC)).stat()
    assert composed.st_ino == decomposed.st_ino


@pytest.mark.parametrize("name", ["folder.jpg", ".Trash-1000", "Releases/x", "x/y", "Artists/" + "x" * 255])
def test_missing_names(library: Library, name: str) -> None:
    for _ in range(3):
        with pytest.raises(FileNotFoundError):
            (library.top / name).stat()


@pytest.mark.parametrize("name", [b"\xff\xfe", b"x" * 256, b"\xed\xa0\x80"])
def test_names_that_nothing_can_have_are_missing(library: Library, name: bytes) -> None:
    with pytest.raises(FileNotFoundError):
        os.stat(os.fsencode(library.top) + b"/Artists/" + name)


# What else programs ask -----------------------------------------------------------------------------------


def test_df_shows_the_source_disk(library: Library) -> None:
    there, here = os.statvfs(library.c.music_source_dir), os.statvfs(library.top)
    assert (here.f_frsize, here.f_blocks, here.f_namemax) == (there.f_frsize, there.f_blocks, there.f_namemax)
    said = run("df", "--output=source,fstype", library.top).splitlines()[1].split()
    assert said == [str(library.c.music_source_dir), "fuse.rosefs"]


def test_extended_attributes_of_releases_and_tracks(library: Library) -> None:
    track = library.tracks()[0]
    shown = {name: os.getxattr(track, name).decode() for name in os.listxattr(track)}
    assert shown.keys() == {"user.rosefs.id", "user.rosefs.release_id", SOURCE_PATH}
    assert shown["user.rosefs.id"] in cached_ids(library.c).values()
    assert os.getxattr(track.parent, "user.rosefs.new") == b"true"
    for path in (library.top, track, track.parent):
        with pytest.raises(OSError) as caught:  # noqa: PT011 - the number is what is tested
            os.getxattr(path, "user.other")
        assert caught.value.errno == errno.ENODATA


def test_locks_work(library: Library) -> None:
    with library.tracks()[0].open("rb") as one, library.tracks()[0].open("rb") as other:
        fcntl.lockf(one, fcntl.LOCK_SH | fcntl.LOCK_NB)
        fcntl.lockf(one, fcntl.LOCK_UN)
        fcntl.flock(one, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(one, fcntl.LOCK_UN)
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


@pytest.mark.parametrize("write", WRITES)
def test_no_write_changes_anything(library: Library, write: str) -> None:
    source = snapshot(library.c.music_source_dir)
    (release,) = (library.top / "Releases").glob("*In mp3")
    (other,) = (library.top / "Releases").glob("*In flac")
    listed = sorted(os.listdir(release))
    for directory, file, another in (
        (release, "01. Track 1.mp3", f"../{other.name}"),
        (library.top / "Playlists/Two", "Two.m3u8", "../../Collages"),
    ):
        with pytest.raises(OSError) as caught:  # noqa: PT011 - the number is what is tested
            WRITES[write](directory, file, another)
        assert caught.value.errno == errno.EROFS
    assert sorted(os.listdir(release)) == listed
    assert snapshot(library.c.music_source_dir) == source


# Changes in the source --------------------------------------------------------------------------------------


def test_a_directory_that_changes_while_it_is_read_neither_repeats_nor_loses_entries(
    changing: Library,
) -> None:
    labels = changing.top / "Labels"
    with os.scandir(labels) as entries:
        seen = [next(entries).name for _ in range(5)]
        set_tags(
            changing.c.music_source_dir / "many/01.opus", label="Another;" + ";".join(MANY_LABELS[1000:])
        )
        changing.update()
        seen += [entry.name for entry in entries]
    assert sorted(seen) == sorted([*MANY_LABELS, "Label"])
    wait_for(lambda: sorted(os.listdir(labels)) == sorted(["Another", *MANY_LABELS[1000:], "Label"]))


def test_a_retag_changes_names_and_bytes_and_an_old_name_still_works(changing: Library) -> None:
    (old,) = (changing.top / "Releases").glob("*In opus/01. *.opus")
    assert old.read_bytes() == source_of(old).read_bytes()
    set_tags(changing.c.music_source_dir / "in opus/01.opus", title="Another Title")
    changing.update()
    new = old.with_name("01. Another Title.opus")
    wait_for(lambda: new.name in os.listdir(old.parent) and old.name not in os.listdir(old.parent))
    wait_for(lambda: new.read_bytes() == source_of(new).read_bytes())
    wait_for(lambda: old.read_bytes() == source_of(new).read_bytes())


def test_bytes_changed_in_place_are_read_although_size_and_cache_are_the_same(changing: Library) -> None:
    (log,) = (changing.top / "Releases").glob("*In mp3/rip.log")
    assert log.read_bytes() == b"\x00\xff log"
    (changing.c.music_source_dir / "in mp3/rip.log").write_bytes(b"\x01\xfe gol")
    wait_for(lambda: log.read_bytes() == b"\x01\xfe gol")


def test_a_file_that_has_grown_is_not_cut_off_for_as_long_as_the_kernel_remembers(
    tmp_path: Path, binding: str
) -> None:
    c = make_library(tmp_path)
    with mounted_library(c, tmp_path, binding, timeouts=Timeouts(1000, 1000, 1000)) as mount:
        (log,) = (mount.path / "Releases").glob("*In mp3/rip.log")
        assert log.stat().st_size == 6
        (c.music_source_dir / "in mp3/rip.log").write_bytes(b"longer than it was")
        assert log.stat().st_size == 6
        wait_for(lambda: log.read_bytes() == b"longer than it was")
        assert log.stat().st_size == 18


def test_a_file_that_is_open_stays_readable_when_its_source_goes(changing: Library) -> None:
    (track,) = (changing.top / "Releases").glob("*In flac/01. *.flac")
    content = source_of(track).read_bytes()
    with ExitStack() as stack:
        file = stack.enter_context(track.open("rb"))
        shutil.rmtree(changing.c.music_source_dir / "in flac")
        assert file.read() == content
    changing.update()
    wait_for(lambda: not list((changing.top / "Releases").glob("*In flac")))
