"""The one family of errors that edits raise.

Each says what is wrong and what to do about it, and means that nothing was changed unless it says otherwise.
What the system itself refuses (a full disk, a missing permission) stays an ``OSError``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from rosecache.errors import RosecacheError


class LibraryError(RosecacheError):
    """Base of every error that an edit raises on purpose."""


class InvalidNameError(LibraryError):
    """A collage, playlist or release cannot have this name.

    Attributes:
        name: The name.
        reason: What is wrong with it.
    """

    def __init__(self, name: str, reason: str) -> None:
        self.name = name
        self.reason = reason
        super().__init__(f"{name!r} cannot be used as a name: {reason}")


class NotFoundError(LibraryError):
    """There is no such release, track, collage, playlist, cover or edit."""


class AlreadyExistsError(LibraryError):
    """Something of that name is there already, and would have been overwritten."""


class ImportRefusedError(LibraryError):
    """A directory cannot become a release."""


class CoverError(LibraryError):
    """An image cannot be used as a cover."""


class EditTextError(LibraryError):
    """The edited text of a collage or a playlist cannot be carried out.

    Attributes:
        number: Which line of the text it is about, from 1.
        line: That line.
    """

    def __init__(self, number: int, line: str, reason: str) -> None:
        self.number = number
        self.line = line
        super().__init__(f"line {number}, {line!r}: {reason}; nothing was changed")


class Mistake(msgspec.Struct, frozen=True):
    """One mistake in the text of a release.

    Attributes:
        key: The key that it is about, with dots; empty if it is about the text.
        line: The line of the text, from 1; None if it is about none.
        reason: What is wrong.
    """

    key: str
    line: int | None
    reason: str

    def __str__(self) -> str:
        where = f"line {self.line}" if self.line is not None else ""
        return ": ".join(part for part in (", ".join(filter(None, (where, self.key))), self.reason) if part)


class ReleaseTextError(LibraryError):
    """The edited text of a release cannot be carried out; nothing was changed.

    Attributes:
        mistakes: Everything that is wrong with it.
    """

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("; ".join(map(str, mistakes)))


class ExportError(LibraryError):
    """A playlist cannot be exported."""


class TrashError(LibraryError):
    """Something could not be put into the trash, or taken out of it; it is where it was.

    Attributes:
        path: What it is about.
        reason: What is wrong, without the path.
        errno: The system's number of the failure, if it was one of the system's.
    """

    def __init__(self, path: Path, reason: str, errno: int | None = None) -> None:
        self.path = path
        self.reason = reason
        self.errno = errno
        super().__init__(f"{path}: {reason}")


class JournalError(LibraryError):
    """The journal of edits cannot be used."""


class UndoError(LibraryError):
    """An edit cannot be taken back: what it did is no longer there to be undone."""


class CacheBehindError(LibraryError):
    """The edit is done, but the cache could not be brought up to date with it."""
