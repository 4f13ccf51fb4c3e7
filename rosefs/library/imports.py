"""Importing directories as releases: copied or moved into the music directory, seen by others only when whole."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import msgspec

from rosecache.config import Config
from rosecache.model import Release
from rosecache.query.releases import releases_where
from rosecache.tags import is_audio
from rosecache.temporary import HOLD_PREFIX, IN_PROGRESS_PREFIX, TEMPORARY_PREFIX
from rosecache.update.walk import may_be_release
from rosefs.library.editing import Touched, editing
from rosefs.library.errors import ImportRefusedError, InvalidNameError
from rosefs.library.files import Progress, no_progress, walk
from rosefs.library.journal import Edit, Journal
from rosefs.library.trash import Trashed

_MAX_NAME = 255

_HOLD = HOLD_PREFIX.removeprefix(TEMPORARY_PREFIX)
_IMPORT = "import."
"""Comes before names of releases that could be taken for something else."""


class Imported(msgspec.Struct, frozen=True):
    """A directory that became a release.

    Attributes:
        path: The release's directory.
        release: The release; None if the cache could not read it.
        trashed: Where the original went that was moved from another volume, and so had to be copied.
    """

    path: Path
    release: Release | None
    trashed: Trashed | None


def import_release(
    c: Config, journal: Journal, directory: Path, *, move: bool = False, progress: Progress = no_progress
) -> Imported:
    """Makes a directory a release of the library, under its own name or, if that is taken, with `` [2]``.

    A copy is a reflink where the disk can, and is renamed when it is whole and on the disk. Moving is a rename;
    from another volume it is a copy, and the original goes to the trash.

    Args:
        c: The settings.
        journal: Where the edit is noted.
        directory: What to import, outside of the music directory.
        move: Take it away from where it is.
        progress: Told how many bytes are copied.

    Raises:
        ImportRefusedError, InvalidNameError: The directory cannot be a release; nothing was changed.
        OSError, TrashError, JournalError, LockTimeoutError: Nothing was changed.
    """
    source = Path(os.path.realpath(directory))
    _check(c, directory, source)
    name = check_release_name(c, source.name)
    for candidate in free_names(c, name):
        done = _import_as(c, journal, source, candidate, move, progress)
        if done is not None:
            break
    path, trashed = done or (source, None)
    found = releases_where(c, "r.directory = :directory", {"directory": os.fsencode(path.name)})
    return Imported(path, found[0] if found else None, trashed)


def _import_as(
    c: Config, journal: Journal, source: Path, name: str, move: bool, progress: Progress
) -> tuple[Path, Trashed | None] | None:
    """Imports under one name. Returns None if somebody was faster in taking that name."""
    path = c.music_source_dir / name
    title = f"import {name}"
    trashed = None
    try:
        with editing(c, journal, title, Touched([os.fsencode(name)]), force=True) as edit:
            if move and _renamed(edit, source, path):
                return path, None
            edit.create_tree(path, source, temporary_path(c, name), progress)
            if move:
                trashed = edit.trash(source)
    except FileExistsError:
        return None
    return path, trashed


def _renamed(edit: Edit, source: Path, path: Path) -> bool:
    """Moves a directory by renaming it. Returns False if it is on another volume."""
    try:
        edit.rename(source, path)
    except OSError as error:
        if error.errno == errno.EXDEV:
            return False
        raise
    return True


def _check(c: Config, given: Path, source: Path) -> None:
    """Makes sure that a directory can become a release. Raises ImportRefusedError if not."""
    library = Path(os.path.realpath(c.music_source_dir))
    if not source.is_dir():
        reason = "is not a directory" if source.exists() else "does not exist"
        raise ImportRefusedError(f"{given} {reason}; name the directory of one release")
    if source == library or library in source.parents:
        raise ImportRefusedError(
            f"{given} is in the library already; rosefs cache update finds what is new in it"
        )
    if source in library.parents:
        raise ImportRefusedError(f"{given} holds the library itself; name the directory of one release")
    has_audio = False
    for parent, directories, names in walk(source):
        for name in (*directories, *names):
            mode = os.stat(os.path.join(parent, name)).st_mode
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                raise ImportRefusedError(f"{os.path.join(parent, name)} is neither a file nor a directory")
            has_audio = has_audio or (stat.S_ISREG(mode) and is_audio(name))
    if not has_audio:
        raise ImportRefusedError(f"{given} holds no audio files; name the directory of one release")


def check_release_name(c: Config, name: str) -> str:
    """Returns a name, if the directory of a release can have it. Raises InvalidNameError."""
    if not may_be_release(c, os.fsencode(name)):
        raise InvalidNameError(name, "a directory called so is no release; rename it first")
    return name


def free_names(c: Config, name: str) -> Iterator[str]:
    """Yields the names that nothing in the library has: the plain one, then with numbers."""
    for candidate in numbered(name):
        paths = (c.music_source_dir / candidate, temporary_path(c, candidate), arriving_path(c, candidate))
        if not any(map(os.path.lexists, paths)):
            yield candidate


def numbered(name: str) -> Iterator[str]:
    """Yields a name, then the name with 2, 3 …, shortened to fit."""
    yield name
    yield from (_cut(name, f" [{number}]") for number in count(2))


def temporary_path(c: Config, name: str) -> Path:
    """Returns where a release of a name is while it is being copied."""
    return c.music_source_dir / (IN_PROGRESS_PREFIX + _cut(name, "", _MAX_NAME - len(IN_PROGRESS_PREFIX)))


def arriving_path(c: Config, name: str) -> Path:
    """Returns where a release of a name is while programs fill it."""
    if name.startswith((_HOLD, _IMPORT)):
        name = _IMPORT + name
    return c.music_source_dir / (TEMPORARY_PREFIX + _cut(name, "", _MAX_NAME - len(TEMPORARY_PREFIX)))


def arriving_name(directory: str) -> str | None:
    """Returns the name that a directory has as a release which programs fill; None if it is no such directory."""
    if not directory.startswith(TEMPORARY_PREFIX):
        return None
    name = directory.removeprefix(TEMPORARY_PREFIX)
    return None if name.startswith(_HOLD) else name.removeprefix(_IMPORT) or None


def _cut(name: str, ending: str, room: int = _MAX_NAME) -> str:
    """Appends an ending to a name, which is shortened to fit, at a character."""
    data = os.fsencode(name)
    end = min(len(data), room - len(ending.encode()))
    while 0 < end < len(data) and data[end] & 0xC0 == 0x80:
        end -= 1
    return os.fsdecode(data[:end]) + ending
