"""Every way in which a program can try to change something in a directory, one by one."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

WRITES: Mapping[str, Callable[[Path, str, str], object]] = {
    "open for writing": lambda top, file, sub: os.open(top / file, os.O_WRONLY),
    "open for reading and writing": lambda top, file, sub: os.open(top / file, os.O_RDWR),
    "open for appending": lambda top, file, sub: os.open(top / file, os.O_WRONLY | os.O_APPEND),
    "open with truncation": lambda top, file, sub: os.open(top / file, os.O_WRONLY | os.O_TRUNC),
    "open for reading with truncation": lambda top, file, sub: os.open(top / file, os.O_RDONLY | os.O_TRUNC),
    "create": lambda top, file, sub: os.open(top / "new", os.O_WRONLY | os.O_CREAT),
    "create exclusively": lambda top, file, sub: os.open(top / "new", os.O_RDWR | os.O_CREAT | os.O_EXCL),
    "truncate": lambda top, file, sub: os.truncate(top / file, 0),
    "extend": lambda top, file, sub: os.truncate(top / file, 10_000_000),
    "mkdir": lambda top, file, sub: os.mkdir(top / "new"),
    "mknod": lambda top, file, sub: os.mknod(top / "new"),
    "mkfifo": lambda top, file, sub: os.mkfifo(top / "new"),
    "unlink": lambda top, file, sub: os.unlink(top / file),
    "rmdir": lambda top, file, sub: os.rmdir(top / sub),
    "rename a file": lambda top, file, sub: os.rename(top / file, top / "new"),
    "rename a directory": lambda top, file, sub: os.rename(top / sub, top / "new"),
    "link": lambda top, file, sub: os.link(top / file, top / "new"),
    "symlink": lambda top, file, sub: os.symlink("x", top / "new"),
    "chmod": lambda top, file, sub: os.chmod(top / file, 0o600),
    "chown": lambda top, file, sub: os.chown(top / file, os.getuid(), os.getgid()),
    "utime": lambda top, file, sub: os.utime(top / file, (1, 1)),
    "touch": lambda top, file, sub: os.utime(top / sub),
    "setxattr": lambda top, file, sub: os.setxattr(top / file, "user.x", b"y"),
    "setxattr of a new one": lambda top, file, sub: os.setxattr(top / file, "user.x", b"y", os.XATTR_CREATE),
    "removexattr": lambda top, file, sub: os.removexattr(top / file, "user.x"),
}
"""What is tried, and a function that tries it on a file and an other directory in a directory."""
