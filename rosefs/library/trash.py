"""The trash of the freedesktop.org Trash specification 1.0: deleting without losing.

Things are renamed into the trash of their own volume and never copied, so that a deletion takes no time and no
space, and either happens or does not. Where no trash can be had, that is an error, and nothing was deleted.
Nothing here empties a trash.

Source: https://specifications.freedesktop.org/trash-spec/1.0/
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import msgspec

from rosefs.library.errors import TrashError
from rosefs.library.files import rename_new
from rosefs.mountinfo import mount_holding

_MAX_NAME = 255
_SUFFIX = ".trashinfo"


class Trashed(msgspec.Struct, frozen=True):
    """Something in a trash.

    Attributes:
        original: Where it was, absolute.
        files_path: Where it is.
        info_path: The file that says where it was, and when it was deleted.
        info: That file's content, by which it is known again after somebody emptied the trash.
    """

    original: Path
    files_path: Path
    info_path: Path
    info: str


def _ignore(trashed: Trashed) -> None:
    pass


def trash(
    path: Path,
    *,
    original: Path | None = None,
    announce: Callable[[Trashed], None] = _ignore,
    clock: Callable[[], float] = time.time,
) -> Trashed:
    """Puts a file, a link or a directory into the trash of its volume.

    Args:
        path: What to delete. A link is itself deleted, not what it leads to.
        original: Where it is to come back to, on the same volume, if not to where it is.
        announce: Told where the thing will be, before each attempt, and before anything is in the trash.
        clock: The time, in seconds since the epoch.

    Raises:
        TrashError: It is not there, or there is no trash for it; nothing was deleted.
    """
    path = Path(os.path.realpath(path.parent)) / path.name
    home = path if original is None else Path(os.path.realpath(original.parent)) / original.name
    tried: list[str] = []
    try:
        status = os.lstat(path)
        if os.path.ismount(path):
            raise TrashError(path, "a file system is mounted here; unmount it first", errno.EBUSY)
        for place in _places(path, status, tried):
            try:
                reserved = _reserve(place, home, clock(), announce)
            except OSError as error:
                tried.append(f"{place.directory}: {error.strerror}")
                continue
            if _move(path, reserved):
                return reserved
            tried.append(f"{place.directory}: is on another volume")
    except OSError as error:
        raise TrashError(path, f"cannot be deleted: {error.strerror}", error.errno) from error
    reason = "no trash can be used for it, so it was not deleted (" + "; ".join(tried) + ")"
    raise TrashError(path, reason, errno.EPERM)


def trash_of(path: Path) -> Path:
    """Returns the trash that would be used for what is in a directory, which need not exist yet; makes nothing.

    Raises:
        TrashError: There can be none; the text says what was tried.
    """
    path = Path(os.path.realpath(path))
    tried: list[str] = []
    for place in _candidates(path, os.stat(path).st_dev, tried):
        if _can_be_own(place.directory):
            return place.directory
        tried.append(f"{place.directory}: cannot be made, or not be written")
    raise TrashError(path, f"no trash can be used for it ({'; '.join(tried)})", errno.EPERM)


def restore(trashed: Trashed) -> None:
    """Puts something back from the trash to where it was.

    Raises:
        TrashError: It is no longer in the trash, or something else has its place; nothing was changed.
    """
    problem = problem_of(trashed)
    if problem is not None:
        raise TrashError(trashed.original, problem)
    try:
        rename_new(trashed.files_path, trashed.original)
    except FileExistsError as error:
        reason = "cannot be put back from the trash: something else is there; rename or remove that first"
        raise TrashError(trashed.original, reason, error.errno) from error
    except OSError as error:
        reason = f"cannot be put back from the trash: {error.strerror}"
        raise TrashError(trashed.original, reason, error.errno) from error
    with suppress(FileNotFoundError):
        trashed.info_path.unlink()


def problem_of(trashed: Trashed) -> str | None:
    """Returns why something cannot be taken out of the trash, or None if it is there."""
    try:
        info = trashed.info_path.read_text(encoding="utf-8")
        os.lstat(trashed.files_path)
    except (OSError, UnicodeDecodeError):
        info = ""
    return None if info == trashed.info else f"is no longer in the trash, at {trashed.files_path}"


def _move(path: Path, reserved: Trashed) -> bool:
    """Carries out a deletion. Returns False, with the reservation undone, if the trash is on another volume."""
    moved = False
    try:
        rename_new(path, reserved.files_path)
        moved = True
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
    finally:
        if not moved:
            with suppress(OSError):
                reserved.info_path.unlink()
    return moved


# Where ------------------------------------------------------------------------------------------------------


class _Place(msgspec.Struct, frozen=True):
    """A trash directory."""

    directory: Path
    top: Path | None
    """The directory that paths in it are relative to; None for the home trash, which has absolute ones."""


def _places(path: Path, status: os.stat_result, tried: list[str]) -> Iterator[_Place]:
    """Yields the trash directories for a path, made if need be, in the order of the specification."""
    for place in _candidates(path.parent, status.st_dev, tried):
        try:
            if place.top is None:
                place.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            else:
                _make_own(place.directory)
            yield place
        except OSError as error:
            tried.append(f"{place.directory}: {error.strerror}")


def _candidates(directory: Path, device: int, tried: list[str]) -> Iterator[_Place]:
    """Yields the trash directories for what is in a directory, which may not exist."""
    home = _home_trash()
    if _device_of(home) == device:
        yield _Place(home, None)
    else:
        tried.append(f"{home}: is on another volume")
    top = mount_point_of(directory)
    shared = top / ".Trash"
    if _is_shared_trash(shared):
        yield _Place(shared / str(os.getuid()), top)
    yield _Place(top / f".Trash-{os.getuid()}", top)


def _can_be_own(directory: Path) -> bool:
    """Tells whether a trash directory is there and can be written, or could be made."""
    for existing in (directory, *directory.parents):
        with suppress(FileNotFoundError):
            status = os.lstat(existing)
            if existing == directory and status.st_uid != os.getuid():
                return False
            return stat.S_ISDIR(status.st_mode) and os.access(existing, os.W_OK | os.X_OK)
    return False


def _home_trash() -> Path:
    data = os.environ.get("XDG_DATA_HOME", "")
    # The base directory specification: a relative path is to be ignored.
    base = Path(data) if os.path.isabs(data) else Path.home() / ".local" / "share"
    return base / "Trash"


def _device_of(path: Path) -> int | None:
    """Returns the device that a path is on, or would be on if it were made."""
    for existing in (path, *path.parents):
        with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
            return os.stat(existing).st_dev
    return None


def mount_point_of(directory: Path) -> Path:
    """Returns where the file system is mounted that holds a directory, which is absolute and without links."""
    mount = mount_holding(directory)
    return mount.mountpoint if mount is not None else Path("/")


def _is_shared_trash(directory: Path) -> bool:
    """Tells whether an administrator's trash may be used: a real directory with the sticky bit."""
    try:
        mode = os.lstat(directory).st_mode
    except OSError:
        return False
    return stat.S_ISDIR(mode) and bool(mode & stat.S_ISVTX)


