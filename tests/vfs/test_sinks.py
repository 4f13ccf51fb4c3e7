"""Copying into collages and playlists, without a kernel: what is added, what is shown for a moment, what is held."""

from __future__ import annotations

import errno
import os
import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from rosecache.config import Config
from rosecache.update import update_cache
from rosefs.library.holds import HOLD_SECONDS, holds_are_left
from rosefs.library.journal import Journal
from rosefs.library.undo import undo
from rosefs.vfs.errors import (
    InvalidRequestError,
    NoEntryError,
    NotEmptyError,
    NotPermittedError,
    NotSupportedError,
    SourceWriteError,
    StaleError,
)
from rosefs.vfs.model import Changes
from tests.support.audio import PICTURE, make_release, set_tags
from tests.support.editing import Closing, Editor
from tests.support.library import cached_ids, make_list, release_id_on_disk, snapshot

LOONA = "LOONA - 2018. Hash"
SINGLE = "BLACKPINK - 2016. Square - Single"
COLLAGE, PLAYLIST = "Collages/C", "Playlists/P"


class Copier(Editor):
    """A file system that is copied into: a collage C and a playlist P, both empty, beside three releases."""

    def __init__(self, c: Config, state_dir: Path) -> None:
        super().__init__(c, state_dir)
        self.journal = Journal(state_dir)

    @property
    def source(self) -> Path:
        return self.c.music_source_dir

    def write(self, path: str, data: bytes, *, flush: bool = True) -> None:
        opened, _ = self.fs.create(*self.parent(path), 0o644, os.O_WRONLY)
        self.fs.write(opened.handle, 0, data)
        try:
            if flush:
                self.fs.flush(opened.handle)
        finally:
            self.fs.release(opened.handle)

    def overwrite(self, path: str, data: bytes) -> None:
        """Truncates and writes, and looks the name up once more if it is told to, as the kernel does."""
        for _ in range(2):
            try:
                opened = self.fs.open(self.stat(path).inode, os.O_WRONLY | os.O_TRUNC)
                break
            except StaleError:
                continue
        self.fs.write(opened.handle, 0, data)
        try:
            self.fs.flush(opened.handle)
        finally:
            self.fs.release(opened.handle)

    def members(self, kind: str) -> list[str]:
        """Returns where the members of the collage or the playlist are in the source."""
        if kind == COLLAGE:
            table = tomllib.loads((self.source / "!collages/C.toml").read_text())
            ids = [entry["uuid"] for entry in table.get("releases", [])]
            found = {
                release_id_on_disk(path.parent): path.parent.name for path in self.source.glob("*/.rose.*")
            }
        else:
            table = tomllib.loads((self.source / "!playlists/P.toml").read_text())
            ids = [entry["uuid"] for entry in table.get("tracks", [])]
            found = {identifier: path for path, identifier in cached_ids(self.c).items()}
        return [found.get(identifier, identifier) for identifier in ids]

    def settle(self) -> None:
        """Has everything happen that only needs time."""
        self.later(HOLD_SECONDS + 1)


@pytest.fixture
def copying(library: Config, closing: Closing, tmp_path: Path) -> Callable[[Config], Copier]:
    """Makes copiers, of the library's configuration or another one, and closes them in the end."""
    make_list(library.collages_dir / "C.toml", "releases")
    make_list(library.playlists_dir / "P.toml", "tracks")

    def make(c: Config) -> Copier:
        update_cache(c)
        return closing.add(Copier(c, tmp_path / "state"))

    return make


@pytest.fixture
def copier(library: Config, copying: Callable[[Config], Copier]) -> Copier:
    return copying(library)


# Collages ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [LOONA, "loona", f"7. {LOONA}", f"[2023-10-25] {LOONA}"])
def test_a_directory_names_a_release(copier: Copier, name: str) -> None:
    before = snapshot(copier.source / "loona")
    copier.copy_tree(copier.source / "loona", f"{COLLAGE}/{name}")
    assert copier.members(COLLAGE) == ["loona"]
    assert copier.releases(COLLAGE) == [f"1. {LOONA}"]
    copier.later(9)
    assert copier.read(f"{COLLAGE}/{name}/01.opus") == before["01.opus"]
    copier.later(9)
    assert copier.exists(f"{COLLAGE}/{name}")
    copier.later(10)
    assert not copier.exists(f"{COLLAGE}/{name}")
    assert copier.releases(COLLAGE) == [f"1. {LOONA}"]
    copier.settle()
    assert snapshot(copier.source / "loona") == before
    assert not holds_are_left(copier.c)


