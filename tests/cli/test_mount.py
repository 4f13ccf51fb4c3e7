"""Mounting from the command line, end to end: a process that mounts, programs that look, and every way to stop it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from rosecache.config import Config
from rosefs.cli.main import cli
from rosefs.fuse.kernel import mount_at
from rosefs.fuse.mount import unmount
from rosefs.library.journal import Journal
from tests.cli.conftest import Cli
from tests.cli.mounting import mounting
from tests.support.audio import make_release
from tests.support.library import ids_on_disk, snapshot
from tests.support.writes import WRITES

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
    with mounting(configured, "-c", rosefs.config, "mount"):
        assert os.listdir(configured / "Labels") == ["Configured"]
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
    mount = ("mount", "--yes", c.music_source_dir, mountpoint, "--fuse", binding)
    with mounting(mountpoint, *mount, environment=home):
        (mountpoint / "Releases/{NEW} Artist - 2020. Album/01. Track 1.opus").unlink()
        assert not (release / "01.opus").exists()
    assert [entry.title for entry in Journal(tmp_path / "states/rosefs").history()] == [
        "delete 01.opus of Artist - 2020. Album"
    ]


@pytest.mark.usefixtures("need_fuse")
def test_a_read_only_mount_refuses_every_change(c: Config, rosefs: Cli, mountpoint: Path) -> None:
    make_release(c.music_source_dir, "Some Name", album="Album", artist="Artist", date="2020")
    mount: list[str | Path] = ["-c", rosefs.config, "mount", "--read-only", c.music_source_dir, mountpoint]
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


# What keeps it from mounting is found before anything is written ----------------------------------------


@pytest.mark.usefixtures("need_fuse")
@pytest.mark.parametrize(
    ("place", "error"),
    [
        ("missing", "there is no such directory"),
        ("full", "is not empty"),
        ("source/inside", "is inside the music directory"),
        ("source", "is the music directory itself"),
        (".", "holds the music directory"),
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
    assert f"{sys.executable} -m pip install llfuse " in result.stderr
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
    result = CliRunner().invoke(cli, ["mount", "--foreground", str(c.music_source_dir), str(mountpoint)])
    assert result.exit_code == 1
    assert result.stderr.startswith(f"rosefs: error: {c.music_source_dir} does not exist")
    assert os.listdir(mountpoint) == []


# What is left of the update ----------------------------------------------------------------------------------

USING_MEMORY = """
import re, sys
from pathlib import Path
from rosefs.cli import main, serving

def taken():
    return int(re.search(r"RssAnon:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])

def update(c, also_tell):
    global kept, most
    report = update_announced(c, also_tell=also_tell)
    names = [bytes(1000) for _ in range(50_000)]
    kept, most = names.pop(), taken()
    return report

update_announced = serving.update_announced
serving.update_announced = update
serving.serve = lambda *_, **__: print(most, taken())
main.main()
"""
"""``rosefs``, with an update that takes 50 MB for a moment, and prints the kB taken by then and when it is to serve."""


@pytest.mark.usefixtures("need_fuse")
def test_what_the_update_took_is_given_back_before_it_serves(
    c: Config, rosefs: Cli, mountpoint: Path
) -> None:
    if "CS_GNU_LIBC_VERSION" not in os.confstr_names:
        pytest.skip("only glibc gives memory back")
    arguments = ["--config", rosefs.config, "mount", c.music_source_dir, mountpoint, "--foreground", "--yes"]
    ran = subprocess.run(
        [sys.executable, "-c", USING_MEMORY, *map(str, arguments)],
        env={**os.environ, "PYTHONMALLOC": "malloc"},
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    most, left = map(int, ran.stdout.split())
    assert left < most - 40_000
