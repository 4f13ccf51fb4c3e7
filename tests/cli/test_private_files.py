"""What is made in the cache and state directories is for the user alone, also where the umask forbids nothing."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import mutagen.flac
import pytest

import rosecache
from rosecache.config import Config
from tests.cli.conftest import Cli
from tests.cli.mounting import mounted_in_background, mounting
from tests.support.audio import PICTURE, make_release
from tests.support.library import ids_on_disk, release_id_on_disk

RULES = """
rename_source_files = true
[[stored_metadata_rules]]
matcher = "genre:Pop"
actions = ["add:Dance"]
"""


@pytest.fixture(autouse=True)
def _no_mask(c: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A umask that forbids nothing, no directories yet, and a trash and a place to tell of mounts of the test's own."""
    shutil.rmtree(c.cache_dir)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "states"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    before = os.umask(0)
    yield
    os.umask(before)


def expect_private(c: Config, tmp_path: Path, after: str) -> None:
    for top in (c.cache_dir, tmp_path / "state"):
        expect_private_below(top, after)


def expect_private_below(top: Path, after: str) -> None:
    found = [top, *top.rglob("*")]
    assert len(found) > 1, f"nothing is in {top} after {after}"
    for path in found:
        allowed = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.lstat().st_mode) & ~allowed == 0, f"{path} after {after}"


@pytest.mark.usefixtures("need_fuse")
def test_what_a_mount_in_the_background_tells(
    c: Config, rosefs: Cli, tmp_path: Path, mountpoint: Path
) -> None:
    make_release(c.music_source_dir, "R", artist="LOONA")
    with mounted_in_background(rosefs.config, mountpoint, str(c.music_source_dir), str(mountpoint), "--yes"):
        rosefs("status")
        told = {path.suffix for path in (tmp_path / "states").rglob("*") if path.is_file()}
        assert told == {".json", ".lock"}
        assert list((tmp_path / "state").rglob("*.log"))
        expect_private(c, tmp_path, "mounting")
        expect_private_below(tmp_path / "states", "mounting")


def test_after_every_command(c: Config, rosefs: Cli, tmp_path: Path) -> None:
    rosefs.config.write_text(rosefs.config.read_text() + RULES)
    make_release(c.music_source_dir, "R", artist="LOONA", genre="K-Pop", cover=True, picture=PICTURE)
    album = make_release(tmp_path, "album", tracks=1)
    image = tmp_path / "image.png"
    image.write_bytes(PICTURE + b"another")
    rosefs("cache", "update")
    (source,) = (path for path in c.music_source_dir.iterdir() if path.is_dir())
    release = release_id_on_disk(source)
    track = next(iter(ids_on_disk(source).values()))
    assert track is not None
    for command in (
        ("releases", "toggle-new", release),
        ("releases", "set-cover", release, image),
        ("releases", "delete-cover", release),
        ("releases", "extract-covers", release),
        ("releases", "import", album, "--move"),
        ("rules", "run", "genre:K-Pop", "replace:Pop", "--yes"),
        ("rules", "run-stored", "--yes"),
        ("releases", "run-rule", release, "releasetitle/replace:Another", "--yes"),
        ("collages", "create", "mine"),
        ("collages", "add", "mine", release),
        ("collages", "delete", "mine"),
        ("playlists", "create", "mine"),
        ("playlists", "add", "mine", track),
        ("playlists", "set-cover", "mine", image),
        ("playlists", "rename", "mine", "yours"),
        ("undo",),
        ("releases", "create-single", track),
        ("releases", "delete", release),
        ("undo",),
        ("history",),
        ("cache", "update", "--force"),
    ):
        rosefs(*command)
        expect_private(c, tmp_path, " ".join(map(str, command)))


@pytest.mark.usefixtures("need_fuse")
def test_while_a_mount_is_written_to(
    c: Config, rosefs: Cli, tmp_path: Path, mountpoint: Path, binding: str
) -> None:
    make_release(c.music_source_dir, "R", format="flac", artist="LOONA", cover=True)
    album = make_release(tmp_path, "album", tracks=1)
    with mounting(
        mountpoint, "--config", rosefs.config, "mount", c.music_source_dir, mountpoint, "--fuse", binding
    ):
        (release,) = (mountpoint / "Artists/LOONA").glob("*LOONA*")
        first, second = sorted(release.glob("*.flac"))
        tags = mutagen.flac.FLAC(first)
        tags["title"] = "Another Title"
        tags.save()
        os.setxattr(release, "user.rosefs.new", b"false")
        (mountpoint / "Collages/C").mkdir()
        (mountpoint / "Playlists/P").mkdir()
        with (mountpoint / "Playlists/P/x.flac").open("wb") as file:
            file.write(second.read_bytes())
            file.flush()
            expect_private(c, tmp_path, "writing into a playlist")
        (album / "01.opus").rename(album / "02.opus")
        shutil.copytree(album, mountpoint / "Releases/album")
        (release / "cover.png").write_bytes(PICTURE + b"another")
        second.unlink()
        expect_private(c, tmp_path, "edits")
    expect_private(c, tmp_path, "unmounting")
    assert rosecache.list_playlists(c) == ["P"]