def test_a_retired_name_still_names_the_release(copier: Copier) -> None:
    assert copier.exists(f"Releases/{LOONA}")
    for path in (copier.source / "loona").glob("*.opus"):
        set_tags(path, album="Hash Hash")
    copier.update()
    assert copier.exists(f"Releases/{LOONA}")
    copier.mkdir(f"{COLLAGE}/{LOONA}")
    assert copier.members(COLLAGE) == ["loona"]


@pytest.mark.expects_log("is in the trash")
def test_a_name_that_the_release_has_in_the_collage_is_shadowed_for_a_moment(copier: Copier) -> None:
    name = f"{COLLAGE}/1. {LOONA}"
    copier.mkdir(name)
    copier.write(f"{name}/x", b"x")
    assert copier.ls(name) == ["x"]
    assert copier.releases(COLLAGE) == [f"1. {LOONA}"]
    copier.later(10)
    assert "01. Track 1.opus" in copier.ls(name)


def test_a_name_of_no_release_is_refused(copier: Copier) -> None:
    before = snapshot(copier.source)
    with pytest.raises(InvalidRequestError):
        copier.mkdir(f"{COLLAGE}/Nothing")
    assert snapshot(copier.source) == before
    assert copier.journal.history() == []


def test_a_release_is_in_a_collage_once(copier: Copier) -> None:
    copier.mkdir(f"{COLLAGE}/loona")
    copier.mkdir(f"{COLLAGE}/{SINGLE}")
    copier.mkdir(f"{COLLAGE}/{LOONA}")
    assert copier.members(COLLAGE) == ["loona", "blackpink"]


@pytest.mark.expects_log("is in the trash")
def test_what_is_written_to_it_is_shown_as_it_was_written(copier: Copier) -> None:
    path = f"{COLLAGE}/loona/Disc 2/a.txt"
    copier.mkdir(f"{COLLAGE}/loona")
    copier.mkdir(f"{COLLAGE}/loona/Disc 2")
    copier.write(path, b"some bytes")
    inode = copier.stat(path).inode
    copier.fs.setattr(inode, Changes(mtime=123, mode=0o640, uid=os.getuid()))
    found = copier.stat(path)
    assert (found.size, found.mtime, found.mode, found.keep_name) == (10, 123, 0o640, False)
    directory = copier.stat(f"{COLLAGE}/loona/Disc 2")
    copier.fs.setattr(directory.inode, Changes(mtime=456, mode=0o700))
    directory = copier.stat(f"{COLLAGE}/loona/Disc 2")
    assert (directory.mtime, directory.mode, directory.keep_name) == (456, 0o700, False)
    assert not copier.absence_may_be_kept(directory.inode)
    with pytest.raises(NotSupportedError):
        copier.fs.setxattr(copier.stat(f"{COLLAGE}/loona").inode, b"user.rosefs.new", b"true")
    copier.rename(path, f"{COLLAGE}/loona/Disc 2/b.txt")
    assert copier.ls(f"{COLLAGE}/loona/Disc 2") == ["b.txt"]
    assert copier.read(f"{COLLAGE}/loona/Disc 2/b.txt") == b"some bytes"
    copier.fs.setattr(inode, Changes(size=4))
    assert copier.read(f"{COLLAGE}/loona/Disc 2/b.txt") == b"some"


@pytest.mark.expects_log("is in the trash")
def test_an_open_file_keeps_all_of_the_directory(copier: Copier) -> None:
    copier.mkdir(f"{COLLAGE}/loona")
    opened, _ = copier.fs.create(*copier.parent(f"{COLLAGE}/loona/x"), 0o644, os.O_RDWR)
    copier.later(HOLD_SECONDS + 1)
    copier.fs.write(opened.handle, 0, b"late")
    assert copier.fs.read(opened.handle, 0, 10) == b"late"
    assert copier.exists(f"{COLLAGE}/loona/x")
    assert holds_are_left(copier.c)
    copier.fs.flush(opened.handle)
    copier.fs.release(opened.handle)
    copier.settle()
    assert not copier.exists(f"{COLLAGE}/loona")
    assert not holds_are_left(copier.c)


