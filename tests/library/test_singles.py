"""Making a copy of a track a release of its own, in every format."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from msgspec.structs import replace

from rosecache.config import Config
from rosecache.errors import TagWriteError
from rosecache.model import Artist
from rosecache.query.releases import get_release
from rosecache.query.tracks import get_tracks_of_release, list_tracks
from rosecache.tags import read_tags
from rosecache.update import update_cache
from rosefs.library import files, singles
from rosefs.library.errors import InvalidNameError
from rosefs.library.journal import Journal
from rosefs.library.singles import create_single
from rosefs.library.undo import undo
from tests.support.audio import FORMATS, PICTURE, make_release, texts_by_mutagen
from tests.support.library import check_cache, ids_on_disk, snapshot
from tests.support.sounds import decoded_md5s


def make_album(c: Config, format: str = "opus", **tags: str | None) -> Path:
    album = make_release(
        c.music_source_dir, "album", tracks=3, format=format, cover=True, picture=PICTURE,
        **{"artist": "LOONA feat. Grimes", "albumartist": "LOONA", "album": "Hash", "title": "Hi High"} | tags,
    )  # fmt: skip
    update_cache(c)
    return album


@pytest.mark.parametrize("format", FORMATS)
def test_a_single(c: Config, journal: Journal, format: str) -> None:
    album = make_album(c, format, tracknumber="2/3", discnumber="1/2", comment="kept", edition="Deluxe")
    before, track = snapshot(c.music_source_dir), list_tracks(c)[1]
    made = create_single(c, journal, track)

    assert made.path.name == "LOONA (feat. Grimes) - Hi High"
    assert sorted(path.name for path in made.path.iterdir() if not path.name.startswith(".rose.")) == [
        f"01. Hi High.{format}", "cover.png",
    ]  # fmt: skip
    release = made.release
    assert release is not None
    assert (release.releasetitle, release.releasetype, release.new) == ("Hi High", "single", False)
    assert release.releaseartists.main == (Artist("LOONA"),)
    assert release.releaseartists.guest == (Artist("Grimes"),)
    assert (release.edition, release.genres, release.disctotal) == ("Deluxe", ("K-Pop", "Pop"), 1)
    assert (made.path / "cover.png").read_bytes() == PICTURE
    (single,) = get_tracks_of_release(c, release)
    assert (single.tracknumber, single.tracktotal, single.discnumber) == ("1", 1, "1")
    assert (single.tracktitle, single.trackartists) == (track.tracktitle, track.trackartists)
    assert {single.id, release.id}.isdisjoint({track.id, track.release.id})
    assert len(set(decoded_md5s([single.source_path, track.source_path]))) == 1

    after = snapshot(c.music_source_dir)
    assert {path: after[path] for path in before} == before
    assert ids_on_disk(album).keys() == {f"0{number}.{format}" for number in (1, 2, 3)}
    check_cache(c)


@pytest.mark.parametrize("format", FORMATS)
def test_only_what_makes_it_a_single_is_changed_in_its_tags(c: Config, journal: Journal, format: str) -> None:
    make_album(
        c, format, tracknumber="2/3", discnumber="1/2", comment="kept", composer="Bach", originaldate="1990"
    )
    track = list_tracks(c)[0]
    made = create_single(c, journal, track)
    old, new = (texts_by_mutagen(path) for path in (track.source_path, made.path / f"01. Hi High.{format}"))
    changed = {name: new.get(name) for name in {*old, *new} if old.get(name) != new.get(name)}
    of_ids = {name: text for name, text in changed.items() if "ID" in name.upper()}
    assert len(of_ids) == 2
    assert {name: text for name, text in changed.items() if name not in of_ids} == {
        "mp3": {
            "TRCK": ["1/1"], "TPOS": ["1/1"], "TALB": ["Hi High"], "TXXX:RELEASETYPE": ["single"],
            "TPE2": ["Bach performed by LOONA feat. Grimes"],
        },
        "m4a": {
            "trkn": ["(1, 1)"], "disk": ["(1, 1)"], "\xa9alb": ["Hi High"],
            "----:com.apple.iTunes:RELEASETYPE": ["single"], "aART": ["Bach performed by LOONA feat. Grimes"],
        },
    }.get(format, {
        "tracknumber": ["1/1"], "discnumber": ["1/1"], "album": ["Hi High"], "releasetype": ["single"],
        "albumartist": ["Bach performed by LOONA feat. Grimes"],
    })  # fmt: skip


def test_totals_of_other_programs_go(c: Config, journal: Journal) -> None:
    make_album(c, "flac", tracktotal="12", totaldiscs="2")
    made = create_single(c, journal, list_tracks(c)[0])
    found = texts_by_mutagen(made.path / "01. Hi High.flac")
    assert (found["tracknumber"], found["discnumber"]) == (["1/1"], ["1/1"])
    assert {"tracktotal", "totaldiscs"}.isdisjoint(found)


def test_a_loose_track(c: Config, journal: Journal) -> None:
    make_album(c)
    made = create_single(c, journal, list_tracks(c)[0], loose=True)
    assert made.release is not None
    assert made.release.releasetype == "loosetrack"


def test_it_is_taken_back_and_done_again(c: Config, journal: Journal) -> None:
    make_album(c)
    before = snapshot(c.music_source_dir)
    made = create_single(c, journal, list_tracks(c)[0])
    after = snapshot(c.music_source_dir)
    assert made.release is not None
    undo(c, journal)
    assert snapshot(c.music_source_dir) == before
    assert get_release(c, made.release.id) is None
    undo(c, journal, journal.history()[0].id)
    assert snapshot(c.music_source_dir) == after
    assert get_release(c, made.release.id) is not None
    check_cache(c)


def test_without_ids_in_tags_no_id_of_the_original_is_left_in_the_copy(c: Config, journal: Journal) -> None:
    make_album(c)  # whose files carry ids from when they were written
    c = replace(c, write_ids_to_tags=False)
    update_cache(c)
    track = list_tracks(c)[0]
    before = snapshot(track.release.source_path)
    made = create_single(c, journal, track)
    tags = read_tags(made.path / "01. Hi High.opus")
    assert (tags.id, tags.release_id, tags.releasetype) == (None, None, "single")
    assert made.release is not None
    (single,) = get_tracks_of_release(c, made.release)
    assert single.id not in {each.id for each in list_tracks(c) if each.release.id != made.release.id}
    assert snapshot(track.release.source_path) == before
    update_cache(c, force=True)
    assert [each.id for each in get_tracks_of_release(c, made.release)] == [single.id]


def test_equal_names_get_numbers(c: Config, journal: Journal) -> None:
    make_album(c)
    names = [create_single(c, journal, list_tracks(c)[0]).path.name for _ in range(3)]
    plain = "LOONA (feat. Grimes) - Hi High"
    assert names == [plain, f"{plain} [2]", f"{plain} [3]"]
    assert len({track.id for track in list_tracks(c)}) == 6
    check_cache(c)


def test_names_are_made_safe(c: Config, journal: Journal) -> None:
    make_album(c, artist="AC/DC", title="T" * 300)
    made = create_single(c, journal, list_tracks(c)[0])
    assert made.path.name == "AC_DC - " + "T" * 247
    assert [len(os.fsencode(path.name)) for path in made.path.glob("*.opus")] == [255]
    check_cache(c)


def test_a_name_is_never_hidden(c: Config, journal: Journal) -> None:
    make_album(c, artist=".in-progress.x")
    assert create_single(c, journal, list_tracks(c)[0]).path.name == "_in-progress.x - Hi High"


def test_a_track_that_says_nothing(c: Config, journal: Journal) -> None:
    make_album(c, artist=None, albumartist="LOONA", title=None)
    made = create_single(c, journal, list_tracks(c)[0])
    assert made.path.name == "Unknown Artists - Unknown Title"
    assert made.release is not None
    assert (made.release.releasetitle, made.release.releaseartists.all) == ("", ())


def test_source_files_are_renamed_by_the_settings(c: Config, journal: Journal) -> None:
    c = replace(c, rename_source_files=True)
    make_album(c, date="2018")
    made = create_single(c, journal, list_tracks(c)[0])
    assert made.release is not None
    assert made.path == made.release.source_path
    assert made.path.is_dir()


def test_a_name_that_is_ignored_is_refused(c: Config, journal: Journal) -> None:
    c = replace(c, ignore_release_directories=("LOONA - Hi High",))
    make_album(c, artist="LOONA")
    with pytest.raises(InvalidNameError):
        create_single(c, journal, list_tracks(c)[0])
    assert journal.history() == []


def test_artists_that_would_be_read_otherwise_change_nothing(c: Config, journal: Journal) -> None:
    album = make_album(c, composer="Lennon feat. McCartney")
    before = snapshot(c.music_source_dir)
    with pytest.raises(TagWriteError, match="separates one artist"):
        create_single(c, journal, list_tracks(c)[0])
    assert snapshot(c.music_source_dir) == before
    assert [path.name for path in c.music_source_dir.iterdir()] == [album.name]
    assert journal.history() == []


def test_a_file_that_is_gone_is_an_error(c: Config, journal: Journal) -> None:
    make_album(c)
    track = list_tracks(c)[0]
    track.source_path.unlink()
    with pytest.raises(FileNotFoundError):
        create_single(c, journal, track)
    assert journal.history() == []
    assert len(list(c.music_source_dir.iterdir())) == 1


def test_nothing_is_seen_of_it_before_it_is_whole_and_who_was_faster_keeps_the_name(
    c: Config, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_album(c)
    seen: list[int] = []

    def interfere(source: Path, target: Path) -> None:
        files.copy_file(source, target)
        update_cache(c)
        seen.append(len(list_tracks(c)))
        if not seen[1:]:
            make_release(c.music_source_dir, "LOONA (feat. Grimes) - Hi High", tracks=1)

    monkeypatch.setattr(singles, "copy_file", interfere)
    made = create_single(c, journal, list_tracks(c)[0])
    assert made.path.name == "LOONA (feat. Grimes) - Hi High [2]"
    assert (seen[0], set(seen[1:])) == (3, {4})
    check_cache(c)
