"""What a process that serves a mount tells of it: a small file of its own, for ``rosefs status``.

The files are in the user's state directory, whatever a configuration says, so that whoever asks needs none. Each is
replaced atomically, and removed when the mount ends. One that was left behind is known by its process: an id is given
again, but not together with the same time of starting. Nothing depends on these files but what is shown.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import select
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

import msgspec
import platformdirs

from rosecache.temporary import claim, make_private_directory, private
from rosefs.fuse.errors import MountError
from rosefs.fuse.kernel import mount_at

if TYPE_CHECKING:  # not for whoever only reads what was told: updates bring all that reads tags
    import rosecache.update

log = logging.getLogger(__name__)

_PROBLEMS_KEPT = 20
_SUFFIX = ".json"


class Process(msgspec.Struct, frozen=True):
    """A process that is, or was, one of this machine."""

    pid: int
    started: int
    """When, in ticks since the machine started: proc_pid_stat(5)."""
    boot: str
    """Which start of which machine: the home directory may be shared with others."""

    @classmethod
    def of_this(cls) -> Self:
        """Returns this process."""
        return cls(os.getpid(), _started(os.getpid()), _boot())

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended yet."""
        try:
            return self.boot == _boot() and self.started == _started(self.pid)
        except OSError:
            return False

    def wait(self, seconds: float) -> bool:
        """Waits until it has ended, and returns False if it has not in time."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return True
        try:
            # What was opened is looked at after opening, lest it be another with the same id.
            poll = select.poll()
            poll.register(descriptor, select.POLLIN)
            return not self.is_alive or bool(poll.poll(seconds * 1000))
        finally:
            os.close(descriptor)


class Problem(msgspec.Struct, frozen=True):
    """A file that an update could not use, and why."""

    path: str
    reason: str


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What a process tells of the mount that it serves. Times are seconds since the epoch."""

    mountpoint: str
    """Absolute and without links, as the kernel names it."""
    source: str
    database: str
    """The file of its cache."""
    binding: str
    read_only: bool
    view: str | None = None
    """The view that is shown as the root; None if all are shown."""
    process: Process = msgspec.field(default_factory=Process.of_this)
    since: float = msgspec.field(default_factory=time.time)
    updated: float | None = None
    """When the last update that this process knows of ended."""
    watcher: str = "off"
    """What follows the source directory, and how."""
    problem_count: int = 0
    """How many problems that update had."""
    problems: tuple[Problem, ...] = ()
    """The first of them."""


class Running:
    """The file of the mount that this process serves. Safe to use from several threads at once."""

    def __init__(self, told: Told) -> None:
        self._told = told
        process = told.process
        # Of its own: an earlier mount of the place may be out of sight, and its process still be at work.
        self._path = (
            _directory() / f"{_stem(Path(told.mountpoint))}-{process.pid}-{process.boot[:8]}{_SUFFIX}"
        )
        self._lock = threading.Lock()
        self._closed = False
        self._refused = False
        self.update()

    def update(self, **fields: Any) -> None:
        """Tells some fields of :class:`Told` anew. A disk that refuses is logged once, and nothing else."""
        with self._lock:
            self._told = msgspec.structs.replace(self._told, **fields)
            if self._closed:
                return
            try:
                make_private_directory(self._path.parent)
                fresh = self._path.with_suffix(".new")
                with open(fresh, "w", encoding="ascii", opener=private) as file:
                    json.dump(msgspec.to_builtins(self._told), file)
                os.replace(fresh, self._path)
            except OSError as error:
                level = logging.DEBUG if self._refused else logging.WARNING
                log.log(level, "'rosefs status' will not know all of this mount: %s", error)
                self._refused = True

    def tell_report(self, report: rosecache.update.Report) -> None:
        """Tells what an update found that has just ended."""
        self.tell_problems(report.problems, time.time())

    def tell_problems(self, problems: Sequence[rosecache.update.Problem], updated: float) -> None:
        """Tells what cannot be used, as of a time in seconds since the epoch."""
        first = tuple(Problem(str(each.path), each.reason) for each in problems[:_PROBLEMS_KEPT])
        self.update(updated=updated, problem_count=len(problems), problems=first)

    def close(self) -> None:
        """Takes the file away; later updates do nothing."""
        with self._lock, suppress(OSError):
            self._closed = True
            self._path.unlink(missing_ok=True)


@contextmanager
def running(told: Told) -> Iterator[Running]:
    """Tells of a mount while the block runs, and removes what killed processes had left to tell."""
    forget_ended()
    teller = Running(told)
    try:
        yield teller
    finally:
        teller.close()


@contextmanager
def claimed(mountpoint: Path) -> Iterator[Callable[[], None]]:
    """Keeps this user's other processes from mounting at a place while this one is about to.

    Gives a function to let go of it: once something is mounted, the kernel tells everybody.

    Raises:
        MountError: Another process is about to mount there.
    """
    path = _directory() / f"{_stem(Path(os.path.realpath(mountpoint)))}.lock"
    with ExitStack() as held:
        try:
            make_private_directory(path.parent)
            file = held.enter_context(open(path, "a+b", buffering=0, opener=private))
        except OSError as error:
            log.debug("whether somebody else mounts at %s is not known: %s", mountpoint, error)
        else:
            _lock(file, mountpoint)
        yield held.close


def _lock(file: IO[bytes], mountpoint: Path) -> None:
    try:
        claim(file.fileno())
    except BlockingIOError as error:
        file.seek(0)
        raise MountError(
            f"{mountpoint}: process {file.read().decode(errors='replace')} is about to mount here; "
            "wait for it, or end it"
        ) from error
    file.truncate(0)
    file.write(b"%d" % os.getpid())


def told_of(mountpoint: Path) -> Told | None:
    """Returns what was told of a mount point, maybe by a process that was killed; None if nothing was.

    Args:
        mountpoint: Absolute and without links.
    """
    stem = _stem(mountpoint)
    told = [each for path in _files() if path.name.startswith(stem) and (each := _read(path)) is not None]
    return max(told, key=lambda each: (each.process.is_alive, each.since), default=None)


def forget_ended() -> None:
    """Removes the files of processes that have ended and whose mounts are gone too."""
    for path in _files():
        told = _read(path)
        if told is not None and not told.process.is_alive and mount_at(Path(told.mountpoint)) is None:
            with suppress(OSError):
                path.unlink()


def _directory() -> Path:
    return platformdirs.user_state_path("rosefs") / "mounts"


def _stem(mountpoint: Path) -> str:
    """Returns what starts the names of all files about a mount point."""
    return hashlib.blake2b(os.fsencode(mountpoint), digest_size=12).hexdigest()


def _files() -> Iterable[Path]:
    try:
        return [path for path in _directory().iterdir() if path.suffix == _SUFFIX]
    except OSError:
        return []


def _read(path: Path) -> Told | None:
    try:
        return msgspec.convert(json.loads(path.read_text(encoding="ascii")), Told)
    except (OSError, ValueError):  # not there, or of another version of rosefs
        return None


def _started(pid: int) -> int:
    # The name, in brackets, may hold anything; the 22nd field is the 20th after it.
    fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    if fields[0] in (b"Z", b"X"):
        raise ProcessLookupError(f"process {pid} has ended")
    return int(fields[19])


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