@pytest.mark.expects_log("is in the trash")
def test_removing_what_was_just_copied_removes_the_member(copier: Copier) -> None:
    copier.mkdir(f"{COLLAGE}/{SINGLE}")
    copier.mkdir(f"{COLLAGE}/loona")
    copier.mkdir(f"{COLLAGE}/loona/Disc 2")
    copier.write(f"{COLLAGE}/loona/Disc 2/x", b"x")
    for directory in ("loona", "loona/Disc 2"):
        with pytest.raises(NotEmptyError):
            copier.rmdir(f"{COLLAGE}/{directory}")
    copier.unlink(f"{COLLAGE}/loona/Disc 2/x")
    copier.rmdir(f"{COLLAGE}/loona/Disc 2")
    assert copier.members(COLLAGE) == ["blackpink", "loona"]
    copier.rmdir(f"{COLLAGE}/loona")
    assert copier.members(COLLAGE) == ["blackpink"]
    copier.mkdir(f"{COLLAGE}/loona")
    assert copier.members(COLLAGE) == ["blackpink", "loona"]


def test_removing_the_member_removes_what_was_just_copied(copier: Copier) -> None:
    copier.mkdir(f"{COLLAGE}/loona")
    for name in copier.ls(f"{COLLAGE}/1. {LOONA}"):
        copier.unlink(f"{COLLAGE}/1. {LOONA}/{name}")
    copier.rmdir(f"{COLLAGE}/1. {LOONA}")
    assert copier.members(COLLAGE) == []
    copier.mkdir(f"{COLLAGE}/loona")
    assert copier.members(COLLAGE) == ["loona"]


def test_moving_what_was_just_copied_moves_the_member(copier: Copier) -> None:
    copier.mkdir(f"{COLLAGE}/{SINGLE}")
    copier.mkdir(f"{COLLAGE}/loona")
    copier.rename(f"{COLLAGE}/loona", f"{COLLAGE}/1. x")
    assert copier.members(COLLAGE) == ["loona", "blackpink"]


@pytest.fixture
def twins(library: Config, copying: Callable[[Config], Copier]) -> Copier:
    """Two more releases that are called alike."""
    for name in ("one", "two"):
        make_release(library.music_source_dir, name, tracks=1, artist="Twin", album="Same", date="2000")
    return copying(library)


@pytest.mark.expects_log("is in the trash")
@pytest.mark.parametrize("first", ["track", "datafile", "rsync's datafile", "unnamed track"])
def test_of_several_the_first_identifier_decides(twins: Copier, first: str) -> None:
    path = f"{COLLAGE}/{{NEW}} Twin - 2000. Same"
    twins.mkdir(path)
    twins.write(f"{path}/cover.png", PICTURE)
    assert twins.members(COLLAGE) == []
    assert "{NEW} Twin - 2000. Same" in twins.releases(COLLAGE)
    track = (twins.source / "two/01.opus").read_bytes()
    (datafile,) = (twins.source / "two").glob(".rose.*")
    match first:
        case "track":
            twins.write(f"{path}/01.opus", track)
        case "unnamed track":
            twins.write(f"{path}/.goutputstream-ABCDEF", track)
        case "datafile":
            twins.write(f"{path}/{datafile.name}", b"")
        case _:
            twins.write(f"{path}/{datafile.name}.Ab12Cd", b"")
    assert twins.members(COLLAGE) == ["two"]
    twins.write(f"{path}/02.opus", (twins.source / "one/01.opus").read_bytes())
    assert twins.members(COLLAGE) == ["two"]


def test_of_several_no_other_one_is_taken(twins: Copier) -> None:
    path = f"{COLLAGE}/{{NEW}} Twin - 2000. Same"
    twins.mkdir(path)
    for content in ((twins.source / "loona/01.opus").read_bytes(), b"garbage"):
        with pytest.raises(InvalidRequestError):
            twins.write(f"{path}/01.opus", content)
        assert not twins.exists(f"{path}/01.opus")
    twins.later(10)
    assert twins.members(COLLAGE) == []
    assert not twins.exists(path)


def test_equal_names_are_told_apart_by_their_numbers(twins: Copier) -> None:
    both = [name for name in twins.releases("Releases") if "Same" in name]
    (numbered,) = [name for name in both if name.endswith("[2]")]
    twins.mkdir(f"{COLLAGE}/{numbered}")
    source = twins.xattr(f"Releases/{numbered}", "user.rosefs.source_path")
    assert twins.members(COLLAGE) == [Path(source).name]


