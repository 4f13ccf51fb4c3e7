"""One thing of the tree, asked for by its key: a release's directory or a file of a release.

For what is known but out of date, and for what is not listed any more and still has a name. The cost is
that of one query for one thing; listings are not built for it.
"""

from __future__ import annotations

import rosecache
from rosecache.config import Config
from rosecache.query.rows import snapshot
from rosecache.query.shown import release_time
from rosefs.vfs.nodes import (
    FILE,
    MEMBER,
    TRACK,
    DirectoryNode,
    Key,
    Node,
    file_node,
    relative_path,
    track_node,
)


def fetch_release_node(c: Config, key: Key, generation: int) -> Node | None:
    """Returns the directory of a release, or None if the release is gone."""
    mtime = release_time(c, key.id)
    return None if mtime is None else DirectoryNode(key, key.id, mtime, generation)


def fetch_file_node(c: Config, key: Key, generation: int) -> Node | None:
    """Returns a track or another file of a release, or None if it is gone."""
    if key.space in (TRACK, MEMBER):
        track = rosecache.get_track(c, key.id)
        return None if track is None else track_node(track, generation, key=key)
    if key.space != FILE:
        return None
    with snapshot(c):
        release = rosecache.get_release(c, key.value)
        if release is None:
            return None
        files = rosecache.get_release_files(c, release.id)
    for file in (files.cover, files.datafile, *files.extra):
        if file is not None and relative_path(release.source_path, file.path) == key.entity:
            return file_node(release, file, generation)
    return None
