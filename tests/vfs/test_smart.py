"""What matchers list in the tree: searches that are typed and saved, smart collages, smart playlists."""

from __future__ import annotations

import logging
from contextlib import suppress

import pytest

import rosecache
from rosecache.config import Config
from rosefs.settings import SmartSettings, VfsSettings
from rosefs.vfs.errors import AbsentError, NameTooLongError
from rosefs.vfs.nodes import Key
from rosefs.vfs.searching import find_search, is_typed
from tests.support.audio import make_release, set_tags
from tests.support.browsing import Browser, counted_queries
from tests.support.library import make_list
from tests.support.waiting import wait_until
from tests.vfs.test_forgetting import NotingKernel

LOONA = "LOONA - 2018. Hash"
BLACKPINK = "BLACKPINK - 2016. Square - Single"
LOOSE = "Nobody - 2020. Demo"
SMART = (
    SmartSettings(name="Pop", kind="collage", matcher="genre:K-Pop", sort="-releasedate", limit=2),
    SmartSettings(name="All", kind="playlist", matcher="trackartist:o:i", sort="releasedate,-tracknumber"),
    SmartSettings(name="Lush Ones", kind="search", matcher="descriptor:Lush"),
)


@pytest.fixture
def smart(library: Config) -> Browser:
    return Browser(library, SMART)


@pytest.mark.parametrize(
    ("path", "releases"),
    [
        ("genre:K-Pop", [BLACKPINK, LOONA, LOOSE]),
        ("genre:Hip", [BLACKPINK]),
        ("releaseartist:loona:i", [LOONA]),
        ("tracktitle:^Track 2$", [LOONA]),
        ("genre:^K-Pop$/label:^YG$", [BLACKPINK]),
        ("genre:K-Pop/label:YG/new:true", []),
        ("artist:LOONA,BLACK", []),
        ("genre", None),
        ("Lush Ones", [LOONA]),
        ("Lush Ones/genre:K-Pop", [LOONA]),
        ("Lush Ones/genre:Hip", []),
    ],
)
def test_a_search_lists_what_all_its_matchers_find(
    smart: Browser, path: str, releases: list[str] | None
) -> None:
    if releases is None:
        assert not smart.exists(f"Search/{path}")
    else:
        assert smart.releases(f"Search/{path}") == releases


def test_search_lists_the_saved_ones_and_none_that_were_typed(smart: Browser) -> None:
    assert smart.releases("Search/genre:K-Pop")
    assert smart.ls("Search") == ["Lush Ones"]


def test_a_release_in_a_search_is_that_release(smart: Browser) -> None:
    found, same = (smart.entries(f"{path}/{LOONA}") for path in ("Search/genre:K-Pop", "Releases"))
    assert [(each.name, each.attributes.inode) for each in found] == [
        (each.name, each.attributes.inode) for each in same
    ]
    assert len(smart.ls("Search/releaseartist:LOONA/!All Tracks")) == 2


@pytest.mark.parametrize(
    ("name", "title"),
    [("%2F", "AC/DC"), ("%2f", "AC/DC"), ("%25", "50% off"), ("% o", "50% off"), ("%252F", "%2F here")],
)
def test_every_matcher_can_be_written_as_a_name(library: Config, name: str, title: str) -> None:
    for index, album in enumerate(("AC/DC", "50% off", "%2F here")):
        make_release(library.music_source_dir, f"more{index}", artist="X", album=album)
    browser = Browser(library)
    browser.update()
    found = rosecache.list_releases(library)
    assert len(browser.releases(f"Search/releasetitle:{name}")) >= 1
    expected = {release.id for release in found if title == release.releasetitle}
    handle = browser.entries(f"Search/releasetitle:{name}")
    listed = {
        browser.fs.getxattr(each.attributes.inode, b"user.rosefs.id").decode()
        for each in handle
        if each.name != b"!All Tracks" and browser.stat(f"Search/releasetitle:{name}/{each.name.decode()}")
    }
    assert expected <= listed


@pytest.mark.expects_log("is no matcher: column 1")
def test_what_is_no_matcher_is_absent_for_good_and_the_log_says_why(
    smart: Browser, caplog: pytest.LogCaptureFixture
) -> None:
    parent = smart.stat("Search").inode
    with pytest.raises(AbsentError):
        smart.fs.lookup(parent, b"genr:Pop")
    assert 'there is no tag "genr"; did you mean' in caplog.text
    caplog.clear()
    for name in (b".Trash", b"desktop.ini", b"genre"):  # which file managers look for
        with pytest.raises(AbsentError):
            smart.fs.lookup(parent, name)
    assert not [record for record in caplog.records if record.levelno >= logging.INFO]


def test_a_longer_name_than_any_is_said_to_be_so(smart: Browser) -> None:
    parent = smart.stat("Search").inode
    assert smart.fs.lookup(parent, b"genre:" + 249 * b"x").is_directory
    with pytest.raises(NameTooLongError):
        smart.fs.lookup(parent, b"genre:" + 250 * b"x")


