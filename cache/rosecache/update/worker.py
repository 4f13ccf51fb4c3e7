"""A worker process: updates the releases that its parent names, one after another.

Started as a program of its own (``python -m rosecache.update.worker``), never forked, so that it can be
started from a process with threads. It speaks pickles: settings and options first, then directory names in,
an outcome out for each. It ends when its parent closes the pipe, or dies, which is the same to it: after the
release that it is at.
"""

from __future__ import annotations

import logging
import os
import pickle
import signal
import sys
from dataclasses import dataclass

from rosecache.config import Config
from rosecache.errors import LockTimeoutError
from rosecache.update.release import Outcome, update_release
from rosecache.update.report import problem, reason_of


@dataclass(frozen=True, slots=True)
class Options:
    """What a worker is told first."""

    c: Config
    force: bool
    defer: bool


def update_one(options: Options, directory: bytes) -> Outcome:
    """Updates one release; what stops it, and not the whole update, becomes a problem of the outcome."""
    try:
        return update_release(options.c, directory, force=options.force, defer=options.defer)
    except LockTimeoutError as error:
        reason = str(error)
    except OSError as error:
        reason = reason_of(error)
    path = os.path.join(os.fsencode(options.c.music_source_dir), directory)
    return Outcome(problems=[problem(path, reason)])


def main() -> None:
    """Serves the parent at the other end of standard input and output."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interrupt ends
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    jobs = sys.stdin.buffer
    with os.fdopen(os.dup(1), "wb") as results:
        os.dup2(2, 1)  # whatever a library prints must not get between the results
        try:
            options: Options = pickle.load(jobs)
            while True:
                directory: bytes = pickle.load(jobs)
                pickle.dump(update_one(options, directory), results)
                results.flush()
        except (EOFError, BrokenPipeError):
            return


if __name__ == "__main__":
    main()
