"""Updates that are killed at any moment: the next one brings everything in order, and no sound is harmed."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rosecache.config import Config
from rosecache.update import assign, update_cache
from tests.support.audio import FORMATS, make_release, set_tags
from tests.support.library import (
    UPDATE_PROGRAM,
    cached_ids,
    check_cache,
    ids_on_disk,
    make_list,
    release_id_on_disk,
)
from tests.support.sounds import decoded_md5s

KILLS = 3 * int(os.environ.get("REPEAT", "1"))
"""REPEAT=20 pytest … tries more of the moments."""

# Ends the process, as by a kill, at the n-th call that changes something on the disk or in the database.
DEADLY = """
import os, sqlite3, sys
from pathlib import Path
left = int(sys.argv[3])
def deadly(function):
    def wrapped(*arguments, **named):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), 9)
        return function(*arguments, **named)
    return wrapped
for name in ("pwrite", "fsync", "rename", "replace", "unlink", "utime", "link"):
    setattr(os, name, deadly(getattr(os, name)))
class Connection(sqlite3.Connection):
    execute = deadly(sqlite3.Connection.execute)
connect = sqlite3.connect
sqlite3.connect = lambda *arguments, **named: connect(*arguments, **{**named, "factory": Connection})
from rosecache.config import Config
from rosecache.update import update_cache
c = Config(
    music_source_dir=Path(sys.argv[1]), cache_dir=Path(sys.argv[2]), max_proc=1, rename_source_files=True
)
update_cache(c)
print("calls", int(sys.argv[3]) - left)
"""


@pytest.fixture(autouse=True)
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assign, "QUIET_SECONDS", 0.0)


def sounds(directory: Path) -> list[str]:
    return sorted(decoded_md5s([path for path in directory.rglob("*") if path.suffix[1:] in FORMATS]))


def comes_to_rest(c: Config) -> None:
    """Checks that one update brings everything in order, and a second one finds nothing to do."""
    assert update_cache(c).problems == []
    check_cache(c)
    report = update_cache(c)
    assert (report.changed, report.evicted, report.problems) == (0, 0, [])


def test_an_update_killed_at_any_change(c: Config, tmp_path: Path) -> None:
    """A first scan, with renames, of a release in every format, a copy of one, and a list."""
    source = tmp_path / "template"
    for format in FORMATS:
        make_release(source, format, tracks=1, format=format, album=format)
    old = make_release(source, "Known", tracks=2, format="flac", album="Known")
    update_cache(Config(music_source_dir=source, cache_dir=tmp_path / "made"))
    for format in FORMATS:
        next((source / format).glob(".rose.*")).unlink()
        set_tags(source / format / f"01.{format}", roseid=None, rosereleaseid=None)
    known = set(ids_on_disk(old).values())
    shutil.copytree(old, source / "Copy of Known")
    make_list(source / "!collages" / "C.toml", "releases", release_id_on_disk(old))
    expected = sounds(source)

    def run(fatal: int) -> subprocess.CompletedProcess[str]:
        for directory in (c.music_source_dir, c.cache_dir):
            shutil.rmtree(directory, ignore_errors=True)
        shutil.copytree(source, c.music_source_dir)
        return subprocess.run(
            [sys.executable, "-c", DEADLY, str(c.music_source_dir), str(c.cache_dir), str(fatal)],
            capture_output=True, text=True, timeout=120,
        )  # fmt: skip

    done = run(10**9)
    assert done.returncode == 0, done.stderr
    calls = int(done.stdout.split()[-1])
    for fatal in random.Random(calls).sample(range(1, calls + 1), KILLS):
        assert run(fatal).returncode == -9
        comes_to_rest(c)
        assert sounds(c.music_source_dir) == expected
        assert known <= set(ids_on_disk(c.music_source_dir).values())


def test_updates_killed_one_after_another_get_there(c: Config) -> None:
    """With worker processes, and each kill at another time; ids that were given stay."""
    for number in range(55):
        make_release(c.music_source_dir, f"R{number:02}", tracks=1, format=FORMATS[number % 5])
    expected = sounds(c.music_source_dir / "R00") + sounds(c.music_source_dir / "R54")
    ids: dict[str, str] = {}
    for done in ("2", "9", "20"):
        scan = subprocess.Popen(
            [sys.executable, "-c", UPDATE_PROGRAM, str(c.music_source_dir), str(c.cache_dir)],
            stdout=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        assert scan.stdout is not None
        while (line := scan.stdout.readline()) and line.split()[0] != done:
            pass
        os.killpg(scan.pid, 9)
        scan.communicate()
        found = {
            path: identifier for path, identifier in ids_on_disk(c.music_source_dir).items() if identifier
        }
        assert found.items() >= ids.items()
        ids = found
    comes_to_rest(c)
    assert cached_ids(c).items() >= ids.items()
    assert sounds(c.music_source_dir / "R00") + sounds(c.music_source_dir / "R54") == expected
