"""The commands that change collages and playlists: one set for both kinds, and covers and export for playlists."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import click
import msgspec

from rosecache.config import Config
from rosefs.cli.browse import cached_config
from rosefs.cli.editing import find_release, find_track, json_option, open_library, say
from rosefs.cli.smart_lists import refuse_smart, smart_tracks
from rosefs.cli.state import State, pass_state
from rosefs.library import lists
from rosefs.library.errors import EditTextError
from rosefs.library.journal import Journal
from rosefs.library.lists import COLLAGES as COLLAGE
from rosefs.library.lists import PLAYLISTS as PLAYLIST
from rosefs.library.lists import Kind
from rosefs.library.listtext import Applied, ListText, apply_text, edit_text
from rosefs.library.m3u import export_playlist, export_tracks
from rosefs.library.memberfiles import MemberFile
from rosefs.settings import SmartKind

_IMAGE = click.Path(exists=True, dir_okay=False, path_type=Path)


class _Words(msgspec.Struct, frozen=True):
    """What a kind of lists is called, and how an argument becomes one of its members."""

    kind: Kind
    member: str
    find: Callable[[Config, str], str]


_COLLAGE = _Words(COLLAGE, "release", lambda c, text: find_release(c, text).id)
_PLAYLIST = _Words(PLAYLIST, "track", lambda c, text: find_track(c, text).id)


_SMART: Mapping[str, SmartKind] = {COLLAGE.name: "collage", PLAYLIST.name: "playlist"}


def _opened(state: State, kind: Kind, *names: str) -> tuple[Config, Journal]:
    """Returns what :func:`open_library` does, for a change of lists. Raises click.ClickException if one is smart."""
    opened = open_library(state)
    for name in names:
        refuse_smart(opened[0], state, _SMART[kind.name], name)
    return opened


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _make_create(words: _Words) -> click.Command:
    kind = words.kind

    @click.command("create", help=f"Make an empty {kind.name}.")
    @click.argument("name")
    @json_option
    @pass_state
    def create(state: State, name: str, json_output: bool) -> None:
        c, journal = open_library(state)
        path = lists.create(c, journal, kind, name)
        say([path], [f"created {path}"], as_json=json_output)

    return create


def _make_rename(words: _Words) -> click.Command:
    kind = words.kind

    @click.command("rename", help=f"Rename a {kind.name}; files of the same name, such as a cover, follow.")
    @click.argument("old")
    @click.argument("new")
    @json_option
    @pass_state
    def rename(state: State, old: str, new: str, json_output: bool) -> None:
        c, journal = _opened(state, kind, old)
        paths = lists.rename(c, journal, kind, old, new)
        say(paths, [f"renamed {old} to {new}"], as_json=json_output)

    return rename


def _make_delete(words: _Words) -> click.Command:
    kind = words.kind

    @click.command(
        "delete", help=f"Put {kind.name}s into the trash, with their covers, but none of their {kind.key}."
    )
    @click.argument("names", metavar="NAME...", nargs=-1, required=True)
    @json_option
    @pass_state
    def delete(state: State, names: tuple[str, ...], json_output: bool) -> None:
        c, journal = _opened(state, kind, *names)
        for name in names:
            lists.expect_list(c, kind, name)
        done = [lists.delete(c, journal, kind, name) for name in names]
        say(
            [each for trashed in done for each in trashed],
            [f"deleted {name}" for name in names],
            as_json=json_output,
        )

    return delete


def _found(words: _Words) -> str:
    return f"{words.member.upper()} is an id, a path in the music directory or in a mount, or a name."


def _make_add(words: _Words) -> click.Command:
    kind, member = words.kind, words.member
    once = " A collage holds a release once." if kind is COLLAGE else " A playlist may hold a track twice."

    @click.command("add", help=f"Add {kind.key} to a {kind.name}, at the end.{once}\n\n{_found(words)}")
    @click.argument("name")
    @click.argument("members", metavar=f"{member.upper()}...", nargs=-1, required=True)
    @json_option
    @pass_state
    def add(state: State, name: str, members: tuple[str, ...], json_output: bool) -> None:
        c, journal = _opened(state, kind, name)
        done = lists.add(c, journal, kind, name, [words.find(c, text) for text in members])
        lines = [f"added {_count(len(done.added), member)} to {name}"] if done.added else []
        if done.present:
            lines.append(f"{_count(len(done.present), member)} in {name} already")
        say([done], lines, as_json=json_output)

    return add


def _make_remove(words: _Words) -> click.Command:
    kind, member = words.kind, words.member

    @click.command(
        "remove",
        help=f"Remove {kind.key} from a {kind.name}, every time that they are in it.\n\n{_found(words)}",
    )
    @click.argument("name")
    @click.argument("members", metavar=f"{member.upper()}...", nargs=-1, required=True)
    @json_option
    @pass_state
    def remove(state: State, name: str, members: tuple[str, ...], json_output: bool) -> None:
        c, journal = _opened(state, kind, name)
        # What is missing can be named by the id that the list has.
        held = {each.id for each in MemberFile.read(lists.expect_list(c, kind, name), kind.key).members}
        ids = [text.lower() if text.lower() in held else words.find(c, text) for text in members]
        counts = [lists.remove(c, journal, kind, name, identifier) for identifier in ids]
        say(counts, [f"removed {_count(sum(counts), member)} from {name}"], as_json=json_output)

    return remove


def _make_edit(words: _Words) -> click.Command:
    kind = words.kind

    @click.command(
        "edit",
        help=f"Reorder a {kind.name}, and remove {kind.key} from it, in $EDITOR: one line for each."
        " Lines that are moved are moved, and lines that are deleted are removed.",
    )
    @click.argument("name")
    @pass_state
    def edit(state: State, name: str) -> None:
        c, journal = _opened(state, kind, name)
        before = edit_text(c, kind, name)
        done = _edit_until_right(c, journal, before)
        if done is None:
            click.echo("nothing was changed")
            return
        say([], [f"edited {name}: {_count(done.removed, words.member)} removed"], as_json=False)

    return edit


def _edit_until_right(c: Config, journal: Journal, before: ListText) -> Applied | None:
    """Lets the user edit a list's text, again after a mistake. Returns None if they leave it as it is."""
    text = before.text
    while True:
        edited = click.edit(text, extension=".txt")
        if edited is None:
            return None
        text = edited
        try:
            return apply_text(c, journal, before, text)
        except EditTextError as error:
            if not sys.stdin.isatty():
                raise
            click.echo(f"rosefs: error: {error}", err=True)
            if not click.confirm("Edit again?", default=True, err=True):
                return None


