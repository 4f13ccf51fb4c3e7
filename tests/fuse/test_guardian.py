"""A process that is killed while the kernel waits for it and it for the kernel: its mount dies all the same."""

from __future__ import annotations

import errno
import os
import subprocess
from functools import partial
from pathlib import Path

import pytest

from rosefs.fuse.liveness import Liveness, liveness_of
from rosefs.mountinfo import mounts
from tests.support.memory_tree import CrossingTree
from tests.support.mounts import mounted

pytestmark = pytest.mark.usefixtures("need_fuse")


def test_killed_while_it_tells_of_what_it_is_asked(tmp_path: Path, binding: str) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    make = partial(CrossingTree, {"a": b"", "b": b""}, gate=gate)
    with mounted(make, tmp_path, binding, read_only=False) as mount:
        removing = subprocess.Popen(
            ["rm", mount.path / "a"], stderr=subprocess.PIPE, text=True, env={**os.environ, "LC_ALL": "C"}
        )
        gate.read_bytes()
        mount.process.kill()
        _, said = removing.communicate(timeout=30)
        assert removing.returncode == 1
        assert os.strerror(errno.ECONNABORTED) in said or os.strerror(errno.ENOTCONN) in said
        mount.process.wait(30)
        assert liveness_of(mount.path) is Liveness.DEAD
        assert mount.path in [each.mountpoint for each in mounts()]


def test_nothing_is_left_of_it_when_a_mount_ends(tmp_path: Path, binding: str) -> None:
    gate = tmp_path / "gate"
    with mounted(partial(CrossingTree, {}, gate=gate), tmp_path, binding, read_only=False) as mount:
        children = Path(f"/proc/{mount.process.pid}/task/{mount.process.pid}/children")
        before = _children_of(mount.process.pid)
        assert before, children
    assert not any(Path(f"/proc/{child}").exists() for child in before)


def _children_of(process: int) -> list[str]:
    """Returns the ids of what any thread of a process has started."""
    tasks = Path(f"/proc/{process}/task").glob("*/children")
    return [child for task in tasks for child in task.read_text().split()]
