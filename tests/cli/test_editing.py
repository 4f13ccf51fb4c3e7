"""The commands that change the library, and those that list edits and take them back."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rosecache.config import Config
from rosecache.query.lists import get_collage_releases, get_playlist_tracks
from rosecache.query.releases import list_releases
from rosecache.query.tracks import list_tracks
from rosefs.library.holds import Holds
from tests.cli.conftest import Cli
from tests.cli.test_help import imported_by
from tests.support.audio import PICTURE, make_release
from tests.support.library import check_cache, exact_snapshot, snapshot


@pytest.fixture(autouse=True)
def home_trash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "data/Trash/files"


@pytest.fixture
def library(c: Config, rosefs: Cli) -> Cli:
    """Two releases, ``hash`` of LOONA with a cover and ``square`` of BLACKPINK without."""
    make_release(c.music_source_dir, "hash", artist="LOONA", album="Hash", date="2018", cover=True)
    make_release(
        c.music_source_dir, "square", artist="BLACKPINK", album="Square", date="2016", picture=PICTURE
    )
    rosefs("cache", "update")
    return rosefs


def out(cli: Cli, *args: str | Path) -> str:
    return cli(*args).stdout.rstrip("\n")


# Releases ---------------------------------------------------------------------------------------------------


def test_directories_are_imported(library: Cli, c: Config, tmp_path: Path) -> None:
    one, two = (make_release(tmp_path / "in", name, tracks=1, album=name) for name in ("one", "two"))
    assert out(library, "releases", "import", one, two) == (
        f"imported {c.music_source_dir}/one\nimported {c.music_source_dir}/two"
    )
    assert one.exists()
    (moved,) = library.json("releases", "import", "--move", one)
    assert moved["path"] == f"{c.music_source_dir}/one [2]"
    assert moved["release"]["releasetitle"] == "one"
    assert not one.exists()
    assert (
        library.error("releases", "import", one) == f"{one} does not exist; name the directory of one release"
    )


@pytest.mark.parametrize("as_json", [False, True])
def test_what_fails_for_one_directory_keeps_none_of_the_others_out(
    library: Cli, c: Config, tmp_path: Path, as_json: bool
) -> None:
    one, two = (make_release(tmp_path / "in", name, tracks=1, album=name) for name in ("one", "two"))
    nothing = tmp_path / "nothing"
    result = library("releases", "import", one, nothing, two, *["--json"] * as_json, status=1)
    assert f"rosefs: error: {nothing} does not exist" in result.stderr
    paths = [str(c.music_source_dir / name) for name in ("one", "two")]
    if as_json:
        assert [each["path"] for each in json.loads(result.stdout)] == paths
    else:
        assert result.stdout.splitlines() == [f"imported {path}" for path in paths]


def test_releases_are_deleted_and_come_back(library: Cli, c: Config, home_trash: Path) -> None:
    before = snapshot(c.music_source_dir)
    assert out(library, "releases", "delete", "Hash", c.music_source_dir / "square/01.opus") == (
        "deleted LOONA - 2018. Hash\ndeleted BLACKPINK - 2016. Square"
    )
    assert list_releases(c) == []
    assert sorted(os.listdir(home_trash)) == ["hash", "square"]
    assert out(library, "undo") == "undid: delete BLACKPINK - 2016. Square"
    assert out(library, "undo") == "undid: delete LOONA - 2018. Hash"
    assert snapshot(c.music_source_dir) == before
    assert library.error("undo") == "there is nothing to take back"


def test_of_several_releases_none_is_deleted_if_one_is_unknown(library: Cli, c: Config) -> None:
    assert "no release 'Hush'; did you mean 'Hash'?" in library.error("releases", "delete", "Square", "Hush")
    assert len(list_releases(c)) == 2


def test_releases_are_marked(library: Cli) -> None:
    assert out(library, "releases", "toggle-new", "Hash") == "LOONA - 2018. Hash is not new"
    assert library.json("releases", "toggle-new", "Hash") == [{"new": True, "changed": True}]


def test_covers_are_set_deleted_and_extracted(library: Cli, c: Config, tmp_path: Path) -> None:
    (tmp_path / "image.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    hash_, square = c.music_source_dir / "hash", c.music_source_dir / "square"
    assert out(library, "releases", "set-cover", "Hash", tmp_path / "image.jpg") == f"set {hash_}/cover.jpg"
    assert out(library, "releases", "delete-cover", "Hash") == f"deleted {hash_}/cover.jpg"
    assert library.error("releases", "delete-cover", "Hash") == "LOONA - 2018. Hash has no cover"
    assert (
        out(library, "releases", "extract-covers", "Hash") == "LOONA - 2018. Hash has no picture in its files"
    )
    assert out(library, "releases", "extract-covers") == f"made {square}/cover.png"
    assert out(library, "releases", "extract-covers", "Square") == ""


def test_extraction_that_fails_warns_and_ends_with_1(library: Cli, c: Config) -> None:
    (c.music_source_dir / "square/01.opus").write_bytes(b"broken")
    (c.music_source_dir / "square/02.opus").write_bytes(b"broken")
    result = library("releases", "extract-covers", "Square", status=1)
    warnings = [line for line in result.stderr.splitlines() if line.startswith("rosefs: warning: ")]
    assert len(warnings) == 2
    assert str(c.music_source_dir / "square/01.opus") in warnings[0]


def test_a_track_becomes_a_release_of_its_own(library: Cli, c: Config) -> None:
    track = c.music_source_dir / "hash/02.opus"
    path = c.music_source_dir / "LOONA - Track 2"
    assert out(library, "releases", "create-single", track) == f"made {path}"
    (loose,) = library.json("releases", "create-single", "--loose-track", track)
    assert loose["path"] == f"{path} [2]"
    assert loose["release"]["releasetype"] == "loosetrack"
    assert out(library, "undo") == "undid: make LOONA - Track 2 [2018] a release of its own"
    shown = library.json("releases", "show", path)
    assert (shown["releasetitle"], shown["releasetype"], shown["new"]) == ("Track 2", "single", False)


# Collages and playlists -------------------------------------------------------------------------------------


def test_a_collage_from_its_making_to_its_end(library: Cli, c: Config) -> None:
    assert out(library, "collages", "create", "mix") == f"created {c.collages_dir}/mix.toml"
    assert out(library, "collages", "add", "mix", "Hash", "Square", "Hash") == (
        "added 2 releases to mix\n1 release in mix already"
    )
    assert out(library, "collages", "rename", "mix", "Road Trip") == "renamed mix to Road Trip"
    assert out(library, "collages", "remove", "Road Trip", "Hash") == "removed 1 release from Road Trip"
    assert [release.releasetitle for release in get_collage_releases(c, "Road Trip")] == ["Square"]
    library("releases", "delete", "Square")
    missing = json.loads(library("collages", "show", "Road Trip", "--json").stdout)
    assert missing["releases"] == []
    assert out(library, "collages", "delete", "Road Trip") == "deleted Road Trip"
    assert library.json("collages", "list") == []
    assert library.error("collages", "delete", "Road Trip") == "there is no collage 'Road Trip'"
    assert "a slash" in library.error("collages", "create", "../x")


def test_a_missing_member_is_removed_by_its_id(library: Cli, c: Config) -> None:
    (release,) = [release for release in list_releases(c) if release.releasetitle == "Square"]
    library("collages", "create", "mix")
    library("collages", "add", "mix", "Hash", "Square")
    library("releases", "delete", "Square")
    assert out(library, "collages", "remove", "mix", release.id) == "removed 1 release from mix"
    assert library.json("collages", "remove", "mix", "Hash") == [1]
    library("undo")
    library("undo")
    library("undo")
    assert len(get_collage_releases(c, "mix")) == 2


def test_a_playlist_its_cover_and_its_export(library: Cli, c: Config, tmp_path: Path) -> None:
    (tmp_path / "image.png").write_bytes(PICTURE)
    library("playlists", "create", "run")
    track = c.music_source_dir / "hash/01.opus"
    assert out(library, "playlists", "add", "run", track, track) == "added 2 tracks to run"
    assert (
        out(library, "playlists", "set-cover", "run", tmp_path / "image.png")
        == f"set {c.playlists_dir}/run.png"
    )
    file = tmp_path / "run.m3u8"
    assert out(library, "playlists", "export", "run", file) == f"exported 2 tracks to {file}"
    assert str(track) in file.read_text()
    assert "force replaces it" in library.error("playlists", "export", "run", file)
    library("playlists", "export", "run", file, "--relative", "--force")
    assert "\nsource/hash/01.opus\n" in file.read_text()
    assert out(library, "playlists", "delete-cover", "run") == f"deleted {c.playlists_dir}/run.png"
    assert out(library, "playlists", "remove", "run", track) == "removed 2 tracks from run"


def test_collages_have_no_covers(library: Cli) -> None:
    assert "No such command 'set-cover'" in library.error("collages", "set-cover", "x", "y", status=2)


def editor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    """Makes a shell command the user's editor; it gets the file as ``$1``."""
    script = tmp_path / "editor"
    script.write_text(f"#!/bin/sh\n{program}\n")
    script.chmod(0o755)
    monkeypatch.setenv("VISUAL", str(script))


