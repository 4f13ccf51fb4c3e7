"""Smart collages and playlists in the commands: listed and shown among the others, exported, and not to be changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from rosecache.config import Config
from tests.cli.conftest import Cli
from tests.support.audio import make_release
from tests.support.library import make_list

TABLES = """
[[smart]]
name = "Mix"
kind = "playlist"
matcher = "tracktitle:Track 2"
sort = "-releasedate"

[[smart]]
name = "Pop"
kind = "collage"
matcher = "genre:Pop"
"""


@pytest.fixture
def library(c: Config, rosefs: Cli) -> Cli:
    """Two releases, a playlist that is called as a smart one, and a smart collage."""
    make_release(c.music_source_dir, "loona", album="Hash", artist="LOONA", date="2018", genre="K-Pop")
    make_release(c.music_source_dir, "nina", album="Blue", artist="Nina", date="1959", genre="Jazz")
    make_list(c.playlists_dir / "Mix.toml", "tracks")
    rosefs.config.write_text(rosefs.config.read_text() + TABLES)
    rosefs("cache", "update")
    return rosefs


def test_smart_lists_are_among_the_others(library: Cli) -> None:
    assert library.lines("collages", "list") == [["Pop", "smart"]]
    assert library.lines("playlists", "list") == [["Mix", "", ""], ["Mix [2]", "", "smart"]]
    assert [(each["name"], each["smart"]) for each in library.json("playlists", "list")] == [
        ("Mix", False), ("Mix [2]", True),
    ]  # fmt: skip
    assert [each["releasetitle"] for each in library.json("collages", "show", "Pop")["releases"]] == ["Hash"]
    assert library.json("playlists", "show", "Mix")["tracks"] == []
    shown = library.json("playlists", "show", "Mix [2]")
    assert shown["smart"] is True
    assert [track["release"]["releasetitle"] for track in shown["tracks"]] == ["Hash", "Blue"]


def test_a_smart_playlist_is_exported(library: Cli, c: Config, tmp_path: Path) -> None:
    assert library.json("playlists", "export", "Mix [2]", tmp_path / "mix.m3u8")[0]["tracks"] == 2
    lines = (tmp_path / "mix.m3u8").read_text().splitlines()
    assert lines[2::2] == [str(c.music_source_dir / name / "02.opus") for name in ("loona", "nina")]


@pytest.mark.parametrize(
    "command",
    [
        "collages rename Pop Rock", "collages delete Pop", "collages add Pop Hash", "collages remove Pop Hash",
        "collages edit Pop", "playlists delete-cover Mix [2]", "playlists rename Mix [2] Mix3",
    ],
)  # fmt: skip
def test_a_smart_list_is_not_changed(library: Cli, command: str) -> None:
    arguments = command.replace(" [2]", "~[2]").split()
    error = library.error(*(argument.replace("~", " ") for argument in arguments))
    name = "playlist 'Mix [2]'" if "[2]" in command else "collage 'Pop'"
    assert error == f"{name} is a smart one: change its table [[smart]] in {library.config}"


def test_a_list_of_a_smart_ones_name_is_changed(library: Cli) -> None:
    library("playlists", "rename", "Mix", "Old Mix")
    assert library.lines("playlists", "list") == [["Old Mix", "", ""], ["Mix", "", "smart"]]


def test_a_name_that_a_list_has_already_is_said(library: Cli) -> None:
    note = (
        "smart[0].name: there is another playlist 'Mix', which has the name; this one is shown as 'Mix [2]'"
    )
    checked = library("config", "check")
    assert f"rosefs: note: {note}" in checked.stderr
    assert "Pop" not in checked.stderr
    assert any(each["level"] == "warning" and note in each["found"] for each in library.json("doctor"))


def test_what_is_wrong_with_a_smart_list_is_said(library: Cli, c: Config, mountpoint: Path) -> None:
    library.config.write_text(library.config.read_text().replace("genre:Pop", "genr:Pop"))
    text = (
        f'{library.config}: smart[1].matcher: matcher, column 1: there is no tag "genr"; did you mean genre?'
    )
    assert library.error("collages", "list") == text
    assert library.error("mount", c.music_source_dir, mountpoint) == text
    result = library("doctor", status=1)
    assert 'there is no tag "genr"' in result.stdout
