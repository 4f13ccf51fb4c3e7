"""Releases that programs fill, without a kernel: what is shown meanwhile, when they are complete, what they become."""

from __future__ import annotations

import os
import shutil
import unicodedata
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from rosecache.config import Config
from rosecache.query.releases import list_releases
from rosecache.update import update_cache
from rosefs.library import arrivals as on_disk
from rosefs.library import undo as undoing
from rosefs.library.journal import Journal
from rosefs.settings import VfsSettings
from rosefs.vfs.errors import (
    ExistsError,
    InvalidRequestError,
    IsADirectoryFsError,
    NameTooLongError,
    NoAttributeError,
    NoEntryError,
    NotADirectoryFsError,
    NotEmptyError,
    NotPermittedError,
    NotSupportedError,
    SourceWriteError,
)
from rosefs.vfs.filesystem import FileSystem
from rosefs.vfs.model import Appearance, Changes
from tests.support.audio import make_release
from tests.support.editing import Closing, Editor
from tests.support.library import cached_ids, check_cache, snapshot

ALBUM = "Releases/An Album"
SHOWN = "Releases/{NEW} Artist - 2020. An Album"
IN_PROGRESS = ".in-progress.rosefs.An Album"


class Copier(Editor):
    """A file system that releases are copied to, as ``cp -r`` does."""

    @property
    def source(self) -> Path:
        return self.c.music_source_dir

    @property
    def journal(self) -> Journal:
        assert self.fs._edits is not None
        return self.fs._edits.journal

    def in_progress(self) -> list[str]:
        return sorted(name for name in os.listdir(self.source) if name.startswith(".in-progress."))


@pytest.fixture
def copying(closing: Closing, tmp_path: Path) -> Callable[[Config], Copier]:
    """Makes file systems to copy to, of the library's configuration or another one, and closes them in the end."""
    return lambda c: closing.add(Copier(c, tmp_path / "state"))


@pytest.fixture
def copier(library: Config, copying: Callable[[Config], Copier]) -> Copier:
    return copying(library)


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """A directory of two tracks, one below, with a booklet, outside of the library."""
    album = make_release(tmp_path / "downloads", "An Album", tracks=1, album="An Album")
    make_release(album, "Disc 2", tracks=1, album="An Album", discnumber="2")
    (album / "booklet.pdf").write_bytes(b"%PDF")
    return album


def in_trash(tmp_path: Path) -> list[str]:
    files = tmp_path / "data/Trash/files"
    return sorted(os.listdir(files)) if files.exists() else []


# While it arrives -------------------------------------------------------------------------------------------


def test_it_is_shown_at_once_as_it_was_written(copier: Copier, album: Path) -> None:
    copier.copy_tree(album, ALBUM)
    assert copier.in_progress() == [IN_PROGRESS]
    assert "An Album" in copier.ls("Releases")
    assert copier.ls(ALBUM) == ["01.opus", "Disc 2", "booklet.pdf"]
    assert copier.ls(f"{ALBUM}/Disc 2") == ["01.opus"]
    assert copier.read(f"{ALBUM}/Disc 2/01.opus") == (album / "Disc 2/01.opus").read_bytes()
    assert copier.stat(f"{ALBUM}/booklet.pdf").size == 4
    update_cache(copier.c, force=True)
    assert len(list_releases(copier.c)) == 3
    assert copier.stat("").inode == copier.fs.lookup(copier.stat("Releases").inode, b"..").inode
    assert copier.fs.lookup(copier.stat(ALBUM).inode, b"..").inode == copier.stat("Releases").inode
    disc = copier.stat(f"{ALBUM}/Disc 2").inode
    assert copier.fs.lookup(disc, b"..").inode == copier.fs.lookup(copier.stat(ALBUM).inode, b".").inode


