"""The command ``rosefs``: its own options, the table of its commands, and what becomes of their errors.

Imports click and nothing else of weight: what a command needs is imported when it is called. Exit statuses
are 0 for success, 1 for an error, 2 for a command line that cannot be understood, and 130 for an interrupt.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

import rosefs
from rosefs.cli.lazy import LazyCommand, LazyGroup
from rosefs.cli.state import State

FAILED = 1
INTERRUPTED = 130

COMMANDS = {
    "mount": LazyCommand("rosefs.cli.mount", "mount", "Bring the cache up to date and mount the library."),
    "unmount": LazyCommand("rosefs.cli.unmount", "unmount", "Unmount it again, which ends the mounting process."),
    "status": LazyCommand("rosefs.cli.status", "status", "Show what is mounted, and how it is."),
    "doctor": LazyCommand("rosefs.cli.doctor", "doctor", "Look for whatever keeps rosefs from working."),
    "cache": LazyCommand("rosefs.cli.cache", "cache", "Bring the cache up to date."),
    "watch": LazyCommand("rosefs.cli.watch", "watch", "Keep the cache up to date while files change, without a mount."),
    "releases": LazyCommand("rosefs.cli.browse", "COMMANDS", "List, show and change releases."),
    "tracks": LazyCommand("rosefs.cli.browse", "COMMANDS", "List, show and change tracks."),
    "artists": LazyCommand("rosefs.cli.browse", "COMMANDS", "List artists, or show one's releases."),
    "genres": LazyCommand("rosefs.cli.browse", "COMMANDS", "List genres, or show one's releases."),
    "descriptors": LazyCommand("rosefs.cli.browse", "COMMANDS", "List descriptors, or show one's releases."),
    "labels": LazyCommand("rosefs.cli.browse", "COMMANDS", "List labels, or show one's releases."),
    "collages": LazyCommand("rosefs.cli.browse", "COMMANDS", "List, show and change collages."),
    "playlists": LazyCommand("rosefs.cli.browse", "COMMANDS", "List, show and change playlists."),
    "rules": LazyCommand("rosefs.cli.rules", "rules", "Change tags by rules."),
    "history": LazyCommand("rosefs.cli.history", "history", "List the edits that were made."),
    "undo": LazyCommand("rosefs.cli.history", "undo_", "Take an edit back."),
    "config": LazyCommand("rosefs.cli.config", "config", "Start, check and try out a configuration file."),
}  # fmt: skip


class RosefsGroup(LazyGroup):
    """The top group: turns every error that is expected into one line on stderr."""

    is_top = True

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Runs the command line as click's own does, and ends the process with the exit status."""
        _open_missing_streams()
        run: Callable[[], object] = functools.partial(
            super().main, args, prog_name, complete_var, standalone_mode=False, **extra
        )
        if not standalone_mode:
            return run()
        status: object
        try:
            status = run()
            sys.stdout.flush()
        except click.UsageError as error:
            if error.ctx is not None:
                click.echo(error.ctx.get_usage(), err=True)
            status = _fail(error.format_message(), error.exit_code)
        except click.ClickException as error:
            from rosefs.cli.errors import status_of  # as in invoke

            status = _fail(error.format_message(), status_of(error))
        except click.Abort:
            click.echo("rosefs: interrupted", err=True)
            status = INTERRUPTED
        except BrokenPipeError:
            # Whoever read our output has had enough of it. What is still buffered must not fail at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            status = FAILED
        sys.exit(status if isinstance(status, int) else 0)

    def invoke(self, ctx: click.Context) -> Any:
        # Not imported at the top: help and mistakes on the command line need none of what raises errors.
        from rosefs.cli.errors import EXPECTED, text_of

        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise
        except EXPECTED as error:
            if ctx.ensure_object(State).verbosity:
                import traceback

                traceback.print_exception(error)
            raise click.ClickException(text_of(error)) from error


def _open_missing_streams() -> None:
    """Opens whichever of stdin, stdout and stderr was closed, to nothing: the next file would take its number.

    What is then written for a terminal would be written into that file.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
            os.set_inheritable(descriptor, True)
            setattr(sys, name, open(number, mode))  # noqa: SIM115 - for as long as the process lives


def _fail(message: str, status: int) -> int:
    click.echo(f"rosefs: error: {message}", err=True)
    return status


@click.group(
    cls=RosefsGroup,
    lazy=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "-c", "--config", "config_path", envvar="ROSEFS_CONFIG", metavar="PATH",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The configuration file; otherwise that of $ROSEFS_CONFIG, or config.toml in ~/.config/rosefs.",
)  # fmt: skip
@click.option("-v", "--verbose", count=True, help="Say more on stderr: -v what is done, -vv every detail.")
@click.version_option(rosefs.__version__, prog_name="rosefs", message="%(prog)s %(version)s")
@click.pass_context
def cli(ctx: click.Context, config_path: Path | None, verbose: int) -> None:
    """A music library as a file system: browse and play it from any program."""
    from rosefs.cli.logs import set_up_logging  # not needed for help

    set_up_logging(verbose)
    ctx.obj = State(config_path, verbose)


def main() -> None:
    """Runs ``rosefs`` with the arguments of this process."""
    from rosefs.cli.start import is_called_by_mount

    if is_called_by_mount(sys.argv[1:]):
        from rosefs.cli.helper import mount_helper

        mount_helper.main(prog_name="rosefs")
    cli.main(prog_name="rosefs")
