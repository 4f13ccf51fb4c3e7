"""What the tree has read from the cache and is still true, by way of the cache's change feed.

Looks when an operation arrives, not more often than every 50 ms, and when somebody says so who follows the feed all
the time. It says what changed; what hangs on it is the tree's to know. Nothing here talks to the kernel.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable, Iterable

from rosecache.changes import Changes, changes_since, current_position
from rosecache.config import Config
from rosecache.database import connect, log_path, log_stamp
from rosecache.errors import RosecacheError

log = logging.getLogger(__name__)

INTERVAL = 0.05
"""Seconds between two looks at the feed."""

UNASKED_SECONDS = 0.7
"""For how long the log of the database is believed when it says that nobody has written."""


class Versions:
    """A count of the changes seen, and at which one each release changed last.

    Attributes:
        generation: Grows with every change. What is read from the cache is marked with the generation of
            before it was read, so that a change in between makes it out of date.
    """

    def __init__(self) -> None:
        self.generation = 1
        self._changed: dict[str, int] = {}
        self._resynced = 1

    def is_current(self, release_id: str, generation: int) -> bool:
        """Tells whether what was read of a release, or of anything if the id is empty, is still true."""
        if generation >= self.generation:
            return True  # nothing at all has changed since, as is mostly so
        return generation >= self._changed.get(release_id, 0) and generation >= self._resynced

    def of(self, release_id: str) -> int:
        """Returns what is another number after every change of a release that was seen."""
        return max(self._changed.get(release_id, 0), self._resynced)

    def advance(self, release_ids: Iterable[str]) -> None:
        """Counts a change of these releases, and of everything that any change may concern."""
        generation = self.generation + 1
        for release_id in (*release_ids, ""):
            self._changed[release_id] = generation
        self.generation = generation

    def resync(self) -> None:
        """Makes everything read so far out of date."""
        self._changed.clear()
        self._resynced = self.generation + 1
        self.generation = self._resynced


class _Seen(threading.local):
    """The connection that this thread looked through last, and the version of the database it saw."""

    connection: sqlite3.Connection | None = None
    version = (-1, -1)


class Freshness:
    """Follows the change feed. Safe to use from several threads at once."""

    def __init__(self, c: Config, clock: Callable[[], float], apply: Callable[[Changes], None]) -> None:
        """Starts at the present end of the feed.

        Args:
            c: The configuration.
            clock: Seconds, from any start.
            apply: Called with every change, or with a demand to resync; never by two threads at once.
        """
        self._c = c
        self._clock = clock
        self._apply = apply
        self._lock = threading.Lock()
        self._seen = _Seen()
        self._position = current_position(c)
        self._has_news = False
        self._looked_at = clock()
        self._log_path = log_path(c)
        self._stamp: tuple[int, ...] | None = None
        """What the log said when the follower asked the database last, at ``_asked_at``."""
        self._asked_at = clock()
        self._is_failing = False

    def is_due(self) -> bool:
        """Tells whether :meth:`check` would look."""
        return self._clock() - self._looked_at >= INTERVAL

    def knows_of_no_change(self) -> bool:
        """Tells whether :meth:`check` would find nothing, by asking for one number at most; if unsure, it says no."""
        if not self.is_due():
            return True
        if not self._lock.acquire(blocking=False):
            return False  # somebody is looking
        try:
            if self._sees_news():
                return False
            self._looked_at = self._clock()
            return True
        finally:
            self._lock.release()

    def check(self) -> None:
        """Applies what changed since the last look, if that is long enough ago."""
        if self.is_due():
            self.look()

    def follow(self) -> bool:
        """Looks, for whoever does nothing else: what goes wrong is logged once, until it works again.

        The database itself is asked if its log has changed, and otherwise after a while; returns whether it was.
        """
        stamp = log_stamp(self._log_path)
        if (
            stamp is not None
            and stamp == self._stamp
            and not self._has_news
            and self._clock() - self._asked_at < UNASKED_SECONDS
        ):
            return False
        self._asked_at = self._clock()
        self._stamp = None  # unless the look is a success
        try:
            self.look()
        except (RosecacheError, sqlite3.Error, OSError) as error:
            if not self._is_failing:
                log.warning("the mount does not see changes of the cache: %s", error)
            self._is_failing = True
        else:
            self._stamp = stamp
            self._is_failing = False
        return True

    def look(self) -> None:
        """Applies what changed since the last look."""
        with self._lock:
            self._looked_at = self._clock()
            if not self._sees_news():
                return
            changes = changes_since(self._c, self._position)
            if changes.resync or changes.changes:
                self._apply(changes)
            self._position = changes.position
            self._has_news = False

    def _sees_news(self) -> bool:
        """Asks the database whether there is anything new, as there is from then on until it has been read."""
        self._has_news = self._database_changed() or self._has_news
        return self._has_news

    def resync(self) -> None:
        """Has everything that was read so far be taken for out of date."""
        with self._lock:
            self._apply(Changes(self._position, resync=True, changes=()))

    def _database_changed(self) -> bool:
        """Tells whether anybody has written since this thread asked last.

        The answer is of this thread's connection: what another thread has seen meanwhile is asked for once
        more, and then found to be nothing new.
        """
        with connect(self._c) as connection:
            # The first counts what others have written, the second what this connection has.
            version = (connection.execute("PRAGMA data_version").fetchone()[0], connection.total_changes)
        if connection is self._seen.connection and version == self._seen.version:
            return False
        self._seen.connection, self._seen.version = connection, version
        return True
