"""Collages and playlists: made, renamed, deleted, and their members added, moved and removed."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from rosecache.config import Config
from rosecache.errors import InvalidDatafileError
from rosecache.model import Release, Track
from rosecache.query.lists import (
    get_collage,
    get_collage_releases,
    get_playlist,
    get_playlist_tracks,
    list_collages,
    list_playlists,
)
from rosecache.query.releases import list_releases
from rosecache.query.tracks import list_tracks
from rosecache.update import update_cache
from rosefs.library import lists
from rosefs.library.errors import AlreadyExistsError, CoverError, InvalidNameError, NotFoundError
from rosefs.library.journal import Journal
from rosefs.library.lists import COLLAGES, PLAYLISTS, Kind
from tests.support.audio import PICTURE, make_release
from tests.support.disks import fill_disk
from tests.support.library import snapshot

KINDS = pytest.mark.parametrize("kind", [COLLAGES, PLAYLISTS], ids=lambda kind: kind.name)


def names(c: Config, kind: Kind) -> list[str]:
    return list_collages(c) if kind is COLLAGES else list_playlists(c)


def ids_in_file(path: Path) -> list[str]:
    values = tomllib.loads(path.read_text())
    return [member["uuid"] for member in values.get("releases", values.get("tracks", []))]


def ids_in_cache(c: Config, kind: Kind, name: str) -> list[str]:
    found: list[Release] | list[Track] = (
        get_collage_releases(c, name) if kind is COLLAGES else get_playlist_tracks(c, name)
    )
    return [member.id for member in found]


def members(c: Config, kind: Kind) -> list[str]:
    """Returns ids that a list of the kind can hold."""
    found: list[Release] | list[Track] = list_releases(c) if kind is COLLAGES else list_tracks(c)
    return [member.id for member in found]


# As a whole -------------------------------------------------------------------------------------------------


@KINDS
def test_a_list_is_made_empty(library: Config, journal: Journal, kind: Kind) -> None:
    path = lists.create(library, journal, kind, "Road Trip")
    assert path.name == "Road Trip.toml"
    assert tomllib.loads(path.read_text()) == {}
    assert names(library, kind) == ["Road Trip"]


@KINDS
def test_a_list_is_not_made_twice(library: Config, journal: Journal, kind: Kind) -> None:
    path = lists.create(library, journal, kind, "mix")
    lists.add(library, journal, kind, "mix", members(library, kind)[:1])
    before = path.read_bytes()
    with pytest.raises(AlreadyExistsError, match=f"there is a {kind.name} 'mix' already"):
        lists.create(library, journal, kind, "mix")
    assert path.read_bytes() == before


@KINDS
@pytest.mark.parametrize("name", ["../x", "a/b", "", "a\0b", ".x"])
def test_names_that_would_leave_the_directory_are_refused_everywhere(
    library: Config, journal: Journal, tmp_path: Path, kind: Kind, name: str
) -> None:
    (tmp_path / "image.png").write_bytes(PICTURE)
    lists.create(library, journal, kind, "mix")
    before = snapshot(tmp_path)
    for edit in (
        lambda: lists.create(library, journal, kind, name),
        lambda: lists.rename(library, journal, kind, name, "new"),
        lambda: lists.rename(library, journal, kind, "mix", name),
        lambda: lists.delete(library, journal, kind, name),
        lambda: lists.add(library, journal, kind, name, []),
        lambda: lists.remove(library, journal, kind, name, "x"),
        lambda: lists.move(library, journal, kind, name, "x", 1, 2),
        lambda: lists.set_cover(library, journal, name, tmp_path / "image.png"),
        lambda: lists.delete_cover(library, journal, name),
    ):
        with pytest.raises(InvalidNameError):
            edit()
    assert snapshot(tmp_path) == before


@KINDS
def test_files_of_the_same_stem_follow_a_rename(library: Config, journal: Journal, kind: Kind) -> None:
    path = lists.create(library, journal, kind, "v1.2 mix")
    for name in ("v1.2 mix.JPG", "v1.2 mix.txt", "v1.2 mixed.jpg", "v1.jpg"):
        (path.parent / name).write_bytes(name.encode())
    targets = lists.rename(library, journal, kind, "v1.2 mix", "v1.3 mix")
    assert {target.name for target in targets} == {"v1.3 mix.toml", "v1.3 mix.JPG", "v1.3 mix.txt"}
    assert sorted(os.listdir(path.parent)) == [
        "v1.2 mixed.jpg", "v1.3 mix.JPG", "v1.3 mix.toml", "v1.3 mix.txt", "v1.jpg",
    ]  # fmt: skip
    assert (path.parent / "v1.3 mix.JPG").read_bytes() == b"v1.2 mix.JPG"
    assert names(library, kind) == ["v1.3 mix"]


@KINDS
@pytest.mark.parametrize("taken", ["new.toml", "new.png"])
def test_a_rename_never_overwrites(library: Config, journal: Journal, kind: Kind, taken: str) -> None:
    path = lists.create(library, journal, kind, "old")
    (path.parent / "old.png").write_bytes(PICTURE)
    (path.parent / taken).write_bytes(b"# somebody else's\n")
    before = snapshot(path.parent)
    with pytest.raises(AlreadyExistsError, match=f"{taken} exists already"):
        lists.rename(library, journal, kind, "old", "new")
    assert snapshot(path.parent) == before


@KINDS
def test_renaming_to_the_same_name_does_nothing(library: Config, journal: Journal, kind: Kind) -> None:
    path = lists.create(library, journal, kind, "mix")
    assert lists.rename(library, journal, kind, "mix", "mix") == (path,)
    assert len(journal.history()) == 1


@KINDS
def test_what_is_not_there_is_said_with_what_is_most_like_it(
    library: Config, journal: Journal, kind: Kind
) -> None:
    with pytest.raises(NotFoundError, match=f"there is no {kind.name} 'mix'$"):
        lists.delete(library, journal, kind, "mix")
    lists.create(library, journal, kind, "Road Trip")
    with pytest.raises(NotFoundError, match="did you mean 'Road Trip'"):
        lists.add(library, journal, kind, "Raod Trip", [])


def test_a_deleted_playlist_is_in_the_trash_with_its_cover(
    library: Config, journal: Journal, home_trash: Path, tmp_path: Path
) -> None:
    (tmp_path / "image.png").write_bytes(PICTURE)
    lists.create(library, journal, PLAYLISTS, "run")
    lists.set_cover(library, journal, "run", tmp_path / "image.png")
    (library.playlists_dir / "run.txt").write_bytes(b"a note of mine")
    lists.delete(library, journal, PLAYLISTS, "run")
    assert sorted(os.listdir(home_trash / "files")) == ["run.png", "run.toml"]
    assert os.listdir(library.playlists_dir) == ["run.txt"]
    assert list_playlists(library) == []
    assert len(list_tracks(library)) == 6


# Members ----------------------------------------------------------------------------------------------------


@KINDS
def test_members_are_added_at_the_end_with_their_descriptions(
    library: Config, journal: Journal, kind: Kind
) -> None:
    first, second, third = members(library, kind)[:3]
    path = lists.create(library, journal, kind, "mix")
    lists.add(library, journal, kind, "mix", [third])
    done = lists.add(library, journal, kind, "mix", [first, second])
    assert (done.added, done.present) == ((first, second), ())
    assert ids_in_file(path) == [third, first, second]
    assert ids_in_cache(library, kind, "mix") == [third, first, second]
    content = path.read_bytes()
    assert b"[2016" in content
    update_cache(library, force=True)
    assert path.read_bytes() == content  # as the update would have written it, so that it can be taken back


def test_a_collage_holds_a_release_once(library: Config, journal: Journal) -> None:
    first, second = members(library, COLLAGES)[:2]
    path = lists.create(library, journal, COLLAGES, "mix")
    done = lists.add(library, journal, COLLAGES, "mix", [first, first])
    assert (done.added, done.present) == ((first,), (first,))
    before, edits = path.read_bytes(), len(journal.history())
    assert lists.add(library, journal, COLLAGES, "mix", [first]).present == (first,)
    assert path.read_bytes() == before
    assert len(journal.history()) == edits
    assert lists.add(library, journal, COLLAGES, "mix", [first, second]).added == (second,)


def test_a_playlist_may_hold_a_track_twice(library: Config, journal: Journal) -> None:
    first = members(library, PLAYLISTS)[0]
    path = lists.create(library, journal, PLAYLISTS, "run")
    lists.add(library, journal, PLAYLISTS, "run", [first, first])
    lists.add(library, journal, PLAYLISTS, "run", [first])
    assert ids_in_file(path) == [first] * 3


@KINDS
def test_of_unknown_members_none_is_added(library: Config, journal: Journal, kind: Kind) -> None:
    path = lists.create(library, journal, kind, "mix")
    with pytest.raises(NotFoundError, match="of the id 'nobody'"):
        lists.add(library, journal, kind, "mix", [members(library, kind)[0], "nobody"])
    assert ids_in_file(path) == []


@KINDS
def test_a_member_is_removed_also_when_it_is_missing(library: Config, journal: Journal, kind: Kind) -> None:
    first, second = members(library, kind)[:2]
    path = lists.create(library, journal, kind, "mix")
    lists.add(library, journal, kind, "mix", [first, second])
    with open(path, "a") as file:
        file.write(f'\n[[{kind.key}]]\nuuid = "018b268e-ef68-7180-a01e-19bc3fdf970e"\n')
    lists.remove(library, journal, kind, "mix", "018b268e-ef68-7180-a01e-19bc3fdf970e")
    lists.remove(library, journal, kind, "mix", first)
    assert ids_in_file(path) == [second]
    with pytest.raises(NotFoundError, match=f"{kind.name} 'mix' does not hold {first}"):
        lists.remove(library, journal, kind, "mix", first)


def test_one_of_several_occurrences_is_removed_by_its_position(library: Config, journal: Journal) -> None:
    a, b = members(library, PLAYLISTS)[:2]
    path = lists.create(library, journal, PLAYLISTS, "run")
    lists.add(library, journal, PLAYLISTS, "run", [a, b, a, a])
    assert lists.remove(library, journal, PLAYLISTS, "run", a, position=3) == 1
    assert ids_in_file(path) == [a, b, a]
    with pytest.raises(NotFoundError, match="at position 2"):
        lists.remove(library, journal, PLAYLISTS, "run", a, position=2)
    assert lists.remove(library, journal, PLAYLISTS, "run", a) == 2
    assert ids_in_file(path) == [b]


@pytest.mark.parametrize(
    ("position", "to", "expected"),
    [(1, 3, "bcad"), (4, 1, "dabc"), (2, 99, "acdb"), (3, 0, "cabd"), (2, 2, "abcd")],
)
def test_a_member_is_moved_to_a_position(
    library: Config, journal: Journal, position: int, to: int, expected: str
) -> None:
    ids = dict(zip("abcd", members(library, PLAYLISTS), strict=False))
    path = lists.create(library, journal, PLAYLISTS, "run")
    lists.add(library, journal, PLAYLISTS, "run", list(ids.values()))
    lists.move(library, journal, PLAYLISTS, "run", ids["abcd"[position - 1]], position, to)
    assert ids_in_file(path) == [ids[letter] for letter in expected]


@pytest.mark.parametrize("position", [0, 2, 99, -1])
def test_moving_what_is_not_at_the_position_is_refused(
    library: Config, journal: Journal, position: int
) -> None:
    a, b = members(library, PLAYLISTS)[:2]
    path = lists.create(library, journal, PLAYLISTS, "run")
    lists.add(library, journal, PLAYLISTS, "run", [a, b])
    with pytest.raises(NotFoundError, match="at position"):
        lists.move(library, journal, PLAYLISTS, "run", a, position, 1)
    assert ids_in_file(path) == [a, b]


@KINDS
def test_a_file_that_is_not_valid_is_left_as_it_is(library: Config, journal: Journal, kind: Kind) -> None:
    path = lists.create(library, journal, kind, "mix")
    path.write_text("[[")
    for edit in (
        lambda: lists.add(library, journal, kind, "mix", members(library, kind)[:1]),
        lambda: lists.remove(library, journal, kind, "mix", "x"),
    ):
        with pytest.raises(InvalidDatafileError, match="not valid TOML"):
            edit()
    assert path.read_text() == "[["


@KINDS
def test_a_file_that_is_a_link_is_not_written_through_but_renamed_and_deleted_as_a_link(
    library: Config, journal: Journal, tmp_path: Path, kind: Kind
) -> None:
    path = lists.create(library, journal, kind, "mix")
    path.rename(tmp_path / "elsewhere.toml")
    path.symlink_to(tmp_path / "elsewhere.toml")
    with pytest.raises(PermissionError, match="symbolic link"):
        lists.add(library, journal, kind, "mix", members(library, kind)[:1])
    (renamed, *_) = lists.rename(library, journal, kind, "mix", "other")
    assert renamed.is_symlink()
    lists.delete(library, journal, kind, "other")
    assert not os.path.lexists(renamed)
    assert (tmp_path / "elsewhere.toml").read_bytes() == b""


# Covers -----------------------------------------------------------------------------------------------------


def test_a_playlists_cover_is_set_replaced_and_deleted(
    library: Config, journal: Journal, tmp_path: Path, home_trash: Path
) -> None:
    png, jpeg = tmp_path / "a.png", tmp_path / "b.jpg"
    png.write_bytes(PICTURE)
    jpeg.write_bytes(b"\xff\xd8\xff\xe0")
    lists.create(library, journal, PLAYLISTS, "run")
    assert lists.set_cover(library, journal, "run", png).path == library.playlists_dir / "run.png"
    done = lists.set_cover(library, journal, "run", jpeg)
    assert done.replaced == (library.playlists_dir / "run.png",)
    found = get_playlist(library, "run")
    assert found is not None
    assert found.cover_path == library.playlists_dir / "run.jpg"
    lists.delete_cover(library, journal, "run")
    assert sorted(os.listdir(home_trash / "files")) == ["run.jpg", "run.png"]
    assert sorted(os.listdir(library.playlists_dir)) == ["run.toml"]
    with pytest.raises(NotFoundError, match="playlist 'run' has no cover"):
        lists.delete_cover(library, journal, "run")
    with pytest.raises(NotFoundError, match="no playlist 'walk'"):
        lists.set_cover(library, journal, "walk", png)
    png.write_bytes(b"text")
    with pytest.raises(CoverError):
        lists.set_cover(library, journal, "run", png)


# Together ---------------------------------------------------------------------------------------------------

ADDING = """
import sys
from pathlib import Path
from rosecache.config import Config
from rosefs.library import lists
from rosefs.library.journal import Journal

