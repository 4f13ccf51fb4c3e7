"""The watcher: follows the source directory and keeps the cache up to date with it, as one task on trio.

It holds together what tells of changes, what gathers them, and the updates, which run one at a time in a worker
thread. Nothing that goes wrong ends it: a source that goes away is waited for, an update that fails is tried again.
It never evicts or changes anything itself.
"""

from __future__ import annotations

import logging
import math
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import trio
from msgspec.structs import replace

from rosecache.config import Config
from rosecache.database import is_damage
from rosecache.errors import RosecacheError, SourceDirectoryError
from rosecache.update import Problem
from rosefs.settings import WatchSettings
from rosefs.watch.events import LostEventsError, NoEventsError, follow_events
from rosefs.watch.gathering import Gatherer, Ripe
from rosefs.watch.limits import file_system_of, lacks_events
from rosefs.watch.places import EVERYTHING, Place, place_of
from rosefs.watch.polling import follow_by_looking
from rosefs.watch.state import Mode, WatchState
from rosefs.watch.updates import Outcome, bring_up_to_date, concerns

log = logging.getLogger(__name__)

GUARD_SECONDS = 2.0
"""How often the watcher makes sure that the source directory is still the one that it follows."""
TRY_AGAIN_SECONDS = 600.0
"""How long it polls before it tries whether there are events by now: limits are raised, and names changed."""
BEGIN_AGAIN_SECONDS = (0.3, 60.0)
"""How long it waits before it begins again after events were lost: at first, and at most, doubling in between."""