def test_a_search_is_current_after_any_change(smart: Browser) -> None:
    source = smart.c.music_source_dir
    path = "Search/tracktitle:Zebra"
    assert smart.releases(path) == []
    before = smart.stat(path).mtime
    set_tags(next(source.glob("loona/*.opus")), title="Zebra")
    smart.update()
    assert smart.releases(path) == [LOONA]
    assert smart.stat(path).mtime > before
    set_tags(next(source.glob("loona/*.opus")), title="Lion")
    smart.update()
    assert smart.releases(path) == []
    assert smart.exists(f"{path}/{LOONA}")  # its name works for a while, as in any view


def test_typed_searches_need_no_memory_once_forgotten(smart: Browser) -> None:
    parent = smart.stat("Search").inode
    assert smart.ls("Search")
    before = smart.fs.counters()
    for number in range(50):
        found = smart.fs.lookup(parent, f"tracktitle:{number}".encode())
        below = smart.fs.lookup(found.inode, b"genre:Pop")
        for entry in smart.fs.entries(below.inode, 0):
            smart.fs.forget(entry.attributes.inode, 1)
        smart.fs.forget(below.inode, 1)
        smart.fs.forget(found.inode, 1)
    assert smart.fs.counters().inodes == before.inodes
    assert smart.fs.counters().directories == before.directories


def test_smart_collages_and_playlists_are_beside_others(smart: Browser) -> None:
    assert smart.ls("Collages") == ["Pop"]
    assert smart.releases("Collages/Pop") == [f"1. {LOOSE}", f"2. {LOONA}"]
    assert smart.ls("Playlists/All") == [
        "1. LOONA - Track 2.opus", "2. LOONA - Track 1.opus", "3. Nobody - Track 1.opus", "All.m3u8",
    ]  # fmt: skip
    lines = smart.read("Playlists/All/All.m3u8").decode().splitlines()
    assert lines[2::2] == smart.ls("Playlists/All")[:3]
    assert smart.stat("Playlists/All/All.m3u8").size == len(smart.read("Playlists/All/All.m3u8"))


def test_a_smart_playlist_is_current_after_any_change(smart: Browser) -> None:
    assert len(smart.ls("Playlists/All")) == 4
    make_release(smart.c.music_source_dir, "more", tracks=1, artist="Moon", album="More", date="2024")
    smart.update()
    assert smart.ls("Playlists/All")[3] == "4. Moon - Track 1.opus"
    assert smart.releases("Collages/Pop")[0] == "1. {NEW} Moon - 2024. More"
    assert b"Moon" in smart.read("Playlists/All/All.m3u8")


@pytest.mark.parametrize("first", [True, False])
def test_a_real_list_keeps_its_name_and_a_smart_one_of_the_same_gets_another(
    library: Config, *, first: bool
) -> None:
    browser = Browser(library, SMART)
    if not first:
        assert browser.ls("Playlists") == ["All"]
    make_list(library.playlists_dir / "All.toml", "tracks")
    browser.update()
    assert browser.ls("Playlists") == ["All", "All [2]"]
    assert browser.ls("Playlists/All") == ["All.m3u8"]
    assert len(browser.ls("Playlists/All [2]")) == 4


def test_lists_come_and_go_with_the_configuration(smart: Browser) -> None:
    assert smart.releases("Search/Lush Ones/genre:K-Pop") == [LOONA]
    smart.fs.reconfigure(smart.c.path_templates, VfsSettings())
    assert smart.ls("Search") == smart.ls("Collages") == smart.ls("Playlists") == []
    for path in ("Search/Lush Ones", "Collages/Pop", "Playlists/All"):
        assert not smart.exists(path)
    assert smart.releases("Search/descriptor:Lush") == [LOONA]


def test_a_search_can_be_the_top_and_have_another_name(library: Config) -> None:
    browser = Browser(library, SMART, views=[{"view": "search", "name": "Find"}])
    assert browser.ls() == ["Find"]
    assert browser.releases("Find/genre:Hip") == [BLACKPINK]


def test_keys_of_searches_lie_below_one_another() -> None:
    deep = find_search(Key("search", "genre:Pop", ""), "label:YG")
    assert deep == Key("search", "genre:Pop/label:YG", "")
    assert deep.parent == Key("search", "genre:Pop", "")
    assert deep.parent.parent == Key("search", "", "")
    assert is_typed(deep)
    assert not is_typed(Key("search", "Lush Ones", ""))


def test_the_kernel_lets_go_of_the_oldest_of_too_many_typed_searches(library: Config) -> None:
    browser, kernel = Browser(library, SMART), NotingKernel()
    browser.fs.connect(kernel)
    try:
        parent = browser.stat("Search").inode
        for number in (*range(256), 0, *range(256, 260)):
            browser.fs.lookup(parent, f"tracktitle:{number}".encode())
        wait_until(lambda: len(kernel.entries) == 4)
        assert kernel.entries == {
            (parent, f"tracktitle:{number}") for number in range(1, 5)
        }  # 0 was used again
    finally:
        browser.fs.disconnect()


def test_names_in_a_search_that_was_listed_cost_no_query(smart: Browser) -> None:
    search = smart.stat("Search/genre:K-Pop").inode
    assert smart.releases("Search/genre:K-Pop")
    with counted_queries(smart.c) as queries:
        for name in (LOONA, BLACKPINK, "x"):
            with suppress(AbsentError):
                smart.fs.lookup(search, name.encode())
    assert queries == []
