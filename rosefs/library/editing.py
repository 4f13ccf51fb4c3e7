"""What every edit has around it: the locks of all that it touches, the journal, and the update of the cache.

Locks are taken in the order that everybody takes them: releases, collages, playlists, each by name. The cache is
brought up to date when they are free again, since the update takes them itself.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import msgspec

from rosecache.boundary import expect_inside
from rosecache.config import Config
from rosecache.errors import RosecacheError
from rosecache.update import (
    update_cache_for_collages,
    update_cache_for_playlists,
    update_cache_for_releases,
)
from rosecache.update.lists import COLLAGES, PLAYLISTS, directory_of, lock_list
from rosecache.update.release import lock_release
from rosecache.update.walk import may_be_release
from rosefs.library.errors import CacheBehindError
from rosefs.library.journal import Edit, Journal


class Touched(msgspec.Struct, frozen=True):
    """What an edit changes: names of release directories, as the disk has them, of collages and of playlists."""

    releases: Collection[bytes] = ()
    collages: Collection[str] = ()
    playlists: Collection[str] = ()


@contextmanager
def editing(
    c: Config,
    journal: Journal,
    title: str,
    touched: Touched,
    *,
    undoes: tuple[str, ...] = (),
    group: str | None = None,
    force: bool = False,
) -> Iterator[Edit]:
    """Makes an edit under its locks, and brings the cache up to date with it.

    Args:
        c: The settings.
        journal: Where the edit is noted.
        title: What it does, for people.
        touched: What it changes.
        undoes: The ids of the edits that it takes back.
        group: Whatever edits have in common that are to be taken back as one.
        force: Believe that the release directories are whole, whatever they look like.

    Raises:
        OSError: A link leads out of the music directory to what is touched; nothing was changed.
        LockTimeoutError: Somebody else is at work on what is touched; nothing was changed.
        JournalError: The journal cannot be written; nothing was changed.
        CacheBehindError: The edit is done, but the cache could not be updated.
    """
    with holding(c, touched), journal.edit(title, undoes=undoes, group=group) as edit:
        yield edit
    refresh(c, touched, force=force or edit.does_not_show)


@contextmanager
def holding(c: Config, touched: Touched, *, to_write: bool = True) -> Iterator[None]:
    """Holds the locks of some releases, collages and playlists; without ``to_write``, only to read what is there.

    Raises:
        OSError: A link leads out of the music directory to one of them, where nothing may be written.
        LockTimeoutError: Somebody else has one of them for too long.
    """
    if to_write:
        _expect_inside(c, touched)
    with ExitStack() as locks:
        for directory in sorted(set(touched.releases)):
            locks.enter_context(lock_release(c, directory))
        for kind, names in ((COLLAGES, touched.collages), (PLAYLISTS, touched.playlists)):
            for name in sorted(set(names)):
                locks.enter_context(lock_list(c, kind, name))
        yield


def _expect_inside(c: Config, touched: Touched) -> None:
    for directory in touched.releases:
        expect_inside(c, directory)
    for kind, names in ((COLLAGES, touched.collages), (PLAYLISTS, touched.playlists)):
        if names:
            expect_inside(c, os.fsencode(directory_of(c, kind).name))


def refresh(c: Config, touched: Touched, *, force: bool = False) -> None:
    """Brings the cache up to date with what was changed, and with lists that hold changed releases.

    Raises:
        CacheBehindError: It cannot be done now.
    """
    try:
        if touched.releases:
            directories = [c.music_source_dir / os.fsdecode(name) for name in sorted(set(touched.releases))]
            update_cache_for_releases(c, directories, force)
        if touched.releases or touched.collages:
            update_cache_for_collages(c, None if touched.releases else touched.collages)
        if touched.releases or touched.playlists:
            update_cache_for_playlists(c, None if touched.releases else touched.playlists)
    except (RosecacheError, OSError, sqlite3.Error) as error:
        raise CacheBehindError(
            f"the edit is done, but the cache is not up to date with it: {error}; run rosefs cache update"
        ) from error


def touched_by(c: Config, paths: Iterable[Path]) -> Touched:
    """Returns what changes with some files and directories; those outside the music directory change nothing.

    A path may be written as the settings have it, or with links followed, as the trash notes it.
    """
    releases: set[bytes] = set()
    lists: dict[Path, set[str]] = {c.collages_dir: set(), c.playlists_dir: set()}
    roots = _roots(c)
    for path in paths:
        below = [top / path.relative_to(root) for root, top in roots.items() if root in (path, *path.parents)]
        parts = below[0].parts if below else ()
        if not parts:
            continue
        top = c.music_source_dir / parts[0]
        if top in lists and len(parts) > 1:
            lists[top].add(os.path.splitext(parts[1])[0])
        elif top not in lists and may_be_release(c, os.fsencode(parts[0])):
            releases.add(os.fsencode(parts[0]))
    return Touched(releases, lists[c.collages_dir], lists[c.playlists_dir])


def _roots(c: Config) -> dict[Path, Path]:
    """Returns what the music directory is called, and where links in it lead, each with its path below it."""
    roots = {c.music_source_dir: Path(), Path(os.path.realpath(c.music_source_dir)): Path()}
    with suppress(OSError), os.scandir(c.music_source_dir) as entries:
        for entry in entries:
            if entry.is_symlink():
                roots.setdefault(Path(os.path.realpath(entry.path)), Path(entry.name))
    return roots


def release_directory(c: Config, source_path: Path) -> bytes:
    """Returns the name of a release's directory, as the disk has it."""
    return os.fsencode(source_path.relative_to(c.music_source_dir).parts[0])
