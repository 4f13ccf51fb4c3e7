"""The command that shows what the configured name templates make of releases and tracks.

Names are made by what makes them for the tree, and for source files that are renamed. Nothing is mounted or renamed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence

import click
import msgspec

from rosecache.config import Config
from rosecache.errors import TemplateError
from rosecache.model import Release, Track
from rosecache.query.tracks import get_tracks_of_release
from rosecache.templates import NameTemplate, validate_template
from rosecache.update.renames import source_name, source_parts
from rosefs.cli.browse import cached_config
from rosefs.cli.editing import find_release
from rosefs.cli.output import Column, one_line, write_json, write_rows
from rosefs.cli.samples import SAMPLES
from rosefs.cli.settings_check import template_errors
from rosefs.cli.state import State, pass_state
from rosefs.vfs.names import Namer
from rosefs.vfs.views import VIEWS

Shelf = Sequence[tuple[Release, Sequence[Track]]]
"""Releases, each with its tracks."""

_KINDS = ("release", "track", "all_tracks")
_LIST = "Road Trip"
"""What a collage or a playlist is called in previews."""
_LONGEST = 40
"""The most characters of a title that are shown beside a name."""


class Preview(msgspec.Struct, frozen=True):
    """What one template makes of one release or track."""

    template: str
    """Its key in the configuration, below ``path_templates``."""
    of: str
    """The title of the release or track."""
    name: str


def _short(title: str) -> str:
    return title if len(title) <= _LONGEST else f"{title[: _LONGEST - 1]}…"


_COLUMNS: tuple[Column[Preview], ...] = (
    Column("Template", lambda preview: preview.template),
    Column("Of", lambda preview: _short(preview.of)),
    Column("Name", lambda preview: preview.name),
)


@click.command("preview-templates")
@click.argument("release", required=False)
@click.option("--json", "json_output", is_flag=True, help="Write JSON.")
@pass_state
def preview_templates(state: State, release: str | None, json_output: bool) -> None:
    """Show what the name templates make of invented releases, or of RELEASE and its tracks.

    RELEASE is an id, a path in the music directory or in a mount, or a name. A view is shown where its names are not
    those of the default. For a template that cannot be used there is an error, and the others are shown.
    """
    c = state.settings().cache if release is None else cached_config(state)
    shelf: Shelf = SAMPLES
    if release is not None:
        found = find_release(c, release)
        shelf = [(found, get_tracks_of_release(c, found))]
    errors = list(template_errors(c, state.used_config_path))
    previews = list(_previews(c, shelf))
    if json_output:
        write_json(previews)
    else:
        write_rows(_COLUMNS, previews)
    for error in errors:
        click.echo(f"rosefs: error: {one_line(str(error))}", err=True)
    if errors:
        sys.exit(1)


def _previews(c: Config, shelf: Shelf) -> Iterator[Preview]:
    """Yields what each template that can be used makes of everything."""
    namer = Namer(c)
    usual = {kind: namer.template("default", kind) for kind in _KINDS}
    for kind, template in usual.items():
        yield from _in_view(namer, "default", kind, template, shelf)
    for kind in ("release", "track"):
        yield from _in_source(c, kind, namer.template("source", kind), shelf)
    for view in VIEWS:
        for kind in ("playlist",) if view == "playlists" else _KINDS:
            template = namer.template(view, kind)
            if template not in usual.values():
                yield from _in_view(namer, view, kind, template, shelf)


def _in_view(namer: Namer, view: str, kind: str, template: NameTemplate, shelf: Shelf) -> Iterator[Preview]:
    if not _can_be_used(template):
        return
    key = view if kind == "playlist" else f"{view}.{kind}"
    things: list[Release | Track] = []
    for release, tracks in shelf:
        things += [release] if kind == "release" else tracks
    ordered = view in VIEWS and VIEWS[view].ordered
    for number, thing in enumerate(things, start=1):
        position = f"{number:0{len(str(len(things)))}}" if ordered else None
        release = thing.release if isinstance(thing, Track) else thing
        name = namer.name(template, thing, position=position, context=_context(view, release))
        yield Preview(key, _called(thing), name)


def _in_source(c: Config, kind: str, template: NameTemplate, shelf: Shelf) -> Iterator[Preview]:
    if not _can_be_used(template):
        return
    for release, tracks in shelf:
        if kind == "release":
            yield Preview("source.release", _called(release), source_name(c, template, release))
        else:
            for track in tracks:
                yield Preview("source.track", _called(track), "/".join(source_parts(c, template, track)))


def _can_be_used(template: NameTemplate) -> bool:
    try:
        validate_template(template.text, template.kind)
    except TemplateError:
        return False
    return True


def _context(view: str, release: Release) -> Mapping[str, str]:
    """Returns what templates are told about a place where a release is shown."""
    declared = VIEWS.get(view)
    if declared is None or not declared.context:
        return {}
    return {declared.context: _LIST if declared.ordered else next(iter(declared.values_of(release)), "")}


def _called(thing: Release | Track) -> str:
    return (thing.tracktitle if isinstance(thing, Track) else thing.releasetitle) or "(no title)"