@pytest.mark.expects_log("is in the trash")
def test_bytes_written_over_a_collages_release_are_not_written_to_it(copier: Copier) -> None:
    copier.mkdir(f"{COLLAGE}/loona")
    copier.later(10)
    before = snapshot(copier.source / "loona")
    for directory in (f"{COLLAGE}/1. {LOONA}", f"{COLLAGE}/!All Tracks"):
        for name in copier.ls(directory):
            copier.overwrite(f"{directory}/{name}", b"garbage")
            assert copier.read(f"{directory}/{name}") == b"garbage"
    path = f"{COLLAGE}/1. {LOONA}"
    copier.write(f"{path}/.01. Track 1.opus.Ab12Cd", b"more garbage")
    copier.rename(f"{path}/.01. Track 1.opus.Ab12Cd", f"{path}/01. Track 1.opus")
    assert copier.read(f"{path}/01. Track 1.opus") == b"more garbage"
    assert copier.read(f"Releases/{LOONA}/01. Track 1.opus") == before["01.opus"]
    copier.settle()
    assert copier.read(f"{path}/01. Track 1.opus") == before["01.opus"]
    assert snapshot(copier.source / "loona") == before


def test_a_member_takes_no_new_files(copier: Copier) -> None:
    copier.mkdir(f"{COLLAGE}/loona")
    copier.later(10)
    for name in ("x.opus", ".x.opus.Ab12Cd"):
        with pytest.raises(NotPermittedError):
            copier.write(f"{COLLAGE}/1. {LOONA}/{name}", b"x")


@pytest.mark.expects_log("is in the trash")
def test_removing_what_was_written_over_a_members_file_hides_that(copier: Copier) -> None:
    copier.mkdir(f"{COLLAGE}/loona")
    copier.later(10)
    path = f"{COLLAGE}/1. {LOONA}"
    copier.overwrite(f"{path}/01. Track 1.opus", b"x")
    for name in copier.ls(path):
        copier.unlink(f"{path}/{name}")
    copier.rmdir(path)
    assert copier.members(COLLAGE) == []


# Playlists --------------------------------------------------------------------------------------------------


def test_files_are_added_in_order(copier: Copier) -> None:
    for number, path in enumerate(("loona/02.opus", "blackpink/01.mp3", "loona/01.opus"), 1):
        copier.write(f"{PLAYLIST}/{number}{Path(path).suffix}", (copier.source / path).read_bytes())
    assert copier.members(PLAYLIST) == ["loona/02.opus", "blackpink/01.mp3", "loona/01.opus"]
    names = ["1. LOONA - Track 2.opus", "2. BLACKPINK - Track 1.mp3", "3. LOONA - Track 1.opus", "P.m3u8"]
    assert copier.ls(PLAYLIST) == names
    assert copier.read(f"{PLAYLIST}/2.mp3") == (copier.source / "blackpink/01.mp3").read_bytes()
    undo(copier.c, copier.journal)
    assert copier.members(PLAYLIST) == []
    copier.later(10)
    assert not copier.exists(f"{PLAYLIST}/2.mp3")


def test_a_track_is_added_when_its_bytes_are_there(copier: Copier) -> None:
    path = f"{PLAYLIST}/x.opus"
    opened, attributes = copier.fs.create(*copier.parent(path), 0o600, os.O_WRONLY)
    assert copier.fs.is_clean(opened.handle)
    copier.fs.flush(opened.handle)
    assert copier.members(PLAYLIST) == []
    assert "x.opus" in copier.ls(PLAYLIST)
    copier.fs.write(opened.handle, 0, (copier.source / "loona/01.opus").read_bytes())
    assert not copier.fs.is_clean(opened.handle)
    for _ in range(2):
        copier.fs.flush(opened.handle)
        assert copier.members(PLAYLIST) == ["loona/01.opus"]
    copier.fs.release(opened.handle)
    assert (copier.stat(path).mode, copier.stat(path).inode) == (0o600, attributes.inode)


def test_bytes_that_no_flush_has_seen_are_looked_at_in_the_end(copier: Copier) -> None:
    copier.write(f"{PLAYLIST}/x.opus", (copier.source / "loona/01.opus").read_bytes(), flush=False)
    copier.later(0)
    assert copier.members(PLAYLIST) == ["loona/01.opus"]


@pytest.mark.parametrize(
    ("name", "content"),
    [("x.opus", b"garbage"), ("x.log", b"a log"), ("x.png", PICTURE), ("x.m3u8", b"#EXTM3U\nx\n"), ("cover.png", b"x")],
)  # fmt: skip
def test_what_is_no_track_is_refused(copier: Copier, name: str, content: bytes) -> None:
    before = snapshot(copier.source)
    with pytest.raises(InvalidRequestError):
        copier.write(f"{PLAYLIST}/{name}", content)
    assert not copier.exists(f"{PLAYLIST}/{name}")
    assert copier.ls(PLAYLIST) == ["P.m3u8"]
    assert snapshot(copier.source) == before
    assert copier.journal.history() == []


