"""Edits of collages and playlists: their files, their members, their covers.

One set of functions for both kinds, which the first argument but two tells apart: ``COLLAGES`` or ``PLAYLISTS``. A
collage holds a release once; a playlist may hold a track more often. A list's file is always read again under its
lock, so that edits at the same time lose nothing.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from rosecache.config import Config
from rosecache.database import connect, maybe_invalidate_cache_database
from rosecache.datafiles import Member
from rosecache.query.releases import get_release
from rosecache.query.tracks import get_track
from rosecache.update.lists import COLLAGES, PLAYLISTS, Kind, describe_members, directory_of
from rosefs.library.covers import CoverSet, check_image, put_cover
from rosefs.library.editing import Touched, editing
from rosefs.library.errors import AlreadyExistsError, NotFoundError
from rosefs.library.journal import Edit, Journal
from rosefs.library.memberfiles import MemberFile
from rosefs.library.resolve import check_name
from rosefs.library.trash import Trashed

__all__ = ["COLLAGES", "PLAYLISTS", "Kind"]


class Added(msgspec.Struct, frozen=True):
    """What adding members did: the ids added, in order, and those that were in the collage already."""

    added: tuple[str, ...]
    present: tuple[str, ...]


def list_path(c: Config, kind: Kind, name: str) -> Path:
    """Returns the file of a collage or playlist. Raises InvalidNameError."""
    return directory_of(c, kind) / f"{check_name(name)}.toml"


def create(c: Config, journal: Journal, kind: Kind, name: str) -> Path:
    """Makes an empty collage or playlist, and returns its file.

    Raises:
        InvalidNameError, AlreadyExistsError, OSError, JournalError, LockTimeoutError: Nothing was changed.
    """
    path = list_path(c, kind, name)
    with editing(c, journal, f"create {kind.name} {name}", touched(kind, name)) as edit:
        path.parent.mkdir(exist_ok=True)
        if os.path.lexists(path):
            raise AlreadyExistsError(f"there is a {kind.name} {name!r} already")
        edit.create(path, b"")
    return path


def rename(c: Config, journal: Journal, kind: Kind, old: str, new: str) -> tuple[Path, ...]:
    """Renames a collage or playlist, and every file of the same stem with it: its cover.

    Returns:
        The new paths.

    Raises:
        InvalidNameError, NotFoundError, AlreadyExistsError, OSError, JournalError, LockTimeoutError: Nothing was
            changed.
    """
    source, target = list_path(c, kind, old), list_path(c, kind, new)
    if old == new:
        return (source,)
    with editing(c, journal, f"rename {kind.name} {old} to {new}", touched(kind, old, new)) as edit:
        expect_list(c, kind, old)
        files = _files_of(source)
        targets = [target.with_name(new + path.name.removeprefix(old)) for path in files]
        for path in (target, *targets):
            if os.path.lexists(path):
                raise AlreadyExistsError(f"{path} exists already; rename or delete that first")
        for path, new_path in zip(files, targets, strict=True):
            edit.rename(path, new_path)
    return tuple(targets)


def delete(c: Config, journal: Journal, kind: Kind, name: str) -> tuple[Trashed, ...]:
    """Puts a collage's or playlist's file and its cover into the trash. No release or track is touched.

    Raises:
        InvalidNameError, NotFoundError, OSError, TrashError, JournalError, LockTimeoutError: Nothing was changed.
    """
    path = list_path(c, kind, name)
    with editing(c, journal, f"delete {kind.name} {name}", touched(kind, name)) as edit:
        expect_list(c, kind, name)
        return tuple(edit.trash(each) for each in (path, *covers_of(c, path)))


def add(
    c: Config, journal: Journal, kind: Kind, name: str, ids: Sequence[str], *, group: str | None = None
) -> Added:
    """Adds releases to a collage, or tracks to a playlist, at the end.

    A collage holds a release once: what it has already is left where it is, and said to be present. ``group`` is what
    the edit has in common with others that are to be taken back as one.

    Raises:
        InvalidNameError: No list can have this name.
        NotFoundError: There is no such list, release or track; nothing was changed.
        InvalidDatafileError, OSError, JournalError, LockTimeoutError: Nothing was changed.
    """
    added: list[str] = []
    present: list[str] = []
    with changing(c, journal, kind, name, f"add to {kind.name} {name}", group=group) as (edit, file):
        for identifier in ids:
            _expect_member(c, kind, identifier)
            known = {member.id for member in file.members} | set(added)
            (present if kind is COLLAGES and identifier in known else added).append(identifier)
        if added:
            with connect(c) as connection:
                new = describe_members(connection, kind, [Member(each, "", missing=False) for each in added])
            edit.replace(file.path, file.with_members([*range(len(file.members)), *new]))
    return Added(tuple(added), tuple(present))


def remove(
    c: Config,
    journal: Journal,
    kind: Kind,
    name: str,
    identifier: str,
    position: int | None = None,
    *,
    group: str | None = None,
) -> int:
    """Removes a release from a collage, or a track from a playlist.

    Args:
        c: The settings.
        journal: Where the edit is noted.
        kind: COLLAGES or PLAYLISTS.
        name: The list.
        identifier: The member; it need not exist any more.
        position: Which one, counted from 1 in the file; every one of this id, if None.
        group: Whatever the edit has in common with others that are to be taken back as one.

    Returns:
        How many members were removed.

    Raises:
        NotFoundError: There is no such list, or no such member in it, or another one at this position.
        InvalidNameError, InvalidDatafileError, OSError, JournalError, LockTimeoutError: Nothing was changed.
    """
    with changing(c, journal, kind, name, f"remove from {kind.name} {name}", group=group) as (edit, file):
        gone = {
            index
            for index, member in enumerate(file.members)
            if member.id == identifier and position in (None, index + 1)
        }
        if not gone:
            where = "" if position is None else f" at position {position}"
            raise NotFoundError(f"{kind.name} {name!r} does not hold {identifier}{where}")
        kept = [index for index in range(len(file.members)) if index not in gone]
        edit.replace(file.path, file.with_members(kept))
    return len(gone)


def move(c: Config, journal: Journal, kind: Kind, name: str, identifier: str, position: int, to: int) -> None:
    """Moves the member at a position, which must have this id, to another one; past the end means last.

    Raises:
        NotFoundError: There is no such list, or another member at this position.
        InvalidNameError, InvalidDatafileError, OSError, JournalError, LockTimeoutError: Nothing was changed.
    """
    with changing(c, journal, kind, name, f"reorder {kind.name} {name}") as (edit, file):
        order = list(range(len(file.members)))
        if not 1 <= position <= len(order) or file.members[position - 1].id != identifier:
            raise NotFoundError(f"{kind.name} {name!r} does not hold {identifier} at position {position}")
        order.insert(max(0, to - 1), order.pop(position - 1))
        edit.replace(file.path, file.with_members(order))


def set_cover(c: Config, journal: Journal, name: str, image: Path) -> CoverSet:
    """Makes an image the cover of a playlist; it keeps its extension, and is copied.

    Raises:
        CoverError, InvalidNameError, NotFoundError, OSError, TrashError, JournalError, LockTimeoutError: Nothing
            was changed.
    """
    extension = check_image(c, image)
    path = list_path(c, PLAYLISTS, name)
    with editing(c, journal, f"set the cover of playlist {name}", touched(PLAYLISTS, name)) as edit:
        expect_list(c, PLAYLISTS, name)
        return put_cover(edit, path.with_name(f"{name}.{extension}"), image, covers_of(c, path))


def delete_cover(c: Config, journal: Journal, name: str) -> tuple[Trashed, ...]:
    """Puts the cover of a playlist into the trash.

    Raises:
        InvalidNameError, NotFoundError, OSError, TrashError, JournalError, LockTimeoutError: Nothing was changed.
    """
    path = list_path(c, PLAYLISTS, name)
    with editing(c, journal, f"delete the cover of playlist {name}", touched(PLAYLISTS, name)) as edit:
        expect_list(c, PLAYLISTS, name)
        covers = covers_of(c, path)
        if not covers:
            raise NotFoundError(f"playlist {name!r} has no cover")
        return tuple(edit.trash(cover) for cover in covers)


# What the edits share ---------------------------------------------------------------------------------------


def touched(kind: Kind, *names: str) -> Touched:
    """Returns what an edit of some lists of a kind changes."""
    return Touched(collages=names) if kind is COLLAGES else Touched(playlists=names)


@contextmanager
def changing(
    c: Config, journal: Journal, kind: Kind, name: str, title: str, *, group: str | None = None
) -> Iterator[tuple[Edit, MemberFile]]:
    """Makes an edit of a list's file, read under the list's lock. Raises as the edits here do."""
    path = list_path(c, kind, name)
    maybe_invalidate_cache_database(c)
    with editing(c, journal, title, touched(kind, name), group=group) as edit:
        expect_list(c, kind, name)
        yield edit, MemberFile.read(path, kind.key)


def expect_list(c: Config, kind: Kind, name: str) -> Path:
    """Returns the file of a list. Raises NotFoundError, which names those most like it, if there is none."""
    path = list_path(c, kind, name)
    if path.is_file():
        return path
    try:
        names = [each.stem for each in path.parent.iterdir() if each.suffix == ".toml"]
    except FileNotFoundError:
        names = []
    close = difflib.get_close_matches(name, names)
    hint = f"; did you mean {' or '.join(map(repr, close))}?" if close else ""
    raise NotFoundError(f"there is no {kind.name} {name!r}{hint}")


def covers_of(c: Config, path: Path) -> list[Path]:
    """Returns the images that belong to a list's file: of the same stem."""
    accepted = {f".{extension.lower()}" for extension in c.valid_art_exts}
    return [each for each in _files_of(path) if each.suffix.lower() in accepted]


def _files_of(path: Path) -> list[Path]:
    """Returns the files of the same stem, sorted."""
    return sorted(each for each in path.parent.iterdir() if each.stem == path.stem and not each.is_dir())


def _expect_member(c: Config, kind: Kind, identifier: str) -> None:
    found = get_release(c, identifier) if kind is COLLAGES else get_track(c, identifier)
    if found is None:
        raise NotFoundError(f"there is no {kind.key.removesuffix('s')} of the id {identifier!r}")
