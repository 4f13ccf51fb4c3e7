"""The options of a mount, in a line of /etc/fstab and after ``-o``: what each means, and what none of them is."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import click
import pytest

from rosecache.config import Config
from rosefs.cli.mount_options import Options, parse_options
from rosefs.cli.running import told_of
from rosefs.fuse.kernel import mount_at
from tests.cli.conftest import Cli
from tests.cli.mounting import PATIENCE_SECONDS, mounted_in_background, mounting
from tests.cli.terminal import PROGRAM
from tests.conftest import skip_or_fail
from tests.support.audio import make_release
from tests.support.library import exact_snapshot, snapshot
from tests.support.waiting import wait_until
from tests.support.writes import WRITES


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("", Options()),
        ("ro", Options(read_only=True)),
        ("ro,rw", Options(read_only=False)),
        ("rw,noexec,nosuid,nodev,noauto,user=me,_netdev,nofail,x-systemd.automount,X-a=b,comment=c,defaults",
         Options(read_only=False)),
        ("allow_other,default_permissions", Options(allow_other=True)),
        ("uid=1,gid=2,umask=027", Options(uid=1, gid=2, umask=0o027)),
        ("uid=4294967294", Options(uid=4294967294)),
        ("uid=root,gid=root", Options(uid=0, gid=0)),
        ("config=/etc/a=b.toml,fuse=llfuse,view=Loose Tracks",
         Options(config=Path("/etc/a=b.toml"), binding="llfuse", view="Loose Tracks")),
    ],
)  # fmt: skip
def test_options_mean_what_they_say(text: str, options: Options) -> None:
    assert parse_options([text]) == options
    assert parse_options(text.split(",")) == options


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ro,verbose", "there is no mount option 'verbose'; there are ro, rw, allow_other, default_permissions, "
         "uid=, gid=, umask=, config=, fuse=, view="),
        ("ro=1", "there is no mount option 'ro=1'"),
        ("uid", "there is no mount option 'uid'"),
        ("uid=", "uid=: expected the name or number of a user"),
        ("uid=nobody-at-all", "uid=nobody-at-all: expected the name or number of a user"),
        ("uid=4294967295", "uid=4294967295: expected the name or number of a user"),
        ("gid=99999999999", "gid=99999999999: expected the name or number of a group"),
        ("gid=-1", "gid=-1: expected the name or number of a group"),
        ("umask=8", "umask=8: expected permissions in octal, such as 022"),
        ("umask=1777", "umask=1777: expected permissions in octal, such as 022"),
        ("config=", "config=: expected a path"),
    ],
)  # fmt: skip
def test_what_is_no_option_is_an_error(text: str, message: str) -> None:
    with pytest.raises(click.BadParameter) as caught:
        parse_options([text])
    assert caught.value.message.startswith(message)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["-o", "view=Artist"], "there is no view 'Artist'; there are Releases, Releases - New, "),
        (["--view", "x"], "there is no view 'x'; there are Releases, "),
        (["-o", "fuse=fuse"], "there is no binding 'fuse'; there are auto, pyfuse3, llfuse"),
        (["-o", "verbose"], "Invalid value for '-o': there is no mount option 'verbose'; "),
    ],
)
def test_a_wrong_option_is_a_wrong_command_line(
    c: Config, rosefs: Cli, mountpoint: Path, args: list[str], message: str
) -> None:
    error = rosefs.error("mount", c.music_source_dir, mountpoint, *args, status=2)
    assert error.startswith(message)


# On real mounts -----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("need_fuse")
def test_options_are_seen_on_the_mount(
    c: Config, rosefs: Cli, mountpoint: Path, tmp_path: Path, binding: str
) -> None:
    if os.geteuid() != 0:
        skip_or_fail("only root may let others in everywhere")
    make_release(c.music_source_dir, "R", artist="LOONA", album="Hash", date="2018")
    options = f"noauto,nofail,rw,allow_other,uid=1234,gid=5678,umask=027,view=artists,fuse={binding}"
    config = tmp_path / "another.toml"
    rosefs.config.rename(config)
    mount = ("mount", c.music_source_dir, mountpoint, "-o", options, "-o", f"config={config}")
    with mounting(mountpoint, *mount):
        assert os.listdir(mountpoint) == ["LOONA"]
        release = mountpoint / "LOONA" / "{NEW} LOONA - 2018. Hash"
        for path, mode in (
            (mountpoint, stat.S_IFDIR | 0o750),
            (release, stat.S_IFDIR | 0o750),
            (release / "01. Track 1.opus", stat.S_IFREG | 0o640),
        ):
            status = path.stat()
            assert (status.st_mode, status.st_uid, status.st_gid) == (mode, 1234, 5678)
        assert mountpoint.stat().st_ino == 1
        found = mount_at(mountpoint)
        assert found is not None
        assert not found.read_only
        (release / "01. Track 1.opus").unlink()
        assert not (c.music_source_dir / "R/01.opus").exists()
        told = rosefs_status(config, mountpoint)
        assert "artists" in told.lower()


def rosefs_status(config: Path, mountpoint: Path) -> str:
    command = [*PROGRAM, "-c", str(config), "status", str(mountpoint)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.usefixtures("need_fuse")
@pytest.mark.parametrize("how", [("--read-only",), ("-o", "ro"), ("-o", "rw", "--read-only")])
def test_a_read_only_mount_writes_nothing_at_all(
    c: Config, rosefs: Cli, mountpoint: Path, how: tuple[str, ...]
) -> None:
    make_release(c.music_source_dir, "R", artist="LOONA", album="Hash", date="2018")
    c.collages_dir.mkdir()
    (c.collages_dir / "C.toml").write_text('releases = [{ uuid = "018b268e-ef68-7180-a01e-19bc3fdf970e" }]\n')
    before = exact_snapshot(c.music_source_dir)
    with mounted_in_background(rosefs.config, mountpoint, c.music_source_dir, mountpoint, *how) as background:
        assert "about to write" not in background.errors
        release = mountpoint / "Releases/{NEW} LOONA - 2018. Hash"
        assert (release / "01. Track 1.opus").read_bytes() == (c.music_source_dir / "R/01.opus").read_bytes()
        for write in WRITES.values():
            with pytest.raises(OSError, match="Read-only file system"):
                write(release, "01. Track 1.opus", "../!All Tracks")
        assert exact_snapshot(c.music_source_dir) == before
    assert exact_snapshot(c.music_source_dir) == before


# mount(8) -----------------------------------------------------------------------------------------------

HELPERS = {"rosefs": "/usr/local/bin", "mount.fuse.rosefs": "/sbin"}
"""What an installation provides, and where mount(8) finds it, whose path nobody can set."""


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A directory with, for each of the helpers, a directory of its own with it alone."""
    for name, start in (("rosefs", "main"), ("mount.fuse.rosefs", "main_of_helper")):
        script = tmp_path / "programs" / name / name
        script.parent.mkdir(parents=True)
        script.write_text(f"#!{sys.executable}\nfrom rosefs.cli.start import {start}\n{start}()\n")
        script.chmod(0o755)
    return tmp_path / "programs"


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


