"""A worker process: updates the releases that its parent names, some at a time.

Started as a program of its own (``python -m rosecache.update.worker``), never forked, so that it can be
started from a process with threads. It speaks pickles: settings and options first, then lists of directory names
in, a list of outcomes out for each, or the error that ends it all. It ends when its parent closes the pipe, or dies,
which is the same to it: after the releases that it is at.
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
from rosecache.genres import use_genre_tree
from rosecache.update.job import Options, update_some
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
    if options.genres is not None:
        use_genre_tree(options.c, options.genres)
    logging.basicConfig(level=options.log_level, stream=sys.stderr)
    while True:
        directories: list[bytes] = pickle.load(jobs)
        pickle.dump(_outcomes(options, directories), results)
        results.flush()


def _outcomes(options: Options, directories: list[bytes]) -> list[Outcome] | Exception:
    """Returns what came of some releases, or the error that ends the whole update, for the parent to raise."""
    try:
        return update_some(options, directories)
    except (sqlite3.Error, RosecacheError) as error:
        return error


if __name__ == "__main__":
    main()
