"""Several programs at once, and an update in another process beside them, lose nothing."""

from __future__ import annotations

import os
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import rosecache
from rosecache.tags import read_tags
from tests.fuse.conftest import Workbench, audio_of, run, updated_all_the_while
from tests.fuse.test_gestures_lists import members
from tests.support.audio import set_tags
from tests.support.library import cached_ids, check_cache, make_list

pytestmark = pytest.mark.usefixtures("need_fuse")


def test_programs_at_once_while_the_cache_is_updated(bench: Workbench) -> None:
    ids, audio = cached_ids(bench.c), audio_of(bench.source)
    tracks = [ids[name] for name in sorted(ids)]
    make_list(bench.c.playlists_dir / "Long.toml", "tracks", *(tracks * 4))
    rosecache.update_cache(bench.c)
    playlist = bench.top / "Playlists/Long"
    names = sorted(name for name in os.listdir(playlist) if name[0].isdigit())
    assert len(names) == 20
    with updated_all_the_while(bench), ThreadPoolExecutor(4) as programs:
        work: list[Future[Any]] = []
        work += [programs.submit(run, "rm", playlist / name) for name in names[:10]]
        work += [programs.submit(_retag, bench, number) for number in (1, 2, 3)]
        work += [programs.submit(_log, bench.release / f"{number}.log") for number in range(5)]
        for each in work:
            each.result()
    assert members(bench, "!playlists/Long.toml") == (tracks * 4)[10:]
    assert cached_ids(bench.c) == ids
    assert audio_of(bench.source) == audio
    for number in range(5):
        assert (bench.source / f"loona/{number}.log").read_text() == "line\n" * 1000
    rosecache.update_cache(bench.c, force=True)
    check_cache(bench.c)
    titles = [read_tags(path).tracktitle for path in sorted(bench.source.glob("*/*.mp3"))]
    assert titles == ["New 1", "New 2", "New 3"]


def _retag(bench: Workbench, number: int) -> None:
    set_tags(bench.mp3_release / f"{number:02}. Track {number}.mp3", title=f"New {number}")


def _log(path: Path) -> None:
    path.write_text("line\n" * 1000)
