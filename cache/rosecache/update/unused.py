"""Looking for files that an update cannot use, without an update: changes nothing, neither on the disk nor in a cache.

What is broken in a release, the cache knows. Of what it knows nothing, the files themselves are read here: the audio
files of directories that are no releases, and TOML files.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from functools import partial
from pathlib import Path

from rosecache.config import Config
from rosecache.datafiles import read_members, read_release_datafile
from rosecache.errors import InvalidDatafileError, UnreadableAudioError
from rosecache.tags import read_tags
from rosecache.update.assign import datafile_names
from rosecache.update.content import audio_files
from rosecache.update.lists import COLLAGES, PLAYLISTS, directory_of
from rosecache.update.report import Problem, problem, reason_of
from rosecache.update.walk import list_files, list_release_directories, shown_elsewhere


def find_unused(c: Config, known: Collection[bytes]) -> Iterator[Problem]:
    """Yields the files and directories that no update could use, beside the broken audio files of known releases.

    Args:
        c: The settings.
        known: The directories of the releases that the cache has, below the source directory.

    Raises:
        OSError: The source directory cannot be read.
    """
    for directory in list_release_directories(c):
        path = os.path.join(os.fsencode(c.music_source_dir), directory)
        try:
            if (original := shown_elsewhere(c, directory)) is not None:
                yield problem(path, f"a link to what is a release already: {os.fsdecode(original)}")
            else:
                yield from _in_directory(Path(os.fsdecode(path)), is_known=directory in known)
        except OSError as error:
            yield problem(error.filename or path, reason_of(error))
    for kind in (COLLAGES, PLAYLISTS):
        for toml in sorted(directory_of(c, kind).glob("[!.]*.toml")):
            if (reason := _reason(partial(read_members, toml, kind.key))) is not None:
                yield Problem(toml, reason)


def _in_directory(path: Path, *, is_known: bool) -> Iterator[Problem]:
    listing = list_files(os.fsencode(path))
    audio = [path / os.fsdecode(file.path) for file in audio_files(listing)]
    if not audio:
        return
    for name in datafile_names(listing).values():
        datafile = path / os.fsdecode(name)
        if (reason := _reason(partial(read_release_datafile, datafile))) is not None:
            yield Problem(datafile, reason)
    if is_known:
        return
    broken = []
    for file in audio:
        reason = _reason(partial(read_tags, file))
        if reason is None:
            return  # an update can make a release of it, and will say what else there is
        broken.append(Problem(file, reason))
    yield from broken


def _reason(read: Callable[[], object]) -> str | None:
    """Returns why something cannot be read, or None."""
    try:
        read()
    except (InvalidDatafileError, UnreadableAudioError) as error:
        return error.reason
    except FileNotFoundError:
        return None  # it went meanwhile
    except OSError as error:
        return reason_of(error)
    return None