def test_a_full_disk_adds_nothing(copier: Copier, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int, data: bytes, offset: int = 0) -> None:
        os.pwrite(descriptor, data[:4000], offset)
        raise OSError(errno.ENOSPC, "full")

    opened, _ = copier.fs.create(*copier.parent(f"{PLAYLIST}/x.opus"), 0o644, os.O_WRONLY)
    with monkeypatch.context() as patch:
        patch.setattr("rosefs.vfs.ghosts.write_all", full)
        with pytest.raises(SourceWriteError):
            copier.fs.write(opened.handle, 0, (copier.source / "loona/01.opus").read_bytes())
    with pytest.raises(SourceWriteError):
        copier.fs.flush(opened.handle)
    copier.fs.release(opened.handle)
    assert copier.members(PLAYLIST) == []
    assert not copier.exists(f"{PLAYLIST}/x.opus")


def test_without_ids_in_files_the_bytes_tell(library: Config, copying: Callable[[Config], Copier]) -> None:
    shutil.rmtree(library.music_source_dir / "loona")
    make_release(library.music_source_dir, "loona", tracks=2, artist="LOONA", album="Hash", date="2018")
    copier = copying(msgspec.structs.replace(library, write_ids_to_tags=False))
    content = (copier.source / "loona/02.opus").read_bytes()
    copier.write(f"{PLAYLIST}/x.opus", content)
    assert copier.members(PLAYLIST) == ["loona/02.opus"]
    with pytest.raises(InvalidRequestError):
        copier.write(f"{PLAYLIST}/y.opus", content[:-1] + b"?")


def test_renaming_over_a_member_after_writing_beside_it(copier: Copier) -> None:
    copier.write(f"{PLAYLIST}/x.opus", (copier.source / "loona/01.opus").read_bytes())
    copier.later(10)
    member, other = f"{PLAYLIST}/1. LOONA - Track 1.opus", (copier.source / "blackpink/01.mp3").read_bytes()
    temporary = f"{PLAYLIST}/.1. LOONA - Track 1.opus.Ab12Cd"
    copier.write(temporary, other)
    copier.rename(temporary, member)
    assert copier.members(PLAYLIST) == ["loona/01.opus", "blackpink/01.mp3"]
    assert copier.read(member) == other
    assert not copier.exists(temporary)
    copier.later(10)
    assert copier.read(member) == (copier.source / "loona/01.opus").read_bytes()


def test_a_track_written_over_itself_is_not_added(copier: Copier) -> None:
    content = (copier.source / "loona/01.opus").read_bytes()
    copier.write(f"{PLAYLIST}/x.opus", content)
    copier.later(10)
    member = f"{PLAYLIST}/1. LOONA - Track 1.opus"
    copier.overwrite(member, content)
    assert copier.members(PLAYLIST) == ["loona/01.opus"]
    copier.later(10)
    copier.write(f"{PLAYLIST}/.x.Ab12Cd", content)
    copier.rename(f"{PLAYLIST}/.x.Ab12Cd", member)
    assert copier.members(PLAYLIST) == ["loona/01.opus"]


def test_a_file_that_gets_the_name_of_what_it_has_added_stays(copier: Copier) -> None:
    for number in (1, 2):
        name = f"{number}. LOONA - Track 1.opus"
        copier.write(f"{PLAYLIST}/.{name}.Ab12Cd", (copier.source / "loona/01.opus").read_bytes())
        copier.rename(f"{PLAYLIST}/.{name}.Ab12Cd", f"{PLAYLIST}/{name}")
        assert copier.members(PLAYLIST) == ["loona/01.opus"] * number


def test_bytes_written_over_a_member_are_not_written_to_its_file(copier: Copier) -> None:
    content = (copier.source / "loona/01.opus").read_bytes()
    for name in ("x.opus", "y.opus"):
        copier.write(f"{PLAYLIST}/{name}", content)
    copier.later(10)
    before = snapshot(copier.source / "loona")
    for member in copier.ls(PLAYLIST)[:2]:
        with pytest.raises(InvalidRequestError):
            copier.overwrite(f"{PLAYLIST}/{member}", b"garbage")
        copier.overwrite(f"{PLAYLIST}/{member}", (copier.source / "loona/02.opus").read_bytes())
        assert copier.read(f"{PLAYLIST}/{member}") == before["02.opus"]
    assert copier.members(PLAYLIST) == ["loona/01.opus", "loona/01.opus", "loona/02.opus", "loona/02.opus"]
    copier.settle()
    assert snapshot(copier.source / "loona") == before


