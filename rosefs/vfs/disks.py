"""Which files can be opened and read without waiting for a disk: those that the kernel has in memory.

The kernel says so where it is asked for no more than that: openat2(2) with RESOLVE_CACHED for the directories on the
way and the file itself, preadv2(2) with RWF_NOWAIT for bytes. The latter only some file systems know, of which none
asks another machine or process when a file is opened; on others nothing is taken to be in memory.
"""

from __future__ import annotations

import ctypes
import os
import struct

_OPENAT2 = 437
"""The number of the system call, which has no function in the C library. The same on all machines but Alpha."""
_AT_FDCWD = -100
_RESOLVE_CACHED = 0x20

_AT_EMPTY_PATH = 0x1000
_AT_STATX_DONT_SYNC = 0x4000
_STATX_SIZE, _STATX_DEVICE = 256, 136
"""Of struct statx, and where in it the device is: two numbers of 32 bits."""

_libc = ctypes.CDLL(None)
_syscall = _libc.syscall
_syscall.argtypes = (ctypes.c_long, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_size_t)
_syscall.restype = ctypes.c_long


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


# With O_PATH nothing is opened: what is found is only held on to.
_HOW = _OpenHow(os.O_PATH | os.O_CLOEXEC, 0, _RESOLVE_CACHED)


class Disks:
    """What is known of devices, by their numbers. Safe to use from several threads at once.

    Attributes:
        answering: Those that tell whether bytes are in memory.
        refusing: Those that do not.
    """

    def __init__(self) -> None:
        self.answering: set[int] = set()
        self.refusing: set[int] = set()

    def has_at_hand(self, path: bytes) -> bool:
        """Tells, without waiting, whether a file can be opened without waiting. False if that is not known."""
        if not self.answering:
            return False
        # Kernels before 5.12 know no such flag, and those before 5.6 no such call.
        descriptor = _syscall(_OPENAT2, _AT_FDCWD, path, ctypes.byref(_HOW), ctypes.sizeof(_HOW))
        if descriptor < 0:
            return False
        try:
            return _device_of(descriptor) in self.answering
        finally:
            os.close(descriptor)


def _device_of(descriptor: int) -> int | None:
    """Returns the device that a file is on, without asking a file system on another machine."""
    status = ctypes.create_string_buffer(_STATX_SIZE)
    flags = _AT_EMPTY_PATH | _AT_STATX_DONT_SYNC
    if _libc.statx(descriptor, b"", flags, 0, status) != 0:
        return None
    return os.makedev(*struct.unpack_from("=II", status, _STATX_DEVICE))