def test_names_may_not_be_remembered(copier: Copier, album: Path) -> None:
    copier.copy_tree(album, ALBUM)
    inode = copier.stat(ALBUM).inode
    for path in (ALBUM, f"{ALBUM}/01.opus", f"{ALBUM}/Disc 2"):
        assert not copier.stat(path).keep_name
    assert not copier.absence_may_be_kept(inode)
    assert copier.absence_may_be_kept(copier.stat("Releases").inode)
    assert not copier.fs.is_cheap(inode)
    assert not copier.fs.is_cheap(copier.stat("Releases").inode)


def test_numbers_stay_with_files_whatever_they_are_called(copier: Copier, album: Path) -> None:
    copier.copy_tree(album, ALBUM)
    track, disc = copier.stat(f"{ALBUM}/01.opus").inode, copier.stat(f"{ALBUM}/Disc 2").inode
    copier.rename(f"{ALBUM}/01.opus", f"{ALBUM}/Disc 2/02.opus")
    copier.rename(f"{ALBUM}/Disc 2", f"{ALBUM}/CD2")
    assert copier.stat(f"{ALBUM}/CD2").inode == disc
    assert copier.stat(f"{ALBUM}/CD2/02.opus").inode == track
    assert not copier.exists(f"{ALBUM}/01.opus")
    copier.write(f"{ALBUM}/01.opus", b"another one")
    assert copier.stat(f"{ALBUM}/01.opus").inode != track
    assert sorted(os.listdir(copier.source / IN_PROGRESS)) == ["01.opus", "CD2", "booklet.pdf"]


def test_renaming_over_a_file_replaces_it(copier: Copier, album: Path) -> None:
    copier.copy_tree(album, ALBUM)
    copier.write(f"{ALBUM}/.new", b"new")
    new = copier.stat(f"{ALBUM}/.new").inode
    copier.rename(f"{ALBUM}/.new", f"{ALBUM}/booklet.pdf")
    assert copier.read(f"{ALBUM}/booklet.pdf") == b"new"
    assert copier.stat(f"{ALBUM}/booklet.pdf").inode == new
    copier.mkdir(f"{ALBUM}/empty")
    for old, to, error in (
        ("booklet.pdf", "Disc 2", IsADirectoryFsError),
        ("empty", "Disc 2", NotEmptyError),
        ("empty", "booklet.pdf", NotADirectoryFsError),
    ):
        with pytest.raises(error):
            copier.rename(f"{ALBUM}/{old}", f"{ALBUM}/{to}")
    assert copier.ls(ALBUM) == ["01.opus", "Disc 2", "booklet.pdf", "empty"]


def test_attributes_are_those_of_the_disk(copier: Copier, album: Path) -> None:
    copier.copy_tree(album, ALBUM)
    inode = copier.stat(f"{ALBUM}/booklet.pdf").inode
    shown = copier.fs.setattr(inode, Changes(size=2, mode=0o440, atime=5, mtime=1234567890123456789))
    assert (shown.size, shown.mode, shown.atime, shown.mtime) == (2, 0o440, 5, 1234567890123456789)
    status = (copier.source / IN_PROGRESS / "booklet.pdf").stat()
    assert (status.st_size, status.st_mode & 0o777, status.st_mtime_ns) == (2, 0o440, 1234567890123456789)
    shown = copier.fs.setattr(copier.stat(f"{ALBUM}/Disc 2").inode, Changes(mode=0o750, mtime=7))
    assert (shown.mode, shown.mtime, shown.is_directory) == (0o750, 7, True)


def test_attributes_of_the_user_go_to_the_disk_and_ours_do_not(copier: Copier, album: Path) -> None:
    copier.copy_tree(album, ALBUM)
    fs, inode = copier.fs, copier.stat(f"{ALBUM}/01.opus").inode
    fs.setxattr(inode, b"user.comment", b"good")
    assert fs.has_attribute(inode, b"user.comment")
    assert fs.getxattr(inode, b"user.comment") == b"good"
    assert fs.listxattr(inode) == [b"user.comment"]
    assert os.getxattr(copier.source / IN_PROGRESS / "01.opus", "user.comment") == b"good"
    fs.removexattr(inode, b"user.comment")
    with pytest.raises(NoAttributeError):
        fs.removexattr(inode, b"user.comment")
    with pytest.raises(NoAttributeError):
        fs.getxattr(inode, b"user.comment")
    for name in (b"user.rosefs.id", b"user.rosefs.new", b"security.capability", b"trusted.x"):
        assert not fs.has_attribute(inode, name)
        with pytest.raises(NotSupportedError):
            fs.setxattr(inode, name, b"true")
    assert fs.listxattr(inode) == []


