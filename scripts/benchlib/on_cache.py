"""Measures the cache engine: updates beside bare mutagen and a bare walk, and the cost of queries."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import rosecache
from rosecache.config import Config
from rosecache.database import close_connections
from scripts.benchlib import programs
from scripts.benchlib.figures import Budget, Figure, least, seconds_per_call, times
from scripts.benchlib.workspace import Workspace
from tests.support.audio import set_tags
from tests.support.bulk import plan_release


def build(workspace: Workspace) -> Iterator[Figure]:
    """The first update: every file is read and gets its ids, and is on the disk when it ends. Once."""
    plain = {}
    for program in ("write", "write-flushed"):
        bare = workspace.copy()
        plain[program] = programs.run(program, bare)
        shutil.rmtree(bare)
    os.sync()
    ours = workspace.update()
    what = f"full build, ids written to {workspace.tracks} tracks"
    yield Figure("build", what, ours.seconds, plain["write"].seconds, budget=times(1.6))
    yield Figure(
        "build", "the same beside files that are flushed, too", ours.seconds, plain["write-flushed"].seconds
    )
    yield Figure("build", "peak memory of the full build", ours.peak_bytes, plain["write"].peak_bytes, "B")


def rebuild(workspace: Workspace) -> Iterator[Figure]:
    """An update with an empty cache of files that have their ids."""
    runs = []
    for _ in range(workspace.runs):
        shutil.rmtree(workspace.cache)
        ours, plain = workspace.update(), programs.run("read", workspace.source)
        runs.append((ours.seconds, plain.seconds, ours.peak_bytes, plain.peak_bytes))
    found = least(runs)
    yield Figure("rebuild", f"rebuild of {workspace.tracks} tracks", found[0], found[1], budget=times(1.6))
    yield Figure("rebuild", "peak memory of the rebuild", found[2], found[3], "B")


def unchanged(workspace: Workspace) -> Iterator[Figure]:
    """An update that finds nothing to do."""
    ours, plain = least([(workspace.update().seconds, _walk(workspace)) for _ in range(workspace.runs)])
    yield Figure("unchanged", "update with nothing changed", ours, plain, budget=times(2.5))


def retag(workspace: Workspace) -> Iterator[Figure]:
    """An update after a tagger has changed one track, and how much more that is than one that finds nothing."""
    release = plan_release(workspace.plan, 0)
    track = workspace.source / release.directory / next(iter(release.files))
    runs = []
    for run in range(workspace.runs):
        set_tags(track, title=f"Another title {run}")
        runs.append((workspace.update().seconds, workspace.update().seconds))
    ours, nothing = least(runs)
    more = max(0.0, ours - nothing)
    yield Figure("retag", "update after one retag, beyond one that finds nothing", more, budget=Budget(0.05))


def queries(workspace: Workspace) -> Iterator[Figure]:
    """Calls of the cache's functions, from a process that has its connection open."""
    c = workspace.rosefs.c
    releases = rosecache.list_releases(c)
    release = releases[len(releases) // 2]
    track = rosecache.get_tracks_of_release(c, release)[0]
    artist, genre = release.releaseartists.main[0].name, release.genres[0]
    workspace.make_lists()
    playlist, collage = rosecache.list_playlists(c)[0], rosecache.list_collages(c)[0]
    listed, collected = (
        rosecache.get_playlist_tracks(c, playlist)[-1],
        rosecache.get_collage_releases(c, collage)[-1],
    )
    calls = {
        **calls_for_one(c, release, track),
        "track_within_playlist, of a member": lambda: rosecache.track_within_playlist(c, listed.id, playlist),
        "release_within_collage, of a member": lambda: rosecache.release_within_collage(
            c, collected.id, collage
        ),
        "list_artists": lambda: rosecache.list_artists(c),
        f"list_releases, {len(releases)} of them": lambda: rosecache.list_releases(c),
        "filter_releases by artist": lambda: rosecache.filter_releases(c, release_artist_filter=artist),
        "filter_releases by genre": lambda: rosecache.filter_releases(c, genre_filter=genre),
    }
    for what, call in calls.items():
        budget = None if what.startswith(("list", "filter")) else Budget(150e-6)
        yield Figure("queries", f"{what}, per call", seconds_per_call(call), budget=budget)
    close_connections()


def calls_for_one(
    c: Config, release: rosecache.Release, track: rosecache.Track
) -> Mapping[str, Callable[[], object]]:
    """Returns the calls that are about one thing, which should cost the same in a library of any size."""
    artist, genre = release.releaseartists.main[0].name, release.genres[0]
    return {
        "get_release": lambda: rosecache.get_release(c, release.id),
        "get_track": lambda: rosecache.get_track(c, track.id),
        "get_tracks_of_release": lambda: rosecache.get_tracks_of_release(c, release),
        "artist_exists": lambda: rosecache.artist_exists(c, artist),
        "artist_exists, of none": lambda: rosecache.artist_exists(c, "nobody at all"),
        "genre_exists": lambda: rosecache.genre_exists(c, genre),
        "genre_exists, of none": lambda: rosecache.genre_exists(c, "no genre at all"),
        "track_within_release": lambda: rosecache.track_within_release(c, track.id, release.id),
        "track_within_playlist": lambda: rosecache.track_within_playlist(c, track.id, "none"),
        "release_within_collage": lambda: rosecache.release_within_collage(c, release.id, "none"),
    }


def database(workspace: Workspace) -> Iterator[Figure]:
    """The size of the cache, per track."""
    size = sum(path.stat().st_size for path in workspace.cache.rglob("*") if path.is_file())
    music = sum(_size(path) for path in workspace.source.rglob("*"))
    yield Figure(
        "database", "size of the cache, and of the music, per track",
        size / workspace.tracks, music / workspace.tracks, "B", budget=Budget(1200),
    )  # fmt: skip


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _walk(workspace: Workspace) -> float:
    return programs.run("walk", workspace.source).seconds


MEASUREMENTS: Mapping[str, Callable[[Workspace], Iterator[Figure]]] = {
    function.__name__: function for function in (build, rebuild, unchanged, retag, queries, database)
}
"""Every measurement of the cache by name, in the order in which they have to be made."""
