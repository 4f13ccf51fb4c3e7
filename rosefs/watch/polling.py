"""Following a directory where there are no events: by looking at it again and again, and comparing.

One look is a walk with a ``stat`` of each file, no more. How long it takes decides how often it is taken. It says
where something changed, in the same terms as events do, so that the same is made of it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress

import trio

from rosecache.config import Config
from rosecache.update.walk import change_time, list_files, list_release_directories, release_stamp
from rosefs.watch.places import LIST_DIRECTORIES, Place

_SHARE = 20
"""The time between two looks is at least so many times that of a look, so that they take little of a disk's time."""

Look = dict[Place, bytes]
"""What was seen: a stamp of every place, which changes with it."""


async def follow_by_looking(
    c: Config,
    seconds: float,
    on_ready: Callable[[], None],
    on_places: Callable[[Iterable[Place], float], None],
) -> None:
    """Looks at the source directory again and again, until cancelled.

    Args:
        c: The settings.
        seconds: From the end of a look to the next, unless looks take long.
        on_ready: Called after the first look: what changes from then on is told.
        on_places: Called with the places that changed between two looks, and the time between them.

    Raises:
        OSError: The source directory cannot be read.
    """
    known, taken = await _look_timed(c)
    on_ready()
    while True:
        wait = max(seconds, _SHARE * taken)
        await trio.sleep(wait)
        seen, taken = await _look_timed(c)
        if changed := [place for place in known.keys() | seen.keys() if known.get(place) != seen.get(place)]:
            on_places(changed, wait + taken)
        known = seen


def look(c: Config) -> Look:
    """Looks at everything below the source directory. Raises OSError if that cannot be read."""
    seen: Look = {}
    for name in list_release_directories(c):
        # What cannot be read is not gone: it is seen as unreadable, and looked at when that changes.
        seen[Place("release", name)] = b"?"
        with suppress(OSError):
            listing = list_files(os.path.join(os.fsencode(c.music_source_dir), name))
            seen[Place("release", name)] = release_stamp(c, listing)
    for directory, kind in LIST_DIRECTORIES.items():
        for name, stamp in _list_files(os.path.join(os.fsencode(c.music_source_dir), directory)):
            place = Place(kind, os.path.splitext(name)[0])
            seen[place] = seen.get(place, b"") + stamp
    return seen


async def _look_timed(c: Config) -> tuple[Look, float]:
    begin = time.monotonic()
    # Nobody waits for its end on cancellation: it changes nothing, and a server that is gone answers never.
    seen = await trio.to_thread.run_sync(look, c, abandon_on_cancel=True)
    return seen, time.monotonic() - begin


def _list_files(directory: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yields the files of a directory of lists in order, each with a stamp. Nothing if there is no such directory."""
    try:
        names = sorted(os.listdir(directory))
    except OSError:
        return
    for name in names:
        with suppress(OSError):
            status = os.stat(os.path.join(directory, name))
            stamp = (name, status.st_size, status.st_mtime_ns, change_time(status))
            yield name, repr(stamp).encode()