def test_a_removed_file_that_is_open_can_be_used(copier: Copier, album: Path) -> None:
    copier.mkdir(ALBUM)
    opened, attributes = copier.fs.create(*copier.parent(f"{ALBUM}/x"), 0o400, os.O_RDWR)
    copier.unlink(f"{ALBUM}/x")
    copier.fs.write(opened.handle, 0, b"abcdef")
    copier.fs.setattr(attributes.inode, Changes(size=3, mtime=8), opened.handle)
    shown = copier.fs.getattr(attributes.inode)
    assert (shown.size, shown.mtime, shown.mode) == (3, 8, 0o400)
    assert copier.fs.read(opened.handle, 0, 10) == b"abc"
    copier.fs.release(opened.handle)
    assert copier.ls(ALBUM) == []


def test_two_programs_fill_one_directory(copier: Copier, album: Path) -> None:
    copier.mkdir(ALBUM)
    with pytest.raises(ExistsError):
        copier.mkdir(ALBUM)
    first, _ = copier.fs.create(*copier.parent(f"{ALBUM}/x"), 0o600, os.O_WRONLY)
    with pytest.raises(ExistsError):
        copier.fs.create(*copier.parent(f"{ALBUM}/x"), 0o600, os.O_WRONLY | os.O_EXCL)
    second, _ = copier.fs.create(*copier.parent(f"{ALBUM}/x"), 0o600, os.O_WRONLY)
    copier.fs.write(first.handle, 0, b"abc")
    copier.fs.write(second.handle, 3, b"def")
    assert copier.read(f"{ALBUM}/x") == b"abcdef"
    copier.fs.release(first.handle)
    copier.fs.release(second.handle)


def test_names_as_the_disk_has_them(copier: Copier, album: Path) -> None:
    decomposed = unicodedata.normalize("NFD", "é")
    copier.mkdir(f"Releases/{decomposed}?")
    copier.write(f"Releases/{decomposed}?/{decomposed}.txt", b"x")
    assert f"{decomposed}?" in copier.ls("Releases")
    assert copier.ls(f"Releases/{decomposed}?") == [f"{decomposed}.txt"]
    assert copier.read("Releases/é?/é.txt") == b"x"
    raw = os.fsdecode(b"caf\xe9.mp3")
    copier.write(f"Releases/é?/{raw}", b"x")
    assert (copier.source / f".in-progress.rosefs.{decomposed}?" / raw).read_bytes() == b"x"
    assert b"caf\xe9.mp3" in [entry.name for entry in copier.entries("Releases/é?")]


def test_names_that_are_refused(library: Config, copying: Callable[[Config], Copier], album: Path) -> None:
    c = msgspec.structs.replace(library, ignore_release_directories=("Audiobooks",))
    update_cache(c)
    copier = copying(c)
    for name, error in (
        ("!collages", InvalidRequestError),
        ("!playlists", InvalidRequestError),
        ("Audiobooks", InvalidRequestError),
        (".in-progress.x", NotPermittedError),
        (".Trash-1000", NotPermittedError),
        ("a\nb", InvalidRequestError),
        ("LOONA - 2018. Hash", ExistsError),
        ("!All Tracks", ExistsError),
        ("ä" * 128, NameTooLongError),  # 256 bytes, which the kernel lets through
    ):
        with pytest.raises(error):
            copier.mkdir(f"Releases/{name}")
    for view in ("Releases - New", "Releases - Added On", "Loose Tracks", "Artists/LOONA"):
        with pytest.raises(NotPermittedError):
            copier.mkdir(f"{view}/An Album")
    copier.mkdir(ALBUM)
    with pytest.raises(NameTooLongError):
        copier.rename(ALBUM, f"Releases/{'ä' * 128}")
    for name in (".DS_Store", "._01.mp3", ".in-progress.rosefs.spool.x"):
        with pytest.raises(NotPermittedError):
            copier.write(f"{ALBUM}/{name}", b"x")
        with pytest.raises(NotPermittedError):
            copier.mkdir(f"{ALBUM}/{name}")
    assert copier.ls(ALBUM) == []


