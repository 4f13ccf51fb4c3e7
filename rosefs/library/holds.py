"""Holds: files of the library that stay within reach for a while, whatever a program does to them.

Copying into a collage or a playlist names a member, and its bytes go nowhere; but ``mv`` from outside deletes what it
has copied. So before a member is taken, its source files get a second name each, a hard link where the disk has
them, in ``.in-progress.rosefs.hold.<id>`` in the source directory. Later, :meth:`Holds.settle` lets them go if they
are still in the library, and else puts them back; after a crash, :func:`recover_holds` does.

A directory belongs to one process, which shows by a lock in it that it lives. It has a manifest for each hold,
written before the first file is held. Nothing here ever overwrites a file.
"""

from __future__ import annotations

import errno
import itertools
import json
import logging
import os
import secrets
import shutil
import stat
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from rosecache.config import Config
from rosecache.errors import LockTimeoutError
from rosecache.model import Release, Track
from rosecache.query.releases import get_release
from rosecache.query.tracks import get_track, get_tracks_of_release
from rosecache.tags.journal import flush_directory
from rosecache.temporary import HOLD_PREFIX, IN_PROGRESS_PREFIX, claim, create_claimed
from rosefs.library.editing import Touched, holding, refresh
from rosefs.library.errors import CacheBehindError
from rosefs.library.files import copy_content, new_version, rename_new, walk
from rosefs.library.trash import trash

log = logging.getLogger(__name__)

HOLD_SECONDS = 60.0
"""How long nothing must have been copied in before what is still there is let go."""

_LOCK = "lock"
_MANIFEST = ".json"
_WITHOUT_LINKS = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOSYS)


class HeldFile(msgspec.Struct, frozen=True):
    """One file of a hold. Its bytes are in the file called by its index, in the directory called by the hold's number.

    Attributes:
        path: Below the release's directory.
        links: How many names it had before.
        track_id: The track that it is; None for any other file.
    """

    path: str
    links: int
    track_id: str | None = None


class Manifest(msgspec.Struct, frozen=True):
    """What a hold is of.

    Attributes:
        release_id: The release.
        directory: The name of its directory. Undecodable bytes are lone surrogates, which JSON escapes.
        files: What is held of it.
    """

    release_id: str
    directory: str
    files: tuple[HeldFile, ...]


