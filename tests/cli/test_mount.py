"""Mounting from the command line, end to end: a process that mounts, programs that look, and every way to stop it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner

from rosecache.config import Config
from rosefs.cli.main import cli
from rosefs.fuse.kernel import mount_at
from rosefs.fuse.mount import UnmountError, unmount
from rosefs.library.journal import Journal
from tests.cli.conftest import Cli
from tests.cli.terminal import PROGRAM
from tests.support.audio import make_release
from tests.support.library import ids_on_disk, snapshot
from tests.support.writes import WRITES

PATIENCE_SECONDS = 60


@pytest.fixture
def mountpoint(tmp_path: Path) -> Path:
    """An empty directory whose name needs quoting."""
    directory = tmp_path / "my mnt"
    directory.mkdir()
    return directory


@dataclass(frozen=True)
class Running:
    """A ``rosefs mount`` that has said that it is ready."""

    process: subprocess.Popen[str]
    said: str
    """What it wrote to stdout by then."""

    def end(self) -> tuple[int, str]:
        """Waits for it to end by itself, and returns its exit status and what it wrote to stderr."""
        _, errors = self.process.communicate(timeout=PATIENCE_SECONDS)
        return self.process.returncode, errors


@contextmanager
def mounting(
    mountpoint: Path, *args: str | Path, environment: Mapping[str, str] | None = None
) -> Iterator[Running]:
    """Runs ``rosefs`` with some arguments, which mount at ``mountpoint``, until the block ends."""
    process = subprocess.Popen(
        [*PROGRAM, *map(str, args)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
        text=True, env={**os.environ, **(environment or {})},
    )  # fmt: skip
    watchdog = threading.Timer(PATIENCE_SECONDS, process.kill)  # a mount that hangs fails, and ends
    watchdog.start()
    try:
        yield Running(process, _read_until_ready(process))
    finally:
        if mount_at(mountpoint) is not None:
            with suppress(UnmountError):
                unmount(mountpoint, lazy=True)
        process.terminate()
        with process:  # waits, and closes the pipes
            watchdog.cancel()


def _read_until_ready(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    said = ""
    while "To stop" not in said:
        line = process.stdout.readline()
        if not line:
            pytest.fail(f"the mount did not come up:\n{said}{process.communicate()[1]}")
        said += line
    return said


# From nothing to a mount --------------------------------------------------------------------------------


@pytest.mark.usefixtures("need_fuse")
def test_a_source_and_a_mountpoint_are_all_it_takes(
    c: Config, mountpoint: Path, tmp_path: Path, binding: str
) -> None:
    release = make_release(c.music_source_dir, album="Album", artist="Artist", date="2020")
    home = {
        "HOME": str(tmp_path),
        "XDG_CONFIG_HOME": str(tmp_path),
        "XDG_CACHE_HOME": str(tmp_path / "caches"),
    }
    with mounting(
        mountpoint, "mount", c.music_source_dir, mountpoint, "--fuse", binding, environment=home
    ) as running:
        assert running.said.splitlines() == [
            f"{c.music_source_dir} is mounted at {mountpoint}",
            "This version stays in the foreground.",
            f"To stop, press Ctrl-C here, or run: rosefs unmount '{mountpoint}'",
        ]
        track = mountpoint / "Artists" / "Artist" / "{NEW} Artist - 2020. Album" / "01. Track 1.opus"
        assert track.read_bytes() == (release / "01.opus").read_bytes()
        assert (tmp_path / "caches" / "rosefs").is_dir()
        running.process.send_signal(signal.SIGINT)
        status, errors = running.end()
    assert status == 0
    assert mount_at(mountpoint) is None
    assert f"rosefs has not seen {c.music_source_dir} before" in errors
    assert errors.splitlines()[-3:] == [
        "rosefs: 1 release to read",
        "rosefs: the cache is up to date: 1 seen, 1 changed, 0 evicted, 0 skipped",
        f"rosefs: unmounted {mountpoint}",
    ]
    assert None not in ids_on_disk(c.music_source_dir).values()


@pytest.mark.usefixtures("need_fuse")
def test_arguments_go_before_the_configuration(
    c: Config, rosefs: Cli, mountpoint: Path, tmp_path: Path
) -> None:
    configured = tmp_path / "configured"
    configured.mkdir()
    rosefs.config.write_text(
        rosefs.config.read_text() + f"[vfs]\nviews = ['labels']\nmount_dir = '{configured}'\n"
    )
    make_release(c.music_source_dir, label="Configured")
    make_release(tmp_path / "other", label="Given")
    with mounting(configured, "-c", rosefs.config, "mount", "--foreground") as running:
        assert os.listdir(configured / "Labels") == ["Configured"]
        assert "foreground" not in running.said
    with mounting(configured, "-c", rosefs.config, "mount", tmp_path / "other"):
        assert os.listdir(configured / "Labels") == ["Given"]
    with mounting(mountpoint, "-c", rosefs.config, "mount", tmp_path / "other", mountpoint):
        assert os.listdir(mountpoint) == ["Labels"]


@pytest.mark.usefixtures("need_fuse")
def test_problems_are_told_and_do_not_keep_it_from_mounting(c: Config, rosefs: Cli, mountpoint: Path) -> None:
    release = make_release(c.music_source_dir)
    for number in range(7):
        (release / f"broken {number}.mp3").write_bytes(b"")
    with mounting(mountpoint, "-c", rosefs.config, "mount", c.music_source_dir, mountpoint) as running:
        unmount(mountpoint)
        status, errors = running.end()
    assert status == 0
    warnings = [line for line in errors.splitlines() if line.startswith("rosefs: warning: ")]
    assert warnings[:5] == [
        f"rosefs: warning: {release}/broken {number}.mp3: the file is empty" for number in range(5)
    ]
    assert warnings[5:] == ["rosefs: warning: 2 more problems; run 'rosefs cache update' to see all"]


@pytest.mark.usefixtures("need_fuse")
def test_show_finds_what_a_path_in_the_mount_is(c: Config, rosefs: Cli, mountpoint: Path) -> None:
    make_release(c.music_source_dir, "Some Name", album="Album", artist="Artist", date="2020")
    with mounting(mountpoint, "-c", rosefs.config, "mount", c.music_source_dir, mountpoint):
        release = mountpoint / "Genres" / "Pop" / "{NEW} Artist - 2020. Album"
        track = release / "02. Track 2.opus"
        assert rosefs.json("tracks", "show", track)["tracktitle"] == "Track 2"
        for path in (release, track):
            assert rosefs.json("releases", "show", path)["source_path"] == str(
                c.music_source_dir / "Some Name"
            )
        assert rosefs.error("tracks", "show", release).startswith("there is no track")


@pytest.mark.usefixtures("need_fuse")
def test_what_is_done_on_a_mount_is_in_the_history(
    c: Config, mountpoint: Path, tmp_path: Path, binding: str
) -> None:
    release = make_release(c.music_source_dir, "Some Name", album="Album", artist="Artist", date="2020")
    home = {
        "HOME": str(tmp_path),
        "XDG_CONFIG_HOME": str(tmp_path),
        "XDG_CACHE_HOME": str(tmp_path / "caches"),
        "XDG_STATE_HOME": str(tmp_path / "states"),
        "XDG_DATA_HOME": str(tmp_path / "data"),
    }
    mount = ("mount", "--writable", "--yes", c.music_source_dir, mountpoint, "--fuse", binding)
    with mounting(mountpoint, *mount, environment=home):
        (mountpoint / "Releases/{NEW} Artist - 2020. Album/01. Track 1.opus").unlink()
        assert not (release / "01.opus").exists()
    assert [entry.title for entry in Journal(tmp_path / "states/rosefs").history()] == [
        "delete 01.opus of Artist - 2020. Album"
    ]


@pytest.mark.usefixtures("need_fuse")
@pytest.mark.parametrize("options", [(), ("--read-only",)], ids=["by default", "when asked to"])
def test_a_read_only_mount_refuses_every_change(
    c: Config, rosefs: Cli, mountpoint: Path, options: tuple[str, ...]
) -> None:
    make_release(c.music_source_dir, "Some Name", album="Album", artist="Artist", date="2020")
    mount: list[str | Path] = ["-c", rosefs.config, "mount", *options, c.music_source_dir, mountpoint]
    with mounting(mountpoint, *mount):
        before = snapshot(c.music_source_dir)
        for write in WRITES.values():
            with pytest.raises(OSError, match="Read-only file system"):
                write(
                    mountpoint / "Releases/{NEW} Artist - 2020. Album", "01. Track 1.opus", "../!All Tracks"
                )
        assert snapshot(c.music_source_dir) == before


# Every way to stop it -----------------------------------------------------------------------------------


@pytest.mark.usefixtures("need_fuse")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, "rosefs unmount"])
def test_it_ends_well_however_it_is_stopped(
    c: Config, rosefs: Cli, mountpoint: Path, how: signal.Signals | str
) -> None:
    make_release(c.music_source_dir)
    with mounting(mountpoint, "-c", rosefs.config, "mount", c.music_source_dir, mountpoint) as running:
        assert "Releases" in os.listdir(mountpoint)
        if isinstance(how, signal.Signals):
            running.process.send_signal(how)
        else:
            rosefs("unmount", mountpoint)
        assert running.end()[0] == 0
    assert mount_at(mountpoint) is None
    assert os.listdir(mountpoint) == []


@pytest.mark.usefixtures("need_fuse")
def test_what_is_in_use_is_unmounted_only_lazily(c: Config, rosefs: Cli, mountpoint: Path) -> None:
    make_release(c.music_source_dir)
    with mounting(mountpoint, "-c", rosefs.config, "mount", c.music_source_dir, mountpoint) as running:
        descriptor = os.open(mountpoint / "Releases", os.O_RDONLY)
        try:
            refused = rosefs("unmount", mountpoint, status=1)
            assert refused.stderr.startswith("rosefs: error: ")
            assert f"({os.getpid()})" in refused.stderr
            assert mount_at(mountpoint) is not None
            rosefs("unmount", "--lazy", mountpoint)
            assert mount_at(mountpoint) is None
        finally:
            os.close(descriptor)
        assert running.end()[0] == 0


@pytest.mark.usefixtures("need_fuse")
def test_a_dead_mount_is_taken_away(c: Config, rosefs: Cli, mountpoint: Path) -> None:
    make_release(c.music_source_dir)
    with mounting(mountpoint, "-c", rosefs.config, "mount", c.music_source_dir, mountpoint) as running:
        running.process.kill()
        running.end()
        assert "is a dead mount" in rosefs.error("mount", c.music_source_dir, mountpoint)
        rosefs("unmount", mountpoint)
    assert mount_at(mountpoint) is None


def test_unmounting_what_is_not_mounted_is_an_error(rosefs: Cli, mountpoint: Path) -> None:
    assert rosefs.error("unmount", mountpoint) == f"{mountpoint}: nothing is mounted here"


# What keeps it from mounting is found before anything is written ----------------------------------------


@pytest.mark.usefixtures("need_fuse")
@pytest.mark.parametrize(
    ("place", "error"),
    [
        ("missing", "there is no such directory"),
        ("full", "is not empty"),
        ("source/inside", "is inside the music directory"),
    ],
)
def test_a_bad_mountpoint_is_found_before_the_update(
    c: Config, rosefs: Cli, tmp_path: Path, place: str, error: str
) -> None:
    make_release(c.music_source_dir)
    (tmp_path / "full" / "of").mkdir(parents=True)
    (c.music_source_dir / "inside").mkdir()
    before = snapshot(tmp_path)
    assert error in rosefs.error("mount", c.music_source_dir, tmp_path / place, "--yes")
    assert snapshot(tmp_path) == before


def test_a_missing_binding_says_what_to_install(
    c: Config, rosefs: Cli, mountpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_release(c.music_source_dir)
    before = snapshot(c.music_source_dir)
    monkeypatch.setitem(sys.modules, "llfuse", None)
    result = rosefs("mount", c.music_source_dir, mountpoint, "--fuse", "llfuse", "--yes", status=1)
    assert "pip install 'rosefs[llfuse]'" in result.stderr
    assert snapshot(c.music_source_dir) == before


@pytest.mark.usefixtures("need_fuse")
def test_a_bad_template_is_found_before_the_update(c: Config, rosefs: Cli, mountpoint: Path) -> None:
    make_release(c.music_source_dir)
    before = snapshot(c.music_source_dir)
    rosefs.config.write_text(rosefs.config.read_text() + "[path_templates.labels]\nrelease = '{{ labl }}'\n")
    error = rosefs.error("mount", c.music_source_dir, mountpoint)
    assert error.startswith(f"{rosefs.config}: path_templates.labels.release: ")
    assert snapshot(c.music_source_dir) == before


def test_without_a_mountpoint_the_command_line_is_wrong(c: Config, rosefs: Cli) -> None:
    assert rosefs.error("mount", c.music_source_dir, status=2).startswith("missing MOUNTPOINT: ")


@pytest.mark.usefixtures("need_fuse")
def test_a_missing_source_is_an_error(
    c: Config, mountpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    shutil.rmtree(c.music_source_dir)
    result = CliRunner().invoke(cli, ["mount", str(c.music_source_dir), str(mountpoint)])
    assert result.exit_code == 1
    assert result.stderr.startswith(f"rosefs: error: {c.music_source_dir} does not exist")
    assert os.listdir(mountpoint) == []
