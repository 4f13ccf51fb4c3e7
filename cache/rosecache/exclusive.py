"""Renaming that never replaces anything: the kernel looks and renames in one step.

Looking first and renaming then would lose a file that somebody makes in between. Nothing here decides names.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
from collections.abc import Callable

_AT_FDCWD = -100
_RENAME_NOREPLACE = 1
_UNKNOWN = (errno.ENOSYS, errno.EINVAL)
"""What kernels and file systems say that do not know the flag (renameat2(2))."""


@functools.cache
def _renameat2() -> Callable[..., int] | None:
    function = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if function is not None:
        function.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
    return function


def rename_exclusively(old: bytes, new: bytes) -> None:
    """Renames a file or directory, unless the new name is taken.

    Where the file system does not know how, the name is looked at first, and the moment in between remains.

    Raises:
        FileExistsError: The new name is taken; nothing was changed.
        OSError: It cannot be renamed.
    """
    function = _renameat2()
    if function is not None:
        if function(_AT_FDCWD, old, _AT_FDCWD, new, _RENAME_NOREPLACE) == 0:
            return
        number = ctypes.get_errno()
        if number not in _UNKNOWN:
            raise OSError(number, os.strerror(number), old, None, new)
    if os.path.lexists(new):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), old, None, new)
    os.rename(old, new)
