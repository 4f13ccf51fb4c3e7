"""The errors of the tree, each one thing that can be wrong with a request.

They are about the tree, not about the system's error numbers: whoever serves the tree maps each class to
one. Whatever is asked of the tree raises one of these or succeeds.
"""

from __future__ import annotations


class FileSystemError(Exception):
    """Base of every error that the tree raises on purpose."""


class NoEntryError(FileSystemError):
    """There is no such name, or the thing it named is gone."""


class AbsentError(NoEntryError):
    """There is no such name, and whoever asked may remember that until told otherwise."""


class NotADirectoryFsError(FileSystemError):
    """A file was used as a directory."""


class IsADirectoryFsError(FileSystemError):
    """A directory was used as a file."""


class ReadOnlyError(FileSystemError):
    """A write operation, which this mount does not take."""


class NoAttributeError(FileSystemError):
    """The file or directory has no such extended attribute."""


class NotSupportedError(FileSystemError):
    """An operation that the tree does not know."""


class BadHandleError(FileSystemError):
    """A handle that is not open, or not of this kind."""


class AccessDeniedError(FileSystemError):
    """The source file may not be read by this process."""


class StaleError(FileSystemError):
    """An inode number that the tree has forgotten or never gave out."""


class SourceIOError(FileSystemError):
    """The source disk failed.

    Attributes:
        errno: The system's error number for it.
    """

    def __init__(self, errno: int, message: str) -> None:
        self.errno = errno
        super().__init__(message)


class NotPermittedError(FileSystemError):
    """A write operation that has no meaning where it was tried; nothing was changed."""


class ExistsError(FileSystemError):
    """There is something of that name already."""


class NotEmptyError(FileSystemError):
    """A directory that is to be removed still lists tracks or members."""


class NameTooLongError(FileSystemError):
    """A name that is longer than any can be."""


class InvalidRequestError(FileSystemError):
    """A name or a value that cannot be used."""


class BusyError(FileSystemError):
    """Somebody else is at work on it; nothing was changed."""


class SourceWriteError(FileSystemError):
    """The source disk refused a change, and everything is as it was.

    Attributes:
        errno: The system's error number for it, which the program gets to see.
    """

    def __init__(self, errno: int, message: str) -> None:
        self.errno = errno
        super().__init__(message)
