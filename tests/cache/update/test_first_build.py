"""What a first build costs, counted: each file is parsed once, and the disk is waited for a few times in all."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from mutagen import FileType

from rosecache import flushing
from rosecache.config import Config
from rosecache.database import maybe_invalidate_cache_database
from rosecache.tags import is_audio
from rosecache.update import batch as batches
from rosecache.update import update_cache
from rosecache.update.batch import MOST_RELEASES, Batch
from tests.support.audio import FORMATS, make_release
from tests.support.flushes import count_flushes
from tests.support.library import check_cache, ids_on_disk

_opened: Counter[tuple[str, bool]] = Counter()
_is_counting = False


def _note(event: str, arguments: tuple[object, ...]) -> None:
    if _is_counting and event == "open" and isinstance(arguments[0], str | bytes | os.PathLike):
        path, flags = os.fsdecode(arguments[0]), arguments[2]
        if is_audio(path):
            assert isinstance(flags, int)
            _opened[path, bool(flags & os.O_ACCMODE)] += 1


sys.addaudithook(_note)


@contextmanager
def counted_opens() -> Iterator[Counter[tuple[str, bool]]]:
    """Counts how often each audio file is opened, by its path and whether it is to be written to."""
    global _is_counting
    _opened.clear()
    _is_counting = True
    try:
        yield _opened
    finally:
        _is_counting = False


def make_library(c: Config, releases: int, tracks: int) -> set[Path]:
    """Makes releases of all formats as programs leave them, and returns their tracks."""
    for number in range(releases):
        make_release(
            c.music_source_dir, f"R{number:02}", tracks=tracks, format=FORMATS[number % len(FORMATS)]
        )
    return {path for path in c.music_source_dir.rglob("*") if is_audio(path.name)}


def first_build(c: Config, releases: int) -> None:
    """Does what a worker does with one job, without minding how long it takes."""
    maybe_invalidate_cache_database(c)
    with Batch(c, force=False, defer=True, clock=lambda: 0.0) as batch:
        outcomes = [batch.update(b"R%02d" % number) for number in range(releases)]
    assert all(outcome.changed and not outcome.problems for outcome in outcomes)


def test_each_file_is_parsed_once(c: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    tracks = make_library(c, len(FORMATS), 3)
    parsed = []
    load: Callable[..., None] = FileType.__init__

    def counting(audio: FileType, *arguments: object, **named: object) -> None:
        parsed.append(audio)
        load(audio, *arguments, **named)

    monkeypatch.setattr(FileType, "__init__", counting)
    first_build(c, len(FORMATS))
    monkeypatch.undo()
    assert len(parsed) == len(tracks)
    check_cache(c)


def test_each_file_is_opened_to_be_read_to_be_looked_over_and_to_be_written(c: Config) -> None:
    """Whether somebody has it open for writing can only be asked when we have not, so it is opened once for that."""
    tracks = make_library(c, len(FORMATS), 3)
    with counted_opens() as opened:
        first_build(c, len(FORMATS))
    assert opened == {(str(path), writes): 1 if writes else 2 for path in tracks for writes in (False, True)}
    with counted_opens() as opened:
        update_cache(c)
    assert opened == {}


@pytest.mark.parametrize("tracks", [2, 20])
def test_the_disk_is_waited_for_four_times_for_all_releases_of_a_job(
    tracks: int, c: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_library(c, MOST_RELEASES, tracks)
    flushed = count_flushes(monkeypatch)
    first_build(c, MOST_RELEASES)
    # The datafiles; the journals and all names; what is written; and that the journals are gone.
    assert flushed == {"syncfs": 4}
    assert None not in ids_on_disk(c.music_source_dir).values()
    check_cache(c)


def test_large_releases_do_not_have_all_of_their_files_open_at_once(
    c: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process may have a thousand files open on most systems, and less than that are open here."""
    make_library(c, MOST_RELEASES, 70)
    most = 0
    real = flushing.flush

    def counting(descriptors: Iterable[int]) -> dict[int, OSError]:
        nonlocal most
        most = max(most, len(os.listdir("/proc/self/fd")))
        return real(descriptors)

    monkeypatch.setattr(flushing, "flush", counting)
    monkeypatch.setattr(batches, "flush", counting)
    before = len(os.listdir("/proc/self/fd"))
    first_build(c, MOST_RELEASES)
    assert 70 < most - before < 900
    assert None not in ids_on_disk(c.music_source_dir).values()


def test_files_of_a_job_that_cannot_be_flushed(c: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """One release fails, and the others are done."""
    make_library(c, 3, 2)
    real = os.fsync
    old = (c.music_source_dir / "R01/01.m4a").read_bytes()

    def failing(fd: int) -> None:
        name = os.readlink(f"/proc/self/fd/{fd}")
        if name.endswith("R01/01.m4a") and Path(name).read_bytes() != old:
            raise OSError(5, os.strerror(5))
        real(fd)

    monkeypatch.setattr("rosecache.flushing._MOST_DIRTY", -1)
    monkeypatch.setattr(os, "fsync", failing)
    maybe_invalidate_cache_database(c)
    with Batch(c, force=False, defer=True, clock=lambda: 0.0) as batch:
        outcomes = [batch.update(b"R%02d" % number) for number in range(3)]
    monkeypatch.undo()
    assert [len(outcome.problems) for outcome in outcomes] == [0, 1, 0]
    assert (c.music_source_dir / "R01/01.m4a").read_bytes() == old
    without = [path for path, found in ids_on_disk(c.music_source_dir).items() if found is None]
    assert without == ["R01/01.m4a"]
    update_cache(c)
    assert None not in ids_on_disk(c.music_source_dir).values()
    check_cache(c)