def test_looking_elsewhere_meanwhile_does_not_write_to_the_source(copier: Copier) -> None:
    content = (copier.source / "loona/01.opus").read_bytes()
    copier.write(f"{PLAYLIST}/x.opus", content)
    copier.later(10)
    member, track = f"{PLAYLIST}/1. LOONA - Track 1.opus", f"Releases/{LOONA}/01. Track 1.opus"
    inode = copier.stat(member).inode
    assert copier.stat(track).inode == inode
    with pytest.raises(StaleError):
        copier.fs.open(inode, os.O_WRONLY | os.O_TRUNC)
    assert copier.stat(member).inode != inode
    assert copier.stat(track).inode == inode
    assert copier.stat(member).inode != inode
    for looks in ([member, track], [track]):
        for path in looks:
            copier.stat(path)
        copier.overwrite(track, content + b"\0" * len(looks))
        assert (copier.source / "loona/01.opus").read_bytes() == content + b"\0" * len(looks)


def test_a_program_that_looks_elsewhere_does_not_change_what_writing_means_to_another(copier: Copier) -> None:
    """One writes to a track where it is, and one to a playlist; each looks while the other is about to open it."""
    fs, content = copier.fs, (copier.source / "loona/01.opus").read_bytes()
    copier.write(f"{PLAYLIST}/x.opus", content)
    copier.later(10)
    here, there = 1, 2
    paths = {here: f"Releases/{LOONA}/01. Track 1.opus", there: f"{PLAYLIST}/1. LOONA - Track 1.opus"}
    ways = {asker: copier.parent(path) for asker, path in paths.items()}

    def looks(asker: int) -> int:
        return fs.lookup(*ways[asker], asker).inode

    looks(there)
    inode = looks(here)
    assert looks(there) == inode
    with pytest.raises(StaleError):  # told to look once more
        fs.open(inode, os.O_WRONLY | os.O_TRUNC, here)
    assert looks(there) == inode  # nothing was begun there
    with pytest.raises(StaleError):
        fs.open(inode, os.O_WRONLY | os.O_TRUNC, there)
    assert looks(here) == inode
    assert looks(there) != inode  # what is copied there is another file
    fs.lookup(*copier.parent(f"{PLAYLIST}/P.m3u8"), there)
    opened = fs.open(inode, os.O_WRONLY | os.O_TRUNC, here)
    fs.write(opened.handle, 0, content + b"\0")
    fs.flush(opened.handle)
    fs.release(opened.handle)
    assert (copier.source / "loona/01.opus").read_bytes() == content + b"\0"


def test_a_file_opened_in_its_release_can_be_cut_off_whoever_looked_elsewhere(copier: Copier) -> None:
    content = (copier.source / "loona/01.opus").read_bytes()
    copier.write(f"{PLAYLIST}/x.opus", content)
    copier.later(10)
    track, member = (
        copier.parent(f"Releases/{LOONA}/01. Track 1.opus"),
        copier.parent(f"{PLAYLIST}/1. LOONA - Track 1.opus"),
    )
    copier.fs.lookup(*member, 2)
    inode = copier.fs.lookup(*track, 1).inode
    with pytest.raises(StaleError):
        copier.fs.open(inode, os.O_RDWR, 1)
    copier.fs.lookup(*track, 1)
    copier.fs.lookup(*member, 2)
    opened = copier.fs.open(inode, os.O_RDWR, 1)
    copier.fs.setattr(inode, Changes(size=0), opened.handle, 1)
    copier.fs.write(opened.handle, 0, content + b"\0")
    copier.fs.flush(opened.handle)
    copier.fs.release(opened.handle)
    assert (copier.source / "loona/01.opus").read_bytes() == content + b"\0"
    with pytest.raises(StaleError):
        copier.fs.setattr(inode, Changes(mtime=1_000_000_000), None, 1)
    copier.fs.lookup(*track, 1)
    copier.fs.setattr(inode, Changes(mtime=1_000_000_000), None, 1)
    assert (copier.source / "loona/01.opus").stat().st_mtime_ns == 1_000_000_000


