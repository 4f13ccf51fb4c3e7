"""Links that lead out of the music directory: what is behind them is shown, and no edit writes there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from msgspec.structs import replace

import rosecache
from rosecache.config import Config
from rosecache.model import Release
from rosecache.tags import TagChanges, read_tags
from rosecache.update import update_cache
from rosefs.library import covers, lists, releases, singles
from rosefs.library.journal import Journal
from rosefs.library.retag import ReleaseEdit, TrackEdit, retag
from tests.support.audio import PICTURE, make_release
from tests.support.library import exact_snapshot, ids_on_disk, make_list


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """What is linked into the music directory."""
    directory = tmp_path / "elsewhere"
    make_release(directory, "R", tracks=2, album="Linked", picture=PICTURE)
    (directory / "R" / ".in-progress.rosefs.toml.x").touch()
    make_list(directory / "playlists" / "mine.toml", "tracks")
    (directory / "playlists" / "mine.png").write_bytes(PICTURE)
    (directory / "cover.png").write_bytes(PICTURE)
    return directory


@pytest.fixture
def linked(c: Config, elsewhere: Path) -> Config:
    (c.music_source_dir / "Linked").symlink_to(elsewhere / "R")
    c.playlists_dir.symlink_to(elsewhere / "playlists")
    make_release(c.music_source_dir, "Own", tracks=1, album="Own")
    (c.music_source_dir / "Own" / "cover.png").symlink_to(elsewhere / "cover.png")
    return replace(c, rename_source_files=True)


def release_called(c: Config, title: str) -> Release:
    (found,) = (release for release in rosecache.list_releases(c) if release.releasetitle == title)
    return found


def retagged(c: Config, journal: Journal, release: Release) -> None:
    paths = [track.source_path for track in rosecache.get_tracks_of_release(c, release)]
    edits = [TrackEdit(path, read_tags(path), TagChanges(genres=("Techno",))) for path in paths]
    done = retag(c, journal, [ReleaseEdit(release, edits)])
    if done.problems:
        raise OSError(done.problems)


EDITS: Mapping[str, Callable[[Config, Journal, Path], object]] = {
    "mark as new": lambda c, j, image: releases.toggle_new(c, j, release_called(c, "Linked")),
    "delete": lambda c, j, image: releases.delete_release(c, j, release_called(c, "Linked")),
    "set a cover": lambda c, j, image: covers.set_cover(c, j, release_called(c, "Linked"), image),
    "retag": lambda c, j, image: retagged(c, j, release_called(c, "Linked")),
    "create a playlist": lambda c, j, image: lists.create(c, j, lists.PLAYLISTS, "new"),
    "rename a playlist": lambda c, j, image: lists.rename(c, j, lists.PLAYLISTS, "mine", "yours"),
    "delete a playlist": lambda c, j, image: lists.delete(c, j, lists.PLAYLISTS, "mine"),
    "add to a playlist": lambda c, j, image: lists.add(
        c, j, lists.PLAYLISTS, "mine", [rosecache.list_tracks(c)[0].id]
    ),
    "set a playlist's cover": lambda c, j, image: lists.set_cover(c, j, "mine", image),
    "delete a playlist's cover": lambda c, j, image: lists.delete_cover(c, j, "mine"),
}


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "image.png"
    path.write_bytes(PICTURE + b"another")
    return path


@pytest.mark.parametrize("name", EDITS)
def test_no_edit_follows_a_link_out_of_the_music_directory(
    linked: Config, journal: Journal, elsewhere: Path, image: Path, name: str
) -> None:
    before = exact_snapshot(elsewhere)
    assert update_cache(linked).problems == []
    with pytest.raises(OSError, match="follow_links_to"):
        EDITS[name](linked, journal, image)
    assert exact_snapshot(elsewhere) == before
    assert journal.history() == []
    assert len(rosecache.list_tracks(linked)) == 3


@pytest.mark.parametrize("name", EDITS)
def test_where_the_configuration_permits_it_every_edit_does(
    linked: Config, journal: Journal, elsewhere: Path, image: Path, name: str
) -> None:
    permitted = replace(linked, follow_links_to=(elsewhere.parent,), rename_source_files=False)
    assert update_cache(permitted).problems == []
    before = exact_snapshot(elsewhere)
    EDITS[name](permitted, journal, image)
    if name != "delete":  # which takes the link alone
        assert exact_snapshot(elsewhere) != before


def test_what_cannot_be_written_gets_its_ids_when_that_is_permitted(linked: Config, elsewhere: Path) -> None:
    update_cache(linked)
    first = {track.id for track in rosecache.list_tracks(linked)}
    update_cache(linked, force=True)
    assert {track.id for track in rosecache.list_tracks(linked)} == first
    assert set(ids_on_disk(elsewhere / "R").values()) == {None}
    permitted = replace(linked, follow_links_to=(elsewhere,))
    update_cache(permitted)
    assert None not in ids_on_disk(elsewhere).values()


def test_covers_are_not_extracted_to_where_a_link_leads(
    linked: Config, journal: Journal, elsewhere: Path
) -> None:
    update_cache(linked)
    before = exact_snapshot(elsewhere)
    found = covers.extract_covers(linked, journal)
    assert [path for path, reason in found.problems if "follow_links_to" in reason]
    assert exact_snapshot(elsewhere) == before


def test_a_track_behind_a_link_can_be_copied(linked: Config, journal: Journal, elsewhere: Path) -> None:
    update_cache(linked)
    before = exact_snapshot(elsewhere)
    track = next(each for each in rosecache.list_tracks(linked) if each.release.releasetitle == "Linked")
    assert singles.create_single(linked, journal, track).release is not None
    assert exact_snapshot(elsewhere) == before


def test_a_cover_that_is_a_link_makes_room_for_another(
    linked: Config, journal: Journal, elsewhere: Path, image: Path
) -> None:
    update_cache(linked)
    before = exact_snapshot(elsewhere)
    own = release_called(linked, "Own")
    covers.set_cover(linked, journal, own, image)
    cover = own.source_path / "cover.png"
    assert not cover.is_symlink()
    assert cover.read_bytes() == image.read_bytes()
    assert exact_snapshot(elsewhere) == before


def test_a_link_that_stays_in_the_music_directory_is_followed(
    c: Config, journal: Journal, elsewhere: Path
) -> None:
    make_release(c.music_source_dir, "Own", tracks=1)
    (c.music_source_dir / ".lists").mkdir()
    c.collages_dir.symlink_to(".lists")
    update_cache(c)
    assert lists.create(c, journal, lists.COLLAGES, "mine").exists()
