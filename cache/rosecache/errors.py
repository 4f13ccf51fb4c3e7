"""The one family of errors that the cache engine raises.

Every error carries what a user must know to act on it (the file, the key, the value) in its text, and
keeps the parts as attributes for programs.
"""

from __future__ import annotations

from pathlib import Path


class RosecacheError(Exception):
    """Base of every error that rosecache raises on purpose. All of them can go from process to process."""

    def __reduce__(self) -> tuple[object, ...]:
        # As an exception does by itself, but without calling a constructor that takes other arguments.
        return (type(self).__new__, (type(self), *self.args), self.__dict__)


class ConfigError(RosecacheError):
    """The configuration cannot be used.

    Attributes:
        path: The configuration file, or None for values that came from elsewhere.
        key: Dotted name of the offending key, or an empty string when the whole file is at fault.
    """

    def __init__(self, reason: str, *, key: str = "", path: Path | None = None) -> None:
        self.reason = reason
        self.key = key
        self.path = path
        where = f"{path}: " if path is not None else ""
        super().__init__(f"{where}{key}: {reason}" if key else f"{where}{reason}")


class TemplateError(RosecacheError):
    """A name template is invalid or failed on a value."""


class SourceDirectoryError(RosecacheError):
    """The music source directory is missing or cannot be read."""


class LockTimeoutError(RosecacheError):
    """A lock was not free in time.

    Attributes:
        name: The lock's name.
        holder: Who holds it, as far as the system says; an empty string if it does not.
    """

    def __init__(self, name: str, timeout: float, holder: str) -> None:
        self.name = name
        self.holder = holder
        super().__init__(
            f"lock {name!r} was not free within {timeout:g} s; held by {holder or 'an unknown process'}"
        )


class FileProblemError(RosecacheError):
    """One file or directory cannot be used; the rest of the library can.

    Attributes:
        path: The file or directory.
        reason: What is wrong with it, without the path.
    """

    def __init__(self, path: Path, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(f"{path}: {reason}")


class UnreadableAudioError(FileProblemError):
    """An audio file is broken, empty, or not what its extension says."""


class TagWriteError(FileProblemError):
    """Tags could not be written; the file is as it was."""


class InvalidDatafileError(FileProblemError):
    """A release datafile, collage or playlist is not valid TOML, or not of the expected shape."""