def test_nothing_is_moved_in_or_out(copier: Copier, album: Path) -> None:
    copier.copy_tree(album, ALBUM)
    copier.mkdir("Releases/Other")
    track = "Releases/LOONA - 2018. Hash/01. Track 1.opus"
    before = snapshot(copier.source)
    for old, to in (
        (f"{ALBUM}/01.opus", "Releases/Other/01.opus"),
        (f"{ALBUM}/01.opus", "Releases/LOONA - 2018. Hash/x.opus"),
        (f"{ALBUM}/01.opus", track),
        (track, f"{ALBUM}/x.opus"),
        (track, f"{ALBUM}/01.opus"),
        (f"{ALBUM}/Disc 2", "Releases/Disc 2"),
        (ALBUM, "Releases - New/An Album"),
        (ALBUM, "Releases/Other"),
        ("Releases/LOONA - 2018. Hash", ALBUM),
        ("Releases/Other", f"{ALBUM}/Other"),
    ):
        with pytest.raises(NotPermittedError):
            copier.rename(old, to)
    assert snapshot(copier.source) == before


def test_the_release_itself_is_renamed(copier: Copier, album: Path) -> None:
    inode = copier.mkdir("Releases/New Folder")
    copier.rename("Releases/New Folder", ALBUM)
    assert not copier.exists("Releases/New Folder")
    assert copier.stat(ALBUM).inode == inode
    assert copier.in_progress() == [IN_PROGRESS]
    copier.write(f"{ALBUM}/01.opus", (album / "01.opus").read_bytes())
    copier.later(5)
    assert os.listdir(copier.source / "An Album")


def test_in_a_mount_of_one_view_and_for_another_user(copier: Copier, album: Path, tmp_path: Path) -> None:
    look = Appearance(view="releases", uid=1234, gid=2345)
    copier.fs = FileSystem(
        copier.c,
        VfsSettings().only("releases"),
        journal=Journal(tmp_path / "state"),
        appearance=look,
        clock=copier.clock,
    )
    copier.copy_tree(album, "An Album")
    assert "An Album" in copier.ls("")
    assert copier.fs.lookup(copier.stat("An Album").inode, b"..").inode == copier.stat("").inode
    shown = copier.fs.setattr(copier.stat("An Album/01.opus").inode, Changes(uid=1234, gid=2345, mode=0o640))
    assert (shown.uid, shown.gid, shown.mode) == (1234, 2345, 0o640)
    assert (copier.source / IN_PROGRESS / "01.opus").stat().st_uid == os.getuid()
    copier.later(5)
    assert copier.exists(SHOWN.partition("/")[2])


# Removing ---------------------------------------------------------------------------------------------------


def test_what_is_removed_goes_to_the_trash_and_temporary_files_do_not(
    copier: Copier, album: Path, tmp_path: Path
) -> None:
    copier.copy_tree(album, ALBUM)
    copier.write(f"{ALBUM}/.01.opus.x7Ab2c", b"of rsync")
    copier.write(f"{ALBUM}/empty", b"")
    for name in (".01.opus.x7Ab2c", "empty", "booklet.pdf"):
        copier.unlink(f"{ALBUM}/{name}")
    assert copier.ls(ALBUM) == ["01.opus", "Disc 2"]
    assert in_trash(tmp_path) == ["booklet.pdf"]
    copier.later(5)
    undoing.undo(copier.c, copier.journal, copier.journal.history()[1].id)
    assert (copier.source / "An Album/booklet.pdf").read_bytes() == b"%PDF"
    check_cache(copier.c)