def test_a_member_is_cut_off_only_where_it_was_written_to(copier: Copier) -> None:
    copier.write(f"{PLAYLIST}/x.opus", (copier.source / "loona/01.opus").read_bytes())
    copier.later(10)
    path = f"{PLAYLIST}/1. LOONA - Track 1.opus"
    member = copier.stat(path).inode
    with pytest.raises(StaleError):
        copier.fs.open(member, os.O_RDWR)
    assert copier.stat(path).inode == member
    opened = copier.fs.open(member, os.O_RDWR)
    for size in (0, 5):
        with pytest.raises(NotPermittedError):
            copier.fs.setattr(member, Changes(size=size), opened.handle)
    size = copier.stat(path).size
    copier.fs.write(opened.handle, size, b"\0\0\0\0")
    copier.fs.setattr(member, Changes(size=size + 2), opened.handle)
    copier.fs.flush(opened.handle)
    copier.fs.release(opened.handle)
    assert (copier.source / "loona/01.opus").stat().st_size == size + 2


def test_removing_what_was_just_copied_removes_it_from_the_playlist(copier: Copier) -> None:
    for name, path in (
        ("a.opus", "loona/01.opus"),
        ("b.mp3", "blackpink/01.mp3"),
        ("c.opus", "loona/01.opus"),
    ):
        copier.write(f"{PLAYLIST}/{name}", (copier.source / path).read_bytes())
    copier.unlink(f"{PLAYLIST}/c.opus")
    assert copier.members(PLAYLIST) == ["loona/01.opus", "blackpink/01.mp3"]
    copier.unlink(f"{PLAYLIST}/b.mp3")
    assert copier.members(PLAYLIST) == ["loona/01.opus"]
    with pytest.raises(NoEntryError):
        copier.unlink(f"{PLAYLIST}/b.mp3")


@pytest.mark.parametrize("name", ["cover.png", "Cover.PNG", ".cover.png.Ab12Cd", ".goutputstream-ABCDEF"])
def test_an_image_becomes_the_cover(copier: Copier, name: str) -> None:
    (copier.source / "!playlists/P.jpg").write_bytes(b"\xff\xd8\xff an old one")
    copier.update()
    copier.write(f"{PLAYLIST}/{name}", PICTURE)
    if name.startswith("."):
        copier.rename(f"{PLAYLIST}/{name}", f"{PLAYLIST}/cover.png")
    assert sorted(os.listdir(copier.source / "!playlists")) == ["P.png", "P.toml"]
    assert copier.read(f"{PLAYLIST}/cover.png") == PICTURE
    assert "cover.png" in copier.ls(PLAYLIST)
    assert "cover.jpg" not in copier.ls(PLAYLIST)
    undo(copier.c, copier.journal)
    assert sorted(os.listdir(copier.source / "!playlists")) == ["P.jpg", "P.toml"]


def test_an_image_that_was_taken_back_is_not_shown_any_more(copier: Copier) -> None:
    cover = f"{PLAYLIST}/cover.png"
    copier.write(cover, PICTURE + b"1")
    copier.clock.advance(3)
    copier.overwrite(cover, PICTURE + b"2")
    copier.clock.advance(3)
    assert copier.read(cover) == PICTURE + b"2"
    undo(copier.c, copier.journal)
    for _ in range(3):  # whoever looks at it all the time
        copier.clock.advance(1)
        assert copier.read(cover) == PICTURE + b"1"
    undo(copier.c, copier.journal)
    copier.clock.advance(1)
    assert "cover.png" not in copier.ls(PLAYLIST)
    assert not copier.exists(cover)


def test_an_image_over_the_cover_replaces_it(copier: Copier) -> None:
    (copier.source / "!playlists/P.png").write_bytes(PICTURE)
    copier.update()
    copier.overwrite(f"{PLAYLIST}/cover.png", PICTURE + b"2")
    assert (copier.source / "!playlists/P.png").read_bytes() == PICTURE + b"2"
    copier.unlink(f"{PLAYLIST}/cover.png")
    assert os.listdir(copier.source / "!playlists") == ["P.toml"]
    assert not copier.exists(f"{PLAYLIST}/cover.png")


def test_a_playlist_is_copied_with_all_that_is_in_it(copier: Copier) -> None:
    for name in ("01.opus", "02.opus"):
        copier.write(f"{PLAYLIST}/{name}", (copier.source / "loona" / name).read_bytes())
    copier.write(f"{PLAYLIST}/cover.png", PICTURE)
    copier.later(10)
    content = {name: copier.read(f"{PLAYLIST}/{name}") for name in copier.ls(PLAYLIST)}
    copy = copier.mkdir("Playlists/Copy")
    copier.fs.setattr(copy, Changes(mode=0o755))
    for name, data in content.items():
        copier.write(f"Playlists/Copy/{name}", data)
    copier.fs.setattr(copy, Changes(mtime=1))
    copier.settle()
    assert copier.ls("Playlists/Copy") == [*list(content)[:3], "Copy.m3u8"]
    with pytest.raises(NotPermittedError):
        copier.fs.setattr(copy, Changes(mtime=1))


