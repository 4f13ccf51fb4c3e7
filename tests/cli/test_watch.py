"""Following the source from the command line: ``rosefs watch``, and the mount, which does so by itself."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import rosecache
from rosecache.config import Config
from rosefs.cli.running import told_of
from tests.cli.conftest import Cli
from tests.cli.mounting import PATIENCE_SECONDS, mounting
from tests.cli.terminal import PROGRAM
from tests.support.audio import PICTURE, make_release, set_tags
from tests.support.library import cached_ids, check_cache, make_list, release_id_on_disk
from tests.support.waiting import wait_until

# rosefs watch -------------------------------------------------------------------------------------------


@contextmanager
def watching(rosefs: Cli, *args: str | Path) -> Iterator[subprocess.Popen[str]]:
    """Runs ``rosefs watch`` while the block runs; it has said that it watches."""
    process = subprocess.Popen(
        [*PROGRAM, "--config", str(rosefs.config), *map(str, args)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    watchdog = threading.Timer(PATIENCE_SECONDS, process.kill)
    watchdog.start()
    try:
        assert line_of(process).startswith("watching ")
        yield process
    finally:
        watchdog.cancel()
        process.kill()
        with process:
            pass


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().rstrip("\n")


def test_each_change_is_a_line(c: Config, rosefs: Cli) -> None:
    for name in ("one", "two"):
        make_release(c.music_source_dir, name, tracks=1)
    with watching(rosefs, "watch") as process:
        make_release(c.music_source_dir, "three", tracks=1)
        assert line_of(process) == "added release three"
        set_tags(c.music_source_dir / "one" / "01.opus", title="New")
        assert line_of(process) == "changed release one"
        make_list(c.collages_dir / "Best.toml", "releases", release_id_on_disk(c.music_source_dir / "one"))
        assert line_of(process) == "added collage Best"
        shutil.rmtree(c.music_source_dir / "three")
        assert line_of(process) == "removed release three"
    check_cache(c)


def test_it_ends_when_nobody_reads_it_any_more(c: Config, rosefs: Cli) -> None:
    make_release(c.music_source_dir, "one", tracks=1)
    with watching(rosefs, "watch") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        make_release(c.music_source_dir, "two", tracks=1)
        assert process.wait(PATIENCE_SECONDS) == 1
        assert "Traceback" not in process.stderr.read()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_well_when_it_is_stopped(c: Config, rosefs: Cli, number: signal.Signals) -> None:
    make_release(c.music_source_dir, "one", tracks=1)
    with watching(rosefs, "watch", c.music_source_dir) as process:
        process.send_signal(number)
        said, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert (process.returncode, said) == (0, "")
    assert (
        errors.splitlines()[-1] == "rosefs: the cache is up to date: 1 seen, 1 changed, 0 evicted, 0 skipped"
    )


def test_where_it_is_turned_off_the_command_says_so(c: Config, rosefs: Cli) -> None:
    rosefs.config.write_text(rosefs.config.read_text() + "[watch]\nmode = 'off'\n")
    assert "mode in the table [watch] is 'off'" in rosefs.error("watch")


def test_it_runs_hooks_for_changes_that_others_make(c: Config, rosefs: Cli, tmp_path: Path) -> None:
    make_release(c.music_source_dir, "one", tracks=1)
    script = f'echo "$ROSEFS_CHANGES $ROSEFS_SOURCE $ROSEFS_MOUNTPOINT" >> {tmp_path}/notes'
    rosefs.config.write_text(
        rosefs.config.read_text() + f"[[hooks]]\non = ['collage']\nrun = ['sh', '-c', '''{script}''']\n"
    )
    with watching(rosefs, "watch") as process:
        rosefs("collages", "create", "Best")
        assert line_of(process) == "added collage Best"
        wait_until((tmp_path / "notes").exists)
        wait_until((tmp_path / "notes").read_text)
    assert (tmp_path / "notes").read_text() == f'{{"collage": 1}} {c.music_source_dir} \n'


# rosefs mount -------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("need_fuse")
def test_a_mount_follows_the_source(
    c: Config, rosefs: Cli, mountpoint: Path, binding: str, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        make_release(c.music_source_dir, name, tracks=2, format="flac", album=name, artist="A", date="2020")
    rosefs("cache", "update")
    script = f'echo "$ROSEFS_KINDS $ROSEFS_MOUNTPOINT" >> {tmp_path}/notes'
    rosefs.config.write_text(
        rosefs.config.read_text() + f"[[hooks]]\nrun = ['sh', '-c', '''{script}''']\n"
        "[[hooks]]\nrun = ['no-such-program']\n"
    )
    releases = mountpoint / "Releases"

    def shown() -> set[str]:
        # Path.rglob would complain of a directory that goes away meanwhile.
        return {
            os.path.relpath(os.path.join(directory, name), releases)
            for directory, _, names in os.walk(releases)
            for name in names
            if not name.endswith(".toml")
        }

    with mounting(
        mountpoint, "-c", rosefs.config, "mount", c.music_source_dir, mountpoint, "--fuse", binding
    ) as running:
        wait_until(lambda: watcher_of(mountpoint) == "events", lambda: told_of(mountpoint))
        one = "{NEW} A - 2020. one"
        assert f"{one}/01. Track 1.flac" in shown()
        subprocess.run(
            ["metaflac", "--remove-tag=TITLE", "--set-tag=TITLE=New", c.music_source_dir / "one/01.flac"],
            check=True, timeout=60,
        )  # fmt: skip
        wait_until(lambda: f"{one}/01. New.flac" in shown(), shown)
        (c.music_source_dir / "one" / "cover.png").write_bytes(PICTURE)
        wait_until(lambda: f"{one}/cover.png" in shown(), shown)
        (c.music_source_dir / "one" / "02.flac").unlink()
        wait_until(lambda: f"{one}/02. Track 2.flac" not in shown(), shown)
        os.rename(c.music_source_dir / "two", tmp_path / "two")
        wait_until(lambda: not any("2020. two" in path for path in shown()), shown)
        os.rename(tmp_path / "two", c.music_source_dir / "three")
        wait_until(lambda: any("2020. two" in path for path in shown()), shown)
        wait_until(lambda: (tmp_path / "notes").exists() and (tmp_path / "notes").read_text())
        running.process.send_signal(signal.SIGTERM)
        status, errors = running.end()
    assert status == 0
    assert (tmp_path / "notes").read_text().splitlines()[0] == f"release {mountpoint}"
    assert "rosefs: warning: hook no-such-program cannot be run: No such file or directory" in errors
    check_cache(c)


@pytest.mark.usefixtures("need_fuse")
@pytest.mark.parametrize("how", ["option", "setting"])
def test_a_mount_that_is_not_to_follow_the_source_does_not(
    c: Config, rosefs: Cli, mountpoint: Path, how: str
) -> None:
    make_release(c.music_source_dir, "one", tracks=1)
    if how == "setting":
        rosefs.config.write_text(rosefs.config.read_text() + "[watch]\nmode = 'off'\n")
    options = ["--no-watch"] if how == "option" else []
    with mounting(
        mountpoint, "-c", rosefs.config, "mount", c.music_source_dir, mountpoint, *options
    ) as running:
        assert watcher_of(mountpoint) == "off"
        assert watches_of(running.process.pid) == 0
        make_release(c.music_source_dir, "two", tracks=1)
        rosecache.update_cache_for_releases(c, [Path("one")])
        assert {path.partition("/")[0] for path in cached_ids(c)} == {"one"}


def watcher_of(mountpoint: Path) -> str | None:
    """Returns what 'rosefs status' is told of the watcher of a mount."""
    told = told_of(mountpoint)
    return told.watcher if told is not None else None


def watches_of(pid: int) -> int:
    """Returns how many directories a process has the kernel watch: proc(5), inotify in /proc/pid/fdinfo."""
    found = 0
    for path in Path(f"/proc/{pid}/fdinfo").iterdir():
        found += path.read_text().count("inotify wd:")
    return found
