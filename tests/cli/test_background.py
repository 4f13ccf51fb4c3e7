"""Mounting in the background, which is how it is done unless told otherwise: what returns when, and what goes on."""

from __future__ import annotations

import os
import pty
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rosecache.config import Config
from rosecache.update import update_cache
from rosecache.update.release import lock_release
from rosefs.cli.running import told_of
from rosefs.fuse.kernel import mount_at
from rosefs.library.journal import Journal
from tests.cli.conftest import Cli
from tests.cli.mounting import PATIENCE_SECONDS, mounted_in_background, mounting
from tests.cli.terminal import PROGRAM, run_on_terminal
from tests.support.audio import make_release
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("need_fuse")


@pytest.fixture
def library(c: Config, rosefs: Cli, mountpoint: Path) -> Config:
    """A library of one release, with a configuration that says where to mount it."""
    make_release(c.music_source_dir, "R", artist="LOONA", album="Hash", genre="K-Pop")
    rosefs.config.write_text(rosefs.config.read_text() + f"[vfs]\nmount_dir = '{mountpoint}'\n")
    return c


def test_when_the_command_returns_the_mount_answers_and_nothing_holds_the_terminal(
    library: Config, rosefs: Cli, mountpoint: Path, binding: str
) -> None:
    with mounted_in_background(rosefs.config, mountpoint, "--fuse", binding) as background:
        assert os.listdir(mountpoint / "Artists") == ["LOONA"]
        assert background.said.splitlines() == [
            f"{library.music_source_dir} is mounted at {mountpoint}",
            f"To stop, run: rosefs unmount '{mountpoint}'",
        ]
        assert "rosefs has not seen" in background.errors
        assert "rosefs: the cache is up to date: 1 seen, 1 changed" in background.errors
        process = Path("/proc", str(background.pid))
        assert os.readlink(process / "cwd") == "/"
        assert os.readlink(process / "fd/0") == os.devnull
        assert {os.readlink(process / "fd" / str(number)) for number in (1, 2)} == {str(background.log_path)}
        assert os.getsid(background.pid) == background.pid != os.getsid(0)
        assert background.log_path.parent.stat().st_mode & 0o777 == 0o700
        for program in (["findmnt", "-n", "-o", "SOURCE,FSTYPE"], ["df", "--output=source,fstype"]):
            shown = subprocess.run([*program, mountpoint], capture_output=True, text=True, check=True).stdout
            assert shown.split()[-2:] == [str(library.music_source_dir), "fuse.rosefs"]
        os.kill(background.pid, signal.SIGTERM)
        background.wait()
        assert mount_at(mountpoint) is None
        log = background.log()
    for line in ("mounted", "ends on SIGTERM", "unmounted"):
        assert line in log
    assert "ERROR" not in log


def test_on_a_terminal_it_asks_first_and_stays_when_the_terminal_is_closed(
    library: Config, rosefs: Cli, mountpoint: Path
) -> None:
    try:
        shown = run_on_terminal(
            "-c", rosefs.config, "mount", answers="y\n", shell=f"{{}} && ls '{mountpoint}'"
        )
        assert shown.status == 0, shown.text
        before, _, after = shown.plain.partition("Go on? [y/N]: ")
        assert "rosefs has not seen" in before
        assert after.index("is mounted at") < after.index("Artists")
        assert os.listdir(mountpoint / "Artists") == ["LOONA"]
        told = told_of(mountpoint)
        assert told is not None
        (log,) = rosefs.config.with_name("state").glob("logs/*.log")
        for _ in range(20):
            os.kill(told.process.pid, signal.SIGHUP)
        wait_until(lambda: f"read {rosefs.config} again" in log.read_text(), log.read_text)
        assert os.listdir(mountpoint / "Artists") == ["LOONA"]
    finally:
        rosefs("unmount", mountpoint)