def test_the_generated_list_is_not_written(copier: Copier) -> None:
    with pytest.raises(NotPermittedError):
        copier.overwrite(f"{PLAYLIST}/P.m3u8", b"x")


def test_several_removals_are_taken_back_as_one(copier: Copier) -> None:
    for number in (1, 2, 1):
        copier.write(f"{PLAYLIST}/x.opus", (copier.source / f"loona/0{number}.opus").read_bytes())
    copier.later(10)
    before = copier.members(PLAYLIST)
    assert len(before) == 3
    for name in copier.ls(PLAYLIST)[:2]:
        copier.unlink(f"{PLAYLIST}/{name}")
    undo(copier.c, copier.journal)
    assert copier.members(PLAYLIST) == before


def test_a_list_removed_with_its_members_is_taken_back_as_one(copier: Copier) -> None:
    copier.mkdir(f"{COLLAGE}/loona")
    copier.later(10)
    path = f"{COLLAGE}/1. {LOONA}"
    for name in copier.ls(path):
        copier.unlink(f"{path}/{name}")
    copier.rmdir(path)
    copier.rmdir(COLLAGE)
    assert not (copier.source / "!collages/C.toml").exists()
    undo(copier.c, copier.journal)
    assert copier.members(COLLAGE) == ["loona"]


# Moving from outside ----------------------------------------------------------------------------------------


@pytest.mark.expects_log("put back")
@pytest.mark.parametrize("ends", ["after a minute", "by unmounting"])
def test_what_is_deleted_after_it_was_copied_comes_back(copier: Copier, ends: str) -> None:
    before, ids = snapshot(copier.source / "loona"), cached_ids(copier.c)
    copier.copy_tree(copier.source / "loona", f"{COLLAGE}/loona")
    copier.write(f"{PLAYLIST}/x.mp3", (copier.source / "blackpink/01.mp3").read_bytes())
    shutil.rmtree(copier.source / "loona")
    (copier.source / "blackpink/01.mp3").unlink()
    if ends == "by unmounting":
        copier.fs.close()
    else:
        copier.later(HOLD_SECONDS - 1)
        assert not (copier.source / "loona").exists()
        copier.later(2)
    assert snapshot(copier.source / "loona") == before
    assert cached_ids(copier.c) == ids
    assert not holds_are_left(copier.c)


@pytest.mark.expects_log("put back")
@pytest.mark.parametrize("path", ["Collages/C/2. x/x.mp3", "Playlists/P/1. LOONA - Track 1.opus"])
def test_also_where_nothing_is_added(copier: Copier, path: str) -> None:
    copier.write(f"{PLAYLIST}/x.opus", (copier.source / "loona/01.opus").read_bytes())
    copier.settle()
    if path.startswith(PLAYLIST):
        moved = copier.source / "loona/01.opus"
        copier.overwrite(path, moved.read_bytes())
    else:
        moved = copier.source / "blackpink/01.mp3"
        copier.mkdir(f"{COLLAGE}/loona")
        copier.write(f"{COLLAGE}/loona/x.mp3", moved.read_bytes())
    content = moved.read_bytes()
    moved.unlink()
    copier.settle()
    assert moved.read_bytes() == content


def test_the_scratch_directory_goes_with_the_mount(copier: Copier) -> None:
    copier.copy_tree(copier.source / "loona", f"{COLLAGE}/loona")
    assert list(copier.c.cache_dir.glob(".in-progress.rosefs.sinks.*/*"))
    copier.later(10)
    assert not list(copier.c.cache_dir.glob(".in-progress.rosefs.sinks.*/*"))
    copier.fs.close()
    assert not list(copier.c.cache_dir.glob(".in-progress.*"))


def test_the_scratch_directories_of_killed_mounts_go(copier: Copier) -> None:
    left = copier.c.cache_dir / ".in-progress.rosefs.sinks.0"
    left.mkdir()
    (left / "x").write_bytes(b"x")
    copier.write(f"{PLAYLIST}/x.opus", (copier.source / "loona/01.opus").read_bytes())
    assert not left.exists()
