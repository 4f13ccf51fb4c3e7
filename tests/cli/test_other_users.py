"""Another user of the machine: gets nothing of a mount unless it is for others, and then what permissions give."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from rosecache.config import Config
from tests.cli.conftest import Cli
from tests.cli.mounting import mounting
from tests.support.audio import make_release

pytestmark = pytest.mark.usefixtures("need_fuse", "need_root")

NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")


def as_nobody(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*NOBODY, *map(str, command)],
        cwd="/",
        capture_output=True,
        text=True,
        errors="replace",
        timeout=60,
        check=False,
    )


@pytest.fixture
def library(c: Config) -> Config:
    make_release(c.music_source_dir, "R", tracks=1, artist="LOONA", album="Hash", title="Hi High")
    return c


@pytest.fixture
def mountpoint() -> Iterator[Path]:
    """A mount point that everybody could enter, which no directory of the tests' own is."""
    with tempfile.TemporaryDirectory(prefix="rosefs-test-") as directory:
        Path(directory).chmod(0o755)
        made = Path(directory, "mnt")
        made.mkdir()
        yield made


def test_no_other_user_gets_in(library: Config, rosefs: Cli, mountpoint: Path, binding: str) -> None:
    with mounting(
        mountpoint,
        "--config",
        rosefs.config,
        "mount",
        library.music_source_dir,
        mountpoint,
        "--fuse",
        binding,
    ):
        assert as_nobody("ls", mountpoint.parent).returncode == 0
        for command in (("ls",), ("stat",), ("touch",)):
            refused = as_nobody(*command, mountpoint / "Artists")
            assert "Permission denied" in refused.stderr, refused


@pytest.mark.parametrize(("umask", "may_read"), [("022", True), ("077", False)])
def test_with_allow_other_permissions_hold(
    library: Config, rosefs: Cli, mountpoint: Path, binding: str, umask: str, may_read: bool
) -> None:
    options = f"allow_other,umask={umask}"
    with mounting(
        mountpoint, "--config", rosefs.config, "mount", library.music_source_dir, mountpoint, "--fuse", binding,
        "-o", options,
    ):  # fmt: skip
        (release,) = (mountpoint / "Artists" / "LOONA").glob("*Hash*")
        (track,) = release.glob("*.opus")
        read = as_nobody("cat", track)
        assert (read.returncode == 0) == may_read, read.stderr
        before = track.read_bytes()
        for command in (
            ("sh", "-c", 'echo x >> "$0"', track), ("rm", track), ("mkdir", mountpoint / "Collages" / "theirs"),
            ("touch", release / "new.txt"), ("mv", track, track.with_name("x.opus")), ("chmod", "777", track),
        ):  # fmt: skip
            assert as_nobody(*command).returncode != 0, command
        assert track.read_bytes() == before
        assert sorted(path.name for path in library.music_source_dir.iterdir()) == ["R"]
