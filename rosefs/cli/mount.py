"""The command that mounts a library, in the background unless told otherwise."""

from __future__ import annotations

import logging
import os
import shlex
from dataclasses import replace
from pathlib import Path

import click
import msgspec

from rosecache.database import close_connections
from rosefs.cli.daemon import detach
from rosefs.cli.first_run import announce_first_run
from rosefs.cli.logs import LogFile, log_also_to, log_only_to, set_up_logging
from rosefs.cli.mount_options import parse_options
from rosefs.cli.plans import Plan, Request
from rosefs.cli.serving import update_and_serve
from rosefs.cli.settings_check import refuse_bad_templates
from rosefs.cli.state import State, pass_state
from rosefs.fuse.mount import AUTO, BINDINGS, check_mount, clear_dead_mount

log = logging.getLogger(__name__)

_DETAILED = 2


@click.command()
@click.argument("source", required=False, type=click.Path(file_okay=False, path_type=Path))
@click.argument("mountpoint", required=False, type=click.Path(path_type=Path))
@click.option("-f", "--foreground", is_flag=True, help="Stay in the foreground until unmounted.")
@click.option("--debug", is_flag=True, help="Stay in the foreground, and log every request.")
@click.option("--view", metavar="VIEW", help="Show one view only, such as Artists, at the top of the mount.")
@click.option(
    "--read-only", is_flag=True,
    help="Write nothing at all to the music directory, ids included, and let nobody change it through the mount.",
)  # fmt: skip
@click.option("--allow-other", is_flag=True, help="Let other users in, with the permissions that are shown.")
@click.option(
    "-o", "options", multiple=True, metavar="OPTION,…",
    help="Options as in /etc/fstab: ro, rw, allow_other, uid=, gid=, umask=, config=, fuse=, view=.",
)  # fmt: skip
@click.option(
    "--fuse", "binding", type=click.Choice([AUTO, *BINDINGS]), help="The library to mount with.  [default: auto]"
)  # fmt: skip
@click.option("--no-watch", is_flag=True, help="Do not follow what other programs change in SOURCE.")
@click.option("-y", "--yes", is_flag=True, help="Write ids on a first run without asking.")
@pass_state
def mount(
    state: State,
    source: Path | None,
    mountpoint: Path | None,
    foreground: bool,
    debug: bool,
    view: str | None,
    read_only: bool,
    allow_other: bool,
    options: tuple[str, ...],
    binding: str | None,
    no_watch: bool,
    yes: bool,
) -> None:
    """Show the music directory SOURCE as a file system at MOUNTPOINT.

    Either is taken from the configuration if not given. The cache is brought up to date first. When the command
    returns, the mount answers. To stop, run 'rosefs unmount MOUNTPOINT'.
    """
    given = parse_options(options)
    given = msgspec.structs.replace(
        given,
        read_only=read_only or given.read_only,
        allow_other=given.allow_other or allow_other,
        binding=binding or given.binding,
        view=view or given.view,
    )
    if debug:
        state = replace(state, verbosity=_DETAILED)
        set_up_logging(_DETAILED)
    request = Request(
        state.resolved(given.config), _absolute(source), _absolute(mountpoint), given, not no_watch
    )
    plan = request.plan()
    _check(request, plan)
    announce_first_run(plan.settings.cache, yes=yes)
    if foreground or debug:
        update_and_serve(
            request,
            plan,
            on_ready=lambda: click.echo(_ready_text(plan, "press Ctrl-C here, or ")),
            on_terminal=True,
            log_requests=debug,
        )
    else:
        _in_background(request, plan)


def _absolute(path: Path | None) -> Path | None:
    """Returns a path that also holds in another directory, in which a process in the background is."""
    return None if path is None else Path(os.path.abspath(path))


def _check(request: Request, plan: Plan) -> None:
    """Finds out whether it can be mounted, before anything is written; takes away a dead mount in its place."""
    refuse_bad_templates(plan.settings.cache, request.state.used_config_path)
    if clear_dead_mount(plan.mountpoint):
        log.info("took away a dead mount at %s, whose process had been killed", plan.mountpoint)
    check_mount(plan.mountpoint, binding=plan.binding, options=plan.mount_options)


def _in_background(request: Request, plan: Plan) -> None:
    file = LogFile(plan.log_path)
    log_also_to(file)
    close_connections()
    waiting = detach(_ready_text(plan))

    def ready() -> None:
        log_only_to(file)
        log.info("mounted %s at %s", plan.settings.cache.music_source_dir, plan.mountpoint)
        waiting.tell_ready()

    update_and_serve(request, plan, on_ready=ready, on_terminal=False)


def _ready_text(plan: Plan, or_else: str = "") -> bytes:
    lines = (
        f"{plan.settings.cache.music_source_dir} is mounted at {plan.mountpoint}",
        f"To stop, {or_else}run: rosefs unmount {shlex.quote(str(plan.mountpoint))}",
    )
    return "\n".join(lines).encode("utf-8", "surrogateescape")
