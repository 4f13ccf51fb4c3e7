"""Exporting playlists as extended M3U in UTF-8, for programs that know no rosefs. Changes nothing in the library.

Source: the format as players read it, "#EXTM3U" and "#EXTINF:seconds,title"; there is no specification.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

import msgspec

from rosecache.config import Config
from rosecache.formatting import format_artists
from rosecache.model import Track
from rosecache.query.lists import get_playlist, get_playlist_tracks
from rosecache.templates import UNKNOWN_TITLE
from rosefs.library.errors import AlreadyExistsError, ExportError, NotFoundError
from rosefs.library.files import new_version, rename_new

_BREAKS = re.compile(r"[\x00-\x1f\x7f]+")
_MAX_NAMED = 3


class Exported(msgspec.Struct, frozen=True):
    """A playlist that was written to a file."""

    path: Path
    tracks: int


def export_playlist(
    c: Config, name: str, target: Path, *, relative: bool = False, force: bool = False
) -> Exported:
    """Writes a playlist's tracks to a file; tracks that are missing are left out.

    Args:
        c: The settings.
        name: The playlist.
        target: The file, ``….m3u8``.
        relative: Write paths from where the file is, rather than from the root.
        force: Replace a file that is there.

    Raises:
        NotFoundError: There is no such playlist.
        ExportError: Some path cannot be written in such a file; nothing was written.
        AlreadyExistsError: The file is there already.
        OSError: It cannot be written; an old one is as it was.
    """
    if get_playlist(c, name) is None:
        raise NotFoundError(f"there is no playlist {name!r}")
    return export_tracks(get_playlist_tracks(c, name), target, relative=relative, force=force)


def export_tracks(
    tracks: Sequence[Track], target: Path, *, relative: bool = False, force: bool = False
) -> Exported:
    """Writes tracks to a file, as :func:`export_playlist` does. Raises as that does, but for NotFoundError."""
    target = Path(os.path.abspath(target))
    content = format_m3u(tracks, target.parent if relative else None)
    if os.path.lexists(target) and not force:
        raise AlreadyExistsError(f"{target} is there already; force replaces it")
    with new_version(target, content.encode()) as temporary:
        if force:
            os.replace(temporary, target)
        else:
            rename_new(temporary, target)
    return Exported(target, len(tracks))


def format_m3u(tracks: Sequence[Track], directory: Path | None) -> str:
    """Returns tracks as extended M3U, with paths relative to a directory, or absolute ones.

    Raises:
        ExportError: A path is not UTF-8, or holds a line break.
    """
    unfit = [track.source_path for track in tracks if _is_unfit(track.source_path)]
    if unfit:
        named = ", ".join(ascii(str(path)) for path in unfit[:_MAX_NAMED])
        more = f" and {len(unfit) - _MAX_NAMED} more" if len(unfit) > _MAX_NAMED else ""
        raise ExportError(f"names that are not UTF-8, or hold line breaks, fit in no playlist: {named}{more}")
    lines = ["#EXTM3U"]
    for track in tracks:
        title = f"{format_artists(track.trackartists)} - {track.tracktitle or UNKNOWN_TITLE}"
        lines.append(f"#EXTINF:{track.duration_seconds},{_BREAKS.sub(' ', title)}")
        lines.append(_shown(track.source_path, directory))
    return "\n".join(lines) + "\n"


def _is_unfit(path: Path) -> bool:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return True
    return bool(_BREAKS.search(str(path)))


def _shown(path: Path, directory: Path | None) -> str:
    if directory is None:
        return str(path)
    relative = os.path.relpath(os.path.realpath(path.parent), os.path.realpath(directory))
    shown = os.path.normpath(os.path.join(relative, path.name))
    return f"./{shown}" if shown.startswith("#") else shown  # a # would make it a comment