def test_a_list_is_edited_in_the_editor(
    library: Cli, c: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library("playlists", "create", "run")
    tracks = [track.source_path for track in list_tracks(c)]
    library("playlists", "add", "run", *tracks)
    # The editor turns the order round, and removes the first line.
    editor(
        tmp_path, monkeypatch, 'sed 1d "$1" | tac > "$1.new" && mv "$1.new" "$1" && touch -d "1 hour" "$1"'
    )
    assert out(library, "playlists", "edit", "run") == "edited run: 1 track removed"
    assert [track.source_path for track in get_playlist_tracks(c, "run")] == tracks[:0:-1]
    editor(tmp_path, monkeypatch, "true")
    assert out(library, "playlists", "edit", "run") == "nothing was changed"
    editor(tmp_path, monkeypatch, 'echo new >> "$1"; touch -d "1 hour" "$1"')
    error = library.error("playlists", "edit", "run")
    assert error == "line 4, 'new': no member of the playlist has this line; nothing was changed"


# History ----------------------------------------------------------------------------------------------------


def test_history_lists_what_was_done_and_undone(library: Cli) -> None:
    assert out(library, "history") == ""
    library("collages", "create", "one")
    library("collages", "create", "two")
    library("undo")
    lines = library.lines("history")
    assert [line[2:4] for line in lines] == [
        ["undo: create collage two", ""], ["create collage two", "undone"], ["create collage one", ""],
    ]  # fmt: skip
    undone, two, one = library.json("history")
    assert undone["undoes"] == [two["id"]]
    assert (two["undone"], one["undone"]) == (True, False)
    assert len(library.lines("history", "--limit", "1")) == 1

    assert out(library, "undo", undone["id"]) == "undid: undo: create collage two"
    assert library.json("history", "--limit", "1")[0]["title"] == "redo: create collage two"
    (done,) = library.json("undo", one["id"][-12:])
    assert (done["entry"]["title"], done["steps"]) == ("create collage one", 1)
    assert "taken back already" in library.error("undo", one["id"])
    assert "no edit has the id 'nonsense'" in library.error("undo", "nonsense")


def test_what_has_changed_since_is_said_in_one_line(library: Cli, c: Config) -> None:
    library("collages", "create", "mix")
    (c.collages_dir / "mix.toml").write_text("# mine\n")
    assert library.error("undo").endswith("mix.toml has changed since; nothing was changed")


KILLED_WHILE_COPYING = """
import os, signal
from rosefs.library import files, hands
from rosefs.cli.main import main

def copy_tree(source, target, progress):
    files.copy_tree(source, target, progress)
    os.kill(os.getpid(), signal.SIGKILL)

hands.copy_tree = copy_tree
main()
"""


def kill_while_importing(cli: Cli, album: Path) -> None:
    arguments = ["-c", str(cli.config), "releases", "import", str(album)]
    ran = subprocess.run([sys.executable, "-c", KILLED_WHILE_COPYING, *arguments], check=False, timeout=60)
    assert ran.returncode == -signal.SIGKILL


def test_what_a_killed_command_left_is_taken_back_by_the_next_edit(
    library: Cli, c: Config, tmp_path: Path
) -> None:
    album = make_release(tmp_path / "in", "album", tracks=1)
    kill_while_importing(library, album)
    assert (c.music_source_dir / ".in-progress.album").exists()
    assert library.json("history")[0]["finished"] is False
    result = library("releases", "import", album)
    assert result.stdout == f"imported {c.music_source_dir}/album\n"
    assert result.stderr == "rosefs: 'import album' was cut off; what it had done is taken back\n"
    assert not (c.music_source_dir / ".in-progress.album").exists()
    assert [entry["title"] for entry in library.json("history")] == ["import album"]


@pytest.mark.expects_log("moved away")
def test_what_was_lost_by_moving_is_put_back_before_the_next_edit(library: Cli, c: Config) -> None:
    (release,) = [each for each in list_releases(c) if each.releasetitle == "Hash"]
    before = snapshot(c.music_source_dir)
    holds = Holds(c)
    holds.hold_release(release)
    holds.close()
    shutil.rmtree(release.source_path)
    result = library("collages", "create", "mix")
    assert result.stderr == (
        "rosefs: warning: 'hash' was moved away by copying it into a collage or a playlist: put back 4 files\n"
    )
    (c.collages_dir / "mix.toml").unlink()
    assert snapshot(c.music_source_dir) == before


@pytest.mark.expects_log("moved away")
def test_an_update_takes_back_and_puts_back_what_killed_programs_left(
    library: Cli, c: Config, tmp_path: Path
) -> None:
    (release,) = [each for each in list_releases(c) if each.releasetitle == "Hash"]
    before = snapshot(c.music_source_dir)
    kill_while_importing(library, make_release(tmp_path / "in", "album", tracks=1))
    holds = Holds(c)
    holds.hold_release(release)
    holds.close()
    shutil.rmtree(release.source_path)
    result = library("cache", "update")
    assert "rosefs: 'import album' was cut off; what it had done is taken back\n" in result.stderr
    assert "put back 4 files" in result.stderr
    assert snapshot(c.music_source_dir) == before
    check_cache(c)


def test_undo_takes_what_was_cut_off_for_the_last_edit(library: Cli, tmp_path: Path) -> None:
    library("collages", "create", "mix")
    album = make_release(tmp_path / "in", "album", tracks=1)
    kill_while_importing(library, album)
    assert out(library, "undo") == "nothing had been done yet: import album"
    assert out(library, "undo") == "undid: create collage mix"


def test_what_a_path_has_to_be_is_said(library: Cli, c: Config, tmp_path: Path) -> None:
    album = c.music_source_dir / "hash"
    assert "it is a release; name one by its id" in library.error("releases", "create-single", album)
    assert f"by a path in {c.music_source_dir} or in a mount" in library.error("releases", "delete", tmp_path)
    assert "there is no track '/etc/passwd': name one by" in library.error("tracks", "show", "/etc/passwd")


def test_errors_are_one_line_that_no_name_can_break(library: Cli, c: Config, tmp_path: Path) -> None:
    named = tmp_path / "a\n\x1b[31mb"
    assert library.error("releases", "import", named).startswith(f"{tmp_path}/a  [31mb does not exist")
    for name in ("c\nd", "e\nf"):
        make_release(c.music_source_dir, name, tracks=1, album="Twice")
    library("cache", "update")
    result = library("releases", "show", "Twice", status=1)
    assert [line.partition("  ")[2][38:] for line in result.stderr.splitlines()[1:]] == [
        f"{c.music_source_dir}/c d",
        f"{c.music_source_dir}/e f",
    ]


# All of them ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "args",
    [
        ("releases", "delete", "x"), ("releases", "import", "."), ("collages", "create", "x"),
        ("playlists", "edit", "x"), ("playlists", "export", "x", "y"), ("undo",),
    ],
    ids=" ".join,
)  # fmt: skip
def test_without_a_cache_the_way_to_one_is_said(rosefs: Cli, args: tuple[str, ...]) -> None:
    assert "run: rosefs cache update" in rosefs.error(*args)


def test_the_help_of_a_group_imports_no_edits() -> None:
    assert imported_by("releases", "--help").isdisjoint({"mutagen", "tomlkit", "trio"})
    assert imported_by("releases", "list", "--help").isdisjoint({"mutagen", "tomlkit", "trio"})


def test_a_library_that_is_read_only_is_never_written(c: Config, rosefs: Cli) -> None:
    make_release(c.music_source_dir, "R")
    rosefs.config.write_text(f"read_only = true\n{rosefs.config.read_text()}")
    before = exact_snapshot(c.music_source_dir)
    assert "about to write" not in rosefs("cache", "update").stderr
    (release,) = rosefs.json("releases", "list")
    error = rosefs.error("releases", "delete", release["id"])
    assert error == f"{c.music_source_dir} may not be changed: read_only is set in {rosefs.config}"
    assert exact_snapshot(c.music_source_dir) == before
