"""The commands that change tags by rules: what they show, what they ask, and what they write."""

from __future__ import annotations

from pathlib import Path

import pytest

from rosecache.config import Config
from rosecache.tags import read_tags
from tests.cli.conftest import Cli
from tests.cli.terminal import run_on_terminal
from tests.support.audio import make_release
from tests.support.library import check_cache, snapshot


@pytest.fixture
def library(c: Config, rosefs: Cli) -> Cli:
    """Two releases of two tracks, ``hash`` of LOONA and ``square`` of BLACKPINK."""
    make_release(c.music_source_dir, "hash", artist="LOONA", album="Hash", date="2018", genre="K-Pop;Pop")
    make_release(c.music_source_dir, "square", artist="BLACKPINK", album="Square", date="2016", genre="Dance")
    rosefs("cache", "update")
    return rosefs


def genres(c: Config) -> list[str]:
    """Returns the genres of every file, in order of the paths."""
    return [";".join(read_tags(path).genres) for path in sorted(c.music_source_dir.rglob("*.opus"))]


BEFORE = ["K-Pop;Pop", "K-Pop;Pop", "Dance", "Dance"]
RULE = ("rules", "run", "genre:K-Pop", "replace:Korean Pop", "edition/replace:New")
SHOWN = """\
hash/01.opus
  - genre: K-Pop; Pop
  + genre: Korean Pop; Pop
  + edition: New
hash/02.opus
  - genre: K-Pop; Pop
  + genre: Korean Pop; Pop
  + edition: New
"""


def test_a_rule_is_shown_and_written(library: Cli, c: Config) -> None:
    assert library(*RULE, "--yes").stdout == SHOWN + "changed 2 tracks\n"
    assert genres(c) == ["Korean Pop;Pop"] * 2 + ["Dance"] * 2
    assert {fields[0] for fields in library.lines("genres", "list")} == {"Dance", "Korean Pop", "Pop"}
    check_cache(c)
    assert library(*RULE, "--yes").stdout == "no track matches\n"
    library("undo")
    assert genres(c) == BEFORE


def test_what_was_changed_in_several_releases_is_taken_back_as_one(library: Cli, c: Config) -> None:
    library("rules", "run", "genre:", "genre/replace:Any", "--yes")
    assert genres(c) == ["Any"] * 4
    assert library("undo").stdout.rstrip().endswith(", and 1 more made with it")
    assert genres(c) == BEFORE


def test_a_dry_run_writes_nothing_and_asks_nothing(library: Cli, c: Config, tmp_path: Path) -> None:
    before = snapshot(c.music_source_dir)
    assert library(*RULE, "--dry-run").stdout == SHOWN + "would change 2 tracks\n"
    assert snapshot(c.music_source_dir) == before
    assert library.lines("history") == []


def test_a_dry_run_is_possible_where_nothing_may_be_changed(c: Config, rosefs: Cli) -> None:
    make_release(c.music_source_dir, "hash", genre="K-Pop")
    rosefs.config.write_text(rosefs.config.read_text() + "read_only = true\n")
    rosefs("cache", "update")
    assert rosefs(*RULE, "--dry-run").stdout.endswith("would change 2 tracks\n")
    assert "may not be changed" in rosefs.error(*RULE, "--yes")


def test_what_is_ignored_is_left_alone(library: Cli, c: Config) -> None:
    done = library(*RULE, "--ignore", "tracktitle:Track 1", "--ignore", "artist:BLACK", "--yes")
    assert done.stdout.startswith("hash/02.opus\n")
    assert genres(c) == ["K-Pop;Pop", "Korean Pop;Pop", "Dance", "Dance"]


def test_where_nobody_can_be_asked_it_is_an_error(library: Cli, c: Config) -> None:
    error = library.error(*RULE)
    assert "--yes" in error
    assert "--dry-run" in error
    assert "--yes" in library(*RULE, "--json", status=2).stderr
    assert genres(c) == BEFORE


@pytest.mark.parametrize(("answer", "status"), [("y\n", 0), ("n\n", 1), ("\n", 1)])
def test_on_a_terminal_it_is_asked(library: Cli, c: Config, answer: str, status: int) -> None:
    shown = run_on_terminal("--config", library.config, *RULE, answers=answer)
    assert shown.status == status
    assert shown.has_colours
    assert SHOWN in shown.plain
    assert "Change 2 tracks? [y/N]" in shown.plain
    assert (genres(c) != BEFORE) is (status == 0)
    assert ("nothing was changed" in shown.plain) is (status == 1)


@pytest.mark.parametrize(("answer", "status"), [("26\n", 0), ("y\n", 1), ("62\n", 1), ("\n", 1)])
def test_of_many_tracks_the_number_has_to_be_typed(c: Config, rosefs: Cli, answer: str, status: int) -> None:
    make_release(c.music_source_dir, "long", tracks=26, genre="K-Pop")
    rosefs("cache", "update")
    shown = run_on_terminal("--config", rosefs.config, *RULE, answers=answer)
    assert "This changes 26 tracks. Type the number to go on: " in shown.plain
    assert shown.status == status
    assert set(genres(c)) == {"K-Pop" if status else "Korean Pop"}


