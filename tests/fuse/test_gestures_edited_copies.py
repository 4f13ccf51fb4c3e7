"""Copies of tracks that were edited outside the library, moved and copied into playlists: no edit is lost."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import mutagen.flac
import pytest

from tests.fuse.conftest import Workbench, run, working
from tests.fuse.test_gestures_failures import ROOM, small_disk
from tests.fuse.test_gestures_lists import MIX, listed, members
from tests.fuse.test_gestures_sinks import music, new_list, settle
from tests.support.library import cached_ids

__all__ = ["small_disk"]  # a fixture

pytestmark = pytest.mark.usefixtures("need_fuse")

IN_TRASH = "is not what the library has of this track: a copy of it is in the trash"
EDITED = "LOONA (edited).flac"


def edited_copy(bench: Workbench, directory: Path, name: str = EDITED) -> tuple[Path, bytes]:
    """Returns a copy of a track that somebody has given another title, and its bytes."""
    path = directory / name
    shutil.copyfile(bench.source / "loona/02.flac", path)
    tags = mutagen.flac.FLAC(path)
    tags["title"] = "Another Title"
    tags.save()
    return path, path.read_bytes()


def thrown_away(bench: Workbench, name: str = EDITED) -> bytes:
    return (bench.trash / "files" / name).read_bytes()


@pytest.mark.parametrize("bench", [(IN_TRASH,)], indirect=True)
def test_moving_an_edited_copy_into_a_playlist_keeps_the_edit(bench: Workbench, tmp_path: Path) -> None:
    before, ids = music(bench), cached_ids(bench.c)
    copy, edited = edited_copy(bench, tmp_path)
    playlist = new_list(bench, "Playlists", "P")
    run("mv", copy, playlist)
    assert not copy.exists()
    assert members(bench, "!playlists/P.toml") == [ids["loona/02.flac"]]
    assert bench.in_trash() == [EDITED]
    assert thrown_away(bench) == edited
    # What is written there next does not touch what was thrown away.
    run("cp", bench.source / "loona/01.flac", playlist / EDITED)
    assert thrown_away(bench) == edited
    assert bench.in_trash() == [EDITED]
    settle(bench)
    assert music(bench) == before
    assert thrown_away(bench) == edited


@pytest.mark.parametrize("bench", [(IN_TRASH, IN_TRASH, IN_TRASH)], indirect=True)
def test_copying_an_edited_copy_adds_the_track_and_keeps_the_edit(bench: Workbench, tmp_path: Path) -> None:
    before, ids = music(bench), cached_ids(bench.c)
    copy, edited = edited_copy(bench, tmp_path)
    playlist = new_list(bench, "Playlists", "P")
    run("cp", copy, playlist)
    run("rsync", "-a", copy, playlist / "from rsync.flac")
    assert members(bench, "!playlists/P.toml") == [ids["loona/02.flac"]] * 2
    run("cp", copy, bench.top / "Playlists/Mix" / MIX[0])
    assert bench.in_trash() == sorted([EDITED, "from rsync.flac", MIX[0]])
    assert {thrown_away(bench, name) for name in bench.in_trash()} == {edited}
    assert copy.read_bytes() == edited
    settle(bench)
    assert music(bench) == before


def test_what_the_library_has_itself_is_not_thrown_away(bench: Workbench, tmp_path: Path) -> None:
    copy = tmp_path / EDITED
    shutil.copyfile(bench.source / "loona/02.flac", copy)
    playlist = new_list(bench, "Playlists", "P")
    run("cp", bench.source / "loona/01.flac", bench.release / "02. Track 2.flac", playlist)
    run("mv", copy, playlist)
    assert not copy.exists()
    assert len(listed(playlist)) == 3
    assert not bench.trash.exists()
    settle(bench)


def move_in_vain(copy: Path, playlist: Path) -> str:
    ran = subprocess.run(["mv", copy, playlist], capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    return ran.stderr


def test_without_a_trash_the_edited_copy_stays_where_it_is(
    small_disk: Path, tmp_path: Path, binding: str
) -> None:
    with working(small_disk, binding, expects_log=["no trash can be used"]) as bench:
        copy, edited = edited_copy(bench, tmp_path)
        for place in (small_disk / "data", small_disk / f".Trash-{os.getuid()}"):
            place.write_bytes(b"no directory")
        assert "Operation not permitted" in move_in_vain(copy, bench.top / "Playlists/Mix")
        assert copy.read_bytes() == edited
        assert listed(bench.top / "Playlists/Mix") == MIX
        settle(bench)


def test_on_a_full_disk_the_edited_copy_stays_where_it_is(
    small_disk: Path, tmp_path: Path, binding: str
) -> None:
    with working(small_disk, binding, expects_log=["No space left on device"]) as bench:
        copy, _ = edited_copy(bench, tmp_path)
        with copy.open("ab") as file:  # fits beside the cache, but not a second time
            file.write(os.urandom(ROOM * 2**20 * 5 // 8))
        edited = copy.read_bytes()
        assert "No space left on device" in move_in_vain(copy, bench.top / "Playlists/Mix")
        assert copy.read_bytes() == edited
        assert bench.in_trash() == []
        assert listed(bench.top / "Playlists/Mix") == MIX
        settle(bench)
