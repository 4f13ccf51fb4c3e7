"""Bringing the cache up to date with some places, in a worker thread of the watcher.

Decides which of them can be looked at now, and which somebody seems to be writing still; what an update does is the
engine's. Knows nothing of events or of time.
"""

from __future__ import annotations

import fcntl
import os
import signal
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import msgspec

from rosecache import (
    update_cache,
    update_cache_for_collages,
    update_cache_for_playlists,
    update_cache_for_releases,
)
from rosecache.config import Config
from rosecache.database import connect
from rosecache.update import Report
from rosecache.update.content import audio_files
from rosecache.update.walk import list_files
from rosefs.watch.gathering import Ripe
from rosefs.watch.places import EVERYTHING, Place


class Outcome(msgspec.Struct):
    """What came of looking at some places."""

    report: Report = msgspec.field(default_factory=Report)
    in_writing: list[Ripe] = msgspec.field(default_factory=list)
    """New releases that were left alone."""
    unfinished: list[Ripe] = msgspec.field(default_factory=list)
    """What the update left for later, or had a problem with."""


def bring_up_to_date(c: Config, ripe: Sequence[Ripe], check_cancelled: Callable[[], None]) -> Outcome:
    """Makes the cache match the disk in some places, and in whatever lists depend on them.

    Args:
        c: The settings.
        ripe: The places.
        check_cancelled: Called now and then; may raise, which ends the update between two releases.

    Raises:
        As the updates of the engine do.
    """
    outcome = Outcome()

    def progress(_done: int, _total: int) -> None:
        check_cancelled()

    if any(one.place == EVERYTHING for one in ripe):
        _note(outcome, update_cache(c, progress=progress), [one for one in ripe if one.place == EVERYTHING])
    releases = _of_kind(ripe, "release")
    if releases:
        known = _known(c, (one.place.name for one in releases))
        ready = []
        for one in releases:
            if one.place.name in known or not _may_be_in_writing(c, one):
                ready.append(one)
            else:
                outcome.in_writing.append(one)
        names = [Path(os.fsdecode(one.place.name)) for one in ready if _concerns_us(c, one.place, known)]
        if names:
            _note(outcome, update_cache_for_releases(c, names, progress=progress), ready)
    shown_changed = bool(outcome.report.changed or outcome.report.evicted)
    for kind, update in (("collage", update_cache_for_collages), ("playlist", update_cache_for_playlists)):
        lists = _of_kind(ripe, kind)
        check_cancelled()
        if shown_changed or any(not one.place.name for one in lists):
            _note(outcome, update(c), lists)  # also those that hold what changed
        elif lists:
            _note(outcome, update(c, [os.fsdecode(one.place.name) for one in lists]), lists)
    return outcome


def _of_kind(ripe: Iterable[Ripe], kind: str) -> list[Ripe]:
    return [one for one in ripe if one.place.kind == kind]


def _note(outcome: Outcome, report: Report, asked: Sequence[Ripe]) -> None:
    """Adds what an update says, and finds out what has to be looked at again."""
    outcome.report.add(report)
    if report.skipped:
        outcome.unfinished += asked
    elif report.problems:
        paths = [problem.path for problem in report.problems]
        outcome.unfinished += [one for one in asked if any(concerns(one.place, path) for path in paths)]


def concerns(place: Place, path: Path) -> bool:
    """Tells whether a problem's path is about a place."""
    names = {os.fsencode(part) for part in path.parts}
    return place == EVERYTHING or not place.name or place.name in names | {os.fsencode(path.stem)}


def _known(c: Config, names: Iterable[bytes]) -> set[bytes]:
    """Returns which directories the cache holds as releases."""
    with connect(c) as connection:
        return {
            name
            for name in names
            if connection.execute("SELECT 1 FROM releases WHERE directory = ?", (name,)).fetchone()
            is not None
        }


def _concerns_us(c: Config, place: Place, known: set[bytes]) -> bool:
    """Tells whether a name below the source directory is, or was, a release's."""
    return place.name in known or os.path.isdir(os.path.join(os.fsencode(c.music_source_dir), place.name))


def _may_be_in_writing(c: Config, ripe: Ripe) -> bool:
    """Tells whether somebody seems to be writing a new release.

    Its files get ids when the cache sees them first, and one that is given a new version while a program still
    writes the old one would never be whole.
    """
    if not ripe.quiet:
        return True
    directory = os.path.join(os.fsencode(c.music_source_dir), ripe.place.name)
    try:
        listing = list_files(directory)
    except OSError:
        return False  # gone, or unreadable: the update says so
    return any(is_open_for_writing(os.path.join(directory, file.path)) for file in audio_files(listing))


def is_open_for_writing(path: bytes) -> bool:
    """Tells whether any program has a file open for writing, as far as this user may know.

    The kernel gives nobody a lease for reading on such a file: fcntl(2). It gives none either on another user's
    file or on some file systems, of which nothing is said thereby.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        # Who opens the file in this very moment has the kernel send us a signal: one that does nothing by itself,
        # in place of SIGIO, which would end the process.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False
