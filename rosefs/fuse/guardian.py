"""Ends a mount whose process was killed and cannot die: a small process beside the one that serves.

Telling the kernel to forget a name waits for the lock of its directory, which the kernel holds during an ``unlink``
or ``rename`` in it until these are answered. If the process that is to answer is killed just then, its thread waits in
the kernel for itself, so the process never ends, its mount never dies, and neither does any program on it. Somebody
else has to break that off. Does so for no mount whose process is alive, and never unmounts anything.

It is run by its path and imports next to nothing, so that it costs next to nothing.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rosefs.mountinfo import Mount

_INTERVAL = 1.0
_MNT_FORCE = 1


@contextmanager
def guarding(mount: Mount) -> Iterator[None]:
    """Has a mount of this process watched while the block runs."""
    import subprocess  # by whoever serves, and not by the guardian

    numbers = map(str, (os.getpid(), mount.minor))
    command = [sys.executable, "-I", "-S", __file__, *numbers, str(mount.mountpoint)]
    guardian = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True, cwd="/",
    )  # fmt: skip
    try:
        yield
    finally:
        guardian.kill()  # it may have inherited that other signals are blocked
        guardian.wait()


def main(server: int, minor: int, mountpoint: str) -> None:
    """Waits until a process has ended, and ends its mount if it could not close it."""
    first = now = _state(server)
    while first is not None and now is not None and now[1] == first[1]:
        if now[0] == b"Z":
            _abort(minor, mountpoint)
            return
        time.sleep(_INTERVAL)
        now = _state(server)


def _state(process: int) -> tuple[bytes, bytes] | None:
    """Returns the state of a process, and when it was started; None if there is none: proc_pid_stat(5)."""
    try:
        with open(f"/proc/{process}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    return fields[0], fields[19]


def _abort(minor: int, mountpoint: str) -> None:
    """Has the kernel answer everything on a mount, at present and later, by an error."""
    with open("/proc/self/mountinfo", "rb") as table:
        if not any(line.split(b" ")[2] == b"0:%d" % minor and b" fuse.rosefs " in line for line in table):
            return
    try:
        with open(f"/sys/fs/fuse/connections/{minor}/abort", "wb") as control:
            control.write(b"1")
    except OSError:
        import ctypes

        # Where that is not mounted, root has another way. It would unmount, too, what nobody uses; and a music server
        # would take that for an empty library. So it is used.
        held = os.open(mountpoint, os.O_PATH)
        ctypes.CDLL(None).umount2(os.fsencode(mountpoint), _MNT_FORCE)
        os.close(held)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
