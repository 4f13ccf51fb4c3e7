"""The identity of a file that takes a track's place: it gets that track's ids before anybody sees it there.

They go into its tags, or, where no audio file is ever changed, into the table of the release's datafile. Whoever
calls holds the release's lock.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

from msgspec.structs import replace

from rosecache.config import Config
from rosecache.datafiles import datafile_name, read_release_datafile, write_release_datafile
from rosecache.errors import UnreadableAudioError
from rosecache.model import Release
from rosecache.tags import IdWrite, read_ids, write_ids
from rosecache.update.track_ids import table_key

log = logging.getLogger(__name__)


def give_identity(c: Config, ready: Path, path: Path, track_id: str, release: Release) -> bool:
    """Makes sure that a file will be a certain track.

    A file that is no readable audio gets no ids: what a user writes is theirs.

    Args:
        c: The settings.
        ready: The file, under a temporary name in the directory of its own.
        path: Where it is going to be.
        track_id: The track.
        release: The track's release.

    Returns:
        Whether the file was changed.

    Raises:
        OSError, InvalidDatafileError: Something cannot be read, or the datafile not be written.
    """
    try:
        ids = read_ids(ready)
    except UnreadableAudioError:
        return False
    if not c.write_ids_to_tags:
        if ids[0] != track_id:
            _note(release, path, track_id)
        return False
    if ids == (track_id, release.id):
        return False
    problems = write_ids(ready.parent, [IdWrite(ready, track_id, release.id)])
    for problem in problems:
        log.info("no id written: %s", problem)
    return not problems


def _note(release: Release, path: Path, track_id: str) -> None:
    datafile = release.source_path / datafile_name(release.id)
    values = read_release_datafile(datafile)
    key = table_key(os.fsencode(path.relative_to(release.source_path)))
    if values.tracks.get(key) != track_id:
        write_release_datafile(datafile, replace(values, tracks={**values.tracks, key: track_id}))
