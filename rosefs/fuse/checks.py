"""Whether a mount can be made, found out before the kernel is asked, and explained when the kernel refuses.

Each check raises a ``MountError`` whose text says what to do. Never mounts or changes anything.
"""

from __future__ import annotations

import errno
import os
import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rosefs.fuse.errors import MountError
from rosefs.fuse.kernel import mount_at
from rosefs.fuse.liveness import Liveness, liveness_of

_DEVICE = Path("/dev/fuse")
_FUSE_CONF = Path("/etc/fuse.conf")


def check_mountpoint(mountpoint: Path, source: Path, *, allow_nonempty: bool) -> None:
    """Makes sure that a directory can be mounted on.

    Raises:
        MountError: It is missing, no directory, not empty, a mount already (a dead one maybe), inside the
            source directory, or the source directory inside it.
    """
    if (mount := mount_at(mountpoint)) is not None:
        raise MountError(_occupied(mountpoint, what=f"{mount.kind} of {mount.source}"))
    try:
        is_empty = not os.listdir(mountpoint)
    except FileNotFoundError as error:
        raise MountError(f"{mountpoint}: there is no such directory; make it first") from error
    except NotADirectoryError as error:
        raise MountError(f"{mountpoint}: is not a directory") from error
    except OSError as error:
        raise MountError(f"{mountpoint}: {error.strerror}") from error
    _check_nesting(Path(os.path.realpath(mountpoint)), Path(os.path.realpath(source)))
    if not is_empty and not allow_nonempty:
        raise MountError(f"{mountpoint}: is not empty; a mount would hide what is in it")


def check_device() -> None:
    """Makes sure that this process may speak to FUSE. Raises MountError if it may not."""
    try:
        os.close(os.open(_DEVICE, os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
            hint = "load the kernel module (modprobe fuse); a container has to be given the device"
        else:
            hint = "this user, or this container, may not mount file systems by FUSE"
        raise MountError(f"{_DEVICE}: {error.strerror}; {hint}") from error


def check_fusermount() -> None:
    """Makes sure that the program is there by which ordinary users mount. Raises MountError if it is missing."""
    if os.geteuid() != 0 and fusermount() is None:
        raise MountError(
            "fusermount3 is missing, without which only root can mount; on Debian, install fuse3"
        )


def check_allow_other() -> None:
    """Makes sure that others may be let in. Raises MountError if the administrator does not allow it."""
    if os.geteuid() == 0:
        return
    try:
        lines = _FUSE_CONF.read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    if "user_allow_other" not in (line.strip() for line in lines):
        raise MountError(f"allow_other needs the line user_allow_other in {_FUSE_CONF}")


def fusermount() -> str | None:
    """Returns the program that mounts and unmounts for ordinary users, or None."""
    return shutil.which("fusermount3") or shutil.which("fusermount")


@contextmanager
def explaining_refusal(mountpoint: Path) -> Iterator[None]:
    """Turns a binding's bare "mount failed" into a MountError with the reason.

    libfuse and fusermount3 write the reason to the process's standard error and return none, so that is
    where it is collected from; what they write without failing is passed on.
    """
    sys.stderr.flush()
    with open(os.memfd_create("said", os.MFD_CLOEXEC), "w+b", buffering=0) as collected:
        terminal = os.dup(2)
        os.dup2(collected.fileno(), 2)
        failure: RuntimeError | None = None
        try:
            yield
        except RuntimeError as error:
            failure = error
        finally:
            sys.stderr.flush()
            os.dup2(terminal, 2)
            os.close(terminal)
        collected.seek(0)
        said = collected.read().decode(errors="replace").strip()
    if failure is not None:
        raise MountError(_refusal(mountpoint, said or str(failure))) from failure
    if said:
        sys.stderr.write(f"{said}\n")


def _occupied(mountpoint: Path, *, what: str) -> str:
    if liveness_of(mountpoint) is Liveness.DEAD:
        return (
            f"{mountpoint}: is a dead mount ({what}), whose process has ended; "
            f"run: rosefs unmount {shlex.quote(str(mountpoint))}"
        )
    return f"{mountpoint}: something is mounted here already: {what}"


def _check_nesting(mountpoint: Path, source: Path) -> None:
    if mountpoint == source:
        raise MountError(f"{mountpoint}: is the music directory itself; mount somewhere else")
    if source in mountpoint.parents:
        raise MountError(f"{mountpoint}: is inside the music directory {source}; mount somewhere else")
    if mountpoint in source.parents:
        raise MountError(f"{mountpoint}: holds the music directory {source}; mount somewhere else")


def _refusal(mountpoint: Path, said: str) -> str:
    text = f"{mountpoint}: the mount was refused: {said}"
    if "ermission denied" in said:
        text += (
            "; some systems let users mount only below their home, /mnt, /media or /tmp"
            " (AppArmor's profile of fusermount3)"
        )
    return text
