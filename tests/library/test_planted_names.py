"""What somebody has put where a temporary file, the database or the lock file is to be made is not written to.

Their names cannot be guessed; here they can. What is planted is a link, one that leads nowhere, or a second name.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

import pytest

import rosecache
from rosecache.config import Config
from rosecache.database import database_path, replace_database
from rosecache.datafiles import write_atomically
from rosecache.errors import TagWriteError
from rosecache.locks import lock, lock_path
from rosecache.tags import TagChanges, write_tags
from rosecache.tags.plans import IdWrite
from rosecache.tags.safe_write import write_ids
from rosecache.temporary import make_private_directory
from rosecache.update import update_cache
from rosefs.library import imports
from rosefs.library.files import new_version
from rosefs.library.holds import Holds
from rosefs.library.journal import Journal
from rosefs.vfs.errors import SourceWriteError
from rosefs.vfs.spool import Spool
from tests.support.audio import PICTURE, make_release
from tests.support.editing import Editor
from tests.support.library import exact_snapshot

TOKEN = "0123456789abcdef"
IDS = ("018b6514-6fb7-7cc6-9d23-8eaf0b1beee8", "018b268e-ef68-7180-a01e-19bc3fdf970e")
PLANTS: Mapping[str, Callable[[Path, Path], None]] = {
    "link": lambda path, outside: path.symlink_to(outside / "precious"),
    "link to nothing": lambda path, outside: path.symlink_to(outside / "absent"),
    "link to a directory": lambda path, outside: path.symlink_to(outside),
    "second name": lambda path, outside: os.link(outside / "precious", path),
}


@pytest.fixture(autouse=True)
def _no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "token_hex", lambda size: TOKEN)


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A directory that nothing is to be changed in, with one file."""
    directory = tmp_path / "outside"
    directory.mkdir()
    (directory / "precious").write_bytes(b"precious")
    return directory


def _write_ids(c: Config, release: Path) -> None:
    for problem in write_ids(release, [IdWrite(release / "01.mp3", *IDS)]):
        raise problem


def _write_cover(c: Config, release: Path) -> None:
    with new_version(release / "cover.png", PICTURE) as fresh:
        fresh.rename(release / "cover.png")


WRITES: Mapping[str, tuple[str, Callable[[Config, Path], object]]] = {
    "datafile": ("toml.{}.toml", lambda c, release: write_atomically(release / "new.toml", b"new = true")),
    "journal of ids": ("journal.{}", _write_ids),
    "new version of tags": (
        "tags.{}.opus",
        lambda c, release: write_tags(release / "02.opus", TagChanges(labels=("Label " * 999,))),
    ),
    "cover": ("tags.{}.png", _write_cover),
    "copy that is written to": ("spool.{}.opus", lambda c, release: Spool(release, ".opus", 0o600)),
    "hold": (
        "../.in-progress.rosefs.hold.{}",
        lambda c, release: Holds(c).hold_release(rosecache.list_releases(c)[0]),
    ),
}
"""By what is written: its temporary name, and what writes it, which takes the configuration and a release."""


@pytest.mark.parametrize("plant", PLANTS)
@pytest.mark.parametrize("write", WRITES)
def test_a_temporary_file_is_made_anew_or_not_at_all(
    c: Config, outside: Path, write: str, plant: str
) -> None:
    release = make_release(c.music_source_dir, "R", tracks=1, format="mp3").resolve()
    make_release(c.music_source_dir, "R", tracks=2)
    (release / "01.opus").unlink()
    if write == "hold":
        update_cache(c)
    name, act = WRITES[write]
    name = name.format(TOKEN)
    planted = release / (name if name.startswith("..") else f".in-progress.rosefs.{name}")
    PLANTS[plant](planted, outside)
    before = exact_snapshot(outside)
    with pytest.raises((OSError, TagWriteError), match="File exists"):
        act(c, release)
    assert exact_snapshot(outside) == before
    assert os.path.lexists(planted)
    planted.unlink()
    act(c, release)  # it was in the way, and nothing else was


@pytest.mark.parametrize("plant", PLANTS)
def test_a_file_of_a_release_that_arrives_is_made_anew(
    c: Config, outside: Path, tmp_path: Path, plant: str
) -> None:
    update_cache(c)
    editor = Editor(c, tmp_path / "state")
    with closing(editor.fs):
        editor.mkdir("Releases/An Album")
        PLANTS[plant](imports.arriving_path(c, "An Album") / "01.opus", outside)
        before = exact_snapshot(outside)
        with pytest.raises(SourceWriteError, match="File exists"):
            editor.write("Releases/An Album/01.opus", b"x")
    assert exact_snapshot(outside) == before


@pytest.mark.parametrize("plant", PLANTS)
@pytest.mark.parametrize("path_of", [imports.temporary_path, imports.arriving_path])
def test_a_release_is_imported_beside_what_is_in_its_place(
    c: Config, outside: Path, tmp_path: Path, plant: str, path_of: Callable[[Config, str], Path]
) -> None:
    update_cache(c)
    PLANTS[plant](path_of(c, "album"), outside)
    before = exact_snapshot(outside)
    make_release(tmp_path / "incoming", "album", tracks=1)
    done = imports.import_release(c, Journal(tmp_path / "state"), tmp_path / "incoming" / "album")
    assert done.path == c.music_source_dir / "album [2]"
    assert exact_snapshot(outside) == before


@pytest.mark.parametrize("plant", PLANTS)
@pytest.mark.parametrize("ending", ["", "-wal", ".new", ".new-wal", ".new-shm"])
def test_the_database_is_made_anew(c: Config, outside: Path, ending: str, plant: str) -> None:
    make_private_directory(c.cache_dir)
    path = database_path(c)
    PLANTS[plant](path.with_name(path.name + ending), outside)
    before = exact_snapshot(outside)
    replace_database(c)
    assert exact_snapshot(outside) == before
    assert not path.is_symlink()
    assert path.is_file()


@pytest.mark.parametrize("plant", ["link", "link to nothing"])
def test_the_lock_file_is_no_link(c: Config, outside: Path, plant: str) -> None:
    make_private_directory(lock_path(c).parent)
    PLANTS[plant](lock_path(c), outside)
    before = exact_snapshot(outside)
    with pytest.raises(OSError, match="symbolic links"), lock(c, "database"):
        pass
    assert exact_snapshot(outside) == before
