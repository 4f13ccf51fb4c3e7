"""Measures how costs grow with the library: releases written straight into the cache, without any files.

What is about one thing should cost the same in every size, what is about all grows with their number.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import rosecache
from rosecache.config import Config
from rosecache.database import close_connections, connect, transaction
from rosecache.update.naming import names_of
from rosecache.update.rows import ReleaseRow
from rosecache.update.store import store_release
from rosefs.rules.matching import track_ids_of
from rosefs.rules.model import ALIASES, TAGS, Matcher, Pattern
from scripts.benchlib.figures import Budget, Figure, least, seconds, seconds_per_call, times
from scripts.benchlib.on_cache import calls_for_one
from scripts.benchlib.workspace import Workspace, say
from tests.support.mounts import Mounted, mounted_library
from tests.support.rows import release_row, track_row

TRACKS = 10
FLAT = 1.3
"""How many times the cost in the smallest library that of one thing may be in any."""

_MATCHERS: Mapping[str, Matcher] = {
    "a rare title": Matcher(("tracktitle",), Pattern("song 3 of 77", ignore_case=True)),
    "no artist": Matcher(ALIASES["artist"], Pattern("", at_start=True, at_end=True)),
    "any tag, two letters in none": Matcher(TAGS, Pattern("zq", ignore_case=True)),
    "any tag, everything": Matcher(TAGS, Pattern("")),
}
"""By what they look for: what an index finds, what none does, and what has to be looked for everywhere."""

_JUDGED_FROM, _JUDGED_UP_TO = 200, 20_000
"""In smaller libraries the empty tables are most of the cache."""
_AT_ONCE = 500
_ROUNDS = 8


def scale(workspace: Workspace, bindings: Sequence[str]) -> Iterator[Figure]:
    """The same calls and the same first look in libraries of several sizes."""
    libraries = {size: _library(workspace.directory / f"scale-{size}", size) for size in workspace.sizes}
    yield from _calls_for_one(libraries)
    for size, c in libraries.items():
        for what, matcher in _MATCHERS.items():
            took = min(seconds(partial(track_ids_of, c, matcher)) for _ in range(3))
            yield Figure("scale", f"tracks matched, {what}, {size} releases", took)
        used = sum(path.stat().st_size for path in c.cache_dir.rglob("*") if path.is_file())
        yield Figure(
            "scale",
            f"database per track, {size} releases",
            used / size / TRACKS,
            unit="B",
            budget=Budget(1200) if size >= _JUDGED_FROM else None,
        )
        for binding in bindings:
            yield from _on_mount(c, c.cache_dir.parent, binding, size)
    close_connections()
    for c in libraries.values():
        shutil.rmtree(c.cache_dir.parent)


def _library(directory: Path, size: int) -> Config:
    say(f"a cache of {size} releases")
    c = Config(music_source_dir=directory / "source", cache_dir=directory / "cache")
    fill(c, size)
    return c


def _calls_for_one(libraries: Mapping[int, Config]) -> Iterator[Figure]:
    """Calls each function in all sizes in turns, so that what else the machine does meets all of them."""
    calls = {size: _calls(c) for size, c in libraries.items()}
    smallest = min(calls)
    for what in calls[smallest]:
        rounds = [
            [seconds_per_call(calls[size][what], at_least=0.05) for size in calls] for _ in range(_ROUNDS)
        ]
        took = dict(zip(calls, least(rounds), strict=True))
        for size, cost in took.items():
            is_first, is_judged = size == smallest, smallest < size <= _JUDGED_UP_TO
            yield Figure(
                "scale",
                f"{what}, {size} releases",
                cost,
                None if is_first else took[smallest],
                budget=times(FLAT) if is_judged else None,
            )


def fill(c: Config, size: int) -> None:
    """Stores releases of ten tracks each, with names, artists and labels as a library of that size has."""
    c.music_source_dir.mkdir(parents=True)
    with connect(c) as connection:
        for start in range(0, size, _AT_ONCE):
            with transaction(connection):
                for number in range(start, min(size, start + _AT_ONCE)):
                    row = _release(number, size)
                    store_release(connection, row, None, names_of(c, row))


def _release(number: int, size: int) -> ReleaseRow:
    artist = f"Artist {number * 7919 % max(1, size // 3)}"
    return release_row(
        f"{number:08x}-0000-7000-8000-000000000000",
        directory=f"{number:06} {artist} - Album {number}".encode(),
        title=f"Album {number}", artists={"main": [artist]}, genres=[f"Genre {number % 40}"],
        labels=[f"Label {number % max(1, size // 10)}"], mtime=1_700_000_000_000_000_000 + number,
        tracks=[
            track_row(
                f"{number:08x}-0000-7000-8000-{track:012x}", str(track), title=f"Song {track} of {number}",
                artists={"main": [artist]}, path=f"{track:02}.opus".encode(), mtime=1_700_000_000_000_000_000,
            )
            for track in range(1, TRACKS + 1)
        ],
    )  # fmt: skip


def _calls(c: Config) -> Mapping[str, Callable[[], object]]:
    releases = rosecache.list_releases(c)
    release = releases[len(releases) // 2]
    return calls_for_one(c, release, rosecache.get_tracks_of_release(c, release)[0])


def _on_mount(c: Config, directory: Path, binding: str, size: int) -> Iterator[Figure]:
    def mount() -> AbstractContextManager[Mounted]:
        return mounted_library(c, directory, binding, hard_limit=600)

    def first_look(path: str) -> float:
        with mount() as mounted:
            return seconds(lambda: os.stat(mounted.path / path))

    with mount() as mounted:
        releases = mounted.path / "Releases"
        listed = seconds(lambda: [os.stat(releases / name) for name in os.listdir(releases)])
        names = [name for name in sorted(os.listdir(releases)) if not name.startswith("!")]
        release = names[len(names) // 2]
        track = f"Releases/{release}/{sorted(os.listdir(releases / release))[0]}"
    yield Figure(
        "scale", f"Releases listed and stated, per entry, {size} releases", listed / size, binding=binding
    )
    judged = Budget(0.06) if binding == "pyfuse3" and size <= _JUDGED_UP_TO else None
    took = min(first_look(track) for _ in range(3 if judged else 1))
    yield Figure(
        "scale", f"stat of one track in a new mount, {size} releases", took, binding=binding, budget=judged
    )
