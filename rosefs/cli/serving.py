"""Carrying out the plan of a mount: the update, the serving, what signals ask for, and the end of it.

The same in the foreground and in the background; which of them it is, is the command's business.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import signal
import sqlite3
import sys
import threading
from collections.abc import Callable

import click

from rosecache.database import database_path
from rosecache.errors import RosecacheError
from rosecache.in_force import in_force, take_up
from rosecache.update.refill import fill_names
from rosefs.cli.following import companions_of
from rosefs.cli.output import one_line
from rosefs.cli.plans import Plan, Request, fixed_differences
from rosefs.cli.recovering import recover_edits
from rosefs.cli.running import Told, claimed, running
from rosefs.cli.service import ServiceManager
from rosefs.cli.settings_check import refuse_bad_templates
from rosefs.cli.updating import log_report, update_announced
from rosefs.fuse.mount import choose_binding, serve
from rosefs.fuse.tracing import traced
from rosefs.library.journal import Journal
from rosefs.vfs.filesystem import FileSystem
from rosefs.vfs.memory import trim, use_one_arena

log = logging.getLogger(__name__)


def update_and_serve(
    request: Request,
    plan: Plan,
    *,
    on_ready: Callable[[], None],
    on_terminal: bool,
    log_requests: bool = False,
) -> None:
    """Brings the cache up to date, mounts, and serves until somebody unmounts or ends this process.

    Args:
        request: Where the plan comes from, for reading it again.
        plan: What is to be done, and can be as far as was to be found out.
        on_ready: Called once the mount answers.
        on_terminal: If there is a terminal, this process stays on it, and ends when it is closed.
        log_requests: Log every request.

    Raises:
        MountError: It cannot be mounted, or another process is about to mount there.
        As ``update_cache``, and what ``on_ready`` raises.
    """
    with claimed(plan.mountpoint) as let_go:

        def ready() -> None:
            let_go()
            on_ready()

        _update_and_serve(request, plan, ready, on_terminal=on_terminal, log_requests=log_requests)


def _update_and_serve(
    request: Request, plan: Plan, on_ready: Callable[[], None], *, on_terminal: bool, log_requests: bool
) -> None:
    faulthandler.register(signal.SIGUSR1, file=2)
    use_one_arena()
    manager = ServiceManager.take_from(os.environ)
    c = plan.settings.cache
    report = update_announced(c, also_tell=manager.progress)
    log_report(report)
    trim()  # the names and stamps of all releases
    journal = Journal(plan.settings.state_dir) if plan.writable else None
    if journal is not None:
        recover_edits(c, journal)
    filesystem = FileSystem(
        c, plan.settings.vfs, journal=journal, appearance=plan.appearance, smart=plan.smart
    )
    reload = _Reload(request, plan, filesystem, on_terminal=on_terminal)

    def ready() -> None:
        on_ready()
        manager.ready(one_line(f"{c.music_source_dir} is mounted at {plan.mountpoint}"))

    try:
        filesystem.recover()
        with running(_told(plan)) as teller:
            teller.tell_report(report)
            serve(
                traced(filesystem) if log_requests else filesystem,
                plan.mountpoint,
                binding=plan.binding,
                options=plan.mount_options,
                on_ready=ready,
                on_hangup=reload,
                companions=companions_of(plan, teller),
            )
    finally:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # there is nothing to read again for
        manager.stopping()
        filesystem.close()
    log.info("unmounted %s", plan.mountpoint)


class _Reload:
    """Reads the configuration again, and has the tree show the library by it. What is wrong with it is logged."""

    def __init__(self, request: Request, plan: Plan, filesystem: FileSystem, *, on_terminal: bool) -> None:
        self._request = request
        self._plan = plan
        self._filesystem = filesystem
        self._waiting = threading.Lock()
        self._working = threading.Lock()
        self._has_terminal = on_terminal and _is_terminal()

    def __call__(self) -> None:
        if self._has_terminal and not _is_terminal():
            os.kill(os.getpid(), signal.SIGTERM)  # not asked to read anything: the terminal was closed
            return
        if not self._waiting.acquire(blocking=False):
            return  # another one waits, who will read whatever there is to be read
        path = self._request.state.used_config_path
        with self._working:
            self._waiting.release()
            try:
                plan = self._request.plan()
                refuse_bad_templates(plan.settings.cache, path)
                take_up(self._plan.settings.cache, plan.settings.cache.path_templates)
            except (RosecacheError, click.ClickException, OSError) as error:
                log.error("the configuration was not read again, and the old one stays in force: %s", error)
                return
            self._filesystem.reconfigure(plan.settings.cache.path_templates, plan.settings.vfs, plan.smart)
            for key in fixed_differences(self._plan.settings, plan.settings):
                log.warning("%s: another value of %s takes effect when it is mounted again", path, key)
            log.info("read %s again", path)
            self._fill_names()

    def _fill_names(self) -> None:
        """Has what the cache holds be called by the new settings. Until then names are made when they are shown."""
        try:
            fill_names(in_force(self._plan.settings.cache))
        except (RosecacheError, OSError, sqlite3.Error) as error:
            log.warning("names are stored by the next update, since they cannot be now: %s", error)


def _is_terminal() -> bool:
    # By the descriptor, which a terminal that was closed answers with an error.
    return os.isatty(sys.__stderr__.fileno()) if sys.__stderr__ is not None else False


def _told(plan: Plan) -> Told:
    return Told(
        mountpoint=os.path.realpath(plan.mountpoint),
        source=str(plan.settings.cache.music_source_dir),
        database=str(database_path(plan.settings.cache)),
        binding=choose_binding(plan.binding).name,
        read_only=not plan.writable,
        view=plan.settings.vfs.named_views[0][1] if plan.appearance.view is not None else None,
    )
