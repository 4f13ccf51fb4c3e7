"""Collages and playlists: making, renaming and removing them, and removing and moving their members."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

import pytest

from rosefs.library.journal import Journal
from rosefs.library.undo import undo
from tests.fuse.conftest import Workbench, audio_of, everything, run, wait_for
from tests.support.audio import PICTURE
from tests.support.library import snapshot

pytestmark = pytest.mark.usefixtures("need_fuse")

MIX = [
    "1. LOONA - Track 1.flac",
    "2. BLACKPINK - Track 1.mp3",
    "3. LOONA - Track 1.flac",
    "4. BLACKPINK - Track 2.mp3",
]
BOTH = ["1. {NEW} LOONA - 2018. Hash", "2. {NEW} BLACKPINK - 2016. Square"]


def members(bench: Workbench, path: str) -> list[str]:
    """Returns the ids of a list's members."""
    table = tomllib.loads((bench.source / path).read_text())
    return [entry["uuid"] for entry in table.get("releases", table.get("tracks", []))]


def listed(directory: Path) -> list[str]:
    """Returns the names of the members that a collage or a playlist shows."""
    return sorted(name for name in os.listdir(directory) if name[0].isdigit())


def test_what_the_library_shows_to_begin_with(bench: Workbench) -> None:
    assert listed(bench.top / "Playlists/Mix") == MIX
    assert listed(bench.top / "Collages/Both") == BOTH


# The lists --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("view", "directory"), [("Collages", "!collages"), ("Playlists", "!playlists")])
def test_make_rename_remove(bench: Workbench, view: str, directory: str) -> None:
    before = snapshot(bench.source)
    run("mkdir", bench.top / view / "Road Trip")
    assert "Road Trip" in os.listdir(bench.top / view)
    assert (bench.source / directory / "Road Trip.toml").read_text() == ""
    run("mv", bench.top / view / "Road Trip", bench.top / view / "Long Trip")
    there = "Both.toml" if view == "Collages" else "Mix.toml"
    assert sorted(os.listdir(bench.source / directory)) == sorted([there, "Long Trip.toml"])
    assert "Long Trip" in os.listdir(bench.top / view)
    assert "Road Trip" not in os.listdir(bench.top / view)
    run("ls", bench.top / view / "Long Trip")
    run("rmdir", bench.top / view / "Long Trip")
    assert "Long Trip" not in os.listdir(bench.top / view)
    assert bench.in_trash() == ["Long Trip.toml"]
    assert snapshot(bench.source) == before
    bench.check()


def test_renaming_a_playlist_takes_its_cover_along(bench: Workbench) -> None:
    (bench.source / "!playlists/Mix.png").write_bytes(PICTURE)
    run("mv", bench.top / "Playlists/Mix", bench.top / "Playlists/Other")
    assert sorted(os.listdir(bench.source / "!playlists")) == ["Other.png", "Other.toml"]
    wait_for(lambda: "cover.png" in os.listdir(bench.top / "Playlists/Other"))
    assert listed(bench.top / "Playlists/Other") == MIX


@pytest.mark.parametrize("path", ["Collages/Both", "Playlists/Mix"])
def test_a_list_with_members_cannot_be_removed_as_a_directory(bench: Workbench, path: str) -> None:
    before = everything(bench)
    with pytest.raises(OSError, match="not empty"):
        os.rmdir(bench.top / path)
    assert everything(bench) == before


@pytest.mark.parametrize(
    ("path", "toml"), [("Collages/Both", "!collages/Both.toml"), ("Playlists/Mix", "!playlists/Mix.toml")]
)
def test_removing_a_list_with_all_that_is_in_it(bench: Workbench, path: str, toml: str) -> None:
    audio, content = audio_of(bench.source), (bench.source / toml).read_bytes()
    run("rm", "-r", bench.top / path)
    assert not (bench.source / toml).exists()
    assert (bench.trash / "files" / Path(toml).name).read_bytes() == content
    assert Path(path).name not in os.listdir((bench.top / path).parent)
    assert audio_of(bench.source) == audio
    assert bench.in_trash() == [Path(toml).name]
    bench.check()
    journal = Journal(bench.state_dir)
    undo(bench.c, journal)
    assert (bench.source / toml).exists()


# Members ----------------------------------------------------------------------------------------------------