class Holds:
    """The holds of this process. Safe to use from several threads at once."""

    def __init__(self, c: Config, clock: Callable[[], float] = time.monotonic) -> None:
        """``clock`` gives seconds, from any start. Nothing is made before the first hold."""
        self._c = c
        self._clock = clock
        self._lock = threading.Lock()
        self._used = clock()
        self._directory: Path | None = None
        self._descriptor = -1
        self._numbers = itertools.count(1)
        self._held: set[tuple[int, int]] = set()

    def hold_release(self, release: Release) -> None:
        """Holds every file of a release's directory. Raises OSError, and then nothing is held."""
        tracks = {track.source_path: track.id for track in get_tracks_of_release(self._c, release)}
        self._hold(release, [(path, tracks.get(path)) for path in _files_below(release.source_path)])

    def hold_track(self, track: Track) -> None:
        """Holds the file of a track. Raises OSError, and then nothing is held."""
        self._hold(track.release, [(track.source_path, track.id)])

    def throw_away(self, path: Path, name: str) -> Path:
        """Puts a copy of a file, flushed, into the music's trash, and returns where. Raises OSError, TrashError."""
        with self._lock:
            self.use()
            if self._directory is None:
                self._begin()
            assert self._directory is not None
            copy = self._directory / f"{next(self._numbers)}.copy"
            try:
                _copy(path, copy)
                thrown = trash(copy, original=self._c.music_source_dir / name).files_path
            finally:
                copy.unlink(missing_ok=True)
            flush_directory(thrown.parent)
        return thrown

    def use(self) -> None:
        """Says that somebody is still copying. Waits for nothing."""
        self._used = self._clock()
        with suppress(OSError):
            if self._descriptor >= 0:
                os.utime(self._descriptor)

    def let_go(self, path: Path) -> None:
        """Lets go of a file that was removed or renamed on purpose: an older version of it is not to come back."""
        with self._lock:
            for number in [] if self._directory is None else _numbers_in(self._directory):
                assert self._directory is not None
                manifest = _read_manifest(self._directory / f"{number}{_MANIFEST}")
                for index, file in enumerate(manifest.files):
                    if self._c.music_source_dir / manifest.directory / file.path == path:
                        (self._directory / number / str(index)).unlink(missing_ok=True)

    def settle(self) -> float | None:
        """Lets go, or puts back, what is held, if nobody has copied anything for long enough.

        Returns:
            After how many seconds to ask again; None if nothing is held any more.
        """
        with self._lock:
            if self._directory is None:
                return None
            left = self._used + HOLD_SECONDS - self._clock()
            if left > 0:
                return left
            if not _settle_all(self._c, self._directory, drop=True):
                return HOLD_SECONDS
            self._end()
        return None

    def close(self) -> None:
        """Puts back what is gone. What is there stays held until the next start: whoever moves it may be at work."""
        with self._lock:
            if self._directory is not None:
                quiet = self._used + HOLD_SECONDS <= self._clock()
                _settle_all(self._c, self._directory, drop=quiet)
                self._end()

    def _hold(self, release: Release, paths: Iterable[tuple[Path, str | None]]) -> None:
        with self._lock:
            self.use()
            found: list[tuple[Path, tuple[int, int], HeldFile]] = []
            for path, track_id in paths:
                with suppress(FileNotFoundError):  # gone already: nobody is going to lose it by this
                    status = os.lstat(path)
                    inode = (status.st_dev, status.st_ino)
                    if inode not in self._held:
                        relative = str(path.relative_to(release.source_path))
                        found.append((path, inode, HeldFile(relative, status.st_nlink, track_id)))
            if not found:
                return
            if self._directory is None:
                self._begin()
            assert self._directory is not None
            number = str(next(self._numbers))
            manifest = Manifest(release.id, release.source_path.name, tuple(file for _, _, file in found))
            try:
                _write_manifest(self._directory / f"{number}{_MANIFEST}", manifest)
                (self._directory / number).mkdir(mode=0o700)
                for index, (path, _, _) in enumerate(found):
                    _keep(path, self._directory / number / str(index))
                flush_directory(self._directory / number)
                flush_directory(self._directory)
            except BaseException:
                _drop(self._directory, number)
                raise
            self._held.update(inode for _, inode, _ in found)

    def _begin(self) -> None:
        while self._directory is None:
            directory = self._c.music_source_dir / f"{HOLD_PREFIX}{secrets.token_hex(8)}"
            directory.mkdir(mode=0o700)
            with suppress(FileNotFoundError):  # recovery took the directory for an abandoned one
                descriptor = create_claimed(directory / _LOCK, 0o600)
                if descriptor is not None:
                    self._directory, self._descriptor = directory, descriptor

    def _end(self) -> None:
        assert self._directory is not None
        if not list(_numbers_in(self._directory)):
            shutil.rmtree(self._directory, ignore_errors=True)
        os.close(self._descriptor)
        self._directory, self._descriptor = None, -1
        self._held.clear()


def recover_holds(c: Config, clock: Callable[[], float] = time.time) -> list[Path]:
    """Puts back what programs lost whose mount was killed, or unmounted right after, and lets go what they did not.

    Those that were in use a moment ago are left, unless their files are gone: whoever copied may still be moving.

    Args:
        c: The settings. The cache should be up to date.
        clock: The time.

    Returns:
        The files that were put back.
    """
    restored: list[Path] = []
    for directory in _hold_directories(c):
        try:
            descriptor = os.open(directory / _LOCK, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            with suppress(OSError):
                if not 0 <= clock() - directory.stat().st_mtime <= HOLD_SECONDS:
                    directory.rmdir()  # killed before it held anything
            continue
        try:
            claim(descriptor)
            # A time in the future, as of a clock that was put back, says nothing about now.
            recent = 0 <= clock() - os.fstat(descriptor).st_mtime < HOLD_SECONDS
            _settle_all(c, directory, drop=not recent, restored=restored)
            if not list(_numbers_in(directory)):
                shutil.rmtree(directory, ignore_errors=True)
        except BlockingIOError:
            continue  # its process lives
        finally:
            os.close(descriptor)
    return restored


def holds_are_left(c: Config) -> bool:
    """Tells whether any process holds files, or has left holds behind."""
    return bool(_hold_directories(c))


def _hold_directories(c: Config) -> list[Path]:
    with os.scandir(c.music_source_dir) as entries:
        return sorted(Path(entry.path) for entry in entries if entry.name.startswith(HOLD_PREFIX))


# Holding ----------------------------------------------------------------------------------------------------


def _files_below(directory: Path) -> Iterator[Path]:
    with suppress(FileNotFoundError):  # gone, or going: nothing is left that could be lost
        for parent, below, names in walk(directory):
            below[:] = [name for name in below if not name.startswith(IN_PROGRESS_PREFIX)]
            yield from (Path(parent, name) for name in names if not name.startswith(IN_PROGRESS_PREFIX))


def _write_manifest(path: Path, manifest: Manifest) -> None:
    temporary = path.with_suffix(".new")
    with temporary.open("w", encoding="ascii") as file:
        json.dump(msgspec.to_builtins(manifest), file)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)
    flush_directory(path.parent)


