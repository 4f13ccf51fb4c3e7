"""The demonstration script, as somebody with a fresh checkout runs it: without a terminal, and on one."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import skip_or_fail
from tests.support.library import ids_on_disk

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def demo(tmp_path: Path) -> Path:
    """The script, where it can be run: its own environment has to be there."""
    if shutil.which("ffmpeg") is None:
        skip_or_fail("ffmpeg is missing")
    if not (REPOSITORY / ".venv/rosefs-setup").exists():
        skip_or_fail("scripts/setup has not been run in this checkout")
    return REPOSITORY / "scripts/demo"


def run(demo: Path, tmp_path: Path, *args: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [demo, *args], cwd="/", env={**os.environ, "TMPDIR": str(tmp_path)}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip


@pytest.mark.usefixtures("need_fuse")
def test_the_demo_shows_a_library_and_cleans_up(demo: Path, tmp_path: Path) -> None:
    ran = run(demo, tmp_path)
    assert ran.returncode == 0, ran.stderr
    for shown in (
        "seen      9",
        "├── Releases - New",
        "│   └── After Dark",
        "├── {NEW} Finchwave - 2015. Terminal Plaza",
        "├── 02. Slow Antenna.lrc",
        "└── cover.jpg",
        "rosefs unmount ",
    ):
        assert shown in ran.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("need_fuse")
def test_the_demo_keeps_a_directory_that_it_was_given(demo: Path, tmp_path: Path) -> None:
    directory = tmp_path / 'it\'s a "demo"'
    first = run(demo, tmp_path, directory)
    assert first.returncode == 0, first.stderr
    ids = ids_on_disk(directory / "music")
    assert {Path(path).suffix for path in ids} == {".mp3", ".m4a", ".ogg", ".opus", ".flac"}
    assert list((directory / "mnt").iterdir()) == []
    second = run(demo, tmp_path, directory)
    assert second.returncode == 0, second.stderr
    assert "changed   0" in second.stdout
    assert ids_on_disk(directory / "music") == ids


def test_the_demo_leaves_other_directories_alone(demo: Path, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("x")
    ran = run(demo, tmp_path, tmp_path)
    assert ran.returncode == 1
    assert "is not empty, and no directory of this demo" in ran.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]
