"""A file system that can do little, as those of memory cards.

``python -m tests.support.poor_disk DIRECTORY MOUNTPOINT`` shows a directory, by llfuse, but has no hard or symbolic
links, no extended attributes, no owners and permissions of its own, times of two seconds each, and other inode
numbers every time it is mounted. Prints ``ready``.
"""

from __future__ import annotations

import errno
import os
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import llfuse

_TICK = 2 * 10**9
_PERMISSIONS = {True: 0o40755, False: 0o100755}


def _asked(call: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """Asks the directory beneath, whose errors are those of this file system."""
    try:
        return call(*arguments, **named)
    except OSError as error:
        raise llfuse.FUSEError(error.errno) from error


def _refuse(number: int) -> Callable[..., Any]:
    def refused(*arguments: object) -> Any:
        raise llfuse.FUSEError(number)

    return refused


class PoorDisk(llfuse.Operations):  # type: ignore[misc]
    """Numbers are those of paths, and go with them when they are renamed."""

    link = symlink = mknod = _refuse(errno.EPERM)
    getxattr = setxattr = listxattr = removexattr = _refuse(errno.EOPNOTSUPP)

    def __init__(self, top: bytes) -> None:
        super().__init__()
        self._next: int = llfuse.ROOT_INODE
        self._paths = {llfuse.ROOT_INODE: top}
        self._numbers = {top: llfuse.ROOT_INODE}
        self._open: defaultdict[int, list[int]] = defaultdict(list)

    def _number(self, path: bytes) -> int:
        number = self._numbers.get(path)
        if number is None:
            number = self._next = self._next + 1
            self._paths[number], self._numbers[path] = path, number
        return number

    def _below(self, parent: int, name: bytes) -> bytes:
        return os.path.join(self._paths[parent], name)

    def _place(self, inode: int) -> bytes | int:
        """Returns where a file is: if it has no name any more, an open descriptor."""
        path = self._paths[inode]
        return path if self._numbers.get(path) == inode or not self._open[inode] else self._open[inode][0]

    def _attributes(self, inode: int) -> llfuse.EntryAttributes:
        place = self._place(inode)
        status = _asked(os.fstat if isinstance(place, int) else os.lstat, place)
        entry = llfuse.EntryAttributes()
        entry.st_ino, entry.st_mode = inode, _PERMISSIONS[os.path.isdir(place)]
        entry.st_nlink, entry.st_uid, entry.st_gid = 1, os.getuid(), os.getgid()
        entry.st_rdev, entry.st_size = 0, status.st_size
        entry.st_blksize, entry.st_blocks = 4096, status.st_blocks
        entry.st_atime_ns = status.st_atime_ns // _TICK * _TICK
        entry.st_mtime_ns = entry.st_ctime_ns = status.st_mtime_ns // _TICK * _TICK
        entry.entry_timeout = entry.attr_timeout = 0
        return entry

    # Names --------------------------------------------------------------------------------------------------

    def lookup(self, parent: int, name: bytes, ctx: object) -> llfuse.EntryAttributes:
        path = self._below(parent, name)
        _asked(os.lstat, path)
        return self._attributes(self._number(path))

    def getattr(self, inode: int, ctx: object) -> llfuse.EntryAttributes:
        return self._attributes(inode)

    def opendir(self, inode: int, ctx: object) -> int:
        return inode

    def readdir(self, fh: int, off: int) -> Iterator[tuple[bytes, llfuse.EntryAttributes, int]]:
        for number, name in enumerate(sorted(_asked(os.listdir, self._paths[fh])), 1):
            if number > off:
                try:
                    yield name, self._attributes(self._number(self._below(fh, name))), number
                except llfuse.FUSEError:
                    continue  # gone meanwhile

    def mkdir(self, parent: int, name: bytes, mode: int, ctx: object) -> llfuse.EntryAttributes:
        _asked(os.mkdir, self._below(parent, name))
        return self.lookup(parent, name, ctx)

    def unlink(self, parent: int, name: bytes, ctx: object) -> None:
        _asked(os.unlink, self._below(parent, name))
        self._numbers.pop(self._below(parent, name), None)

    def rmdir(self, parent: int, name: bytes, ctx: object) -> None:
        _asked(os.rmdir, self._below(parent, name))
        self._numbers.pop(self._below(parent, name), None)

    def rename(self, parent: int, name: bytes, to_parent: int, to_name: bytes, ctx: object) -> None:
        old, new = self._below(parent, name), self._below(to_parent, to_name)
        _asked(os.rename, old, new)
        self._numbers.pop(new, None)
        for path in [path for path in self._numbers if path == old or path.startswith(old + b"/")]:
            number = self._numbers.pop(path)
            self._paths[number] = new + path[len(old) :]
            self._numbers[self._paths[number]] = number

    # Files --------------------------------------------------------------------------------------------------

    def setattr(
        self, inode: int, attr: llfuse.EntryAttributes, fields: Any, fh: int | None, ctx: object
    ) -> llfuse.EntryAttributes:
        place = self._place(inode)
        if fields.update_size:
            _asked(os.truncate, place, attr.st_size)
        now = self._attributes(inode)
        if (fields.update_uid and attr.st_uid != now.st_uid) or (
            fields.update_gid and attr.st_gid != now.st_gid
        ):
            raise llfuse.FUSEError(errno.EPERM)
        if fields.update_atime or fields.update_mtime:
            times = (
                attr.st_atime_ns if fields.update_atime else now.st_atime_ns,
                attr.st_mtime_ns if fields.update_mtime else now.st_mtime_ns,
            )
            _asked(os.utime, place, ns=times)
        return self._attributes(inode)

    def create(
        self, parent: int, name: bytes, mode: int, flags: int, ctx: object
    ) -> tuple[int, llfuse.EntryAttributes]:
        path = self._below(parent, name)
        descriptor = _asked(os.open, path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o755)
        self._open[self._number(path)].append(descriptor)
        return descriptor, self._attributes(self._number(path))

    def open(self, inode: int, flags: int, ctx: object) -> int:
        descriptor: int = _asked(os.open, self._paths[inode], os.O_RDWR | os.O_CLOEXEC)
        self._open[inode].append(descriptor)
        return descriptor

    def read(self, fh: int, off: int, size: int) -> bytes:
        return bytes(_asked(os.pread, fh, size, off))

    def write(self, fh: int, off: int, buf: bytes) -> int:
        return int(_asked(os.pwrite, fh, buf, off))

    def fsync(self, fh: int, datasync: bool) -> None:
        _asked(os.fsync, fh)

    def fsyncdir(self, fh: int, datasync: bool) -> None:
        pass

    def flush(self, fh: int) -> None:
        pass

    def release(self, fh: int) -> None:
        for descriptors in self._open.values():
            if fh in descriptors:
                descriptors.remove(fh)
        os.close(fh)

    def statfs(self, ctx: object) -> llfuse.StatvfsData:
        found, beneath = llfuse.StatvfsData(), os.statvfs(self._paths[llfuse.ROOT_INODE])
        for name in ("bsize", "frsize", "blocks", "bfree", "bavail", "files", "ffree", "favail"):
            setattr(found, f"f_{name}", getattr(beneath, f"f_{name}"))
        return found


def main(directory: str, mountpoint: str) -> None:
    llfuse.init(PoorDisk(os.fsencode(directory)), mountpoint, ["fsname=poor", "subtype=poor"])
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    try:
        llfuse.main(workers=1)
    finally:
        llfuse.close(unmount=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
