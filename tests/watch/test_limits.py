"""What the system allows: which file systems have no events, and what becomes of a limit that is reached."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from rosecache.config import Config
from rosefs.watch.limits import file_system_of, lacks_events, watch_limit_reached
from tests.conftest import skip_or_fail
from tests.support.audio import make_release
from tests.support.mounts import REPOSITORY
from tests.support.permissions import run_as_user


def test_this_machines_own_table_is_understood(tmp_path: Path) -> None:
    assert file_system_of(tmp_path) in Path("/proc/filesystems").read_text().split()
    assert file_system_of(Path("/proc/self")) == "proc"


@pytest.mark.parametrize(
    ("kind", "lacks"),
    [
        *((kind, True) for kind in ("nfs4", "cifs", "fuse.sshfs", "9p")),
        *((kind, False) for kind in ("ext4", "fuseblk", "btrfs", "overlay")),
    ],
)
def test_network_file_systems_lack_events(kind: str, lacks: bool) -> None:
    assert lacks_events(kind) is lacks


def test_here_the_limit_is_not_reached(tmp_path: Path) -> None:
    assert not watch_limit_reached(tmp_path)


FOLLOW = """
import logging, sys, trio
from pathlib import Path
import rosecache
from rosecache.config import Config
from rosefs.settings import WatchSettings
from rosefs.watch import watcher as watching
from rosefs.watch.watcher import Watcher
from tests.support.audio import make_release, set_tags
from tests.watch.conftest import until

logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stdout)
source, cache = map(Path, sys.argv[1:3])
raised = sys.argv[3]
watching.TRY_AGAIN_SECONDS = 0.5 if raised else 600
tries = []
follow_events = watching.follow_events

async def counted(*arguments):
    tries.append(arguments)
    await follow_events(*arguments)

watching.follow_events = counted
c = Config(music_source_dir=source, cache_dir=cache, max_proc=1)
watcher = Watcher(c, WatchSettings(poll_seconds=0.1))

def has(directory):
    return any(release.source_path.name == directory for release in rosecache.list_releases(c))

async def main():
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watcher.run)
        await until(lambda: watcher.state.updates, lambda: watcher.state)
        print(watcher.state.mode)
        for number in range(20):
            make_release(source, f"new {number}", tracks=1)
        await until(lambda: watcher.state.mode == "polling", lambda: watcher.state)
        await until(lambda: all(has(f"new {number}") for number in range(20)), lambda: watcher.state)
        set_tags(source / "new 19" / "01.opus", title="New")
        await until(lambda: any(track.tracktitle == "New" for track in rosecache.list_tracks(c)))
        if raised:
            # Tried again, and in vain: nothing is said of that.
            await until(lambda: len(tries) > 3, lambda: watcher.state)
            Path(raised).write_text("1000")
            await until(lambda: watcher.state.mode == "events", lambda: watcher.state)
            set_tags(source / "new 19" / "01.opus", title="Newer")
            await until(lambda: any(track.tracktitle == "Newer" for track in rosecache.list_tracks(c)))
            print("events again")
        print("done")
        nursery.cancel_scope.cancel()

trio.run(main)
"""


def run_limited(c: Config, setting: str, *, raised: bool = False) -> str:
    """Follows a library in a user namespace with a limit of its own, and returns what the program prints.

    With ``raised``, it raises the limit in the end.
    """
    name, _, limit = setting.partition("=")
    command = f'echo {limit} > /proc/sys/user/{name} && exec "$@"'
    ran = subprocess.run(
        ["unshare", "--user", "--map-root-user", "sh", "-ec", command, "sh", sys.executable, "-c", FOLLOW,
         str(c.music_source_dir), str(c.cache_dir), f"/proc/sys/user/{name}" if raised else ""],
        capture_output=True, text=True, timeout=120, check=False, cwd=REPOSITORY,
    )  # fmt: skip
    if "unshare failed" in ran.stderr or "unshare: " in ran.stderr:
        skip_or_fail(f"no user namespace can be made: {ran.stderr}")
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.mark.parametrize(
    ("setting", "begins", "advice"),
    [
        ("max_inotify_watches=5", "polling", "raise fs.inotify.max_user_watches"),
        ("max_inotify_watches=16", "events", "raise fs.inotify.max_user_watches"),
        ("max_inotify_instances=0", "polling", "raise fs.inotify.max_user_instances"),
    ],
    ids=["at once", "later", "instances"],
)
def test_where_a_limit_is_reached_it_polls_and_says_what_to_do(
    c: Config, setting: str, begins: str, advice: str
) -> None:
    for number in range(10):
        make_release(c.music_source_dir, f"old {number}", tracks=1)
    said = run_limited(c, setting).splitlines()
    assert [line for line in said if line in ("events", "polling", "done")] == [begins, "done"]
    (warning,) = [line for line in said if "is looked through again and again instead" in line]
    assert advice in warning


@pytest.mark.parametrize("setting", ["max_inotify_watches=5", "max_inotify_instances=0"])
def test_when_a_limit_is_raised_there_are_events_again(c: Config, setting: str) -> None:
    for number in range(10):
        make_release(c.music_source_dir, f"old {number}", tracks=1)
    said = run_limited(c, setting, raised=True).splitlines()
    assert said[-2:] == ["events again", "done"]
    assert sum("is looked through again and again instead" in line for line in said) == 1


UNREADABLE = """
import sys, trio
from pathlib import Path
from rosefs.watch.events import NoEventsError, follow_events

async def main():
    try:
        await follow_events(Path(sys.argv[1]), lambda: print("ready"), print)
    except NoEventsError as error:
        print(error)

trio.run(main)
"""


def test_where_a_directory_cannot_be_read_it_is_named(tmp_path: Path) -> None:
    (tmp_path / "music" / "lost+found").mkdir(parents=True)
    (tmp_path / "music" / "lost+found").chmod(0)
    said = run_as_user(UNREADABLE, str(tmp_path / "music"))
    assert f'Permission denied (os error 13) about ["{tmp_path}/music/lost+found"]' in said
    assert said.endswith(f"; let this user read it, or move it out of {tmp_path}/music\n")
