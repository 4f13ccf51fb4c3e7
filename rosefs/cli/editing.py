"""What the commands that change the library share: what they work on, and how they say what they did."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import click

from rosecache.config import Config
from rosecache.model import Release, Track
from rosefs.cli.browse import cached_config, find_one
from rosefs.cli.errors import EXPECTED, text_of
from rosefs.cli.kinds import KINDS
from rosefs.cli.output import clean, write_json
from rosefs.cli.recovering import recover_edits
from rosefs.cli.state import State
from rosefs.library.files import Progress
from rosefs.library.journal import Journal

T = TypeVar("T")
R = TypeVar("R")

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


def do_each(things: Iterable[T], do: Callable[[T], R], line: Callable[[T, R], str], *, as_json: bool) -> None:
    """Does something to each of several things, and says at once what was done, since the next may take long.

    What fails for one is said, and the others are done; the exit status is 1 then.

    Args:
        things: What to do it to.
        do: Does it, and returns what there is to be said in JSON.
        line: Says it for people.
        as_json: Write the results as a list in JSON, rather than lines.
    """
    results: list[R] = []
    failed = False
    for thing in things:
        try:
            result = do(thing)
        except EXPECTED as error:
            click.echo(f"rosefs: error: {text_of(error)}", err=True)
            failed = True
            continue
        results.append(result)
        if not as_json:
            say([], [line(thing, result)], as_json=False)
    if as_json:
        say(results, [], as_json=True)
    if failed:
        sys.exit(1)


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
