"""Messages to the kernel about what it must forget, written to the FUSE device itself: for llfuse.

llfuse queues such messages for a thread of its own, and tells nobody when one was sent or what the kernel said to it.
Who waits for one, or has to know whether the kernel takes any, needs both. The messages are those of linux/fuse.h.
Knows nothing of requests or of the tree.
"""

from __future__ import annotations

import os
import stat
import struct

_DEVICE = os.makedev(10, 229)
"""/dev/fuse, under whatever name: Documentation/admin-guide/devices.txt of the kernel."""

_HEADER = struct.Struct("=IiQ")
"""``fuse_out_header``: length, code, and 0 for a message that answers no request."""
_INODE = struct.Struct("=Qqq")
"""``fuse_notify_inval_inode_out``: inode, first byte and number of bytes of the pages; -1 and 0 for none."""
_ENTRY = struct.Struct("=QII")
"""``fuse_notify_inval_entry_out``: parent, length of the name, flags; the name and a zero byte follow."""
_INVALIDATE_INODE = 2
_INVALIDATE_ENTRY = 3


def open_devices() -> set[int]:
    """Returns the descriptors of this process that are open on the FUSE device."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            status = os.fstat(int(name))
        except OSError:
            continue  # it was that of the listing itself
        if stat.S_ISCHR(status.st_mode) and status.st_rdev == _DEVICE:
            found.add(int(name))
    return found


class Device:
    """The kernel, to be told what it must not remember any more: ``vfs.model.Kernel``."""

    keeps_listings = False
    """With llfuse nobody learns which directory is read, unless it was opened; and then the kernel keeps nothing."""

    def __init__(self) -> None:
        self._descriptor = -1

    def attach(self, descriptor: int) -> None:
        """Uses a mount's descriptor from now on, by a duplicate: its number may be another file's some day."""
        self._descriptor = os.dup(descriptor)

    def close(self) -> None:
        """Lets go of the descriptor. Nothing may be told at the same time or afterwards."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1

    def forget_entry(self, parent: int, name: bytes) -> bool:
        return self._send(_INVALIDATE_ENTRY, _ENTRY.pack(parent, len(name), 0) + name + b"\0")

    def forget_attributes(self, inode: int) -> bool:
        return self._send(_INVALIDATE_INODE, _INODE.pack(inode, -1, 0))

    def drop_pages(self, inode: int) -> bool:
        return self._send(_INVALIDATE_INODE, _INODE.pack(inode, 0, 0))

    def _send(self, code: int, message: bytes) -> bool:
        try:
            os.write(self._descriptor, _HEADER.pack(_HEADER.size + len(message), code, 0) + message)
        except FileNotFoundError:
            return False
        return True
