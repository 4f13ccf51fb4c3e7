"""What the kernel says about our mounts and who uses them in /proc and /sys, and one setting of it.

Reads tables only and never touches a mount itself.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

from rosefs.mountinfo import Mount, mounts

log = logging.getLogger(__name__)

_CONNECTIONS = Path("/sys/fs/fuse/connections")


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
    below = f"{mountpoint}/"
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and any(f"{path}/".startswith(below) for path in _paths_in_use(process)):
            found.append(f"{_name_of(process)} ({process.name})")
    return sorted(found)


def mounts_below(mountpoint: Path) -> list[Mount]:
    """Returns what is mounted inside a mount, which keeps it busy too."""
    return [mount for mount in mounts() if mountpoint in mount.mountpoint.parents]


def raise_max_background(mountpoint: Path, number: int) -> None:
    """Lets the kernel have this many read-aheads under way. Does without where that is not permitted."""
    mount = mount_at(mountpoint)
    if mount is None:
        return
    try:
        (_CONNECTIONS / str(mount.minor) / "max_background").write_text(str(number))
    except OSError as error:
        log.debug("max_background stays as it is: %s", error)


def _resolved_above(path: Path) -> Path:
    """Resolves the links on the way to a path, and not the path itself."""
    absolute = Path(os.path.abspath(path))
    return Path(os.path.realpath(absolute.parent)) / absolute.name


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


def _name_of(process: Path) -> str:
    try:
        return (process / "comm").read_text(errors="replace").strip()
    except OSError:
        return "a process that has ended"
