"""The examples of the user guide, line by line, as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

import rosecache
from rosefs.library.journal import Journal
from rosefs.library.releases import toggle_new
from tests.fuse.conftest import Workbench, wait_for
from tests.support.audio import PICTURE, make_release
from tests.support.mounts import REPOSITORY

pytestmark = pytest.mark.usefixtures("need_fuse")


def examples() -> str:
    """Returns the commands that the guide gives for gestures."""
    section = (REPOSITORY / "docs/tree.md").read_text(encoding="utf-8").partition("## Changing things")[2]
    (block,) = re.findall(r"^```sh$(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    return str(block)


def test_the_examples_of_the_guide_do_what_they_say(bench: Workbench, tmp_path: Path) -> None:
    (release,) = rosecache.filter_releases(bench.c, release_artist_filter="LOONA")
    toggle_new(bench.c, Journal(bench.state_dir), release)
    wait_for(lambda: "LOONA - 2018. Hash" in os.listdir(bench.top / "Releases"))
    home = tmp_path / "home"
    for directory in ("Pictures", "Downloads"):
        (home / directory).mkdir(parents=True)
    (home / "mnt").symlink_to(bench.top)
    for name in ("hash", "rain"):
        (home / f"Pictures/{name}.png").write_bytes(PICTURE + name.encode())
    (home / "Downloads/booklet.pdf").write_bytes(b"%PDF")
    make_release(home / "Downloads", "Demo", tracks=1)
    ran = subprocess.run(
        ["bash", "-euxc", examples()],
        env={**os.environ, "HOME": str(home)}, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    said = [line for line in ran.stderr.splitlines() if not line.startswith("+ ")]
    assert (ran.returncode, said) == (0, []), ran.stderr
    title, playlist = "LOONA - 2018. Hash", "playlist Bath"
    titles = bench.journal()[1:]
    assert titles[:17] == [
        f"write 01.flac of {title}",
        f"write cover.png of {title}",
        f"write booklet.pdf of {title}",
        f"rename booklet.pdf of {title} to scans.pdf",
        f"delete scans.pdf of {title}",
        f"mark as new: {title}",
        f"mark as not new: {title}",
        "create collage Road Trip",
        "create playlist Shower",
        "add to collage Road Trip",
        "add to playlist Shower",
        "add to playlist Shower",
        "set the cover of playlist Shower",
        "reorder playlist Shower",
        "remove from playlist Shower",
        "remove from collage Road Trip",
        "rename playlist Shower to Bath",
    ]
    assert sorted(titles[17:]) == sorted([
        f"remove from {playlist}",
        f"delete the cover of {playlist}",
        f"delete {playlist}",
        *(f"delete {name} of {title}" for name in ("01.flac", "02.flac", "cover.png", "rip.log")),
        f"delete {title}",
    ])  # fmt: skip
    bench.clock.advance(100)
    wait_for(lambda: bench.journal()[-1] == "import Demo")
    assert sorted(os.listdir(bench.source)) == ["!collages", "!playlists", "Demo", "blackpink"]
    bench.check()
