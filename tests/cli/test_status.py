"""What ``rosefs status`` says of mounts that live, that died, and that do not answer."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from click.testing import CliRunner

from rosecache.config import Config
from rosefs import mountinfo
from rosefs.cli.main import cli
from rosefs.fuse.kernel import mount_at
from rosefs.fuse.liveness import Liveness, liveness_of
from tests.cli.conftest import Cli
from tests.cli.mounting import mounting
from tests.support.audio import make_release
from tests.support.library import make_list, release_id_on_disk


@pytest.mark.usefixtures("need_fuse")
def test_a_mount_from_its_beginning_to_its_death(
    c: Config, rosefs: Cli, mountpoint: Path, binding: str
) -> None:
    release = make_release(c.music_source_dir, tracks=3)
    (release / "broken.mp3").write_bytes(b"")
    rosefs("cache", "update")
    make_list(c.collages_dir / "A.toml", "releases", release_id_on_disk(release))
    mount: list[str | Path] = [
        "-c",
        rosefs.config,
        "mount",
        c.music_source_dir,
        mountpoint,
        "--fuse",
        binding,
        "--no-watch",
    ]
    with mounting(mountpoint, *mount) as running:
        descriptor = os.open(mountpoint / "Releases", os.O_RDONLY)
        (shown,) = rosefs.json("status", mountpoint)
        os.close(descriptor)
        assert shown["mountpoint"] == str(mountpoint)
        assert (shown["state"], shown["source"]) == ("alive", str(c.music_source_dir))
        assert (shown["binding"], shown["pid"]) == (binding, running.process.pid)
        assert (shown["read_only"], shown["view"], shown["watcher"]) == (False, None, "off")
        assert shown["contents"] == {"releases": 1, "tracks": 3, "collages": 1, "playlists": 0}
        assert shown["problem_count"] == 1
        assert shown["problems"] == [{"path": str(release / "broken.mp3"), "reason": "the file is empty"}]
        assert f"({os.getpid()})" in " ".join(shown["used_by"])
        assert shown["since"] <= shown["updated"]

        running.process.kill()
        running.end()
        dead = rosefs("status", mountpoint, status=1).stdout
        assert "state\tdead: its process was killed; run: rosefs unmount, or mount it again\n" in dead
        assert f"source\t{c.music_source_dir}\n" in dead
        assert "contents\t1 release, 3 tracks, 1 collage, 0 playlists\n" in dead
        assert f"\n  {release}/broken.mp3: the file is empty\n" in dead
        rosefs("unmount", mountpoint)
    assert rosefs.error("status", mountpoint) == f"{mountpoint}: nothing of rosefs is mounted here"


@pytest.mark.usefixtures("need_fuse")
def test_a_mount_that_does_not_answer_hangs_nobody(c: Config, rosefs: Cli, mountpoint: Path) -> None:
    with mounting(mountpoint, "-c", rosefs.config, "mount", c.music_source_dir, mountpoint) as running:
        assert liveness_of(mountpoint) is Liveness.ALIVE
        running.process.send_signal(signal.SIGSTOP)
        try:
            assert liveness_of(mountpoint, patience=0.1) is Liveness.SILENT
        finally:
            running.process.send_signal(signal.SIGCONT)
        rosefs("unmount", "--lazy", mountpoint)  # the question may still be on its way
        assert running.end()[0] == 0


def test_without_mounts_it_says_so(rosefs: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mountinfo").write_text("42 27 0:39 / / rw,relatime shared:1 - ext4 /dev/a rw\n")
    monkeypatch.setattr(mountinfo, "_MOUNTINFO", tmp_path / "mountinfo")
    assert rosefs("status").stdout == "nothing is mounted\n"
    assert rosefs.json("status") == []


def test_it_needs_no_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mountinfo").write_text("42 27 0:39 / / rw - ext4 /dev/a rw\n")
    monkeypatch.setattr(mountinfo, "_MOUNTINFO", tmp_path / "mountinfo")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    result = CliRunner().invoke(cli, ["status"])
    assert (result.exit_code, result.stdout) == (0, "nothing is mounted\n")


def test_what_is_mounted_by_others_is_no_mount_of_rosefs(rosefs: Cli) -> None:
    assert rosefs.error("status", "/proc") == "/proc: nothing of rosefs is mounted here"
    mount = mount_at(Path("/proc"))
    assert mount is not None
    assert mount.owner is None