source, cache, state, *ids = sys.argv[1:]
c = Config(music_source_dir=Path(source), cache_dir=Path(cache), max_proc=1)
sys.stdin.readline()
for identifier in ids:
    lists.add(c, Journal(Path(state)), lists.PLAYLISTS, "run", [identifier])
"""


def test_two_processes_that_add_at_once_lose_nothing(c: Config, journal: Journal) -> None:
    make_release(c.music_source_dir, "long", tracks=100)
    update_cache(c)
    path = lists.create(c, journal, PLAYLISTS, "run")
    ids = members(c, PLAYLISTS)
    arguments = [str(c.music_source_dir), str(c.cache_dir), str(journal.state_dir)]
    processes = [
        subprocess.Popen([sys.executable, "-c", ADDING, *arguments, *half], stdin=subprocess.PIPE)
        for half in (ids[:50], ids[50:])
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(b"go\n")
        process.stdin.close()
    assert [process.wait(timeout=120) for process in processes] == [0, 0]
    found = ids_in_file(path)
    assert sorted(found) == sorted(ids)
    assert [each for each in found if each in ids[:50]] == ids[:50]
    assert ids_in_cache(c, PLAYLISTS, "run") == found
    assert len(journal.history()) == 101


# Failures ---------------------------------------------------------------------------------------------------


@KINDS
def test_a_full_disk_leaves_the_old_file(tmp_path: Path, volume: Path, journal: Journal, kind: Kind) -> None:
    c = Config(music_source_dir=volume / "source", cache_dir=tmp_path / "cache")
    for name in ("one", "two"):
        make_release(c.music_source_dir, name, album=name, tracks=1)
    update_cache(c)
    lists.create(c, journal, kind, "mix")
    lists.add(c, journal, kind, "mix", members(c, kind)[:1])
    fill_disk(volume)
    before, edits = snapshot(c.music_source_dir), journal.history()
    with pytest.raises(OSError, match="No space left") as raised:
        lists.add(c, journal, kind, "mix", members(c, kind)[1:])
    assert raised.value.errno == errno.ENOSPC
    assert snapshot(c.music_source_dir) == before
    assert journal.history() == edits


@KINDS
def test_a_directory_without_permission_leaves_everything(
    library: Config, journal: Journal, kind: Kind, permissions_count: None
) -> None:
    path = lists.create(library, journal, kind, "mix")
    before, edits = snapshot(path.parent), journal.history()
    path.parent.chmod(0o500)
    try:
        for edit in (
            lambda: lists.create(library, journal, kind, "new"),
            lambda: lists.rename(library, journal, kind, "mix", "new"),
            lambda: lists.add(library, journal, kind, "mix", members(library, kind)[:1]),
        ):
            with pytest.raises(PermissionError):
                edit()
    finally:
        path.parent.chmod(0o755)
    assert snapshot(path.parent) == before
    assert journal.history() == edits
    found = get_collage(library, "mix") if kind is COLLAGES else get_playlist(library, "mix")
    assert found is not None
