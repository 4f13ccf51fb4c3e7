"""How a mount shows the tree: one view as its top, other owners and permissions, and settings that change."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rosecache.config import Config, PathTemplates, TemplateSet
from rosecache.update import update_cache
from rosefs.library.journal import Journal
from rosefs.settings import VfsSettings, ViewKey
from rosefs.vfs.errors import NoEntryError, NotPermittedError
from rosefs.vfs.filesystem import FileSystem
from rosefs.vfs.model import ROOT_INODE, Appearance, Changes
from tests.support.audio import make_release
from tests.support.browsing import Browser


@pytest.fixture
def library(c: Config) -> Config:
    make_release(c.music_source_dir, artist="LOONA", album="Hash", date="2018", genre="K-Pop")
    update_cache(c)
    return c


def browse(c: Config, view: ViewKey) -> Browser:
    """Returns a tree of one view."""
    browser = Browser(c)
    settings = VfsSettings().only(view)
    browser.fs = FileSystem(c, settings, clock=browser.clock, appearance=Appearance(view=view))
    return browser


ALBUM = "{NEW} LOONA - 2018. Hash"


@pytest.mark.parametrize(
    ("view", "path"),
    [("releases", ALBUM), ("artists", f"LOONA/{ALBUM}"), ("genres", f"K-Pop/{ALBUM}")],
)
def test_a_view_can_be_the_top(library: Config, view: ViewKey, path: str) -> None:
    browser = browse(library, view)
    whole = Browser(library)
    top = browser.stat("")
    assert top.inode == ROOT_INODE
    assert top.mtime == whole.stat(dict(VfsSettings().named_views)[view]).mtime
    assert path.split("/")[0] in browser.ls("")
    assert "01. Track 1.opus" in browser.ls(path)
    for name in (b".", b".."):
        assert browser.fs.lookup(ROOT_INODE, name).inode == ROOT_INODE
    below = browser.stat(path.split("/")[0])
    assert browser.fs.lookup(below.inode, b"..").inode == ROOT_INODE
    with pytest.raises(NoEntryError):
        browser.fs.lookup(ROOT_INODE, b"Releases")


def test_a_view_that_is_the_top_follows_changes(library: Config) -> None:
    browser = browse(library, "artists")
    assert browser.ls("") == ["LOONA"]
    make_release(library.music_source_dir, "Another", artist="BLACKPINK")
    browser.update()
    assert browser.ls("") == ["BLACKPINK", "LOONA"]


def test_gestures_mean_the_same_where_a_view_is_the_top(
    library: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    fs = FileSystem(
        library, VfsSettings().only("collages"), journal=Journal(tmp_path / "state"),
        appearance=Appearance(view="collages"),
    )  # fmt: skip
    fs.mkdir(ROOT_INODE, b"Road Trip")
    assert (library.collages_dir / "Road Trip.toml").exists()
    fs.rename(ROOT_INODE, b"Road Trip", ROOT_INODE, b"Trip", 0)
    assert fs.lookup(ROOT_INODE, b"Trip").is_directory
    fs.rmdir(ROOT_INODE, b"Trip")
    assert not (library.collages_dir / "Trip.toml").exists()
    fs.close()


@pytest.mark.parametrize(
    ("umask", "writable", "directory", "file"),
    [
        (0o022, True, 0o755, 0o644),
        (0o022, False, 0o555, 0o444),
        (0o077, True, 0o700, 0o600),
        (0o002, True, 0o775, 0o664),
        (0o002, False, 0o555, 0o444),
    ],
)
def test_owner_and_permissions_can_be_chosen(
    library: Config, tmp_path: Path, umask: int, writable: bool, directory: int, file: int
) -> None:
    journal = Journal(tmp_path / "state") if writable else None
    fs = FileSystem(
        library, VfsSettings(), journal=journal, appearance=Appearance(uid=123, gid=456, umask=umask)
    )
    release = fs.lookup(fs.lookup(ROOT_INODE, b"Releases").inode, os.fsencode(ALBUM))
    track = fs.lookup(release.inode, b"01. Track 1.opus")
    assert (release.mode, track.mode) == (directory, file)
    assert {(found.uid, found.gid) for found in (release, track)} == {(123, 456)}
    if writable:
        fs.setattr(track.inode, Changes(uid=123, gid=456))
        with pytest.raises(NotPermittedError):
            fs.setattr(track.inode, Changes(uid=124))
    fs.close()


def test_other_settings_take_effect_at_once(library: Config) -> None:
    browser = Browser(library)
    before = browser.stat(f"Artists/LOONA/{ALBUM}")
    templates = PathTemplates(default=TemplateSet(release="{{ releasetitle }}"))
    settings = VfsSettings.from_mapping({"views": ["artists", "genres"], "genres_blacklist": ["K-Pop"]})
    browser.fs.reconfigure(templates, settings)
    assert browser.ls("") == ["Artists", "Genres"]
    assert "K-Pop" not in browser.ls("Genres")
    assert "Hash" in browser.ls("Artists/LOONA")
    assert not browser.exists(f"Artists/LOONA/{ALBUM}")
    assert browser.stat("Artists/LOONA/Hash").inode == before.inode


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Artists", "artists"),
        ("artists", "artists"),
        ("by genre", "genres"),
        ("Genres", "genres"),
        ("x", None),
    ],
)
def test_a_view_is_found_by_its_name_or_its_key(text: str, found: str | None) -> None:
    settings = VfsSettings.from_mapping({"views": ["artists", {"view": "genres", "name": "By Genre"}]})
    assert settings.find_view(text) == found


def test_one_view_keeps_its_name() -> None:
    settings = VfsSettings.from_mapping({"views": ["artists", {"view": "genres", "name": "By Genre"}]})
    assert settings.only("genres").named_views == (("genres", "By Genre"),)
    assert settings.only("labels").named_views == (("labels", "Labels"),)
