"""Updates from the command line: the report, the exit status, how far it is, and what is said before the first."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from rosecache.config import Config
from rosecache.database import database_path
from rosefs.cli.errors import text_of
from tests.cli.conftest import Cli
from tests.cli.terminal import run_on_terminal
from tests.support.audio import FORMATS, make_release, make_track
from tests.support.breaking import HOSTILE_NAMES, TURNING, steers
from tests.support.library import check_cache, ids_on_disk, snapshot

NOTICE = "rosefs has not seen {} before. It is about to write"
TAGS = "identifiers into the tags of {};"
DATAFILES = "{} .rose.<uuid>.toml, one in each release's directory"


def report(text: str) -> dict[str, int]:
    return {name: int(count) for name, count in (line.split() for line in text.splitlines()[:5])}


# The report ---------------------------------------------------------------------------------------------


def test_the_report_says_what_was_found(c: Config, rosefs: Cli) -> None:
    make_release(c.music_source_dir, "A")
    make_release(c.music_source_dir, "B")
    first = report(rosefs("cache", "update").stdout)
    assert first == {"seen": 2, "changed": 2, "evicted": 0, "skipped": 0, "problems": 0}
    check_cache(c)
    shutil.rmtree(c.music_source_dir / "A")
    second = report(rosefs("cache", "update").stdout)
    assert second == {"seen": 1, "changed": 0, "evicted": 1, "skipped": 0, "problems": 0}


def test_what_a_killed_mount_left_unfinished_becomes_a_release(c: Config, rosefs: Cli) -> None:
    make_release(c.music_source_dir, "A")
    make_release(c.music_source_dir, ".in-progress.rosefs.B", tracks=3)
    rosefs("cache", "update")
    assert len(ids_on_disk(c.music_source_dir / "B")) == 3
    check_cache(c)
    assert "import B" in rosefs("history").stdout


def test_each_problem_is_one_line_whatever_the_file_is_called(c: Config, rosefs: Cli) -> None:
    release = os.fsencode(make_release(c.music_source_dir))
    turning = [f"a{character}b".encode() for character in TURNING]
    names = {
        name[:250] + b".mp3" for name in (*HOSTILE_NAMES, *turning, b"a\x1b]0;b\x07", b"\r\n", b"\xc2\x85")
    }
    for name in names:
        Path(os.fsdecode(os.path.join(release, name))).touch()
    result = rosefs("cache", "update")
    lines = result.stdout_bytes.decode("utf-8", "surrogateescape").split("\n")[5:-1]
    assert len(lines) == len(names)
    for line in lines:
        assert line.startswith(f"  {os.fsdecode(release)}/")
        assert line.endswith(".mp3: the file is empty")
    warned = result.stderr.rstrip("\n").split("\n") if result.stderr else []
    assert not any(steers(character) for line in (*lines, *warned) for character in line)
    assert {problem["path"] for problem in rosefs.json("cache", "update")["problems"]} == {
        os.fsdecode(os.path.join(release, name)) for name in names
    }


def test_problems_with_single_files_are_listed_and_are_no_failure(c: Config, rosefs: Cli) -> None:
    broken = make_release(c.music_source_dir) / "03.mp3"
    broken.write_bytes(b"")
    lines = rosefs("cache", "update").stdout.splitlines()
    assert lines[4].split() == ["problems", "1"]
    assert lines[5] == f"  {broken}: the file is empty"
    assert rosefs.json("cache", "update") == {
        "seen": 1,
        "changed": 0,
        "evicted": 0,
        "skipped": 0,
        "problems": [{"path": str(broken), "reason": "the file is empty"}],
    }


def test_what_is_left_for_later_is_told_and_how_to_have_it(c: Config, rosefs: Cli) -> None:
    release = make_release(c.music_source_dir)
    rosefs("cache", "update")
    for datafile in release.glob(".rose.*.toml"):
        datafile.unlink()  # as `cp album/* copy` leaves it behind
    ran = rosefs("cache", "update")
    assert report(ran.stdout)["skipped"] == 1
    (told,) = [line for line in ran.stderr.splitlines() if "left for later" in line]
    assert "'rosefs cache update --force' takes them as they are" in told
    assert f"skipped {release}: " in rosefs("-v", "cache", "update").stderr
    assert report(rosefs("cache", "update", "--force").stdout)["skipped"] == 0
    assert "left for later" not in rosefs("cache", "update").stderr


def test_a_missing_source_directory_is_a_failure(c: Config, rosefs: Cli) -> None:
    make_release(c.music_source_dir)
    rosefs("cache", "update")
    c.music_source_dir.rename(c.music_source_dir.with_name("elsewhere"))
    assert rosefs.error("cache", "update").startswith(f"{c.music_source_dir} does not exist")
    assert report(rosefs("cache", "update", "--force").stdout)["evicted"] == 1


def test_a_cache_that_cannot_be_used_is_a_failure(c: Config, rosefs: Cli) -> None:
    make_release(c.music_source_dir)
    rosefs("cache", "update")
    connection = sqlite3.connect(database_path(c))
    connection.execute("DROP TABLE releases")
    connection.close()
    assert rosefs.error("cache", "update").startswith("the cache cannot be used: no such table: releases")


@pytest.mark.parametrize(
    ("address", "script", "advice"),
    [
        (":memory:", "PRAGMA max_page_count = 1; CREATE TABLE x (y)", "make room on the disk of cache_dir"),
        (":memory:", "PRAGMA query_only = 1; CREATE TABLE x (y)", "has to be writable"),
        ("/nowhere/at/all", "", "has to be writable"),
        (":memory:", "SELECT * FROM x", "it may be deleted, and is then built anew"),
    ],
)
def test_what_to_do_about_a_cache_that_fails_depends_on_the_failure(
    address: str, script: str, advice: str
) -> None:
    with pytest.raises(sqlite3.Error) as raised:
        sqlite3.connect(address).executescript(script)
    assert text_of(raised.value).endswith(advice)


def test_a_cache_directory_that_cannot_be_made_is_a_failure(c: Config, rosefs: Cli) -> None:
    make_release(c.music_source_dir)
    c.cache_dir.rmdir()
    c.cache_dir.write_text("a file")
    assert rosefs.error("cache", "update") == f"{c.cache_dir}: File exists"


def test_an_error_comes_with_a_traceback_when_asked_for_details(c: Config, rosefs: Cli) -> None:
    c.music_source_dir.rmdir()
    assert "Traceback" not in rosefs("cache", "update", status=1).stderr
    assert "Traceback" in rosefs("-v", "cache", "update", status=1).stderr


# How far it is ------------------------------------------------------------------------------------------


def test_a_log_tells_how_far_a_long_update_is(c: Config, rosefs: Cli) -> None:
    for number in range(60):
        make_track(c.music_source_dir / f"{number}" / "01.opus")
    lines = rosefs("cache", "update").stderr.splitlines()
    told = [line for line in lines if line.startswith("rosefs: ")]
    assert told[0] == "rosefs: 60 releases to read"
    assert told[1:] == [f"rosefs: {done} of 60 releases" for done in range(6, 61, 6)]
    assert rosefs("cache", "update").stderr == ""


def test_a_terminal_gets_a_bar_that_is_gone_in_the_end(c: Config, rosefs: Cli) -> None:
    make_release(c.music_source_dir)
    shown = run_on_terminal("-c", rosefs.config, "cache", "update", "--yes")
    assert shown.status == 0
    assert "Reading releases" in shown.plain
    assert "1/1" in shown.plain
    assert shown.has_colours
    assert "to read" not in shown.plain
    plain = run_on_terminal("-c", rosefs.config, "cache", "update", environment={"NO_COLOR": "1"})
    assert "Looking for changes" in plain.plain
    assert not plain.has_colours


# The first run ------------------------------------------------------------------------------------------


def test_a_first_run_says_what_it_is_about_to_write_and_how_to_avoid_it(c: Config, rosefs: Cli) -> None:
    for number, format_ in enumerate(FORMATS):
        make_release(c.music_source_dir, f"{number}", format=format_)
    (c.music_source_dir / "no release").mkdir()
    said = rosefs("cache", "update").stderr
    assert NOTICE.format(c.music_source_dir) in said
    assert TAGS.format("10 audio files") in said
    assert DATAFILES.format("5 small files") in said
    assert "write_ids_to_tags = false" in said
    assert None not in ids_on_disk(c.music_source_dir).values()
    assert len(list(c.music_source_dir.glob("*/.rose.*.toml"))) == 5


def test_the_notice_comes_once(c: Config, rosefs: Cli) -> None:
    make_release(c.music_source_dir, "A")
    rosefs("cache", "update")
    make_release(c.music_source_dir, "B")
    assert "about to write" not in rosefs("cache", "update").stderr


def test_a_library_with_ids_needs_no_notice(c: Config, rosefs: Cli) -> None:
    make_release(c.music_source_dir)
    rosefs("cache", "update")
    shutil.rmtree(c.cache_dir)
    assert "about to write" not in rosefs("cache", "update").stderr


def test_a_library_with_ids_in_its_datafiles_alone_needs_one(c: Config, rosefs: Cli) -> None:
    make_release(c.music_source_dir)
    with_ids_in_tags = rosefs.config.read_text()
    rosefs.config.write_text(with_ids_in_tags + "write_ids_to_tags = false\n")
    rosefs("cache", "update")
    shutil.rmtree(c.cache_dir)
    rosefs.config.write_text(with_ids_in_tags)
    said = rosefs("cache", "update").stderr
    assert TAGS.format("2 audio files") in said
    assert "small file" not in said


def test_without_ids_in_tags_the_notice_is_of_datafiles_only(c: Config, rosefs: Cli) -> None:
    release = make_release(c.music_source_dir)
    audio = snapshot(release)
    rosefs.config.write_text(rosefs.config.read_text() + "write_ids_to_tags = false\n")
    said = rosefs("cache", "update").stderr
    assert DATAFILES.format("1 small file") in said
    assert "audio file" not in said
    assert "write_ids_to_tags" not in said
    assert audio.items() <= snapshot(release).items()


def test_on_a_terminal_no_means_that_nothing_is_written(c: Config, rosefs: Cli) -> None:
    make_release(c.music_source_dir)
    before = snapshot(c.music_source_dir)
    for answer in ("n\n", "\n"):
        shown = run_on_terminal("-c", rosefs.config, "cache", "update", answers=answer)
        assert shown.status == 1
        assert NOTICE.format(c.music_source_dir) in shown.plain
        assert "Go on? [y/N]:" in shown.plain
        assert "rosefs: error: nothing was written" in shown.plain
        assert snapshot(c.music_source_dir) == before
        assert list(c.cache_dir.iterdir()) == []


@pytest.mark.parametrize(("option", "answer"), [((), "y\n"), (("--yes",), "")], ids=["answered", "option"])
def test_on_a_terminal_yes_goes_on(c: Config, rosefs: Cli, option: tuple[str, ...], answer: str) -> None:
    make_release(c.music_source_dir)
    update = ("-c", rosefs.config, "cache", "update")
    shown = run_on_terminal(*update, *option, answers=answer)
    assert shown.status == 0
    assert NOTICE.format(c.music_source_dir) in shown.plain
    assert ("[y/N]" in shown.plain) == bool(answer)
    check_cache(c)
    assert "about to write" not in run_on_terminal(*update).plain
