"""Settings that decide names, read again by a mount: it stores no name by any others from then on."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from rosecache.config import Config
from rosecache.database import connect
from rosecache.naming import split_names
from tests.cli.conftest import Cli
from tests.cli.mounting import mounted_in_background
from tests.support.audio import make_release, set_tags
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("need_fuse")

FIRST = "{{ releasetitle }} in {{ parent_genres | join('+') }}"
SECOND = "{{ parent_genres | join('+') }} with {{ releasetitle }}"


def test_names_are_stored_by_the_templates_and_genres_that_were_read_last(
    c: Config, rosefs: Cli, mountpoint: Path, tmp_path: Path, binding: str
) -> None:
    directory = make_release(c.music_source_dir, "R", tracks=1, artist="LOONA", album="Hash", genre="K-Pop")
    make_release(c.music_source_dir, "Other", tracks=1, artist="BLACKPINK", album="Square", genre="K-Pop")
    genres = tmp_path / "genres.toml"
    genres.write_text('[genres]\n"K-Pop" = ["Mine"]\n')
    text = f"genres_file = '{genres}'\ngenres_replace = true\n{rosefs.config.read_text()}"
    text += f"[vfs]\nmount_dir = '{mountpoint}'\n"

    def configure(template: str) -> None:
        rosefs.config.write_text(f'{text}\n[path_templates.artists]\nrelease = "{template}"\n')

    def shown() -> list[str]:
        return sorted(os.listdir(mountpoint / "Artists/LOONA"))[1:]  # without !All Tracks

    def stored() -> list[str]:
        """Returns what releases are called, if all are so by the same settings."""
        with connect(c) as connection:
            rows = connection.execute("SELECT naming, names FROM releases ORDER BY directory").fetchall()
        assert all(rows)
        if len({naming for naming, _ in rows}) > 1:
            return []
        return sorted(
            name for _, names in rows for name in split_names(names) if "Mine" in name or "Ours" in name
        )

    configure(FIRST)
    with mounted_in_background(rosefs.config, mountpoint, "--fuse", binding) as background:
        assert shown() == ["Hash in Mine"]
        assert stored() == ["Hash in Mine", "Square in Mine"]

        genres.write_text('[genres]\n"K-Pop" = ["Ours"]\n')
        set_tags(directory / "01.opus", album="Hash Hash")
        wait_until(lambda: shown() == ["Hash Hash in Mine"], background.log)
        assert stored() == ["Hash Hash in Mine", "Square in Mine"]
        assert os.listdir(mountpoint / "Genres") == ["K-Pop", "Mine"]

        os.kill(background.pid, signal.SIGHUP)
        wait_until(lambda: stored() == ["Hash Hash in Ours", "Square in Ours"], background.log)
        assert shown() == ["Hash Hash in Ours"]
        assert os.listdir(mountpoint / "Genres") == ["K-Pop", "Ours"]
        assert len(os.listdir(mountpoint / "Genres/Ours")) == 3

        configure(SECOND)
        os.kill(background.pid, signal.SIGHUP)
        wait_until(lambda: stored() == ["Ours with Hash Hash", "Ours with Square"], background.log)
        set_tags(directory / "01.opus", album="Hash")
        wait_until(lambda: shown() == ["Ours with Hash"], background.log)
        assert stored() == ["Ours with Hash", "Ours with Square"]

        genres.write_text("[genres]\n1 = 2\n")
        os.kill(background.pid, signal.SIGHUP)
        wait_until(lambda: "the old one stays in force" in background.log(), background.log)
        assert shown() == ["Ours with Hash"]
        assert stored() == ["Ours with Hash", "Ours with Square"]
