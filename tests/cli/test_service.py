"""What systemd is told of a service, by the protocol of sd_notify(3)."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from rosecache.config import Config
from rosefs.cli.service import ServiceManager
from tests.cli.conftest import Cli
from tests.cli.mounting import PATIENCE_SECONDS, mounting
from tests.support.audio import make_release
from tests.support.browsing import Clock


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """The socket that systemd listens on."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(PATIENCE_SECONDS)
        yield listening


@pytest.mark.usefixtures("need_fuse")
def test_a_service_tells_when_it_is_ready_and_when_it_ends(
    c: Config, rosefs: Cli, mountpoint: Path, tmp_path: Path, manager: socket.socket, binding: str
) -> None:
    make_release(c.music_source_dir)
    mount = ("-c", rosefs.config, "mount", c.music_source_dir, mountpoint, "--fuse", binding)
    environment = {"NOTIFY_SOCKET": str(tmp_path / "notify")}
    with mounting(mountpoint, *mount, environment=environment) as running:
        pid = running.process.pid
        assert manager.recv(4096).decode() == "STATUS=reading releases: 0 of 1"
        assert manager.recv(4096).decode().splitlines() == [
            "READY=1",
            f"STATUS={c.music_source_dir} is mounted at {mountpoint}",
            f"MAINPID={pid}",
        ]
        assert os.listdir(mountpoint)
        running.process.send_signal(signal.SIGTERM)
        assert manager.recv(4096).decode().splitlines()[0] == "STOPPING=1"
        assert running.end()[0] == 0


def test_progress_is_told_now_and_then(tmp_path: Path, manager: socket.socket) -> None:
    clock = Clock()
    telling = ServiceManager(str(tmp_path / "notify"), clock)
    for done in range(4):
        telling.progress(done, 4)
    clock.advance(1)
    telling.progress(4, 4)
    telling.progress(0, 0)
    telling.stopping()
    assert [manager.recv(4096).decode().splitlines()[0] for _ in range(3)] == [
        "STATUS=reading releases: 0 of 4",
        "STATUS=reading releases: 4 of 4",
        "STOPPING=1",
    ]


def test_the_address_may_be_abstract_and_is_not_for_other_programs() -> None:
    name = f"rosefs-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(f"\0{name}")
        environment = {"NOTIFY_SOCKET": f"@{name}", "HOME": "/"}
        ServiceManager.take_from(environment).ready("well")
        assert environment == {"HOME": "/"}
        listening.settimeout(PATIENCE_SECONDS)
        assert listening.recv(4096).startswith(b"READY=1\nSTATUS=well\n")


def test_nobody_is_told_where_nobody_asked(tmp_path: Path) -> None:
    ServiceManager.take_from({}).ready("well")


@pytest.mark.expects_log("systemd cannot be told how it is: /nowhere/notify: ")
def test_who_cannot_be_told_stops_nothing() -> None:
    ServiceManager("/nowhere/notify").ready("well")
