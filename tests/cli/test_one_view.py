"""A mount of one view: what is in the view is at the top, and can be changed there as it can be below the view."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from rosecache.config import Config
from rosecache.temporary import HOLD_PREFIX
from rosefs.library.journal import Journal
from tests.cli.conftest import Cli
from tests.cli.mounting import mounting
from tests.support.audio import make_release, set_tags
from tests.support.library import check_cache, snapshot

pytestmark = pytest.mark.usefixtures("need_fuse")


def run(*command: str | Path) -> None:
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stderr) == (0, ""), (command, ran)


def artists(top: Path, source: Path, album: Path) -> list[str]:
    assert sorted(os.listdir(top)) == ["BLACKPINK", "LOONA"]
    release = top / "LOONA" / "{NEW} LOONA - 2018. Hash"
    set_tags(release / "01. Track 1.opus", title="Hi High")
    assert "01. Hi High.opus" in os.listdir(release)
    run("rm", release / "02. Track 2.opus")
    assert not (source / "hash/02.opus").exists()
    with pytest.raises(PermissionError):
        os.mkdir(top / "Another")
    with pytest.raises(PermissionError):
        os.rename(top / "LOONA", top / "Loona")
    return ["write 01.opus of LOONA - 2018. Hash", "delete 02.opus of LOONA - 2018. Hash"]


def releases(top: Path, source: Path, album: Path) -> list[str]:
    assert sorted(os.listdir(top))[1:] == ["{NEW} BLACKPINK - 2016. Square", "{NEW} LOONA - 2018. Hash"]
    run("rm", "-r", top / "{NEW} LOONA - 2018. Hash")
    assert not (source / "hash").exists()
    run("cp", "-r", album, f"{top}/")
    assert "album" in os.listdir(top)
    return [
        "delete 01.opus of LOONA - 2018. Hash",
        "delete 02.opus of LOONA - 2018. Hash",
        "delete LOONA - 2018. Hash",
        "import album",  # at the latest when it is unmounted
    ]


def collages(top: Path, source: Path, album: Path) -> list[str]:
    assert os.listdir(top) == []
    run("mkdir", top / "Mix")
    run("cp", "-r", source / "hash", top / "Mix")
    assert os.listdir(top / "Mix")
    run("mv", top / "Mix", top / "Other")
    assert os.listdir(top) == ["Other"]
    return ["create collage Mix", "add to collage Mix", "rename collage Mix to Other"]


def playlists(top: Path, source: Path, album: Path) -> list[str]:
    run("mkdir", top / "Mix")
    run("cp", source / "hash/01.opus", top / "Mix")
    assert "1. LOONA - Track 1.opus" in os.listdir(top / "Mix")
    run("rm", top / "Mix/1. LOONA - Track 1.opus")
    run("rmdir", top / "Mix")
    return ["create playlist Mix", "add to playlist Mix", "remove from playlist Mix", "delete playlist Mix"]


@pytest.mark.parametrize(
    ("view", "gestures"),
    [("Artists", artists), ("releases", releases), ("Collages", collages), ("playlists", playlists)],
)
def test_gestures_where_a_view_is_at_the_top(
    c: Config,
    rosefs: Cli,
    mountpoint: Path,
    tmp_path: Path,
    binding: str,
    view: str,
    gestures: Callable[[Path, Path, Path], list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    make_release(c.music_source_dir, "hash", artist="LOONA", album="Hash", date="2018")
    make_release(c.music_source_dir, "square", artist="BLACKPINK", album="Square", date="2016")
    album = make_release(tmp_path / "downloads", "album", tracks=1)
    before = {path for path in snapshot(c.music_source_dir) if path.startswith("square/")}
    mount: list[str | Path] = ["-c", rosefs.config, "mount", c.music_source_dir, mountpoint]
    with mounting(mountpoint, *mount, "--view", view, "--fuse", binding, "--yes") as running:
        done = gestures(mountpoint, c.music_source_dir, album)
        rosefs("unmount", mountpoint)
        assert running.end()[0] == 0
    titles = [entry.title for entry in Journal(tmp_path / "state").history()]
    assert sorted(titles) == sorted(done)
    assert before <= snapshot(c.music_source_dir).keys()
    for lock in c.music_source_dir.glob(f"{HOLD_PREFIX}*/lock"):
        os.utime(lock, (0, 0))  # as if it was long ago: what was copied into a list is held for a minute
    for _ in range(2):  # files that are not held any more have another ctime since
        rosefs("cache", "update")
    check_cache(c)
