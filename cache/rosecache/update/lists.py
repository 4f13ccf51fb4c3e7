"""Collages and playlists: TOML files to cache, and flags and descriptions of their members back to the files.

A list is looked at when its file changed, or when the change feed names a release since it was looked at
last. Members are never removed here, only flagged as missing and found again.
"""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import msgspec

from rosecache.boundary import may_write
from rosecache.config import Config
from rosecache.database import connect, transaction
from rosecache.datafiles import ListKey, Member, read_members, remove_abandoned, update_members
from rosecache.errors import InvalidDatafileError, LockTimeoutError, SourceDirectoryError
from rosecache.formatting import format_artists
from rosecache.locks import lock
from rosecache.tags import recover
from rosecache.templates import UNKNOWN_RELEASE, UNKNOWN_TITLE
from rosecache.temporary import TEMPORARY_PREFIX
from rosecache.update.report import Problem, Report, reason_of
from rosecache.update.rows import mapping_of
from rosecache.update.store import feed, note_losses
from rosecache.update.walk import FoundFile, change_time, make_stamp

logger = logging.getLogger(__name__)


class Kind(msgspec.Struct, frozen=True):
    """What tells collages from playlists: their directory, their tables, their members."""

    name: str
    """The kind in the change feed, in the names of locks and, with an s, of the table."""
    key: ListKey
    unknown: str
    """What a member without a title is called."""
    members: str
    """SQL: id, dates, title and artists, as (role, name) pairs, of the members in a JSON array of ids."""
    stale: str
    """SQL: the names of lists that have a wrong flag, or a member that changed since they were looked at."""


def _credits(owner: str) -> str:
    return (
        "(SELECT json_group_array(json_array(role, name)) FROM (SELECT role, name"
        f" FROM {owner}_artists JOIN artists ON artists.key = artist_key"
        f" WHERE {owner}_key = {owner}s.key ORDER BY position))"
    )


COLLAGES = Kind(
    name="collage",
    key="releases",
    unknown=UNKNOWN_RELEASE,
    members=f"SELECT id, originaldate, releasedate, title, {_credits('release')} AS artists FROM releases"
    " WHERE id IN (SELECT value FROM json_each(?))",
    stale="SELECT DISTINCT name FROM collages JOIN collage_members ON collage_key = collages.key"
    " LEFT JOIN releases ON releases.id = release_id"
    " WHERE missing != (releases.id IS NULL) OR EXISTS (SELECT 1 FROM changes"
    " WHERE changes.kind = 'release' AND changes.id = release_id AND sequence > checked)",
)
PLAYLISTS = Kind(
    name="playlist",
    key="tracks",
    unknown=UNKNOWN_TITLE,
    members=f"SELECT tracks.id, originaldate, releasedate, tracks.title, {_credits('track')} AS artists"
    " FROM tracks JOIN releases ON releases.key = release_key"
    " WHERE tracks.id IN (SELECT value FROM json_each(?))",
    stale="SELECT DISTINCT name FROM playlists JOIN playlist_members ON playlist_key = playlists.key"
    " LEFT JOIN tracks ON tracks.id = track_id LEFT JOIN releases ON releases.key = release_key"
    " WHERE missing != (tracks.id IS NULL) OR EXISTS (SELECT 1 FROM changes"
    " WHERE changes.kind = 'release' AND changes.id = releases.id AND sequence > checked)",
)

_MISSING = "{MISSING}"

_ATTEMPTS = 3
"""How often a list is read again because it changed meanwhile."""


class _Found(msgspec.Struct, frozen=True):
    """A list's files on the disk."""

    toml: FoundFile
    cover: FoundFile | None

    @property
    def stamp(self) -> bytes:
        return make_stamp([self.toml] if self.cover is None else [self.toml, self.cover])


def directory_of(c: Config, kind: Kind) -> Path:
    """Returns the directory that holds the lists of a kind."""
    return c.collages_dir if kind is COLLAGES else c.playlists_dir


def lock_list(c: Config, kind: Kind, name: str) -> AbstractContextManager[None]:
    """Holds the lock that whoever changes a collage or a playlist holds."""
    return lock(c, f"{kind.name}-{name}")


