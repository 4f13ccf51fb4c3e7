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
from tests.fuse.test_gestures_lists import BOTH, MIX, listed, members
from tests.fuse.test_gestures_sinks import music, new_list, settle
from tests.support.library import cached_ids, release_id_on_disk

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


NOT_OF_RELEASE = "is not what the library has of this release: a copy of it is in the trash"


def edited_release(bench: Workbench, directory: Path) -> tuple[Path, dict[str, bytes]]:
    """Returns a copy of a release in which a track was edited, and what is in it that the library does not have."""
    release = directory / "loona"
    shutil.copytree(bench.source / "loona", release)
    _, edited = edited_copy(bench, release, "02.flac")
    (release / "Disc 2").mkdir()
    (release / "Disc 2/notes.txt").write_text("mine")
    os.rename(release / "rip.log", release / "Disc 2/renamed.log")
    return release, {"02.flac": edited, "notes.txt": b"mine"}


@pytest.mark.parametrize("bench", [(NOT_OF_RELEASE, NOT_OF_RELEASE)], indirect=True)
def test_moving_an_edited_release_into_a_collage_keeps_the_edits(bench: Workbench, tmp_path: Path) -> None:
    before = music(bench)
    release, news = edited_release(bench, tmp_path)
    collage = new_list(bench, "Collages", "C")
    run("mv", release, collage)
    assert not release.exists()
    assert members(bench, "!collages/C.toml") == [release_id_on_disk(bench.source / "loona")]
    assert bench.in_trash() == sorted(news)
    assert {name: thrown_away(bench, name) for name in news} == news
    told = [(bench.trash / "info" / f"{name}.trashinfo").read_text() for name in sorted(news)]
    assert ["loona/02.flac" in told[0], "loona/Disc%202/notes.txt" in told[1]] == [True, True]
    settle(bench)
    assert music(bench) == before
    assert {name: thrown_away(bench, name) for name in news} == news


@pytest.mark.parametrize("bench", [(NOT_OF_RELEASE,) * 5], indirect=True)
def test_what_is_edited_is_kept_however_it_comes_into_a_collage(bench: Workbench, tmp_path: Path) -> None:
    before = music(bench)
    release, news = edited_release(bench, tmp_path)
    run("rsync", "-a", "--remove-source-files", release, new_list(bench, "Collages", "by rsync"))
    assert not any(path.is_file() for path in release.rglob("*"))
    assert {name: thrown_away(bench, name) for name in bench.in_trash()} == news
    shutil.rmtree(release)
    # Under the name of a view, and over a file of a member.
    release, _ = edited_release(bench, tmp_path)
    release = release.rename(tmp_path / bench.release.name)
    run("cp", "-r", release, new_list(bench, "Collages", "by cp"))
    run("cp", release / "02.flac", bench.top / "Collages/Both" / BOTH[0] / "02. Track 2.flac")
    kept = [thrown_away(bench, name) for name in bench.in_trash()]
    assert sorted(kept) == sorted([*news.values(), *news.values(), news["02.flac"]])
    settle(bench)
    assert music(bench) == before


def test_of_a_release_that_the_library_has_nothing_is_thrown_away(bench: Workbench, tmp_path: Path) -> None:
    release = tmp_path / bench.release.name
    shutil.copytree(bench.release, release)
    run("mv", release, new_list(bench, "Collages", "C"))
    run("cp", "-r", bench.release, bench.source / "blackpink", new_list(bench, "Collages", "D"))
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
        release, news = edited_release(bench, tmp_path)
        assert "Operation not permitted" in move_in_vain(release, new_list(bench, "Collages", "C"))
        assert (release / "02.flac").read_bytes() == news["02.flac"]
        assert (release / "Disc 2/notes.txt").read_bytes() == news["notes.txt"]
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
