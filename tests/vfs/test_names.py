"""Names: safe, distinct, bound to one thing, and working for a while after a change took them away."""

from __future__ import annotations

import shutil
import unicodedata
from pathlib import Path

import msgspec
import pytest

import rosecache
from rosecache.config import Config, PathTemplates, TemplateSet
from rosefs.vfs.contents import ReleasesDirectory
from rosefs.vfs.errors import NoEntryError
from rosefs.vfs.names import RETIRED_SECONDS
from tests.support.audio import make_release, set_tags
from tests.support.browsing import Browser
from tests.support.library import make_list, release_id_on_disk
from tests.support.rows import release_row, remove, store

HASH = "LOONA - 2018. Hash"


def retag(c: Config, release: str, **tags: str) -> None:
    """Retags every track of a release, as a tagger would."""
    for path in (c.music_source_dir / release).glob("*.opus"):
        set_tags(path, **tags)


def same_name(c: Config, count: int, album: str = "Same") -> list[str]:
    """Makes releases of one name, and returns their ids in order."""
    template = TemplateSet(release="{{ releasetitle }}")
    assert c.path_templates.default.release == template.release
    made = [make_release(c.music_source_dir, f"same {i}", tracks=1, album=album) for i in range(count)]
    rosecache.update_cache(c)
    return sorted(release_id_on_disk(release) for release in made)


@pytest.fixture
def titled(c: Config) -> Config:
    """A library whose releases are called by their titles alone."""
    default = msgspec.structs.replace(PathTemplates().default, release="{{ releasetitle }}")
    return msgspec.structs.replace(c, path_templates=PathTemplates(default=default))


def id_of(browser: Browser, path: str) -> str:
    return browser.xattr(path, "user.rosefs.id")


def test_names_are_made_safe(library: Config) -> None:
    make_release(library.music_source_dir, "x", tracks=1, artist="AC/DC", album="a:b?  c", title="..")
    browser = Browser(library)
    browser.update()
    assert "AC_DC" in browser.ls("Artists")
    assert browser.releases("Artists/AC_DC") == ["{NEW} AC_DC - 2020. a_b_ c"]
    assert "01. ...opus" in browser.ls("Artists/AC_DC/{NEW} AC_DC - 2020. a_b_ c")


def test_a_long_name_is_cut_between_characters_and_keeps_its_extension(library: Config) -> None:
    make_release(library.music_source_dir, "x", tracks=1, artist="é" * 300, title="ü" * 300)
    browser = Browser(library)
    browser.update()
    (artist,) = (name for name in browser.ls("Artists") if name.startswith("é"))
    assert artist == "é" * 127
    (release,) = browser.releases(f"Artists/{artist}")
    assert len(release.encode()) in (254, 255)
    track = browser.ls(f"Artists/{artist}/{release}")[0]
    assert track.endswith("ü.opus")
    assert len(track.encode()) in (254, 255)


def test_both_forms_of_unicode_are_found_and_the_composed_one_is_listed(library: Config) -> None:
    decomposed = unicodedata.normalize("NFD", "Beyoncé")
    make_release(library.music_source_dir, "x", tracks=1, artist=decomposed)
    browser = Browser(library)
    browser.update()
    assert "Beyoncé" in browser.ls("Artists")
    assert browser.stat("Artists/Beyoncé") == browser.stat(f"Artists/{decomposed}")


def test_of_equal_names_the_later_ids_get_numbers(titled: Config) -> None:
    ids = same_name(titled, 3)
    browser = Browser(titled)
    assert {name: id_of(browser, f"Releases/{name}") for name in browser.releases("Releases")} == {
        "Same": ids[0], "Same [2]": ids[1], "Same [3]": ids[2],
    }  # fmt: skip


def test_tracks_of_one_name_are_numbered_before_the_extension(library: Config) -> None:
    make_release(library.music_source_dir, "x", tracks=2, album="Twins", title="Twin", tracknumber="1")
    browser = Browser(library)
    browser.update()
    names = browser.ls("Releases/{NEW} Artist - 2020. Twins")[:2]
    assert sorted(names) == ["01. Twin [2].opus", "01. Twin.opus"]


