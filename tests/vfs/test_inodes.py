"""Inode numbers: the same in every mount, the same for a file in every view, and never another thing's."""

from __future__ import annotations

import os
import sys

import pytest

import rosecache
from rosecache.config import Config
from rosefs.vfs.errors import NoEntryError, NotADirectoryFsError, StaleError
from rosefs.vfs.inodes import Inodes, hash_key
from rosefs.vfs.memory import give_back, trim, use_one_arena
from rosefs.vfs.model import ROOT_INODE
from rosefs.vfs.nodes import ROOT_KEY, DirectoryNode, Key, Node
from tests.support.browsing import Browser
from tests.support.library import make_list

TRACK = "LOONA - 2018. Hash/01. Track 1.opus"


def make_node(name: str) -> Node:
    return DirectoryNode(Key("artists", name, ""), "", 0, 1)


def make_inodes() -> Inodes:
    """Returns a table in which names of the same length collide."""
    return Inodes(DirectoryNode(ROOT_KEY, "", 0, 1), lambda key: len(key.value))


def test_numbers_are_the_same_in_the_next_mount(library: Config) -> None:
    paths = {path: attributes.inode for path, attributes in Browser(library).walk()}
    again = {path: attributes.inode for path, attributes in Browser(library).walk()}
    assert paths == again
    assert all(ROOT_INODE < number < 1 << 63 for number in paths.values())


def test_numbers_do_not_change_with_the_program() -> None:
    # Backups and exports remember them; a change here is one for every user.
    assert hash_key(Key("artists", "LOONA", "")) == 9217195190492539747
    assert hash_key(Key("track", "018268cc-87ee-7d0d-a0b5-3e0e6ad7a1c1", "")) == 3713762821021253395
    assert hash_key(Key("artists", "LOONA", "018268cc-87ee-7d0d-a0b5-3e0e6ad7a1c1")) == 607044468422942206
    assert hash_key(Key("file", "x", "a\udcff.jpg")) < 1 << 63


def test_ids_that_are_alike_have_numbers_of_their_own_wherever_they_are() -> None:
    ids = [f"{half:08x}-0000-7000-8000-{other:012x}" for half in range(40) for other in range(40)]
    places = [("releases", ""), ("artists", ""), ("artists", "LOONA"), ("labels", "LOONA")]
    keys = [Key(space, value, each) for space, value in places for each in ids]
    keys += [Key(space, each, "") for space in ("track", "releases", "artists") for each in ids]
    keys += [Key("artists", "x" * 36, ""), Key("artists", ids[1], "x" * 36), Key("artists", ids[1], ids[2])]
    assert len({hash_key(key) for key in keys}) == len(keys)


def test_a_file_has_one_number_in_every_view(browser: Browser) -> None:
    number = browser.stat(f"Releases/{TRACK}").inode
    assert browser.stat(f"Artists/LOONA/{TRACK}").inode == number
    assert browser.stat("Releases/!All Tracks/LOONA - 2018. Hash - 01. Track 1.opus").inode == number
    assert browser.stat(f"Releases/{TRACK}").links == 1


def test_a_directory_has_a_number_of_its_own_in_every_view(browser: Browser) -> None:
    paths = ["Releases", "Artists/LOONA", "Labels/BlockBerry", "Genres/K-Pop", "Genres/Pop"]
    assert len({browser.stat(f"{path}/LOONA - 2018. Hash").inode for path in paths}) == len(paths)


def test_a_repeated_track_of_a_playlist_has_a_number_of_its_own(library: Config) -> None:
    track = rosecache.list_tracks(library)[0].id
    make_list(library.playlists_dir / "p.toml", "tracks", track, track)
    make_list(library.playlists_dir / "q.toml", "tracks", track, track)
    browser = Browser(library)
    browser.update()
    numbers = [entry.attributes.inode for name in "pq" for entry in browser.entries(f"Playlists/{name}")[:2]]
    assert numbers[0] == numbers[2]  # the track's own, as everywhere
    assert len(set(numbers)) == 3


def test_a_collision_takes_the_next_free_number_and_keeps_it() -> None:
    inodes = make_inodes()
    ab, cd, abc = (inodes.remember(make_node(name)).number for name in ("ab", "cd", "abc"))
    assert (ab, cd, abc) == (2, 3, 4)
    inodes.forget(ab, 1)
    inodes.forget(cd, 1)
    assert inodes.remember(make_node("cd")).number == 3
    assert inodes.number_of(Key("artists", "xyz", "")) == 5


def test_the_numbers_of_the_top_are_nobody_elses() -> None:
    inodes = make_inodes()
    assert inodes.remember(make_node("")).number == 2
    assert inodes.remember(make_node("x")).number == 3


def test_a_directory_that_the_kernel_removed_comes_back_with_another_number_while_somebody_holds_on() -> None:
    inodes = make_inodes()
    number = inodes.remember(make_node("ab")).number
    inodes.removed(make_node("ab").key)
    again = inodes.remember(make_node("ab")).number
    assert again != number
    assert inodes.remember(make_node("ab")).number == inodes.number_of(make_node("ab").key) == again
    assert inodes.get(number).node.key == make_node("ab").key  # for whoever stands in it
    assert inodes.forget(number, 1) == []  # it is known, under its new number
    assert inodes.forget(again, 2) == [make_node("ab").key]


