"""Measures how costs grow with the library: releases written straight into the cache, without any
files but where it is for these.

What is about one thing should cost the same in every size, what is about all should grow with their number and no
more.
"""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
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
from scripts.benchlib import programs
from scripts.benchlib.figures import Budget, Figure, least, seconds, seconds_per_call, times
from scripts.benchlib.on_cache import calls_for_one
from scripts.benchlib.on_mount import find, list_and_stat
from scripts.benchlib.workspace import Workspace, say
from tests.support.bulk import Library
from tests.support.mounts import Mounted, mounted_library
from tests.support.rows import release_row, track_row

TRACKS = 10
FLAT = 1.3
"""How many times the cost in the smallest library that of one thing may be in any."""

LINEAR = 1.5
"""How many times its cost in the size before a release may cost. Sizes are ten times each other: of what grows with
the square it would be ten times as much, and of sorting 1.2 times."""

LINEAR_BUT_FOR_MEMORY = 2.5
"""The same of what gathers ids and little else: hundreds of thousands are in no cache of the processor."""

_MATCHERS: Mapping[str, Matcher] = {
    "a rare title": Matcher(("tracktitle",), Pattern("song 3 of 77", ignore_case=True)),
    "no artist": Matcher(ALIASES["artist"], Pattern("", at_start=True, at_end=True)),
    "any tag, two letters in none": Matcher(TAGS, Pattern("zq", ignore_case=True)),
    "any tag, everything": Matcher(TAGS, Pattern("")),
}
"""By what they look for: what an index finds, what none does, and what has to be looked for everywhere."""

_JUDGED_FROM, _JUDGED_UP_TO = 200, 20_000
"""In smaller libraries the empty tables are most of the cache."""
_GROWTH_JUDGED_FROM = 2000
_WITH_FILES_UP_TO = 20_000
_VIEWS = ("Releases", "Artists", "Genres")
_AT_ONCE = 500
_ROUNDS = 8


def scale(workspace: Workspace, bindings: Sequence[str]) -> Iterator[Figure]:
    """The same calls and the same first look in libraries of several sizes."""
    libraries = {size: _library(workspace.directory / f"scale-{size}", size) for size in workspace.sizes}
    yield from _calls_for_one(libraries)
    for cost in _costs_of_all(workspace, libraries, bindings):
        yield from growth(cost, workspace.sizes, workspace.runs)
    for size, c in libraries.items():
        used = sum(path.stat().st_size for path in c.cache_dir.rglob("*") if path.is_file())
        yield Figure(
            "scale",
            f"database per track, {size} releases",
            used / size / TRACKS,
            unit="B",
            budget=Budget(1200) if size >= _JUDGED_FROM else None,
        )
        for binding in bindings:
            yield _first_look(c, binding, size)
    close_connections()
    for c in libraries.values():
        shutil.rmtree(c.cache_dir.parent)


# What is about all of a library ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Cost:
    """What is done with a whole library.

    Attributes:
        what: What it is.
        take: Does it in the library of a size, and returns the seconds.
        limit: How many times the cost of a release in the size before it may be in any.
        up_to: The size from which on it takes too long.
        binding: Which binding serves the mount; empty if there is none.
    """

    what: str
    take: Callable[[int], float]
    limit: float = LINEAR
    up_to: int = 100_000
    binding: str = ""


def growth(cost: Cost, sizes: Sequence[int], runs: int) -> Iterator[Figure]:
    """Takes a cost in all sizes in turns: what a release costs, beside what it costs in the size before.

    Beside a small library, of which all is in the caches and most of the work is to begin, nothing is judged.
    """
    sizes = [size for size in sizes if size <= cost.up_to]
    say(f"{cost.what} in {len(sizes)} sizes")
    took = least([[cost.take(size) / size for size in sizes] for _ in range(runs)])
    smaller = itertools.chain([(0, None)], zip(sizes, took, strict=True))
    for size, each, (size_before, before) in zip(sizes, took, smaller, strict=False):
        yield Figure(
            "scale", f"{cost.what}, per release, {size} releases", each, before, binding=cost.binding,
            budget=times(cost.limit) if size_before >= _GROWTH_JUDGED_FROM else None,
        )  # fmt: skip


def _costs_of_all(
    workspace: Workspace, libraries: Mapping[int, Config], bindings: Sequence[str]
) -> Iterator[Cost]:
    for what, matcher in _MATCHERS.items():
        yield Cost(
            f"tracks matched, {what}", partial(_matching, libraries, matcher), limit=LINEAR_BUT_FOR_MEMORY
        )
    yield Cost("update with nothing changed", partial(_updating, workspace), up_to=_WITH_FILES_UP_TO)
    for binding in bindings:
        for view in _VIEWS:
            take = partial(_looking, libraries, binding, view, list_and_stat)
            yield Cost(f"{view} listed and stated first", take, binding=binding)
        if binding == bindings[0]:  # that is enough of what takes so long
            take = partial(_looking, libraries, binding, ".", find)
            yield Cost("find over all releases", take, up_to=_WITH_FILES_UP_TO, binding=binding)


def _matching(libraries: Mapping[int, Config], matcher: Matcher, size: int) -> float:
    return min(seconds(partial(track_ids_of, libraries[size], matcher)) for _ in range(3))


def _updating(workspace: Workspace, size: int) -> float:
    """Updates a library of files, of one track a release, as that of ``idle`` is."""
    name = "idle" if size == workspace.idle_releases else f"files-{size}"
    c = workspace.other(name, Library(size, 1)).c
    if not c.cache_dir.exists():
        programs.run("update", c.music_source_dir, c.cache_dir)
    return programs.run("update", c.music_source_dir, c.cache_dir).seconds


def _looking(
    libraries: Mapping[int, Config], binding: str, below: str, look: Callable[[Path], None], size: int
) -> float:
    """Looks at a part of a mount that nobody has asked anything yet."""
    with _mount(libraries[size], binding) as mounted:
        return seconds(lambda: look(mounted.path / below))


def _mount(c: Config, binding: str) -> AbstractContextManager[Mounted]:
    return mounted_library(c, c.cache_dir.parent, binding, hard_limit=600)


# What is about one thing ----------------------------------------------------------------------------------


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


def _first_look(c: Config, binding: str, size: int) -> Figure:
    with _mount(c, binding) as mounted:
        releases = mounted.path / "Releases"
        names = [name for name in sorted(os.listdir(releases)) if not name.startswith("!")]
        release = names[len(names) // 2]
        track = f"Releases/{release}/{sorted(os.listdir(releases / release))[0]}"

    def look() -> float:
        with _mount(c, binding) as mounted:
            return seconds(lambda: os.stat(mounted.path / track))

    judged = Budget(0.06) if binding == "pyfuse3" and size <= _JUDGED_UP_TO else None
    took = min(look() for _ in range(3 if judged else 1))
    return Figure(
        "scale", f"stat of one track in a new mount, {size} releases", took, binding=binding, budget=judged
    )
