"""The SQLite database: where it is, making it, connecting to it.

The file's name carries a hash of the schema, the program's cache version and the settings that shape the
cache. A change of any of them is therefore another file, built anew, while a process that runs with the old
one keeps it. Nothing here knows what is in the tables.
"""

from __future__ import annotations

import functools
import hashlib
import os
import sqlite3
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from rosecache.config import Config
from rosecache.locks import lock
from rosecache.temporary import make_private_directory

CACHE_VERSION = 2
"""Raised when an update stores something else for the same files under the same schema."""

_BUSY_SECONDS = 30
_LOG_PAGES = 4000
"""How long the write-ahead log gets before it is written back, which waits for the disk: 16 MB."""

_UNUSED_SECONDS = 60 * 24 * 3600
_TOUCH_SECONDS = 24 * 3600
_PREFIX = "rosecache."
_SUFFIX = ".sqlite3"


@functools.cache
def _schema() -> str:
    return resources.files("rosecache").joinpath("schema.sql").read_text(encoding="utf-8")


@functools.lru_cache(maxsize=16)
def _fingerprint(c: Config) -> str:
    text = f"{CACHE_VERSION}\n{c.cache_shape()}\n{_schema()}"
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


@functools.lru_cache(maxsize=16)
def database_path(c: Config) -> Path:
    """Returns where the database for this schema, version and these settings is."""
    return c.cache_dir / f"{_PREFIX}{_fingerprint(c)}{_SUFFIX}"


@dataclass(slots=True)
class _Opened:
    """A thread's own connection, and which file it is connected to."""

    connection: sqlite3.Connection
    device: int
    inode: int
    process: int

    def __del__(self) -> None:
        # The thread or the file went away. A child of a fork must not close what its parent still uses.
        if self.process == os.getpid():
            self.connection.close()


class _PerThread(threading.local):
    def __init__(self) -> None:
        self.opened: dict[str, _Opened] = {}


_per_thread = _PerThread()


@contextmanager
def connect(c: Config) -> Iterator[sqlite3.Connection]:
    """Gives a connection to the cache: WAL, foreign keys on, rows by name, autocommit, a busy timeout.

    Opening one costs many times a query, so each thread keeps its own; it is opened anew when the database
    file was replaced, and after a fork. A database that does not exist yet is created. Readers must fetch all
    rows of a query at once: a read left open holds up the write-ahead log.
    """
    name = str(database_path(c))
    opened = _per_thread.opened.get(name)
    if opened is None or not _is_usable(opened, name):
        _per_thread.opened.pop(name, None)
        if not os.path.exists(name):
            maybe_invalidate_cache_database(c)
        opened = _per_thread.opened[name] = _open(name)
    # Outside of any handler: what the caller's block raises is the caller's.
    yield opened.connection


def _is_usable(opened: _Opened, name: str) -> bool:
    """Tells whether a connection is this process's own, and to the file that has the name now."""
    if opened.process != os.getpid():
        return False
    try:
        status = os.stat(name)
    except FileNotFoundError:
        return False
    return (status.st_dev, status.st_ino) == (opened.device, opened.inode)


def log_path(c: Config) -> str:
    """Returns where the write-ahead log of the database is, when there is one."""
    return f"{database_path(c)}-wal"


def log_stamp(path: str) -> tuple[int, ...] | None:
    """Returns what is mostly another value once somebody has written to a database; None if that cannot be told.

    Costs a twentieth of asking the database. It is the inode, the size and the time of the log, whose path is given,
    and so it may change before a commit can be read, and stay the same for two commits in one tick of the clock.
    """
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def close_connections() -> None:
    """Closes this thread's connections; the next :func:`connect` opens new ones."""
    _per_thread.opened.clear()


def _open(name: str) -> _Opened:
    while True:
        before = os.stat(name)
        opened = _open_once(name)
        # A file that is replaced right now must not pass for the new one.
        if (opened.device, opened.inode) == (before.st_dev, before.st_ino):
            return opened


def _open_once(name: str) -> _Opened:
    connection = sqlite3.connect(
        f"file:{quoted(name)}?mode=rw",
        uri=True,
        timeout=_BUSY_SECONDS,
        isolation_level=None,
        cached_statements=256,
        check_same_thread=False,  # used by its thread only, but garbage collection may close it in another
    )
    connection.row_factory = sqlite3.Row
    for pragma in (
        "foreign_keys = ON",
        "synchronous = NORMAL",
        "mmap_size = 0",  # or each connection has most of the file in the process's memory before long
        "temp_store = MEMORY",
        f"wal_autocheckpoint = {_LOG_PAGES}",
    ):
        connection.execute(f"PRAGMA {pragma}")
    status = os.stat(name)
    return _Opened(connection, status.st_dev, status.st_ino, os.getpid())