def test_all_of_it_is_removed_and_undo_makes_a_release_of_it(
    copier: Copier, album: Path, tmp_path: Path
) -> None:
    copier.copy_tree(album, ALBUM)
    with pytest.raises(NotEmptyError):
        copier.rmdir(ALBUM)
    for path in ("01.opus", "booklet.pdf", "Disc 2/01.opus"):
        copier.unlink(f"{ALBUM}/{path}")
    copier.rmdir(f"{ALBUM}/Disc 2")
    copier.rmdir(ALBUM)
    assert not copier.exists(ALBUM)
    assert "An Album" not in copier.ls("Releases")
    assert copier.in_progress() == []
    assert len(in_trash(tmp_path)) == 5
    copier.later(5)
    undoing.undo(copier.c, copier.journal)
    found = {
        path: data for path, data in snapshot(copier.source / "An Album").items() if ".rose." not in path
    }
    assert found.keys() == snapshot(album).keys()
    assert len(list_releases(copier.c)) == 4
    check_cache(copier.c)


def test_an_empty_directory_leaves_nothing(copier: Copier) -> None:
    copier.mkdir(ALBUM)
    copier.later(60)
    assert copier.ls(ALBUM) == []
    copier.rmdir(ALBUM)
    copier.mkdir(ALBUM)
    copier.fs.close()
    assert copier.in_progress() == []
    assert not (copier.source / "An Album").exists()
    assert copier.journal.history() == []


# Becoming a release -----------------------------------------------------------------------------------------


def test_left_alone_for_five_seconds_it_is_a_release(copier: Copier, album: Path) -> None:
    copier.copy_tree(album, ALBUM)
    copier.later(4)
    copier.unlink(f"{ALBUM}/booklet.pdf")
    copier.later(4)
    assert copier.in_progress() == [IN_PROGRESS]
    copier.later(1)
    assert copier.in_progress() == []
    assert sorted(cached_ids(copier.c))[:2] == ["An Album/01.opus", "An Album/Disc 2/01.opus"]
    assert SHOWN.partition("/")[2] in copier.ls("Releases")
    assert "An Album" not in copier.ls("Releases")
    assert [name for name in copier.ls(SHOWN) if ".rose." not in name] == [
        "01-01. Track 1.opus", "02-01. Track 1.opus"
    ]  # fmt: skip
    assert copier.journal.history()[0].title == "import An Album"
    check_cache(copier.c)
    undoing.undo(copier.c, copier.journal)
    assert not (copier.source / "An Album").exists()
    assert len(list_releases(copier.c)) == 3


def test_it_waits_for_who_has_a_file_of_it_open(copier: Copier, album: Path) -> None:
    copier.copy_tree(album, ALBUM)
    with copier.opened(f"{ALBUM}/01.opus"):
        copier.later(60)
        assert copier.in_progress() == [IN_PROGRESS]
    copier.later(5)
    assert copier.in_progress() == []


def test_without_audio_it_stays_and_is_kept_at_the_end(copier: Copier, album: Path) -> None:
    copier.mkdir(ALBUM)
    copier.write(f"{ALBUM}/broken.mp3", b"no audio")
    copier.write(f"{ALBUM}/booklet.pdf", b"%PDF")
    copier.later(3600)
    assert copier.ls(ALBUM) == ["broken.mp3", "booklet.pdf"]
    copier.fs.close()
    assert sorted(os.listdir(copier.source / "An Album")) == ["booklet.pdf", "broken.mp3"]
    assert len(list_releases(copier.c)) == 3
    assert copier.in_progress() == []


def test_at_the_end_it_is_completed_at_once(copier: Copier, album: Path) -> None:
    copier.copy_tree(album, ALBUM)
    copier.fs.close()
    assert len(list_releases(copier.c)) == 4
    check_cache(copier.c)


