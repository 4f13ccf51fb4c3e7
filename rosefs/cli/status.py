"""The command that shows what is mounted, and how it is."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import click

from rosefs.cli.mounts import MountStatus, rosefs_mounts, status_of
from rosefs.cli.output import Column, clean, write_fields, write_json
from rosefs.fuse.kernel import mount_at
from rosefs.fuse.liveness import Liveness
from rosefs.mountinfo import Mount

_UNITS = ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


def _state(status: MountStatus) -> str:
    match status.state:
        case Liveness.DEAD:
            return "dead: its process was killed; run: rosefs unmount, or mount it again"
        case Liveness.SILENT:
            return "not answering: its process is stopped, or waits for a disk"
        case Liveness.FOREIGN:
            return f"of the user with id {status.owner}, and cannot be asked"
        case Liveness.ALIVE:
            return "alive"


def _contents(status: MountStatus) -> str:
    if status.contents is None:
        return ""
    counts = [
        (name, getattr(status.contents, f"{name}s")) for name in ("release", "track", "collage", "playlist")
    ]
    return ", ".join(f"{count:,} {name}{'' if count == 1 else 's'}" for name, count in counts)


def _with_age(time: str | None) -> str:
    if time is None:
        return ""
    seconds = max(0, int((datetime.now().astimezone() - datetime.fromisoformat(time)).total_seconds()))
    size, unit = next((each for each in _UNITS if seconds >= each[0]), _UNITS[-1])
    count = seconds // size
    return f"{time}, {count} {unit}{'' if count == 1 else 's'} ago"


def _problems(status: MountStatus) -> str:
    if not status.problem_count:
        return ""
    return f"{status.problem_count} in the last update; to see all, run: rosefs cache update"


_FIELDS: Sequence[Column[MountStatus]] = (
    Column("Mount point", lambda status: str(status.mountpoint)),
    Column("State", _state),
    Column("Source", lambda status: status.source),
    Column("Access", lambda status: "read-only" if status.read_only else "writable"),
    Column("View", lambda status: status.view or ""),
    Column("Binding", lambda status: status.binding or ""),
    Column("Process", lambda status: str(status.pid or "")),
    Column("Since", lambda status: _with_age(status.since)),
    Column("Contents", _contents),
    Column("Updated", lambda status: _with_age(status.updated)),
    Column("Watcher", lambda status: status.watcher or ""),
    Column("Used by", lambda status: ", ".join(status.used_by)),
    Column("Problems", _problems),
)


@click.command()
@click.argument("mountpoint", required=False, type=click.Path(path_type=Path))
@click.option("--json", "json_output", is_flag=True, help="Write JSON.")
@click.pass_context
def status(ctx: click.Context, mountpoint: Path | None, json_output: bool) -> None:
    """Show the mounts of rosefs on this machine, or the one at MOUNTPOINT, and how they are.

    The exit status is 0 if every mount answers, and 1 if one is dead or does not answer, or if nothing of rosefs is
    mounted at MOUNTPOINT.
    """
    asked = rosefs_mounts() if mountpoint is None else [_mount_at(mountpoint)]
    found = [status_of(mount) for mount in asked]
    if json_output:
        write_json(found)
    else:
        _write(found)
    if not all(each.is_well for each in found):
        ctx.exit(1)


def _mount_at(mountpoint: Path) -> Mount:
    mount = mount_at(mountpoint)
    if mount is None or not mount.is_rosefs:
        raise click.ClickException(f"{os.path.abspath(mountpoint)}: nothing of rosefs is mounted here")
    return mount


def _write(found: Sequence[MountStatus]) -> None:
    if not found:
        click.echo("nothing is mounted")
    for number, each in enumerate(found):
        if number:
            click.echo()
        write_fields(_FIELDS, each)
        for problem in each.problems:
            click.echo(f"  {clean(f'{problem.path}: {problem.reason}')}".encode("utf-8", "surrogateescape"))
