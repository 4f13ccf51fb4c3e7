"""What a file has besides its content: carried over to the new version that takes its place.

The new file never lets in anybody whom the old one kept out. Nothing here touches content.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat

_NOT_OURS_TO_SET = ("security.", "trusted.")


def keep_attributes(source: int, target: int, status: os.stat_result, *, times: bool = True) -> None:
    """Gives an open file owner, mode, extended attributes (access control lists too) and times of another one.

    An owner that may not be given stays ours. If the group may not be given either, ours gets no more than
    everybody has.

    Args:
        source: Descriptor of the old file.
        target: Descriptor of the new file.
        status: The old file's, from before it was read.
        times: Whether the times are kept; a user's edit gets those of its writing.

    Raises:
        OSError: Something that has to be kept could not be.
    """
    mode = stat.S_IMODE(status.st_mode)
    mine = os.fstat(target)
    if (mine.st_uid, mine.st_gid) != (status.st_uid, status.st_gid):
        try:
            os.fchown(target, status.st_uid, status.st_gid)
        except PermissionError:
            mode &= ~(stat.S_ISUID | stat.S_ISGID)
            try:
                os.fchown(target, -1, status.st_gid)
            except PermissionError:
                everybody = mode & stat.S_IRWXO
                mode &= ~stat.S_IRWXG | everybody << 3
    os.fchmod(target, mode)
    _copy_extended(source, target)
    if times:
        os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))


def _copy_extended(source: int, target: int) -> None:
    try:
        names = os.listxattr(source)
    except OSError as error:
        if error.errno == errno.EOPNOTSUPP:
            return
        raise
    for name in names:
        value = os.getxattr(source, name)
        # The labels of security modules are set by the system, and only it may set them.
        refused = (PermissionError,) if name.startswith(_NOT_OURS_TO_SET) else ()
        with contextlib.suppress(*refused):
            os.setxattr(target, name, value)
