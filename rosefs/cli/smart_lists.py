"""Smart collages and playlists among the others, for the commands that list, show, export and refuse to change them.

Reads the configuration and the cache; changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click
from msgspec.structs import replace

from rosecache.config import Config
from rosecache.model import Track
from rosecache.names import distinct_name
from rosecache.query.lists import list_collages, list_playlists
from rosefs.cli.kinds import Filters, Kind, ListEntry, PlaylistEntry
from rosefs.cli.output import one_line
from rosefs.cli.state import State
from rosefs.settings import SmartKind

if TYPE_CHECKING:
    from rosefs.rules.smart import Smart


def with_smart(kind: Kind, state: State) -> Kind:
    """Returns a kind of lists with the smart ones of the configuration among them; any other kind as it is.

    Raises:
        ConfigError: The configuration is wrong.
    """
    of_smart, members = kind.smart, kind.members
    if of_smart is None or members is None:
        return kind

    def entries(c: Config, filters: Filters) -> Sequence[Any]:
        made = PlaylistEntry if of_smart == "playlist" else ListEntry
        smart = [made(name, None, smart=True) for name in smart_by_name(c, state, of_smart)]
        return [*kind.entries(c, filters), *smart]

    def content(c: Config, entry: ListEntry) -> Sequence[Any]:
        if not entry.smart:
            return members.of(c, entry)
        from rosefs.rules.smart import releases_of, tracks_of

        smart = smart_by_name(c, state, of_smart)[entry.name]
        return tracks_of(c, smart) if of_smart == "playlist" else releases_of(c, smart)

    return replace(kind, entries=entries, members=replace(members, of=content))


def smart_by_name(c: Config, state: State, kind: SmartKind) -> Mapping[str, Smart]:
    """Returns the smart lists of a kind by the names that they are shown under beside the others.

    Raises:
        ConfigError: The configuration is wrong.
    """
    settings = state.settings().smart
    if not any(each.kind == kind for each in settings):
        return {}
    from rosefs.rules.smart import parse_smart  # imports what writes tags, which most listings need not

    taken = set(list_collages(c) if kind == "collage" else list_playlists(c))
    found: dict[str, Smart] = {}
    for smart in parse_smart(settings, path=state.used_config_path):
        if smart.kind == kind:
            name = distinct_name(smart.name, taken, extensions=False, max_bytes=c.max_filename_bytes)
            taken.add(name)
            found[name] = smart
    return found


def smart_tracks(c: Config, state: State, name: str) -> Sequence[Track] | None:
    """Returns the tracks of the smart playlist of a name; None if there is none. Raises ConfigError."""
    smart = smart_by_name(c, state, "playlist").get(name)
    if smart is None:
        return None
    from rosefs.rules.smart import tracks_of

    return tracks_of(c, smart)


def refuse_smart(c: Config, state: State, kind: SmartKind, name: str) -> None:
    """Makes sure that a name is not that of a smart list, which cannot be changed.

    Raises:
        click.ClickException: It is.
        ConfigError: The configuration is wrong.
    """
    if name in smart_by_name(c, state, kind):
        raise click.ClickException(
            f"{kind} {name!r} is a smart one: change its table [[smart]] in {one_line(str(state.used_config_path))}"
        )