@click.command("set-cover")
@click.argument("name")
@click.argument("image", type=_IMAGE)
@json_option
@pass_state
def _set_cover(state: State, name: str, image: Path, json_output: bool) -> None:
    """Make an image the cover of a playlist.

    IMAGE is copied. A cover of another kind that the playlist has goes to the trash.
    """
    c, journal = _opened(state, PLAYLIST, name)
    done = lists.set_cover(c, journal, name, image)
    say([done], [f"set {done.path}"], as_json=json_output)


@click.command("delete-cover")
@click.argument("name")
@json_option
@pass_state
def _delete_cover(state: State, name: str, json_output: bool) -> None:
    """Put the cover of a playlist into the trash."""
    c, journal = _opened(state, PLAYLIST, name)
    done = lists.delete_cover(c, journal, name)
    say(done, [f"deleted {each.original}" for each in done], as_json=json_output)


@click.command("export")
@click.argument("name")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--relative", is_flag=True, help="Write paths from where FILE is, rather than from the root.")
@click.option("--force", is_flag=True, help="Replace FILE if it is there.")
@json_option
@pass_state
def _export(state: State, name: str, file: Path, relative: bool, force: bool, json_output: bool) -> None:
    """Write a playlist to a file for other programs.

    FILE, usually named .m3u8, gets the paths of the tracks in the music directory. Missing tracks are left out.
    """
    c = cached_config(state)
    tracks = smart_tracks(c, state, name)
    if tracks is None:
        done = export_playlist(c, name, file, relative=relative, force=force)
    else:
        done = export_tracks(tracks, file, relative=relative, force=force)
    say([done], [f"exported {_count(done.tracks, 'track')} to {done.path}"], as_json=json_output)


def _commands(words: _Words) -> dict[str, click.Command]:
    makers = (_make_create, _make_rename, _make_delete, _make_add, _make_remove, _make_edit)
    return {command.name or "": command for command in (make(words) for make in makers)}


COLLAGES: Mapping[str, click.Command] = _commands(_COLLAGE)
PLAYLISTS: Mapping[str, click.Command] = {
    **_commands(_PLAYLIST),
    "set-cover": _set_cover,
    "delete-cover": _delete_cover,
    "export": _export,
}