def update_lists(
    c: Config, kind: Kind, names: Collection[str] | None, *, force: bool = False, evict: bool = True
) -> Report:
    """Makes the cache match the files of some lists, or of all, and the files match their members.

    Args:
        c: The settings.
        kind: COLLAGES or PLAYLISTS.
        names: Which ones; None for all.
        force: Read files that did not change, too.
        evict: Remove what is gone from the disk.
    """
    report = Report()
    try:
        found = _find(c, kind, report)
    except FileNotFoundError:
        if not c.music_source_dir.exists() and not force:
            raise SourceDirectoryError(f"{c.music_source_dir} does not exist; nothing was changed") from None
        found = {}
    except OSError as error:
        report.problems.append(Problem(directory_of(c, kind), reason_of(error)))
        return report
    with connect(c) as connection:
        stamps = dict(connection.execute(f"SELECT name, stamp FROM {kind.name}s").fetchall())
        stale = {row["name"] for row in connection.execute(kind.stale).fetchall()}
    chosen = found.keys() if names is None else found.keys() & set(names)
    report.seen = len(chosen)
    for name in sorted(chosen):
        if force or name in stale or stamps.get(name) != found[name].stamp:
            report.changed += _update_or_report(c, kind, name, found[name], report)
    if evict:
        gone = stamps.keys() - found.keys()
        for name in sorted(gone if names is None else gone & set(names)):
            report.evicted += _evict(c, kind, name)
    return report


def _find(c: Config, kind: Kind, report: Report) -> dict[str, _Found]:
    directory = directory_of(c, kind)
    tomls: dict[str, FoundFile] = {}
    covers: dict[str, list[tuple[int, FoundFile]]] = {}
    extensions = {f".{extension.lower()}": rank for rank, extension in enumerate(c.valid_art_exts)}
    leftovers = False
    with os.scandir(directory) as entries:
        for entry in entries:
            stem, extension = os.path.splitext(entry.name)
            leftovers = leftovers or entry.name.startswith(TEMPORARY_PREFIX)
            rank = extensions.get(extension.lower()) if kind is PLAYLISTS else None
            if entry.name.startswith(".") or (rank is None and extension != ".toml"):
                continue
            try:
                file = _found_file(entry)
            except OSError as error:
                report.problems.append(Problem(Path(entry.path), reason_of(error)))
                continue
            if file is None:
                continue
            if rank is not None:
                covers.setdefault(stem, []).append((rank, file))
            elif not _is_text(stem):
                report.problems.append(Problem(Path(entry.path), "the name is not UTF-8; rename the file"))
            else:
                tomls[stem] = file
    if leftovers and may_write(c, os.fsencode(directory.name)):
        remove_abandoned(directory)
        recover(directory)  # covers that were being written
    return {
        name: _Found(file, min(covers[name])[1] if name in covers else None) for name, file in tomls.items()
    }


def _found_file(entry: os.DirEntry[str]) -> FoundFile | None:
    """Returns a regular file, or None for what is none or went away meanwhile."""
    try:
        if not entry.is_file():
            return None
        return _file_of(os.fsencode(entry.name), entry.stat())
    except FileNotFoundError:
        return None


def _file_of(name: bytes, status: os.stat_result) -> FoundFile:
    return FoundFile(name, status.st_size, status.st_mtime_ns, change_time(status))


def _is_text(name: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in name)


def _update_or_report(c: Config, kind: Kind, name: str, found: _Found, report: Report) -> bool:
    """Updates one list. Returns whether anything shown changed; what stops it becomes a problem."""
    path = directory_of(c, kind) / f"{name}.toml"
    try:
        with lock_list(c, kind, name):
            return _update_list(c, kind, path, found.cover, report)
    except FileNotFoundError:
        return False
    except (InvalidDatafileError, LockTimeoutError) as error:
        reason = error.reason if isinstance(error, InvalidDatafileError) else str(error)
    except OSError as error:
        reason = reason_of(error)
    report.problems.append(Problem(path, reason))
    return False


def _update_list(c: Config, kind: Kind, path: Path, cover: FoundFile | None, report: Report) -> bool:
    """Updates one list, whose lock is held.

    What is stored was read after the file had the times that are stored with it, so a later change by a
    program without the lock shows; and what such a program changes meanwhile is read again, not overwritten.
    """
    with connect(c) as connection:
        complete = False
        for _ in range(_ATTEMPTS):
            checked = connection.execute("SELECT coalesce(max(sequence), 0) FROM changes").fetchone()[0]
            found = _Found(_file_of(os.fsencode(path.name), path.stat()), cover)
            members = read_members(path, kind.key)
            current = describe_members(connection, kind, members)
            complete = current == members
            if complete or not _has_releases(connection):
                break  # a cache that is still to be built knows of no member, and must not say so to the file
            if path.is_symlink() or not may_write(c, os.fsencode(path.parent.name)):
                complete = True  # what the file says of its members stays as it is
                break
            try:
                update_members(path, kind.key, current)
            except (OSError, InvalidDatafileError) as error:
                reason = reason_of(error) if isinstance(error, OSError) else error.reason
                report.problems.append(Problem(path, f"cannot be written: {reason}"))
                # It is shown all the same. Whether to try again is for the directory to say.
                complete = isinstance(error, InvalidDatafileError) or not os.access(path.parent, os.W_OK)
                break
        with transaction(connection):
            return _store(connection, kind, path.stem, found, current, checked, complete=complete)