def test_old_names_and_numbers_go_on_working_for_two_hours(copier: Copier, album: Path) -> None:
    copier.copy_tree(album, ALBUM)
    root, disc = copier.stat(ALBUM).inode, copier.stat(f"{ALBUM}/Disc 2").inode
    old = copier.stat(f"{ALBUM}/01.opus").inode
    copier.later(5)
    assert copier.stat(ALBUM).inode == copier.stat(SHOWN).inode == root
    (track,) = (entry for entry in copier.entries(SHOWN) if entry.name.startswith(b"01-01."))
    assert copier.stat(f"{ALBUM}/01.opus").inode == track.attributes.inode != old
    assert copier.fs.getattr(old).size == track.attributes.size
    opened = copier.fs.open(old, os.O_RDONLY)
    assert copier.fs.read(opened.handle, 0, 1 << 20) == (copier.source / "An Album/01.opus").read_bytes()
    copier.fs.release(opened.handle)
    assert copier.stat(f"{ALBUM}/Disc 2").inode == disc
    assert copier.ls(f"{ALBUM}/Disc 2") == ["01.opus"]
    assert copier.read(f"{ALBUM}/Disc 2/01.opus") == (copier.source / "An Album/Disc 2/01.opus").read_bytes()
    assert copier.fs.lookup(disc, b"..").inode == root
    second = copier.stat(f"{ALBUM}/Disc 2/01.opus").inode
    assert copier.fs.setattr(second, Changes(mtime=9)).mtime == 9
    opened = copier.fs.open(second, os.O_RDWR)
    copier.fs.release(opened.handle)
    copier.write(f"{ALBUM}/cover.jpg", b"more")
    assert (copier.source / "An Album/cover.jpg").read_bytes() == b"more"
    for refused in (
        lambda: copier.write(f"{ALBUM}/Disc 2/x", b"x"),
        lambda: copier.unlink(f"{ALBUM}/Disc 2/01.opus"),
        lambda: copier.rmdir(f"{ALBUM}/Disc 2"),
        lambda: copier.mkdir(f"{ALBUM}/Disc 2/x"),
        lambda: copier.rename(f"{ALBUM}/Disc 2/01.opus", f"{ALBUM}/Disc 2/x"),
        lambda: copier.fs.setattr(disc, Changes(mode=0o700)),
        lambda: copier.fs.setxattr(disc, b"user.x", b"x"),
        lambda: copier.fs.setxattr(old, b"user.x", b"x"),
    ):
        with pytest.raises((NotPermittedError, NotSupportedError)):
            refused()
    assert "Disc 2" not in copier.ls(ALBUM)
    copier.clock.advance(2 * 3600)
    assert not copier.exists(ALBUM)
    assert not copier.exists(f"{SHOWN}/Disc 2")
    with pytest.raises(NoEntryError):
        copier.fs.getattr(disc)
    assert copier.stat(SHOWN).inode == root


def test_a_name_that_is_its_own_by_its_tags(copier: Copier, album: Path) -> None:
    copier.copy_tree(album, SHOWN)
    inode = copier.stat(SHOWN).inode
    copier.later(5)
    assert copier.releases("Releases") == [name for name in copier.ls("Releases") if "[2]" not in name][1:]
    assert copier.stat(SHOWN).inode == inode
    copier.later(60)
    assert copier.stat(SHOWN).inode == inode


def test_nothing_else_gets_its_name_meanwhile(copier: Copier, album: Path) -> None:
    copier.copy_tree(album, SHOWN)
    make_release(copier.source, "faster", tracks=1, album="An Album")
    copier.update()
    assert copier.stat(SHOWN).mode == copier.stat(f"{SHOWN}/Disc 2").mode
    assert copier.exists(f"{SHOWN} [2]")
    copier.later(5)
    first, second = (
        copier.xattr(SHOWN, "user.rosefs.source_path"),
        copier.xattr(f"{SHOWN} [2]", "user.rosefs.source_path"),
    )
    assert Path(second).name == "faster"
    assert Path(first).name == SHOWN.partition("/")[2]


