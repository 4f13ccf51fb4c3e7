"""The commands about edits that were made: listing them, and taking them back."""

from __future__ import annotations

import click

from rosefs.cli.editing import json_option, open_library, say
from rosefs.cli.output import Column, write_json, write_rows
from rosefs.cli.state import State, pass_state
from rosefs.library.journal import Entry, Journal
from rosefs.library.undo import undo

_USUAL = 20


def _state(entry: Entry) -> str:
    if entry.undone:
        return "undone"
    return "" if entry.finished else "unfinished"


_COLUMNS: tuple[Column[Entry], ...] = (
    Column("Id", lambda entry: entry.id),
    Column("Time", lambda entry: entry.time),
    Column("Edit", lambda entry: entry.title),
    Column("State", _state),
    Column("Program", lambda entry: entry.program, in_tables=False),
)


@click.command()
@click.option(
    "--limit", type=click.IntRange(min=1), default=_USUAL, show_default=True, metavar="N",
    help="How many edits to list.",
)  # fmt: skip
@click.option("--json", "json_output", is_flag=True, help="Write JSON.")
@pass_state
def history(state: State, limit: int, json_output: bool) -> None:
    """List the edits that were made, newest first.

    Edits made through a mount are among them, and so are those that took others back.
    """
    entries = Journal(state.settings().state_dir).history(limit)
    if json_output:
        write_json([_as_json(entry) for entry in entries])
    else:
        write_rows(_COLUMNS, entries)


@click.command("undo")
@click.argument("identifier", metavar="[ID]", required=False)
@json_option
@pass_state
def undo_(state: State, identifier: str | None, json_output: bool) -> None:
    """Take an edit back.

    Without ID the last one that is not undone yet; else the one that "rosefs history" lists under that id, whose last
    few characters are enough. To do again what was undone, take back the undo. If files have changed since, nothing
    is done.
    """
    c, journal = open_library(state, recovering=False)  # what was cut off is the last edit, and may be meant
    done = undo(c, journal, identifier)
    text = f"undid: {done.entry.title}" if done.steps else f"nothing had been done yet: {done.entry.title}"
    if done.others:
        text += f", and {done.others:,} more made with it"
    say(
        [{"entry": _as_json(done.entry), "steps": done.steps, "others": done.others}],
        [text],
        as_json=json_output,
    )


def _as_json(entry: Entry) -> dict[str, object]:
    return {
        "id": entry.id,
        "time": entry.time,
        "title": entry.title,
        "program": entry.program,
        "undoes": entry.undoes,
        "group": entry.group,
        "finished": entry.finished,
        "undone": entry.undone,
    }
