"""An edit in the making: does steps, and writes each to its file in the journal before.

Which edits there are, and how many are kept, is the business of ``journal``.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from rosecache.tags.journal import flush_directory
from rosecache.temporary import create_claimed, make_private_directory
from rosefs.library.errors import JournalError
from rosefs.library.files import CHUNK, times_below
from rosefs.library.hands import Hands, take_back
from rosefs.library.steps import (
    Adopted,
    Cancelled,
    Created,
    Done,
    Found,
    Header,
    Line,
    Step,
    directories_of,
    encode_line,
    names_of,
    was_done,
    without_detours,
)
from rosefs.library.trash import Trashed as InTrash

SUFFIX = ".jsonl"
"""Ends the name of an edit's file; the rest is its id."""
OLD_SUFFIX = ".old"
"""Ends the names of files beside it, with old content too long for a line; they start with the id, too."""

_LONGEST_IN_LINE = 64 * 2**10


class Edit(Hands):
    """An edit in the making: does steps, and writes each down before."""

    def __init__(self, directory: Path, header: Header) -> None:
        self.id = header.id
        self._directory = directory
        self._header = header
        self._descriptor: int | None = None
        self._pending: Step | None = None
        self._steps: list[Step] = []
        self._kept = 0
        self.size = 0
        """How many bytes it takes in the journal."""
        self._broken = False

    def discard(self, path: Path) -> None:
        """Puts into the trash what an edit that is taken back had created."""
        self.trash(path)

    def give_back(self, step: Adopted) -> None:
        """Puts a directory into the trash that programs had filled."""
        self.trash(step.path)

    def trash(self, path: Path, *, original: Path | None = None) -> InTrash:
        at = super().trash(path, original=original)
        self._commit()
        return at

    def _about_to(self, step: Step) -> None:
        self._settle()
        self._write(step)
        self._pending = step

    @contextmanager
    def _doing(self, step: Step) -> Iterator[None]:
        self._about_to(step)
        try:
            yield
        except OSError:
            # What is at the path of something that could not be made is somebody else's.
            self._settle(failed=isinstance(step, Created))
            raise
        except BaseException:
            self._settle()
            raise
        self._commit()

    def _commit(self) -> None:
        """Counts the step in the making as done."""
        if self._pending is not None:
            self._steps.append(self._pending)
            self._pending = None

    def _settle(self, *, failed: bool = False) -> None:
        """Finds out whether a step that did not end well was done all the same, and notes it if it was not."""
        step, self._pending = self._pending, None
        if step is None:
            return
        if not failed and was_done(step):
            self._steps.append(step)
        else:
            self._write(Cancelled())

    def _write(self, line: Line) -> None:
        if self._broken:
            raise JournalError("the journal could not be written before; the edit cannot go on")
        try:
            descriptor = self._opened()
            data = encode_line(line)
            self.size += len(data)
            while data:
                data = data[os.write(descriptor, data) :]
            os.fsync(descriptor)
        except OSError as error:
            self._broken = True
            raise JournalError(
                f"the journal of edits in {self._directory} cannot be written: {error.strerror}. "
                "Nothing is changed that could not be taken back"
            ) from error

    @property
    def path(self) -> Path:
        return self._directory / f"{self.id}{SUFFIX}"

    def _opened(self) -> int:
        if self._descriptor is None:
            make_private_directory(self._directory)
            while (descriptor := create_claimed(self.path, 0o600)) is None:
                pass
            self._descriptor = descriptor
            os.write(descriptor, encode_line(self._header))
            flush_directory(self._directory)
        return self._descriptor

    def _keep_old(self, path: Path, spans: Sequence[tuple[int, int]]) -> tuple[bytes, str | None]:
        total = sum(end - start for start, end in spans)
        with open(path, "rb", buffering=0) as file:
            kept = _chunks(file.fileno(), spans)
            if total <= _LONGEST_IN_LINE:
                return b"".join(kept), None
            self._opened()  # so that what is kept belongs to something, whatever happens
            self._kept += 1
            self.size += total
            name = f"{self.id}.{self._kept}{OLD_SUFFIX}"
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            with open(os.open(self._directory / name, flags, 0o600), "wb") as target:
                for data in kept:
                    target.write(data)
                target.flush()
                os.fsync(target.fileno())
        return b"", name

    @property
    def has_steps(self) -> bool:
        return bool(self._steps)

    def finish(self) -> None:
        """Notes that everything is done."""
        self._settle()
        if self._steps:
            self._flush_names()
            for path in directories_of(self._steps):
                self._write(Found(path=path, times=times_below(path)))
            self._write(Done())
        elif self._descriptor is not None:
            remove_entry(self._directory, self.id)  # every step failed, and somebody did something else

    def _flush_names(self) -> None:
        """Has the names that were given and taken outlive a power cut, before it is noted that all is done."""
        for directory in sorted({path.parent for step in self._steps for path in names_of(step)}):
            with suppress(FileNotFoundError):
                flush_directory(directory)

    def take_back(self) -> None:
        """Undoes all steps, and forgets the edit. Raises what the first step raises that cannot be undone."""
        with suppress(JournalError):
            self._settle()
        hands = Hands()
        for step in reversed(without_detours(self._steps)):
            take_back(step, hands, self._directory)
        remove_entry(self._directory, self.id)

    def close(self) -> None:
        """Lets go of the file, which shows others that nobody is at work on it any more."""
        if self._descriptor is not None:
            os.close(self._descriptor)


def _chunks(descriptor: int, spans: Sequence[tuple[int, int]]) -> Iterator[bytes]:
    """Yields the bytes of some spans of a file. Raises OSError if it ends before."""
    for start, end in spans:
        for at in range(start, end, CHUNK):
            count = min(CHUNK, end - at)
            data = os.pread(descriptor, count, at)
            if len(data) != count:
                raise OSError(errno.EIO, "the file became shorter while it was read")
            yield data


def remove_entry(directory: Path, identifier: str) -> None:
    """Removes an edit from the journal in a directory, the header last. Raises OSError."""
    for kept in sorted(directory.glob(f"{identifier}.*{OLD_SUFFIX}")):
        kept.unlink(missing_ok=True)
    (directory / f"{identifier}{SUFFIX}").unlink(missing_ok=True)