def test_a_name_that_is_taken_in_the_source_gets_a_number(copier: Copier, album: Path) -> None:
    (copier.source / "An Album").mkdir()
    copier.copy_tree(album, ALBUM)
    assert copier.in_progress() == [f"{IN_PROGRESS} [2]"]
    (copier.source / "An Album [2]").mkdir()
    copier.later(5)
    assert (copier.source / "An Album [2] [2]/01.opus").exists()
    assert copier.journal.history()[0].title == "import An Album [2] [2]"
    assert copier.exists(SHOWN)


def test_the_longest_names_and_those_that_look_like_ours(copier: Copier, album: Path) -> None:
    for name in ("가" * 85, "hold.x", "import.x"):
        copier.copy_tree(album, f"Releases/{name}")
    copier.later(5)
    assert {"가" * 85, "hold.x", "import.x"} <= {name.partition("/")[0] for name in cached_ids(copier.c)}
    assert copier.in_progress() == []


def test_a_copy_of_a_release_gets_ids_of_its_own(copier: Copier) -> None:
    before = cached_ids(copier.c)
    copier.copy_tree(copier.source / "loona", "Releases/Copy")
    assert any(name.startswith(".rose.") for name in copier.ls("Releases/Copy"))
    copier.later(5)
    after = cached_ids(copier.c)
    assert {path: after[path] for path in before} == before
    assert len(set(after.values())) == len(after) == len(before) + 2
    assert len(list((copier.source / "Copy").glob(".rose.*.toml"))) == 1
    check_cache(copier.c)


def test_a_release_of_the_library_that_is_moved_stays_that_release(copier: Copier) -> None:
    before = cached_ids(copier.c)
    copier.copy_tree(copier.source / "loona", "Releases/Moved")
    shutil.rmtree(copier.source / "loona")
    copier.later(5)
    after = {path.replace("Moved", "loona"): identifier for path, identifier in cached_ids(copier.c).items()}
    assert after == before
    check_cache(copier.c)


def test_a_loose_track_and_source_files_that_are_renamed(
    library: Config, copying: Callable[[Config], Copier], tmp_path: Path
) -> None:
    copier = copying(msgspec.structs.replace(library, rename_source_files=True))
    make_release(tmp_path, "demo", tracks=1, album="Other", releasetype="loosetrack")
    copier.copy_tree(tmp_path / "demo", "Releases/demo")
    copier.later(5)
    assert not (copier.source / "demo").exists()
    assert any("Other" in name for name in copier.ls("Loose Tracks"))
    assert copier.ls("Releases/demo")
    check_cache(copier.c)


def test_files_nobody_may_write_are_a_release_that_can_be_edited(copier: Copier, album: Path) -> None:
    copier.copy_tree(album, ALBUM)
    for path in (f"{ALBUM}/Disc 2/01.opus", f"{ALBUM}/Disc 2", f"{ALBUM}/01.opus", ALBUM):
        copier.fs.setattr(copier.stat(path).inode, Changes(mode=0o555 if "opus" not in path else 0o444))
    copier.later(5)
    assert (copier.source / "An Album").stat().st_mode & 0o777 == 0o755
    assert (copier.source / "An Album/01.opus").stat().st_mode & 0o777 == 0o644


@pytest.mark.expects_log("the import of An Album is not complete, and is tried again: .*cannot be written")
def test_what_cannot_be_completed_stays_and_is_tried_again(copier: Copier, album: Path) -> None:
    copier.copy_tree(album, ALBUM)
    directory = copier.journal.directory
    directory.parent.mkdir(exist_ok=True)
    directory.write_bytes(b"in the way")
    copier.later(5)
    assert copier.in_progress() == [IN_PROGRESS]
    assert copier.read(f"{ALBUM}/01.opus") == (album / "01.opus").read_bytes()
    directory.unlink()
    copier.later(60)
    assert copier.in_progress() == []
    assert copier.exists(SHOWN)


