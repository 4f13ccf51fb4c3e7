"""What can go wrong with mounting and unmounting, as errors whose text tells the user what to do about it."""

from __future__ import annotations


class MountError(Exception):
    """A mount cannot be made, or the kernel refused it."""


class BindingMissingError(MountError):
    """No binding to FUSE can be used; the text names the packages to install."""


class UnmountError(MountError):
    """Something cannot be unmounted.

    Attributes:
        status: The exit status of the program that was run for it; 1 if none was.
    """

    def __init__(self, message: str, *, status: int = 1) -> None:
        self.status = status
        super().__init__(message)
