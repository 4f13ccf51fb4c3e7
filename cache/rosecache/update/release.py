"""Bringing one release up to date: read what changed, settle ids, write what must be written, store.

All of it happens under the release's lock, and is stored in one transaction: the cache holds a release as it was
or as it is, never half of it. Nothing here decides which releases to look at; see ``library``.
"""

from __future__ import annotations

import fcntl
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import msgspec

from rosecache.boundary import may_write
from rosecache.config import Config
from rosecache.database import connect, transaction
from rosecache.datafiles import remove_abandoned
from rosecache.flushing import Flushing, flushed
from rosecache.locks import DEFAULT_TIMEOUT, lock, wait_until
from rosecache.tags import recover
from rosecache.update import assign
from rosecache.update.content import Content, Request, audio_files, read_content, track_row
from rosecache.update.naming import names_of
from rosecache.update.renames import rename_source
from rosecache.update.report import Problem, problem, reason_of
from rosecache.update.rows import FileRow, ReleaseRow, load_release
from rosecache.update.store import remove_release, store_release
from rosecache.update.walk import (
    FoundFile,
    Listing,
    list_files,
    release_stamp,
    shown_elsewhere,
    was_other_place,
)

logger = logging.getLogger(__name__)

_CLAIMS_TIMEOUT = 600.0
"""Seconds: who holds this lock may be rewriting a release of hundreds of large files."""

Clock = Callable[[], float]
"""Gives the time in seconds since the epoch."""


class Outcome(msgspec.Struct):
    """What came of one release."""

    changed: bool = False
    evicted: bool = False
    skipped: bool = False
    deferred: bool = False
    """Holds files that claim to belong to another release: to be done again when all others are stored."""
    problems: list[Problem] = msgspec.field(default_factory=list)
    size: int = 0
    """Characters of its tags that are kept until it is stored."""


class Settled(msgspec.Struct, frozen=True):
    """What is to be stored of a release that was looked at."""

    outcome: Outcome
    row: ReleaseRow
    known: ReleaseRow | None
    """What the cache held of it before."""

    @property
    def ids(self) -> set[str]:
        """The ids that the cache does not know of before the row is stored."""
        return {self.row.id, *(track.id for track in self.row.tracks)}


StoreFirst = Callable[[Iterable[str]], None]


def release_lock_name(directory: bytes) -> str:
    """Returns the name of the lock that whoever changes a release directory holds."""
    return f"release-{os.fsdecode(directory)}"


