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

from rosecache.update.job import Options, update_one


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
