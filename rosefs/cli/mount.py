"""The command that mounts a library."""

from __future__ import annotations

import logging
import os
import shlex
from pathlib import Path

import click

from rosecache.database import database_path
from rosecache.update import Report
from rosefs.cli.editing import recover_edits
from rosefs.cli.output import one_line
from rosefs.cli.running import Told, running
from rosefs.cli.settings_check import refuse_bad_templates
from rosefs.cli.state import State, pass_state
from rosefs.cli.updating import update
from rosefs.fuse.mount import AUTO, BINDINGS, MountOptions, check_mount, serve
from rosefs.library.journal import Journal
from rosefs.settings import Settings
from rosefs.vfs.filesystem import FileSystem

log = logging.getLogger(__name__)

_PROBLEMS_SHOWN = 5


@click.command()
@click.argument("source", required=False, type=click.Path(file_okay=False, path_type=Path))
@click.argument("mountpoint", required=False, type=click.Path(path_type=Path))
@click.option(
    "-f", "--foreground", is_flag=True,
    help="Stay in the foreground until unmounted. This version always does, and says so unless this is given.",
)  # fmt: skip
@click.option(
    "--fuse", "binding", type=click.Choice([AUTO, *BINDINGS]), default=AUTO, show_default=True,
    help="The library to mount with.",
)  # fmt: skip
@click.option("--allow-other", is_flag=True, help="Let other users in, with the permissions that are shown.")
@click.option(
    "--read-only/--writable", default=True, show_default=True,
    help="Whether the library can be changed through the mount. Not all of that is there yet.",
)  # fmt: skip
@click.option("-y", "--yes", is_flag=True, help="Write ids on a first run without asking.")
@pass_state
def mount(
    state: State,
    source: Path | None,
    mountpoint: Path | None,
    foreground: bool,
    binding: str,
    allow_other: bool,
    read_only: bool,
    yes: bool,
) -> None:
    """Show the music directory SOURCE as a file system at MOUNTPOINT.

    Either is taken from the configuration if not given. The cache is brought up to date first. To stop, press
    Ctrl-C, or run 'rosefs unmount MOUNTPOINT'.
    """
    settings = state.settings(source=source)
    mountpoint = _mountpoint(settings, mountpoint)
    refuse_bad_templates(settings.cache, state.used_config_path)
    options = MountOptions(
        source=settings.cache.music_source_dir, read_only=read_only, allow_other=allow_other
    )
    chosen = check_mount(mountpoint, binding=binding, options=options)
    report = update(settings.cache, yes=yes)
    _tell(report)
    journal = None if read_only else Journal(settings.state_dir)
    if journal is not None:
        recover_edits(settings.cache, journal)
    filesystem = FileSystem(settings.cache, settings.vfs, journal=journal)
    told = Told(
        mountpoint=os.path.realpath(mountpoint),
        source=str(options.source),
        database=str(database_path(settings.cache)),
        binding=chosen.name,
        read_only=read_only,
    )
    try:
        with running(told) as teller:
            teller.tell_report(report)
            serve(
                filesystem,
                mountpoint,
                binding=binding,
                options=options,
                on_ready=lambda: _say_ready(options.source, mountpoint, foreground=foreground),
            )
    finally:
        filesystem.close()
    log.info("unmounted %s", mountpoint)


def _mountpoint(settings: Settings, given: Path | None) -> Path:
    if given is not None:
        return Path(os.path.abspath(given))
    if settings.vfs.mount_dir is None:
        raise click.UsageError(
            "missing MOUNTPOINT: give it after SOURCE, or set mount_dir in the table [vfs]"
        )
    return settings.vfs.mount_dir


def _tell(report: Report) -> None:
    """Logs what an update found; every problem is in the report of ``rosefs cache update``."""
    log.info(
        "the cache is up to date: %d seen, %d changed, %d evicted, %d skipped",
        report.seen, report.changed, report.evicted, report.skipped,
    )  # fmt: skip
    for problem in report.problems[:_PROBLEMS_SHOWN]:
        log.warning("%s", one_line(str(problem)))
    if (more := len(report.problems) - _PROBLEMS_SHOWN) > 0:
        log.warning("%d more problems; run 'rosefs cache update' to see all", more)


def _say_ready(source: Path, mountpoint: Path, *, foreground: bool) -> None:
    quoted = shlex.quote(str(mountpoint))
    lines = [f"{source} is mounted at {mountpoint}"]
    if not foreground:
        lines.append("This version stays in the foreground.")
    lines.append(f"To stop, press Ctrl-C here, or run: rosefs unmount {quoted}")
    click.echo("\n".join(lines).encode("utf-8", "surrogateescape"))
