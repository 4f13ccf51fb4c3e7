"""Listing and showing: tables, lines and JSON of what is in the cache, and finding what a user means."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from rosecache.config import Config
from rosecache.model import ROLES, Release, Track
from rosefs.cli.main import cli
from tests.cli.conftest import Cli
from tests.cli.terminal import run_on_terminal
from tests.support.audio import make_release
from tests.support.library import make_list

FACETS = {
    "artists": ("artist", "Kim Lip"),
    "genres": ("genre", "K-Pop"),
    "descriptors": ("descriptor", "Lush"),
    "labels": ("label", "BlockBerry"),
}
"""By group, the name of its field and the value that the release Eclipse alone has."""


@pytest.fixture
def library(c: Config, rosefs: Cli) -> Cli:
    """Three releases, a collage and a playlist, with the cache up to date."""
    source = c.music_source_dir
    make_release(
        source, "Eclipse", album="Eclipse", artist="Kim Lip", date="2017-05-23", genre="K-Pop", descriptor="Lush",
        label="BlockBerry", releasetype="single", catalognumber="CM-1", cover=True,
    )  # fmt: skip
    make_release(
        source, "Little Blue", tracks=3, album="Little Girl Blue", artist="Nina Simone", date="1959",
        genre="Vocal Jazz", label="Bethlehem", descriptor="Warm", format="flac",
    )  # fmt: skip
    make_release(
        source, "Loose", tracks=1, album="Loose", artist="Nina Simone feat. Kim Lip", date=None, genre=None,
        label=None, releasetype="loosetrack", format="mp3",
    )  # fmt: skip
    rosefs("cache", "update")
    releases = {release["releasetitle"]: release["id"] for release in rosefs.json("releases", "list")}
    tracks = {
        Path(track["source_path"]).stem + track["release"]["releasetitle"]: track["id"]
        for track in rosefs.json("tracks", "list")
    }
    make_list(
        source / "!collages" / "Both.toml", "releases", releases["Little Girl Blue"], releases["Eclipse"]
    )
    make_list(source / "!playlists" / "Mix.toml", "tracks", tracks["02Eclipse"], tracks["03Little Girl Blue"])
    rosefs("cache", "update")
    return rosefs


def titles(releases: list[dict[str, Any]]) -> list[str]:
    return [release["releasetitle"] for release in releases]


# Lists --------------------------------------------------------------------------------------------------


def test_releases_are_lines_of_fields(library: Cli, c: Config) -> None:
    lines = library.lines("releases", "list")
    assert [line[1:] for line in lines] == [
        ["2017-05-23", "Kim Lip", "Eclipse", "Single", "new", str(c.music_source_dir / "Eclipse")],
        ["1959", "Nina Simone", "Little Girl Blue", "Album", "new", str(c.music_source_dir / "Little Blue")],
        ["", "Nina Simone (feat. Kim Lip)", "Loose", "Loose Track", "new", str(c.music_source_dir / "Loose")],
    ]
    assert [line[0] for line in lines] == [release["id"] for release in library.json("releases", "list")]


def test_tracks_are_lines_of_fields(library: Cli, c: Config) -> None:
    assert library.lines("tracks", "list")[1][1:] == [
        "1", "2", "Kim Lip", "Track 2", "0:01", "Eclipse", str(c.music_source_dir / "Eclipse" / "02.opus"),
    ]  # fmt: skip


def test_facets_collages_and_playlists_are_lines_of_names(library: Cli) -> None:
    assert library.lines("artists", "list") == [["Kim Lip"], ["Nina Simone"]]
    assert library.lines("labels", "list") == [
        ["Bethlehem", "only new releases"],
        ["BlockBerry", "only new releases"],
    ]
    assert library.lines("descriptors", "list") == [
        ["Lush", "only new releases"],
        ["Warm", "only new releases"],
    ]
    assert ["Jazz", "only new releases"] in library.lines("genres", "list")
    assert library.lines("collages", "list") == [["Both", ""]]
    assert library.lines("playlists", "list") == [["Mix", "", ""]]


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (["--artist", "Kim Lip"], ["Eclipse", "Loose"]),
        (["--genre", "Jazz"], ["Little Girl Blue"]),
        (["--descriptor", "Lush"], ["Eclipse"]),
        (["--label", "Bethlehem"], ["Little Girl Blue"]),
        (["--new"], ["Eclipse", "Little Girl Blue", "Loose"]),
        (["--not-new"], []),
        (["--artist", "Kim Lip", "--label", "Bethlehem"], []),
        (["--artist", "Nobody"], []),
    ],
    ids=lambda value: " ".join(value),
)
def test_filters_choose_releases_and_tracks(library: Cli, options: list[str], found: list[str]) -> None:
    assert titles(library.json("releases", "list", *options)) == found
    tracks = library.json("tracks", "list", *options)
    assert sorted({track["release"]["releasetitle"] for track in tracks}) == found


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["releasetitle:Blue"], ["Little Girl Blue"]),
        (["label:^$"], ["Loose"]),
        (["trackartist[guest],genre:k:i"], ["Eclipse", "Loose"]),
        (["parentgenre:^Jazz$"], ["Little Girl Blue"]),
        (["artist:kim lip"], []),
        (["artist:kim lip:i", "--label", "BlockBerry"], ["Eclipse"]),
        (["--not-new", "artist:kim lip:i"], []),
        (["releasetitle:"], ["Eclipse", "Little Girl Blue", "Loose"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_matchers_choose_releases_and_tracks(library: Cli, arguments: list[str], found: list[str]) -> None:
    assert titles(library.json("releases", "list", *arguments)) == found
    tracks = library.json("tracks", "list", *arguments)
    assert sorted({track["release"]["releasetitle"] for track in tracks}) == found


def test_a_matcher_chooses_tracks_by_themselves_and_releases_by_any_of_them(library: Cli) -> None:
    assert [track["tracktitle"] for track in library.json("tracks", "list", "tracknumber:3")] == ["Track 3"]
    assert titles(library.json("releases", "list", "tracknumber:3")) == ["Little Girl Blue"]


@pytest.mark.parametrize("group", ["releases", "tracks"])
def test_a_matcher_that_is_none_is_a_usage_error_with_a_caret(rosefs: Cli, group: str) -> None:
    shown = rosefs(group, "list", "genre,colour:blue", status=2).stderr
    assert shown.startswith(f"Usage: cli {group} list [OPTIONS] [MATCHER]\n")
    lines = shown.splitlines()
    assert "rosefs: error: matcher, column 7: " in lines[-3]
    assert lines[-2:] == ["    genre,colour:blue", "          ^"]


@pytest.mark.parametrize("group", ["artists", "genres", "collages"])
def test_other_lists_take_no_matcher(rosefs: Cli, group: str) -> None:
    assert "unexpected extra argument" in rosefs(group, "list", "genre:x", status=2).stderr


def test_releases_are_chosen_by_type(library: Cli) -> None:
    assert titles(library.json("releases", "list", "--type", "SINGLE")) == ["Eclipse"]
    assert "'bogus' is not one of 'album'" in library.error("releases", "list", "--type", "bogus", status=2)


# JSON ---------------------------------------------------------------------------------------------------


def test_json_has_the_fields_of_the_model(library: Cli, c: Config) -> None:
    (release,) = library.json("releases", "list", "--type", "single")
    assert set(release) == {field.name for field in dataclasses.fields(Release)}
    assert release["source_path"] == str(c.music_source_dir / "Eclipse")
    assert release["cover_image_path"] == str(c.music_source_dir / "Eclipse" / "cover.png")
    assert (release["releasedate"], release["originaldate"], release["new"]) == ("2017-05-23", None, True)
    assert release["genres"] == ["K-Pop"]
    assert "Pop" in release["parent_genres"]
    assert release["releaseartists"] == {role: [] for role in ROLES} | {
        "main": [{"name": "Kim Lip", "alias": False}]
    }
    assert isinstance(release["datafile_mtime"], int)

    track = library.json("tracks", "list", "--label", "BlockBerry")[0]
    assert set(track) == {field.name for field in dataclasses.fields(Track)}
    assert track["release"] == release
    assert (track["tracktotal"], track["duration_seconds"]) == (2, 1)


def test_json_of_a_release_has_its_tracks_without_the_release_in_each(library: Cli) -> None:
    shown = library.json("releases", "show", "Eclipse")
    (listed,) = library.json("releases", "list", "--type", "single")
    tracks = shown.pop("tracks")
    assert shown == listed
    assert [track["tracktitle"] for track in tracks] == ["Track 1", "Track 2"]
    assert set(tracks[0]) == {field.name for field in dataclasses.fields(Track)} - {"release"}


@pytest.mark.parametrize("group", FACETS)
def test_json_of_a_facet_has_its_releases(library: Cli, group: str) -> None:
    field, value = FACETS[group]
    (listed,) = [entry for entry in library.json(group, "list") if entry[field] == value]
    shown = library.json(group, "show", value)
    releases = shown.pop("releases")
    assert shown == listed
    assert "Eclipse" in titles(releases)
    assert "Little Girl Blue" not in titles(releases)


def test_json_of_collages_and_playlists_has_their_members_in_order(library: Cli) -> None:
    collage = library.json("collages", "show", "Both")
    assert collage["name"] == "Both"
    assert titles(collage["releases"]) == ["Little Girl Blue", "Eclipse"]
    playlist = library.json("playlists", "show", "Mix")
    assert (playlist["name"], playlist["cover_path"]) == ("Mix", None)
    assert [track["tracktitle"] for track in playlist["tracks"]] == ["Track 2", "Track 3"]


def test_json_keeps_the_bytes_of_a_path_and_is_utf_8_in_any_locale(c: Config, rosefs: Cli) -> None:
    release = make_release(c.music_source_dir, os.fsdecode(b"caf\xe9 \xe2\x82\xac"), tracks=1, album="Träume")
    rosefs("cache", "update")
    result = CliRunner(charset="latin-1").invoke(
        cli, ["-c", str(rosefs.config), "releases", "list", "--json"]
    )
    assert b"\\udce9 \xe2\x82\xac" in result.stdout_bytes
    (shown,) = json.loads(result.stdout_bytes.decode("utf-8"))
    assert shown["releasetitle"] == "Träume"
    assert os.fsencode(shown["source_path"]) == os.fsencode(release)


# What tags and paths can hold ---------------------------------------------------------------------------


def test_lines_have_the_bytes_of_paths_and_no_control_characters_of_tags(c: Config, rosefs: Cli) -> None:
    release = make_release(c.music_source_dir, os.fsdecode(b"caf\xe9"), tracks=1, album="A\tB\nC\x1b[31mD")
    rosefs("cache", "update")
    (line,) = rosefs("releases", "list").stdout_bytes.splitlines()
    fields = line.split(b"\t")
    assert fields[3] == b"A B C [31mD"
    assert fields[-1] == os.fsencode(release)
    assert rosefs.json("releases", "list")[0]["releasetitle"] == "A\tB\nC\x1b[31mD"


# Show ---------------------------------------------------------------------------------------------------


def test_show_says_what_is_known_of_a_release(library: Cli, c: Config) -> None:
    shown = library.lines("releases", "show", "Eclipse")
    gap = shown.index([""])
    details = dict(shown[:gap])
    assert details.pop("id")
    assert details.pop("added")
    assert details == {
        "title": "Eclipse",
        "artists": "Kim Lip",
        "type": "Single",
        "released": "2017-05-23",
        "catalog number": "CM-1",
        "labels": "BlockBerry",
        "genres": "K-Pop",
        "descriptors": "Lush",
        "discs": "1",
        "new": "yes",
        "source": str(c.music_source_dir / "Eclipse"),
        "cover": str(c.music_source_dir / "Eclipse" / "cover.png"),
    }
    assert [line[4] for line in shown[gap + 1 :]] == ["Track 1", "Track 2"]


def test_show_says_what_is_known_of_a_track(library: Cli, c: Config) -> None:
    path = c.music_source_dir / "Little Blue" / "02.flac"
    details = dict(library.lines("tracks", "show", path))
    assert details["title"] == "Track 2"
    assert details["release"] == "Nina Simone - 1959. Little Girl Blue"
    assert details["track"] == "2 of 3"
    assert details["source"] == str(path)


def by_id(library: Cli, c: Config) -> str:
    release_id: str = library.json("releases", "list", "--type", "single")[0]["id"]
    return release_id


def by_relative_path(library: Cli, c: Config) -> str:
    return os.path.relpath(c.music_source_dir / "Eclipse")


def by_link_to_the_source(library: Cli, c: Config) -> str:
    link = c.music_source_dir.parent / "link"
    link.symlink_to(c.music_source_dir)
    return str(link / "Eclipse")


@pytest.mark.parametrize(
    "name",
    [
        by_id,
        by_relative_path,
        by_link_to_the_source,
        lambda library, c: str(c.music_source_dir / "Eclipse"),
        lambda library, c: str(c.music_source_dir / "Eclipse" / "02.opus"),
        lambda library, c: "Eclipse",
        lambda library, c: "Kim Lip - 2017. Eclipse",
    ],
    ids=["id", "relative path", "link", "path", "path of a track", "title", "logged name"],
)
def test_a_release_is_found(library: Cli, c: Config, name: Callable[[Cli, Config], str]) -> None:
    assert library.json("releases", "show", name(library, c))["releasetitle"] == "Eclipse"


def test_a_track_is_found_by_id_path_and_name(library: Cli, c: Config) -> None:
    track = library.json("tracks", "list", "--label", "Bethlehem")[2]
    path = track["source_path"]
    for name in (track["id"], path, os.path.relpath(path), "Track 3"):
        assert library.json("tracks", "show", name) == track


def test_a_name_of_several_is_refused_with_their_ids(library: Cli) -> None:
    ids = [track["id"] for track in library.json("tracks", "list") if track["tracktitle"] == "Track 1"]
    result = library("tracks", "show", "Track 1", status=1)
    assert "rosefs: error: 3 tracks are called 'Track 1'; name one by its id:" in result.stderr
    assert len(ids) == 3
    assert all(identifier in result.stderr for identifier in ids)


@pytest.mark.parametrize(
    ("args", "error"),
    [
        (("releases", "Eclypse"), "there is no release 'Eclypse'; did you mean 'Eclipse'?"),
        (("artists", "kim lip"), "there is no artist 'kim lip'; did you mean 'Kim Lip'?"),
        (("labels", "Betlehem"), "there is no label 'Betlehem'; did you mean 'Bethlehem'?"),
        (("collages", "Bth"), "there is no collage 'Bth'; did you mean 'Both'?"),
        (("playlists", "???"), "there is no playlist '???'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_what_is_not_there_is_an_error_with_suggestions(
    library: Cli, args: tuple[str, str], error: str
) -> None:
    group, name = args
    assert library.error(group, "show", name) == error


# The cache as it is -------------------------------------------------------------------------------------


def test_without_a_cache_a_list_says_how_to_make_one_and_makes_none(c: Config, rosefs: Cli) -> None:
    make_release(c.music_source_dir)
    assert rosefs.error("releases", "list").endswith("run: rosefs cache update")
    assert list(c.cache_dir.iterdir()) == []


def test_a_list_does_not_update(library: Cli, c: Config) -> None:
    make_release(c.music_source_dir, "Later", album="Later")
    assert "Later" not in titles(library.json("releases", "list"))


# Terminals and pipes ------------------------------------------------------------------------------------


def test_a_terminal_gets_a_table(library: Cli) -> None:
    shown = run_on_terminal("-c", library.config, "releases", "list")
    assert shown.status == 0
    lines = [line.split() for line in shown.plain.splitlines() if line.strip()]
    assert lines[0] == ["Released", "Artists", "Title", "Type", "New"]
    assert lines[2] == ["2017-05-23", "Kim", "Lip", "Eclipse", "Single", "new"]
    assert len(lines) == 5


def test_elsewhere_nothing_is_styled(library: Cli) -> None:
    assert "\x1b" in run_on_terminal("-c", library.config, "releases", "list").text
    assert "\x1b" not in library("releases", "list").stdout


def test_a_tag_cannot_steer_the_terminal(c: Config, rosefs: Cli) -> None:
    make_release(c.music_source_dir, tracks=1, album="A\x1b]0;hacked\x07B [red]C[/red]")
    rosefs("cache", "update")
    for command in ("list", "show"):
        name = [] if command == "list" else [str(c.music_source_dir / "Artist - Album")]
        shown = run_on_terminal("-c", rosefs.config, "releases", command, *name)
        assert "\x1b]" not in shown.text
        assert "A ]0;hacked B [red]C[/red]" in shown.text


def test_a_reader_that_leaves_early_causes_no_complaint(library: Cli) -> None:
    shown = run_on_terminal("-c", library.config, "tracks", "list", "--json", shell="{} | head -n 1")
    assert shown.text.split() == ["["]
