"""The command that unmounts, and returns only when the process that served the mount has ended.

So a command that follows does not find a mount that is still finishing what was begun on it. Ends no process itself.
"""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from rosefs.cli.mounts import rosefs_mounts
from rosefs.cli.running import forget_ended, told_of
from rosefs.cli.state import State, pass_state
from rosefs.fuse.errors import UnmountError
from rosefs.fuse.kernel import mount_at
from rosefs.fuse.mount import unmount as unmount_at

PATIENCE = 60.0
"""Seconds in which a process finishes what was begun on its mount."""


@click.command()
@click.argument("mountpoint", required=False, type=click.Path(path_type=Path))
@click.option(
    "--lazy", is_flag=True, help="Take it out of sight at once, and end it when nothing uses it any more."
)
@pass_state
def unmount(state: State, mountpoint: Path | None, lazy: bool) -> None:
    """Unmount the library at MOUNTPOINT, which ends the process that serves it.

    Without MOUNTPOINT the one of the configuration; if there is none, the only one that is mounted. Also removes a dead
    mount, whose process was killed. The exit status is that of umount or fusermount3.
    """
    given = mountpoint
    mountpoint = given or _only_mountpoint(state)
    mount = mount_at(mountpoint)
    told = told_of(mount.mountpoint) if mount is not None else None
    unmount_at(mountpoint, lazy=lazy)
    if given is None:
        click.echo(f"unmounted {mountpoint}".encode("utf-8", "surrogateescape"))
    if told is not None and not lazy and not told.process.wait(PATIENCE):
        raise UnmountError(
            f"{mountpoint}: is unmounted, but process {told.process.pid} that served it is still at work "
            f"after {PATIENCE:g} s; to see when it ends: ps {told.process.pid}"
        )
    forget_ended()


def _only_mountpoint(state: State) -> Path:
    """Returns what is meant if no mount point is given. Raises click.UsageError if nobody can tell."""
    configured = state.settings().vfs.mount_dir if state.has_configuration else None
    if configured is not None:
        return configured
    mounted = [mount.mountpoint for mount in rosefs_mounts()]
    if len(mounted) == 1:
        return mounted[0]
    if mounted:
        listed = "".join(f"\n  rosefs unmount {shlex.quote(str(path))}" for path in mounted)
        raise click.UsageError(f"missing MOUNTPOINT: several are mounted; say one of{listed}")
    raise click.UsageError(
        "missing MOUNTPOINT: nothing is mounted, and no mount_dir is set in the table [vfs]"
    )
