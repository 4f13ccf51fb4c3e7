"""Gestures on releases that programs fill: what ``cp -r album Releases/`` consists of.

Handlers of the table in ``gestures``. They work on the directory itself, so that a program finds what it expects of
a disk. What it renames over or removes in the middle of its work is its own; what looks like a user's removal goes
to the trash, since ``mv`` into the mount leaves no other copy.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rosecache.temporary import IN_PROGRESS_PREFIX
from rosefs.library import arrivals as library
from rosefs.vfs.arrivals import RELEASES
from rosefs.vfs.arriving import Arrival, Entry, Folder, State
from rosefs.vfs.edits import Edits, Request, check_new_name
from rosefs.vfs.errors import (
    ExistsError,
    IsADirectoryFsError,
    NoEntryError,
    NotADirectoryFsError,
    NotEmptyError,
    NotPermittedError,
)
from rosefs.vfs.nodes import ARRIVAL, Node
from rosefs.vfs.spool import PERMISSIONS, set_times

_JUNK = (".Trash", ".DS_Store", "._", IN_PROGRESS_PREFIX)
"""Starts of names that litter, and of our own. A datafile may come with the release that it belongs to."""

_FOR_GOOD = float("inf")


def begin(edits: Edits, request: Request) -> Node:
    """Makes a directory in Releases, which becomes a release when it is complete."""
    if request.directory != RELEASES:
        raise NotPermittedError(f"{request.name}: releases are copied into the directory of all releases")
    check_new_name(request.name)
    on_disk = library.begin(edits.c, request.name)
    try:
        arrival = edits.arrivals.add(request.name, on_disk)
    except ExistsError:
        on_disk.path.rmdir()
        on_disk.close()
        raise
    _bind(edits, arrival)
    return arrival.node_of(arrival.root)


def _bind(edits: Edits, arrival: Arrival) -> None:
    """Has no release get the name of one that is being filled."""
    edits.tree.directory(RELEASES).bind({bound_name(arrival.name): arrival.root.key}, _FOR_GOOD)


def bound_name(name: str) -> str:
    """Returns a name as directories know it."""
    return unicodedata.normalize("NFC", name)


@contextmanager
def _locked(edits: Edits, request: Request) -> Iterator[tuple[Arrival, Folder]]:
    """Gives the directory that a request is about, whose names stay as they are meanwhile."""
    arrival, folder = edits.arrivals.entry(request.directory)
    with arrival.lock:
        _expect_open(arrival)
        if not isinstance(folder, Folder) or not folder.exists:
            raise NoEntryError(f"{request.directory} is gone")
        yield arrival, folder


def _expect_open(arrival: Arrival) -> None:
    if arrival.state is State.DONE:
        raise NotPermittedError(f"{arrival.name} is a release by now")


def _check(name: str) -> None:
    if name.startswith(_JUNK):
        raise NotPermittedError(f"{name}: nothing may be called so here")


def _entry(edits: Edits, request: Request) -> tuple[Arrival, Entry]:
    node = request.node
    assert node is not None
    if node.key.space != ARRIVAL:
        raise NotPermittedError(f"{request.name} is a file of a release by now")
    return edits.arrivals.entry(node.key)


# Making -----------------------------------------------------------------------------------------------------


def make_directory(edits: Edits, request: Request) -> Node:
    """Makes a directory in a release that is being filled."""
    _check(request.name)
    with _locked(edits, request) as (arrival, folder):
        if request.name in folder.children:
            raise ExistsError(request.name)
        (arrival.path_of(folder) / request.name).mkdir()
        return arrival.node_of(arrival.add(folder, request.name, Folder))


def create(edits: Edits, request: Request) -> Node:
    """Makes an empty file in a release that is being filled, which whoever mounted may write to."""
    _check(request.name)
    with _locked(edits, request) as (arrival, folder):
        if request.name in folder.children:
            raise ExistsError(request.name)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        os.close(os.open(arrival.path_of(folder) / request.name, flags, 0o600))
        return arrival.node_of(arrival.add(folder, request.name, Entry))


def expect_open(edits: Edits, request: Request) -> None:
    """Makes sure that a file is still being written to the disk as it is. Raises NotPermittedError."""
    _expect_open(_entry(edits, request)[0])


def set_attributes(edits: Edits, request: Request) -> None:
    """Sets size, owner, permissions and times of a file or directory."""
    arrival, entry = _entry(edits, request)
    changes = request.changes
    with arrival.lock:
        _expect_open(arrival)
        place = arrival.place_of(entry)
        if changes is None:
            return
        if changes.size is not None:
            _truncate(entry, place, changes.size)
        if (changes.uid, changes.gid) != (None, None):
            os.chown(
                place, -1 if changes.uid is None else changes.uid, -1 if changes.gid is None else changes.gid
            )
        if changes.mode is not None:
            os.chmod(place, changes.mode & PERMISSIONS)
        if (changes.atime, changes.mtime) != (None, None):
            set_times(place if isinstance(place, int) else os.fsencode(place), changes.atime, changes.mtime)


def _truncate(entry: Entry, place: Path | int, size: int) -> None:
    try:
        os.truncate(place, size)
    except PermissionError:  # but whoever made it read-only may still have it open
        for descriptor in entry.descriptors:
            with suppress(OSError):
                os.ftruncate(descriptor, size)
                return
        raise


# Renaming ---------------------------------------------------------------------------------------------------


def rename(edits: Edits, request: Request) -> None:
    """Renames within a release that is being filled, or that release itself."""
    arrival, entry = _entry(edits, request)
    to = request.to
    assert to is not None
    if entry.folder is None:
        _rename_all(edits, arrival, to)
        return
    if to.directory.space != ARRIVAL or to.directory.value != arrival.token:
        raise NotPermittedError(f"{request.name}: files stay in the release that they were copied to")
    _check(to.name)
    with _locked(edits, to) as (_, folder):
        target = folder.children.get(to.name)
        _expect_replaceable(entry, target)
        os.rename(arrival.path_of(entry), arrival.path_of(folder) / to.name)
        arrival.move(entry, folder, to.name)


def _expect_replaceable(entry: Entry, target: Entry | None) -> None:
    if target is None or target is entry:
        return
    if isinstance(target, Folder):
        if not isinstance(entry, Folder):
            raise IsADirectoryFsError(target.name)
        if target.children:
            raise NotEmptyError(target.name)
    elif isinstance(entry, Folder):
        raise NotADirectoryFsError(target.name)


def _rename_all(edits: Edits, arrival: Arrival, to: Request) -> None:
    if to.directory != RELEASES or to.node is not None:
        raise NotPermittedError(f"{to.name}: a release that is being copied stays where it is")
    check_new_name(to.name)
    with edits.arrivals.changing(arrival.root.key), arrival.lock:
        _expect_open(arrival)
        library.rename(edits.c, arrival.on_disk, to.name)
        edits.tree.directory(RELEASES).unbind(bound_name(arrival.name))
        edits.arrivals.rename(arrival, to.name)
        _bind(edits, arrival)


# Removing ---------------------------------------------------------------------------------------------------


def remove_file(edits: Edits, request: Request) -> None:
    """Removes a file: into the trash, unless it is empty or hidden, as programs' temporary files are.

    The trash has it as a file of the release to be, and puts it back there.
    """
    arrival, entry = _entry(edits, request)
    with arrival.lock:
        _expect_open(arrival)
        path = arrival.on_disk.path / arrival.relative(entry)
        if entry.name.startswith(".") or path.stat().st_size == 0:
            path.unlink()
        else:
            title = f"delete {entry.name} of {arrival.name}, which is being imported"
            with edits.journal.edit(title, group=arrival.token) as edit:
                edit.trash(path, original=_home(edits, arrival) / arrival.relative(entry))
            arrival.has_trashed = True
        arrival.remove(entry)


def _home(edits: Edits, arrival: Arrival) -> Path:
    return edits.c.music_source_dir / arrival.on_disk.name


def remove_directory(edits: Edits, request: Request) -> None:
    """Removes an empty directory, or a release that is being filled and has nothing in it."""
    arrival, entry = _entry(edits, request)
    with edits.arrivals.changing(entry.key), arrival.lock:
        _expect_open(arrival)
        if not isinstance(entry, Folder) or entry.children:
            raise NotEmptyError(request.name)
        path = arrival.on_disk.path / arrival.relative(entry)
        if any(path.iterdir()):
            raise NotEmptyError(f"{path} holds something that was not made through the mount")
        if arrival.has_trashed:
            # Into the trash too, so that undo has a place to put its files back to.
            with edits.journal.edit(
                f"delete {arrival.name}, which is being imported", group=arrival.token
            ) as edit:
                edit.trash(path, original=_home(edits, arrival) / arrival.relative(entry))
        else:
            path.rmdir()
        arrival.remove(entry)
        if entry.folder is not None:
            return
    edits.tree.directory(RELEASES).unbind(bound_name(arrival.name))
    edits.arrivals.end(arrival, lasting=False)
