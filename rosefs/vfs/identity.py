"""The identity of a file that takes a track's place: it gets that track's ids before anybody sees it there."""

from __future__ import annotations

import logging
from pathlib import Path

from rosecache.config import Config
from rosecache.errors import UnreadableAudioError
from rosecache.tags import IdWrite, read_ids, write_ids

log = logging.getLogger(__name__)


def give_identity(c: Config, path: Path, track_id: str, release_id: str) -> bool:
    """Puts ids into the tags of a file, unless they are there; returns whether that changed the file.

    A file that is no readable audio gets none: what a user writes is theirs. Where tags hold no ids, the datafile
    goes by the path, and nothing is to be done. Raises OSError if the file cannot be read.
    """
    if not c.write_ids_to_tags:
        return False
    try:
        if read_ids(path) == (track_id, release_id):
            return False
    except UnreadableAudioError:
        return False
    problems = write_ids(path.parent, [IdWrite(path, track_id, release_id)])
    for problem in problems:
        log.info("no id written: %s", problem)
    return not problems
