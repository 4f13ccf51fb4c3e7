"""Covers: set, deleted, taken out of audio files of every format; and images that are none."""

from __future__ import annotations

import base64
import errno
from pathlib import Path

import pytest
from msgspec.structs import replace
from mutagen.flac import Picture
from mutagen.id3 import APIC, ID3, Encoding
from mutagen.oggvorbis import OggVorbis

from rosecache.config import Config
from rosecache.model import Release
from rosecache.query.releases import get_release, list_releases
from rosecache.update import update_cache
from rosefs.library.covers import check_image, delete_cover, extract_covers, set_cover
from rosefs.library.errors import CoverError, NotFoundError
from rosefs.library.journal import Journal
from rosefs.library.pictures import embedded_picture
from tests.support.audio import FORMATS, PICTURE, make_release, make_track
from tests.support.disks import fill_disk
from tests.support.library import check_cache, snapshot

JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + b"\0" * 20
GIF = b"GIF89a" + b"\0" * 20


def release_of(c: Config, name: str) -> Release:
    (found,) = [release for release in list_releases(c) if release.source_path.name == name]
    return found


def shown_cover(c: Config, release: Release) -> Path | None:
    found = get_release(c, release.id)
    assert found is not None
    return found.cover_image_path


def images(release: Release) -> set[str]:
    return {
        path.name for path in release.source_path.rglob("*.*") if path.suffix in (".png", ".jpg", ".jpeg")
    }


@pytest.fixture
def jpeg(tmp_path: Path) -> Path:
    path = tmp_path / "image.jpg"
    path.write_bytes(JPEG)
    return path


# Setting ----------------------------------------------------------------------------------------------------


def test_a_first_cover_keeps_its_extension(library: Config, journal: Journal, jpeg: Path) -> None:
    release = release_of(library, "blackpink")
    done = set_cover(library, journal, release, jpeg)
    assert done.path == release.source_path / "cover.jpg" == shown_cover(library, release)
    assert done.path.read_bytes() == JPEG
    assert done.replaced == ()
    assert jpeg.exists()
    check_cache(library)


def test_a_cover_of_the_same_name_is_replaced(library: Config, journal: Journal, tmp_path: Path) -> None:
    (tmp_path / "new.png").write_bytes(PICTURE + b"new")
    release = release_of(library, "loona")
    done = set_cover(library, journal, release, tmp_path / "new.png")
    assert done.path.name == "cover.png"
    assert done.path.read_bytes() == PICTURE + b"new"
    assert images(release) == {"cover.png"}


@pytest.mark.parametrize("old", ["folder.png", "FOLDER.PNG", "art.jpeg", "Front.png"])
def test_a_cover_of_another_accepted_name_goes_to_the_trash(
    library: Config, journal: Journal, jpeg: Path, home_trash: Path, old: str
) -> None:
    release = release_of(library, "blackpink")
    (release.source_path / old).write_bytes(PICTURE)
    update_cache(library)
    done = set_cover(library, journal, release, jpeg)
    assert shown_cover(library, release) == done.path
    assert done.path.suffix == ".jpg"
    assert done.replaced == (release.source_path / old,)
    assert (home_trash / "files" / old).read_bytes() == PICTURE
    assert images(release) == {done.path.name}


def test_other_images_stay(library: Config, journal: Journal, jpeg: Path) -> None:
    release = release_of(library, "loona")  # has cover.png
    (release.source_path / "front.jpg").write_bytes(JPEG)  # of a lower rank: an extra file
    (release.source_path / "Scans").mkdir()
    (release.source_path / "Scans/folder.jpg").write_bytes(JPEG)
    set_cover(library, journal, release, jpeg)
    assert images(release) == {"cover.jpg", "front.jpg", "folder.jpg"}


def test_what_would_be_shown_before_the_new_cover_goes_too(
    library: Config, journal: Journal, tmp_path: Path
) -> None:
    release = release_of(library, "blackpink")
    for name in ("cover.jpg", "cover.jpeg"):
        (release.source_path / name).write_bytes(JPEG)
    (tmp_path / "new.png").write_bytes(PICTURE)
    done = set_cover(library, journal, release, tmp_path / "new.png")
    assert shown_cover(library, release) == done.path
    assert images(release) == {"cover.png"}