class Watcher:
    """Follows the source of one library. :meth:`run` is run once; the rest may be asked at any time."""

    def __init__(
        self,
        c: Config,
        settings: WatchSettings,
        *,
        on_state: Callable[[WatchState], None] = lambda state: None,
    ) -> None:
        """Makes a watcher that does nothing yet.

        Args:
            c: The settings of the library.
            settings: How to follow it.
            on_state: Called in a worker thread when it follows the source in another way, and after updates.
        """
        self._c = c
        self._settings = settings
        self._on_state = on_state
        self._gatherer = Gatherer()
        self._touched = trio.Event()
        self._news = trio.Event()
        self._problems: set[Problem] = set()
        self._state = WatchState("off", "" if settings.mode == "off" else "not started", time.time())
        self._no_events = ""
        """Why there are no events, once that was found out, and until that is tried again."""
        self._has_warned = False
        """Whether was said that there are none, which is found out again and again, in other words."""
        self._under_way = 0
        self._failure: type[Exception] | None = None
        """What updates fail with at present."""

    @property
    def state(self) -> WatchState:
        """How the source is followed at present."""
        return replace(self._state, pending=len(self._gatherer) + self._under_way)

    async def run(self) -> None:
        """Follows the source until cancelled; returns at once if it is not to be followed."""
        if self._settings.mode == "off":
            return
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._update_when_due)
            nursery.start_soon(self._tell_state)
            await self._follow()

    # What happens in the source ----------------------------------------------------------------------------

    async def _follow(self) -> None:
        first, longest = BEGIN_AGAIN_SECONDS
        wait = first
        while True:
            identity = await self._wait_for_source()
            begun = trio.current_time()
            try:
                await self._follow_this(identity)
            except NoEventsError as error:
                self._no_events = str(error)
                log.log(
                    logging.INFO if self._has_warned else logging.WARNING,
                    "%s is looked through again and again instead: %s", self._c.music_source_dir, error,
                )  # fmt: skip
                self._has_warned = True
            except LostEventsError as error:
                log.info("begins to watch anew: %s", error)
                wait = first if trio.current_time() - begun > longest else min(longest, 2 * wait)
                await trio.sleep(wait)
            except OSError as error:
                log.info("%s cannot be followed: %s", self._c.music_source_dir, error)
                await trio.sleep(GUARD_SECONDS)

    async def _follow_this(self, identity: tuple[int, int]) -> None:
        """Follows the source until another directory, or none, is in its place."""
        source = self._c.music_source_dir
        kind, reason = await trio.to_thread.run_sync(self._way_to_follow, abandon_on_cancel=True)
        failure: Exception | None = None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._cancel_when_replaced, identity, nursery.cancel_scope)
            if self._no_events:
                nursery.start_soon(self._cancel_to_try_again, nursery.cancel_scope)
            try:
                if kind == "events":
                    self._gatherer.set_pace(0.0)
                    await follow_events(source, lambda: self._begin("events", ""), self._on_paths)
                else:
                    await follow_by_looking(
                        self._c, self._settings.poll_seconds,
                        lambda: self._begin("polling", reason), self._on_places,
                    )  # fmt: skip
            except (NoEventsError, LostEventsError, OSError) as error:
                failure = error
            nursery.cancel_scope.cancel()
        if failure is not None:
            raise failure

    def _way_to_follow(self) -> tuple[Mode, str]:
        if self._settings.mode == "polling":
            return "polling", "asked for"
        if self._no_events:
            return "polling", self._no_events
        kind = file_system_of(self._c.music_source_dir)
        if self._settings.mode == "auto" and lacks_events(kind):
            return "polling", f"{kind} does not tell of changes that others make"
        return "events", ""

    def _begin(self, mode: Mode, reason: str) -> None:
        """Notes that what happens is told from now on; what happened before, nobody knows."""
        log.info("follows %s by %s%s", self._c.music_source_dir, mode, f": {reason}" if reason else "")
        self._set_state(mode=mode, reason=reason)
        self._gatherer.check_everything(trio.current_time())
        self._touched.set()

    def _on_paths(self, paths: Iterable[bytes]) -> None:
        self._touch({place for path in paths if (place := place_of(self._c, path)) is not None})

    def _on_places(self, places: Iterable[Place], interval: float) -> None:
        self._gatherer.set_pace(interval)
        self._touch(places)

    def _touch(self, places: Iterable[Place]) -> None:
        now = trio.current_time()
        for place in places:
            log.debug("something happened in %s", place)
            self._gatherer.touch(place, now)
            self._touched.set()
        self._set_state(last_event=time.time())

    # The source itself -------------------------------------------------------------------------------------

    async def _wait_for_source(self) -> tuple[int, int]:
        """Returns which directory the source is, once there is one."""
        while (identity := await self._identity()) is None:
            if self._state.mode != "waiting":
                reason = "it is not there; if it is on a disk that is not mounted, mount it"
                log.warning("%s is not followed: %s. Nothing was removed from the cache",
                            self._c.music_source_dir, reason)  # fmt: skip
                self._set_state(mode="waiting", reason=reason)
            await trio.sleep(GUARD_SECONDS)
        if self._state.mode == "waiting":
            log.warning("%s is there again", self._c.music_source_dir)
        return identity

    async def _cancel_when_replaced(self, identity: tuple[int, int], scope: trio.CancelScope) -> None:
        stop = threading.Event()

        def wait() -> None:
            # In one thread all the time: to hand each look to a thread would cost several times the look.
            while self._identity_now() == identity and not stop.wait(GUARD_SECONDS):
                pass

        try:
            await trio.to_thread.run_sync(wait, abandon_on_cancel=True)  # a server that is gone answers never
        finally:
            stop.set()
        scope.cancel()

    async def _cancel_to_try_again(self, scope: trio.CancelScope) -> None:
        await trio.sleep(TRY_AGAIN_SECONDS)
        self._no_events = ""
        scope.cancel()

    async def _identity(self) -> tuple[int, int] | None:
        return await trio.to_thread.run_sync(self._identity_now, abandon_on_cancel=True)

    def _identity_now(self) -> tuple[int, int] | None:
        try:
            status = os.stat(self._c.music_source_dir)
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def _set_state(self, mode: Mode | None = None, **values: Any) -> None:
        if mode is not None and mode != self._state.mode:
            values |= {"mode": mode, "since": time.time()}
        self._state = replace(self._state, **values)
        if "mode" in values:
            self._news.set()

    async def _tell_state(self) -> None:
        while True:
            await self._news.wait()
            self._news = trio.Event()
            await trio.to_thread.run_sync(self._on_state, self.state)

    # Updates -----------------------------------------------------------------------------------------------

    async def _update_when_due(self) -> None:
        while True:
            due = self._gatherer.next_due()
            if due > trio.current_time():
                with trio.move_on_at(due) if due < math.inf else trio.CancelScope():
                    await self._touched.wait()
                self._touched = trio.Event()
                continue
            ripe = self._gatherer.take_ripe(trio.current_time())
            self._under_way = len(ripe)
            await self._update(ripe)
            self._under_way = 0

    async def _update(self, ripe: list[Ripe]) -> None:
        try:
            outcome = await trio.to_thread.run_sync(
                bring_up_to_date, self._c, ripe, trio.from_thread.check_cancelled
            )
        except SourceDirectoryError as error:
            log.info("%s", error)
            self._try_again(ripe)
        except (RosecacheError, OSError, sqlite3.Error) as error:
            # As long as it lasts, once is enough: a disk that is full has SQLite say this and that.
            level = logging.INFO if type(error) is self._failure else logging.WARNING
            log.log(level, "the cache could not be brought up to date, which is tried again: %s", error)
            self._failure = type(error)
            if isinstance(error, sqlite3.Error) and is_damage(error):
                ripe = [replace(ripe[0], place=EVERYTHING)]  # which also repairs it
            self._try_again(ripe)
        except Exception:
            log.exception("the cache could not be brought up to date, which is tried again")
            self._try_again(ripe)
        else:
            self._take_note(ripe, outcome)

    def _try_again(self, ripe: list[Ripe]) -> None:
        self._gatherer.try_again(ripe, trio.current_time())
        self._set_state(failures=self._state.failures + 1)

    def _take_note(self, ripe: list[Ripe], outcome: Outcome) -> None:
        now = trio.current_time()
        for one in outcome.in_writing:
            self._gatherer.wait_for_whole(one, now)
        for one in outcome.unfinished:
            self._gatherer.look_again(one, now)
        report = outcome.report
        self._failure = None
        log.info(
            "brought up to date: %d seen, %d changed, %d evicted, %d skipped",
            report.seen, report.changed, report.evicted, report.skipped,
        )  # fmt: skip
        places = [one.place for one in ripe]
        before = {one for one in self._problems if any(concerns(place, one.path) for place in places)}
        for problem in set(report.problems) - before:
            if self._state.updates:
                log.warning("%s", problem)
            else:
                log.info("%s", problem)  # the first update repeats what somebody has been told already
        self._problems = (self._problems - before) | set(report.problems)
        self._set_state(
            last_update=time.time(), updates=self._state.updates + 1, failures=0,
            problems=tuple(sorted(self._problems)),
        )  # fmt: skip
        self._news.set()
