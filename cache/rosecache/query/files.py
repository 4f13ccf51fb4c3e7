"""Queries for the files of a release that are no tracks, so that each can be shown without touching the disk."""

from __future__ import annotations

import msgspec

from rosecache.config import Config
from rosecache.database import connect
from rosecache.model import File
from rosecache.query.rows import decoder_of, fetch

_FILES = """
SELECT kind, directory, path, size, files.mtime FROM files JOIN releases ON key = release_key
WHERE id = :id ORDER BY path
"""


class ReleaseFiles(msgspec.Struct, frozen=True):
    """The files of a release beside its tracks.

    Attributes:
        cover: The cover image.
        datafile: The release's datafile.
        extra: Everything else, by path: also audio files that cannot be read.
    """

    cover: File | None
    datafile: File | None
    extra: tuple[File, ...]


def get_release_files(c: Config, release_id: str) -> ReleaseFiles:
    """Returns the files of a release that are no tracks; no files if there is no such release."""
    with connect(c) as connection:
        rows = fetch(connection, _FILES, {"id": release_id})
    path = decoder_of(c).path
    single: dict[str, File] = {}
    extra = []
    for kind, directory, name, size, mtime in rows:
        file = File(path(directory, name), size, mtime)
        if kind in ("cover", "datafile") and kind not in single:
            single[kind] = file
        else:
            extra.append(file)
    return ReleaseFiles(single.get("cover"), single.get("datafile"), tuple(extra))
