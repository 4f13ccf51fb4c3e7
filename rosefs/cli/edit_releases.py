"""The commands that change releases."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from rosecache.query.releases import release_logtext
from rosefs.cli.editing import (
    do_each,
    find_release,
    find_track,
    json_option,
    open_library,
    say,
    showing_progress,
)
from rosefs.cli.output import one_line
from rosefs.cli.state import State, pass_state
from rosefs.library.covers import delete_cover, extract_covers, set_cover
from rosefs.library.imports import Imported, import_release
from rosefs.library.releases import delete_release, toggle_new
from rosefs.library.singles import create_single

_IMAGE = click.Path(exists=True, dir_okay=False, path_type=Path)
_RELEASES = click.argument("releases", metavar="RELEASE...", nargs=-1, required=True)


@click.command("import")
@click.argument("directories", metavar="DIR...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--move", is_flag=True, help="Move the directories, rather than copy them.")
@json_option
@pass_state
def import_(state: State, directories: tuple[Path, ...], move: bool, json_output: bool) -> None:
    """Make directories releases of the library.

    Each DIR is copied into the music directory, under its own name or, if that is taken, with " [2]", and is seen
    only when it is whole. A directory moved from another volume is copied, and then put into the trash.
    """
    c, journal = open_library(state)

    def import_one(directory: Path) -> Imported:
        with showing_progress(one_line(directory.name)) as progress:
            return import_release(c, journal, directory, move=move, progress=progress)

    do_each(directories, import_one, lambda _, done: f"imported {done.path}", as_json=json_output)


@click.command()
@_RELEASES
@json_option
@pass_state
def delete(state: State, releases: tuple[str, ...], json_output: bool) -> None:
    """Put releases into the trash.

    RELEASE is an id, a path in the music directory or in a mount, or a name. Collages and playlists keep their
    members, marked as missing; "rosefs undo" brings a release back to them.
    """
    c, journal = open_library(state)
    do_each(
        [find_release(c, text) for text in releases],
        lambda release: delete_release(c, journal, release),
        lambda release, _: f"deleted {release_logtext(release)}",
        as_json=json_output,
    )


@click.command("toggle-new")
@_RELEASES
@json_option
@pass_state
def toggle_new_(state: State, releases: tuple[str, ...], json_output: bool) -> None:
    """Mark releases as new that are not, and the other way round.

    RELEASE is an id, a path in the music directory or in a mount, or a name.
    """
    c, journal = open_library(state)
    do_each(
        [find_release(c, text) for text in releases],
        lambda release: toggle_new(c, journal, release),
        lambda release, done: f"{release_logtext(release)} is {'new' if done.new else 'not new'}",
        as_json=json_output,
    )


@click.command("set-cover")
@click.argument("release")
@click.argument("image", type=_IMAGE)
@json_option
@pass_state
def set_cover_(state: State, release: str, image: Path, json_output: bool) -> None:
    """Make an image the cover of a release.

    RELEASE is an id, a path in the music directory or in a mount, or a name. IMAGE is copied. A cover
    of another name that is shown until then goes to the trash.
    """
    c, journal = open_library(state)
    done = set_cover(c, journal, find_release(c, release), image)
    say([done], [f"set {done.path}"], as_json=json_output)


@click.command("delete-cover")
@click.argument("release")
@json_option
@pass_state
def delete_cover_(state: State, release: str, json_output: bool) -> None:
    """Put the cover of a release into the trash.

    RELEASE is an id, a path in the music directory or in a mount, or a name.
    """
    c, journal = open_library(state)
    done = delete_cover(c, journal, find_release(c, release))
    following = f"; {done.next.name} is shown now" if done.next is not None else ""
    say([done], [f"deleted {done.path}{following}"], as_json=json_output)


@click.command("extract-covers")
@click.argument("releases", metavar="[RELEASE]...", nargs=-1)
@json_option
@pass_state
def extract_covers_(state: State, releases: tuple[str, ...], json_output: bool) -> None:
    """Make covers of the pictures in audio files, for releases without a cover.

    RELEASE is an id, a path in the music directory or in a mount, or a name; without one, it is done for all of them.
    Front covers are preferred.
    """
    c, journal = open_library(state)
    chosen = [find_release(c, text) for text in releases] if releases else None
    with showing_progress("Looking for pictures") as progress:
        done = extract_covers(c, journal, chosen, progress)
    lines = [f"made {cover}" for cover in done.covers]
    if chosen is not None:
        lines += [f"{release_logtext(release)} has no picture in its files" for release in done.without]
    say([done], lines, as_json=json_output)
    for path, reason in done.problems:
        click.echo(f"rosefs: warning: {one_line(f'{path}: {reason}')}", err=True)
    if done.problems and not done.covers:
        sys.exit(1)


@click.command("create-single")
@click.argument("track")
@click.option("--loose-track", is_flag=True, help="Make it a loose track, rather than a single.")
@json_option
@pass_state
def create_single_(state: State, track: str, loose_track: bool, json_output: bool) -> None:
    """Make a copy of a track a release of its own.

    TRACK is an id, a path in the music directory or in a mount, or a name. The copy is track 1 of a single that is
    called as the track is, with the track's artists and a copy of the cover, and is not new. The track itself stays
    where it is.
    """
    c, journal = open_library(state)
    done = create_single(c, journal, find_track(c, track), loose=loose_track)
    say([done], [f"made {done.path}"], as_json=json_output)
