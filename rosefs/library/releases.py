"""Edits of releases as a whole: deleting, and marking as new. Importing is ``imports``, covers are ``covers``."""

from __future__ import annotations

import msgspec

from rosecache.boundary import expect_no_link
from rosecache.config import Config
from rosecache.datafiles import datafile_name, edited, read_release_datafile, read_text
from rosecache.model import Release
from rosecache.query.releases import release_logtext
from rosefs.library.editing import Touched, editing, release_directory
from rosefs.library.errors import NotFoundError
from rosefs.library.journal import Edit, Journal
from rosefs.library.trash import Trashed


class NewSet(msgspec.Struct, frozen=True):
    """A release that was marked as new or as not new. ``changed``: it was not already."""

    new: bool
    changed: bool


def delete_release(c: Config, journal: Journal, release: Release) -> Trashed:
    """Puts a release's directory into the trash. Collages and playlists keep their members, as missing.

    Returns:
        Where it is now.

    Raises:
        OSError, TrashError, JournalError, LockTimeoutError: Nothing was changed.
    """
    touched = Touched([release_directory(c, release.source_path)])
    with editing(c, journal, f"delete {release_logtext(release)}", touched) as edit:
        return edit.trash(release.source_path)


def set_new(c: Config, journal: Journal, release: Release, new: bool) -> NewSet:
    """Marks a release as new, or as not new, in its datafile.

    Raises:
        NotFoundError: It has no datafile.
        InvalidDatafileError, OSError, JournalError, LockTimeoutError: Nothing was changed.
    """
    return _set_new(c, journal, release, new)


def toggle_new(c: Config, journal: Journal, release: Release) -> NewSet:
    """Marks a release as new if it is not, and the other way round. Raises as :func:`set_new`."""
    return _set_new(c, journal, release, None)


def _set_new(c: Config, journal: Journal, release: Release, new: bool | None) -> NewSet:
    verb = {True: "mark as new:", False: "mark as not new:", None: "toggle new:"}[new]
    touched = Touched([release_directory(c, release.source_path)])
    with editing(c, journal, f"{verb} {release_logtext(release)}", touched) as edit:
        return write_new(edit, release, new)


def write_new(edit: Edit, release: Release, new: bool | None) -> NewSet:
    """Writes into a release's datafile, as a step of an edit, whether it is new; None turns that round.

    Raises:
        NotFoundError: It has no datafile.
        InvalidDatafileError, OSError, JournalError: Nothing was changed.
    """
    path = release.source_path / datafile_name(release.id)
    if not path.exists():
        raise NotFoundError(f"{path} is missing; run rosefs cache update, which makes it")
    before = read_release_datafile(path).new
    was_new = True if before is None else before
    wanted = not was_new if new is None else new
    if before is not None and before == wanted:
        return NewSet(wanted, changed=False)
    expect_no_link(path)
    text = edited(path, read_text(path), lambda document: document.update(new=wanted))
    edit.replace(path, text.encode())
    return NewSet(wanted, changed=was_new != wanted)