def test_a_full_journal_at_the_end_of_the_edit_loses_nothing(
    copier: Copier, album: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copier.copy_tree(album, ALBUM)
    before = snapshot(copier.source / IN_PROGRESS)
    real = os.fsync
    arriving = next(iter(copier.fs._arrivals)).on_disk

    def fail_once_renamed(descriptor: int) -> None:
        if (copier.source / "An Album").exists():
            raise OSError(28, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fail_once_renamed)
    with pytest.raises(Exception, match="No space left"):
        on_disk.complete(copier.c, copier.journal, arriving)
    monkeypatch.undo()
    monkeypatch.setenv("XDG_DATA_HOME", str(copier.c.cache_dir / "data"))
    assert snapshot(copier.source / IN_PROGRESS) == before
    assert on_disk.recover(copier.c, copier.journal) == []  # it is locked again
    copier.later(5)
    assert copier.exists(SHOWN)


def test_a_full_disk_is_told(copier: Copier, monkeypatch: pytest.MonkeyPatch) -> None:
    copier.mkdir(ALBUM)
    shutil.rmtree(copier.source / IN_PROGRESS)
    with pytest.raises(SourceWriteError):
        copier.mkdir(f"{ALBUM}/x")
    with pytest.raises(SourceWriteError):
        copier.write(f"{ALBUM}/x", b"")


# After a crash ----------------------------------------------------------------------------------------------


def test_what_a_crash_left_is_completed_at_the_next_start(
    copier: Copier, album: Path, tmp_path: Path
) -> None:
    shutil.copytree(album, copier.source / IN_PROGRESS)
    (copier.source / ".in-progress.rosefs.Empty").mkdir()
    (copier.source / ".in-progress.rosefs.Papers").mkdir()
    (copier.source / ".in-progress.rosefs.Papers/x.pdf").write_bytes(b"%PDF")
    (copier.source / ".in-progress.rosefs.hold.x").mkdir()
    (copier.source / ".in-progress.other").mkdir()
    copier.mkdir("Releases/Alive")
    other = Copier(copier.c, tmp_path / "state")
    other.fs.recover()
    assert other.exists(SHOWN)
    assert (copier.source / "Papers/x.pdf").read_bytes() == b"%PDF"
    assert copier.in_progress() == [
        ".in-progress.other",
        ".in-progress.rosefs.Alive",
        ".in-progress.rosefs.hold.x",
    ]
    assert [entry.title for entry in copier.journal.history()] == ["import Papers", "import An Album"]
    copier.rmdir("Releases/Alive")
    (copier.source / ".in-progress.rosefs.hold.x").rmdir()
    check_cache(copier.c)
    other.fs.close()


@pytest.mark.parametrize("line", ["whole", "half"])
def test_a_kill_between_the_name_and_the_end_of_the_edit(copier: Copier, album: Path, line: str) -> None:
    copier.copy_tree(album, ALBUM)
    copier.later(5)
    (written,) = copier.journal.directory.glob("*.jsonl")
    data = written.read_bytes()
    written.write_bytes(data[: data[:-1].rindex(b"\n") + (1 if line == "whole" else 5)])
    assert not copier.journal.history()[0].finished
    assert undoing.recover(copier.c, copier.journal) == []
    assert copier.journal.history()[0].finished
    assert (copier.source / "An Album/01.opus").exists()
    undoing.undo(copier.c, copier.journal)
    assert not (copier.source / "An Album").exists()


@pytest.mark.expects_log("An Album was being imported and cannot be completed")
def test_what_cannot_be_completed_at_the_start_does_not_keep_from_it(copier: Copier, album: Path) -> None:
    shutil.copytree(album, copier.source / IN_PROGRESS)
    (copier.source / IN_PROGRESS / "pipe").symlink_to("nowhere")
    copier.fs.recover()
    assert copier.in_progress() == [IN_PROGRESS]
