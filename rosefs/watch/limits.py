"""What the system allows and offers for following a directory: file systems without events, limits of watches.

Asks the kernel only, and watches nothing for longer than the question takes.
"""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path

from rosefs.mountinfo import mount_holding

_NETWORK = frozenset(
    {
        "9p", "afs", "ceph", "cifs", "coda", "davfs", "fuse", "gfs2", "glusterfs", "lustre", "ncpfs", "nfs", "nfs4",
        "ocfs2", "prl_fs", "smb3", "smbfs", "vboxsf", "virtiofs", "vmhgfs",
    }
)  # fmt: skip
"""File systems that others change without this kernel being told; and ``fuse.*``, of which nobody knows."""

_ANY_CHANGE = 0x00000002
"""IN_MODIFY of inotify(7); which event is of no matter here."""

LIMIT_REMEDY = (
    "raise fs.inotify.max_user_watches: put a line such as 'fs.inotify.max_user_watches = 524288' into"
    " /etc/sysctl.d/90-inotify.conf and run 'sysctl --system'; it is tried again every ten minutes"
)


def file_system_of(path: Path) -> str:
    """Returns the type of the file system that a path is on, such as ``ext4`` or ``fuse.sshfs``; or an empty text."""
    mount = mount_holding(Path(os.path.realpath(path)))
    return mount.kind if mount is not None else ""


def lacks_events(kind: str) -> bool:
    """Tells whether changes on a file system of this type can happen without an event."""
    return kind in _NETWORK or kind.startswith("fuse.")


def watch_limit_reached(path: Path) -> bool:
    """Tells whether this user may watch no further directory. Found out by watching one for a moment."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.inotify_init1(os.O_CLOEXEC)
    if descriptor < 0:
        return False  # another limit, that of watchers, which says nothing of this one
    try:
        if libc.inotify_add_watch(descriptor, os.fsencode(path), _ANY_CHANGE) >= 0:
            return False
        return ctypes.get_errno() == errno.ENOSPC
    finally:
        os.close(descriptor)
