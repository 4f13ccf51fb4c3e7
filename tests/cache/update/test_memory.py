"""Releases whose files are each as heavy as a file may be: an update's memory does not grow with their number."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rosecache.config import Config
from rosecache.database import connect
from rosecache.update import update_cache
from tests.support.breaking import audio_with
from tests.support.probing import MOST_MEMORY, Probe

FILES = 60
"""Of 4 MB each: more than the process may have."""

HEAVY = {"title": (b"title", b"x" * 900_000), "picture": (b"metadata_block_picture", b"A" * 4_000_000)}


@pytest.fixture
def probe() -> Iterator[Probe]:
    with Probe() as running:
        yield running


def update(source: Path, cache: Path) -> tuple[int, set[str]]:
    """Updates by this process alone, and returns how many tracks there are then and what is wrong with others."""
    c = Config(music_source_dir=source, cache_dir=cache, max_proc=1)
    report = update_cache(c)
    with connect(c) as connection:
        (tracks,) = connection.execute("SELECT count(*) FROM tracks").fetchone()
    return tracks, {each.reason for each in report.problems}


@pytest.mark.parametrize("releases", [1, 20])
@pytest.mark.parametrize("kind", HEAVY)
def test_heavy_releases(kind: str, releases: int, probe: Probe, tmp_path: Path) -> None:
    content = audio_with("opus", [(b"album", b"Heavy"), HEAVY[kind]])
    for number in range(FILES):
        path = tmp_path / f"source/{number % releases}/{number}.opus"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    measured = probe.measure(update, tmp_path / "source", tmp_path / "cache")
    assert measured.problem == ""
    assert measured.memory < MOST_MEMORY, f"{measured.memory:,} bytes"
    tracks, problems = measured.result
    if (kind, releases) == ("title", 1):
        assert tracks == 16 * 2**20 // 900_005
        assert problems == {"the fields of this release's files hold more than 16 MiB of text"}
    else:
        assert (tracks, problems) == (FILES, set())
