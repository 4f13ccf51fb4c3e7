"""Commands that are run after changes: each of ``[[hooks]]``, one run at a time, and never in anybody's way.

Changes are gathered until there is none for a moment, so that an import of a hundred albums has a command run once or
twice and not a hundred times. A command that fails, hangs or does not exist is a line in the log.
"""

from __future__ import annotations

import json
import logging
import math
import os
import shlex
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

import trio

from rosecache.changes import Changes
from rosecache.config import Config
from rosefs.settings import HookSettings
from rosefs.watch.feed import follow_feed

log = logging.getLogger(__name__)

QUIET = 2.0
"""Seconds without a change after which a hook is run."""
CAP = 30.0
"""Seconds after the first change when it is run in any case."""
_OUTPUT = 8192
"""Bytes of a command's output that are kept for the log: the last ones."""
_AFTER_EXIT = 1.0
"""Seconds in which the output of a command that has ended has to come; what it left running may keep it open."""

_AFTER_KILL = 1.0
"""Seconds in which a command that was killed has to be gone."""


class Hook:
    """One command, and what has changed since it was run last."""

    def __init__(
        self,
        settings: HookSettings,
        *,
        source: Path,
        mountpoint: Path | None = None,
        quiet: float = QUIET,
        cap: float = CAP,
    ) -> None:
        """Makes a hook that waits for nothing yet.

        Args:
            settings: What to run, and when.
            source: The music directory, for the command to know.
            mountpoint: Where it is mounted, if it is.
            quiet: Seconds without a change before a run.
            cap: Seconds after the first change when it is run in any case.
        """
        self._settings = settings
        self._places = {"ROSEFS_SOURCE": str(source)}
        if mountpoint is not None:
            self._places["ROSEFS_MOUNTPOINT"] = str(mountpoint)
        self._quiet = quiet
        self._cap = cap
        self._changed: dict[str, set[str]] = {}
        self._anything = False
        self._news = trio.Event()

    def notice(self, changes: Changes) -> None:
        """Takes note of changes; those of kinds that the hook is not for are passed over."""
        if changes.resync:
            self._anything = True
            self._news.set()
        for change in changes.changes:
            if change.kind in self._settings.on:
                self._changed.setdefault(change.kind, set()).add(change.id)
                self._news.set()

    async def run(self) -> None:
        """Runs the command after changes, until cancelled; then a command that still runs is killed."""
        while True:
            await self._wait_until_quiet()
            counts = {kind: len(ids) for kind, ids in sorted(self._changed.items())}
            if self._anything:
                counts = {kind: max(1, counts.get(kind, 0)) for kind in self._settings.on}
            self._changed, self._anything = {}, False
            await self._run_once(counts)

    async def _wait_until_quiet(self) -> None:
        await self._news.wait()
        end = trio.current_time() + self._cap
        while self._news.is_set():
            self._news = trio.Event()
            with trio.move_on_at(min(end, trio.current_time() + self._quiet)):
                await self._news.wait()
            if trio.current_time() >= end:
                break
        self._news = trio.Event()

    async def _run_once(self, counts: Mapping[str, int]) -> None:
        command = shlex.join(self._settings.run)
        environment = {
            **os.environ, **self._places,
            "ROSEFS_CHANGES": json.dumps(counts), "ROSEFS_KINDS": " ".join(counts),
        }  # fmt: skip
        try:
            status, output = await run_command(
                self._settings.run, environment=environment, timeout=self._settings.timeout
            )
        except OSError as error:
            log.warning("hook %s cannot be run: %s", command, error.strerror or error)
            return
        said = f"; it said: {output}" if output else ""
        if status is None:
            log.warning(
                "hook %s took longer than %g s, and was killed%s", command, self._settings.timeout, said
            )
        elif status != 0:
            log.warning("hook %s failed with status %d%s", command, status, said)
        else:
            log.info("hook %s was run%s", command, said)


async def run_hooks(c: Config, hooks: Sequence[Hook]) -> None:
    """Runs hooks after the changes of a library, whoever makes them, until cancelled."""
    if not hooks:
        return
    async with trio.open_nursery() as nursery:
        for hook in hooks:
            nursery.start_soon(hook.run)
        async for changes in follow_feed(c):
            for hook in hooks:
                hook.notice(changes)


async def run_command(
    command: tuple[str, ...], *, environment: Mapping[str, str], timeout: float = math.inf
) -> tuple[int | None, str]:
    """Runs a program, in a process group of its own that is killed when it takes too long, or on cancellation.

    Args:
        command: The program, which is looked for as a shell does, and its arguments.
        environment: Its variables.
        timeout: Seconds.

    Returns:
        The exit status, negative for a signal's number, or None if it was killed for taking too long; and the end
        of what it said.

    Raises:
        OSError: It cannot be run.
    """
    reader, writer = os.pipe()
    output = bytearray()
    async with trio.lowlevel.FdStream(reader) as stream:
        try:
            process = await trio.to_thread.run_sync(_spawn, command, environment, writer)
        finally:
            os.close(writer)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_keep_end, stream, output)
            status = await _wait_or_kill(process, timeout)
            nursery.cancel_scope.deadline = trio.current_time() + _AFTER_EXIT
    text = output.decode("utf-8", "backslashreplace").strip()
    return status, " | ".join(line for line in map(str.strip, text.splitlines()) if line)


def _spawn(command: tuple[str, ...], environment: Mapping[str, str], writer: int) -> int:
    """Starts a program and returns its process id.

    With ``posix_spawn``, which alone gives it a signal mask and default actions: a thread that blocks signals would
    leave it with them blocked, and code run after a fork of a process with threads may wait for ever.
    """
    devnull = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.posix_spawnp(
            command[0], command, environment,
            file_actions=[(os.POSIX_SPAWN_DUP2, devnull, 0), *((os.POSIX_SPAWN_DUP2, writer, fd) for fd in (1, 2))],
            setpgroup=0, setsigmask=(), setsigdef=signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP},
        )  # fmt: skip
    finally:
        os.close(devnull)


async def _wait_or_kill(process: int, timeout: float) -> int | None:
    """Waits for a process of ours; when the time is over, or on cancellation, its group is killed."""
    descriptor = os.pidfd_open(process)
    ended = False
    try:
        with trio.move_on_after(timeout):
            await trio.lowlevel.wait_readable(descriptor)
            ended = True
    finally:
        if not ended:
            os.killpg(process, signal.SIGKILL)  # not waited for yet, so that the number is still its own
            # Not for ever: what waits for an answer of the mount that we serve ends when it gets it.
            with trio.move_on_after(_AFTER_KILL, shield=True):
                await trio.lowlevel.wait_readable(descriptor)
        os.close(descriptor)
        _, status = os.waitpid(process, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else None


async def _keep_end(stream: trio.lowlevel.FdStream, output: bytearray) -> None:
    async for data in stream:
        output += data
        del output[:-_OUTPUT]