def test_whoever_says_no_has_nothing_mounted(library: Config, rosefs: Cli, mountpoint: Path) -> None:
    shown = run_on_terminal("-c", rosefs.config, "mount", answers="n\n")
    assert shown.status == 1
    assert "rosefs: error: nothing was written" in shown.plain
    assert mount_at(mountpoint) is None


def run(config: Path, *args: str | Path, prefix: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*prefix, *PROGRAM, "-c", str(config), "mount", *map(str, args)],
        capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=PATIENCE_SECONDS, check=False,
    )  # fmt: skip


def test_what_fails_in_the_background_is_told_and_fails_the_command(
    library: Config, rosefs: Cli, mountpoint: Path, tmp_path: Path
) -> None:
    ran = run(rosefs.config, tmp_path / "missing", mountpoint)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith(f"rosefs: error: {tmp_path}/missing does not exist")


def test_what_the_kernel_refuses_is_told_and_fails_the_command(library: Config, rosefs: Cli) -> None:
    update_cache(library)
    limits = ("--bounding-set=-sys_admin", "--inh-caps=-sys_admin") if os.geteuid() == 0 else ()
    ran = run(rosefs.config, prefix=("setpriv", "--no-new-privs", *limits))
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "the mount was refused: " in ran.stderr


def test_without_stdin_stdout_and_stderr_it_mounts_as_well(
    library: Config, rosefs: Cli, mountpoint: Path, binding: str
) -> None:
    command = shlex.join([*PROGRAM, "-c", str(rosefs.config), "mount", "--yes", "--fuse", binding])
    try:
        subprocess.run(f"{command} <&- >&- 2>&-", shell=True, check=True, timeout=PATIENCE_SECONDS)
        told = told_of(mountpoint)
        assert told is not None
        descriptors = Path("/proc", str(told.process.pid), "fd")
        (log,) = rosefs.config.with_name("state").glob("logs/*.log")
        assert [os.readlink(descriptors / str(number)) for number in range(3)] == [
            os.devnull,
            str(log),
            str(log),
        ]
        assert os.listdir(mountpoint / "Artists") == ["LOONA"]
        assert "mounted" in log.read_text()
    finally:
        rosefs("unmount", mountpoint)


@pytest.mark.parametrize(
    ("number", "status", "message"),
    [
        (signal.SIGINT, 130, "rosefs: interrupted"),
        (signal.SIGTERM, 143, "rosefs: error: it was ended by SIGTERM before it was ready"),
    ],
)
def test_a_signal_while_the_command_waits_ends_all_of_it(
    library: Config, rosefs: Cli, mountpoint: Path, number: signal.Signals, status: int, message: str
) -> None:
    with lock_release(library, b"R"):  # which the update waits for
        process = subprocess.Popen(
            [*PROGRAM, "-c", str(rosefs.config), "mount", "--yes"], stderr=subprocess.PIPE, text=True
        )
        with process:
            assert process.stderr is not None
            said = ""
            while "1 release to read" not in said:
                said += process.stderr.readline()
            process.send_signal(number)
            said += process.stderr.read()  # up to when the last process has closed it
            assert process.wait(PATIENCE_SECONDS) == status
    assert said.splitlines()[-1] == message
    assert mount_at(mountpoint) is None