def test_a_directory_that_was_removed_and_let_go_of_keeps_its_number() -> None:
    inodes = make_inodes()
    number = inodes.remember(make_node("ab")).number
    inodes.removed(make_node("ab").key)
    inodes.forget(number, 1)
    inodes.removed(make_node("cd").key)  # which nobody knows
    assert inodes.remember(make_node("ab")).number == number
    assert inodes.remember(make_node("cd")).number == number + 1


def test_an_inode_is_known_until_every_lookup_is_forgotten() -> None:
    inodes = make_inodes()
    number = inodes.remember(make_node("ab")).number
    inodes.remember(make_node("ab"))
    assert inodes.forget(number, 1) == []
    assert inodes.get(number).lookups == 1
    assert inodes.forget(number, 1) == [make_node("ab").key]
    with pytest.raises(StaleError):
        inodes.get(number)
    assert inodes.forget(number, 1) == []


def test_the_top_is_never_forgotten(browser: Browser) -> None:
    browser.fs.forget(ROOT_INODE, 1 << 30)
    assert browser.ls()


def test_an_accepted_entry_of_a_listing_counts_as_a_lookup(browser: Browser) -> None:
    fs = browser.fs
    accepted, refused, *_ = fs.entries(browser.stat("Releases").inode, 0)
    fs.forget(refused.attributes.inode, 1)
    assert fs.getattr(accepted.attributes.inode) == accepted.attributes
    with pytest.raises(StaleError):
        fs.getattr(refused.attributes.inode)
    fs.forget(accepted.attributes.inode, 1)
    with pytest.raises(StaleError):
        fs.getattr(accepted.attributes.inode)


def test_two_listings_of_a_directory_do_not_forget_for_each_other(browser: Browser) -> None:
    fs = browser.fs
    number = browser.stat("Releases").inode
    entry = next(fs.entries(number, 0))
    assert next(fs.entries(number, 0)) == entry
    assert next(fs.entries(number, 0)) == entry  # started over, as rewinddir does
    fs.forget(entry.attributes.inode, 2)
    assert fs.getattr(entry.attributes.inode)
    fs.forget(entry.attributes.inode, 1)
    with pytest.raises(StaleError):
        fs.getattr(entry.attributes.inode)


def test_forgetting_everything_leaves_nothing(browser: Browser) -> None:
    fs = browser.fs
    lookups = []
    for path, _ in list(Browser(browser.c).walk()):
        found = ROOT_INODE
        for name in path.split("/"):
            found = fs.lookup(found, os.fsencode(name)).inode
            lookups.append(found)
    assert fs.counters().inodes > 60
    for number in lookups:
        fs.forget(number, 1)
    left = fs.counters()
    assert (left.inodes, left.directories, left.handles) == (1, 1, 0)


def test_dot_and_dot_dot(browser: Browser) -> None:
    fs = browser.fs
    loona = browser.stat("Artists/LOONA").inode
    release = browser.stat("Artists/LOONA/LOONA - 2018. Hash").inode
    everything = browser.stat("Artists/LOONA/!All Tracks").inode
    assert fs.lookup(release, b".").inode == release
    assert fs.lookup(release, b"..").inode == loona
    assert fs.lookup(everything, b"..").inode == loona
    assert fs.lookup(loona, b"..").inode == browser.stat("Artists").inode
    assert fs.lookup(browser.stat("Artists").inode, b"..").inode == ROOT_INODE
    assert fs.lookup(ROOT_INODE, b"..").inode == ROOT_INODE


def test_a_file_has_nothing_in_it(browser: Browser) -> None:
    track = browser.stat(f"Releases/{TRACK}").inode
    with pytest.raises(NotADirectoryFsError):
        browser.fs.lookup(track, b"x")
    with pytest.raises(NotADirectoryFsError):
        browser.fs.entries(track, 0)


@pytest.mark.parametrize(
    "name", [b".Trash-1000", b".hidden", b"folder.jpg", b"._x", b"\xff\xfe", b"", b"a/b"]
)
def test_a_name_that_is_not_there(browser: Browser, name: bytes) -> None:
    for path in ("", "Releases", "Artists", "Artists/LOONA", "Releases/LOONA - 2018. Hash"):
        with pytest.raises(NoEntryError):
            browser.fs.lookup(browser.stat(path).inode, name)


def test_a_table_that_was_large_is_made_anew_when_little_is_left() -> None:
    inodes = Inodes(make_node("top"))
    numbers = [inodes.remember(make_node(f"{each}")).number for each in range(4000)]
    large = sys.getsizeof(inodes._known)
    assert not inodes.shrink()
    for number in numbers[:2000]:
        inodes.forget(number, 1)
    assert not inodes.shrink()
    for number in numbers[2000:3990]:
        inodes.forget(number, 1)
    assert not inodes.shrink()  # more may be forgotten yet
    assert inodes.shrink()
    assert sys.getsizeof(inodes._known) < large / 100
    assert not inodes.shrink()
    assert inodes.get(numbers[-1]).number == numbers[-1]


def test_memory_is_given_back_on_any_c_library() -> None:
    give_back()
    trim()
    use_one_arena()
