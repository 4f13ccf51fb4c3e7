"""The script of measurements runs, and measures what it says: on a tiny library, by one binding."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from rosefs.mountinfo import mounts
from scripts.benchlib.figures import Budget, Figure, times
from scripts.benchlib.on_scale import Cost, growth

REPOSITORY = Path(__file__).parents[1]
TINY = ("--quick", "--releases", "12", "--tracks", "2", "--large-mib", "1", "--runs", "1")

ON_CACHE = ("build", "rebuild", "unchanged", "retag", "queries", "database", "commands")
ON_MOUNT = (
    "list",
    "find",
    "stat",
    "missing",
    "read",
    "readers",
    "tracks",
    "mount",
    "slow",
    "memory",
    "idle",
    "scale",
)
BY_EITHER = ("list", "tracks", "mount", "slow", "memory", "scale")
"""Of these, what llfuse is tried with too: all by the same code, so one of each kind."""
ALONE = ("queries", "retag", "commands")
"""What has no counterpart on a plain file system."""


def bench(tmp_path: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "scripts.benchlib", *map(str, arguments)], cwd=REPOSITORY, check=False,
        env={**os.environ, "TMPDIR": str(tmp_path)}, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=300,
    )  # fmt: skip


def measured(tmp_path: Path, *arguments: str | Path) -> dict[str, Any]:
    """Runs the measurements, which leave nothing behind, and returns what they wrote as JSON."""
    result = tmp_path / "figures.json"
    work = Path(tempfile.mkdtemp())  # not below tmp_path, where the names of sockets can get too long
    ran = bench(work, *TINY, "--json", result, *arguments)
    assert ran.returncode in (0, 1), ran.stderr
    assert result.exists(), ran.stderr
    work.rmdir()  # which fails if there is anything left in it
    found: dict[str, Any] = json.loads(result.read_text())
    # Of a library this small the figures say nothing, but what they say is said everywhere.
    verdicts = [figure["verdict"] for figure in found["figures"]]
    assert ran.returncode == ("missed" in verdicts)
    judged = len(verdicts) - verdicts.count("")
    assert ran.stdout.endswith(f"{verdicts.count('met')} of {judged} budgets are met\n")
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
        assert figure["ours"] > 0 or figure["name"] == "retag"  # what is next to nothing can be less
        assert figure["unit"] in ("s", "B")
        assert (figure["plain"] is None) == (figure["name"] in ALONE)
        assert figure["ratio"] == (figure["plain"] and figure["ours"] / figure["plain"])
    asked = [figure["what"].split(",")[0].split()[0] for figure in figures if figure["name"] == "queries"]
    assert {
        "get_release", "get_track", "get_tracks_of_release", "list_artists", "list_releases", "filter_releases",
        "artist_exists", "genre_exists", "track_within_release", "track_within_playlist", "release_within_collage",
    } == set(asked)  # fmt: skip


@pytest.mark.usefixtures("need_fuse")
def test_a_mount_is_measured(tmp_path: Path, binding: str) -> None:
    table, drawing = tmp_path / "table.md", tmp_path / "growth.svg"
    written = ("--markdown", table, "--plot", drawing)
    names = ON_MOUNT if binding == "pyfuse3" else BY_EITHER
    figures = measured(tmp_path, "--fuse", binding, *written, "--only", *names)["figures"]
    assert {f"| `{name}` |" in table.read_text() for name in names if name != "scale"} == {True}
    assert "| releases | 20 | 200 |" in table.read_text()
    lines = ElementTree.parse(drawing).findall("{http://www.w3.org/2000/svg}polyline")
    assert {len(line.attrib["points"].split()) for line in lines} == {2}
    assert list(dict.fromkeys(figure["name"] for figure in figures)) == list(names)
    assert {figure["binding"] for figure in figures} <= {binding, ""}
    for figure in figures:
        if figure["name"] in ("list", "find", "stat", "missing", "read", "readers", "tracks"):
            assert figure["ours"] > 0
            assert figure["plain"] > 0
            assert (figure["budget"] is None) == (binding == "llfuse" or figure["name"] == "readers")


def test_only_who_asks_for_it_has_the_kernel_forget_everything() -> None:
    """It takes the names of all mounts of the machine with it, also of those that are tested just then."""
    way = "/proc/sys/vm" + "/drop_caches"
    sources = [path for part in ("scripts", "tests") for path in (REPOSITORY / part).rglob("*.py")]
    users = [path.relative_to(REPOSITORY) for path in sources if way in path.read_text()]
    assert users == [Path("scripts/benchlib/workspace.py")]


def test_a_budget_is_of_a_figure_or_of_how_many_times_the_plain_one_it_is() -> None:
    assert Figure("a", "b", 3.0, 2.0, budget=times(1.5)).verdict == "met"
    assert Figure("a", "b", 3.1, 2.0, budget=times(1.5)).verdict == "missed"
    assert Figure("a", "b", 3.0, 1.0, budget=Budget(3.0)).verdict == "met"
    assert Figure("a", "b", 3.1, 9.0, budget=Budget(3.0)).verdict == "missed"
    assert Figure("a", "b", 3.0, 2.0).verdict == ""


def test_what_is_about_all_may_grow_with_their_number_and_no_more() -> None:
    def verdicts(take: Callable[[int], float]) -> list[str]:
        return [figure.verdict for figure in growth(Cost("a", take), (200, 2000, 20_000), 1)]

    assert verdicts(lambda size: 7e-6 * size) == ["", "", "met"]
    assert verdicts(lambda size: 1.0 + 7e-6 * size * math.log(size)) == ["", "", "met"]
    assert verdicts(lambda size: 7e-6 * size * math.sqrt(size)) == ["", "", "missed"]
    few = growth(Cost("a", float, up_to=2000), (200, 2000, 20_000), 1)
    assert [figure.what for figure in few] == [
        "a, per release, 200 releases",
        "a, per release, 2000 releases",
    ]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--releases", "3"], "at least 12 releases"),
        (["--only", "nothing"], "invalid choice: 'nothing'"),
        (["--plot", "a.svg", "--only", "build"], "which --only leaves out"),
        (["--fuse", "other"], "invalid choice: 'other'"),
    ],
)
def test_what_cannot_be_measured_is_refused(tmp_path: Path, arguments: list[str], reason: str) -> None:
    ran = bench(tmp_path, *arguments)
    assert ran.returncode == 2
    assert reason in ran.stderr
