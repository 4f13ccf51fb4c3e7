"""Real mounts for tests, each served by a process of its own and gone when its block ends, whatever happens.

A mount that hangs cannot hang the tests: when its hard limit is over, its process is killed, which makes
every request on it fail. What the process logs as a warning or worse fails the test, unless it is expected.
"""

from __future__ import annotations

import logging
import pickle
import re
import select
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from rosecache.config import Config
from rosefs.fuse.kernel import mount_at
from rosefs.fuse.mount import MountOptions, Timeouts, UnmountError, unmount
from rosefs.fuse.operations import Operations
from rosefs.fuse.translation import Companion
from rosefs.library.journal import Journal
from rosefs.rules.smart import parse_smart
from rosefs.settings import SmartSettings, VfsSettings
from rosefs.vfs.filesystem import FileSystem
from tests.support.clocks import SharedClock
from tests.support.forking import Forked, Process
from tests.support.serve import serve_tree

REPOSITORY = Path(__file__).parents[2]
HARD_LIMIT = 60.0
SHARED_LIMIT = 600.0
"""The hard limit of mounts that the tests of a module share."""

_BAD_NEWS = re.compile(r"WARNING|ERROR|CRITICAL|Traceback|Exception ignored")


@dataclass(frozen=True)
class Mounted:
    """A mount that answers."""

    path: Path
    process: Process
    log_path: Path

    def log(self) -> str:
        """Returns what the process has written to standard error so far."""
        return self.log_path.read_text()


@dataclass(frozen=True)
class LibraryTree:
    """Makes the tree of a library: what the process that serves it calls."""

    c: Config
    settings: VfsSettings
    state_dir: Path | None = None
    """Where edits are noted; None for a library that nobody may change."""
    clock: SharedClock | None = None
    kind: type[FileSystem] = FileSystem
    smart: Sequence[SmartSettings] = ()

    def __call__(self) -> Operations:
        journal = None if self.state_dir is None else Journal(self.state_dir)
        smart = parse_smart(self.smart)
        if self.clock is None:
            tree = self.kind(self.c, self.settings, journal=journal, smart=smart)
        else:
            tree = self.kind(self.c, self.settings, journal=journal, clock=self.clock, smart=smart)
            self.clock.follow(tree.run_due)
        tree.recover()
        return tree


def start_serving(
    make: Callable[[], Operations],
    mountpoint: Path,
    binding: str,
    *,
    options: MountOptions,
    log_path: Path,
    prefix: Sequence[str] = (),
    log_level: int = logging.INFO,
    companions: Sequence[Companion] = (),
) -> Process:
    """Starts the process that mounts and serves, by way of the command ``prefix`` if given, and returns."""
    arguments = (make, mountpoint, binding, options, log_level, companions)
    if not prefix:
        return Forked(serve_tree, *arguments, log_path=log_path)
    command = [*prefix, sys.executable, "-m", "tests.support.serve"]
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, cwd=REPOSITORY
        )
    assert process.stdin is not None
    with process.stdin as pipe:
        pickle.dump(arguments, pipe)
    return process


