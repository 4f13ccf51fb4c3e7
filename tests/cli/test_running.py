"""The file in which a process tells of its mount: whole at every moment, and not believed of one that is gone."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import msgspec
import pytest

from rosecache.update import Problem, Report
from rosefs.cli.running import Process, Running, Told, claimed, forget_ended, running, told_of
from rosefs.fuse.errors import MountError


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "states"))


def told(mountpoint: str, **fields: object) -> Told:
    usual = {
        "mountpoint": mountpoint,
        "source": "/music",
        "database": "/c",
        "binding": "x",
        "read_only": True,
    }
    return msgspec.convert({**usual, **fields}, Told)


def ended_process() -> Process:
    """Returns a process that has been one."""
    program = "from rosefs.cli.running import Process; p = Process.of_this(); print(p.pid, p.started, p.boot)"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    pid, started, boot = ran.stdout.split()
    return Process(int(pid), int(started), boot)


def test_what_is_told_can_be_read_while_the_block_runs() -> None:
    report = Report(problems=[Problem(Path("/music/caf\udce9.mp3"), "the file is empty")] * 30)
    with running(told("/mnt/caf\udce9 x")) as teller:
        teller.tell_report(report)
        teller.update(watcher="watching")
        read = told_of(Path("/mnt/caf\udce9 x"))
        assert read is not None
        assert (read.source, read.watcher, read.problem_count, len(read.problems)) == (
            "/music",
            "watching",
            30,
            20,
        )
        assert read.problems[0].path == "/music/caf\udce9.mp3"
        assert read.updated is not None
        assert read.process == Process.of_this()
    assert told_of(Path("/mnt/caf\udce9 x")) is None
    teller.update(watcher="off")
    assert told_of(Path("/mnt/caf\udce9 x")) is None


def test_threads_can_tell_while_others_read() -> None:
    with running(told("/mnt")) as teller:

        def tell() -> None:
            for number in range(50):
                teller.update(problem_count=number)

        threads = [threading.Thread(target=tell) for _ in range(4)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            assert told_of(Path("/mnt")) is not None
        last = told_of(Path("/mnt"))
        assert last is not None
        assert last.problem_count == 49


def test_a_process_is_known_by_more_than_its_id() -> None:
    this = Process.of_this()
    assert this.is_alive
    assert not this.wait(0)
    assert not msgspec.structs.replace(this, started=this.started + 1).is_alive
    assert not msgspec.structs.replace(this, boot="another machine").is_alive
    assert msgspec.structs.replace(this, started=this.started + 1).wait(0)
    ended = ended_process()
    assert not ended.is_alive
    assert ended.wait(0)


def test_a_process_that_nobody_has_waited_for_has_ended() -> None:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as child:
        started = Path(f"/proc/{child.pid}/stat").read_text().split()[21]
        process = msgspec.structs.replace(Process.of_this(), pid=child.pid, started=int(started))
        assert process.is_alive
        child.kill()
        assert process.wait(60)
        assert not process.is_alive


def test_an_earlier_mount_of_a_place_that_is_still_at_work_is_in_nobodys_way() -> None:
    with running(told("/mnt", binding="new")):
        earlier = Running(
            told("/mnt", binding="old", since=1.0, process=msgspec.to_builtins(ended_process()))
        )
        earlier.update(watcher="waiting")
        read = told_of(Path("/mnt"))
        assert read is not None
        assert read.binding == "new"
        earlier.close()
        assert told_of(Path("/mnt")) == read


def test_a_place_is_claimed_by_one_process_until_it_lets_go(tmp_path: Path) -> None:
    with claimed(tmp_path / "a") as let_go:
        with (
            pytest.raises(MountError, match=rf"/a: process {os.getpid()} is about to mount here"),
            claimed(tmp_path / "b/../a"),
        ):
            pass
        with claimed(tmp_path / "b"):
            let_go()
            with claimed(tmp_path / "a"):
                pass


def test_what_killed_processes_left_is_removed_and_nothing_else() -> None:
    Running(told("/gone", process=msgspec.to_builtins(ended_process())))
    Running(told("/proc", process=msgspec.to_builtins(ended_process())))  # something is still mounted there
    Running(told("/alive"))
    forget_ended()
    assert [told_of(Path(path)) is not None for path in ("/gone", "/proc", "/alive")] == [False, True, True]


def test_a_file_of_another_version_is_none(tmp_path: Path) -> None:
    Running(told("/mnt"))
    (file,) = (tmp_path / "states/rosefs/mounts").iterdir()
    for text in ("{}", "", "[1]"):
        file.write_text(text)
        assert told_of(Path("/mnt")) is None
    forget_ended()


@pytest.mark.expects_log("'rosefs status' will not know all of this mount")
def test_a_disk_that_refuses_does_not_keep_anything_from_being_mounted(tmp_path: Path) -> None:
    (tmp_path / "states").write_text("no directory")
    with claimed(Path("/mnt")), running(told("/mnt")):
        assert told_of(Path("/mnt")) is None
