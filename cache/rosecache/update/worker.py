"""A worker process: updates the releases that its parent names, one after another.

Started as a program of its own (``python -m rosecache.update.worker``), never forked, so that it can be
started from a process with threads. It speaks pickles: settings and options first, then directory names in,
an outcome out for each, or the error that ends it all. It ends when its parent closes the pipe, or dies, which
is the same to it: after the release that it is at.
"""

from __future__ import annotations

import logging
import os
import pickle
import signal
import sqlite3
import sys
from contextlib import suppress
from typing import BinaryIO

from rosecache.errors import RosecacheError
from rosecache.update.job import Options, update_one
from rosecache.update.release import Outcome


def main() -> None:
    """Serves the parent at the other end of standard input and output."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interrupt ends
    # The end of the pipe can also show when the file is closed, and what is left in it flushed.
    with suppress(EOFError, BrokenPipeError), os.fdopen(os.dup(1), "wb") as results:
        os.dup2(2, 1)  # whatever a library prints must not get between the results
        _serve(sys.stdin.buffer, results)


def _serve(jobs: BinaryIO, results: BinaryIO) -> None:
    options: Options = pickle.load(jobs)
    logging.basicConfig(level=options.log_level, stream=sys.stderr)
    while True:
        directory: bytes = pickle.load(jobs)
        pickle.dump(_outcome(options, directory), results)
        results.flush()


def _outcome(options: Options, directory: bytes) -> Outcome | Exception:
    """Returns what came of a release, or the error that ends the whole update, for the parent to raise."""
    try:
        return update_one(options, directory)
    except (sqlite3.Error, RosecacheError) as error:
        return error


if __name__ == "__main__":
    main()
