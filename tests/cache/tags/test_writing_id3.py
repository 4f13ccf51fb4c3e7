"""Writing tags into ID3 tags of every version, with all that such tags may hold."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace
from mutagen.id3 import ID3, TIPL, Encoding

from rosecache.model import ArtistMapping, PartialDate
from rosecache.tags import TagChanges, changes_between, read_tags, write_tags
from tests.support.audio import make_track
from tests.support.rawtags import id3_frames
from tests.support.tagedits import FULL, NOTHING, artists, edit, putting, refused, removing
from tests.support.variants import VARIANTS, id3_frame, id3_tag, with_id3

TITLE = {2: b"TT2", 3: b"TIT2", 4: b"TIT2"}
PEOPLE = {2: b"IPL", 3: b"IPLS", 4: b"TIPL"}


def names_in(path: Path) -> list[str]:
    *frames, _ = id3_frames(path.read_bytes())
    return [raw[:4].decode().rstrip("\0") for raw in frames]


def id3v1(title: bytes, *, track: int = 3, genre: int = 17, comment: bytes = b"a comment") -> bytes:
    texts = (title, 30), (b"Old artist", 30), (b"Old album", 30), (b"1980", 4), (comment, 28)
    return b"TAG" + b"".join(text.ljust(size, b"\0") for text, size in texts) + bytes([0, track, genre])


@pytest.mark.parametrize("version", [2, 3, 4])
@pytest.mark.parametrize("end", ["", ", no padding"])
def test_the_version_stays(version: int, end: str, tmp_path: Path) -> None:
    path = VARIANTS[f"mp3, ID3v2.{version}{end}"](tmp_path)
    edit(path, putting(FULL))
    assert ID3(path).version == (2, version, 0)


@pytest.mark.parametrize(
    ("date", "frames"),
    [(PartialDate(1990), {"TYER": "1990"}), (PartialDate(1990, 2, 3), {"TYER": "1990", "TDAT": "0302"})],
)
def test_version_23_has_frames_of_its_own_for_dates(
    date: PartialDate, frames: dict[str, str], tmp_path: Path
) -> None:
    old = (
        id3_frame(3, b"TYER", b"\x001971")
        + id3_frame(3, b"TDAT", b"\x003112")
        + id3_frame(3, b"TDRC", b"\x001971")
    )
    path = with_id3(tmp_path, id3_tag(3, old))
    write_tags(path, TagChanges(releasedate=date))
    tags = ID3(path, translate=False)
    assert {name: str(frame) for name, frame in tags.items()} == frames
    assert read_tags(path).releasedate == date
    write_tags(path, TagChanges(releasedate=None))
    assert ID3(path, translate=False) == {}


def test_version_23_has_the_year_of_the_original_date_where_others_look_for_it(tmp_path: Path) -> None:
    path = with_id3(tmp_path, id3_tag(3, id3_frame(3, b"TORY", b"\x001971")))
    write_tags(path, TagChanges(originaldate=PartialDate(1980, 12, 31)))
    tags = ID3(path, translate=False)
    assert {name: str(frame) for name, frame in tags.items()} == {"TORY": "1980", "TDOR": "1980-12-31"}
    write_tags(path, TagChanges(originaldate=PartialDate(1981)))
    assert {name: str(frame) for name, frame in ID3(path, translate=False).items()} == {"TORY": "1981"}


@pytest.mark.parametrize(
    ("version", "text", "encoding"),
    [(2, "plain", 0), (3, "plain", 0), (4, "plain", 0), (2, "日本", 1), (3, "ÿ", 1), (4, "日本", 3)],
)
def test_text_is_stored_in_an_encoding_that_holds_it(
    version: int, text: str, encoding: int, tmp_path: Path
) -> None:
    path = with_id3(tmp_path, id3_tag(version, id3_frame(version, TITLE[version], b"\0Old"), padding=99))
    edit(path, TagChanges(tracktitle=text, edition=text))
    assert {frame.encoding for frame in ID3(path, translate=False).values()} == {encoding}


@pytest.mark.parametrize("version", [2, 3])
def test_unicode_in_an_unsynchronised_tag(version: int, tmp_path: Path) -> None:
    odd = id3_frame(version, {2: b"ZZZ", 3: b"ZZZZ"}[version], b"\0x\0\xff\xe0\xff\0\xff").replace(
        b"\xff", b"\xff\0"
    )
    path = with_id3(tmp_path, id3_tag(version, odd, flags=0x80, padding=200))
    edit(path, TagChanges(tracktitle="ÿ 日本", edition="\uffff"))
    assert odd in path.read_bytes()
    assert path.read_bytes()[5] == 0x80


def test_a_tag_that_only_claims_to_be_unsynchronised(tmp_path: Path) -> None:
    """Without the frame that shows it the claim would be believed, and the picture changed."""
    picture = id3_frame(3, b"APIC", b"\0image/png\0\x03\0\xff\0\xff\0")
    path = with_id3(tmp_path, id3_tag(3, id3_frame(3, b"TIT2", b"\x01\xff\xfea\0") + picture, flags=0x80))
    assert ID3(path).getall("APIC")[0].data == b"\xff\0\xff\0"
    write_tags(path, TagChanges(tracktitle="b"))
    assert ID3(path).getall("APIC")[0].data == b"\xff\0\xff\0"


@pytest.mark.parametrize("version", [2, 3, 4])
def test_unknown_and_equal_frames_stay(version: int, tmp_path: Path) -> None:
    comment = id3_frame(version, {2: b"COM", 3: b"COMM", 4: b"COMM"}[version], b"\0eng\0one")
    odd = id3_frame(version, {2: b"ZZZ", 3: b"ZZZZ", 4: b"ZZZZ"}[version], b"whatever")
    title = id3_frame(version, TITLE[version], b"\0Old")
    path = with_id3(tmp_path, id3_tag(version, comment + title + odd + title + comment))
    edit(path, TagChanges(tracktitle="New"))
    new = id3_frame(version, TITLE[version], b"\0New")
    assert id3_frames(path.read_bytes())[:-1] == [comment, new, odd, comment]


@pytest.mark.parametrize("version", [2, 3, 4])
@pytest.mark.parametrize("encoding", [0, 1])
def test_only_people_of_our_roles_go(version: int, encoding: int, tmp_path: Path) -> None:
    def people(*texts: str) -> bytes:
        packed = [
            text.encode("latin-1") + b"\0"
            if encoding == 0
            else b"\xff\xfe" + text.encode("utf-16-le") + b"\0\0"
            for text in texts
        ]
        return id3_frame(version, PEOPLE[version], bytes([encoding]) + b"".join(packed))

    frame = people("engineer", "1", "Producer", "P", "DJ-mix", "D", "mix", "M")
    path = with_id3(tmp_path, id3_tag(version, frame))
    assert [artist.name for artist in read_tags(path).trackartists.all] == ["P", "D"]
    edit(path, TagChanges(trackartists=ArtistMapping(main=artists("A"))))
    assert people("engineer", "1", "mix", "M") in id3_frames(path.read_bytes())
    edit(path, TagChanges(trackartists=ArtistMapping()))
    assert id3_frames(path.read_bytes())[:-1] == [people("engineer", "1", "mix", "M")]


def test_a_frame_without_people_is_none(tmp_path: Path) -> None:
    path = make_track(tmp_path / "01.mp3", producer="P")
    write_tags(path, TagChanges(trackartists=ArtistMapping(main=artists("A"))))
    assert "TIPL" not in names_in(path)


def test_people_in_a_frame_that_is_unsynchronised_by_itself(tmp_path: Path) -> None:
    content = TIPL(encoding=Encoding.UTF16, people=[["producer", "P"], ["mix", "ÿ"]])._writeData()
    frame = id3_frame(4, b"TIPL", content.replace(b"\xff", b"\xff\0"), flags=0x02)
    path = with_id3(tmp_path, id3_tag(4, frame, flags=0x80))
    edit(path, TagChanges(trackartists=ArtistMapping(main=artists("A"))))
    assert ID3(path)["TIPL"].people == [["mix", "ÿ"]]


def test_plain_sizes_in_version_24_are_kept_up(tmp_path: Path) -> None:
    long = b"TXXX" + (300).to_bytes(4, "big") + b"\0\0\0LONG\0" + b"x" * 294
    frames = long + id3_frame(4, b"TIT2", b"\0Title") + id3_frame(4, b"TALB", b"\0Album")
    path = with_id3(tmp_path, id3_tag(4, frames))
    edit(path, TagChanges(tracktitle="y" * 500))
    assert path.read_bytes()[10:].startswith(long)


def test_an_old_tag_at_the_end_goes_along(tmp_path: Path) -> None:
    frames = id3_frame(4, b"TIT2", b"\0Old title")
    path = with_id3(tmp_path, id3_tag(4, frames), id3v1(b"Old title"))
    write_tags(
        path,
        TagChanges(
            tracktitle="Neuer Titel ÿ 日", releasedate=PartialDate(1990, 2, 3), tracknumber="7",
            genres=("Nothing", "pop", "Rock"), trackartists=ArtistMapping(main=artists("A" * 40)),
        ),
    )  # fmt: skip
    end = path.read_bytes()[-128:]
    assert end[3:33] == "Neuer Titel ÿ ?".encode("latin-1").ljust(30, b"\0")
    assert (end[33:63], end[63:93].rstrip(b"\0"), end[93:97]) == (b"A" * 30, b"Old album", b"1990")
    assert (end[97:125].rstrip(b"\0"), end[125:]) == (b"a comment", bytes([0, 7, 13]))


def test_a_removed_field_does_not_come_back_from_an_old_tag(tmp_path: Path) -> None:
    path = with_id3(tmp_path, b"", id3v1(b"Title"))
    assert read_tags(path).tracktitle == "Title"
    write_tags(path, removing())
    assert read_tags(path) == NOTHING


def test_a_file_with_only_an_old_tag_gets_a_new_one_for_what_was_edited(tmp_path: Path) -> None:
    path = with_id3(tmp_path, b"", id3v1(b"Title"))
    edit(path, TagChanges(edition="E", tracknumber="4"))
    assert ID3(path, load_v1=False).keys() == {"TRCK", "TXXX:EDITION"}
    assert path.read_bytes()[-2] == 4


def test_the_comment_of_an_older_tag_is_not_cut_for_a_track_number(tmp_path: Path) -> None:
    old = bytearray(id3v1(b"Title"))
    old[97:127] = b"x" * 30
    path = with_id3(tmp_path, b"", bytes(old))
    edit(path, TagChanges(tracknumber="4"))
    assert path.read_bytes()[-31:-1] == b"x" * 30


def test_another_kind_of_tag_at_the_end_stays(tmp_path: Path) -> None:
    ape = (
        b"APETAGEX" + b"\xd0\x07\0\0" + (123).to_bytes(4, "little") + b"\1\0\0\0" + b"\0\0\0\xa0" + bytes(107)
    )
    path = with_id3(tmp_path, id3_tag(4, id3_frame(4, b"TIT2", b"\0Old")), ape)
    assert path.read_bytes()[-128:].startswith(b"TAGEX")
    write_tags(path, TagChanges(tracktitle="New"))
    assert path.read_bytes().endswith(ape)


def test_genres_that_would_be_read_as_numbers_are_refused(tmp_path: Path) -> None:
    path = make_track(tmp_path / "01.mp3")
    assert refused(path, TagChanges(genres=("17",))).startswith("genres: '17' would not be read back")
    edit(path, TagChanges(genres=("17", "Pop")))


def test_a_long_text_hides_no_frame_behind_it(tmp_path: Path) -> None:
    """From 128 bytes on a size reads as a larger plain number, too, which can lead right into the padding."""
    path = VARIANTS["mp3, ID3v2.4"](tmp_path)
    write_tags(path, changes_between(read_tags(path), replace(NOTHING, releasetitle="x")))
    frames = names_in(path)
    assert frames.index("TALB") < len(frames) - 1
    for length in range(240, 280):
        write_tags(path, TagChanges(releasetitle="x" * length))
        write_tags(path, TagChanges(tracktitle=None, edition="y" * (length % 7)))
        assert read_tags(path).releasetitle == "x" * length
        assert [name for name in names_in(path) if name == "APIC"] == ["APIC"]