def _keep(path: Path, held: Path) -> None:
    """Gives a file a second name, or copies it where it can have none."""
    try:
        os.link(path, held, follow_symlinks=False)
    except FileNotFoundError:
        return
    except OSError as error:
        if error.errno not in _WITHOUT_LINKS:
            raise
        if path.is_symlink():
            held.symlink_to(path.readlink())
            return
        _copy(path, held)


def _copy(path: Path, to: Path) -> None:
    with open(path, "rb", buffering=0) as old, open(to, "xb", buffering=0) as new:
        copy_content(old.fileno(), new.fileno())
        shutil.copystat(path, to)
        os.fsync(new.fileno())


# Letting go, and putting back -------------------------------------------------------------------------------


def _numbers_in(directory: Path) -> Iterator[str]:
    """Yields the numbers of the holds in a directory, in order."""
    names = [name.removesuffix(_MANIFEST) for name in os.listdir(directory) if name.endswith(_MANIFEST)]
    yield from sorted(names, key=lambda name: (len(name), name))


def _settle_all(c: Config, directory: Path, *, drop: bool, restored: list[Path] | None = None) -> bool:
    """Puts back what is gone; with ``drop``, lets go what is not. Returns whether all could be done."""
    done = True
    # The last first: of a file that was edited in between, the earlier ones hold what it was before.
    for number in reversed(list(_numbers_in(directory))):
        try:
            manifest = _read_manifest(directory / f"{number}{_MANIFEST}")
            gone = _gone(c, manifest, directory / number)
            if gone:
                put_back = _put_back(c, manifest, gone)
                log.warning(
                    "%r was moved away by copying it into a collage or a playlist: put back %d files",
                    manifest.directory, len(put_back),
                )  # fmt: skip
                if restored is not None:
                    restored += put_back
            if gone or drop:
                _drop(directory, number)
        except (OSError, LockTimeoutError, msgspec.ValidationError, ValueError) as error:
            done = False
            log.error("what is held in %s could not be put back: %s", directory / number, error)
    return done


def _read_manifest(path: Path) -> Manifest:
    content: Any = json.loads(path.read_bytes())
    return msgspec.convert(content, Manifest)


def _gone(c: Config, manifest: Manifest, held: Path) -> dict[Path, Path]:
    """Returns what is held of files that are not in the library any more, with where each belongs."""
    release = get_release(c, manifest.release_id)
    original = c.music_source_dir / manifest.directory
    directory = original
    if release is not None and not original.exists() and release.source_path.exists():
        directory = release.source_path  # renamed, by its tags for one
    gone: dict[Path, Path] = {}
    for index, file in enumerate(manifest.files):
        mine = held / str(index)
        try:
            status = os.lstat(mine)
        except FileNotFoundError:
            continue  # killed before it was held, so nothing had been taken yet; or put back already
        is_there = (
            os.path.lexists(original / file.path)
            or os.path.lexists(directory / file.path)
            or status.st_nlink > file.links  # renamed, or in the trash
            or _is_known_elsewhere(c, file)
        )
        if not is_there:
            gone[mine] = directory / file.path
    return gone


def _is_known_elsewhere(c: Config, file: HeldFile) -> bool:
    track = None if file.track_id is None else get_track(c, file.track_id)
    return track is not None and track.source_path.exists()


def _put_back(c: Config, manifest: Manifest, gone: dict[Path, Path]) -> list[Path]:
    done: list[Path] = []
    names = {path.relative_to(c.music_source_dir).parts[0] for path in gone.values()}
    touched = Touched([os.fsencode(name) for name in names])
    with holding(c, touched):
        for mine, path in gone.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                _move_back(mine, path)
            except FileExistsError:
                continue  # somebody else was faster
            flush_directory(path.parent)
            done.append(path)
    try:
        refresh(c, touched, force=True)
    except CacheBehindError as error:
        log.warning("%s", error)  # the files are there, and the next update finds them
    return done


def _move_back(mine: Path, path: Path) -> None:
    try:
        rename_new(mine, path)
    except OSError as error:
        if error.errno != errno.EXDEV or not stat.S_ISREG(os.lstat(mine).st_mode):
            raise
        with new_version(path, mine) as temporary:
            shutil.copystat(mine, temporary)
            rename_new(temporary, path)


def _drop(directory: Path, number: str) -> None:
    shutil.rmtree(directory / number, ignore_errors=True)
    (directory / f"{number}{_MANIFEST}").unlink(missing_ok=True)
    (directory / f"{number}.new").unlink(missing_ok=True)
