"""Taking edits back, from the journal: everything is checked before anything is changed.

Taking back is an edit itself, so it is in the journal and can be taken back too. An edit whose program was killed
is judged by what is on the disk.
"""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

from rosecache.config import Config
from rosecache.errors import RosecacheError
from rosefs.library.editing import editing, holding, refresh, touched_by
from rosefs.library.errors import NotFoundError, UndoError
from rosefs.library.files import digest_if_file, times_below
from rosefs.library.hands import take_back
from rosefs.library.journal import Entry, Journal
from rosefs.library.making import remove_entry
from rosefs.library.steps import (
    Adopted,
    Created,
    Renamed,
    Replaced,
    Restored,
    Step,
    Trashed,
    paths_of,
    was_done,
    without_detours,
)
from rosefs.library.trash import problem_of

_UNDO, _REDO = "undo: ", "redo: "


class Undone(msgspec.Struct, frozen=True):
    """An edit that was taken back.

    Attributes:
        entry: The edit; of a group, the one that was asked for, or the last.
        steps: How many steps were taken back; none if its program was killed before it had done any.
        others: How many other edits of its group were taken back with it.
    """

    entry: Entry
    steps: int
    others: int


def undo(c: Config, journal: Journal, identifier: str | None = None) -> Undone:
    """Takes an edit back, and with it all edits of its group.

    Args:
        c: The settings.
        journal: The journal.
        identifier: Which edit, by its id or an end of it; the last one that is not undone yet, if None. The id
            of an undo does again what was undone.

    Raises:
        NotFoundError: There is no such edit, or nothing to take back.
        UndoError: It is undone already, is being made right now, or its files have changed since; nothing was
            changed.
        OSError, TrashError, JournalError, LockTimeoutError: A step failed; nothing was changed.
        CacheBehindError: It is done, but the cache could not be updated.
    """
    with journal.lock("undo"):
        chosen = _choose(journal, identifier)
        return _undo(c, journal, chosen, _parts(journal, chosen))


def recover(c: Config, journal: Journal) -> list[Undone | RosecacheError | OSError]:
    """Takes back every edit whose program was killed before it had finished; of its group, no other one.

    What programs had copied to a mount, and got its name, stays.

    Returns:
        For each such edit what became of it: some may have to be left as they are, with the error that says why.

    Raises:
        OSError, LockTimeoutError: The journal cannot be read; nothing was changed.
    """
    outcomes: list[Undone | RosecacheError | OSError] = []
    if not journal.abandoned():
        return outcomes
    with journal.lock("undo"):
        journal.remove_stumps()
        abandoned = journal.abandoned()
        for entry in journal.history():
            if entry.id in abandoned and not entry.finished and not entry.undone:
                try:
                    if any(isinstance(step, Adopted) and was_done(step) for step in entry.steps):
                        journal.settle(entry.id)  # nobody else has what is in there, and nothing is missing
                        continue
                    outcomes.append(_undo(c, journal, entry, [entry]))
                except (RosecacheError, OSError) as error:
                    outcomes.append(error)
    return outcomes


def _undo(c: Config, journal: Journal, chosen: Entry, parts: list[Entry]) -> Undone:
    """Takes back an edit that consists of some entries; whoever calls it holds the journal's lock for that."""
    paths = [path for part in parts for step in part.steps for path in paths_of(step)]
    touched = touched_by(c, paths)
    with holding(c, touched):
        steps = without_detours(step for part in parts for step in _done_steps(part))
        _check(chosen, parts, steps)
    if steps:
        undoes = tuple(part.id for part in parts)
        with editing(c, journal, _title(chosen), touched, undoes=undoes, force=True) as edit:
            _check(chosen, parts, steps)
            for step in reversed(steps):
                take_back(step, edit, journal.directory)
    else:
        for part in parts:
            remove_entry(journal.directory, part.id)
        refresh(c, touched)
    return Undone(chosen, len(steps), len(parts) - 1)


def _choose(journal: Journal, identifier: str | None) -> Entry:
    if identifier is None:
        for entry in journal.entries():
            # An undo counts as what it is only if it was cut off.
            if not entry.undone and (not entry.undoes or not entry.finished):
                break
        else:
            raise NotFoundError("there is nothing to take back")
    else:
        entry = journal.find(identifier)
    if entry.undone:
        raise UndoError(f"{entry.title!r} is taken back already")
    _refuse_living(journal, entry)
    return entry


def _parts(journal: Journal, entry: Entry) -> list[Entry]:
    """Returns what has to be taken back for an edit, in order.

    That is the edit itself and the others of its group; but if these were taken back and done again, the edit that
    did so: what is done again has left its traces elsewhere, in the trash for one.
    """
    newer: dict[str, Entry] = {}
    for each in itertools.takewhile(lambda each: each.id != entry.id, journal.entries()):
        if each.finished:
            for identifier in each.undoes:
                newer.setdefault(identifier, each)
    latest = entry
    while (back := newer.get(latest.id)) is not None and (again := newer.get(back.id)) is not None:
        latest = again
    if latest.id != entry.id or entry.group is None:
        return [latest]
    parts = [each for each in journal.entries() if each.group == entry.group and not each.undone]
    for part in parts:
        _refuse_living(journal, part)
    return parts[::-1]


