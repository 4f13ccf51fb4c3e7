"""Releases that programs fill, such as ``cp -r`` through a mount: begun, completed, and recovered after a crash.

While it is being filled, a release is a directory of a temporary name in the music directory, which no update looks
at. It is locked as long as the process lives that serves it to programs, so that another one leaves it alone; one
that nobody has locked was left behind by a crash. Nothing in such a directory is ever removed here: maybe nobody
else has it any more.
"""

from __future__ import annotations

import fcntl
import logging
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from rosecache.config import Config
from rosecache.errors import RosecacheError, UnreadableAudioError
from rosecache.tags import is_audio, read_ids
from rosecache.tags.journal import flush_directory
from rosecache.temporary import claim
from rosefs.library.editing import Touched, editing
from rosefs.library.errors import CacheBehindError
from rosefs.library.files import rename_new, walk
from rosefs.library.imports import arriving_name, arriving_path, check_release_name, free_names, numbered
from rosefs.library.journal import Journal

log = logging.getLogger(__name__)


class Arriving(msgspec.Struct):
    """A directory that programs fill, locked.

    Attributes:
        path: Where it is now.
        name: What it is going to be called in the music directory, if that is still free then.
        descriptor: The directory, open and locked.
    """

    path: Path
    name: str
    descriptor: int

    def unlock(self) -> None:
        """Lets others at the directory."""
        with suppress(OSError):  # where nothing can be locked
            fcntl.flock(self.descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        """Lets go of the directory, and lets others at it."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


def begin(c: Config, name: str) -> Arriving:
    """Makes a directory for programs to fill, with a number in its name if the plain one is taken.

    Raises:
        InvalidNameError: A directory called so would be no release.
        OSError: It cannot be made.
    """
    for candidate in free_names(c, check_release_name(c, name)):
        path = arriving_path(c, candidate)
        with suppress(FileExistsError):
            path.mkdir()
            arriving = _claim(path, candidate)
            if arriving is not None:
                return arriving
    raise AssertionError("names never end")


def rename(c: Config, arriving: Arriving, name: str) -> None:
    """Has the directory be called by another name. Raises as :func:`begin` does; then nothing has changed."""
    for candidate in free_names(c, check_release_name(c, name)):
        path = arriving_path(c, candidate)
        with suppress(FileExistsError):
            rename_new(arriving.path, path)
            arriving.path, arriving.name = path, candidate
            return


def holds_release(path: Path) -> bool:
    """Tells whether there is an audio file below a directory, and one at least can be read. Raises OSError."""
    for parent, _, names in walk(path):
        for name in filter(is_audio, sorted(names)):
            try:
                read_ids(Path(parent, name))
            except (UnreadableAudioError, OSError):
                continue
            return True
    return False


def finish(path: Path) -> None:
    """Has all that is below a directory written to the disk, and lets its owner change it. Raises OSError."""
    for parent, _, names in walk(path):
        for name in names:
            _finish_file(os.path.join(parent, name))
        mode = stat.S_IMODE(os.stat(parent).st_mode)
        if mode & stat.S_IRWXU != stat.S_IRWXU:
            os.chmod(parent, mode | stat.S_IRWXU)
        flush_directory(Path(parent))


def _finish_file(path: str) -> None:
    mode = stat.S_IMODE(os.lstat(path).st_mode)
    if mode & (stat.S_IRUSR | stat.S_IWUSR) != stat.S_IRUSR | stat.S_IWUSR:
        os.chmod(path, mode | stat.S_IRUSR | stat.S_IWUSR)
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def complete(c: Config, journal: Journal, arriving: Arriving) -> None:
    """Gives a directory that is whole its name, as an edit, and has the cache read it.

    Afterwards ``arriving`` says where it is, and is not locked any more.

    Raises:
        OSError, RosecacheError: It cannot be; it is as it was.
        CacheBehindError: It is done, but the cache could not be updated.
    """
    temporary = arriving.path
    try:
        for candidate in _places(c, arriving.name):
            touched = Touched([os.fsencode(candidate)])
            with (
                suppress(FileExistsError),  # somebody was faster in taking that name
                editing(c, journal, f"import {candidate}", touched, force=True) as edit,
            ):
                edit.adopt(c.music_source_dir / candidate, temporary)
                arriving.path, arriving.name = c.music_source_dir / candidate, candidate
                arriving.unlock()  # the update locks it, too
            if arriving.path != temporary:
                break
    except CacheBehindError:
        raise
    except BaseException:
        if temporary.exists():
            arriving.path = temporary
        with suppress(BlockingIOError):
            claim(arriving.descriptor)
        raise
    # The update may have renamed the directory by its tags.
    arriving.path = c.music_source_dir / Path(os.readlink(f"/proc/self/fd/{arriving.descriptor}")).name


def _places(c: Config, name: str) -> Iterator[str]:
    return (each for each in numbered(name) if not os.path.lexists(c.music_source_dir / each))


def recover(c: Config, journal: Journal) -> list[Path]:
    """Completes what programs had filled when the process was killed that served it.

    What cannot be completed stays as it is, and is logged; the rest goes on. Nothing is done where the configuration
    says that nothing may be written.

    Returns:
        Where the directories are now.
    """
    recovered: list[Path] = []
    if c.read_only:
        return recovered
    try:
        names = sorted(os.listdir(c.music_source_dir))
    except OSError:
        return recovered  # whoever needs the music directory will say so
    for directory in names:
        name = arriving_name(directory)
        if name is None:
            continue
        path = c.music_source_dir / directory
        if path.is_symlink() or not path.is_dir():
            continue
        try:
            recovered += _recover(c, journal, path, name)
        except (OSError, RosecacheError) as error:
            log.warning("%s was being imported and cannot be completed: %s", path, error)
    return recovered


def _recover(c: Config, journal: Journal, path: Path, name: str) -> list[Path]:
    check_release_name(c, name)
    arriving = _claim(path, name)
    if arriving is None:
        return []
    try:
        if not any(path.iterdir()):
            path.rmdir()
            return []
        finish(path)
        complete(c, journal, arriving)
        return [arriving.path]
    finally:
        arriving.close()


def _claim(path: Path, name: str) -> Arriving | None:
    """Locks a directory; None if a living process has it, or has removed or completed it just now."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        claim(descriptor)
        here, there = os.fstat(descriptor), os.stat(path)
        if (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino):
            return Arriving(path, name, descriptor)
    except (BlockingIOError, FileNotFoundError):
        pass
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None