def _has_releases(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM releases LIMIT 1").fetchone() is not None


def describe_members(connection: sqlite3.Connection, kind: Kind, members: Sequence[Member]) -> list[Member]:
    """Returns the members with the flags and descriptions that they should have, by what the cache holds."""
    ids = json.dumps([member.id for member in members])
    rows = {row["id"]: row for row in connection.execute(kind.members, (ids,)).fetchall()}
    current = []
    for member in members:
        row = rows.get(member.id)
        if row is not None:
            current.append(Member(member.id, _describe(kind, row), missing=False))
        else:
            description = f"{member.description.removesuffix(_MISSING).rstrip()} {_MISSING}".lstrip()
            current.append(Member(member.id, description, missing=True))
    return current


def _describe(kind: Kind, row: sqlite3.Row) -> str:
    date = row["originaldate"] or row["releasedate"] or "0000-00-00"
    artists = mapping_of(tuple((role, name) for role, name in json.loads(row["artists"])))
    return f"[{date}] {format_artists(artists)} - {row['title'] or kind.unknown}"


def _store(
    connection: sqlite3.Connection,
    kind: Kind,
    name: str,
    found: _Found,
    members: Sequence[Member],
    checked: int,
    *,
    complete: bool,
) -> bool:
    table, members_table, key_column = f"{kind.name}s", f"{kind.name}_members", f"{kind.name}_key"
    shown: dict[str, object] = {"mtime": found.toml.mtime}
    if kind is PLAYLISTS:
        cover = found.cover
        shown["cover"] = cover.path if cover else None
        shown["cover_size"] = cover.size if cover else None
        shown["cover_mtime"] = cover.mtime if cover else None
    known = connection.execute(
        f"SELECT key, {', '.join(shown)} FROM {table} WHERE name = ?", (name,)
    ).fetchone()
    columns = {**shown, "stamp": found.stamp if complete else b"", "checked": checked}
    if known is None:
        marks = ", ".join("?" for _ in columns)
        key = connection.execute(
            f"INSERT INTO {table} (name, {', '.join(columns)}) VALUES (?, {marks})", (name, *columns.values())
        ).lastrowid
    else:
        key = known["key"]
        assignments = ", ".join(f"{column} = ?" for column in columns)
        connection.execute(f"UPDATE {table} SET {assignments} WHERE key = ?", (*columns.values(), key))
    old = [
        tuple(row)
        for row in connection.execute(
            f"SELECT * FROM {members_table} WHERE {key_column} = ? ORDER BY position", (key,)
        ).fetchall()
    ]
    new = [
        (key, position, member.id, int(member.missing)) for position, member in enumerate(members, start=1)
    ]
    if known is not None and tuple(known)[1:] == tuple(shown.values()) and old == new:
        return False
    connection.execute(f"DELETE FROM {members_table} WHERE {key_column} = ?", (key,))
    connection.executemany(f"INSERT INTO {members_table} VALUES (?, ?, ?, ?)", new)
    if known is not None and _newest(shown) <= _newest(dict(known)):
        # Its cover went, or a file came back from a backup: what it lists changed, but no time of it says so.
        note_losses(connection, [(kind.name, name)], time.time_ns())
    feed(connection, kind.name, name, "added" if known is None else "changed")
    return True


def _newest(columns: Mapping[str, Any]) -> int:
    newest: int = max(columns["mtime"], columns.get("cover_mtime") or 0)
    return newest


def _evict(c: Config, kind: Kind, name: str) -> bool:
    with lock_list(c, kind, name), connect(c) as connection:
        if os.path.lexists(directory_of(c, kind) / f"{name}.toml"):
            return False
        with transaction(connection):
            gone = connection.execute(f"DELETE FROM {kind.name}s WHERE name = ?", (name,)).rowcount
            if gone:
                note_losses(connection, [(kind.name, name)], time.time_ns())
                feed(connection, kind.name, name, "removed")
    logger.info("evicted %s %s", kind.name, name)
    return bool(gone)