def test_nothing_takes_the_name_of_all_tracks(titled: Config) -> None:
    same_name(titled, 1, album="!All Tracks")
    assert Browser(titled).ls("Releases") == ["!All Tracks", "!All Tracks [2]"]


def test_a_name_that_a_retag_took_away_works_for_two_hours(library: Config) -> None:
    browser = Browser(library)
    path = f"Artists/LOONA/{HASH}/01. Track 1.opus"
    before = browser.stat(path)
    content = browser.read(path)
    retag(library, "loona", album="Sharp")
    browser.update()
    assert browser.releases("Artists/LOONA") == ["LOONA - 2018. Sharp"]
    assert browser.stat(path).inode == before.inode
    assert len(browser.read(path)) == len(content)
    browser.clock.advance(RETIRED_SECONDS - 10)
    assert browser.exists(path)
    browser.clock.advance(10)
    assert not browser.exists(path)
    assert browser.exists("Artists/LOONA/LOONA - 2018. Sharp/01. Track 1.opus")


def test_a_name_that_was_taken_away_works_still_when_the_kernel_has_forgotten_it(library: Config) -> None:
    browser = Browser(library)
    path = "Artists/LOONA/LOONA - 2018. Hash/01. Track 1.opus"
    browser.stat(path)
    for name in ("01.opus", "02.opus"):
        set_tags(library.music_source_dir / "loona" / name, title="Other", album="Other")
    browser.update()
    parts = path.split("/")
    known = [browser.stat("/".join(parts[:number])).inode for number in range(len(parts), 0, -1)]
    for inode in known:
        browser.fs.forget(inode, 100)
    assert browser.fs.counters().inodes == 1
    assert browser.stat(path).inode == known[0]


def test_a_track_and_the_files_beside_it_keep_their_old_names_too(library: Config) -> None:
    (library.music_source_dir / "loona" / "01.lrc").write_text("la")
    browser = Browser(library)
    browser.update()
    assert {"01. Track 1.opus", "01. Track 1.lrc"} < set(browser.ls(f"Releases/{HASH}"))
    set_tags(library.music_source_dir / "loona" / "01.opus", title="Retitled")
    browser.update()
    listed = browser.ls(f"Releases/{HASH}")
    assert {"01. Retitled.opus", "01. Retitled.lrc"} < set(listed)
    assert not {"01. Track 1.opus", "01. Track 1.lrc"} & set(listed)
    assert browser.read(f"Releases/{HASH}/01. Track 1.lrc") == b"la"
    assert browser.stat(f"Releases/{HASH}/01. Track 1.opus") == browser.stat(
        f"Releases/{HASH}/01. Retitled.opus"
    )


def test_a_path_through_an_artist_that_a_retag_took_away_still_works(library: Config) -> None:
    browser = Browser(library)
    path = f"Artists/LOONA/{HASH}/01. Track 1.opus"
    number = browser.stat(path).inode
    assert browser.ls("Artists/LOONA")
    retag(library, "loona", artist="ARTMS", albumartist="ARTMS")
    browser.update()
    assert browser.ls("Artists") == ["ARTMS", "BLACKPINK", "Nobody"]
    assert browser.stat(path).inode == number
    assert browser.releases("Artists/LOONA") == []
    browser.clock.advance(RETIRED_SECONDS)
    assert not browser.exists("Artists/LOONA")


def test_nothing_else_gets_a_name_that_still_works(titled: Config) -> None:
    (first,) = same_name(titled, 1, album="Live")
    browser = Browser(titled)
    assert browser.releases("Releases") == ["Live"]
    retag(titled, "same 0", album="Studio")
    make_release(titled.music_source_dir, "another", tracks=1, album="Live")
    browser.update()
    assert browser.releases("Releases") == ["Live [2]", "Studio"]
    assert id_of(browser, "Releases/Live") == first
    browser.clock.advance(RETIRED_SECONDS)
    make_release(titled.music_source_dir, "third", tracks=1, album="Another")
    browser.update()
    assert browser.releases("Releases") == ["Live", "Studio", "Another"]
    assert id_of(browser, "Releases/Live") != first


