"""The commands that list and show what is in the cache: two for each kind, made of its declaration.

They read the cache as it is, and never bring it up to date. The commands that change things stand in the same groups,
and are imported when they are called.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import click

from rosecache.config import Config
from rosecache.database import database_path
from rosecache.model import RELEASE_TYPES
from rosecache.query.rows import snapshot
from rosefs.cli.kinds import KINDS, Kind
from rosefs.cli.lazy import LazyCommand, LazyGroup
from rosefs.cli.lookup import find_named
from rosefs.cli.output import as_json, write_fields, write_json, write_rows
from rosefs.cli.smart_lists import with_smart
from rosefs.cli.state import State, pass_state
from rosefs.rules.errors import RuleSyntaxError
from rosefs.rules.model import Matcher

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


def parsed_matcher(ctx: click.Context, _: click.Parameter, text: str | None) -> Matcher | None:
    """Reads an argument that is a matcher, as its callback. What is wrong with one is a mistake in the command line."""
    if text is None:
        return None
    from rosefs.rules.parsing import parse_matcher  # imports what writes tags, which most listings need not

    try:
        return parse_matcher(text)
    except RuleSyntaxError as error:
        raise click.UsageError(str(error), ctx) from error


def _make_list(kind: Kind) -> click.Command:
    @pass_state
    def run(state: State, /, json_output: bool, matcher: Matcher | None = None, **filters: Any) -> None:
        given = {name: value for name, value in filters.items() if value is not None}
        entries = _chosen(cached_config(state), with_smart(kind, state), matcher, given)
        if json_output:
            write_json([as_json(entry) for entry in entries])
        else:
            write_rows(kind.columns, entries)

    chosen = [FILTER_OPTIONS[name] for name in kind.filters]
    params: list[click.Parameter] = [click.Option(names, **settings) for names, settings in chosen]
    help = f"List {kind.plural}: a table on a terminal, else lines of fields divided by tabs."
    if kind.matching is not None:
        params.append(click.Argument(["matcher"], callback=parsed_matcher, required=False))
        help += f'\n\nMATCHER is tags:pattern, such as "genre:K-Pop"; without one, all {kind.plural} match.'
    return click.Command("list", callback=run, params=[*params, _json_option()], help=help)


def _chosen(c: Config, kind: Kind, matcher: Matcher | None, filters: Mapping[str, Any]) -> Sequence[Any]:
    """Returns those that match, if there is a matcher, and pass all filters."""
    if matcher is None or kind.matching is None:
        return kind.entries(c, filters)
    with snapshot(c):
        found = kind.matching(c, matcher)
        if not filters:
            return found
        passing = {entry.id for entry in kind.entries(c, filters)}
    return [entry for entry in found if entry.id in passing]


def _make_show(kind: Kind) -> click.Command:
    @pass_state
    def run(state: State, /, text: str, json_output: bool) -> None:
        c, among = cached_config(state), with_smart(kind, state)
        entry = find_one(c, among, text)
        members = among.members.of(c, entry) if among.members is not None else ()
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


def find_one(c: Config, kind: Kind, text: str) -> Any:
    """Returns the one of a kind that an argument means.

    Raises:
        click.ClickException, NotFoundError: There is none, or there are several.
    """
    entry = kind.find(c, text)
    if entry is None:
        named = [(each, kind.names(each)) for each in kind.entries(c, {})]
        is_path = os.path.isabs(text) or os.path.lexists(text)
        if is_path and kind.resolve is not None and not any(text in names for _, names in named):
            return kind.resolve(c, text)  # which says what a path has to be
        entry = find_named(text, named, singular=kind.singular, plural=kind.plural)
    return entry


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


def cached_config(state: State) -> Config:
    """Returns the settings of the cache, if there is one to read."""
    c = state.settings().cache
    if not database_path(c).exists():
        raise click.ClickException(
            f"there is no cache of {c.music_source_dir} yet, or it is of other settings; "
            "run: rosefs cache update"
        )
    return c


_RELEASES, _LISTS, _RULES = "rosefs.cli.edit_releases", "rosefs.cli.edit_lists", "rosefs.cli.rules"
_EDITS: Mapping[str, Mapping[str, LazyCommand]] = {
    "releases": {
        "edit": LazyCommand("rosefs.cli.edit_release_text", "edit", "Edit the tags of a release in an editor."),
        "import": LazyCommand(_RELEASES, "import_", "Make directories releases of the library."),
        "delete": LazyCommand(_RELEASES, "delete", "Put releases into the trash."),
        "toggle-new": LazyCommand(_RELEASES, "toggle_new_", "Mark releases as new, or as not new."),
        "set-cover": LazyCommand(_RELEASES, "set_cover_", "Make an image the cover of a release."),
        "delete-cover": LazyCommand(_RELEASES, "delete_cover_", "Put the cover of a release into the trash."),
        "extract-covers": LazyCommand(_RELEASES, "extract_covers_", "Make covers of embedded pictures."),
        "create-single": LazyCommand(_RELEASES, "create_single_", "Make a copy of a track a release of its own."),
        "run-rule": LazyCommand(_RULES, "run_on_release", "Do something to the tags of a release."),
    },
    "tracks": {"run-rule": LazyCommand(_RULES, "run_on_track", "Do something to the tags of a track.")},
    **{
        plural: {
            "create": LazyCommand(_LISTS, plural.upper(), f"Make an empty {singular}."),
            "rename": LazyCommand(_LISTS, plural.upper(), f"Rename a {singular}."),
            "delete": LazyCommand(_LISTS, plural.upper(), f"Put {plural} into the trash."),
            "add": LazyCommand(_LISTS, plural.upper(), f"Add {members} to a {singular}."),
            "remove": LazyCommand(_LISTS, plural.upper(), f"Remove {members} from a {singular}."),
            "edit": LazyCommand(_LISTS, plural.upper(), f"Reorder a {singular}, and remove {members}, in an editor."),
        }
        for plural, singular, members in (("collages", "collage", "releases"), ("playlists", "playlist", "tracks"))
    },
}  # fmt: skip
"""The commands that change things, by group."""

_EDITS_OF_PLAYLISTS = {
    "set-cover": LazyCommand(_LISTS, "PLAYLISTS", "Make an image the cover of a playlist."),
    "delete-cover": LazyCommand(_LISTS, "PLAYLISTS", "Put the cover of a playlist into the trash."),
    "export": LazyCommand(_LISTS, "PLAYLISTS", "Write a playlist to a file for other programs."),
}


def _make_group(kind: Kind) -> click.Group:
    edits = {**_EDITS.get(kind.plural, {}), **(_EDITS_OF_PLAYLISTS if kind.plural == "playlists" else {})}
    also = ", or change them" if edits else ""
    return LazyGroup(
        kind.plural,
        commands=[_make_list(kind), _make_show(kind)],
        lazy=edits,
        help=f"List {kind.plural}, or show one{also}. Reads the cache as it is.",
    )


COMMANDS: Mapping[str, click.Group] = {name: _make_group(kind) for name, kind in KINDS.items()}
"""The groups, by name."""
