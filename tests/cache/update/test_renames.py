"""``rename_source_files``: source names by template, and nothing else changed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from rosecache.config import Config, PathTemplates, TemplateSet
from rosecache.locks import lock
from rosecache.query.releases import list_releases
from rosecache.update import assign, renames, update_cache
from tests.support.audio import make_release, make_track, set_tags
from tests.support.library import check_cache, ids_on_disk, snapshot
from tests.support.sounds import decoded_md5


@pytest.fixture(autouse=True)
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assign, "QUIET_SECONDS", 0.0)


@pytest.fixture
def renaming(c: Config) -> Config:
    return with_templates(
        c,
        "{{ releaseartists | artistsfmt }} - {{ releasetitle }}",
        "{{ tracknumber | rjust(2, '0') }}. {{ tracktitle }}",
    )


def with_templates(c: Config, release: str, track: str) -> Config:
    templates = PathTemplates(source=TemplateSet(release=release, track=track))
    return msgspec.structs.replace(c, rename_source_files=True, path_templates=templates)


def files(directory: Path) -> list[str]:
    return sorted(
        str(path.relative_to(directory))
        for path in directory.rglob("*")
        if path.is_file() and ".rose." not in path.name
    )


def update(c: Config) -> None:
    report = update_cache(c)
    assert report.problems == []
    check_cache(c)
    assert update_cache(c).changed == 0, "an update after renames has nothing to do"


def test_it_is_off_by_default(c: Config) -> None:
    make_release(c.music_source_dir, "dl 123")
    update(c)
    assert files(c.music_source_dir) == ["dl 123/01.opus", "dl 123/02.opus"]


def test_releases_and_tracks_are_renamed(renaming: Config) -> None:
    c = renaming
    directory = make_release(c.music_source_dir, "dl 123", artist="LOONA", album="[XX]")
    (directory / "01.lrc").write_text("la la")
    (directory / "booklet.pdf").write_text("pdf")
    update(c)
    assert files(c.music_source_dir) == [
        "LOONA - [XX]/01. Track 1.lrc", "LOONA - [XX]/01. Track 1.opus",
        "LOONA - [XX]/02. Track 2.opus", "LOONA - [XX]/booklet.pdf",
    ]  # fmt: skip
    ids = ids_on_disk(c.music_source_dir / "LOONA - [XX]")
    set_tags(c.music_source_dir / "LOONA - [XX]" / "01. Track 1.opus", title="XX", album="Different")
    update(c)
    renamed = ids_on_disk(c.music_source_dir / "LOONA - Different")
    assert list(renamed) == ["01. XX.opus", "02. Track 2.opus"]
    assert list(renamed.values()) == list(ids.values())


def test_content_is_untouched(renaming: Config) -> None:
    c = renaming
    directory = make_release(c.music_source_dir, "x", format="mp3")
    update_cache(msgspec.structs.replace(c, rename_source_files=False))
    before = sorted(snapshot(directory).values())
    update_cache(c, force=True)
    assert sorted(snapshot(c.music_source_dir).values()) == before


def test_equal_names_are_numbered(renaming: Config) -> None:
    c = renaming
    one = make_release(c.music_source_dir, "one", tracks=1, artist="A", album="Same")
    make_release(c.music_source_dir, "two", tracks=1, artist="A", album="Same")
    make_track(one / "twin.opus", title="Track 1", tracknumber="1")
    update(c)
    assert files(c.music_source_dir) == [
        "A - Same [2]/01. Track 1.opus", "A - Same/01. Track 1 [2].opus", "A - Same/01. Track 1.opus",
    ]  # fmt: skip


def test_swapped_titles_swap_names(renaming: Config) -> None:
    c = renaming
    make_release(c.music_source_dir, "x", artist="A", album="B")
    update(c)
    directory = c.music_source_dir / "A - B"
    one, two = ids_on_disk(directory).values()
    set_tags(directory / "01. Track 1.opus", title="Track 2", tracknumber="2")
    set_tags(directory / "02. Track 2.opus", title="Track 1", tracknumber="1")
    update(c)
    assert ids_on_disk(directory) == {"01. Track 1.opus": two, "02. Track 2.opus": one}


def test_a_name_that_another_file_has_is_not_taken(renaming: Config) -> None:
    c = renaming
    directory = make_release(c.music_source_dir, "x", tracks=1, artist="A", album="B")
    (directory / "01. Track 1.opus").mkdir()
    (directory / "01. Track 1.opus" / "keep.txt").write_text("mine")
    (c.music_source_dir / "A - B").write_text("a file of that name")
    update(c)
    assert files(c.music_source_dir) == [
        "A - B", "A - B [2]/01. Track 1 [2].opus", "A - B [2]/01. Track 1.opus/keep.txt",
    ]  # fmt: skip


def test_directories_for_discs(c: Config) -> None:
    c = with_templates(c, "{{ releasetitle }}", "Disc {{ discnumber }}/{{ tracknumber }}. {{ tracktitle }}")
    directory = make_release(c.music_source_dir, "x", tracks=1, album="AC/DC Live", title="Back/Black")
    make_track(directory / "CD2" / "deep" / "01.opus", discnumber="2", album="AC/DC Live", title="..")
    update(c)
    assert files(c.music_source_dir) == [
        "AC_DC Live/Disc 1/1. Back_Black.opus", "AC_DC Live/Disc 2/1. ...opus",
    ]  # fmt: skip
    assert not (c.music_source_dir / "AC_DC Live" / "CD2").exists()


def test_names_fit_into_255_bytes(renaming: Config) -> None:
    c = renaming
    make_release(
        c.music_source_dir, "x", tracks=2, artist="이달의 소녀" * 20, album="앨범" * 100, title="노래" * 200
    )
    update(c)
    names = [os.fsencode(part) for path in files(c.music_source_dir) for part in Path(path).parts]
    assert max(map(len, names)) <= 255
    assert len(list_releases(c)) == 1
    assert decoded_md5(next(c.music_source_dir.rglob("*.opus")))


@pytest.mark.parametrize("title", ["../../escape", ".hidden", ".in-progress.x", "", "\x00", "a\nb"])
def test_titles_that_are_no_names(renaming: Config, title: str) -> None:
    c = with_templates(renaming, "{{ releasetitle }}", "{{ tracktitle }}")
    make_release(c.music_source_dir, "x", tracks=1, album=title or None, title=title or None)
    update(c)
    (path,) = c.music_source_dir.rglob("*.opus")
    assert path.parent.parent == c.music_source_dir
    assert not path.name.startswith(".")
    assert len(list_releases(c)) == 1


def test_a_file_that_appears_while_another_is_renamed_is_not_replaced(
    renaming: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    c = renaming
    directory = make_release(c.music_source_dir, "x", tracks=1, artist="A", album="B")
    make_parent, wanted = renames._make_parent, directory / "01. Track 1.opus"

    def disturbed(path: bytes, target: bytes) -> None:
        make_parent(path, target)
        wanted.write_text("mine")

    monkeypatch.setattr(renames, "_make_parent", disturbed)
    report = update_cache(c)
    assert [problem.reason for problem in report.problems] == ["not renamed: File exists"]
    monkeypatch.undo()
    (renamed,) = c.music_source_dir.rglob("01. Track 1.opus")
    assert renamed.read_text() == "mine"


def test_an_album_is_not_renamed_to_what_is_no_release(renaming: Config) -> None:
    c = msgspec.structs.replace(
        with_templates(renaming, "{{ releasetitle }}", "{{ tracktitle }}"),
        ignore_release_directories=("Incoming",),
    )
    for number, title in enumerate(("!collages", "!playlists", "Incoming", ".in-progress.x")):
        make_release(c.music_source_dir, f"dl {number}", tracks=1, album=title, title="T")
    update(c)
    assert {path.name for path in c.music_source_dir.iterdir()} == {
        "!collages [2]", "!playlists [2]", "Incoming [2]", "_in-progress.x",
    }  # fmt: skip


def test_equal_names_of_255_bytes_are_numbered(renaming: Config) -> None:
    c = with_templates(renaming, "{{ releasetitle }}", "Disc {{ discnumber }}/{{ tracktitle }}")
    for name in ("one", "two"):
        directory = make_release(c.music_source_dir, name, tracks=1, album="한" * 100, title="글" * 100)
        for twin in ("twin", "triplet"):
            make_track(directory / f"{twin}.opus", title="글" * 100, album="한" * 100)
    update(c)
    found = files(c.music_source_dir)
    assert len(found) == 6
    assert sum(" [2].opus" in path for path in found) == sum(" [3].opus" in path for path in found) == 2
    assert max(len(os.fsencode(part)) for path in found for part in Path(path).parts) <= 255


def test_a_name_that_a_stranger_keeps_leaves_a_numbered_one_alone(renaming: Config) -> None:
    c = with_templates(renaming, "{{ releasetitle }}", "{{ tracktitle }}")
    title = "글" * 100
    directory = make_release(c.music_source_dir, "B", tracks=1, album="B", title=title)
    update(c)
    (path,) = directory.glob("*.opus")
    path.rename(directory / "x.opus")
    path.mkdir()
    (path / "keep.txt").write_text("mine")
    update(c)
    before = files(directory)
    set_tags(next(path for path in directory.glob("*.opus") if path.is_file()), genre="Ambient")
    update(c)
    assert files(directory) == before


def test_capitals_alone_can_change(renaming: Config) -> None:
    c = renaming
    directory = make_release(c.music_source_dir, "abba - gold", tracks=1, artist="ABBA", album="Gold")
    (directory / "01.opus").rename(directory / "01. TRACK 1.opus")
    update(c)
    assert files(c.music_source_dir) == ["ABBA - Gold/01. Track 1.opus"]


def test_no_file_is_moved_out_of_its_release(renaming: Config, tmp_path: Path) -> None:
    c = with_templates(renaming, "{{ releasetitle }}", "Disc {{ discnumber }}/{{ tracktitle }}")
    outside = tmp_path / "outside"
    outside.mkdir()
    directory = make_release(c.music_source_dir, "B", tracks=1, album="B")
    (directory / "Disc 1").symlink_to(outside)
    report = update_cache(c)
    assert [problem.reason for problem in report.problems] == ["not renamed: a link leads out of the release"]
    assert list(outside.iterdir()) == []
    assert update_cache(c).changed == 0
    check_cache(c)


def test_files_beside_a_track_are_never_replaced(renaming: Config) -> None:
    c = renaming
    directory = make_release(c.music_source_dir, "x", artist="A", album="B")
    (directory / "01.lrc").write_text("one")
    (directory / "01. Track 1.lrc").write_text("another")
    update(c)
    renamed = c.music_source_dir / "A - B"
    assert (renamed / "01.lrc").read_text() == "one"
    assert (renamed / "01. Track 1.lrc").read_text() == "another"


def test_a_name_that_another_release_takes_just_then_is_left_to_it(
    renaming: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    c = renaming
    make_release(c.music_source_dir, "dl 123", artist="LOONA", album="Hash")

    @contextmanager
    def lock_too_late(c: Config, name: str, *, timeout: float) -> Iterator[None]:
        with lock(c, name, timeout=timeout):
            if name == "release-LOONA - Hash":
                (c.music_source_dir / "LOONA - Hash").mkdir()
            yield

    monkeypatch.setattr(renames, "lock", lock_too_late)
    assert update_cache(c).problems == []
    assert sorted(os.listdir(c.music_source_dir)) == ["LOONA - Hash", "LOONA - Hash [2]"]
    assert files(c.music_source_dir / "LOONA - Hash") == []
