"""The script of measurements runs, and measures what it says: on a tiny library, by one binding."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rosefs.mountinfo import mounts

REPOSITORY = Path(__file__).parents[1]
TINY = ("--releases", "12", "--tracks", "2", "--large-mib", "1", "--runs", "1")

ON_CACHE = ("build", "rebuild", "unchanged", "retag", "queries", "database")
ON_MOUNT = ("mount", "list", "find", "stat", "read", "readers", "tracks", "missing")


def bench(tmp_path: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "scripts.benchlib", *map(str, arguments)], cwd=REPOSITORY, check=False,
        env={**os.environ, "TMPDIR": str(tmp_path)}, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=300,
    )  # fmt: skip


def measured(tmp_path: Path, *arguments: str | Path) -> dict[str, Any]:
    """Runs the measurements, which leave nothing behind, and returns what they wrote as JSON."""
    result = tmp_path / "figures.json"
    (tmp_path / "work").mkdir()
    ran = bench(tmp_path / "work", *TINY, "--json", result, *arguments)
    assert ran.returncode == 0, ran.stderr
    assert list((tmp_path / "work").iterdir()) == []
    found: dict[str, Any] = json.loads(result.read_text())
    # A table narrower than its text breaks lines, but leaves names whole.
    assert {figure["name"] for figure in found["figures"]} <= set(ran.stdout.split())
    return found


@pytest.fixture(autouse=True)
def _no_mount_of_ours(tmp_path: Path) -> Iterator[None]:
    yield
    assert [mount for mount in mounts() if tmp_path in mount.mountpoint.parents] == []


def test_the_cache_is_measured(tmp_path: Path) -> None:
    found = measured(tmp_path, "--only", *ON_CACHE)
    assert found["library"] == {"releases": 12, "tracks": 2, "large_mib": 1}
    assert {"cores", "python", "sqlite", "kernel"} <= set(found["machine"])
    figures = found["figures"]
    assert list(dict.fromkeys(figure["name"] for figure in figures)) == list(ON_CACHE)
    for figure in figures:
        assert figure["ours"] > 0
        assert figure["unit"] in ("s", "B")
        # A query has no counterpart on a plain file system; all the rest has.
        assert (figure["plain"] is None) == (figure["name"] == "queries")
        assert figure["ratio"] == (figure["plain"] and figure["ours"] / figure["plain"])
    asked = [figure["what"].split(",")[0].split()[0] for figure in figures if figure["name"] == "queries"]
    assert {
        "get_release", "get_track", "get_tracks_of_release", "list_artists", "list_releases", "filter_releases",
        "artist_exists", "genre_exists",
    } == set(asked)  # fmt: skip


@pytest.mark.usefixtures("need_fuse")
def test_a_mount_is_measured(tmp_path: Path, binding: str) -> None:
    figures = measured(tmp_path, "--fuse", binding, "--only", *ON_MOUNT)["figures"]
    assert list(dict.fromkeys(figure["name"] for figure in figures)) == [*ON_MOUNT, "memory"]
    assert {figure["binding"] for figure in figures} == {binding}
    for figure in figures:
        assert figure["ours"] > 0
        assert (figure["plain"] is None) == (figure["name"] in ("mount", "memory"))


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--releases", "3"], "at least 12 releases"),
        (["--only", "nothing"], "invalid choice: 'nothing'"),
        (["--fuse", "other"], "invalid choice: 'other'"),
    ],
)
def test_what_cannot_be_measured_is_refused(tmp_path: Path, arguments: list[str], reason: str) -> None:
    ran = bench(tmp_path, *arguments)
    assert ran.returncode == 2
    assert reason in ran.stderr
