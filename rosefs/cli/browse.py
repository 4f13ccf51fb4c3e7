"""The commands that list and show what is in the cache: two for each kind, made of its declaration.

They read the cache as it is, and never bring it up to date.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from rosecache.config import Config
from rosecache.database import database_path
from rosecache.model import RELEASE_TYPES
from rosefs.cli.kinds import KINDS, Kind
from rosefs.cli.lookup import find_named
from rosefs.cli.output import as_json, write_fields, write_json, write_rows
from rosefs.cli.state import State, pass_state

FILTER_OPTIONS: Mapping[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "artist": (
        ("--artist", "all_artist_filter"),
        {"metavar": "NAME", "help": "Those of an artist in any role, or of the artist's aliases."},
    ),
    "genre": (
        ("--genre", "genre_filter"),
        {"metavar": "NAME", "help": "Those of a genre, or of a genre that descends from it."},
    ),
    "descriptor": (
        ("--descriptor", "descriptor_filter"),
        {"metavar": "NAME", "help": "Those with a descriptor."},
    ),
    "label": (("--label", "label_filter"), {"metavar": "NAME", "help": "Those of a label."}),
    "type": (
        ("--type", "release_type_filter"),
        {"type": click.Choice(RELEASE_TYPES, case_sensitive=False), "help": "Those of a release type."},
    ),
    "new": (
        ("--new/--not-new", "new"),
        {"default": None, "help": "Those of new releases only, or of all others."},
    ),
}
"""The options that choose what is listed, by the names that declarations have them under."""


def _json_option() -> click.Option:
    return click.Option(["--json", "json_output"], is_flag=True, help="Write JSON.")


def _make_list(kind: Kind) -> click.Command:
    @pass_state
    def run(state: State, /, json_output: bool, **filters: Any) -> None:
        given = {name: value for name, value in filters.items() if value is not None}
        entries = kind.entries(_cached(state), given)
        if json_output:
            write_json([as_json(entry) for entry in entries])
        else:
            write_rows(kind.columns, entries)

    chosen = [FILTER_OPTIONS[name] for name in kind.filters]
    options = [click.Option(names, **settings) for names, settings in chosen]
    return click.Command(
        "list",
        callback=run,
        params=[*options, _json_option()],
        help=f"List {kind.plural}: a table on a terminal, else lines of fields divided by tabs.",
    )


def _make_show(kind: Kind) -> click.Command:
    @pass_state
    def run(state: State, /, text: str, json_output: bool) -> None:
        c = _cached(state)
        entry = kind.find(c, text)
        if entry is None:
            named = [(each, kind.names(each)) for each in kind.entries(c, {})]
            entry = find_named(text, named, singular=kind.singular, plural=kind.plural)
        members = kind.members.of(c, entry) if kind.members is not None else ()
        if json_output:
            write_json(_with_members(kind, entry, members))
            return
        write_fields(kind.details or kind.columns, entry)
        if kind.members is not None:
            click.echo()
            write_rows(kind.members.columns, members)

    return click.Command(
        "show",
        callback=run,
        params=[click.Argument(["text"], metavar=kind.named_by), _json_option()],
        help=f"Show one of the {kind.plural}" + (f", and its {kind.members.field}." if kind.members else "."),
    )


def _with_members(kind: Kind, entry: Any, members: Any) -> dict[str, object]:
    shown = as_json(entry)
    if not isinstance(shown, dict):
        raise TypeError(f"{kind.singular} is no record: {entry!r}")
    if kind.members is None:
        return shown
    listed = []
    for member in members:
        record = as_json(member)
        if isinstance(record, dict):
            listed.append({key: value for key, value in record.items() if key not in kind.members.omit})
    return {**shown, kind.members.field: listed}


def _cached(state: State) -> Config:
    """Returns the settings of the cache, if there is one to read."""
    c = state.settings().cache
    if not database_path(c).exists():
        raise click.ClickException(
            f"there is no cache of {c.music_source_dir} yet, or it is of other settings; "
            "run: rosefs cache update"
        )
    return c


def _make_group(kind: Kind) -> click.Group:
    return click.Group(
        kind.plural,
        commands=[_make_list(kind), _make_show(kind)],
        help=f"List {kind.plural}, or show one. Reads the cache as it is.",
    )


COMMANDS: Mapping[str, click.Group] = {name: _make_group(kind) for name, kind in KINDS.items()}
"""The groups, by name."""
