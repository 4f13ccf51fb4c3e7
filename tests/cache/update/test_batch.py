"""Releases stored several at a time: locked as long as they are held back, and never held back for long."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from rosecache.config import Config
from rosecache.database import connect
from rosecache.errors import LockTimeoutError
from rosecache.query.releases import list_releases
from rosecache.update import assign, batch, update_cache
from rosecache.update.batch import MOST_RELEASES, Batch
from rosecache.update.job import Options, update_some
from rosecache.update.release import lock_release
from rosecache.update.store import store_release
from tests.support.audio import make_release, set_tags
from tests.support.library import check_cache, ids_on_disk


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def library(c: Config, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.setattr(assign, "QUIET_SECONDS", 0.0)
    for number in range(6):
        make_release(c.music_source_dir, f"R{number}", tracks=1)
    return c


def stored(c: Config) -> set[bytes]:
    with connect(c) as connection:
        return {directory for (directory,) in connection.execute("SELECT directory FROM releases").fetchall()}


def is_locked(c: Config, directory: bytes) -> bool:
    """Tells whether another thread cannot lock a release."""
    locked = []

    def attempt() -> None:
        try:
            with lock_release(c, directory, timeout=0):
                pass
        except LockTimeoutError:
            locked.append(True)

    thread = threading.Thread(target=attempt)
    thread.start()
    thread.join()
    return bool(locked)


@contextmanager
def locked_elsewhere(c: Config, directory: bytes) -> Iterator[threading.Event]:
    """Has another thread hold a release until the event is set."""
    held, free = threading.Event(), threading.Event()

    def hold() -> None:
        with lock_release(c, directory):
            held.set()
            free.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(60)
    try:
        yield free
    finally:
        free.set()
        thread.join()


def new_batch(c: Config, *, defer: bool = True, clock: Clock | None = None) -> Batch:
    return Batch(c, force=False, defer=defer, clock=clock or Clock())


def test_what_is_held_back_is_locked_until_it_is_stored(library: Config) -> None:
    with new_batch(library) as batch:
        outcomes = [batch.update(name) for name in (b"R0", b"R1")]
        assert stored(library) == set()
        assert is_locked(library, b"R0")
        assert is_locked(library, b"R1")
    assert stored(library) == {b"R0", b"R1"}
    assert all(outcome.changed for outcome in outcomes)
    assert not is_locked(library, b"R0")
    assert not is_locked(library, b"R1")


def test_releases_are_stored_after_some_time(library: Config) -> None:
    clock = Clock()
    with new_batch(library, clock=clock) as batch:
        batch.update(b"R0")
        clock.now += 0.2
        batch.update(b"R1")
        assert stored(library) == set()
        clock.now += 0.2
        batch.update(b"R2")
        assert stored(library) == {b"R0", b"R1", b"R2"}
        batch.update(b"R3")
        assert stored(library) == {b"R0", b"R1", b"R2"}


def test_releases_are_stored_after_some_of_them(library: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "MOST_RELEASES", 2)
    with new_batch(library) as several:
        for name in (b"R0", b"R1", b"R2"):
            several.update(name)
        assert stored(library) == {b"R0", b"R1"}


def test_without_deferring_each_is_stored_before_the_next_one_is_judged(library: Config) -> None:
    with new_batch(library, defer=False) as batch:
        batch.update(b"R0")
        assert stored(library) == {b"R0"}


def test_nothing_is_held_back_while_a_lock_is_waited_for(library: Config) -> None:
    with locked_elsewhere(library, b"R1") as free, new_batch(library) as batch:
        batch.update(b"R0")
        noticed = threading.Event()

        def look() -> None:
            while not stored(library):
                if noticed.wait(0.001):
                    return
            free.set()

        waiting = threading.Thread(target=look)
        waiting.start()
        batch.update(b"R1")  # would wait for ever if R0 were stored after it only
        noticed.set()
        waiting.join()
        assert stored(library) == {b"R0"}
    assert stored(library) == {b"R0", b"R1"}


@pytest.mark.parametrize("with_release_id", [True, False])
def test_of_a_file_and_its_copy_in_the_next_release_one_keeps_the_id(
    library: Config, with_release_id: bool
) -> None:
    """They are looked at one right after the other, and the second one is judged by the first."""
    update_cache(library)
    track = library.music_source_dir / "R0" / "01.opus"
    copy = library.music_source_dir / "R1" / "02.opus"
    shutil.copy(track, copy)
    if not with_release_id:
        for path in (track, copy):
            set_tags(path, rosereleaseid=None)
    before = ids_on_disk(library.music_source_dir)
    shutil.rmtree(library.cache_dir)
    names = [f"R{number}".encode() for number in range(6)]
    outcomes = update_some(Options(library, force=False, defer=True), names)
    assert [outcome.deferred for outcome in outcomes] == [False, with_release_id, False, False, False, False]
    assert update_cache(library).problems == []
    ids = ids_on_disk(library.music_source_dir)
    assert len(set(ids.values())) == 7
    assert {path: before[path] for path in before if path != "R1/02.opus"} == {
        path: ids[path] for path in ids if path != "R1/02.opus"
    }
    check_cache(library)


def test_an_error_in_the_middle_of_storing_leaves_none_of_the_batch_and_no_lock(
    library: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, seen = store_release, list[str]()

    def failing(connection: object, row: object, known: object, names: object) -> bool:
        seen.append(str(row))
        if len(seen) == 3:
            raise KeyboardInterrupt
        return original(connection, row, known, names)  # type: ignore[arg-type]

    monkeypatch.setattr("rosecache.update.release.store_release", failing)
    with pytest.raises(KeyboardInterrupt):
        update_some(Options(library, force=False, defer=True), [b"R0", b"R1", b"R2", b"R3"])
    monkeypatch.undo()
    assert list_releases(library) == []
    assert not any(is_locked(library, f"R{number}".encode()) for number in range(6))
    assert update_cache(library).changed == 6
    check_cache(library)


def test_a_release_that_fails_does_not_keep_the_others_from_being_stored(library: Config) -> None:
    with pytest.MonkeyPatch.context() as patch:

        @contextmanager
        def refusing(c: Config, directory: bytes, timeout: float = 0) -> Iterator[None]:
            if directory == b"R1":
                raise LockTimeoutError("release-R1", timeout, "somebody")
            with lock_release(c, directory, timeout):
                yield

        patch.setattr(batch, "lock_release", refusing)
        outcomes = update_some(Options(library, force=False, defer=True), [b"R0", b"R1", b"R2"])
    assert [bool(outcome.problems) for outcome in outcomes] == [False, True, False]
    assert stored(library) == {b"R0", b"R2"}


def test_a_rebuild_makes_no_more_transactions_than_it_has_to(c: Config) -> None:
    releases = 40
    for number in range(releases):
        make_release(c.music_source_dir, f"R{number:02}", tracks=1)
    update_cache(c)
    shutil.rmtree(c.cache_dir)
    begun = []
    with connect(c) as connection:
        connection.set_trace_callback(lambda text: begun.append(text) if text == "BEGIN IMMEDIATE" else None)
        update_cache(c)
        connection.set_trace_callback(None)
    assert len(begun) < releases / 2
    assert len(list_releases(c)) == releases
    assert MOST_RELEASES <= 16, "what is locked together keeps others waiting together"
