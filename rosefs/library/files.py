"""What edits do to single files and directories: rename, make, replace, copy; each whole or not at all.

Nothing here decides what is changed, and nothing is noted: that is ``making``'s part, by ``hands``.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import hashlib
import os
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import msgspec

from rosecache.tags.attributes import keep_attributes
from rosecache.tags.journal import REWRITE_PREFIX, flush_directory
from rosecache.temporary import TEMPORARY_PREFIX, make_temporary

CHUNK = 2**20
_FICLONE = 0x40049409
"""The request that makes one file share another one's blocks, see ioctl_ficlone(2)."""
_AT_FDCWD = -100
_RENAME_NOREPLACE = 1
_DIGEST_SIZE = 16

Progress = Callable[[int, int], None]
"""Called with how many bytes are copied, and how many there are."""


class Piece(msgspec.Struct, frozen=True):
    """Some bytes of a file."""

    path: Path
    start: int
    length: int


Content = bytes | Path | tuple["bytes | Piece", ...]
"""What a file is to hold: these bytes, those of another file, or pieces one after the other."""


Stretch = tuple[int, int, int]
"""Bytes that two files share: where they start in the old one and in the new one, and how many they are."""


def no_progress(done: int, total: int) -> None:
    """The progress that nobody wants to know."""


def rename_new(old: Path, new: Path) -> None:
    """Renames without ever replacing anything. Raises FileExistsError, or other OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    failed = libc.renameat2(
        _AT_FDCWD, os.fsencode(old), _AT_FDCWD, os.fsencode(new), ctypes.c_uint(_RENAME_NOREPLACE)
    )
    if failed:
        code = ctypes.get_errno()
        if code not in (errno.EINVAL, errno.ENOSYS):
            raise OSError(code, os.strerror(code), str(old), None, str(new))
        # File systems without that flag: the test and the rename are two steps, under our callers' locks.
        if os.path.lexists(new):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(new))
        os.rename(old, new)


def digest_of(path: Path) -> str:
    """Returns a digest of a file's content, as hexadecimal digits. Raises OSError; never follows a link."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb", buffering=0) as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=_DIGEST_SIZE)).hexdigest()


def digest_if_file(path: Path) -> str | None:
    """Returns the digest of a regular file, None for anything else that is there. Raises OSError."""
    return digest_of(path) if stat.S_ISREG(os.lstat(path).st_mode) else None


