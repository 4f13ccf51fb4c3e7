"""Flushing many files at once, and work that waits for it."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from rosecache import flushing
from rosecache.flushing import Flushing, Paused, flush, flushed
from tests.support.flushes import count_flushes

MANY = flushing._FEW + 1


@pytest.fixture
def files(tmp_path: Path) -> Iterator[Sequence[int]]:
    opened = [os.open(tmp_path / str(n), os.O_RDWR | os.O_CREAT) for n in range(MANY)]
    yield opened
    for each in opened:
        os.close(each)


def failing(bad: int) -> None:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def work(*waits: Sequence[int]) -> Flushing[list[dict[int, int | None]]]:
    """Waits for some descriptors, one time after the other, and returns the numbers of the errors that it was sent."""
    seen = []
    for wait in waits:
        errors = yield wait
        seen.append({each: errors[each].errno for each in errors})
    return seen


def test_few_files_are_flushed_one_by_one(files: Sequence[int], monkeypatch: pytest.MonkeyPatch) -> None:
    counts = count_flushes(monkeypatch)
    assert flush(files[:-1]) == {}
    assert counts == {"fsync": MANY - 1}


def test_many_files_are_flushed_at_once(files: Sequence[int], monkeypatch: pytest.MonkeyPatch) -> None:
    if not flushing._is_flushed_whole(files[0]):
        monkeypatch.setattr(flushing, "_is_flushed_whole", lambda descriptor: True)
    counts = count_flushes(monkeypatch)
    assert flush(files) == {}
    assert counts == {"syncfs": 1}


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("_dirty", 2**30),  # somebody else is writing much
        ("_reports_errors", False),  # an old kernel
        ("_is_flushed_whole", False),  # a file system that may flush less
    ],
)
def test_one_by_one_where_that_is_surer(
    name: str, answer: object, files: Sequence[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = count_flushes(monkeypatch)
    monkeypatch.setattr(flushing, name, lambda *arguments: answer)
    assert flush(files) == {}
    assert counts == {"fsync": MANY}


def test_a_failure_of_all_is_told_of_each(files: Sequence[int], monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.fsync
    monkeypatch.setattr(flushing, "_dirty", lambda: 0)
    monkeypatch.setattr(flushing, "_is_flushed_whole", lambda descriptor: True)
    monkeypatch.setattr(flushing, "_flush_whole", lambda descriptor: False)
    monkeypatch.setattr(os, "fsync", lambda fd: failing(fd) if fd == files[1] else real(fd))
    errors = flush(files)
    assert [*errors] == [files[1]]
    assert errors[files[1]].errno == errno.EIO


def test_a_file_system_that_cannot_flush_directories(
    tmp_path: Path, files: Sequence[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unable(fd: int) -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    monkeypatch.setattr(os, "fsync", unable)
    directory = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        assert [*flush([directory, files[0]])] == [files[0]]
    finally:
        os.close(directory)


def test_what_this_machine_says() -> None:
    assert flushing._reports_errors()
    assert flushing._dirty() >= 0
    with open("/proc/self/status") as file:
        assert not flushing._is_flushed_whole(file.fileno())


def test_work_alone(files: Sequence[int], monkeypatch: pytest.MonkeyPatch) -> None:
    assert flushed(work(files, files[:1])) == [{}, {}]
    monkeypatch.setattr(os, "fsync", failing)
    assert flushed(work(files[:1])) == [{files[0]: errno.EIO}]


def test_work_that_need_not_wait() -> None:
    paused = Paused(work())
    assert (paused.descriptors, paused.result) == (None, [])


def test_work_that_is_given_up(files: Sequence[int]) -> None:
    ended = []

    def careful() -> Flushing[None]:
        try:
            yield files
        finally:
            ended.append(True)

    paused = Paused(careful())
    paused.close()
    assert ended == [True]
    assert paused.descriptors is None
    assert not paused.has_result


def test_work_that_fails(files: Sequence[int]) -> None:
    def unlucky() -> Flushing[None]:
        yield files
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    paused = Paused(unlucky())
    with pytest.raises(OSError, match="No space"):
        paused.go_on({})
    assert paused.descriptors is None
    assert not paused.has_result
