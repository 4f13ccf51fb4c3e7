"""Finding what a user means: by id, by a path in the source or in a mount, or by name.

A path in a mount is looked up by the extended attributes that the mount gives it. Reads no tags and no directory.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from rosecache.config import Config
from rosecache.model import Release, Track
from rosecache.query.releases import get_release, list_releases
from rosecache.query.tracks import get_track, get_tracks_of_release

_SUGGESTIONS = 3


def find_release(c: Config, text: str) -> Release | None:
    """Returns the release of an id, of a path at or below its directory, or of a path in a mount."""
    for release_id in (text, *_attributes(text, "user.rosefs.release_id", "user.rosefs.id")):
        if (release := get_release(c, release_id)) is not None:
            return release
    directories = {parts[0] for parts in _below_source(c, text)}
    if not directories:
        return None
    return next((found for found in list_releases(c) if found.source_path.name in directories), None)


def find_track(c: Config, text: str) -> Track | None:
    """Returns the track of an id, of the path of its file, or of a path in a mount."""
    for track_id in (text, *_attributes(text, "user.rosefs.id")):
        if (track := get_track(c, track_id)) is not None:
            return track
    wanted = {c.music_source_dir.joinpath(*parts) for parts in _below_source(c, text)}
    release = find_release(c, text) if wanted else None
    tracks = get_tracks_of_release(c, release) if release is not None else []
    return next((track for track in tracks if track.source_path in wanted), None)


def find_named(text: str, named: Sequence[tuple[Any, tuple[str, ...]]], *, singular: str, plural: str) -> Any:
    """Returns the one thing that goes by a name.

    Args:
        text: The name.
        named: All things, each with its names.
        singular: What one of them is called in messages.
        plural: What several are called.

    Raises:
        click.ClickException: There is none, or more than one; the message names those that could be meant.
    """
    found = [thing for thing, names in named if text in names]
    if len(found) == 1:
        return found[0]
    if found:
        ids = "".join(f"\n  {thing.id}  {thing.source_path}" for thing in found)
        raise click.ClickException(f"{len(found)} {plural} are called {text!r}; name one by its id:{ids}")
    close = _close_names(text, (name for _, names in named for name in names))
    hint = f"; did you mean {' or '.join(map(repr, close))}?" if close else ""
    raise click.ClickException(f"there is no {singular} {text!r}{hint}")


def _close_names(text: str, names: Iterable[str]) -> list[str]:
    """Returns the names that are most like a text, whatever their case."""
    by_folded: Mapping[str, str] = {name.casefold(): name for name in names if name}
    close = difflib.get_close_matches(text.casefold(), by_folded, n=_SUGGESTIONS)
    return [by_folded[folded] for folded in close]


def _attributes(path: str, *names: str) -> list[str]:
    """Returns those of some extended attributes that a path has; none for what is no path in a mount."""
    values = []
    for name in names:
        try:
            values.append(os.getxattr(path, name).decode())
        except (OSError, ValueError):
            continue  # no such file, none of ours, or not even a path
    return values


def _below_source(c: Config, text: str) -> set[tuple[str, ...]]:
    """Returns the parts of a path below the source directory, as written and with links followed."""
    source = c.music_source_dir
    try:
        pairs = (
            (Path(os.path.abspath(text)), source),
            (Path(os.path.realpath(text)), Path(os.path.realpath(source))),
        )
    except ValueError:
        return set()  # a NUL: no path
    return {path.relative_to(base).parts for path, base in pairs if base in path.parents}
