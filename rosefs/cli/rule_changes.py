"""What rules would change, shown to people, and asking them whether it may be."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import click

from rosecache.config import Config
from rosefs.cli.output import one_line
from rosefs.rules.running import Plan, TagChange, TrackChange

_SIMPLY_ASKED = 25
"""From one track more on, a slip of the finger must not be enough to say yes."""


def show_changes(c: Config, plan: Plan) -> None:
    """Writes every track that would change, each with the old values and the new ones of its tags."""
    is_coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    for change in plan.changes:
        click.echo(one_line(_name_of(c, change)).encode())
        for tag in change.changes:
            for line, colour in _lines_of(tag):
                shown = one_line(line)
                click.echo((click.style(shown, fg=colour) if is_coloured else shown).encode())


def expect_an_answer() -> None:
    """Makes sure that somebody can be asked. Raises click.ClickException."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise click.ClickException(
            "nobody can be asked, since this is no terminal; --yes changes the files, --dry-run only shows how"
        )


def ask(plan: Plan) -> None:
    """Asks whether a plan is to be carried out. Raises click.ClickException if not."""
    count = len(plan.changes)
    if count <= _SIMPLY_ASKED:
        agreed = click.confirm(f"Change {tracks(count)}?", err=True)
    else:
        question = f"This changes {tracks(count)}. Type the number to go on"
        answer: str = click.prompt(question, default="", show_default=False, err=True)
        agreed = answer.strip().replace(",", "") == str(count)
    if not agreed:
        raise click.ClickException("nothing was changed")


def tracks(count: int) -> str:
    """Returns how many tracks there are, in words."""
    return f"{count:,} track" if count == 1 else f"{count:,} tracks"


def _name_of(c: Config, change: TrackChange) -> str:
    return os.path.relpath(change.track.source_path, c.music_source_dir)


def _lines_of(change: TagChange) -> Iterator[tuple[str, str]]:
    """Yields lines and their colours: a minus for what a tag says, a plus for what it will say."""
    if change.old:
        yield f"  - {change.tag}: {'; '.join(change.old)}", "red"
    if change.new:
        yield f"  + {change.tag}: {'; '.join(change.new)}", "green"
