"""Another user of the machine: gets nothing of a mount unless it is for others, and then what permissions give."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rosecache.config import Config
from tests.cli.conftest import Cli
from tests.cli.mounting import mounting
from tests.support.audio import make_release
from tests.support.library import exact_snapshot

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


@contextmanager
def mounted_for_others(
    library: Config, rosefs: Cli, mountpoint: Path, binding: str, umask: str
) -> Iterator[None]:
    """Mounts the library for other users, too, while the block runs."""
    with mounting(
        mountpoint, "--config", rosefs.config, "mount", library.music_source_dir, mountpoint, "--fuse", binding,
        "-o", f"allow_other,umask={umask}",
    ):  # fmt: skip
        yield


def tree(mountpoint: Path) -> list[str]:
    return sorted(str(path) for path in mountpoint.rglob("*"))


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


@pytest.mark.parametrize(("umask", "may_read"), [("022", True), ("027", False), ("077", False)])
def test_with_allow_other_permissions_hold(
    library: Config, rosefs: Cli, mountpoint: Path, binding: str, umask: str, may_read: bool
) -> None:
    with mounted_for_others(library, rosefs, mountpoint, binding, umask):
        (release,) = (mountpoint / "Artists" / "LOONA").glob("*Hash*")
        (track,) = release.glob("*.opus")
        read = as_nobody("cat", track)
        assert (read.returncode == 0) == may_read, read.stderr
        listed = as_nobody("find", mountpoint)
        assert (listed.returncode == 0) == may_read, listed.stderr
        assert (str(track) in listed.stdout.splitlines()) == may_read


WRITES: dict[str, Callable[[Path, Path], tuple[str | Path, ...]]] = {
    "appending to a track": lambda top, track: ("sh", "-c", 'echo x >> "$0"', track),
    "cutting off a track": lambda top, track: ("truncate", "-s", "5", track),
    "copying into a release": lambda top, track: ("cp", "/etc/passwd", track.parent),
    "copying over a track": lambda top, track: ("cp", "/etc/passwd", track),
    "a new file": lambda top, track: ("touch", track.parent / "new.txt"),
    "removing a track": lambda top, track: ("rm", "-f", track),
    "removing a release": lambda top, track: ("rm", "-rf", track.parent),
    "renaming a track": lambda top, track: ("mv", track, track.with_name("x.opus")),
    "other permissions": lambda top, track: ("chmod", "777", track),
    "other times": lambda top, track: ("touch", "-d", "@1", track),
    "an attribute of a release": lambda top, track: ("setfattr", "-n", "user.rosefs.new", "-v", "false", track.parent),
    "an import": lambda top, track: ("mkdir", top / "Releases/theirs"),
    "a new playlist": lambda top, track: ("mkdir", top / "Playlists/theirs"),
    "a new collage": lambda top, track: ("mkdir", top / "Collages/theirs"),
    "adding to a playlist": lambda top, track: ("cp", track, top / "Playlists/Mix"),
    "adding to a collage": lambda top, track: ("mkdir", top / "Collages/Both" / track.parent.name),
    "renaming a playlist": lambda top, track: ("mv", top / "Playlists/Mix", top / "Playlists/theirs"),
    "removing a playlist": lambda top, track: ("rm", "-rf", top / "Playlists/Mix"),
    "removing a collage": lambda top, track: ("rmdir", top / "Collages/Both"),
}  # fmt: skip


def test_with_allow_other_nobody_else_changes_anything(
    library: Config, rosefs: Cli, mountpoint: Path, binding: str
) -> None:
    with mounted_for_others(library, rosefs, mountpoint, binding, "022"):
        (track,) = (mountpoint / "Artists" / "LOONA").glob("*Hash*/*.opus")
        (mountpoint / "Playlists/Mix").mkdir()
        (mountpoint / "Collages/Both").mkdir()
        before, shown = exact_snapshot(library.music_source_dir), tree(mountpoint)
        for what, command in WRITES.items():
            refused = as_nobody(*command(mountpoint, track))
            assert refused.returncode != 0, what
            assert "ermission denied" in refused.stderr or "not permitted" in refused.stderr, refused
        assert exact_snapshot(library.music_source_dir) == before
        assert tree(mountpoint) == shown


def test_others_may_write_where_the_permissions_that_are_shown_say_so(
    library: Config, rosefs: Cli, mountpoint: Path, binding: str
) -> None:
    with mounted_for_others(library, rosefs, mountpoint, binding, "000"):
        made = as_nobody("mkdir", mountpoint / "Playlists" / "theirs")
        assert made.returncode == 0, made.stderr
        assert (library.playlists_dir / "theirs.toml").exists()
