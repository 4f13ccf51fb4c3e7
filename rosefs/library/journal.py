"""The journal of edits: every one is written down before it happens, so that it can be taken back.

One file per edit, named by its id, in the state directory: a header, a line per step, each flushed to the disk
before the step is done, and a last line when all are. Old content too long for a line is in files beside it. An
edit that fails is taken back at once and leaves no trace; a crash leaves a file without a last line, whose steps
are judged by what is on the disk. The journal is bounded, and its oldest edits go first.

Nothing here knows what a release or a playlist is.
"""

from __future__ import annotations

import fcntl
import functools
import itertools
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from uuid import UUID

import msgspec

from rosecache.errors import LockTimeoutError, RosecacheError
from rosecache.locks import wait_until
from rosecache.newid import new_id
from rosecache.temporary import claim, make_private_directory
from rosefs.library.errors import JournalError, NotFoundError
from rosefs.library.making import OLD_SUFFIX, SUFFIX, remove_entry
from rosefs.library.making import Edit as Edit
from rosefs.library.steps import Cancelled, Done, Found, Header, Step, decode_lines, encode_line

log = logging.getLogger(__name__)

MAX_EDITS = 1000
MAX_BYTES = 512 * 2**20
_LARGE = 64 * 2**10
"""Only edits of so many bytes are a reason to add up the sizes of all: smaller ones keep to the limit by number."""
_LAST_LINE = encode_line(Done())


class Entry(msgspec.Struct, frozen=True):
    """One edit of the journal.

    Attributes:
        id: Its id; later ones are greater.
        time: When it began, ISO 8601 with offset.
        title: What it did, for people.
        program: Which program did it.
        undoes: The ids of the edits that it took back, if that is what it did.
        group: What it has in common with edits that are taken back together with it.
        finished: False if it is being made, or if its program was killed.
        undone: It has been taken back.
        steps: What it did, in order.
        found: What the directories held that it made or moved, when it had ended; see ``steps.Found``.
    """

    id: str
    time: str
    title: str
    program: str
    undoes: tuple[str, ...]
    group: str | None
    finished: bool
    undone: bool
    steps: tuple[Step, ...]
    found: Mapping[Path, Mapping[str, int]]


def _program() -> str:
    return Path(sys.argv[0]).name or "python"


