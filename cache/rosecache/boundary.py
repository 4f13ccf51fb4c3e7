"""Where the music directory ends: what is linked from elsewhere is shown, and not written to unless that is permitted.

Two rules. A directory directly in the music directory that is a link out of it, such as a release on another disk, is
written to only where ``follow_links_to`` says so. A file that is a link is never written through, wherever it leads.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from rosecache.config import Config


def leads_to(c: Config, name: bytes) -> Path | None:
    """Returns where a directory directly in the music directory leads, if nothing may be written there; else None."""
    path = os.path.join(os.fsencode(c.music_source_dir), name)
    if not os.path.islink(path):
        return None
    real = Path(os.fsdecode(os.path.realpath(path)))
    allowed = (c.music_source_dir, *c.follow_links_to)
    return None if any(real.is_relative_to(os.path.realpath(each)) for each in allowed) else real


def may_write(c: Config, name: bytes) -> bool:
    """Tells whether an update may write to a directory directly in the music directory."""
    return not c.read_only and leads_to(c, name) is None


def expect_inside(c: Config, name: bytes) -> None:
    """Raises OSError if a directory directly in the music directory is a link to where nothing may be written."""
    if (real := leads_to(c, name)) is not None:
        path = c.music_source_dir / os.fsdecode(name)
        reason = f"a link to {real}, where nothing is written; to permit that, name it in follow_links_to"
        raise OSError(errno.EROFS, reason, str(path))


def expect_no_link(path: Path) -> None:
    """Raises OSError if a file is a link: what it leads to may be anybody's."""
    if path.is_symlink():
        reason = (
            "a symbolic link, through which nothing is written; put a copy of what it leads to in its place"
        )
        raise OSError(errno.EPERM, reason, str(path))
