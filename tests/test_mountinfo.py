"""The kernel's table of mounts, with what paths may hold and what it leaves out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rosefs import mountinfo
from rosefs.mountinfo import mount_holding, mounts

TABLE = b"""\
22 1 8:1 / / rw - ext4 /dev/sda1 rw
23 22 0:44 / /nas rw - nfs4 nas:/music rw
24 22 0:45 / /nas/over\\040the\\040top rw - btrfs /dev/sdb rw
25 22 0:46 / /nas2 rw - fuse.sshfs host: rw
26 22 0:47 / /nas2 rw shared:1 - ext4 /dev/sdc rw
27 22 0:48 / /a\rb\xe2\x80\xa8c\xff\\012\\134 ro,nosuid - fuse.rosefs /m\\043 rw,user_id=1000,group_id=1000
"""
ODD = Path(os.fsdecode(b"/a\rb\xe2\x80\xa8c\xff\n\\"))
"""A path with ends of lines that the kernel does not escape, and no UTF-8."""


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "mountinfo"
    path.write_bytes(TABLE)
    monkeypatch.setattr(mountinfo, "_MOUNTINFO", path)
    return path


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/music", "ext4"),
        ("/nas", "nfs4"),
        ("/nas/music/a", "nfs4"),
        ("/nas/over the top/a", "btrfs"),
        ("/nas2/a", "ext4"),
        ("/nas3/a", "ext4"),
        (ODD / "x", "fuse.rosefs"),
    ],
)
@pytest.mark.usefixtures("table")
def test_a_path_is_held_by_the_mount_nearest_above(path: str, kind: str) -> None:
    held = mount_holding(Path(path))
    assert held is not None
    assert held.kind == kind


@pytest.mark.usefixtures("table")
def test_a_mount_is_told_with_its_owner_and_its_own_names() -> None:
    assert len(mounts()) == 6
    (ours,) = [mount for mount in mounts() if mount.is_rosefs]
    assert ours == mountinfo.Mount(ODD, "fuse.rosefs", "/m#", 48, read_only=True, owner=1000)
    assert mounts()[0].owner is None


def test_in_a_chroot_nobody_may_know_what_holds_the_root(table: Path) -> None:
    table.write_bytes(TABLE.partition(b"\n")[2])
    assert mount_holding(Path("/music")) is None
