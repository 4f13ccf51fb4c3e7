"""The system's events, by ``watchfiles``: which paths below a directory changed.

``watchfiles`` passes over in silence what it cannot watch, and over events that were lost. Whatever can be known of
that is an error here, so that somebody can do something about it. Decides nothing about what is done.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

import trio
import watchfiles

from rosefs.watch.limits import LIMIT_REMEDY, watch_limit_reached

_GATHER_MS = 300
_STEP_MS = 150
_TIMEOUT_MS = 500


class NoEventsError(Exception):
    """A directory cannot be followed by events; the text says why, and what to do."""


class LostEventsError(Exception):
    """Something happened that watchfiles cannot tell of. Whoever listens has to begin again, and look everywhere."""


async def follow_events(
    directory: Path, on_ready: Callable[[], None], on_paths: Callable[[Iterable[bytes]], None]
) -> None:
    """Follows a directory, and all below it, until cancelled.

    The watching is done in a thread: to begin it takes a moment for each directory.

    Args:
        directory: Has to exist.
        on_ready: Called when it is watched: what happens from now on is told.
        on_paths: Called with the paths below the directory, as the disk has them, that something happened to.

    Raises:
        NoEventsError: It cannot be followed, or not any more.
        LostEventsError: Begin again.
    """
    stop = threading.Event()

    async def stop_when_cancelled() -> None:
        try:
            await trio.sleep_forever()
        finally:
            stop.set()

    failure: NoEventsError | LostEventsError | None = None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stop_when_cancelled)
        try:
            await trio.to_thread.run_sync(_watch, directory, stop, on_ready, on_paths)
        except (NoEventsError, LostEventsError) as error:
            failure = error
        nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure


def _watch(
    directory: Path,
    stop: threading.Event,
    on_ready: Callable[[], None],
    on_paths: Callable[[Iterable[bytes]], None],
) -> None:
    prefix = len(os.fsencode(directory)) + 1
    is_ready = False
    try:
        for changes in watchfiles.watch(
            directory, watch_filter=None, debounce=_GATHER_MS, step=_STEP_MS, rust_timeout=_TIMEOUT_MS,
            yield_on_timeout=True, stop_event=stop, raise_interrupt=False, force_polling=False,
            ignore_permission_denied=False,
        ):  # fmt: skip
            if not is_ready:
                is_ready = True
                trio.from_thread.run_sync(on_ready)
            paths = [os.fsencode(path)[prefix:] for _, path in changes if len(os.fsencode(path)) > prefix]
            if paths:
                trio.from_thread.run_sync(on_paths, paths)
            added = [path for kind, path in changes if kind is watchfiles.Change.added]
            for path in added:
                if os.path.dirname(path) == str(directory) and os.path.islink(path) and os.path.isdir(path):
                    raise LostEventsError(f"where {path} leads is watched only if it is there to begin with")
            # A directory that came and could not be watched is not told of.
            if added and watch_limit_reached(directory):
                raise NoEventsError(f"the system's limit of watches is reached; {LIMIT_REMEDY}")
    except PermissionError as error:
        raise NoEventsError(
            f"a directory cannot be watched: {error}; let this user read it, or move it out of {directory}"
        ) from error
    except UnicodeEncodeError as error:
        raise NoEventsError(f"the name of {os.fsencode(directory)!r} is not UTF-8") from error
    except OSError as error:
        # watchfiles gives no number, only text.
        remedy = f"; {LIMIT_REMEDY}" if "watch limit" in str(error) else ""
        raise NoEventsError(f"{error}{remedy}") from error
    except RuntimeError as error:
        if "decode" in str(error):  # of a file, too, that somebody only reads; nothing is told after it
            raise NoEventsError(f"a name is not UTF-8: {error}; rename it") from error
        raise NoEventsError(f"{error}; if there are too many, raise fs.inotify.max_user_instances") from error
