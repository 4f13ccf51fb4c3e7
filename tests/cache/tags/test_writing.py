"""Writing tags: every field, in every kind of file, and nothing but what was asked for."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from rosecache.model import RELEASE_TYPES, ArtistMapping, PartialDate
from rosecache.tags import TagChanges, changes_between, read_tags, write_tags
from tests.support.audio import FORMATS, PICTURE, make_track, open_vorbis, texts_by_mutagen
from tests.support.rawtags import other_tags
from tests.support.tagedits import FIELDS, FULL, NOTHING, artists, edit, putting, removing
from tests.support.variants import KINDS, VARIANTS


@pytest.fixture(params=VARIANTS, ids=lambda name: name.replace(", ", "-").replace(" ", "_"))
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return VARIANTS[request.param](tmp_path)


def test_every_field_at_once(path: Path) -> None:
    edit(path, putting(FULL))
    assert changes_between(FULL, read_tags(path)) == TagChanges()


def test_every_field_removed_at_once(path: Path) -> None:
    write_tags(path, putting(FULL))
    edit(path, removing())
    assert changes_between(NOTHING, read_tags(path)) == TagChanges()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("field", FIELDS)
def test_one_field_put_and_removed(kind: str, field: str, tmp_path: Path) -> None:
    path = VARIANTS[kind](tmp_path)
    before = read_tags(path)
    write_tags(path, putting(FULL, field))
    assert changes_between(before, read_tags(path)) == putting(FULL, field)
    write_tags(path, removing(field))
    assert changes_between(before, read_tags(path)) in (
        removing(field),
        TagChanges(),
        putting(NOTHING, field),
    )


def test_a_new_field_leaves_all_others_byte_for_byte(path: Path) -> None:
    before = other_tags(path)
    write_tags(path, TagChanges(edition="Deluxe"))
    after = other_tags(path)
    assert [raw for raw in after if b"EDITION" not in raw.upper()[:120]] == before
    write_tags(path, TagChanges(edition=None))
    assert other_tags(path) == before


@pytest.mark.parametrize("kind", KINDS)
def test_a_field_is_replaced_where_it_stands(kind: str, tmp_path: Path) -> None:
    path = VARIANTS[kind](tmp_path)
    before = other_tags(path)
    write_tags(path, TagChanges(tracktitle="Another"))
    after = other_tags(path)
    assert len(after) == len(before)
    different = [new for old, new in zip(before, after, strict=True) if old != new]
    assert ["Another" in raw.decode("utf-8", "replace") for raw in different] == [True]


@pytest.mark.parametrize("format", FORMATS)
def test_cover_art_stays(format: str, tmp_path: Path) -> None:
    path = make_track(tmp_path / f"01.{format}", picture=PICTURE)
    # In Ogg it is base64 text in a comment.
    held = b"metadata_block_picture=" if format in ("ogg", "opus") else PICTURE
    (before,) = [raw for raw in other_tags(path) if held in raw]
    for changes in (putting(FULL), removing()):
        write_tags(path, changes)
        assert [raw for raw in other_tags(path) if held in raw] == [before]


_ITUNES = "----:COM.APPLE.ITUNES:"
ALTERNATIVES = [
    ("mp3", {"TXXX:MUSICBRAINZ ALBUM TYPE"}, "releasetype"),
    ("m4a", {f"{_ITUNES}MUSICBRAINZ ALBUM TYPE"}, "releasetype"),
    ("m4a", {f"{_ITUNES}ORIGINALYEAR"}, "originaldate"),
    ("flac", {"YEAR"}, "releasedate"),
    ("flac", {"ORIGINALYEAR"}, "originaldate"),
    ("flac", {"ORGANIZATION", "RECORDLABEL"}, "labels"),
]
"""Format, names in capitals, the field that they are other names of."""


@pytest.mark.parametrize(("format", "names", "field"), ALTERNATIVES)
@pytest.mark.parametrize("removed", [False, True], ids=["written", "removed"])
def test_other_names_of_a_written_field_go(
    format: str, names: set[str], field: str, removed: bool, tmp_path: Path
) -> None:
    more: dict[str, Any] = {name.rpartition(":")[2]: "1971" for name in names}
    path = make_track(tmp_path / f"01.{format}", **more)
    assert names <= {name.upper() for name in texts_by_mutagen(path)}
    write_tags(path, removing(field) if removed else putting(FULL, field))
    assert names.isdisjoint(name.upper() for name in texts_by_mutagen(path))
    assert getattr(read_tags(path), field) == getattr(NOTHING if removed else FULL, field)


@pytest.mark.parametrize("format", FORMATS)
def test_several_values_are_one_text_with_semicolons(format: str, tmp_path: Path) -> None:
    path = make_track(tmp_path / f"01.{format}", genre="X")
    write_tags(path, TagChanges(genres=("A", "B"), labels=("L", "M")))
    found = texts_by_mutagen(path)
    assert [found[name] for name in ("TCON", "\xa9gen", "genre") if name in found] == [["A;B"]]
    assert ["L;M"] in found.values()


@pytest.mark.parametrize("format", FORMATS)
def test_no_value_means_no_field(format: str, tmp_path: Path) -> None:
    path = make_track(tmp_path / f"01.{format}", edition="E", compositiondate="1980", originaldate="1970")
    write_tags(
        path,
        TagChanges(
            tracktitle="", edition=" ", releasedate=None, originaldate=None, compositiondate=None,
            genres=("", " "), labels=(), releasetype="", tracknumber="",
        ),
    )  # fmt: skip
    found = texts_by_mutagen(path)
    assert not any(text in ("", "None", "none") for values in found.values() for text in values)
    left = {name.lower() for name in found}
    assert left.isdisjoint(
        {"title", "tit2", "\xa9nam", "date", "tdrc", "\xa9day", "genre", "tcon", "\xa9gen", "trkn"}
    )


@pytest.mark.parametrize("format", FORMATS)
def test_parent_genres_are_written_only_if_asked_for(format: str, tmp_path: Path) -> None:
    path = make_track(tmp_path / f"01.{format}", genre="X")

    def texts() -> list[str]:
        return [text for values in texts_by_mutagen(path).values() for text in values]

    def parents(genres: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(f"Parent of {genre}" for genre in genres)

    changes = TagChanges(genres=("A", "B"), secondary_genres=("C",))
    write_tags(path, changes)
    assert {"A;B", "C"} <= set(texts())
    write_tags(path, changes, parent_genres=parents)
    assert {r"A;B\\PARENTS:\\Parent of A;Parent of B", r"C\\PARENTS:\\Parent of C"} <= set(texts())
    assert (read_tags(path).genres, read_tags(path).secondary_genres) == (("A", "B"), ("C",))
    write_tags(path, changes, parent_genres=lambda genres: ())
    assert {"A;B", "C"} <= set(texts())


@pytest.mark.parametrize("format", FORMATS)
def test_roles_go_into_the_one_artist_field(format: str, tmp_path: Path) -> None:
    roles: dict[str, Any] = {
        "remixer": "R",
        "composer": "C",
        "conductor": "L",
        "producer": "P",
        "djmixer": "D",
    }
    path = make_track(tmp_path / f"01.{format}", artist="A feat. G", albumartist="A", **roles)
    before = set(texts_by_mutagen(path))
    new = ArtistMapping(main=artists("A"), composer=artists("C", "New"))
    edit(path, TagChanges(trackartists=new))
    found = texts_by_mutagen(path)
    assert found[{"mp3": "TPE1", "m4a": "\xa9ART"}.get(format, "artist")] == ["C;New performed by A"]
    assert len(before - set(found)) == (4 if format == "mp3" else 5)  # ID3 has two of them in one frame


@pytest.mark.parametrize("format", FORMATS)
def test_release_artists_leave_the_fields_of_single_roles(format: str, tmp_path: Path) -> None:
    path = make_track(tmp_path / f"01.{format}", composer="C", producer="P")
    edit(path, TagChanges(releaseartists=ArtistMapping(main=artists("X"), guest=artists("Y"))))
    assert [artist.name for artist in read_tags(path).trackartists.all] == ["Artist", "P", "C"]


def test_aliases_are_not_written(tmp_path: Path) -> None:
    path = make_track(tmp_path / "01.flac")
    credited, alias = artists("Artist", "Alias")
    alias = type(alias)(alias.name, alias=True)
    write_tags(path, TagChanges(trackartists=ArtistMapping(main=(credited, alias), guest=(alias,))))
    assert open_vorbis(path)["artist"] == ["Artist"]


@pytest.mark.parametrize("format", FORMATS)
def test_a_total_beside_a_number_stays(format: str, tmp_path: Path) -> None:
    path = make_track(tmp_path / f"01.{format}", tracknumber="3/12", discnumber="1/2")
    write_tags(path, TagChanges(tracknumber="4", discnumber="2"))
    found = texts_by_mutagen(path)
    expected = [["(4, 12)"], ["(2, 2)"]] if format == "m4a" else [["4/12"], ["2/2"]]
    assert [
        found[n] for n in ("TRCK", "trkn", "tracknumber", "TPOS", "disk", "discnumber") if n in found
    ] == expected


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("number", ["3", "3/12"])
def test_a_total_that_is_asked_for_takes_the_place_of_any(format: str, number: str, tmp_path: Path) -> None:
    more: dict[str, Any] = {} if format in ("mp3", "m4a") else {"TotalTracks": "12", "tracktotal": "13"}
    path = make_track(tmp_path / f"01.{format}", tracknumber=number, **more)
    for _ in range(2):
        write_tags(path, TagChanges(tracknumber="3"), total=1)
        found = texts_by_mutagen(path)
        text = {"mp3": "TRCK", "m4a": "trkn"}.get(format, "tracknumber")
        assert found[text] == ["(3, 1)"] if format == "m4a" else ["3/1"]
        assert {"totaltracks", "tracktotal"}.isdisjoint(found)


@pytest.mark.parametrize("format", ["mp3", "ogg", "opus", "flac"])
def test_numbers_may_be_any_text(format: str, tmp_path: Path) -> None:
    path = make_track(tmp_path / f"01.{format}")
    edit(path, TagChanges(tracknumber="A1", discnumber="02"))


def test_numbers_of_mp4_lose_leading_zeros(tmp_path: Path) -> None:
    path = make_track(tmp_path / "01.m4a")
    write_tags(path, TagChanges(tracknumber="03"))
    assert read_tags(path).tracknumber == "3"


@pytest.mark.parametrize("kind", RELEASE_TYPES)
def test_release_types_are_written_in_lower_case(kind: str, tmp_path: Path) -> None:
    path = make_track(tmp_path / "01.opus", releasetype=None)
    write_tags(path, TagChanges(releasetype=kind.upper()))
    assert open_vorbis(path)["releasetype"] == [kind]


def test_a_number_that_reading_would_assume_is_written_all_the_same(tmp_path: Path) -> None:
    path = make_track(tmp_path / "01.flac", tracknumber=None)
    write_tags(path, TagChanges(tracknumber="1"))
    assert open_vorbis(path)["tracknumber"] == ["1"]


def test_what_says_so_already_is_not_written(path: Path) -> None:
    write_tags(path, putting(FULL))
    status = path.stat()
    write_tags(path, putting(FULL))
    write_tags(path, changes_between(FULL, read_tags(path)))
    write_tags(path, TagChanges())
    after = path.stat()
    assert (after.st_ino, after.st_ctime_ns) == (status.st_ino, status.st_ctime_ns)


@pytest.mark.parametrize("format", FORMATS)
def test_what_says_so_in_another_form_is_not_written(format: str, tmp_path: Path) -> None:
    path = make_track(
        tmp_path / f"01.{format}", genre="A; B / C", date="1990-02-03T10:00", artist="A", composer="C"
    )
    before = path.read_bytes()
    tags = read_tags(path)
    write_tags(path, putting(tags, "genres", "releasedate", "trackartists", "tracktitle"))
    assert path.read_bytes() == before


def test_changes_between_tags_are_what_differs() -> None:
    assert changes_between(FULL, FULL) == TagChanges()
    assert changes_between(NOTHING, FULL) == putting(FULL)
    (name,) = artists("A")
    with_alias = ArtistMapping(main=(name, type(name)("B", alias=True)))
    old, new = (
        type(FULL)(
            **{field: getattr(FULL, field) for field in FULL.__struct_fields__} | {"releaseartists": mapping}
        )
        for mapping in (ArtistMapping(main=(name,)), with_alias)
    )
    assert changes_between(old, new) == TagChanges()


def test_an_edit_has_the_time_of_its_writing_and_all_other_attributes_stay(path: Path) -> None:
    os.utime(path, ns=(1_000_000_001, 2_000_000_003))
    path.chmod(0o640)
    os.setxattr(path, "user.mood", b"calm")
    before = time.time_ns()
    write_tags(path, TagChanges(tracktitle="New"))
    status = path.stat()
    # The kernel's clock for files goes in ticks, and may be one behind.
    assert status.st_mtime_ns >= before - 20_000_000
    assert status.st_mode & 0o7777 == 0o640
    assert os.getxattr(path, "user.mood") == b"calm"


@pytest.mark.parametrize("format", ["ogg", "opus", "flac"])
def test_comments_that_are_not_utf8_stay(format: str, tmp_path: Path) -> None:
    path = make_track(tmp_path / f"01.{format}", comment="XXXX")
    path.write_bytes(path.read_bytes().replace(b"XXXX", b"a\xff\xfeb"))
    before = other_tags(path)
    assert any(b"a\xff\xfeb" in raw for raw in before)
    write_tags(path, TagChanges(edition="E"))
    assert [raw for raw in other_tags(path) if raw != b"edition=E"] == before


def test_genre_as_a_number_in_mp4_goes_when_genres_are_written(tmp_path: Path) -> None:
    path = make_track(tmp_path / "01.m4a", genre="Rock")
    data = path.read_bytes()
    old = b"\0\0\0\x1c\xa9gen\0\0\0\x14data\0\0\0\x01\0\0\0\0Rock"
    new = b"\0\0\0\x1agnre\0\0\0\x12data\0\0\0\0\0\0\0\0\0\x12"
    at = data.index(old)
    # The two bytes that are left over make the next atom's start; a text of the list takes them up.
    path.write_bytes(grown_title(data[:at] + new + data[at + len(old) :], 2))
    assert read_tags(path).genres == ("Rock",)
    write_tags(path, TagChanges(genres=("Pop",)))
    assert b"gnre" not in path.read_bytes()
    assert read_tags(path).genres == ("Pop",)


def grown_title(data: bytes, growth: int) -> bytes:
    """Lengthens the title's text by some bytes."""
    at = data.index(b"\xa9nam") - 4
    size, inner = (int.from_bytes(data[p : p + 4], "big") for p in (at, at + 8))
    head = (size + growth).to_bytes(4, "big") + b"\xa9nam" + (inner + growth).to_bytes(4, "big")
    return data[:at] + head + data[at + 12 : at + size] + b"x" * growth + data[at + size :]


def test_dates_are_written_as_years_or_days(tmp_path: Path) -> None:
    path = make_track(tmp_path / "01.flac")
    write_tags(path, TagChanges(releasedate=PartialDate(987), originaldate=PartialDate(1990, 2, 3)))
    assert (open_vorbis(path)["date"], open_vorbis(path)["originaldate"]) == (["0987"], ["1990-02-03"])
