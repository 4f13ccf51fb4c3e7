"""What is mounted, by the kernel's table: proc_pid_mountinfo(5).

Reads that table only and never touches a mount itself: a dead or a slow one would fail or block, and root gets
"permission denied" on another user's.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import msgspec

SUBTYPE = "rosefs"
"""By which our own mounts are known."""

_MOUNTINFO = Path("/proc/self/mountinfo")
_ESCAPED = re.compile(rb"\\([0-7]{3})")


class Mount(msgspec.Struct, frozen=True):
    """One mounted file system."""

    mountpoint: Path
    kind: str
    """The type with its subtype, such as ``ext4`` or ``fuse.rosefs``."""
    source: str
    minor: int
    """The minor number of its device, by which /sys knows a FUSE connection."""
    read_only: bool
    owner: int | None
    """The id of the user who mounted it, if it is of FUSE."""

    @property
    def is_rosefs(self) -> bool:
        return self.kind == f"fuse.{SUBTYPE}"


def mounts() -> list[Mount]:
    """Returns everything mounted, in the order in which it was mounted."""
    # Not splitlines: a path may hold a carriage return, which the kernel writes as it is.
    return [_parse(line) for line in _MOUNTINFO.read_bytes().split(b"\n") if line]


def mount_holding(path: Path) -> Mount | None:
    """Returns what is mounted where a path is, which is absolute and without links.

    None if the kernel does not say: what holds the root of a chroot need not be mounted there.
    """
    holding = [mount for mount in mounts() if mount.mountpoint == path or mount.mountpoint in path.parents]
    # Of several at one place the last covers the others.
    nearest = max(enumerate(holding), key=lambda each: (len(each[1].mountpoint.parts), each[0]), default=None)
    return nearest[1] if nearest is not None else None


def _parse(line: bytes) -> Mount:
    """Reads a line of the table, in which ``-`` comes after a varying number of optional fields."""
    fields = line.split(b" ")
    after = fields.index(b"-", 6) + 1
    owner = re.search(rb"(?:^|,)user_id=(\d+)", fields[after + 2])
    return Mount(
        mountpoint=Path(_unescape(fields[4])),
        kind=os.fsdecode(fields[after]),
        source=_unescape(fields[after + 1]),
        minor=int(fields[2].partition(b":")[2]),
        read_only=b"ro" in fields[5].split(b","),
        owner=int(owner[1]) if owner is not None else None,
    )


def _unescape(text: bytes) -> str:
    """Undoes the kernel's escapes of blank, tab, newline, backslash and number sign, each one byte in octal."""
    return os.fsdecode(_ESCAPED.sub(lambda octal: bytes([int(octal[1], 8)]), text))
