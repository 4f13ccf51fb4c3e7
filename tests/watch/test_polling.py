"""Looking at a library: what is seen changes with what is there, and no file is opened."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import trio

from rosecache.config import Config
from rosefs.watch import polling
from rosefs.watch.places import Place
from rosefs.watch.polling import follow_by_looking, look
from tests.support.audio import make_release
from tests.support.library import make_list
from tests.support.waiting import PATIENCE

ONE, TWO = Place("release", b"one"), Place("release", b"two")
MIX = Place("playlist", b"Mix")

CHANGES: dict[str, tuple[Callable[[Path], object], set[Place]]] = {
    "nothing": (lambda source: None, set()),
    "a file touched": (lambda source: os.utime(source / "one" / "01.opus", ns=(1, 1)), {ONE}),
    "a file removed": (lambda source: (source / "one" / "01.opus").unlink(), {ONE}),
    "a release renamed": (
        lambda source: os.rename(source / "one", source / "three"),
        {ONE, Place("release", b"three")},
    ),
    "a list": (lambda source: (source / "!playlists" / "Mix.toml").write_text(""), {MIX}),
    "a list's cover": (lambda source: (source / "!playlists" / "Mix.jpg").write_bytes(b"x"), {MIX}),
    "all lists removed": (lambda source: os.rename(source / "!playlists", source.parent / "x"), {MIX}),
    "something in progress": (lambda source: (source / "one" / ".in-progress.x").write_text(""), set()),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_changed_between_two_looks_is_found(c: Config, change: str) -> None:
    for name in ("one", "two"):
        make_release(c.music_source_dir, name)
    make_list(c.playlists_dir / "Mix.toml", "tracks", "x")
    before = look(c)
    assert before.keys() == {ONE, TWO, MIX}
    make, changed = CHANGES[change]
    make(c.music_source_dir)
    after = look(c)
    assert {
        place for place in before.keys() | after.keys() if before.get(place) != after.get(place)
    } == changed


def test_a_source_that_is_not_there_is_no_empty_one(c: Config) -> None:
    c.music_source_dir.rmdir()
    with pytest.raises(FileNotFoundError):
        look(c)


def test_a_look_that_takes_long_keeps_nobody_from_ending(c: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on, ended = threading.Event(), threading.Event(), threading.Event()

    def look_slowly(_: Config) -> polling.Look:
        begun.set()
        go_on.wait(PATIENCE)
        ended.set()
        return {}

    async def test() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(follow_by_looking, c, 1.0, lambda: None, lambda places, interval: None)
            assert await trio.to_thread.run_sync(begun.wait, PATIENCE)
            nursery.cancel_scope.cancel()

    monkeypatch.setattr(polling, "look", look_slowly)
    trio.run(test)
    assert not ended.is_set()
    go_on.set()
    assert ended.wait(PATIENCE)
