"""What each view shows, and under which names."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import pytest

import rosecache
from rosecache.config import ArtistAlias, Config, PathTemplates, TemplateSet
from tests.support.audio import PICTURE, make_release, make_track
from tests.support.browsing import Browser
from tests.support.library import make_list, release_id_on_disk

LOONA = "LOONA - 2018. Hash"
BLACKPINK = "BLACKPINK - 2016. Square - Single"
LOOSE = "Nobody - 2020. Demo"


def ids_of_tracks(c: Config) -> dict[str, str]:
    """Returns the ids of all tracks by artist and title."""
    return {
        f"{track.trackartists.main[0].name} {track.tracktitle}": track.id
        for track in rosecache.list_tracks(c)
    }


def ids_of_releases(c: Config) -> dict[str, str]:
    return {release.releasetitle: release.id for release in rosecache.list_releases(c)}


def test_the_top_lists_the_views_in_order(browser: Browser) -> None:
    assert browser.ls() == [
        "Releases", "Releases - New", "Releases - Added On", "Releases - Released On", "Artists", "Genres",
        "Descriptors", "Labels", "Loose Tracks", "Collages", "Playlists", "Search",
    ]  # fmt: skip


def test_views_their_names_and_their_order_are_configurable(library: Config) -> None:
    browser = Browser(library, views=["labels", {"view": "artists", "name": "Who"}])
    assert browser.ls() == ["Labels", "Who"]
    assert "LOONA" in browser.ls("Who")
    assert not browser.exists("Artists")
    assert not browser.exists("Releases")


@pytest.mark.parametrize(
    ("path", "releases"),
    [
        ("Releases", [BLACKPINK, LOONA]),
        ("Releases - New", []),
        ("Releases - Added On", [f"[2023-10-25] {BLACKPINK}", f"[2023-10-25] {LOONA}"]),
        ("Releases - Released On", [f"[2016] {BLACKPINK}", f"[2018] {LOONA}"]),
        ("Artists/LOONA", [LOONA]),
        ("Artists/Nobody", [LOOSE]),
        ("Genres/K-Pop", [BLACKPINK, LOONA, LOOSE]),
        ("Genres/Hip Hop", [BLACKPINK]),
        ("Genres/Korean Music", [BLACKPINK, LOONA, LOOSE]),  # a parent of K-Pop
        ("Descriptors/Lush", [LOONA]),
        ("Labels/YG", [BLACKPINK]),
        ("Loose Tracks", [LOOSE]),
    ],
)
def test_a_view_lists_its_releases(browser: Browser, path: str, releases: list[str]) -> None:
    assert browser.releases(path) == releases


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("Artists", ["BLACKPINK", "LOONA", "Nobody"]),
        ("Descriptors", ["Lush"]),
        ("Labels", ["BlockBerry", "YG"]),
        ("Collages", []),
        ("Playlists", []),
    ],
)
def test_a_view_lists_its_values(browser: Browser, path: str, values: list[str]) -> None:
    assert browser.ls(path) == values


def test_new_releases_say_so(library: Config) -> None:
    make_release(library.music_source_dir, "fresh", artist="IU", album="Lilac")
    browser = Browser(library)
    browser.update()
    assert browser.releases("Releases - New") == ["{NEW} IU - 2020. Lilac"]
    assert "{NEW} IU - 2020. Lilac" in browser.ls("Releases")


@pytest.mark.parametrize(
    ("settings", "path", "values"),
    [
        ({"artists_whitelist": ["LOONA", "Nobody else"]}, "Artists", ["LOONA"]),
        ({"artists_blacklist": ["LOONA"]}, "Artists", ["BLACKPINK", "Nobody"]),
        ({"genres_whitelist": ["Hip Hop"]}, "Genres", ["Hip Hop"]),
        ({"descriptors_blacklist": ["Lush"]}, "Descriptors", []),
        ({"labels_whitelist": []}, "Labels", []),
    ],
)
def test_lists_decide_which_values_are_shown(
    library: Config, settings: Mapping[str, object], path: str, values: list[str]
) -> None:
    browser = Browser(library, **settings)
    assert browser.ls(path) == values
    hidden = set(Browser(library).ls(path)) - set(values)
    assert hidden
    assert not any(browser.exists(f"{path}/{value}") for value in hidden)
    assert len(browser.releases("Releases")) == 2


@pytest.mark.parametrize("facet", ["genres", "descriptors", "labels"])
def test_values_of_new_releases_only_can_be_hidden(library: Config, facet: str) -> None:
    make_release(library.music_source_dir, "fresh", genre="Ambient", label="Kranky", descriptor="Dark")
    browser = Browser(library, **{f"hide_{facet}_with_only_new_releases": True})
    browser.update()
    fresh = {"genres": "Ambient", "descriptors": "Dark", "labels": "Kranky"}
    for other, value in fresh.items():
        assert (value in browser.ls(other.capitalize())) == (other != facet)
        assert browser.exists(f"{other.capitalize()}/{value}") == (other != facet)


def test_an_alias_is_shown_under_the_main_artist_too(library: Config) -> None:
    c = msgspec.structs.replace(library, artist_aliases=(ArtistAlias("Blackjack", ("BLACKPINK",)),))
    browser = Browser(c)
    assert browser.releases("Artists/Blackjack") == browser.releases("Artists/BLACKPINK") == [BLACKPINK]


def test_a_release_directory_shows_tracks_cover_datafile_and_extra_files(library: Config) -> None:
    release = library.music_source_dir / "loona"
    (release / "01.lrc").write_text("la la")
    (release / "Scans [1]").mkdir()
    (release / "Scans [1]" / "booklet.pdf").write_text("pdf")
    (release / "Scans [1]" / "02.lrc").write_text("not beside 02")
    (release / "Scans [1]" / "cover.PNG").write_bytes(PICTURE)
    (release / "broken.mp3").write_text("no audio")
    browser = Browser(library)
    browser.update()
    uuid = release_id_on_disk(release)
    files = {
        "01. Track 1.opus", "02. Track 2.opus", "cover.png", f".rose.{uuid}.toml", "01. Track 1.lrc", "booklet.pdf",
        "02.lrc", "cover.PNG", "broken.mp3",
    }  # fmt: skip
    assert set(browser.ls(f"Releases/{LOONA}")) == files
    assert browser.read(f"Releases/{LOONA}/01. Track 1.lrc") == b"la la"
    assert browser.read(f"Releases/{LOONA}/cover.png") == (release / "cover.png").read_bytes()
    hidden = Browser(library, show_extra_files=False)
    assert hidden.ls(f"Releases/{LOONA}") == [
        "01. Track 1.opus", "02. Track 2.opus", "cover.png", f".rose.{uuid}.toml",
    ]  # fmt: skip


def test_all_tracks_lists_the_tracks_of_the_releases_beside_it(browser: Browser) -> None:
    assert browser.ls("Releases/!All Tracks") == [
        "BLACKPINK - 2016. Square - 01. Track 1.mp3",
        "LOONA - 2018. Hash - 01. Track 1.opus",
        "LOONA - 2018. Hash - 02. Track 2.opus",
    ]
    assert browser.ls("Labels/YG/!All Tracks") == ["BLACKPINK - 2016. Square - 01. Track 1.mp3"]
    assert browser.ls("Releases - New/!All Tracks") == []


def test_a_collage_lists_its_members_by_position(library: Config) -> None:
    ids = ids_of_releases(library)
    members = [ids["Square"], ids["Hash"], ids["Square"], "018b268e-ef68-7180-a01e-19bc3fdf970e"]
    make_list(library.collages_dir / "Road Trip.toml", "releases", *members, *[ids["Demo"]] * 7)
    browser = Browser(library)
    browser.update()
    listed = browser.releases("Collages/Road Trip")
    assert listed[:4] == [f"01. {BLACKPINK}", f"02. {LOONA}", f"03. {BLACKPINK}", f"04. {LOOSE}"]
    assert len(listed) == 10
    assert listed[9] == f"10. {LOOSE}"
    assert len(browser.ls("Collages/Road Trip/!All Tracks")) == 4
    first = browser.stat(f"Collages/Road Trip/01. {BLACKPINK}")
    again = browser.stat(f"Collages/Road Trip/03. {BLACKPINK}")
    assert first.inode != again.inode
    assert browser.ls(f"Collages/Road Trip/03. {BLACKPINK}")[0] == "01. Track 1.mp3"


def test_a_playlist_lists_its_tracks_its_cover_and_a_list_of_them(library: Config) -> None:
    ids = ids_of_tracks(library)
    members = [ids["LOONA Track 2"], ids["BLACKPINK Track 1"], ids["LOONA Track 2"]]
    make_list(library.playlists_dir / "Shower.toml", "tracks", *members)
    (library.playlists_dir / "Shower.PNG").write_bytes(PICTURE)
    browser = Browser(library)
    browser.update()
    names = ["1. LOONA - Track 2.opus", "2. BLACKPINK - Track 1.mp3", "3. LOONA - Track 2.opus"]
    assert browser.ls("Playlists/Shower") == [*names, "cover.png", "Shower.m3u8"]
    content = browser.read("Playlists/Shower/Shower.m3u8")
    assert content.decode().splitlines() == [
        "#EXTM3U",
        "#EXTINF:1,LOONA - Track 2", names[0],
        "#EXTINF:1,BLACKPINK - Track 1", names[1],
        "#EXTINF:1,LOONA - Track 2", names[2],
    ]  # fmt: skip
    assert browser.stat("Playlists/Shower/Shower.m3u8").size == len(content)
    assert browser.read("Playlists/Shower/cover.png") == PICTURE


def test_a_generated_list_has_no_name_that_reads_as_a_comment(library: Config) -> None:
    make_track(library.music_source_dir / "hits" / "01.opus", title="#1\nHit", artist="LOONA")
    c = msgspec.structs.replace(library, path_templates=PathTemplates(playlists="{{ tracktitle }}"))
    browser = Browser(c)
    browser.update()
    make_list(c.playlists_dir / "p.toml", "tracks", ids_of_tracks(c)["LOONA #1\nHit"])
    browser.update()
    assert browser.ls("Playlists/p") == ["#1 Hit.opus", "p.m3u8"]
    assert browser.read("Playlists/p/p.m3u8") == b"#EXTM3U\n#EXTINF:1,LOONA - #1 Hit\n./#1 Hit.opus\n"


def test_templates_know_where_a_name_is_shown(library: Config) -> None:
    templates = PathTemplates(genres=TemplateSet(release="{{ context.genre }}: {{ releasetitle }}"))
    browser = Browser(msgspec.structs.replace(library, path_templates=templates))
    assert browser.releases("Genres/Hip Hop") == ["Hip Hop_ Square"]
    assert browser.releases("Genres/K-Pop") == ["K-Pop_ Square", "K-Pop_ Hash", "K-Pop_ Demo"]


def test_what_has_no_tags_is_shown_as_such(library: Config) -> None:
    make_release(
        library.music_source_dir, "?", tracks=1, artist=None, albumartist=None, album=None, title=None
    )
    browser = Browser(library)
    browser.update()
    assert "{NEW} Unknown Artists - 2020. Unknown Release" in browser.ls("Releases")
    assert "01. Unknown Title.opus" in browser.ls("Releases/{NEW} Unknown Artists - 2020. Unknown Release")


def test_every_path_that_is_listed_is_found(library: Config) -> None:
    ids = ids_of_tracks(library)
    make_list(library.playlists_dir / "p.toml", "tracks", *ids.values())
    make_list(library.collages_dir / "c.toml", "releases", *ids_of_releases(library).values())
    browser = Browser(library)
    browser.update()
    paths = dict(browser.walk())
    assert len(paths) > 100
    for path, attributes in paths.items():
        assert browser.stat(path) == attributes