def _make_own(directory: Path) -> None:
    """Makes a user's directory on a volume; somebody else's, or a link, is refused."""
    with suppress(FileExistsError):
        directory.mkdir(mode=0o700)
    status = os.lstat(directory)
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        raise PermissionError(errno.EPERM, "is not a directory of your own", str(directory))


# What -------------------------------------------------------------------------------------------------------


def _reserve(place: _Place, path: Path, now: float, announce: Callable[[Trashed], None]) -> Trashed:
    """Takes a name in a trash by making its info file, which is announced. Raises OSError, and leaves nothing."""
    files, infos = place.directory / "files", place.directory / "info"
    for directory in (files, infos):
        directory.mkdir(mode=0o700, exist_ok=True)
    shown = path if place.top is None else path.relative_to(place.top)
    deleted = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(now))
    info = f"[Trash Info]\nPath={quote(os.fsencode(shown))}\nDeletionDate={deleted}\n"
    for name in _names(path.name):
        trashed = Trashed(path, files / name, infos / f"{name}{_SUFFIX}", info)
        if os.path.lexists(trashed.info_path) or os.path.lexists(trashed.files_path):
            continue
        announce(trashed)
        if _make_info(trashed):
            return trashed
    raise AssertionError("names never end")


def _make_info(trashed: Trashed) -> bool:
    """Makes an info file. Returns False if its name was taken meanwhile, by it or by a file that lost its own."""
    try:
        descriptor = os.open(trashed.info_path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return False
    try:
        with open(descriptor, "wb") as file:
            file.write(trashed.info.encode())
            file.flush()
            os.fsync(descriptor)
        if not os.path.lexists(trashed.files_path):
            return True
    except BaseException:
        trashed.info_path.unlink(missing_ok=True)
        raise
    trashed.info_path.unlink()
    return False


def _names(name: str) -> Iterator[str]:
    """Yields the name, then the name with 2, 3 … before its extension; cut so that the info file's name fits."""
    stem, extension = os.path.splitext(name)
    number = 1
    while True:
        ending = extension if number == 1 else f" {number}{extension}"
        room = _MAX_NAME - len(os.fsencode(ending)) - len(_SUFFIX)
        if room < 1:
            stem, extension = name, ""
            continue
        yield _cut(stem, room) + ending
        number += 1


def _cut(text: str, room: int) -> str:
    data = os.fsencode(text)
    if len(data) <= room:
        return text
    while room and data[room] & 0xC0 == 0x80:  # never between the bytes of a character
        room -= 1
    return os.fsdecode(data[:room])
