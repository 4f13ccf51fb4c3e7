"""What every test gets: a clean log, no mount left behind, and the fixtures that all rooms share.

It holds policy only; builders of releases and audio files live in ``tests/support``. A test that needs the
kernel's FUSE or one of the bindings asks for ``need_fuse`` or ``binding``: on a user's machine it is skipped
with the reason when that is missing, in continuous integration (``CI=true``) it fails.
"""

from __future__ import annotations

import functools
import importlib
import logging
import os
import re
import shutil
import subprocess
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import hypothesis
import pytest

from rosecache.config import Config
from rosecache.database import close_connections

T = TypeVar("T")

TESTS = Path(__file__).parent
BINDINGS = ("pyfuse3", "llfuse")
WATCHED_LOGGERS = ("rosecache", "rosefs")

# No deadlines and no health check by the clock: a busy machine is no failure of the code.
hypothesis.settings.register_profile(
    "rosefs", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("rosefs")


# The order ----------------------------------------------------------------------------------------------

FIRST = (
    "test_bench.py", "watch/test_watcher.py", "library/test_kills.py", "fuse/test_changes_at_once.py",
    "end_to_end/test_changes.py", "fuse/test_gestures_files.py", "cli/test_background.py",
    "fuse/test_any_gestures.py", "end_to_end/test_players.py", "fuse/test_gestures_imports.py",
    "fuse/test_freshness.py", "end_to_end/test_hostile_library.py", "rules/test_running.py",
    "watch/test_limits.py", "cli/test_watch.py",
)  # fmt: skip
"""The files that take longest, or wait most. Begun with, none of them is left to run alone at the end."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the tests of those files first, and leaves all others in their order."""
    places = {TESTS / file: place for place, file in enumerate(FIRST)}
    items.sort(key=lambda item: places.get(item.path, len(FIRST)))


# The log ------------------------------------------------------------------------------------------------


class _Collector(logging.Handler):
    """Keeps the records of level WARNING and above, as one line each."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.levelname} {record.name}: {record.getMessage()}")


_collected = pytest.StashKey[_Collector]()


@contextmanager
def _collecting(item: pytest.Item) -> Iterator[_Collector]:
    """Collects what our loggers say; put on anew for each phase, since a test may replace the handlers."""
    collector = item.stash.setdefault(_collected, _Collector())
    loggers = [logging.getLogger(name) for name in WATCHED_LOGGERS]
    for logger in loggers:
        logger.addHandler(collector)
    try:
        yield collector
    finally:
        for logger in loggers:
            logger.removeHandler(collector)


def _expected(item: pytest.Item) -> list[str]:
    return [regex for marker in item.iter_markers("expects_log") for regex in marker.args]


def _fail_on_unexpected(item: pytest.Item, collector: _Collector) -> None:
    expected = _expected(item)
    unexpected = [line for line in collector.lines if not any(re.search(regex, line) for regex in expected)]
    if unexpected:
        collector.lines.clear()
        pytest.fail("unexpected log records:\n  " + "\n  ".join(unexpected), pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, T, T]:
    with _collecting(item):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, T, T]:
    with _collecting(item) as collector:
        result = yield
    _fail_on_unexpected(item, collector)
    unseen = [
        regex for regex in _expected(item) if not any(re.search(regex, line) for line in collector.lines)
    ]
    if unseen:
        pytest.fail("expected log records that did not come:\n  " + "\n  ".join(unseen), pytrace=False)
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, T, T]:
    with _collecting(item) as collector:
        collector.lines.clear()
        result = yield
    _fail_on_unexpected(item, collector)
    return result


# What the machine has to offer --------------------------------------------------------------------------


def in_ci() -> bool:
    return os.environ.get("CI") == "true"


def skip_or_fail(reason: str) -> None:
    """Skips the test for something that this machine lacks; fails it where nothing may be lacking."""
    if in_ci():
        pytest.fail(f"CI has to have this: {reason}", pytrace=False)
    pytest.skip(reason)


def need_program(name: str) -> None:
    """Lets a test go on only where a program is installed."""
    if shutil.which(name) is None:
        skip_or_fail(f"{name} is missing; scripts/setup --tests installs it")


@pytest.fixture(scope="session")
def need_root() -> None:
    """Lets a test run only as root."""
    if os.geteuid() != 0:
        skip_or_fail("only root can do what is tested")


@functools.cache
def fuse_problem() -> str | None:
    """Returns why nothing can be mounted here, or None."""
    if shutil.which("fusermount3") is None:
        return "fusermount3 is missing; on Debian, install fuse3"
    try:
        os.close(os.open("/dev/fuse", os.O_RDWR))
    except OSError as error:
        return f"/dev/fuse cannot be opened: {error.strerror}"
    return None


@pytest.fixture(scope="session")
def need_fuse() -> None:
    """Lets a test run only where the kernel mounts FUSE file systems for us."""
    if (problem := fuse_problem()) is not None:
        skip_or_fail(problem)


@pytest.fixture(scope="session", params=BINDINGS)
def binding(request: pytest.FixtureRequest) -> str:
    """Each FUSE binding in turn, by name."""
    name: str = request.param
    try:
        importlib.import_module(name)
    except ImportError as error:
        skip_or_fail(f"{name} cannot be imported: {error}")
    return name


@pytest.fixture
def c(tmp_path: Path) -> Config:
    """A configuration with a source and a cache directory of the test's own, both empty."""
    config = Config(music_source_dir=tmp_path / "source", cache_dir=tmp_path / "cache", max_proc=2)
    config.music_source_dir.mkdir()
    config.cache_dir.mkdir()
    return config


@pytest.fixture(autouse=True)
def _no_connection_left() -> Iterator[None]:
    """Closes a test's connections: each has three files open, and select() knows no file beyond the 1,024th."""
    yield
    close_connections()


@pytest.fixture(scope="session", autouse=True)
def _state_of_their_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keeps the tests' programs from telling in the user's state directory what they do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


# Mounts left behind -------------------------------------------------------------------------------------


def mounts_below(directory: Path) -> list[Path]:
    """Returns the mount points below a directory, deepest first. Reads no mount: a dead one would block."""
    found = []
    for line in (
        Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    ):
        # proc(5): the fifth field is the mount point, with blank, tab, newline and backslash in octal.
        mount_point = Path(re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), line.split(" ")[4]))
        if directory in mount_point.parents:
            found.append(mount_point)
    return sorted(found, key=lambda path: len(path.parts), reverse=True)


@pytest.fixture(scope="session", autouse=True)
def _no_mount_left(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    yield
    left = mounts_below(tmp_path_factory.getbasetemp().resolve())
    for mount_point in left:
        subprocess.run(["fusermount3", "-u", "-z", str(mount_point)], check=False)
    if left:
        pytest.fail("mounts were left behind:\n  " + "\n  ".join(map(str, left)), pytrace=False)
