"""Hooks with real programs: run once after many changes, one at a time, and harmless whatever they do."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

import rosecache
from rosecache.changes import Change, Changes, Position
from rosecache.config import Config
from rosefs.settings import HookSettings
from rosefs.watch.hooks import Hook, run_command, run_hooks
from tests.support.audio import make_release, set_tags
from tests.watch.conftest import run, until

SECOND = 0.05
"""How long a hook waits for more, here."""


def changes(*kinds_and_ids: tuple[str, str]) -> Changes:
    return Changes(
        Position("epoch", 1), resync=False, changes=tuple(Change(*one, "changed") for one in kinds_and_ids)
    )


RESYNC = Changes(Position("epoch", 1), resync=True, changes=())


def noting(path: Path, *more: str) -> tuple[str, ...]:
    """Returns a command that appends what changed to a file, then does more."""
    return ("sh", "-c", f'echo "$ROSEFS_CHANGES" >> "{path}"; {"; ".join(more) or ":"}')


def noted(path: Path) -> list[dict[str, int]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@asynccontextmanager
async def hooked(
    settings: HookSettings, source: Path = Path("/music"), cap: float = 60
) -> AsyncIterator[Hook]:
    """Has a hook wait for changes while the block runs."""
    hook = Hook(settings, source=source, mountpoint=Path("/mnt"), quiet=SECOND, cap=cap)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(hook.run)
        yield hook
        nursery.cancel_scope.cancel()


def test_many_changes_have_it_run_once(tmp_path: Path) -> None:
    async def test() -> None:
        async with hooked(HookSettings(run=noting(tmp_path / "notes"))) as hook:
            for number in range(100):
                hook.notice(changes(("release", str(number)), ("collage", "Best")))
                await trio.lowlevel.checkpoint()
            await until(lambda: noted(tmp_path / "notes"))

    run(test)
    assert noted(tmp_path / "notes") == [{"collage": 1, "release": 100}]


def test_changes_of_other_kinds_are_none_of_its_business(tmp_path: Path) -> None:
    async def test() -> None:
        async with hooked(HookSettings(run=noting(tmp_path / "notes"), on=("playlist",))) as hook:
            hook.notice(changes(("release", "1")))
            hook.notice(changes(("release", "2"), ("playlist", "Mix")))
            await until(lambda: noted(tmp_path / "notes"))

    run(test)
    assert noted(tmp_path / "notes") == [{"playlist": 1}]


def test_when_anything_may_have_changed_it_is_run(tmp_path: Path) -> None:
    async def test() -> None:
        async with hooked(HookSettings(run=noting(tmp_path / "notes"), on=("release", "playlist"))) as hook:
            hook.notice(RESYNC)
            await until(lambda: noted(tmp_path / "notes"))

    run(test)
    assert noted(tmp_path / "notes") == [{"release": 1, "playlist": 1}]


def test_changes_during_a_run_cause_one_more_and_two_never_run_at_once(tmp_path: Path) -> None:
    notes, go = tmp_path / "notes", tmp_path / "go"
    os.mkfifo(go)

    async def test() -> None:
        async with hooked(HookSettings(run=noting(notes, f"read line < {go}"))) as hook:
            hook.notice(changes(("release", "1")))
            await until(lambda: noted(notes))
            for _ in range(10):
                hook.notice(changes(("playlist", "Mix")))
                await trio.sleep(SECOND)
            assert len(noted(notes)) == 1
            await trio.to_thread.run_sync(go.write_text, "on\n")
            await until(lambda: len(noted(notes)) == 2, lambda: noted(notes))
            await trio.to_thread.run_sync(go.write_text, "on\n")

    run(test)
    assert noted(notes) == [{"release": 1}, {"playlist": 1}]


def test_it_is_run_in_the_end_although_changes_never_stop(tmp_path: Path) -> None:
    async def test() -> None:
        async with hooked(HookSettings(run=noting(tmp_path / "notes")), cap=4 * SECOND) as hook:
            while len(noted(tmp_path / "notes")) < 2:
                hook.notice(changes(("release", "1")))
                await trio.sleep(SECOND / 10)

    run(test)


def test_it_is_told_where_things_are(tmp_path: Path) -> None:
    fresh = tmp_path / "fresh"
    script = (
        f'echo "$ROSEFS_SOURCE|$ROSEFS_MOUNTPOINT|$ROSEFS_KINDS" > "{fresh}"; mv "{fresh}" "{tmp_path}/out"'
    )

    async def test() -> None:
        async with hooked(HookSettings(run=("sh", "-c", script)), source=Path("/my music")) as hook:
            hook.notice(changes(("release", "1"), ("playlist", "Mix")))
            await until((tmp_path / "out").exists)

    run(test)
    assert (tmp_path / "out").read_text() == "/my music|/mnt|playlist release\n"


@pytest.mark.parametrize(
    ("command", "timeout"),
    [
        pytest.param(
            ("no-such-program", "x"), 60,
            marks=pytest.mark.expects_log(r"hook no-such-program x cannot be run: No such file or directory"),
            id="missing",
        ),
        pytest.param(
            ("/etc/passwd",), 60,
            marks=pytest.mark.expects_log("hook /etc/passwd cannot be run: Permission denied"),
            id="not-executable",
        ),
        pytest.param(
            ("sh", "-c", "echo so; echo it is >&2; exit 3"), 60,
            marks=pytest.mark.expects_log(r"failed with status 3; it said: so \| it is$"), id="failing",
        ),
        pytest.param(
            ("sh", "-c", "echo waiting; sleep 1000"), 0.5,
            marks=pytest.mark.expects_log(r"took longer than 0\.5 s, and was killed; it said: waiting"), id="hanging",
        ),
        pytest.param(
            ("sh", "-c", "trap '' TERM INT HUP; while :; do :; done"), 0.5,
            marks=pytest.mark.expects_log(r"took longer than 0\.5 s, and was killed$"), id="stubborn",
        ),
    ],
)  # fmt: skip
def test_one_that_goes_wrong_is_logged_and_run_again_next_time(
    command: tuple[str, ...], timeout: float, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        async with hooked(HookSettings(run=command, timeout=timeout)) as hook:
            hook.notice(changes(("release", "1")))
            await until(lambda: len(caplog.records) == 1, lambda: caplog.records)
            hook.notice(changes(("release", "1")))
            await until(lambda: len(caplog.records) == 2, lambda: caplog.records)

    run(test)


def test_all_that_a_command_has_started_is_killed_with_it(tmp_path: Path) -> None:
    async def test() -> tuple[int | None, str]:
        return await run_command(
            ("sh", "-c", f"sleep 1000 & echo $! > {tmp_path}/pid; wait"), environment=os.environ, timeout=1
        )

    assert trio.run(test) == (None, "")
    run(lambda: until(lambda: is_dead(int((tmp_path / "pid").read_text()))))


def is_dead(pid: int) -> bool:
    try:
        return "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return True


def test_what_a_command_leaves_running_is_not_waited_for() -> None:
    async def test() -> tuple[int | None, str]:
        return await run_command(("sh", "-c", "sleep 1000 & echo $!"), environment=os.environ)

    status, output = trio.run(test)
    os.kill(int(output), signal.SIGKILL)
    assert status == 0


def test_a_command_that_says_much_is_cut_short() -> None:
    async def test() -> tuple[int | None, str]:
        return await run_command(("sh", "-c", "yes | head -c 10000000; echo end"), environment=os.environ)

    status, output = trio.run(test)
    assert (status, len(output) < 50_000, output.endswith("end")) == (0, True, True)


def test_it_gets_an_empty_input_and_no_signal_blocked_by_whoever_starts_it() -> None:
    program = (
        "import signal, sys; print(signal.pthread_sigmask(signal.SIG_BLOCK, []), repr(sys.stdin.read()))"
    )

    async def test() -> tuple[int | None, str]:
        return await run_command((sys.executable, "-c", program), environment=os.environ)

    old = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    try:
        status, output = trio.run(test)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, old)
    assert (status, output) == (0, "set() ''")


def test_the_end_of_all_ends_a_command_too(tmp_path: Path) -> None:
    async def test() -> None:
        async with hooked(HookSettings(run=("sh", "-c", f"echo $$ > {tmp_path}/pid; sleep 1000"))) as hook:
            hook.notice(changes(("release", "1")))
            await until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())

    run(test)
    assert is_dead(int((tmp_path / "pid").read_text()))


def test_changes_by_anybody_have_hooks_run(c: Config, tmp_path: Path) -> None:
    release = make_release(c.music_source_dir, "one", tracks=1)
    rosecache.update_cache(c)
    hook = Hook(HookSettings(run=noting(tmp_path / "notes")), source=c.music_source_dir, quiet=SECOND, cap=60)

    async def test() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run_hooks, c, [hook])
            title = 0
            while not noted(tmp_path / "notes"):
                title += 1  # more than once, since nothing tells when it follows the feed
                set_tags(release / "01.opus", title=str(title))
                await trio.to_thread.run_sync(rosecache.update_cache, c)
                await trio.sleep(2 * SECOND)
            nursery.cancel_scope.cancel()

    run(test)
    assert noted(tmp_path / "notes")[0] == {"release": 1}


def test_without_hooks_there_is_nothing_to_do(c: Config) -> None:
    trio.run(run_hooks, c, [])
