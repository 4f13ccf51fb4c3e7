"""What a user means by an argument: a release or a track by id or path, a collage or playlist by name.

A path may be in the music directory, absolute or relative, or in any view of a mount, where extended attributes
tell what it shows. Reads no tags and lists no directory, and costs the same in a library of any size.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from rosecache.config import Config
from rosecache.model import Release, Track
from rosecache.query.releases import get_release, releases_where
from rosecache.query.tracks import get_track, tracks_where
from rosefs.library.errors import InvalidNameError, NotFoundError

_ID = "user.rosefs.id"
_RELEASE_ID = "user.rosefs.release_id"
_MAX_NAME = 255
_EXTENSION = ".toml"


def find_release(c: Config, text: str) -> Release | None:
    """Returns the release of an id, of a path at or below its directory, or of a path in a mount; else None."""
    if (release := get_release(c, text.lower())) is not None:
        return release
    for path in _with_parents(text):
        for release_id in _attributes(path, _RELEASE_ID, _ID):
            if (release := get_release(c, release_id)) is not None:
                return release
    for parts in _below_source(c, text):
        found = releases_where(c, "r.directory = :directory", {"directory": os.fsencode(parts[0])})
        if found:
            return found[0]
    return None


def find_track(c: Config, text: str) -> Track | None:
    """Returns the track of an id, of the path of its file, or of a path in a mount; else None."""
    if (track := get_track(c, text.lower())) is not None:
        return track
    for track_id in _attributes(text, _ID):
        if (track := get_track(c, track_id)) is not None:
            return track
    for parts in _below_source(c, text):
        values = {"directory": os.fsencode(parts[0]), "path": os.fsencode(os.path.join("", *parts[1:]))}
        found = tracks_where(c, "r.directory = :directory AND t.path = :path", values)
        if found:
            return found[0]
    return None


def resolve_release(c: Config, text: str) -> Release:
    """Returns the release that an argument means, see :func:`find_release`. Raises NotFoundError."""
    release = find_release(c, text)
    if release is None:
        raise NotFoundError(
            f"there is no release {text!r}: name one by its id, or by a path in {c.music_source_dir} or in a mount"
        )
    return release


def resolve_track(c: Config, text: str) -> Track:
    """Returns the track that an argument means, see :func:`find_track`. Raises NotFoundError."""
    track = find_track(c, text)
    if track is None:
        hint = "it is a release; " if find_release(c, text) is not None and os.path.isdir(text) else ""
        raise NotFoundError(
            f"there is no track {text!r}: {hint}name one by its id, or by the path of its file in "
            f"{c.music_source_dir} or in a mount"
        )
    return track


def check_name(name: str) -> str:
    """Returns the name of a collage or a playlist, if a file can be called so.

    Raises:
        InvalidNameError: It is empty, would leave its directory or be hidden there, is too long, or holds
            characters that no name should.
    """
    reason = None
    if not name.strip():
        reason = "it is empty"
    elif "/" in name:
        reason = "it holds a slash, and would be a path"
    elif name.startswith("."):
        reason = "it starts with a dot, and would be hidden"
    elif any(character < " " or "\x7f" <= character <= "\x9f" for character in name):
        reason = "it holds a control character"
    elif any("\ud800" <= character <= "\udfff" for character in name):
        reason = "it is not UTF-8"
    elif len(name.encode()) > _MAX_NAME - len(_EXTENSION):
        reason = f"it is longer than {_MAX_NAME - len(_EXTENSION)} bytes"
    if reason is not None:
        raise InvalidNameError(name, reason)
    return name


def _with_parents(text: str) -> Iterator[str]:
    """Yields a path and the directories above it, as absolute paths; nothing for what cannot be a path."""
    if "\0" in text or not text:
        return
    path = Path(os.path.abspath(text))
    yield str(path)
    yield from map(str, path.parents)


def _attributes(path: str, *names: str) -> list[str]:
    """Returns those of some extended attributes that a path has; none for what is no path in a mount."""
    values = []
    for name in names:
        try:
            values.append(os.getxattr(path, name).decode())
        except (OSError, ValueError):
            continue  # no such file, none of ours, or not even a path
    return values


def _below_source(c: Config, text: str) -> Iterator[tuple[str, ...]]:
    """Yields the parts of a path below the source directory, as written and with links followed."""
    if "\0" in text or not text:
        return
    source = c.music_source_dir
    pairs = (
        (Path(os.path.abspath(text)), source),
        (Path(os.path.realpath(text)), Path(os.path.realpath(source))),
    )
    for path, base in pairs:
        if base in path.parents:
            yield path.relative_to(base).parts
