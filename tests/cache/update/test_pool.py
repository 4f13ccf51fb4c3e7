"""The feeding of worker processes: nothing that happens to one makes an update hang, or lose a release."""

from __future__ import annotations

import pickle
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from rosecache.config import Config
from rosecache.database import connect
from rosecache.errors import ConfigError, InvalidDatafileError, LockTimeoutError, RosecacheError
from rosecache.query.releases import list_releases
from rosecache.update import pool, update_cache
from tests.support.audio import make_release
from tests.support.library import check_cache


@pytest.fixture
def library(c: Config) -> Config:
    for number in range(60):
        make_release(c.music_source_dir, f"R{number:03}", tracks=1)
    return c


def stand_in(program: str) -> subprocess.Popen[bytes]:
    """Starts a program in the place of a worker."""
    return subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)


@pytest.mark.parametrize(
    "last_words",
    [b"", b"\x80", pickle.dumps(list(range(1000)))[:500]],
    ids=["none", "a byte", "half an outcome"],
)
def test_whatever_is_left_of_a_worker_that_died_is_done_by_another_one(
    library: Config, monkeypatch: pytest.MonkeyPatch, last_words: bytes
) -> None:
    start, started = pool._start, []

    def dying() -> subprocess.Popen[bytes]:
        started.append(True)
        if len(started) > 1:
            return start()
        return stand_in(f"import os, pickle, sys; pickle.load(sys.stdin.buffer); os.write(1, {last_words!r})")

    monkeypatch.setattr(pool, "_start", dying)
    report = update_cache(library)
    assert (report.problems, report.changed) == ([], 60)
    check_cache(library)


MORTAL = """
import os, pickle, sys
from rosecache.update import worker

update_some = worker.update_some

def mortal(options, directories):
    if b"R031" in directories:
        os._exit(3)
    return update_some(options, directories)

worker.update_some = mortal
worker.main()
"""


def test_a_release_at_which_workers_die_costs_no_other_one(
    library: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "_start", lambda: stand_in(MORTAL))
    report = update_cache(library)
    assert list(map(str, report.problems)) == [
        f"{library.music_source_dir / 'R031'}: the process that read it ended unexpectedly (status 3)"
    ]
    assert report.changed == 59
    monkeypatch.undo()
    assert update_cache(library).changed == 1
    check_cache(library)


@pytest.mark.expects_log("no worker process can be started: .*Cannot allocate memory")
def test_where_no_worker_can_be_started_the_work_is_done_all_the_same(
    library: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing() -> subprocess.Popen[bytes]:
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(pool, "_start", failing)
    report = update_cache(library)
    assert (report.changed, report.problems) == (60, [])
    check_cache(library)


def test_a_cache_that_fails_in_a_worker_ends_the_update_with_its_error(
    library: Config, capfd: pytest.CaptureFixture[str]
) -> None:
    with connect(library) as connection:
        connection.execute(
            "CREATE TRIGGER full BEFORE INSERT ON releases BEGIN SELECT raise(ABORT, 'the disk is full'); END"
        )
    with pytest.raises(sqlite3.IntegrityError, match="the disk is full"):
        update_cache(library)
    assert "Traceback" not in capfd.readouterr().err
    with connect(library) as connection:
        connection.execute("DROP TRIGGER full")
    update_cache(library)
    check_cache(library)


def test_a_listener_that_fails_ends_the_workers(library: Config) -> None:
    def failing(done: int, total: int) -> None:
        if done == 3:
            raise ValueError("the progress bar is broken")

    caught: list[ValueError] = []  # keeps the traceback, and so the frames, alive
    try:
        update_cache(library, progress=failing)
    except ValueError as error:
        caught.append(error)
    assert caught
    assert not [thread for thread in threading.enumerate() if thread.name == "rosecache-worker"]
    assert len(list_releases(library)) < 60


@pytest.mark.parametrize(
    "error",
    [
        ConfigError("unknown key", key="a.b", path=Path("c.toml")),
        LockTimeoutError("release-x", 30.0, "process 1"),
        InvalidDatafileError(Path("x.toml"), "not valid TOML"),
    ],
)
def test_errors_go_from_process_to_process(error: RosecacheError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), vars(copy)) == (type(error), str(error), vars(error))
