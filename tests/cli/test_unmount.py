"""Unmounting from the command line: what is meant, what is in the way, and when it is over."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from rosecache.config import Config
from rosefs import mountinfo
from rosefs.cli import running as running_module
from rosefs.cli import unmount as unmount_module
from rosefs.cli.main import cli
from rosefs.cli.running import told_of
from rosefs.fuse.kernel import mount_at
from tests.cli.conftest import Cli
from tests.cli.mounting import mounting, only_these_mounted
from tests.support.audio import make_release


@pytest.mark.usefixtures("need_fuse")
def test_what_is_in_use_is_unmounted_only_lazily(c: Config, rosefs: Cli, mountpoint: Path) -> None:
    make_release(c.music_source_dir)
    with mounting(mountpoint, "-c", rosefs.config, "mount", c.music_source_dir, mountpoint) as running:
        descriptor = os.open(mountpoint / "Releases", os.O_RDONLY)
        try:
            # mount(8): 32 is what umount ends with when it fails.
            refused = rosefs("unmount", mountpoint, status=32 if os.geteuid() == 0 else 1)
            assert refused.stderr.startswith("rosefs: error: ")
            assert f"({os.getpid()})" in refused.stderr
            assert refused.stderr.endswith(f"at once: rosefs unmount --lazy '{mountpoint}'\n")
            assert mount_at(mountpoint) is not None
            rosefs("unmount", "--lazy", mountpoint)
            assert mount_at(mountpoint) is None
            assert running.process.poll() is None
        finally:
            os.close(descriptor)
        assert running.end()[0] == 0


@pytest.mark.usefixtures("need_fuse")
def test_a_dead_mount_is_taken_away(c: Config, rosefs: Cli, mountpoint: Path) -> None:
    make_release(c.music_source_dir)
    with mounting(mountpoint, "-c", rosefs.config, "mount", c.music_source_dir, mountpoint) as running:
        os.stat(mountpoint)
        running.process.kill()
        running.end()
        assert told_of(mountpoint) is not None
        rosefs("unmount", mountpoint)
        assert told_of(mountpoint) is None
    assert mount_at(mountpoint) is None


@pytest.mark.usefixtures("need_fuse")
def test_it_returns_when_the_process_has_ended(
    c: Config, rosefs: Cli, mountpoint: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, binding: str
) -> None:
    mount: list[str | Path] = [
        "-c",
        rosefs.config,
        "mount",
        c.music_source_dir,
        mountpoint,
        "--fuse",
        binding,
    ]
    with mounting(mountpoint, *mount) as running:
        only_these_mounted(monkeypatch, tmp_path, mountpoint)
        result = rosefs("unmount")
        assert result.stdout == f"unmounted {mountpoint}\n"
        assert running.process.poll() == 0


@pytest.mark.usefixtures("need_fuse")
def test_a_process_that_goes_on_is_named(
    c: Config, rosefs: Cli, mountpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mount: list[str | Path] = ["-c", rosefs.config, "mount", c.music_source_dir, mountpoint]
    monkeypatch.setattr(unmount_module, "PATIENCE", 0)
    with mounting(mountpoint, *mount) as running:
        told = told_of(mountpoint)
        assert told is not None
        # This process never ends meanwhile, and passes for the one that serves the mount.
        this = running_module.Running(running_module.Told(
            mountpoint=str(mountpoint), source="", database="", binding="", read_only=True
        ))  # fmt: skip
        error = rosefs.error("unmount", mountpoint)
        this.close()
        assert error.startswith(
            f"{mountpoint}: is unmounted, but process {os.getpid()} that served it is still"
        )
        assert running.end()[0] == 0


def test_the_configured_mount_point_is_meant_if_there_is_one(rosefs: Cli, mountpoint: Path) -> None:
    rosefs.config.write_text(rosefs.config.read_text() + f"[vfs]\nmount_dir = '{mountpoint}'\n")
    assert rosefs.error("unmount") == f"{mountpoint}: nothing is mounted here"


def test_with_none_or_several_mounts_the_command_line_is_wrong(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("ROSEFS_CONFIG", raising=False)
    table = tmp_path / "mountinfo"
    monkeypatch.setattr(mountinfo, "_MOUNTINFO", table)
    table.write_text("42 27 0:39 / /proc rw - proc proc rw\n")
    none = CliRunner().invoke(cli, ["unmount"])
    assert none.exit_code == 2
    assert "missing MOUNTPOINT: nothing is mounted" in none.stderr
    with table.open("a") as file:
        file.write("43 27 0:40 / /mnt/a rw - fuse.rosefs /music rw,user_id=0\n")
        file.write("44 27 0:41 / /mnt/b\\040c rw - fuse.rosefs /music rw,user_id=0\n")
    several = CliRunner().invoke(cli, ["unmount"])
    assert several.exit_code == 2
    assert several.stderr.endswith("\n  rosefs unmount /mnt/a\n  rosefs unmount '/mnt/b c'\n")


def test_unmounting_what_is_not_mounted_is_an_error(rosefs: Cli, mountpoint: Path) -> None:
    assert rosefs.error("unmount", mountpoint) == f"{mountpoint}: nothing is mounted here"
