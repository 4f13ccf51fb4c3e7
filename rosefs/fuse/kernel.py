"""What the kernel says about mounts in /proc and /sys, and one setting of it.

Reads tables only and never touches a mount itself: a dead or a slow one would fail or block, and root gets
"permission denied" on another user's.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger(__name__)

SUBTYPE = "rosefs"

_MOUNTINFO = Path("/proc/self/mountinfo")
_CONNECTIONS = Path("/sys/fs/fuse/connections")


@dataclass(frozen=True, slots=True)
class Mount:
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
    return [_parse(line) for line in os.fsdecode(_MOUNTINFO.read_bytes()).splitlines()]


def mount_at(mountpoint: Path) -> Mount | None:
    """Returns what is mounted at a path, the topmost if there are several; None if nothing is."""
    table = {mount.mountpoint: mount for mount in mounts()}
    # Links are resolved last, and only if need be: the process that serves a mount must not touch it itself.
    for resolve in (_resolved_above, os.path.realpath):
        if (mount := table.get(Path(resolve(mountpoint)))) is not None:
            return mount
    return None


def users_of(mountpoint: Path) -> list[str]:
    """Returns the processes that keep a mount busy, as ``name (id)``, as far as this user may see them.

    Args:
        mountpoint: Absolute and without links, as in :class:`Mount`.
    """
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and any(_is_below(path, mountpoint) for path in _paths_in_use(process)):
            found.append(f"{_name_of(process)} ({process.name})")
    return sorted(found)


def mounts_below(mountpoint: Path) -> list[Mount]:
    """Returns what is mounted inside a mount, which keeps it busy too."""
    return [mount for mount in mounts() if mountpoint in mount.mountpoint.parents]


def mount_holding(path: Path) -> Mount:
    """Returns what is mounted where a path is, which is absolute and without links."""
    holding = [m for m in mounts() if m.mountpoint == path or m.mountpoint in path.parents]
    # Of several at one place the last covers the others.
    return max(enumerate(holding), key=lambda each: (len(each[1].mountpoint.parts), each[0]))[1]


def raise_max_background(mountpoint: Path, number: int) -> None:
    """Lets the kernel have this many read-aheads under way. Does without where that is not permitted."""
    mount = mount_at(mountpoint)
    if mount is None:
        return
    try:
        (_CONNECTIONS / str(mount.minor) / "max_background").write_text(str(number))
    except OSError as error:
        log.debug("max_background stays as it is: %s", error)


def _parse(line: str) -> Mount:
    """Reads a line of mountinfo: proc(5), with ``-`` after a varying number of optional fields."""
    fields = line.split(" ")
    after = fields.index("-", 6) + 1
    owner = re.search(r"(?:^|,)user_id=(\d+)", fields[after + 2])
    return Mount(
        mountpoint=Path(_unescape(fields[4])),
        kind=fields[after],
        source=_unescape(fields[after + 1]),
        minor=int(fields[2].partition(":")[2]),
        read_only="ro" in fields[5].split(","),
        owner=int(owner[1]) if owner is not None else None,
    )


def _resolved_above(path: Path) -> Path:
    """Resolves the links on the way to a path, and not the path itself."""
    absolute = Path(os.path.abspath(path))
    return Path(os.path.realpath(absolute.parent)) / absolute.name


def _unescape(text: str) -> str:
    """Undoes the kernel's escapes of blank, tab, newline and backslash, each one byte in octal."""
    return re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), text)


def _paths_in_use(process: Path) -> Iterator[str]:
    """Yields what a process has open, has mapped or stands in. A process that ends meanwhile has nothing."""
    links = [process / "cwd", process / "root", process / "exe"]
    try:
        links += (process / "fd").iterdir()
    except OSError:
        return
    for link in links:
        try:
            yield os.readlink(link)
        except OSError:
            continue
    try:
        mapped = (process / "maps").read_bytes()
    except OSError:
        return
    # proc_pid_maps(5): a file that was closed can still be mapped; its path is all from the sixth field on.
    yield from {os.fsdecode(line[line.index(b"/") :]) for line in mapped.splitlines() if b" /" in line}


def _is_below(path: str, directory: Path) -> bool:
    return Path(path) == directory or directory in Path(path).parents


def _name_of(process: Path) -> str:
    try:
        return (process / "comm").read_text(errors="replace").strip()
    except OSError:
        return "a process that has ended"