@contextmanager
def mounted(
    make: Callable[[], Operations],
    tmp_path: Path,
    binding: str,
    *,
    timeouts: Timeouts | None = None,
    read_only: bool = True,
    expects_log: Sequence[str] = (),
    allows_log: Sequence[str] = (),
    hard_limit: float = HARD_LIMIT,
    log_level: int = logging.INFO,
    companions: Sequence[Companion] = (),
    prefix: Sequence[str] = (),
) -> Iterator[Mounted]:
    """Mounts a tree at ``tmp_path / "mnt"`` while the block runs.

    Args:
        make: Makes the tree, in the process that serves it.
        tmp_path: A directory of the test's own.
        binding: By name.
        timeouts: How long the kernel may keep answers, unless the usual ones are meant.
        read_only: Whether the kernel itself refuses to change anything.
        expects_log: Patterns of the lines that may, and must, be logged as a warning or worse.
        allows_log: Patterns of those that may be.
        hard_limit: Seconds until the process is killed; more than the usual for a mount that many tests share.
        log_level: From which level on the process logs.
        companions: What runs beside the mount, in that process.
        prefix: A command that starts that process, if it is not to be started directly.
    """
    mountpoint, source, log_path = tmp_path / "mnt", tmp_path / "source", tmp_path / "serve.log"
    mountpoint.mkdir(exist_ok=True)
    source.mkdir(exist_ok=True)
    options = MountOptions(source=source, read_only=read_only, timeouts=timeouts or Timeouts())
    process = start_serving(
        make, mountpoint, binding, options=options, log_path=log_path, prefix=prefix, log_level=log_level,
        companions=companions,
    )  # fmt: skip
    watchdog = threading.Timer(hard_limit, process.kill)
    watchdog.start()
    try:
        wait_until_ready(process, log_path)
        yield Mounted(mountpoint, process, log_path)
    finally:
        _end(process, mountpoint)
        watchdog.cancel()
    _check_log(log_path.read_text(), expects_log, allows_log)


def mounted_library(
    c: Config,
    tmp_path: Path,
    binding: str,
    settings: VfsSettings | None = None,
    *,
    timeouts: Timeouts | None = None,
    hard_limit: float = HARD_LIMIT,
    state_dir: Path | None = None,
    clock: SharedClock | None = None,
    kind: type[FileSystem] = FileSystem,
    expects_log: Sequence[str] = (),
    allows_log: Sequence[str] = (),
    prefix: Sequence[str] = (),
    smart: Sequence[SmartSettings] = (),
) -> AbstractContextManager[Mounted]:
    """Mounts the library of a configuration, whose cache is up to date: see :func:`mounted`.

    With a ``state_dir``, where edits are noted, it can be changed; it goes by the ``clock``, if there is one, and
    is of a ``kind`` of its own, if there is one.
    """
    return mounted(
        LibraryTree(c, settings or VfsSettings(), state_dir, clock, kind, smart), tmp_path, binding, timeouts=timeouts,
        hard_limit=hard_limit, read_only=state_dir is None, expects_log=expects_log, allows_log=allows_log,
        prefix=prefix,
    )  # fmt: skip


def wait_until_ready(process: Process, log_path: Path) -> None:
    assert process.stdout is not None
    poll = select.poll()  # unlike select, it takes any descriptor of a process that has many files open
    poll.register(process.stdout, select.POLLIN | select.POLLHUP)
    answered = poll.poll(HARD_LIMIT * 1000)
    line = process.stdout.readline() if answered else b""
    assert line == b"ready\n", f"the mount did not come up:\n{log_path.read_text()}"


def _end(process: Process, mountpoint: Path) -> None:
    """Unmounts and waits for the process; by force if need be."""
    try:
        if mount_at(mountpoint) is not None:
            unmount(mountpoint)
        process.wait(timeout=30)
    finally:
        end_by_force(process, mountpoint)


def end_by_force(process: Process, mountpoint: Path) -> None:
    """Makes sure that neither the process nor the mount is left; does nothing if both are gone."""
    if process.poll() is None:
        process.kill()
        process.wait()
    if mount_at(mountpoint) is not None:
        with suppress(UnmountError):
            unmount(mountpoint, lazy=True)
    assert process.stdout is not None
    process.stdout.close()


def _check_log(text: str, expected: Sequence[str], allowed: Sequence[str]) -> None:
    missing = [pattern for pattern in expected if not re.search(pattern, text)]
    assert not missing, f"expected in the log: {missing}\n{text}"
    known = (*expected, *allowed)
    bad = [line for line in text.splitlines() if _BAD_NEWS.match(line)]
    bad = [line for line in bad if not any(re.search(pattern, line) for pattern in known)]
    assert not bad, f"the process that serves complained:\n{text}"
