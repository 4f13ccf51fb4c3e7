"""Writing ids into audio files so that no crash, full disk or other program can turn the write into damage.

A change that moves no byte is made in place, with the old bytes in a journal first; any other is a new version
of the file, renamed over the old one. Only the files named are touched.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Sequence
from pathlib import Path

from rosecache.errors import TagWriteError
from rosecache.tags.journal import (
    JOURNAL_PREFIX,
    Entry,
    entry_of,
    remove_journal,
    write_journal,
    write_spans,
)
from rosecache.tags.plans import IdWrite, Plan, expect_unchanged, failure, is_inside, open_audio, plan_ids
from rosecache.tags.rewrite import rewrite

_AT_ONCE = 100
"""Files written together: few enough for their descriptors, enough for the flushes to be shared."""


def write_ids(release_dir: Path, writes: Sequence[IdWrite]) -> list[TagWriteError]:
    """Puts ids into audio files, and changes nothing else in them: not even their times.

    The caller holds the release's lock, and has called :func:`rosecache.tags.recover` since the last start.

    Args:
        release_dir: The release's directory, absolute.
        writes: What to write; each file once.

    Returns:
        The files that could not be written, with the reason. They are as they were.
    """
    problems: list[TagWriteError] = []
    inside = {
        directory: is_inside(release_dir, directory) for directory in {write.path.parent for write in writes}
    }
    for start in range(0, len(writes), _AT_ONCE):
        plans = []
        for write in writes[start : start + _AT_ONCE]:
            if not inside[write.path.parent]:
                problems.append(TagWriteError(write.path, "it lies outside the release's directory"))
                continue
            try:
                plans.append(plan_ids(write))
            except TagWriteError as error:
                problems.append(error)
        due = [plan for plan in plans if plan.patches]
        problems += _write_in_place(release_dir, [plan for plan in due if plan.is_in_place])
        problems += rewrite([plan for plan in due if not plan.is_in_place])
    return problems


def _write_in_place(release_dir: Path, plans: Sequence[Plan]) -> list[TagWriteError]:
    """Carries out plans that move no byte, all under one journal."""
    problems: list[TagWriteError] = []
    opened: list[tuple[Plan, int, Entry]] = []
    with contextlib.ExitStack() as descriptors:
        for plan in plans:
            try:
                fd = open_audio(plan.path, os.O_RDWR)
                descriptors.callback(os.close, fd)
                expect_unchanged(plan, os.fstat(fd))
                entry = entry_of(release_dir, plan.path, plan.status, fd, list(plan.patches))
                opened.append((plan, fd, entry))
            except (OSError, TagWriteError) as error:
                problems.append(plan.problem(error))
        if not opened:
            return problems
        journal = release_dir / f"{JOURNAL_PREFIX}{secrets.token_hex(8)}"
        try:
            lock = write_journal(journal, [entry for _, _, entry in opened])
        except OSError as error:
            return problems + [failure(plan.path, error) for plan, _, _ in opened]
        failed, is_whole = _overwrite(opened)
        problems += failed
        if not is_whole:
            os.close(lock)  # and leave the journal to recovery
            return problems
        try:
            remove_journal(journal, lock)
        except OSError as error:
            problems.append(failure(journal, error))
    return problems


def _overwrite(opened: Sequence[tuple[Plan, int, Entry]]) -> tuple[list[TagWriteError], bool]:
    """Overwrites the journalled bytes of open files: first all are written, then all flushed.

    Returns:
        The files that failed, and whether every file is whole: one that failed has its old bytes back.
    """
    problems: list[TagWriteError] = []
    is_whole = True
    remaining = opened
    for step in (_write_new, _flush):
        done = []
        for plan, fd, entry in remaining:
            try:
                step(fd, entry)
                done.append((plan, fd, entry))
            except OSError as error:
                problems.append(failure(plan.path, error))
                is_whole &= _undo(fd, entry)
        remaining = done
    return problems, is_whole


def _write_new(fd: int, entry: Entry) -> None:
    write_spans(fd, entry, new=True)


def _flush(fd: int, _entry: Entry) -> None:
    os.fsync(fd)


def _undo(fd: int, entry: Entry) -> bool:
    """Puts the old bytes back, and says whether that worked."""
    try:
        write_spans(fd, entry, new=False)
        os.fsync(fd)
    except OSError:
        return False
    return True
