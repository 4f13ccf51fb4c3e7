"""The command that follows the source without a mount."""

from __future__ import annotations

import logging
import os
import signal
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import click
import trio

from rosecache import current_position, get_release, list_releases
from rosecache.changes import Change, Changes, Position
from rosecache.config import Config
from rosecache.errors import RosecacheError
from rosefs.cli.output import clean
from rosefs.cli.settings_check import refuse_bad_templates
from rosefs.cli.state import State, pass_state
from rosefs.cli.updating import log_report, update
from rosefs.settings import Settings
from rosefs.watch.feed import follow_feed
from rosefs.watch.hooks import Hook, run_hooks
from rosefs.watch.watcher import Watcher

log = logging.getLogger(__name__)

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@click.command()
@click.argument("source", required=False, type=click.Path(file_okay=False, path_type=Path))
@click.option("-y", "--yes", is_flag=True, help="Write ids on a first run without asking.")
@pass_state
def watch(state: State, source: Path | None, yes: bool) -> None:
    """Keep the cache up to date with the music directory SOURCE, without a mount, until stopped.

    SOURCE is taken from the configuration if not given. Each change is a line. Hooks are run. To stop, press Ctrl-C.
    """
    settings = state.settings(source=source)
    c = settings.cache
    if settings.watch.mode == "off":
        raise click.ClickException(
            "mode in the table [watch] is 'off'; for this command it has to be another"
        )
    if c.rename_source_files:
        refuse_bad_templates(c, state.used_config_path)
    log_report(update(c, yes=yes))
    trio.run(_watch, settings, current_position(c))


async def _watch(settings: Settings, position: Position) -> None:
    c = settings.cache
    hooks = [Hook(hook, source=c.music_source_dir) for hook in settings.hooks]
    failure: OSError | None = None

    async def show_changes(scope: trio.CancelScope) -> None:
        nonlocal failure
        try:
            await _show_changes(c, position)
        except OSError as error:  # nobody reads what is shown, most of all; a nursery would put it in a group
            failure = error
            scope.cancel()

    with trio.open_signal_receiver(*_STOP_SIGNALS) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(Watcher(c, settings.watch).run)
            nursery.start_soon(run_hooks, c, hooks)
            nursery.start_soon(show_changes, nursery.cancel_scope)
            await _first(signals)
            nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure


async def _first(signals: AsyncIterator[int]) -> None:
    async for _ in signals:
        return


async def _show_changes(c: Config, position: Position) -> None:
    names = await trio.to_thread.run_sync(_directories, c)
    click.echo(f"watching {clean(str(c.music_source_dir))}".encode("utf-8", "surrogateescape"))
    async for changes in follow_feed(c, position):
        try:
            lines = await trio.to_thread.run_sync(_lines, c, changes, names)
        except (RosecacheError, sqlite3.Error) as error:
            log.warning("%d changes cannot be shown: %s", len(changes.changes), error)
            continue
        for line in lines:
            click.echo(line.encode("utf-8", "surrogateescape"))


def _directories(c: Config) -> dict[str, str]:
    """Returns the names of the directories of all releases, by id: what is gone cannot be asked for its name."""
    return {release.id: release.source_path.name for release in list_releases(c)}


def _lines(c: Config, changes: Changes, names: dict[str, str]) -> list[str]:
    if changes.resync:
        names.clear()
        names.update(_directories(c))
        return ["changed everything, maybe: the cache was built anew"]
    return [
        f"{change.change} {change.kind} {clean(_name_of(c, change, names))}" for change in changes.changes
    ]


def _name_of(c: Config, change: Change, names: dict[str, str]) -> str:
    if change.kind != "release":
        return change.id
    if change.change == "removed":
        return names.pop(change.id, change.id)
    release = get_release(c, change.id)
    if release is not None:
        names[change.id] = os.path.basename(release.source_path)
    return names.get(change.id, change.id)
