"""Worker processes: the same results as without, and no life of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from rosecache.config import Config
from rosecache.query.releases import list_releases
from rosecache.query.tracks import list_tracks
from rosecache.update import pool, update_cache
from tests.support.audio import FORMATS, make_release
from tests.support.library import UPDATE_PROGRAM, cached_ids, check_cache, ids_on_disk


def make_library(c: Config, releases: int, tracks: int = 2) -> None:
    for number in range(releases):
        make_release(
            c.music_source_dir, f"R{number:03}", tracks=tracks, format=FORMATS[number % 5], album=f"A{number}"
        )


def children_of(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    for task in Path(f"/proc/{pid}/task").iterdir():
        text += " " + (task / "children").read_text()
    return sorted({int(child) for child in text.split()})


def wait_for(condition: object, what: str) -> None:
    deadline = time.monotonic() + 60
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(0.01)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_update_cache_multiprocessing(c: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """From 50 releases on worker processes read, and everything is as if they had not."""
    make_library(c, 60)
    started = []
    start = pool._start

    def counting() -> subprocess.Popen[bytes]:
        worker = start()
        started.append(worker)
        return worker

    monkeypatch.setattr(pool, "_start", counting)
    report = update_cache(c)
    assert (report.seen, report.changed, report.problems) == (60, 60, [])
    assert len(started) == 2
    assert all(worker.returncode == 0 for worker in started)
    check_cache(c)
    in_workers = [(release.metahash, release.releasetitle) for release in list_releases(c)]
    shutil.rmtree(c.cache_dir)
    monkeypatch.setattr(pool, "RELEASES_FOR_WORKERS", 1000)
    update_cache(c)
    assert len(started) == 2
    assert [(release.metahash, release.releasetitle) for release in list_releases(c)] == in_workers


def test_few_releases_start_no_workers(c: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    make_library(c, 49, tracks=1)
    monkeypatch.setattr(pool, "_start", lambda: pytest.fail("a worker was started"))
    assert update_cache(c).changed == 49


def test_workers_start_from_a_process_with_threads_and_locks(c: Config) -> None:
    make_library(c, 50, tracks=1)
    ready, done = threading.Event(), threading.Event()

    def busy() -> None:
        ready.set()
        done.wait()

    threads = [threading.Thread(target=busy) for _ in range(4)]
    for thread in threads:
        thread.start()
    ready.wait()
    try:
        assert update_cache(c).changed == 50
    finally:
        done.set()
        for thread in threads:
            thread.join()


def test_workers_end_when_their_parent_is_killed(c: Config) -> None:
    make_library(c, 150, tracks=2)
    parent = subprocess.Popen(
        [sys.executable, "-c", UPDATE_PROGRAM, str(c.music_source_dir), str(c.cache_dir)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    while parent.stdout.readline().split()[:1] != ["5"]:
        assert parent.poll() is None
    workers = children_of(parent.pid)
    assert len(workers) == 2
    parent.kill()
    parent.communicate()
    wait_for(lambda: not any(alive(pid) for pid in workers), "the workers ended")
    assert 0 < len(list_releases(c)) < 150
    assert len(list_tracks(c)) == 2 * len(list_releases(c))
    update_cache(c)
    check_cache(c)


def test_a_killed_worker_costs_nothing(c: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    make_library(c, 60, tracks=1)
    started = []
    start = pool._start

    def killing() -> subprocess.Popen[bytes]:
        worker = start()
        started.append(worker)
        if len(started) == 1:
            worker.kill()
        return worker

    monkeypatch.setattr(pool, "_start", killing)
    report = update_cache(c)
    assert (report.problems, report.changed) == ([], 60)
    assert len(started) > 2
    check_cache(c)


@pytest.mark.parametrize("caches", ["one cache", "two caches"])
def test_two_first_scans_at_once_give_each_file_one_id(c: Config, tmp_path: Path, caches: str) -> None:
    make_library(c, 60)
    other = c.cache_dir if caches == "one cache" else tmp_path / "other cache"
    scans = [
        subprocess.Popen(
            [sys.executable, "-c", UPDATE_PROGRAM, str(c.music_source_dir), str(cache)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for cache in (c.cache_dir, other)
    ]
    outputs = [scan.communicate(timeout=120)[0] for scan in scans]
    assert all("report 60" in output and " 0\n" in output for output in outputs), outputs
    ids = ids_on_disk(c.music_source_dir)
    assert len(set(ids.values())) == 120
    assert all(len(list(path.glob(".rose.*"))) == 1 for path in c.music_source_dir.iterdir())
    for cache in {c.cache_dir, other}:
        import msgspec

        there = msgspec.structs.replace(c, cache_dir=cache)
        update_cache(there)
        assert cached_ids(there) == ids
    check_cache(c)


def test_an_interrupt_ends_an_update_soon_and_whole(c: Config) -> None:
    make_library(c, 150, tracks=2)
    # Whoever runs the tests in the background has them ignore interrupts, and what they start too.
    listen = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    program = f"{listen}\n{UPDATE_PROGRAM}"
    scan = subprocess.Popen(
        [sys.executable, "-c", program, str(c.music_source_dir), str(c.cache_dir)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    assert scan.stdout is not None
    while scan.stdout.readline().split()[:1] != ["5"]:
        assert scan.poll() is None
    os.killpg(scan.pid, 2)
    _, errors = scan.communicate(timeout=60)
    assert "KeyboardInterrupt" in errors
    assert len(list_releases(c)) < 150
    update_cache(c)
    check_cache(c)