def quoted(name: str) -> str:
    """Returns a file's name as it stands in a URI for SQLite."""
    return name.replace("%", "%25").replace("?", "%3f").replace("#", "%23")


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Runs the block in one write transaction: all of it is stored, or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    finally:
        # Also after a commit that failed, or the connection could begin no transaction ever again. Some
        # errors have rolled back themselves.
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def maybe_invalidate_cache_database(c: Config) -> None:
    """Makes sure that the right database exists and is whole; otherwise touches nothing.

    A file that is damaged or records another fingerprint than its name says is replaced under a lock, so two
    processes may do this at once. Databases of other settings that nobody has used
    for two months are removed.

    Raises:
        OSError: The cache directory cannot be written.
        LockTimeoutError: Another process holds the lock for too long.
    """
    make_private_directory(c.cache_dir)
    path = database_path(c)
    if not _is_whole(path, _fingerprint(c)):
        with lock(c, "database"):
            if not _is_whole(path, _fingerprint(c)):
                replace_database(c)
        _remove_unused(c, keep=path)
    elif time.time() - path.stat().st_mtime > _TOUCH_SECONDS:
        os.utime(path)  # tells other settings' programs that somebody uses it


def _is_whole(path: Path, fingerprint: str) -> bool:
    if not path.exists():
        return False
    try:
        connection = sqlite3.connect(f"file:{quoted(str(path))}?mode=rw", uri=True, timeout=_BUSY_SECONDS)
        try:
            rows = connection.execute("SELECT fingerprint FROM meta").fetchall()
        finally:
            connection.close()
    except sqlite3.DatabaseError as error:
        if is_damage(error) or _primary(error) == sqlite3.SQLITE_ERROR:  # as when there is no such table
            return False
        raise  # busy, a full disk, missing permissions: no fault of the file
    return rows == [(fingerprint,)]


def is_damage(error: sqlite3.Error) -> bool:
    """Tells whether an error says that a database file is not whole."""
    short = getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_IOERR_SHORT_READ
    return short or _primary(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _primary(error: sqlite3.Error) -> int:
    """Returns SQLite's result code, without what extends it."""
    code: int = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF


def replace_damaged_database(c: Config) -> None:
    """Puts an empty database in place of one that turned out to be damaged, unless somebody has done so.

    Raises as :func:`maybe_invalidate_cache_database`.
    """
    close_connections()
    with lock(c, "database"):
        if not _is_sound(database_path(c)):
            replace_database(c)


def _is_sound(path: Path) -> bool:
    """Tells whether a whole database file is free of damage. Reads all of it."""
    connection = sqlite3.connect(f"file:{quoted(str(path))}?mode=rw", uri=True, timeout=_BUSY_SECONDS)
    try:
        if connection.execute("PRAGMA quick_check(1)").fetchall() != [("ok",)]:
            return False
        with suppress(sqlite3.OperationalError):  # not to be written just now, which is another matter
            for table in ("releases_text", "tracks_text"):
                connection.execute(f"INSERT INTO {table} ({table}) VALUES ('integrity-check')")
    except sqlite3.DatabaseError as error:
        if is_damage(error):
            return False
        raise
    finally:
        connection.close()
    return True


def replace_database(c: Config) -> None:
    """Puts an empty database in place of whatever is there. The caller holds the lock ``database``."""
    path = database_path(c)
    fresh = path.with_name(f"{path.name}.new")
    for file in (path, fresh):
        _remove_database(file)
    os.close(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    connection = sqlite3.connect(fresh, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(f"BEGIN;\n{_schema()}\nCOMMIT;")
        connection.execute("INSERT INTO meta VALUES (?, ?)", (_fingerprint(c), uuid.uuid4().hex))
    finally:
        connection.close()  # the last connection checkpoints: the new file is complete without its log
    os.rename(fresh, path)


def _remove_database(path: Path) -> None:
    for file in (path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")):
        file.unlink(missing_ok=True)


def _remove_unused(c: Config, *, keep: Path) -> None:
    # By the age of the database file alone: the log of one that is only read can be old, and in use.
    for path in c.cache_dir.glob(f"{_PREFIX}*{_SUFFIX}"):
        with suppress(FileNotFoundError):
            if path != keep and time.time() - path.stat().st_mtime > _UNUSED_SECONDS:
                _remove_database(path)