def test_removing_numbered_members_removes_those_that_were_seen(bench: Workbench) -> None:
    first, _, third, fourth = members(bench, "!playlists/Mix.toml")
    assert first == third
    playlist = bench.top / "Playlists/Mix"
    run("rm", playlist / MIX[0], playlist / MIX[1])
    assert members(bench, "!playlists/Mix.toml") == [third, fourth]
    assert listed(playlist) == MIX[2:]
    bench.clock.advance(11)
    wait_for(lambda: listed(playlist) == ["1. LOONA - Track 1.flac", "2. BLACKPINK - Track 2.mp3"])
    bench.check()


def test_a_generated_list_is_only_hidden_for_a_moment(bench: Workbench) -> None:
    before, playlist = everything(bench), bench.top / "Playlists/Mix"
    run("rm", playlist / "Mix.m3u8")
    assert "Mix.m3u8" not in os.listdir(playlist)
    assert everything(bench) == before
    bench.clock.advance(11)
    wait_for(lambda: "Mix.m3u8" in os.listdir(playlist))
    assert len((playlist / "Mix.m3u8").read_text().splitlines()) == 1 + 2 * len(MIX)


@pytest.mark.parametrize("name", ["01. Track 1.flac", "cover.png", "rip.log"])
def test_in_a_collage_a_file_of_a_release_is_only_hidden_for_a_moment(bench: Workbench, name: str) -> None:
    before, release = everything(bench), bench.top / "Collages/Both" / BOTH[0]
    run("rm", release / name)
    assert name not in os.listdir(release)
    assert name in os.listdir(bench.release)
    assert everything(bench) == before
    bench.clock.advance(11)
    wait_for(lambda: name in os.listdir(release))
    assert everything(bench) == before


def test_of_a_track_that_is_there_twice_the_one_named_is_removed(bench: Workbench) -> None:
    first, second, _, fourth = members(bench, "!playlists/Mix.toml")
    run("rm", bench.top / "Playlists/Mix" / MIX[2])
    assert members(bench, "!playlists/Mix.toml") == [first, second, fourth]
    assert listed(bench.top / "Playlists/Mix") == [MIX[0], MIX[1], MIX[3]]
    run("rm", bench.top / "Playlists/Mix" / MIX[0])
    assert members(bench, "!playlists/Mix.toml") == [second, fourth]
    assert bench.in_trash() == []


def test_removing_a_release_from_a_collage(bench: Workbench) -> None:
    audio, (first, _) = audio_of(bench.source), members(bench, "!collages/Both.toml")
    run("rm", "-r", bench.top / "Collages/Both" / BOTH[1])
    assert members(bench, "!collages/Both.toml") == [first]
    assert listed(bench.top / "Collages/Both") == BOTH[:1]
    assert audio_of(bench.source) == audio
    assert bench.in_trash() == []
    assert sorted(os.listdir(bench.mp3_release))[1:] == [f"0{n}. Track {n}.mp3" for n in (1, 2, 3)]
    bench.check()


@pytest.mark.parametrize(
    ("old", "new", "order"),
    [
        (3, "1. x", [3, 0, 1, 2]),
        (0, "3. anything at all", [1, 2, 0, 3]),
        (0, "99. past the end", [1, 2, 3, 0]),
        (3, MIX[1], [0, 3, 1, 2]),
        (1, "0. first", [1, 0, 2, 3]),
    ],
)
def test_moving_a_member(bench: Workbench, old: int, new: str, order: list[int]) -> None:
    before = members(bench, "!playlists/Mix.toml")
    run("mv", bench.top / "Playlists/Mix" / MIX[old], bench.top / "Playlists/Mix" / new)
    assert members(bench, "!playlists/Mix.toml") == [before[index] for index in order]
    assert [name[3:] for name in listed(bench.top / "Playlists/Mix")] == [MIX[index][3:] for index in order]
    bench.check()


def test_moving_a_release_in_a_collage(bench: Workbench) -> None:
    before = members(bench, "!collages/Both.toml")
    os.rename(bench.top / "Collages/Both" / BOTH[1], bench.top / "Collages/Both/1. x")
    assert members(bench, "!collages/Both.toml") == before[::-1]
    assert listed(bench.top / "Collages/Both") == [
        "1. {NEW} BLACKPINK - 2016. Square", "2. {NEW} LOONA - 2018. Hash"
    ]  # fmt: skip


def test_writing_to_a_member_without_truncation_edits_the_track(bench: Workbench) -> None:
    run("metaflac", "--remove-tag=TITLE", "--set-tag=TITLE=Short", bench.release / "01. Track 1.flac")
    member = bench.top / "Playlists/Mix/1. LOONA - Short.flac"
    with member.open("r+b") as file:
        file.write(b"fLaC")
    assert (bench.source / "loona/01.flac").read_bytes()[:4] == b"fLaC"
    bench.check()
