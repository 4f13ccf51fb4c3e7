"""Writing ids into audio files so that no crash, full disk or other program can turn the write into damage.

A change that moves no byte is made in place, with the old bytes in a journal first; any other is a new version
of the file, renamed over the old one. Only the files named are touched.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from rosecache.errors import TagWriteError
from rosecache.flushing import Flushing, flushed
from rosecache.tags.journal import (
    JOURNAL_PREFIX,
    Entry,
    entry_of,
    open_directory,
    removing_journal,
    write_spans,
    writing_journal,
)
from rosecache.tags.plans import IdWrite, Plan, expect_unchanged, failure, is_inside, open_audio, plan_ids
from rosecache.tags.rewrite import rewrite

_Opened = tuple[Plan, int, Entry]
"""A plan, the descriptor of its file, and what the journal says of it."""

_AT_ONCE = 100
"""Files written together: few enough for their descriptors, enough for the flushes to be shared."""

_MOST_AT_ONCE = 16 * 2**20
"""The most that is kept of them meanwhile, about: what their tags say, and what is to be written."""


def write_ids(release_dir: Path, writes: Sequence[IdWrite]) -> list[TagWriteError]:
    """Puts ids into audio files at once. See :func:`writing_ids`."""
    return flushed(writing_ids(release_dir, writes))


def writing_ids(release_dir: Path, writes: Sequence[IdWrite]) -> Flushing[list[TagWriteError]]:
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
    left = deque(writes)
    while left:
        due: list[Plan] = []
        size = 0
        while left and len(due) < _AT_ONCE and size < _MOST_AT_ONCE:
            write = left.popleft()
            if not inside[write.path.parent]:
                problems.append(TagWriteError(write.path, "it lies outside the release's directory"))
                continue
            try:
                plan = plan_ids(write)
            except TagWriteError as error:
                # Without its traceback, which holds all that was read of the file.
                problems.append(TagWriteError(error.path, error.reason))
                continue
            if plan.patches:
                due.append(plan)
                size += plan.size
        problems += yield from _writing_in_place(release_dir, [plan for plan in due if plan.is_in_place])
        # Not held up for others: until it is renamed, each takes the room of a whole copy.
        problems += rewrite([plan for plan in due if not plan.is_in_place])
    return problems


def _writing_in_place(release_dir: Path, plans: Sequence[Plan]) -> Flushing[list[TagWriteError]]:
    """Carries out plans that move no byte, all under one journal."""
    problems: list[TagWriteError] = []
    opened: list[_Opened] = []
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
            directory = open_directory(release_dir)
            descriptors.callback(os.close, directory)
            lock = yield from writing_journal(journal, directory, [entry for _, _, entry in opened])
        except OSError as error:
            return problems + [failure(plan.path, error) for plan, _, _ in opened]
        descriptors.callback(os.close, lock)  # unless it is removed, the journal is left to recovery
        failed, is_whole = yield from _overwriting(opened)
        problems += failed
        if is_whole:
            try:
                yield from removing_journal(journal, directory)
            except OSError as error:
                problems.append(failure(journal, error))
    return problems


def _overwriting(opened: Sequence[_Opened]) -> Flushing[tuple[list[TagWriteError], bool]]:
    """Overwrites the journalled bytes of open files: first all are written, then all flushed.

    Returns:
        The files that failed, and whether every file is whole: one that failed has its old bytes back.
    """
    failed: list[tuple[_Opened, OSError]] = []
    written: list[_Opened] = []
    problems: list[TagWriteError] = []
    for each in opened:
        plan, fd, entry = each
        try:
            expect_unchanged(plan, os.fstat(fd))  # it may have taken a while to flush the journal
            write_spans(fd, entry, new=True)
            written.append(each)
        except TagWriteError as error:
            problems.append(error)
        except OSError as error:
            failed.append((each, error))
    errors = yield [fd for _, fd, _ in written]
    failed += [(each, errors[each[1]]) for each in written if each[1] in errors]
    undone = [_undo(fd, entry) for (_, fd, entry), _ in failed]
    return problems + [failure(plan.path, error) for (plan, _, _), error in failed], all(undone)


def _undo(fd: int, entry: Entry) -> bool:
    """Puts the old bytes back, and says whether that worked."""
    try:
        write_spans(fd, entry, new=False)
        os.fsync(fd)
    except OSError:
        return False
    return True