def run_with_helper(programs: Path, name: str, script: str, *args: Path) -> subprocess.CompletedProcess[str]:
    """Runs a shell script with a helper installed, for it alone: nobody else sees what it mounts.

    In the script ``$0`` is where it mounts.
    """
    if os.geteuid() != 0 or run("unshare", "--mount", "true").returncode != 0:
        skip_or_fail("only root may make a namespace of mounts")
    installing = f"mount --bind '{programs / name}' '{HELPERS[name]}'"
    ending = """trap 'umount --lazy "$0" 2>/dev/null || true' EXIT"""
    return run("unshare", "--mount", "sh", "-euc", f"{installing}\n{ending}\n{script}", *args)


@pytest.mark.usefixtures("need_fuse")
@pytest.mark.parametrize("name", HELPERS)
def test_a_line_of_fstab_mounts(
    c: Config, rosefs: Cli, mountpoint: Path, tmp_path: Path, programs: Path, name: str
) -> None:
    make_release(c.music_source_dir, "R", artist="LOONA")
    fstab = tmp_path / "fstab"
    options = f"noauto,user,nofail,x-systemd.automount,config={rosefs.config}"
    escaped = str(mountpoint).replace(" ", "\\040")
    fstab.write_text(f"{c.music_source_dir} {escaped} fuse.rosefs {options} 0 0\n")
    script = """mount --fstab "$1" "$0"; ls "$0/Artists"; findmnt -n -o SOURCE,FSTYPE "$0"; umount "$0" """
    ran = run_with_helper(programs, name, script, mountpoint, fstab)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split("\n")[2] == "LOONA", ran.stdout
    assert ran.stdout.split()[-2:] == [str(c.music_source_dir), "fuse.rosefs"]
    wait_until(lambda: told_of(mountpoint) is None)


@pytest.mark.usefixtures("need_fuse")
@pytest.mark.parametrize("name", HELPERS)
def test_an_error_is_told_by_mount(
    c: Config, rosefs: Cli, mountpoint: Path, programs: Path, name: str
) -> None:
    make_release(c.music_source_dir)
    before = snapshot(c.music_source_dir)
    script = f"""mount -t fuse.rosefs "$1" "$0" -o 'config={rosefs.config},x'"""
    ran = run_with_helper(programs, name, script, mountpoint, c.music_source_dir)
    assert ran.returncode != 0
    assert "rosefs: error: Invalid value for '-o': there is no mount option 'x'" in ran.stderr
    assert snapshot(c.music_source_dir) == before


@pytest.mark.usefixtures("need_fuse")
def test_the_helper_takes_what_mount_gives_it(
    c: Config, rosefs: Cli, mountpoint: Path, programs: Path
) -> None:
    """In the order of mount(8): ``libmount/src/context_mount.c``, exec_helper."""
    make_release(c.music_source_dir, "R", artist="LOONA")
    helper = programs / "mount.fuse.rosefs/mount.fuse.rosefs"
    options = f"ro,noexec,unknown,config={rosefs.config}"
    faked = run(helper, c.music_source_dir, mountpoint, "-f", "-o", options)
    assert (faked.returncode, mount_at(mountpoint)) == (0, None)
    refused = run(helper, c.music_source_dir, mountpoint, "-o", options)
    assert (refused.returncode, mount_at(mountpoint)) == (2, None)
    ran = run(helper, c.music_source_dir, mountpoint, "-s", "-n", "-v", "-o", options, "-t", "fuse.rosefs")
    assert ran.returncode == 0, ran.stderr
    try:
        assert os.listdir(mountpoint / "Artists") == ["LOONA"]
        found = mount_at(mountpoint)
        assert found is not None
        assert found.read_only
    finally:
        rosefs("unmount", mountpoint)
