"""What ``rosefs doctor`` finds of things that are well, and of each that is not."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from rosecache.config import Config
from rosecache.database import close_connections, database_path
from rosefs.cli import doctor_library
from rosefs.cli.main import cli
from rosefs.fuse import checks
from rosefs.library.journal import Journal
from rosefs.watch.limits import file_system_of
from tests.cli.conftest import Cli
from tests.cli.mounting import mounting, only_these_mounted
from tests.cli.terminal import run_on_terminal
from tests.support.audio import make_release
from tests.support.breaking import TURNING, steers
from tests.support.library import snapshot
from tests.support.permissions import run_as_user

Found = dict[str, list[dict[str, str]]]


@pytest.fixture(autouse=True)
def _own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No mounts of other tests, and no trash of the user's."""
    only_these_mounted(monkeypatch, tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


@pytest.fixture
def library(c: Config, rosefs: Cli) -> Path:
    """A library with a cache; returns its one release."""
    release = make_release(c.music_source_dir, "Album", tracks=2)
    rosefs("cache", "update")
    close_connections()
    return release


def examine(rosefs: Cli, status: int = 0) -> Found:
    """Returns what the doctor finds, by what was looked at."""
    findings = json.loads(rosefs("doctor", "--json", status=status).stdout)
    found: Found = {}
    for finding in findings:
        assert finding["level"] in ("ok", "warning", "error")
        assert finding["found"]
        assert bool(finding["remedy"]) == (finding["level"] != "ok"), finding
        found.setdefault(finding["check"], []).append(finding)
    assert any(finding["level"] == "error" for finding in findings) == (status == 1)
    return found


def only(findings: list[dict[str, str]]) -> tuple[str, str]:
    (finding,) = findings
    return finding["level"], finding["found"]


# All is well --------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("need_fuse")
def test_of_a_library_that_is_well_it_says_so_and_changes_nothing(
    c: Config, rosefs: Cli, library: Path, tmp_path: Path, binding: str
) -> None:
    before, times = snapshot(c.music_source_dir), c.music_source_dir.stat()
    found = examine(rosefs)
    for check in ("/dev/fuse", "fusermount3", binding, "configuration", "music", "crashes", "files", "cache"):
        assert [finding["level"] for finding in found[check]] == ["ok"], found[check]
    assert found[binding][0]["found"].startswith("version ")
    assert "sound, 1 releases, 2 tracks" in found["cache"][0]["found"]
    assert found["watches"][0]["found"].startswith("2 directories, of ")
    assert file_system_of(c.music_source_dir) in found["disk"][0]["found"]
    assert snapshot(c.music_source_dir) == before
    assert (c.music_source_dir.stat().st_mtime_ns, (tmp_path / "data").exists()) == (times.st_mtime_ns, False)


def test_elsewhere_than_on_a_terminal_it_writes_lines(rosefs: Cli, library: Path) -> None:
    lines = rosefs.lines("doctor")
    assert ["ok", "files", "the last update could use all", ""] in lines
    assert {len(line) for line in lines} == {4}


def test_on_a_terminal_it_writes_a_table_in_colours(rosefs: Cli, library: Path) -> None:
    (library / "broken.mp3").write_bytes(b"")
    rosefs("cache", "update")
    shown = run_on_terminal("-c", rosefs.config, "doctor")
    assert "What to do" in shown.plain
    assert "\x1b[33mwarning" in shown.text
    plain = run_on_terminal("-c", rosefs.config, "doctor", environment={"NO_COLOR": "1"})
    assert "\x1b[33m" not in plain.text


def test_each_file_is_one_line_whatever_it_is_called(rosefs: Cli, library: Path) -> None:
    names = ["a\nb.mp3", "a\x1b]0;b\x07.mp3", *(f"a{character}b.mp3" for character in TURNING)]
    for name in names:
        (library / name).touch()
    rosefs("cache", "update")
    lines = [line.split("\t") for line in rosefs("doctor").stdout.split("\n")]
    files = [fields for fields in lines if fields[1:2] == ["files"]]
    assert len(files) == len(names)
    assert {len(fields) for fields in lines} == {4, 1}  # the last is empty
    assert not any(steers(character) for fields in lines for text in fields for character in text)
    shown = run_on_terminal("-c", rosefs.config, "doctor")
    assert {character for character in shown.text if steers(character)} <= set("\r\n\x1b")
    assert "\x1b]" not in shown.text


# The system ---------------------------------------------------------------------------------------------


def test_a_missing_device_is_an_error(
    rosefs: Cli, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "_DEVICE", tmp_path / "missing")
    (finding,) = examine(rosefs, 1)["/dev/fuse"]
    assert "No such file" in finding["found"]
    assert finding["remedy"].startswith("load the kernel module")


def test_fusermount_has_to_be_there_and_setuid_for_users(
    rosefs: Cli, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert only(examine(rosefs, 1)["fusermount3"]) == ("error", "missing: only root can mount")
    (tmp_path / "fusermount3").touch(0o755)
    level, found = only(examine(rosefs)["fusermount3"])
    assert (level, found) == (
        "warning",
        f"{tmp_path}/fusermount3 is not setuid root, so maybe only root can mount",
    )


def test_without_any_binding_it_says_what_to_install(
    rosefs: Cli, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyfuse3", None)
    assert examine(rosefs)["pyfuse3"][0]["found"].endswith("and is not needed beside llfuse")
    monkeypatch.setitem(sys.modules, "llfuse", None)
    (finding,) = examine(rosefs, 1)["binding"]
    assert f"{sys.executable} -m pip install pyfuse3 " in finding["remedy"]


def test_too_few_watches_are_an_error(
    rosefs: Cli, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, limit in (("max_user_watches", 1), ("max_user_instances", 1000)):
        (tmp_path / name).write_text(f"{limit}\n")
    monkeypatch.setattr(doctor_library, "_INOTIFY", tmp_path)
    watches, instances = examine(rosefs, 1)["watches"]
    assert (watches["level"], watches["found"]) == ("error", "2 directories, of 1 that a user may have")
    assert "fs.inotify.max_user_watches = " in watches["remedy"]
    assert instances["level"] == "ok"


@pytest.mark.usefixtures("need_fuse")
def test_a_dead_mount_is_an_error(
    c: Config, rosefs: Cli, library: Path, mountpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with mounting(mountpoint, "-c", rosefs.config, "mount", c.music_source_dir, mountpoint) as running:
        only_these_mounted(monkeypatch, tmp_path, mountpoint)
        assert only(examine(rosefs)["mount"]) == ("ok", f"'{mountpoint}' answers")
        running.process.kill()
        running.end()
        (finding,) = examine(rosefs, 1)["mount"]
        assert finding["remedy"] == f"rosefs unmount '{mountpoint}'"


def test_a_mount_dir_that_cannot_be_mounted_on_is_a_warning(
    rosefs: Cli, library: Path, tmp_path: Path
) -> None:
    rosefs.config.write_text(rosefs.config.read_text() + f"[vfs]\nmount_dir = '{tmp_path}/mnt'\n")
    (finding,) = examine(rosefs)["mount_dir"]
    assert (finding["level"], finding["remedy"]) == ("warning", "make it first")
    (tmp_path / "mnt").mkdir()
    assert only(examine(rosefs)["mount_dir"]) == ("ok", f"{tmp_path}/mnt can be mounted on")


# The configuration and the library ----------------------------------------------------------------------


def test_without_a_configuration_the_system_is_looked_at_all_the_same(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["-c", str(tmp_path / "none.toml"), "doctor", "--json"])
    assert result.exit_code == 1
    checked = {finding["check"]: finding["level"] for finding in json.loads(result.stdout)}
    assert checked["configuration"] == "error"
    assert {"/dev/fuse", "fusermount3", "allow_other"} < checked.keys()


def test_every_mistake_in_the_configuration_is_an_error(rosefs: Cli, library: Path) -> None:
    rosefs.config.write_text(
        rosefs.config.read_text() + "[path_templates.artists]\nrelease = '{{ a }}'\ntrack = '{{ b }}'\n"
    )
    assert [finding["level"] for finding in examine(rosefs, 1)["configuration"]] == ["error", "error"]


def test_a_music_directory_that_is_not_there_is_an_error(c: Config, rosefs: Cli) -> None:
    c.music_source_dir.rmdir()
    assert only(examine(rosefs, 1)["music"]) == ("error", f"{c.music_source_dir} does not exist")


def test_a_music_directory_that_cannot_be_written_is_a_warning(c: Config, rosefs: Cli, library: Path) -> None:
    c.music_source_dir.chmod(0o500)
    program = (
        "import sys; from click.testing import CliRunner; from rosefs.cli.main import cli\n"
        "print(CliRunner().invoke(cli, sys.argv[1:]).stdout)"
    )
    lines = run_as_user(program, "-c", str(rosefs.config), "doctor").splitlines()
    c.music_source_dir.chmod(0o700)
    assert f"warning\tmusic\t{c.music_source_dir} cannot be written: nothing can be edited" in "\n".join(
        lines
    )


def test_files_with_problems_are_warnings(c: Config, rosefs: Cli, library: Path) -> None:
    for number in range(12):
        (library / f"broken {number:02}.mp3").write_bytes(b"")
    rosefs("cache", "update")
    findings = examine(rosefs)["files"]
    assert findings[0]["found"] == f"{library}/broken 00.mp3: the file is empty"
    assert [finding["level"] for finding in findings] == ["warning"] * 12
    assert findings[11]["found"] == f"{library}/broken 11.mp3: the file is empty"


def test_what_no_cache_knows_of_is_read_and_told_as_an_update_does(
    c: Config, rosefs: Cli, library: Path
) -> None:
    broken = c.music_source_dir / "Broken" / "Disc 2"
    broken.mkdir(parents=True)
    for number in range(12):
        (broken / f"{number:02}.flac").write_bytes(b"noise")
    (next(library.glob(".rose.*.toml"))).write_text("new = 1")
    (c.music_source_dir / "Again").symlink_to(library)
    c.collages_dir.mkdir()
    (c.collages_dir / "Bad.toml").write_text("[[")
    (c.collages_dir / "Good.toml").write_text("")
    (c.music_source_dir / "No music").mkdir()
    problems = json.loads(rosefs("cache", "update", "--json").stdout)["problems"]
    assert len(problems) == 15
    told = sorted(f"{problem['path']}: {problem['reason']}" for problem in problems)
    assert [finding["found"] for finding in examine(rosefs)["files"]] == told


def test_links_through_which_nothing_is_written_are_warnings(
    c: Config, rosefs: Cli, library: Path, tmp_path: Path
) -> None:
    make_release(tmp_path / "other", "R", tracks=1)
    (tmp_path / "other" / "mine.toml").touch()
    (c.music_source_dir / "Linked").symlink_to(tmp_path / "other" / "R")
    (c.music_source_dir / "Inside").symlink_to(library)
    c.collages_dir.mkdir()
    (c.collages_dir / "mine.toml").symlink_to(tmp_path / "other" / "mine.toml")
    assert [finding["found"].partition(" ")[0] for finding in examine(rosefs)["links"]] == [
        str(c.music_source_dir / "Linked"), str(c.collages_dir / "mine.toml"),
    ]  # fmt: skip
    rosefs.config.write_text(f"{rosefs.config.read_text()}\nfollow_links_to = ['{tmp_path}']\n")
    assert len(examine(rosefs)["links"]) == 1


def test_what_has_come_since_the_last_update_is_no_problem(c: Config, rosefs: Cli, library: Path) -> None:
    make_release(c.music_source_dir, "Later", tracks=1)
    (c.music_source_dir / "Later" / "broken.mp3").write_bytes(b"")
    assert only(examine(rosefs)["files"]) == ("ok", "the last update could use all")


@pytest.mark.usefixtures("need_fuse")
def test_problems_that_only_the_mount_knows_are_warnings_too(
    c: Config, rosefs: Cli, library: Path, mountpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    c.collages_dir.mkdir()
    (c.collages_dir / "A.toml").write_text("[[")
    with mounting(mountpoint, "-c", rosefs.config, "mount", c.music_source_dir, mountpoint):
        only_these_mounted(monkeypatch, tmp_path, mountpoint)
        (finding,) = examine(rosefs)["files"]
        assert finding["found"].startswith(f"{c.collages_dir}/A.toml: ")
        rosefs.config.write_text(rosefs.config.read_text() + "cover_art_stems = ['picture']\n")
        # What the mount uses is looked at, whatever the configuration says by now.
        assert only(examine(rosefs)["cache"])[1].startswith(f"{database_path(c)}: sound, 1 releases")
        (library / ".in-progress.rosefs.spool.x").touch()
        assert only(examine(rosefs)["crashes"]) == ("ok", "1 files in progress, for a mount that is at work")


def test_what_a_crash_left_is_a_warning(c: Config, rosefs: Cli, library: Path, tmp_path: Path) -> None:
    (library / ".in-progress.rosefs.spool.x").touch()
    (c.music_source_dir / ".in-progress.rosefs.hold").mkdir()
    (c.music_source_dir / ".in-progress.rosefs.hold/.in-progress.rosefs.y").touch()
    (c.music_source_dir / ".in-progress.of-others").mkdir()
    program = (
        "import os, sys; from pathlib import Path; from rosefs.library.journal import Journal\n"
        "with Journal(Path(sys.argv[1])).edit('rename a to b') as edit:\n"
        "    edit.rename(Path(sys.argv[2]), Path(sys.argv[3]))\n"
        "    os._exit(9)\n"
    )
    (tmp_path / "a").touch()
    subprocess.run(
        [sys.executable, "-c", program, tmp_path / "state", tmp_path / "a", tmp_path / "b"], check=False
    )
    (entry,) = Journal(tmp_path / "state").history()
    *leftovers, edit = examine(rosefs)["crashes"]
    assert [finding["found"].split(" was ")[0] for finding in leftovers] == [
        f"{c.music_source_dir}/.in-progress.rosefs.hold", f"{library}/.in-progress.rosefs.spool.x",
    ]  # fmt: skip
    assert (edit["level"], edit["remedy"]) == (
        "warning", f"the next edit takes back what was done of it; to do it now: rosefs undo {entry.id}",
    )  # fmt: skip


def test_no_cache_is_a_warning_and_a_damaged_one_an_error(c: Config, rosefs: Cli, library: Path) -> None:
    database = database_path(c)
    size = database.stat().st_size
    database.write_bytes(b"no database" * size)
    (finding,) = examine(rosefs, 1)["cache"]
    assert (
        finding["remedy"]
        == f"remove it, nothing is lost: rm {shlex.quote(str(database))}*; rosefs cache update"
    )
    database.unlink()
    (finding,) = examine(rosefs)["cache"]
    assert (finding["level"], finding["remedy"]) == ("warning", "rosefs cache update")
    assert not database.exists()


def test_a_disk_without_room_and_places_that_cannot_be_written_are_errors(
    c: Config, rosefs: Cli, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        doctor_library, "_ROOM", {"music_source_dir": 2**70, "cache_dir": 2**60, "state_dir": 0}
    )
    found = examine(rosefs, 1)
    assert [found[name][0]["level"] for name in ("music_source_dir", "cache_dir", "state_dir")] == [
        "error", "error", "ok",
    ]  # fmt: skip