@contextmanager
def new_version(path: Path, content: Content) -> Iterator[Path]:
    """Writes what is to become a file under a temporary name beside it, flushed to the disk.

    What is at the path gives its owner, mode and extended attributes. On leaving, the temporary file goes, if
    nobody has renamed it. After a crash, recovery removes it.

    Raises:
        OSError: It cannot be written; nothing is left of it.
    """
    with _naming(path):
        temporary, descriptor = make_temporary(path.parent, REWRITE_PREFIX, path.suffix[:20], 0o666)
        try:
            _write_content(descriptor, content)
            with suppress(FileNotFoundError):
                _take_attributes(path, descriptor)
            os.fsync(descriptor)
            yield temporary
        finally:
            with suppress(FileNotFoundError):
                temporary.unlink()
            os.close(descriptor)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Has what fails in the block name a path, where it names none, or a temporary one that no one knows."""
    try:
        yield
    except OSError as error:
        is_known = isinstance(error.filename, str) and not Path(error.filename).name.startswith(
            TEMPORARY_PREFIX
        )
        if error.errno is None or is_known:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def _take_attributes(path: Path, descriptor: int) -> None:
    source = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        keep_attributes(source, descriptor, os.fstat(source), times=False)
    finally:
        os.close(source)


def _write_content(descriptor: int, content: Content) -> None:
    with open(descriptor, "wb", buffering=0, closefd=False) as target:
        for piece in content if isinstance(content, tuple) else (content,):
            if isinstance(piece, bytes):
                _write_all(target.fileno(), piece)
            elif isinstance(piece, Piece):
                with open(piece.path, "rb", buffering=0) as source:
                    _copy_range(source.fileno(), target.fileno(), piece.start, piece.length)
            else:
                with open(piece, "rb", buffering=0) as source:
                    copy_content(source.fileno(), target.fileno())


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _copy_range(source: int, target: int, start: int, length: int) -> None:
    while length:
        data = os.pread(source, min(CHUNK, length), start)
        if not data:
            raise OSError(errno.EIO, "the file became shorter while it was read")
        _write_all(target, data)
        start, length = start + len(data), length - len(data)


def copy_content(source: int, target: int, copied: Callable[[int], None] = lambda count: None) -> None:
    """Copies all of an open file into an empty one; as a reflink, which takes no space, where the disk can."""
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError:
        while data := os.read(source, CHUNK):
            _write_all(target, data)
            copied(len(data))
    else:
        copied(os.fstat(source).st_size)


def common_ends(old: Path, new: Path) -> tuple[int, int]:
    """Returns how many bytes two files share at their starts, and then at their ends, without overlap."""
    with open(old, "rb", buffering=0) as first, open(new, "rb", buffering=0) as second:
        sizes = os.fstat(first.fileno()).st_size, os.fstat(second.fileno()).st_size
        room = min(sizes)
        prefix = 0
        while prefix < room:
            count = min(CHUNK, room - prefix)
            a, b = os.pread(first.fileno(), count, prefix), os.pread(second.fileno(), count, prefix)
            same = _common_prefix(a, b)
            prefix += same
            if same < count:
                break
        suffix = 0
        while suffix < room - prefix:
            count = min(CHUNK, room - prefix - suffix)
            a = os.pread(first.fileno(), count, sizes[0] - suffix - count)
            b = os.pread(second.fileno(), count, sizes[1] - suffix - count)
            same = _common_prefix(a[::-1], b[::-1])
            suffix += same
            if same < count:
                break
    return prefix, suffix


def common_stretches(
    old: Path, new: Path, guesses: Iterable[Stretch], prefix: int, suffix: int
) -> tuple[Stretch, ...]:
    """Returns the stretches that two files share between the ends that they share.

    Args:
        old: A file.
        new: Another file.
        guesses: Where they may share some, in order, without overlap. Only what they do share is returned.
        prefix: How many bytes they share at their starts.
        suffix: How many bytes they share at their ends, without overlap.
    """
    found = []
    with open(old, "rb", buffering=0) as first, open(new, "rb", buffering=0) as second:
        files = first.fileno(), second.fileno()
        ends = [os.fstat(file).st_size - suffix for file in files]
        for in_old, in_new, length in guesses:
            skipped = max(0, prefix - in_old, prefix - in_new)
            count = min(length, ends[0] - in_old, ends[1] - in_new) - skipped
            starts = in_old + skipped, in_new + skipped
            if count > 0 and _are_same(files, starts, count):
                found.append((*starts, count))
    return tuple(found)


def _are_same(files: tuple[int, int], starts: tuple[int, int], length: int) -> bool:
    for done in range(0, length, CHUNK):
        count = min(CHUNK, length - done)
        a, b = (os.pread(file, count, start + done) for file, start in zip(files, starts, strict=True))
        if len(a) != count or a != b:
            return False
    return True


def _common_prefix(a: bytes, b: bytes) -> int:
    if a == b:
        return len(a)
    low, high = 0, min(len(a), len(b))
    while low < high:  # the longest common prefix is at least low and at most high
        middle = (low + high + 1) // 2
        if a[:middle] == b[:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def tree_size(directory: Path) -> int:
    """Returns how many bytes the files of a directory tree hold. Raises OSError if it cannot be read."""
    return sum(os.stat(Path(parent, name)).st_size for parent, _, names in walk(directory) for name in names)


def times_below(directory: Path) -> dict[str, int]:
    """Returns when each file of a directory tree was changed last, in nanoseconds, by its relative path.

    Without hidden files, which are datafiles for one. To write an identifier keeps a file's time.

    Raises:
        OSError: It cannot be read.
    """
    return {
        os.path.relpath(path, directory): os.lstat(path).st_mtime_ns
        for parent, _, names in walk(directory)
        for path in (os.path.join(parent, name) for name in names if not name.startswith("."))
    }


def walk(directory: Path) -> Iterator[tuple[str, list[str], list[str]]]:
    """Walks as os.walk does, but raises the errors that it swallows. Links to directories are not followed."""

    def fail(error: OSError) -> None:
        raise error

    return os.walk(directory, onerror=fail)


def copy_tree(source: Path, target: Path, progress: Progress) -> None:
    """Copies a directory tree into an empty directory, with times and attributes, and flushes it to the disk.

    A link to a file is copied as that file; one to a directory stays a link. The copy can be written by its
    owner, whatever the source's modes are.

    Raises:
        OSError: Something cannot be read or written; the copy is incomplete.
    """
    total, done = tree_size(source), 0

    def add(count: int) -> None:
        nonlocal done
        done += count
        progress(done, total)

    progress(0, total)
    directories = []
    for parent, below, names in walk(source):
        there = target / Path(parent).relative_to(source)
        directories.append((Path(parent), there))
        for name in below:
            if os.path.islink(os.path.join(parent, name)):
                os.symlink(os.readlink(os.path.join(parent, name)), there / name)
            else:
                (there / name).mkdir(mode=0o700)
        for name in names:
            copy_file(Path(parent, name), there / name, add)
    for original, copy in reversed(directories):
        shutil.copystat(original, copy)
        copy.chmod(copy.stat().st_mode | stat.S_IRWXU)
        flush_directory(copy)


def copy_file(source: Path, target: Path, copied: Callable[[int], None] = lambda count: None) -> None:
    """Copies a file to a new one, with times and attributes, flushed to the disk. Raises OSError.

    A link is copied as the file that it leads to. The copy can be written by its owner.
    """
    with _naming(target), open(source, "rb", buffering=0) as old, open(target, "xb", buffering=0) as new:
        copy_content(old.fileno(), new.fileno(), copied)
        shutil.copystat(source, target)
        os.fchmod(new.fileno(), os.fstat(new.fileno()).st_mode & 0o777 | stat.S_IRUSR | stat.S_IWUSR)
        os.fsync(new.fileno())


def can_reflink(directory: Path) -> bool | None:
    """Tells whether copies in a directory can share their space; None if nobody can tell.

    Tries it on files without names, of which nothing is ever seen.
    """
    with ExitStack() as opened:
        descriptors = []
        for _ in range(2):
            try:
                descriptor = os.open(directory, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
            except OSError:
                return None
            opened.callback(os.close, descriptor)
            descriptors.append(descriptor)
        source, target = descriptors
        try:
            _write_all(source, bytes(4096))
            fcntl.ioctl(target, _FICLONE, source)
        except OSError as error:
            return False if error.errno in (errno.EOPNOTSUPP, errno.ENOTTY, errno.EINVAL) else None
    return True
