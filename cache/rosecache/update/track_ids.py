"""Which id each file of a release keeps: by its tags, by the datafile's table, by what the cache remembers.

Without ids in tags the datafile's table says whose an id is, and the cache notices files that were renamed.
Nothing here writes anything, nor makes a new id.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from rosecache.errors import UnreadableAudioError
from rosecache.tags import read_ids
from rosecache.update.content import Request
from rosecache.update.identity import Claim, ids_held_elsewhere, settle_claims


def kept_ids(
    request: Request, connection: sqlite3.Connection, release_id: str, table: Mapping[str, str]
) -> dict[bytes, str]:
    """Returns the files that keep an id, by path.

    Args:
        request: The release.
        connection: To the cache, for what other releases hold.
        release_id: What the release's id is from now on.
        table: The datafile's.
    """
    # Where the directory is another release's now, as when two changed names, its paths say nothing.
    is_same = request.known is not None and request.known.id == release_id
    stored = {track.path: track.id for track in request.known.tracks} if request.known and is_same else {}
    renamed = {} if request.c.write_ids_to_tags else _renamed(request)
    claims = []
    for path in request.content.paths:
        if path in request.content.kept:
            claims.append(Claim(path, request.content.kept[path].id, at_home=True, known=True))
            continue
        tags = request.content.read[path]
        in_table = table.get(table_key(path))
        claimed = (
            tags.id or in_table if request.c.write_ids_to_tags else renamed.get(path) or in_table or tags.id
        )
        if claimed is not None:
            claims.append(
                Claim(
                    path,
                    claimed,
                    at_home=tags.release_id == release_id,
                    known=stored.get(path) == claimed,
                    full=os.path.join(request.path, path),
                )
            )
    kept = settle_claims(claims)
    request.store_first(kept.values())
    held = ids_held_elsewhere(request.c, connection, request.directory, kept)
    kept = {path: identifier for path, identifier in kept.items() if identifier not in held}
    return kept | _by_place(request, stored, kept)


def _by_place(request: Request, stored: Mapping[bytes, str], kept: Mapping[bytes, str]) -> dict[bytes, str]:
    """Returns the ids that the cache knows by path, for files that carry none."""
    taken = set(kept.values())
    return {
        path: stored[path]
        for path, tags in request.content.read.items()
        if path not in kept and path in stored and tags.id is None and stored[path] not in taken
    }


def _renamed(request: Request) -> dict[bytes, str]:
    """Returns the ids of files that the cache knows under other paths, told by size and time.

    A file that is still where the cache knows it was not renamed, whatever else looks the same.
    """
    if request.known is None:
        return {}
    found = {file.path: (file.size, file.mtime) for file in request.listing.files}
    gone: dict[tuple[int, int], list[str]] = {}
    for track in request.known.tracks:
        if found.get(track.path) != (track.size, track.mtime):
            gone.setdefault((track.size, track.mtime), []).append(track.id)
    stored = {track.path: (track.size, track.mtime) for track in request.known.tracks}
    return {
        path: gone[found[path]].pop(0)
        for path in sorted(request.content.read)
        if stored.get(path) != found[path] and gone.get(found[path])
    }


def table_key(path: bytes) -> str:
    """Returns a path as TOML can hold it; bytes that are no UTF-8 are written as escapes."""
    return path.decode("utf-8", "backslashreplace")


def table_of(request: Request, ids: Mapping[bytes, str], old: Mapping[str, str]) -> dict[str, str]:
    """Returns the ids for the datafile's table: of every file whose own tags do not carry it.

    What the old table says of other files stays: one that is broken or away now may come back.
    """
    taken, keys = set(ids.values()), {table_key(path) for path in ids}
    table = {
        name: identifier for name, identifier in old.items() if name not in keys and identifier not in taken
    }
    for path, identifier in ids.items():
        name = table_key(path)
        if not _carries(request, path, identifier, in_table=old.get(name) == identifier):
            table[name] = identifier
    return table


def without_carried(request: Request, written: set[bytes], table: Mapping[str, str]) -> dict[str, str]:
    """Returns what a table still has to say once ids are written to tags."""
    carried = {table_key(path) for path in written}
    carried |= {table_key(path) for path, tags in request.content.read.items() if tags.id is not None}
    return {name: identifier for name, identifier in table.items() if name not in carried}


def _carries(request: Request, path: bytes, identifier: str, *, in_table: bool) -> bool:
    tags = request.content.read.get(path)
    if tags is not None:
        return tags.id == identifier
    if in_table:
        return False  # as was found when the file was read
    with suppress(OSError, UnreadableAudioError):
        return read_ids(Path(os.fsdecode(os.path.join(request.path, path))))[0] == identifier
    return False