def _refuse_living(journal: Journal, entry: Entry) -> None:
    if not entry.finished and journal.is_alive(entry.id):
        raise UndoError(
            f"{entry.title!r} is being done right now, by {entry.program}; try again when it has ended"
        )


def _title(entry: Entry) -> str:
    if entry.title.startswith(_UNDO):
        return _REDO + entry.title.removeprefix(_UNDO)
    return _UNDO + entry.title.removeprefix(_REDO)


def _done_steps(entry: Entry) -> list[Step]:
    """Returns the steps that were done: of an edit that was cut off, the last ones may not have been."""
    steps = list(entry.steps)
    if not entry.finished:
        while steps and was_done(steps[-1]) is False:
            _tidy(steps.pop())
        if steps and isinstance(steps[-1], Restored):
            _remove_info(steps[-1])
    return without_detours(steps)


def _tidy(step: Step) -> None:
    """Removes what is left of a step that was begun and not done."""
    if isinstance(step, Created) and step.temporary is not None:
        shutil.rmtree(step.temporary, ignore_errors=True)
    elif isinstance(step, Trashed):
        _remove_info(step)


def _remove_info(step: Trashed | Restored) -> None:
    """Removes from the trash what is said, or was begun to be said, of something that is not there."""
    with suppress(OSError, UnicodeDecodeError):
        is_ours = step.at.info.startswith(step.at.info_path.read_text(encoding="utf-8"))
        if is_ours and not os.path.lexists(step.at.files_path):
            step.at.info_path.unlink()


# Checking ---------------------------------------------------------------------------------------------------


class _Plan:
    """What the disk would look like after some steps were taken back. Changes nothing."""

    def __init__(self, entry: Entry) -> None:
        self._entry = entry
        self._moved: dict[Path, Path | None] = {}
        """Where what would be at a path is now; None if nothing would be there."""
        self._digests: dict[Path, str] = {}
        """Content that files would have, by where they are now."""

    def locate(self, path: Path) -> Path:
        """Returns where what would be at a path is now."""
        for known in (path, *path.parents):
            if known in self._moved:
                found = self._moved[known]
                if found is None:
                    raise self.refusal(f"{path} is gone")
                return found / path.relative_to(known)
        return path

    def expect_free(self, path: Path) -> None:
        """Makes sure that nothing would be at a path, but its directory would be there."""
        if self._moved.get(path, path) is not None and os.path.lexists(self.locate(path)):
            raise self.refusal(f"something else is at {path} now")
        if not self.locate(path.parent).is_dir():
            raise self.refusal(f"the directory {path.parent} is gone")

    def expect(self, path: Path, digest: str | None, *, follow: bool = False) -> None:
        """Makes sure that a path would have this content, or that of what it leads to; None for a directory."""
        found = self.locate(path)
        if follow:
            found = Path(os.path.realpath(found))
        try:
            actual = self._digests.get(found) or digest_if_file(found)
        except FileNotFoundError as error:
            raise self.refusal(f"{path} is gone") from error
        if actual != digest:
            raise self.refusal(f"{path} has changed since")

    def expect_files(self, path: Path, times: Mapping[str, int]) -> None:
        """Makes sure that a directory holds the same files as when the edit had ended; identifiers do not count."""
        try:
            now = times_below(path)
        except FileNotFoundError as error:
            raise self.refusal(f"{path} is gone") from error
        changed = sorted(name for name, _ in times.items() ^ now.items())
        if changed:
            raise self.refusal(f"{path / changed[0]} has changed since, or is new, or gone")

    def expect_trashed(self, step: Trashed) -> None:
        problem = problem_of(step.at)
        if problem is not None:
            raise self.refusal(f"{step.at.original} {problem}")

    def move(self, old: Path, new: Path) -> None:
        self._moved[new] = self.locate(old)
        self._moved[old] = None

    def remove(self, path: Path) -> None:
        self._moved[path] = None

    def change(self, path: Path, digest: str) -> None:
        self._digests[Path(os.path.realpath(self.locate(path)))] = digest

    def refusal(self, reason: str) -> UndoError:
        return UndoError(f"{self._entry.title!r} cannot be taken back: {reason}; nothing was changed")


def _check(entry: Entry, parts: list[Entry], steps: list[Step]) -> None:
    """Makes sure that all steps can be taken back. Raises UndoError with the reason if one cannot."""
    plan = _Plan(entry)
    for part in parts:
        for path, times in part.found.items():
            plan.expect_files(path, times)
    for step in reversed(steps):
        match step:
            case Renamed():
                plan.expect(step.new, step.digest)
                plan.expect_free(step.old)
                plan.move(step.new, step.old)
            case Trashed():
                plan.expect_trashed(step)
                plan.expect_free(step.at.original)
                plan.move(step.at.files_path, step.at.original)
            case Restored():
                if not os.path.lexists(plan.locate(step.at.original)):
                    raise plan.refusal(f"{step.at.original} is gone")
                plan.remove(step.at.original)
            case Created():
                plan.expect(step.path, step.digest)
                plan.remove(step.path)
            case Adopted():
                plan.expect(step.path, None)
                plan.remove(step.path)
            case Replaced():
                plan.expect(step.path, step.new_digest, follow=True)
                plan.change(step.path, step.old_digest)