def test_colours_can_be_turned_off(library: Cli) -> None:
    shown = run_on_terminal(
        "--config",
        library.config,
        *RULE,
        "--dry-run",
        environment={"NO_COLOR": "1", "TERM": "xterm-256color"},
    )
    assert not shown.has_colours
    assert SHOWN in shown.plain


def test_what_would_change_is_there_as_json(library: Cli, c: Config) -> None:
    planned = library.json(*RULE, "--dry-run")
    assert planned["matched"] == 2
    assert planned["problems"] == []
    assert [track["changed"] for track in planned["tracks"]] == [False, False]
    first = planned["tracks"][0]
    assert first["path"] == f"{c.music_source_dir}/hash/01.opus"
    assert first["changes"] == [
        {"tag": "genre", "old": ["K-Pop", "Pop"], "new": ["Korean Pop", "Pop"]},
        {"tag": "edition", "old": [], "new": ["New"]},
    ]
    assert [track["changed"] for track in library.json(*RULE, "--yes")["tracks"]] == [True, True]


def test_a_broken_file_is_said_and_the_others_are_changed(library: Cli, c: Config) -> None:
    (c.music_source_dir / "hash" / "01.opus").write_bytes(b"broken")
    done = library(*RULE, "--yes", status=1)
    assert done.stdout.endswith("changed 1 track\n")
    assert done.stderr.startswith(f"rosefs: warning: {c.music_source_dir}/hash/01.opus: ")
    assert read_tags(c.music_source_dir / "hash" / "02.opus").edition == "New"


def test_a_file_that_cannot_be_written_is_said_and_the_others_are_changed(library: Cli, c: Config) -> None:
    with (c.music_source_dir / "hash" / "01.opus").open("r+b"):
        done = library(*RULE, "--yes", status=1)
    assert done.stdout.endswith("changed 1 track; 1 could not be\n")
    assert "another program is writing to it" in done.stderr


def test_a_rule_that_cannot_be_read_is_shown_with_the_place(library: Cli) -> None:
    said = library("rules", "run", "gnere:x", "delete", "--yes", status=2).stderr.splitlines()
    assert said[-3].startswith("rosefs: error: matcher, column 1: ")
    assert said[-1] == "    ^"
    library("rules", "run", "genre:x", status=2)


def test_stored_rules_are_run_in_order_with_one_question(library: Cli, c: Config) -> None:
    library.config.write_text(
        library.config.read_text()
        + """
[[stored_metadata_rules]]
matcher = "genre:^K-Pop$"
actions = ["replace:Temporary"]

[[stored_metadata_rules]]
matcher = "genre:^Temporary$"
actions = ["replace:Korean Pop"]
ignore = ["tracktitle:Track 2"]
"""
    )
    shown = run_on_terminal("--config", library.config, "rules", "run-stored", answers="y\n")
    assert shown.status == 0
    assert "Change 2 tracks?" in shown.plain
    assert shown.plain.count("?") == 1
    assert genres(c) == ["Korean Pop;Pop", "Temporary;Pop", "Dance", "Dance"]
    library("undo")
    assert genres(c) == BEFORE


def test_without_stored_rules_there_is_nothing_to_run(library: Cli) -> None:
    assert "no [[stored_metadata_rules]]" in library.error("rules", "run-stored", "--yes")


def test_an_error_in_a_stored_rule_shows_the_place(library: Cli) -> None:
    text = '\n[[stored_metadata_rules]]\nmatcher = "genre:x"\nactions = ["genre/repalce:x"]\n'
    library.config.write_text(library.config.read_text() + text)
    said = library("rules", "run-stored", "--yes", status=1).stderr.splitlines()
    assert "stored_metadata_rules[0].actions[0]" in said[0]
    assert said[1:] == ["    genre/repalce:x", "          ^"]


def test_a_release_or_a_track_is_changed_without_a_matcher(library: Cli, c: Config) -> None:
    library("releases", "run-rule", "Square", "genre/add:Club", "new/replace:false", "--yes")
    assert genres(c) == ["K-Pop;Pop", "K-Pop;Pop", "Dance;Club", "Dance;Club"]
    path = c.music_source_dir / "hash" / "01.opus"
    library("tracks", "run-rule", path, "genre:Pop$/delete", "--yes")
    assert genres(c) == ["", "K-Pop;Pop", "Dance;Club", "Dance;Club"]


@pytest.mark.parametrize("action", ["replace:x", "matched/replace:x", "matched:x/delete"])
def test_without_a_matcher_nothing_can_be_matched(library: Cli, action: str) -> None:
    said = library("releases", "run-rule", "Hash", action, "--yes", status=2).stderr
    assert "column 1: expected tags, such as genre/add:Pop, since there is no matcher" in said
    assert f"    {action}\n    ^" in said


def test_names_in_tags_cannot_steer_the_terminal(c: Config, rosefs: Cli) -> None:
    make_release(c.music_source_dir, "odd\nname", tracks=1, title="a\x1b[31mb")
    rosefs("cache", "update")
    shown = rosefs("rules", "run", "tracktitle:", "delete", "--dry-run").stdout
    assert shown == "odd name/01.opus\n  - tracktitle: a [31mb\nwould change 1 track\n"
