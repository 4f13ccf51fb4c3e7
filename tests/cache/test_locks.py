"""Lock files: exclusive between threads and processes, retried actively, free when their holder dies."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import pytest

from rosecache import locks
from rosecache.config import Config
from rosecache.errors import LockTimeoutError
from rosecache.locks import lock, lock_path

HOLDER = (
    "import sys; from pathlib import Path; from rosecache.config import Config; from rosecache.locks import lock\n"
    "c = Config(music_source_dir=Path(sys.argv[1]), cache_dir=Path(sys.argv[2]))\n"
    "with lock(c, sys.argv[3]):\n"
    "    print('held', flush=True); sys.stdin.readline()\n"
)

ATTEMPT = HOLDER.replace("sys.argv[3]", "sys.argv[3], timeout=0")


def hold(c: Config, name: str) -> subprocess.Popen[str]:
    """Starts a process that holds a lock until a line is written to it."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(c.music_source_dir), str(c.cache_dir), name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_locks(c: Config) -> None:
    """Two threads that add to one number under a lock lose nothing."""
    total = 0

    def add() -> None:
        nonlocal total
        for _ in range(25):
            with lock(c, "number"):
                seen = total
                time.sleep(0)
                total = seen + 1

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert total == 100


def test_locks_of_different_names_do_not_wait_for_each_other(c: Config) -> None:
    with lock(c, "release-a"), lock(c, "release-b", timeout=0):
        pass


def test_a_thread_may_take_its_own_lock_again(c: Config) -> None:
    with lock(c, "a"):
        with lock(c, "a", timeout=0):
            pass
        other: list[bool] = []

        def attempt() -> None:
            try:
                with lock(c, "a", timeout=0):
                    other.append(True)
            except LockTimeoutError:
                other.append(False)

        thread = threading.Thread(target=attempt)
        thread.start()
        thread.join()
        assert other == [False]


def test_a_timeout_names_the_lock_and_its_holder(c: Config) -> None:
    process = hold(c, "release-Live in Kyiv")
    try:
        with (
            pytest.raises(LockTimeoutError, match="release-Live in Kyiv") as raised,
            lock(c, "release-Live in Kyiv", timeout=0.05),
        ):
            pass
        assert str(process.pid) in raised.value.holder
    finally:
        process.communicate("\n", timeout=30)


def test_a_freed_lock_is_taken_without_waiting_for_a_timeout(c: Config) -> None:
    """With an hour to wait, the lock comes as soon as its holder lets go."""
    process = hold(c, "a")
    taken = threading.Event()

    def take() -> None:
        with lock(c, "a", timeout=3600):
            taken.set()

    thread = threading.Thread(target=take, daemon=True)
    thread.start()
    assert not taken.wait(0.05)
    process.communicate("\n", timeout=30)
    assert taken.wait(30)
    thread.join()


def test_a_killed_process_leaves_no_lock_behind(c: Config) -> None:
    process = hold(c, "a")
    process.kill()
    process.communicate()
    assert lock_path(c).exists()
    with lock(c, "a", timeout=5):
        pass


@pytest.mark.parametrize("name", ["../../etc/passwd", "release-" + "x" * 500, "caf\udce9", "a\nb", ""])
def test_any_name_will_do(c: Config, name: str) -> None:
    with lock(c, name):
        assert os.listdir(lock_path(c).parent) == [lock_path(c).name]


def test_an_exception_frees_the_lock(c: Config) -> None:
    with pytest.raises(RuntimeError, match="boom"), lock(c, "a"):
        raise RuntimeError("boom")
    with lock(c, "a", timeout=0):
        pass


def test_a_lock_is_freed_while_a_forked_process_has_its_file_open(c: Config) -> None:
    """A fork has the same open file description, as a second descriptor of it has."""
    with lock(c, "a"):
        held = [
            int(name)
            for name in os.listdir("/proc/self/fd")
            if os.path.lexists(f"/proc/self/fd/{name}")
            and os.readlink(f"/proc/self/fd/{name}") == str(lock_path(c))
        ]
        copies = [os.dup(descriptor) for descriptor in held]
    try:
        assert copies
        with lock(c, "a", timeout=0):
            pass
    finally:
        for copy in copies:
            os.close(copy)


def test_no_lock_is_taken_on_a_file_that_was_removed_meanwhile(
    c: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when somebody deletes the cache directory: whoever comes next would lock another file."""
    opened, lost = locks._open, list[str]()

    def losing(path: str) -> int:
        descriptor = opened(path)
        if not lost:
            lost.append(path)
            os.unlink(path)
        return descriptor

    monkeypatch.setattr(locks, "_open", losing)
    with lock(c, "a"):
        assert lost
        process = subprocess.run(
            [sys.executable, "-c", ATTEMPT, str(c.music_source_dir), str(c.cache_dir), "a"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert "LockTimeoutError" in process.stderr
