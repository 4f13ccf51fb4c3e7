"""Spreading releases over worker processes, and collecting what came of them.

The workers store what they read themselves, under the release's lock: the parent only hands out names. A
worker that ends unexpectedly costs the release that it was at, which is reported, and is replaced.
"""

from __future__ import annotations

import os
import pickle
import queue
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from rosecache.update.job import Options, update_one
from rosecache.update.release import Outcome
from rosecache.update.report import problem

RELEASES_FOR_WORKERS = 50
"""From so many releases on worker processes are worth their start."""

_RELEASES_PER_WORKER = 25
_AHEAD = 2

Result = tuple[bytes, Outcome]


def update_releases(options: Options, directories: Sequence[bytes]) -> Iterator[Result]:
    """Updates releases, here or in worker processes, and yields each with its outcome as it is done.

    Raises what :func:`rosecache.update.release.update_release` raises for the cache as a whole.
    """
    workers = min(options.c.max_proc, len(directories) // _RELEASES_PER_WORKER)
    if len(directories) < RELEASES_FOR_WORKERS or workers < 2:
        for directory in directories:
            yield directory, update_one(options, directory)
        return
    jobs: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    for directory in directories:
        jobs.put(directory)
    results: queue.SimpleQueue[Result] = queue.SimpleQueue()
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
        for _ in directories:
            yield results.get()
    finally:
        stop.set()
        for driver in drivers:
            driver.join()


def _drive(
    options: Options,
    jobs: queue.SimpleQueue[bytes],
    results: queue.SimpleQueue[Result],
    stop: threading.Event,
) -> None:
    """Feeds one worker, and a new one whenever it dies, until no job is left."""
    while not stop.is_set() and not jobs.empty():
        with _start() as worker:
            _feed(worker, options, jobs, results, stop)


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
    jobs: queue.SimpleQueue[bytes],
    results: queue.SimpleQueue[Result],
    stop: threading.Event,
) -> None:
    """Hands out jobs, one ahead of what the worker is at, until there are none or it dies."""
    assert worker.stdin is not None
    assert worker.stdout is not None
    at_work: deque[bytes] = deque()
    try:
        pickle.dump(options, worker.stdin)
        while True:
            while len(at_work) < _AHEAD and not stop.is_set():
                try:
                    directory = jobs.get_nowait()
                except queue.Empty:
                    break
                at_work.append(directory)
                pickle.dump(directory, worker.stdin)
            if not at_work:
                break
            worker.stdin.flush()
            outcome = pickle.load(worker.stdout)
            results.put((at_work.popleft(), outcome))
        worker.stdin.close()
    except (EOFError, BrokenPipeError):
        _report_death(worker, options, at_work, jobs, results)


def _report_death(
    worker: subprocess.Popen[bytes],
    options: Options,
    at_work: deque[bytes],
    jobs: queue.SimpleQueue[bytes],
    results: queue.SimpleQueue[Result],
) -> None:
    status = worker.wait()
    assert worker.stdin is not None
    with suppress(BrokenPipeError):
        worker.stdin.close()  # fails to hand over what the worker did not take any more
    if at_work:
        victim = at_work.popleft()
        path = os.path.join(os.fsencode(options.c.music_source_dir), victim)
        reason = f"the process that read it ended unexpectedly (status {status})"
        results.put((victim, Outcome(problems=[problem(path, reason)])))
    for directory in at_work:
        jobs.put(directory)