def test_an_image_of_the_release_itself_can_become_its_cover(library: Config, journal: Journal) -> None:
    release = release_of(library, "loona")
    (release.source_path / "scan.png").write_bytes(PICTURE + b"scan")
    set_cover(library, journal, release, release.source_path / "scan.png")
    assert images(release) == {"cover.png", "scan.png"}
    assert (release.source_path / "cover.png").read_bytes() == PICTURE + b"scan"


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("x.png", JPEG, "content is JPEG; rename it to x.jpg"),
        ("x.jpg", PICTURE, "content is PNG; rename it to x.png"),
        ("x.jpeg", b"<html>", "content is no image"),
        ("x.jpg", b"", "content is no image"),
        ("x.gif", GIF, "one of jpg, jpeg, png; the setting valid_art_exts"),
        ("x", PICTURE, "has to be one of"),
    ],
)
def test_what_is_no_cover_is_refused(
    library: Config, journal: Journal, tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    (tmp_path / name).write_bytes(content)
    before = snapshot(library.music_source_dir)
    with pytest.raises(CoverError, match=reason):
        set_cover(library, journal, release_of(library, "loona"), tmp_path / name)
    assert snapshot(library.music_source_dir) == before
    assert journal.history() == []


@pytest.mark.parametrize("name", ["x.JPG", "x.Jpeg"])
def test_extensions_count_in_any_case(c: Config, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(JPEG)
    assert check_image(c, tmp_path / name) in ("jpg", "jpeg")


def test_kinds_that_we_do_not_know_are_the_users_choice(c: Config, tmp_path: Path) -> None:
    (tmp_path / "x.xcf").write_bytes(b"gimp xcf")
    assert check_image(replace(c, valid_art_exts=("xcf",)), tmp_path / "x.xcf") == "xcf"


def test_a_full_disk_leaves_the_old_cover(tmp_path: Path, volume: Path, journal: Journal, jpeg: Path) -> None:
    c = Config(music_source_dir=volume / "source", cache_dir=tmp_path / "cache")
    make_release(c.music_source_dir, "loona", tracks=1, cover=True)
    update_cache(c)
    (tmp_path / "new.png").write_bytes(PICTURE + b"x" * 100_000)
    fill_disk(volume)
    before = snapshot(c.music_source_dir)
    for image in (tmp_path / "new.png", jpeg):
        with pytest.raises(OSError, match="No space left") as raised:
            set_cover(c, journal, release_of(c, "loona"), image)
        assert raised.value.errno == errno.ENOSPC
        # The cover's own name, and not that of the version that was being written.
        assert raised.value.filename == str(c.music_source_dir / "loona" / f"cover{image.suffix}")
    assert snapshot(c.music_source_dir) == before
    assert journal.history() == []


# Deleting ---------------------------------------------------------------------------------------------------


def test_a_deleted_cover_is_in_the_trash(library: Config, journal: Journal, home_trash: Path) -> None:
    release = release_of(library, "loona")
    done = delete_cover(library, journal, release)
    assert (done.path, done.next) == (release.source_path / "cover.png", None)
    assert (home_trash / "files/cover.png").exists()
    assert shown_cover(library, release) is None
    with pytest.raises(NotFoundError, match=r"LOONA - 2018\. Hash has no cover"):
        delete_cover(library, journal, release)


def test_the_image_that_is_shown_next_is_named(library: Config, journal: Journal) -> None:
    release = release_of(library, "loona")
    (release.source_path / "front.jpg").write_bytes(JPEG)
    assert delete_cover(library, journal, release).next == release.source_path / "front.jpg"
    assert shown_cover(library, release) == release.source_path / "front.jpg"


# Extracting -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", FORMATS)
def test_an_embedded_picture_becomes_the_cover(c: Config, journal: Journal, format: str) -> None:
    make_release(c.music_source_dir, "pictured", format=format, picture=PICTURE)
    update_cache(c)
    done = extract_covers(c, journal)
    assert done.covers == (c.music_source_dir / "pictured/cover.png",)
    assert done.covers[0].read_bytes() == PICTURE
    assert shown_cover(c, release_of(c, "pictured")) == done.covers[0]
    assert (done.without, done.problems) == ((), ())
    check_cache(c)


def test_covers_that_are_there_are_left_alone(library: Config, journal: Journal) -> None:
    make_release(library.music_source_dir, "pictured", picture=PICTURE, album="Pictured")
    make_release(library.music_source_dir, "covered", picture=PICTURE, album="Covered")
    update_cache(library)
    (library.music_source_dir / "covered/front.jpg").write_bytes(JPEG)  # the cache does not know yet
    before = snapshot(library.music_source_dir)
    seen: list[tuple[int, int]] = []
    done = extract_covers(library, journal, progress=lambda *so_far: seen.append(so_far))
    after = snapshot(library.music_source_dir)
    assert set(after) - set(before) == {"pictured/cover.png"}
    assert {name: after[name] for name in before} == before
    assert {release.source_path.name for release in done.without} == {"blackpink", "nobody"}
    assert seen == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]
    assert len(journal.history()) == 1


def test_only_the_releases_asked_for(library: Config, journal: Journal) -> None:
    for name in ("one", "two"):
        make_release(library.music_source_dir, name, picture=PICTURE, album=name)
    update_cache(library)
    done = extract_covers(library, journal, [release_of(library, "one")])
    assert [cover.parent.name for cover in done.covers] == ["one"]
    assert journal.history()[0].title == "extract the covers of Artist - 2020. one"


def test_the_front_cover_is_preferred(tmp_path: Path) -> None:
    path = make_track(tmp_path / "01.mp3")
    tags = ID3(path)
    for kind, data in ((4, JPEG), (3, PICTURE), (0, GIF)):
        tags.add(APIC(encoding=Encoding.UTF8, mime="image/x", type=kind, desc=str(kind), data=data))
    tags.save()
    assert embedded_picture(path) == PICTURE
    tags.delall("APIC:3")
    tags.save()
    assert embedded_picture(path) in (JPEG, GIF)


def test_old_and_broken_pictures_in_vorbis_comments(tmp_path: Path) -> None:
    path = make_track(tmp_path / "01.ogg")
    audio = OggVorbis(path)
    back = Picture()
    back.type, back.data = 4, JPEG
    audio["metadata_block_picture"] = ["not base64!", base64.b64encode(b"short").decode()]
    audio.save()
    assert embedded_picture(path) is None
    audio["metadata_block_picture"] = ["not base64!", base64.b64encode(back.write()).decode()]
    audio["coverart"] = ["\u20ac", base64.b64encode(PICTURE).decode()]
    audio.save()
    assert embedded_picture(path) == PICTURE


def test_a_picture_of_a_kind_that_is_not_accepted_is_a_problem(c: Config, journal: Journal) -> None:
    make_release(c.music_source_dir, "pictured", picture=GIF)
    update_cache(c)
    done = extract_covers(c, journal)
    assert done.covers == ()
    assert done.problems[0][0] == c.music_source_dir / "pictured"
    assert "GIF, which valid_art_exts does not have" in done.problems[0][1]
    assert journal.history() == []


def test_a_broken_or_unwritable_release_costs_no_other(
    c: Config, journal: Journal, permissions_count: None
) -> None:
    for name in ("broken", "locked", "whole"):
        make_release(c.music_source_dir, name, format="mp3", picture=PICTURE, album=name)
    update_cache(c)
    for track in ("01.mp3", "02.mp3"):
        (c.music_source_dir / "broken" / track).write_bytes(b"not audio")
    (c.music_source_dir / "locked").chmod(0o500)
    try:
        done = extract_covers(c, journal)
    finally:
        (c.music_source_dir / "locked").chmod(0o755)
    assert [cover.parent.name for cover in done.covers] == ["whole"]
    assert {path.relative_to(c.music_source_dir).parts[0] for path, _ in done.problems} == {
        "broken",
        "locked",
    }
    assert done.without == ()
    assert len(journal.history()[0].steps) == 1