def test_a_mount_that_nobody_waits_for_any_more_is_not_kept(
    library: Config, rosefs: Cli, mountpoint: Path, binding: str, tmp_path: Path
) -> None:
    with lock_release(library, b"R"):
        process = subprocess.Popen(
            [*PROGRAM, "-c", str(rosefs.config), "mount", "--yes", "--fuse", binding],
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        with process:
            assert process.stderr is not None
            while "1 release to read" not in process.stderr.readline():
                pass
            process.kill()
    (log,) = (tmp_path / "state/logs").iterdir()
    wait_until(lambda: "ends on SIGTERM" in log.read_text() and mount_at(mountpoint) is None, log.read_text)


def test_a_place_is_mounted_on_once(library: Config, rosefs: Cli, mountpoint: Path) -> None:
    with mounted_in_background(rosefs.config, mountpoint, "--no-watch") as background:
        log = background.log()
        ran = run(rosefs.config)
        assert (ran.returncode, ran.stdout) == (1, "")
        assert ran.stderr == (
            f"rosefs: error: {mountpoint}: something is mounted here already: "
            f"fuse.rosefs of {library.music_source_dir}\n"
        )
        assert os.listdir(mountpoint / "Artists") == ["LOONA"]
        assert background.log() == log


def test_a_place_where_another_process_is_about_to_mount_is_refused_at_once(
    library: Config, rosefs: Cli, mountpoint: Path
) -> None:
    with lock_release(library, b"R"):  # which the first one waits for
        first = subprocess.Popen(
            [*PROGRAM, "-c", str(rosefs.config), "mount", "--yes"], stderr=subprocess.PIPE, text=True
        )
        assert first.stderr is not None
        while "1 release to read" not in first.stderr.readline():
            pass
        ran = run(rosefs.config)
    said = rf"rosefs: error: {re.escape(str(mountpoint))}: process (\d+) is about to mount here; wait for it, or end it"
    match = re.fullmatch(said, ran.stderr.splitlines()[-1])
    try:
        first.communicate(timeout=PATIENCE_SECONDS)
        assert (first.returncode, ran.returncode, ran.stdout) == (0, 1, "")
        told = told_of(mountpoint)
        assert told is not None
        assert match is not None, ran.stderr
        assert told.process.pid == int(match[1])
    finally:
        rosefs("unmount", mountpoint)


def test_after_a_crash_the_next_mount_clears_the_place(
    library: Config, rosefs: Cli, mountpoint: Path, binding: str
) -> None:
    with mounted_in_background(rosefs.config, mountpoint, "--fuse", binding) as background:
        held = os.open(mountpoint / "Artists", os.O_RDONLY)
        os.kill(background.pid, signal.SIGKILL)
        background.wait()
        # The kernel says the one of what is asked later, the other of what was being asked.
        with pytest.raises(OSError, match=r"not connected|connection abort"):
            os.listdir(mountpoint)
        with mounted_in_background(rosefs.config, mountpoint, "--fuse", binding) as again:
            assert os.listdir(mountpoint / "Artists") == ["LOONA"]
            assert "took away a dead mount" in again.errors
        os.close(held)


def test_sighup_reads_the_configuration_again_and_sigusr1_logs_every_stack(
    library: Config, rosefs: Cli, mountpoint: Path, binding: str
) -> None:
    text = rosefs.config.read_text()
    with mounted_in_background(rosefs.config, mountpoint, "--fuse", binding) as background:

        def reload(config: str) -> None:
            rosefs.config.write_text(config)
            os.kill(background.pid, signal.SIGHUP)

        reload(
            text + "views = ['artists', 'genres']\n[path_templates.artists]\nrelease = '{{ releasetitle }}'"
        )
        wait_until(lambda: f"read {rosefs.config} again" in background.log(), background.log)
        assert os.listdir(mountpoint) == ["Artists", "Genres"]
        assert os.listdir(mountpoint / "Artists/LOONA") == ["!All Tracks", "Hash"]

        reload(text + "view = ['labels']\n")
        wait_until(lambda: "vfs.view: unknown key" in background.log(), background.log)
        reload(text + "[path_templates.artists]\nrelease = '{{ title }}'")
        wait_until(lambda: "path_templates.artists.release: " in background.log(), background.log)
        assert os.listdir(mountpoint) == ["Artists", "Genres"]

        reload(text.replace("max_proc = 2", "max_proc = 1"))
        wait_until(lambda: "another value of max_proc takes effect when" in background.log(), background.log)
        assert "Labels" in os.listdir(mountpoint)

        os.kill(background.pid, signal.SIGUSR1)
        wait_until(lambda: "most recent call first" in background.log(), background.log)
        assert os.listdir(mountpoint / "Labels") == ["Label"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_imports_complete_and_files_that_are_not_whole_as_they_were(
    library: Config, rosefs: Cli, mountpoint: Path, tmp_path: Path, binding: str, number: signal.Signals
) -> None:
    (library.music_source_dir / "R/rip.log").write_text("a log\n")
    album = make_release(tmp_path / "downloads", "album", tracks=1)
    with mounted_in_background(rosefs.config, mountpoint, "--fuse", binding) as background:
        shutil.copytree(album, mountpoint / "Releases/album")
        (release,) = (mountpoint / "Artists/LOONA").glob("*Hash")
        log = (release / "rip.log").open("r+b", buffering=0)
        log.write(b"b")
        os.kill(background.pid, number)
        background.wait()
        with pytest.raises(OSError, match=r"not connected|connection abort"):
            log.close()
    assert (library.music_source_dir / "R/rip.log").read_text() == "a log\n"  # it was not whole
    assert (library.music_source_dir / "album/01.opus").exists()
    assert not list(library.music_source_dir.rglob(".in-progress.*"))
    titles = [entry.title for entry in Journal(tmp_path / "state").history()]
    assert titles == ["import album"]


# In the foreground --------------------------------------------------------------------------------------


def test_in_the_foreground_it_ends_when_its_terminal_is_closed(
    library: Config, rosefs: Cli, mountpoint: Path, binding: str
) -> None:
    update_cache(library)
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*PROGRAM, "-c", str(rosefs.config), "mount", "--foreground", "--fuse", binding],
        stdin=theirs, stdout=subprocess.PIPE, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    with process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            os.close(ours)
            process.send_signal(signal.SIGHUP)
            assert process.wait(PATIENCE_SECONDS) == 0
            assert mount_at(mountpoint) is None
        finally:
            process.terminate()  # one that stays fails, and ends


def test_every_request_is_logged_when_that_is_asked_for(
    library: Config, rosefs: Cli, mountpoint: Path, binding: str
) -> None:
    with mounting(mountpoint, "-c", rosefs.config, "mount", "--debug", "--fuse", binding) as running:
        assert os.listdir(mountpoint / "Artists") == ["LOONA"]
        assert not (mountpoint / "missing").exists()
        running.process.terminate()
        errors = running.end()[1]
    assert re.search(
        r"rosefs: rosefs.fuse.tracing: lookup\(1, b'Artists', \d+\) = Attributes\(inode=", errors
    )
    assert re.search(r"lookup\(1, b'missing', \d+\): AbsentError: missing", errors)


# The log ------------------------------------------------------------------------------------------------


def test_the_log_is_rotated_with_what_libraries_in_c_write(tmp_path: Path) -> None:
    program = (
        "import logging, os, sys\n"
        "from pathlib import Path\n"
        "from rosefs.cli.logs import LogFile, log_also_to, log_only_to, set_up_logging\n"
        f"file = LogFile(Path({str(tmp_path / 'a/b.log')!r}), max_bytes=1000)\n"
        "set_up_logging(0)\n"
        "log_also_to(file)\n"
        "log = logging.getLogger('rosefs.test')\n"
        "log.info('not said')\n"
        "log.warning('said twice')\n"
        "log_only_to(file)\n"
        "for number in range(100):\n"
        "    log.info('line %d', number)\n"
        "os.write(2, b'from C\\n')\n"
        "print('and stdout')\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert (ran.stdout, ran.stderr) == ("", "rosefs: warning: said twice\n")
    directory = tmp_path / "a"
    assert sorted(os.listdir(directory)) == ["b.log", "b.log.1", "b.log.2", "b.log.3"]
    assert all(path.stat().st_size <= 1100 for path in directory.iterdir())
    assert (directory / "b.log").read_text().endswith(" INFO rosefs.test: line 99\nfrom C\nand stdout\n")
