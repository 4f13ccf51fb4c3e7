"""Exporting playlists for programs that know no rosefs."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from rosecache.config import Config
from rosecache.query.tracks import list_tracks
from rosecache.update import update_cache
from rosefs.library import lists
from rosefs.library.errors import AlreadyExistsError, ExportError, NotFoundError
from rosefs.library.journal import Journal
from rosefs.library.lists import PLAYLISTS
from rosefs.library.m3u import export_playlist
from tests.conftest import skip_or_fail
from tests.support.audio import make_release


@pytest.fixture
def run(library: Config, journal: Journal) -> Config:
    """The library with a playlist ``run`` of a track of BLACKPINK, one of LOONA, and one that is missing."""
    make_release(library.music_source_dir, "#1 hits", tracks=1, title="Line\nbreak", album="Hits")
    update_cache(library)
    found = {track.source_path.parent.name: track.id for track in list_tracks(library)}
    path = lists.create(library, journal, PLAYLISTS, "run")
    lists.add(library, journal, PLAYLISTS, "run", [found["blackpink"], found["loona"], found["#1 hits"]])
    with open(path, "a") as file:
        file.write('[[tracks]]\nuuid = "018b268e-ef68-7180-a01e-19bc3fdf970e"\n')
    update_cache(library)
    return library


def test_an_exported_playlist_has_lengths_titles_and_paths(run: Config, tmp_path: Path) -> None:
    done = export_playlist(run, "run", tmp_path / "run.m3u8")
    assert done.tracks == 3
    source = run.music_source_dir
    assert (tmp_path / "run.m3u8").read_text().splitlines() == [
        "#EXTM3U",
        "#EXTINF:1,BLACKPINK - Track 3", f"{source}/blackpink/03.opus",
        "#EXTINF:1,LOONA - Track 2", f"{source}/loona/02.opus",
        "#EXTINF:1,Artist - Line break", f"{source}/#1 hits/01.opus",
    ]  # fmt: skip


@pytest.mark.parametrize("place", ["run.m3u8", "lists/deep/run.m3u8", "source/run.m3u8", "linked/run.m3u8"])
def test_relative_paths_work_from_where_the_file_is(run: Config, tmp_path: Path, place: str) -> None:
    (tmp_path / "lists/deep").mkdir(parents=True)
    (tmp_path / "linked").symlink_to(tmp_path / "lists/deep")
    export_playlist(run, "run", tmp_path / place, relative=True)
    lines = (tmp_path / place).read_text().splitlines()
    paths = [line for line in lines if not line.startswith("#")]
    assert len(paths) == 3
    assert [path for path in paths if path.startswith("/")] == []
    real = Path(os.path.realpath(tmp_path / place)).parent
    assert all((real / path).is_file() for path in paths)


def test_a_player_reads_it(run: Config) -> None:
    if shutil.which("mpv") is None:
        skip_or_fail("mpv is not installed")
    export_playlist(run, "run", run.music_source_dir / "run.m3u8", relative=True)
    ran = subprocess.run(
        ["mpv", "--no-config", "--vo=null", "--ao=null", "--msg-level=all=error", run.music_source_dir / "run.m3u8"],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (ran.returncode, ran.stdout + ran.stderr) == (0, "")


def test_a_file_that_is_there_is_not_replaced_unasked(run: Config, tmp_path: Path) -> None:
    (tmp_path / "run.m3u8").write_text("mine")
    with pytest.raises(AlreadyExistsError, match="force replaces it"):
        export_playlist(run, "run", tmp_path / "run.m3u8")
    assert (tmp_path / "run.m3u8").read_text() == "mine"
    export_playlist(run, "run", tmp_path / "run.m3u8", force=True)
    assert (tmp_path / "run.m3u8").read_text().startswith("#EXTM3U\n")


@pytest.mark.parametrize("name", [b"caf\xe9", b"two\nlines"])
def test_names_that_fit_in_no_such_file_are_named(
    library: Config, journal: Journal, tmp_path: Path, name: bytes
) -> None:
    make_release(library.music_source_dir, os.fsdecode(name), tracks=1, album="Odd")
    update_cache(library)
    (odd,) = [track for track in list_tracks(library) if track.release.releasetitle == "Odd"]
    lists.create(library, journal, PLAYLISTS, "odd")
    lists.add(library, journal, PLAYLISTS, "odd", [odd.id])
    with pytest.raises(ExportError, match=r"caf\\udce9|two\\nlines") as raised:
        export_playlist(library, "odd", tmp_path / "odd.m3u8")
    str(raised.value).encode()
    assert not (tmp_path / "odd.m3u8").exists()


def test_there_has_to_be_a_playlist_and_a_directory(run: Config, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no playlist 'walk'"):
        export_playlist(run, "walk", tmp_path / "walk.m3u8")
    with pytest.raises(FileNotFoundError):
        export_playlist(run, "run", tmp_path / "nowhere/run.m3u8")
