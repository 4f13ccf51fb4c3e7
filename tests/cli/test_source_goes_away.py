"""A disk that goes away under a mount, as one that is pulled: nothing is evicted, and all is well when it is back."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from rosecache.config import Config
from rosecache.query.tracks import list_tracks
from tests.cli.conftest import Cli
from tests.cli.mounting import mounting
from tests.support.audio import make_release
from tests.support.disks import small_disk
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("need_fuse", "need_root")


@pytest.fixture
def disk(c: Config, tmp_path: Path) -> Iterator[Path]:
    """A disk at the source directory, which stays mounted at the place that is returned."""
    with small_disk(tmp_path / "disk") as elsewhere:
        subprocess.run(["mount", "--bind", str(elsewhere), str(c.music_source_dir)], check=True)
        try:
            yield elsewhere
        finally:
            subprocess.run(["umount", "--lazy", str(c.music_source_dir)], check=False)


def test_a_disk_that_is_pulled_and_comes_back(
    c: Config, rosefs: Cli, mountpoint: Path, disk: Path, binding: str
) -> None:
    make_release(c.music_source_dir, "R", tracks=2, artist="LOONA", album="Hash")
    arguments = ("--config", rosefs.config, "mount", c.music_source_dir, mountpoint, "--fuse", binding)
    with mounting(mountpoint, *arguments):
        (shown,) = (mountpoint / "Artists" / "LOONA").glob("*Hash*")
        track = next(path for path in shown.iterdir() if "Track 1" in path.name)
        content = track.read_bytes()
        subprocess.run(["umount", "--lazy", str(c.music_source_dir)], check=True)
        assert os.listdir(mountpoint / "Artists") == ["LOONA"]
        with pytest.raises(OSError, match=r"No such file|Input/output"):
            os.open(
                track.with_name(next(p.name for p in shown.iterdir() if "Track 2" in p.name)), os.O_RDONLY
            )
        assert "nothing was removed" in rosefs("cache", "update").stdout
        assert len(list_tracks(c)) == 2
        subprocess.run(["mount", "--bind", str(disk), str(c.music_source_dir)], check=True)
        wait_until(lambda: track.exists() and track.read_bytes() == content)
        rosefs("cache", "update")
        assert len(list_tracks(c)) == 2
