"""What the commands that change the library share: what they work on, and how they say what they did."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click

from rosecache.config import Config
from rosecache.model import Release, Track
from rosefs.cli.browse import cached_config, find_one
from rosefs.cli.kinds import KINDS
from rosefs.cli.output import clean, write_json
from rosefs.cli.state import State
from rosefs.library.files import Progress
from rosefs.library.holds import recover_holds
from rosefs.library.journal import Journal
from rosefs.library.undo import Undone, recover

log = logging.getLogger(__name__)

json_option = click.option("--json", "json_output", is_flag=True, help="Write what was done as JSON.")


def open_library(state: State, *, recovering: bool = True) -> tuple[Config, Journal]:
    """Returns the settings of the cache, if there is one, and the journal of edits.

    Args:
        state: What the command line says.
        recovering: Take back what a killed program left half done, so that it is not in the way.

    Raises:
        click.ClickException: There is no cache, or the library may not be changed.
    """
    c, journal = cached_config(state), Journal(state.settings().state_dir)
    if c.read_only:
        raise click.ClickException(
            f"{c.music_source_dir} may not be changed: read_only is set in {state.used_config_path}"
        )
    if recovering:
        recover_edits(c, journal)
    return c, journal


def recover_edits(c: Config, journal: Journal) -> None:
    """Takes back the edits whose programs were killed, and says so. Those that cannot be are left to the user.

    Puts back, too, what was lost by moving it into a collage or a playlist, if the mount has not done so.
    """
    for outcome in recover(c, journal):
        if isinstance(outcome, Undone):
            log.info("%r was cut off; what it had done is taken back", outcome.entry.title)
        else:
            log.debug("not taken back: %s", outcome)  # rosefs history has it, and rosefs undo says so
    recover_holds(c)


def find_release(c: Config, text: str) -> Release:
    """Returns the release that an argument means. Raises click.ClickException."""
    found: Release = find_one(c, KINDS["releases"], text)
    return found


def find_track(c: Config, text: str) -> Track:
    """Returns the track that an argument means. Raises click.ClickException."""
    found: Track = find_one(c, KINDS["tracks"], text)
    return found


def say(results: Sequence[Any], lines: Sequence[str], *, as_json: bool) -> None:
    """Writes what was done: the results as a list in JSON, or lines."""
    if as_json:
        write_json(list(results))
        return
    for line in lines:
        click.echo(clean(line).encode("utf-8", "surrogateescape"))


@contextmanager
def showing_progress(label: str) -> Iterator[Progress]:
    """Yields what shows on a terminal how far something is, and nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    with click.progressbar(length=1, label=label, file=sys.stderr) as bar:

        def show(done: int, total: int) -> None:
            bar.length = max(total, 1)
            bar.update(done - bar.pos)

        yield show
