"""Spreading releases over worker processes, and collecting what came of them.

The workers store what they read themselves, under the releases' locks: the parent only hands out names, some at a
time. A worker that ends unexpectedly is replaced, and what it was at is tried again, each release for itself: one at
which a worker ends alone is reported.
"""

from __future__ import annotations

import logging
import os
import pickle
import queue
import sqlite3
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from rosecache.errors import RosecacheError
from rosecache.update.batch import MOST_RELEASES
from rosecache.update.job import Options, update_some
from rosecache.update.release import Outcome
from rosecache.update.report import problem

logger = logging.getLogger(__name__)

RELEASES_FOR_WORKERS = 50
"""From so many releases on worker processes are worth their start."""

_RELEASES_PER_WORKER = 25
_AHEAD = 2
_SHARES = 4
"""A worker is given no more at once than one of so many equal shares of what is left, so that all end together."""

Result = tuple[bytes, Outcome]
_Job = Sequence[bytes]
_Jobs = queue.SimpleQueue[_Job]
_Results = queue.SimpleQueue[Sequence[Result] | Exception | None]


def update_releases(options: Options, directories: Sequence[bytes]) -> Generator[Result]:
    """Updates releases, here or in worker processes, and yields each with its outcome as it is done.

    Raises what :func:`rosecache.update.release.update_release` raises for the cache as a whole. Whoever stops
    listening before the end closes the generator, and with it the workers.
    """
    workers = min(options.c.max_proc, len(directories) // _RELEASES_PER_WORKER)
    if len(directories) < RELEASES_FOR_WORKERS or workers < 2:
        for job in _jobs_of(directories, 1):
            yield from _done(job, update_some(options, job))
        return
    jobs: _Jobs = queue.SimpleQueue()
    for job in _jobs_of(directories, workers):
        jobs.put(job)
    results: _Results = queue.SimpleQueue()
    stop = threading.Event()
    drivers = [
        threading.Thread(
            target=_drive, args=(options, jobs, results, stop), name="rosecache-worker", daemon=True
        )
        for _ in range(workers)
    ]
    for driver in drivers:
        driver.start()
    try:
        yield from _collect(results, len(directories), workers)
    finally:
        stop.set()
        for driver in drivers:
            driver.join()


def _jobs_of(directories: Sequence[bytes], workers: int) -> Iterator[_Job]:
    """Yields the directories in order, as many together as are stored at once, and fewer towards the end."""
    start = 0
    while left := len(directories) - start:
        size = max(1, min(MOST_RELEASES, left // (_SHARES * workers)))
        yield directories[start : start + size]
        start += size


def _done(job: _Job, outcomes: Sequence[Outcome]) -> list[Result]:
    return list(zip(job, outcomes, strict=True))


def _collect(results: _Results, expected: int, drivers: int) -> Generator[Result]:
    """Yields results as they come. None among them says that a driver has ended."""
    while expected:
        result = results.get()
        if isinstance(result, Exception):
            raise result
        if result is not None:
            expected -= len(result)
            yield from result
            continue
        drivers -= 1
        if expected and not drivers and results.empty():
            raise RuntimeError("the threads that feed the worker processes ended early")


def _drive(options: Options, jobs: _Jobs, results: _Results, stop: threading.Event) -> None:
    """Feeds one worker, and a new one whenever it dies, until no job is left.

    Where no worker can be started this thread does its work. What ends all of it goes to the one who waits.
    """
    try:
        while not stop.is_set() and not jobs.empty():
            try:
                worker = _start()
            except OSError as error:
                logger.warning("no worker process can be started: %s", error)
                _work_here(options, jobs, results, stop)
                return
            with worker:
                _feed(worker, options, jobs, results, stop)
    except (OSError, sqlite3.Error, RosecacheError) as error:
        results.put(error)
    finally:
        results.put(None)


def _work_here(options: Options, jobs: _Jobs, results: _Results, stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            job = jobs.get_nowait()
        except queue.Empty:
            return
        results.put(_done(job, update_some(options, job)))


def _start() -> subprocess.Popen[bytes]:
    here = str(Path(__file__).parents[2])
    paths = [here, *filter(None, [os.environ.get("PYTHONPATH")])]
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "rosecache.update.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )


def _feed(
    worker: subprocess.Popen[bytes],
    options: Options,
    jobs: _Jobs,
    results: _Results,
    stop: threading.Event,
) -> None:
    """Hands out jobs, one ahead of what the worker is at, until there are none or it dies."""
    assert worker.stdin is not None
    assert worker.stdout is not None
    at_work: deque[_Job] = deque()
    try:
        pickle.dump(options, worker.stdin)
        while True:
            while len(at_work) < _AHEAD and not stop.is_set():
                try:
                    job = jobs.get_nowait()
                except queue.Empty:
                    break
                at_work.append(job)
                pickle.dump(job, worker.stdin)
            if not at_work:
                break
            worker.stdin.flush()
            outcomes = pickle.load(worker.stdout)
            if isinstance(outcomes, Exception):
                results.put(outcomes)
                break
            results.put(_done(at_work.popleft(), outcomes))
        worker.stdin.close()
    except (EOFError, BrokenPipeError, pickle.UnpicklingError):
        # An outcome that is cut off in the middle is what is left of a worker, too.
        _take_back(worker, options, at_work, jobs, results)


def _take_back(
    worker: subprocess.Popen[bytes],
    options: Options,
    at_work: deque[_Job],
    jobs: _Jobs,
    results: _Results,
) -> None:
    """Puts back what a worker that died has not done, and reports the release that it died at, if that is known."""
    status = worker.wait()
    assert worker.stdin is not None
    with suppress(BrokenPipeError):
        worker.stdin.close()  # fails to hand over what the worker did not take any more
    fatal = at_work.popleft() if at_work else []
    if len(fatal) == 1:
        path = os.path.join(os.fsencode(options.c.music_source_dir), fatal[0])
        reason = f"the process that read it ended unexpectedly (status {status})"
        results.put(_done(fatal, [Outcome(problems=[problem(path, reason)])]))
    else:
        at_work.extend([directory] for directory in fatal)
    for job in at_work:
        jobs.put(job)