def test_a_name_goes_back_to_whom_it_belonged(titled: Config) -> None:
    same_name(titled, 1, album="Live")
    browser = Browser(titled)
    browser.ls("Releases")
    for album in ("Studio", "Live"):
        retag(titled, "same 0", album=album)
        browser.update()
        assert browser.releases("Releases") == [album]
    assert browser.exists("Releases/Studio")


def test_the_name_of_what_was_deleted_is_free(titled: Config) -> None:
    first, second, third = same_name(titled, 3)
    browser = Browser(titled)
    browser.ls("Releases")
    (removed,) = (p for p in titled.music_source_dir.glob("same *") if release_id_on_disk(p) == first)
    shutil.rmtree(removed)
    browser.update()
    # The numbers close up, except that a name which works for its old owner is given to nobody else.
    assert {name: id_of(browser, f"Releases/{name}") for name in browser.releases("Releases")} == {
        "Same": second, "Same [3]": third,
    }  # fmt: skip
    assert id_of(browser, "Releases/Same [2]") == second


def test_a_newcomer_takes_no_name_from_those_who_have_it(titled: Config) -> None:
    store(titled, release_row("bbb", title="Same"), release_row("ccc", title="Same"))
    browser = Browser(titled)
    assert browser.releases("Releases") == ["Same", "Same [2]"]
    store(titled, release_row("aaa", title="Same"))
    browser.clock.advance(1)
    assert browser.releases("Releases") == ["Same [3]", "Same", "Same [2]"]
    assert Browser(titled).releases("Releases") == ["Same", "Same [2]", "Same [3]"]


def test_a_name_that_is_found_without_a_listing_is_what_the_listing_says(titled: Config) -> None:
    titles = (
        "Live",
        "Live",
        "Live [2]",
        "Über: 1",
        "!All Tracks",
        "Studio [2]",
        "[2]",
        "x" * 255,
        "x" * 255,
        "",
    )
    store(titled, *(release_row(f"id {number}", title=title) for number, title in enumerate(titles)))
    shown = {entry.name.decode(): entry.attributes for entry in Browser(titled).entries("Releases")}
    assert len(shown) == 1 + len(titles)
    for name, attributes in shown.items():
        assert Browser(titled).stat(f"Releases/{name}").inode == attributes.inode
        decomposed = unicodedata.normalize("NFD", name)
        assert Browser(titled).stat(f"Releases/{decomposed}").inode == attributes.inode
    for name in ("Live [4]", "Studio", "live", "[3]", "x" * 254, "Über_ 1 [2]", "Unknown Release [2]"):
        assert name not in shown
        assert not Browser(titled).exists(f"Releases/{name}")


@pytest.mark.expects_log("names are those of the source")
def test_a_name_that_a_template_could_not_make_is_found(c: Config) -> None:
    # A template that fails for a release stores no name of it.
    default = TemplateSet(release="{{ edition + releasetitle }}")
    c = msgspec.structs.replace(c, path_templates=msgspec.structs.replace(c.path_templates, default=default))
    store(
        c, release_row("a", title="A", edition="First "), release_row("b", title="B", directory=b"source b")
    )
    assert id_of(Browser(c), "Releases/First A") == "a"
    assert id_of(Browser(c), "Releases/source b") == "b"