class Journal(msgspec.Struct, frozen=True):
    """The journal in a state directory, which is made when the first edit is.

    Attributes:
        state_dir: The state directory.
        max_edits: How many edits are kept.
        max_bytes: How much space they may take; the newest stays, whatever it takes.
        clock: The time, in seconds since the epoch.
    """

    state_dir: Path
    max_edits: int = MAX_EDITS
    max_bytes: int = MAX_BYTES
    clock: Callable[[], float] = time.time

    @property
    def directory(self) -> Path:
        return self.state_dir / "journal"

    @contextmanager
    def edit(
        self,
        title: str,
        *,
        undoes: tuple[str, ...] = (),
        group: str | None = None,
        more_follow: bool = False,
    ) -> Iterator[Edit]:
        """Makes an edit: its methods change the disk and the journal.

        If the block raises, what was done is taken back, in reverse order, and the edit was never made.

        Args:
            title: What it does, for people: ``delete release X``.
            undoes: The ids of the edits that it takes back.
            group: Whatever edits have in common that are to be taken back as one, such as an id of the gesture
                that makes them one by one.
            more_follow: Whoever makes the edits of a group calls :meth:`prune` after the last one.

        Raises:
            JournalError: The journal cannot be written; what was done is taken back.
        """
        now = datetime.fromtimestamp(self.clock()).astimezone().isoformat(timespec="seconds")
        header = Header(
            id=self._new_id(), time=now, title=title, program=_program(), undoes=undoes, group=group
        )
        edit = Edit(self.directory, header)
        try:
            yield edit
            edit.finish()
        except BaseException as error:
            try:
                edit.take_back()
            except (OSError, RosecacheError) as failure:
                error.add_note(f"what was done before could not all be taken back: {failure}")
                log.error("edit %s (%s) is half done: %s", edit.id, title, failure)
            raise
        finally:
            edit.close()
        if edit.has_steps and not more_follow:
            self.prune(by_size=edit.size >= _LARGE)

    def history(self, limit: int | None = None) -> list[Entry]:
        """Returns the newest edits, newest first. Raises OSError if the journal cannot be read."""
        return list(itertools.islice(self.entries(), limit))

    def entries(self) -> Iterator[Entry]:
        """Yields all edits, newest first, reading each when it is asked for."""
        undone: set[str] = set()
        for identifier in reversed(self._ids()):
            entry = self._read(identifier, undone)
            if entry is None:
                continue
            # What took it back is newer than itself, and has been seen.
            if entry.finished and not entry.undone:
                undone.update(entry.undoes)
            yield entry

    def find(self, identifier: str) -> Entry:
        """Returns one edit, by its id or an end of it. Raises NotFoundError if none matches, or several do."""
        matching = [each for each in self._ids() if identifier and each.endswith(identifier)]
        if len(matching) == 1:
            for entry in self.entries():
                if entry.id == matching[0]:
                    return entry
        reason = "several edits have" if len(matching) > 1 else "no edit has"
        raise NotFoundError(f"{reason} the id {identifier!r}; rosefs history lists them")

    def abandoned(self) -> list[str]:
        """Returns the ids of edits that have no last line, and that nobody is at work on, newest first.

        Looks at the ends of files only, so that it can be asked before every edit. Some of them may have been
        taken back since. Raises OSError if the journal cannot be read.
        """
        return [
            each for each in reversed(self._ids()) if not self._is_whole(each) and not self.is_alive(each)
        ]

    def settle(self, identifier: str) -> None:
        """Notes of an abandoned edit that everything was done. Raises OSError."""
        with open(self.directory / f"{identifier}{SUFFIX}", "r+b") as file:
            file.seek(file.read().rfind(b"\n") + 1)  # its last line may be cut off
            file.truncate()
            file.write(_LAST_LINE)
            file.flush()
            os.fsync(file.fileno())

    def remove_stumps(self) -> None:
        """Removes files of edits that were killed before their first line was whole. Raises OSError.

        Nothing had been done then. The caller holds the lock ``undo``.
        """
        for identifier in self.abandoned():
            with suppress(FileNotFoundError), open(self.directory / f"{identifier}{SUFFIX}", "rb") as file:
                if _try_claim(file.fileno()) and not file.readline().endswith(b"\n"):
                    remove_entry(self.directory, identifier)

    def _is_whole(self, identifier: str) -> bool:
        try:
            with open(self.directory / f"{identifier}{SUFFIX}", "rb", buffering=0) as file:
                size = os.fstat(file.fileno()).st_size
                return os.pread(file.fileno(), len(_LAST_LINE), max(0, size - len(_LAST_LINE))) == _LAST_LINE
        except FileNotFoundError:
            return True  # pruned, or taken back, meanwhile

    def is_alive(self, identifier: str) -> bool:
        """Tells whether a process is at work on an edit."""
        with suppress(OSError), open(self.directory / f"{identifier}{SUFFIX}", "rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    @contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Holds a lock of the journal's own: ``undo`` or ``prune``. Raises LockTimeoutError."""
        make_private_directory(self.directory)
        with ExitStack() as held:
            descriptor = os.open(
                self.directory / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
            )
            held.callback(os.close, descriptor)
            wait_until(lambda: _try_claim(descriptor), f"journal {name}")
            yield

    def _new_id(self) -> str:
        """Returns an id that is greater than all there are, also when the clock was put back since."""
        identifier = UUID(new_id())
        try:
            last = max(self._ids(), default="")
        except OSError as error:
            raise JournalError(
                f"the journal of edits in {self.directory} cannot be written: {error.strerror}. Nothing is changed"
            ) from error
        if str(identifier) > last:
            return str(identifier)
        milliseconds = (UUID(last).int >> 80) + 1
        return str(UUID(int=milliseconds << 80 | identifier.int & ((1 << 80) - 1)))

    def _ids(self) -> list[str]:
        try:
            names = os.listdir(self.directory)
        except FileNotFoundError:
            return []
        return sorted(name.removesuffix(SUFFIX) for name in names if name.endswith(SUFFIX))

    def _read(self, identifier: str, undone: set[str]) -> Entry | None:
        try:
            data = (self.directory / f"{identifier}{SUFFIX}").read_bytes()
        except FileNotFoundError:
            return None  # pruned, or taken back, meanwhile
        header: Header | None = None
        finished = False
        steps: list[Step] = []
        found: dict[Path, dict[str, int]] = {}
        for line in decode_lines(data):
            match line:
                case Header():
                    header = line
                case Cancelled():
                    steps.pop()
                case Done():
                    finished = True
                case Found():
                    found[line.path] = line.times
                case _:
                    steps.append(line)
        if header is None:
            return None
        return Entry(
            identifier, header.time, header.title, header.program, header.undoes, header.group, finished,
            identifier in undone, tuple(steps), found,
        )  # fmt: skip

    def prune(self, *, by_size: bool = True) -> None:
        """Removes the oldest edits until the rest keeps to the limits; those of a group count as one, and go together.

        Without ``by_size``, their sizes are not looked at, which are many. A failure is logged.
        """
        try:
            with self.lock("prune"):
                self._prune(by_size=by_size)
        except (OSError, LockTimeoutError) as failure:
            log.warning("old edits could not be removed from the journal: %s", failure)

    def _prune(self, *, by_size: bool) -> None:
        ids = self._ids()
        sizes = self._sizes() if by_size else {}
        total = sum(sizes.values())
        if len(ids) <= self.max_edits and total <= self.max_bytes:
            return
        groups: dict[str, list[str]] = {}
        for identifier in ids:
            groups.setdefault(_group_of(self.directory / f"{identifier}{SUFFIX}") or identifier, []).append(
                identifier
            )
        excess = len(groups) - self.max_edits
        *older, _ = sorted(groups.values(), key=lambda group: group[-1])
        for group in older:
            if excess <= 0 and total <= self.max_bytes:
                break
            if not any(map(self.is_alive, group)):
                for identifier in group:
                    remove_entry(self.directory, identifier)
                    total -= sizes.get(identifier, 0)
                excess -= 1

    def _sizes(self) -> dict[str, int]:
        """Returns how many bytes each edit takes, by its id."""
        sizes: dict[str, int] = {}
        with os.scandir(self.directory) as entries:
            for entry in entries:
                if entry.name.endswith((SUFFIX, OLD_SUFFIX)):
                    identifier = entry.name.partition(".")[0]
                    with suppress(FileNotFoundError):
                        sizes[identifier] = sizes.get(identifier, 0) + entry.stat().st_size
        return sizes


@functools.lru_cache(maxsize=4096)
def _group_of(path: Path) -> str | None:
    """Returns the group of the edit in a file, which never changes; None if it has none, or is gone."""
    try:
        with path.open("rb") as file:
            header = next(decode_lines(file.readline()), None)
    except FileNotFoundError:
        return None
    return header.group if isinstance(header, Header) else None


def _try_claim(descriptor: int) -> bool:
    try:
        claim(descriptor)
    except BlockingIOError:
        return False
    return True