@contextmanager
def lock_release(c: Config, directory: bytes, timeout: float = DEFAULT_TIMEOUT) -> Iterator[None]:
    """Holds a release directory's lock, and one on the directory itself.

    The second makes programs with different caches of one library take turns. Where a file system cannot
    lock directories, there is only the first. A thread that holds a release may take it again, also under the
    name that it has given the directory meanwhile.
    """
    with ExitStack() as held:
        held.enter_context(lock(c, release_lock_name(directory), timeout))
        with suppress(OSError):
            descriptor = os.open(_full_path(c, directory), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            held.callback(os.close, descriptor)
            status = os.fstat(descriptor)
            inode = (status.st_dev, status.st_ino)
            if inode not in _locked.inodes:
                wait_until(lambda: _try_flock(descriptor), release_lock_name(directory), timeout)
                _locked.inodes.add(inode)
                held.callback(_locked.inodes.discard, inode)
        yield


class _Locked(threading.local):
    def __init__(self) -> None:
        self.inodes: set[tuple[int, int]] = set()


_locked = _Locked()
"""The directories that this thread has locked: a second descriptor would wait for the first one."""


def _try_flock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _full_path(c: Config, directory: bytes) -> bytes:
    return os.path.join(os.fsencode(c.music_source_dir), directory)


def update_release(
    c: Config, directory: bytes, *, force: bool = False, defer: bool = False, clock: Clock = time.time
) -> Outcome:
    """Makes the cache match one release directory.

    Args:
        c: The settings.
        directory: Name of the directory, below the source directory.
        force: Read every file, and take a directory that somebody seems to be copying for whole.
        defer: Give up, and say so, where other releases must be stored first to tell whose an id is.
        clock: The time.

    Raises:
        LockTimeoutError: Somebody else holds the release for too long.
        OSError: The cache cannot be written.
    """
    with ExitStack() as held:
        held.enter_context(lock_release(c, directory))
        outcome = Outcome()
        settled = flushed(
            settling_release(
                c, directory, outcome, held, lambda _: None, force=force, defer=defer, clock=clock
            )
        )
        if settled is not None:
            store_settled(c, [settled])
        return outcome


def settling_release(
    c: Config, directory: bytes, outcome: Outcome, held: ExitStack, store_first: StoreFirst,
    *, force: bool, defer: bool, clock: Clock = time.time,
) -> Flushing[Settled | None]:  # fmt: skip
    """Does everything for a release but storing it. Returns what to store, None if there is nothing.

    Args:
        c: The settings.
        directory: As :func:`update_release` takes it, which must be locked; until it is stored, too.
        outcome: Takes what comes of it; whether anything shown changed is known only when it is stored.
        held: Takes on what else has to be locked as long.
        store_first: Told of ids before the cache is asked whose they are, to store whatever it holds back of them.
        force: As there.
        defer: As there.
        clock: As there.

    Raises as :func:`update_release` does.
    """
    if not defer:
        # Of two that claim the same id, one has to be stored before the other one is judged.
        held.enter_context(lock(c, "claims", timeout=_CLAIMS_TIMEOUT))
    path = _full_path(c, directory)
    listing = _list(c, directory, path, outcome, force=force)
    if listing is None:
        return None
    if not audio_files(listing):
        outcome.evicted = _evict(c, directory)
        return None
    update = _Update(c, directory, path, listing, outcome, store_first, force=force, defer=defer, clock=clock)
    row = yield from update.running()
    return None if row is None else Settled(outcome, row, update.known)


def store_settled(c: Config, settled: Iterable[Settled]) -> None:
    """Stores releases that are settled and still locked, all of them or none. Raises OSError and sqlite3.Error."""
    # Named before the transaction, in which all others who write have to wait.
    named = [(each, names_of(c, each.row)) for each in settled]
    with connect(c) as connection, transaction(connection):
        for each, names in named:
            each.outcome.changed = store_release(connection, each.row, each.known, names)


def _list(c: Config, directory: bytes, path: bytes, outcome: Outcome, *, force: bool) -> Listing | None:
    """Returns the files of a release's directory; None, and what is to be said of that, if it is none."""
    try:
        original = shown_elsewhere(c, directory)
        if original is not None:
            reason = f"a link to what is a release already: {os.fsdecode(original)}"
            outcome.problems.append(problem(path, reason))
            outcome.evicted = _evict(c, directory)
            return None
        listing = list_files(path)
        if listing.leftovers and may_write(c, directory):
            remove_abandoned(Path(os.fsdecode(path)))
            found = recover(Path(os.fsdecode(path)))
            outcome.problems += [Problem(error.path, error.reason) for error in found]
            listing = list_files(path)
        return listing
    except (FileNotFoundError, NotADirectoryError):
        if os.path.islink(path) and not force and _is_known(c, directory):
            reason = "the link leads nowhere: kept, since a disk may not be mounted (force to believe it)"
            outcome.problems.append(problem(path, reason))
        else:
            outcome.evicted = _evict(c, directory)
    except OSError as error:
        # Not to be read is not to be gone: the cache keeps what it has.
        outcome.problems.append(problem(error.filename or path, reason_of(error)))
    return None


def _is_known(c: Config, directory: bytes) -> bool:
    with connect(c) as connection:
        return load_release(connection, directory=directory) is not None


def _evict(c: Config, directory: bytes) -> bool:
    if not _is_known(c, directory):
        return False
    with connect(c) as connection, transaction(connection):
        # Once more, since another process may have found the release under another name just now.
        known = load_release(connection, directory=directory)
        if known is None:
            return False
        remove_release(connection, known)
    logger.info("evicted release %s", os.fsdecode(directory))
    return True


class _Update:
    """One run over one release, whose lock is held. The steps are the methods, in order of :meth:`running`."""

    def __init__(
        self, c: Config, directory: bytes, path: bytes, listing: Listing, outcome: Outcome, store_first: StoreFirst,
        *, force: bool, defer: bool, clock: Clock,
    ) -> None:  # fmt: skip
        self.c = c
        self.directory = directory
        self.path = path
        self.listing = listing
        self.outcome = outcome
        self.store_first = store_first
        self.force = force
        self.defer = defer
        self.clock = clock
        with connect(c) as connection:
            self.known = load_release(connection, directory=directory)

    def running(self) -> Flushing[ReleaseRow | None]:
        """Returns the row to be stored, None if there is none."""
        stamp = release_stamp(self.c, self.listing)
        if self.known is not None and self.known.stamp == stamp and not self.force:
            return None
        content = self.read()
        self.outcome.size = content.shown_size + content.readings_size
        if not content.paths:
            self.outcome.problems += content.problems
            self.outcome.evicted = _evict(self.c, self.directory)
            return None
        request = Request(
            self.c, self.directory, self.path, self.listing, content, self.known, self.store_first,
            force=self.force, defer=self.defer, now=self.clock(),
        )  # fmt: skip
        ids = yield from assign.assigning_ids(request)
        self.outcome.problems += content.problems + ids.problems
        if ids.verdict is not assign.Verdict.READY:
            self.outcome.skipped = ids.verdict is assign.Verdict.SKIP
            self.outcome.deferred = ids.verdict is assign.Verdict.DEFER
            return None
        complete = ids.complete and content.complete
        if ids.written or ids.wrote_datafile:
            before, self.listing = self.listing, list_files(self.path)
            stamp = release_stamp(self.c, self.listing)
            complete = complete and self._only_changed(before, ids)
        row = self.make_row(content, ids, stamp if complete else b"")
        if self.c.rename_source_files and may_write(self.c, self.directory):
            row = self.rename(row, complete=complete)
        self.outcome.skipped = bool(ids.pending)
        return row

    def read(self) -> Content:
        # An empty stamp says that the last update could not finish with this release.
        again = self.force or (self.known is not None and was_other_place(self.c, self.known.stamp))
        names = assign.datafile_ids(self.listing)
        if self.known is not None and names != [self.known.id]:
            again = True  # the tags decide which release this is
        if self.known is None:
            self.known = self._known_elsewhere(names)
        return read_content(self.path, self.listing, self.known, everything=again)

    def _known_elsewhere(self, names: list[str]) -> ReleaseRow | None:
        """Returns what the cache holds of this release under the name that its directory had before."""
        if len(names) != 1:
            return None
        self.store_first(names)
        with connect(self.c) as connection:
            known = load_release(connection, release_id=names[0])
        if known is not None and not os.path.lexists(_full_path(self.c, known.directory)):
            return known
        return None

    def _only_changed(self, before: Listing, ids: assign.Assigned) -> bool:
        """Tells whether nobody but us changed a file since it was read."""

        def by_others(listing: Listing) -> list[tuple[bytes, int, int]]:
            return [
                # Writing ids keeps the time of a file, and nobody else's writing does.
                (file.path, file.mtime, 0 if file.path in ids.written else file.ctime)
                for file in listing.files
                if file.path not in ids.datafiles
            ]

        return by_others(before) == by_others(self.listing)

    def make_row(self, content: Content, ids: assign.Assigned, stamp: bytes) -> ReleaseRow:
        found = {file.path: file for file in self.listing.files}
        tracks = tuple(
            track_row(path, identifier, found[path], content.read.get(path) or content.kept[path])
            for path, identifier in sorted(ids.tracks.items())
            if path in found
        )
        datafile = found.get(os.fsencode(ids.datafile_name))
        others = [file for path, file in found.items() if path not in ids.tracks and path not in ids.pending]
        return ReleaseRow(
            id=ids.release_id,
            directory=self.directory,
            stamp=stamp,
            tags=content.release_tags(self.known),
            added_at=ids.added_at,
            new=ids.new,
            datafile_mtime=datafile.mtime if datafile else 0,
            mtime=max([self.listing.mtime, *(file.mtime for file in self.listing.files)]),
            tracks=tracks,
            files=self._file_rows(others, datafile, content),
        )

    def _file_rows(
        self, others: list[FoundFile], datafile: FoundFile | None, content: Content
    ) -> tuple[FileRow, ...]:
        cover = choose_cover(self.c, [file.path for file in others])
        rows = []
        for file in others:
            reason = content.broken.get(file.path)
            if file == datafile:
                kind = "datafile"
            elif file.path == cover:
                kind = "cover"
            else:
                kind = "broken" if reason is not None else "extra"
            rows.append(FileRow(file.path, kind, file.size, file.mtime, file.ctime, reason))
        return tuple(rows)

    def rename(self, row: ReleaseRow, *, complete: bool) -> ReleaseRow:
        """Renames the source files by the templates, and returns the row as it is then."""
        renamed = rename_source(self.c, row)
        self.outcome.problems += renamed.problems
        if not renamed.moved:
            return row
        self.path = _full_path(self.c, renamed.row.directory)
        return renamed.with_times(self.c, list_files(self.path), complete=complete)


def choose_cover(c: Config, paths: list[bytes]) -> bytes | None:
    """Returns which file is the cover: nearest to the top, then by order of stems and of extensions."""
    stems = {stem.lower(): rank for rank, stem in enumerate(c.cover_art_stems)}
    extensions = {extension.lower(): rank for rank, extension in enumerate(c.valid_art_exts)}
    ranked = []
    for path in paths:
        stem, _, extension = os.path.basename(os.fsdecode(path)).lower().rpartition(".")
        if stem in stems and extension in extensions:
            ranked.append((path.count(b"/"), stems[stem], extensions[extension], path))
    return min(ranked)[3] if ranked else None