def test_a_name_that_was_found_without_a_listing_is_bound(
    titled: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(titled, release_row("aaa", title="Live"), release_row("ccc", title="Live"))
    store(titled, release_row("bbb", title="Studio"))
    browser = Browser(titled)
    with monkeypatch.context() as patch:
        patch.setattr(ReleasesDirectory, "build", None)
        assert id_of(browser, "Releases/Studio") == "bbb"
        assert not browser.exists("Releases/Later")
        assert browser.absence_may_be_kept(browser.stat("Releases").inode)
    store(titled, release_row("bbb", title="Later"), release_row("aaa", title="Studio"))
    browser.clock.advance(1)
    assert id_of(browser, "Releases/Later") == "bbb"
    assert id_of(browser, "Releases/Studio") == "bbb"
    assert browser.releases("Releases") == ["Studio [2]", "Later", "Live"]
    browser.clock.advance(RETIRED_SECONDS)
    store(titled, release_row("ddd", title="Another"))
    browser.clock.advance(1)
    assert id_of(browser, "Releases/Studio") == "aaa"


def test_members_of_a_playlist_that_moved_up_are_found_by_their_old_numbers(library: Config) -> None:
    ids = {
        track.source_path.name: track.id
        for track in rosecache.list_tracks(library)
        if "loona" in str(track.source_path)
    }
    path = library.playlists_dir / "p.toml"
    make_list(path, "tracks", ids["01.opus"], ids["02.opus"])
    browser = Browser(library)
    browser.update()
    assert browser.ls("Playlists/p")[:2] == ["1. LOONA - Track 1.opus", "2. LOONA - Track 2.opus"]
    make_list(path, "tracks", ids["02.opus"])
    browser.update()
    assert browser.ls("Playlists/p") == ["1. LOONA - Track 2.opus", "p.m3u8"]
    assert id_of(browser, "Playlists/p/2. LOONA - Track 2.opus") == ids["02.opus"]
    assert not browser.exists("Playlists/p/1. LOONA - Track 1.opus")  # removed, which is no renumbering


def test_a_release_that_is_not_new_any_more_has_left_the_new_ones(library: Config) -> None:
    release = make_release(library.music_source_dir, "fresh", tracks=1, album="Fresh")
    browser = Browser(library)
    browser.update()
    (name,) = browser.releases("Releases - New")
    assert name in browser.releases("Releases")
    (datafile,) = release.glob(".rose.*.toml")
    datafile.write_text(datafile.read_text().replace("new = true", "new = false"))
    browser.update()
    assert browser.releases("Releases - New") == []
    assert not browser.exists(f"Releases - New/{name}")
    assert browser.exists(f"Releases/{name}")  # where it got another name


@pytest.mark.expects_log(r"WARNING rosefs\.vfs\.names: names are those of the source: .*")
def test_a_template_that_cannot_cope_falls_back_to_the_source_names(library: Config) -> None:
    templates = PathTemplates(default=TemplateSet(release="{{ 1 / (catalognumber | length) }}"))
    browser = Browser(msgspec.structs.replace(library, path_templates=templates))
    assert browser.releases("Releases") == ["blackpink", "loona"]


def test_an_extra_file_keeps_its_name_unless_it_is_no_text(library: Config) -> None:
    release = library.music_source_dir / "loona"
    for name in (
        b"a: b  c?.txt",
        b"\xff.txt",
        unicodedata.normalize("NFD", "é.txt").encode(),
        b"new\nline.txt",
    ):
        (Path(str(release)) / name.decode(errors="surrogateescape")).write_bytes(name)
    browser = Browser(library)
    browser.update()
    shown = {name for name in browser.ls(f"Releases/{HASH}") if name.endswith(".txt")}
    assert shown == {"a: b  c?.txt", "_.txt", "é.txt", "new line.txt"}
    assert browser.read(f"Releases/{HASH}/_.txt") == b"\xff.txt"


def test_an_id_that_is_gone_is_not_found_by_a_retired_name(titled: Config) -> None:
    store(titled, release_row("aaa", title="One"))
    browser = Browser(titled)
    assert browser.releases("Releases") == ["One"]
    store(titled, release_row("aaa", title="Two"))
    browser.clock.advance(1)
    assert browser.exists("Releases/One")
    remove(titled, "aaa")
    browser.clock.advance(1)
    with pytest.raises(NoEntryError):
        browser.stat("Releases/One")
