"""Reading tags: every field of the table, under every name it has, in every format."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from mutagen.id3 import ID3, TXXX, Encoding, Frames
from mutagen.mp4 import MP4, MP4FreeForm

from rosecache.model import ArtistMapping, PartialDate
from rosecache.tags import AUDIO_EXTENSIONS, AudioTags, is_audio, read_ids, read_tags
from rosecache.tags.containers import BY_SUFFIX
from rosecache.tags.fields import clean
from tests.support.audio import FIXTURES, FORMATS, make_track, open_vorbis, set_tags
from tests.support.variants import VARIANTS, id3_frame, id3_tag, with_id3

TRACK, RELEASE = "018b6514-6fb7-7cc6-9d23-8eaf0b1beee8", "018b268e-ef68-7180-a01e-19bc3fdf970e"

ROSE, ITUNES = "----:net.sunsetglow.rose:", "----:com.apple.iTunes:"


def artists(role: str) -> Callable[[AudioTags], object]:
    return lambda tags: [artist.name for artist in getattr(tags.trackartists, role)]


def field(name: str) -> Callable[[AudioTags], object]:
    return lambda tags: getattr(tags, name)


DAY = PartialDate(1990, 2, 3)
TABLE: list[tuple[str, str, str, str, Callable[[AudioTags], object], object]] = [
    # names in ID3, MP4, Vorbis comments; a text; what it reads as
    ("TXXX:ROSEID", f"{ROSE}ID", "roseid", TRACK.upper(), field("id"), TRACK),
    ("TXXX:ROSERELEASEID", f"{ROSE}RELEASEID", "rosereleaseid", RELEASE, field("release_id"), RELEASE),
    ("TIT2", "\xa9nam", "title", "Ein Lied", field("tracktitle"), "Ein Lied"),
    ("TRCK", "trkn", "tracknumber", "3/12", field("tracknumber"), "3"),
    ("TPOS", "disk", "discnumber", "2", field("discnumber"), "2"),
    ("TALB", "\xa9alb", "album", "Ein Album", field("releasetitle"), "Ein Album"),
    ("TXXX:RELEASETYPE", f"{ITUNES}RELEASETYPE", "releasetype", "EP", field("releasetype"), "ep"),
    ("TXXX:MusicBrainz Album Type", f"{ITUNES}MusicBrainz Album Type", "", "Live", field("releasetype"), "live"),
    ("TDRC", "\xa9day", "date", "1990-02-03T04:05", field("releasedate"), DAY),
    ("TYER", "", "year", "1990", field("releasedate"), PartialDate(1990)),
    ("TDOR", f"{ROSE}ORIGINALDATE", "originaldate", "1990-02-03", field("originaldate"), DAY),
    ("TORY", f"{ITUNES}ORIGINALYEAR", "originalyear", "1990", field("originaldate"), PartialDate(1990)),
    ("", f"{ITUNES}ORIGINALDATE", "", "1990-02-03", field("originaldate"), DAY),
    ("TXXX:COMPOSITIONDATE", f"{ROSE}COMPOSITIONDATE", "compositiondate", "1990-02-03", field("compositiondate"), DAY),
    ("TCON", "\xa9gen", "genre", "Pop; K-Pop", field("genres"), ("Pop", "K-Pop")),
    ("TXXX:SECONDARYGENRE", f"{ROSE}SECONDARYGENRE", "secondarygenre", "A;B", field("secondary_genres"), ("A", "B")),
    ("TXXX:DESCRIPTOR", f"{ROSE}DESCRIPTOR", "descriptor", "warm;dense", field("descriptors"), ("warm", "dense")),
    ("TPUB", f"{ITUNES}LABEL", "label", "One;Two", field("labels"), ("One", "Two")),
    ("", "", "organization", "One", field("labels"), ("One",)),
    ("", "", "recordlabel", "One", field("labels"), ("One",)),
    ("TXXX:CATALOGNUMBER", f"{ITUNES}CATALOGNUMBER", "catalognumber", "C 1", field("catalognumber"), "C 1"),
    ("TXXX:EDITION", f"{ROSE}EDITION", "edition", "Deluxe", field("edition"), "Deluxe"),
    ("TPE2", "aART", "albumartist", "X", lambda tags: tags.releaseartists.main[0].name, "X"),
    ("TPE1", "\xa9ART", "artist", "X;Y", artists("main"), ["X", "Y"]),
    ("TPE4", f"{ITUNES}REMIXER", "remixer", "X;Y", artists("remixer"), ["X", "Y"]),
    ("TCOM", "\xa9wrt", "composer", "X;Y", artists("composer"), ["X", "Y"]),
    ("TPE3", f"{ITUNES}CONDUCTOR", "conductor", "X;Y", artists("conductor"), ["X", "Y"]),
    ("TIPL:producer", f"{ITUNES}PRODUCER", "producer", "X;Y", artists("producer"), ["X", "Y"]),
    ("IPLS:producer", "", "", "X;Y", artists("producer"), ["X", "Y"]),
    ("TIPL:DJ-mix", f"{ITUNES}DJMIXER", "djmixer", "X;Y", artists("djmixer"), ["X", "Y"]),
    ("IPLS:DJ-mix", "", "", "X;Y", artists("djmixer"), ["X", "Y"]),
]  # fmt: skip

COLUMN = {"mp3": 0, "m4a": 1, "ogg": 2, "opus": 2, "flac": 2, "ogg flac": 2}


def put(path: Path, name: str, *values: str) -> None:
    """Writes texts under a name of one kind of tag, and leaves all other tags as they are."""
    if path.suffix == ".m4a":
        mp4 = MP4(path)
        if name in ("trkn", "disk"):
            mp4[name] = [tuple(map(int, (*values[0].split("/"), "0")[:2]))]
        elif name.startswith("----"):
            mp4[name] = [MP4FreeForm(value.encode()) for value in values]
        else:
            mp4[name] = list(values)
        mp4.save()
    elif path.suffix == ".mp3":
        frame, _, key = name.partition(":")
        # Saved as the version that knows the frame; without translation nothing else is changed.
        version = 3 if frame in ("TYER", "TDAT", "TORY", "IPLS") else 4
        tags = ID3()
        if path.read_bytes().startswith(b"ID3"):
            tags = ID3(path, translate=False)
        if frame == "TXXX":
            tags.add(TXXX(encoding=Encoding.UTF16, desc=key, text=list(values)))
        elif key:
            tags.add(Frames[frame](encoding=Encoding.UTF16, people=[[key, value] for value in values]))
        else:
            tags.add(Frames[frame](encoding=Encoding.UTF16, text=list(values)))
        tags.save(path, v2_version=version, v23_sep=None)
    else:
        audio = open_vorbis(path)
        if audio.tags is None:
            audio.add_tags()
        audio[name] = list(values)
        audio.save()


def bare(kind: str, directory: Path) -> Path:
    """Makes a file of a kind without any tag of the table."""
    if kind == "ogg flac":
        path = VARIANTS["ogg flac"](directory)
        audio = open_vorbis(path)
        audio.delete()
        return path
    return Path(shutil.copy(FIXTURES / f"silence.{kind}", directory / f"01.{kind}"))


CASES = [
    pytest.param(kind, row[column], row[3], row[4], row[5], id=f"{kind}-{row[column]}")
    for kind, column in COLUMN.items()
    for row in TABLE
    if row[column]
]


@pytest.mark.parametrize(("kind", "name", "text", "read", "expected"), CASES)
def test_every_field_under_every_name(
    kind: str, name: str, text: str, read: Callable[[AudioTags], object], expected: object, tmp_path: Path
) -> None:
    path = bare(kind, tmp_path)
    put(path, name, text)
    assert read(read_tags(path)) == expected


@pytest.mark.parametrize("kind", COLUMN)
def test_file_without_tags_has_defaults(kind: str, tmp_path: Path) -> None:
    assert read_tags(bare(kind, tmp_path)) == AudioTags(
        id=None, release_id=None, tracktitle=None, tracknumber="1", discnumber="1", releasetitle=None,
        releasetype="unknown", releasedate=None, originaldate=None, compositiondate=None, genres=(),
        secondary_genres=(), descriptors=(), labels=(), catalognumber=None, edition=None,
        releaseartists=ArtistMapping(), trackartists=ArtistMapping(), duration_seconds=1,
    )  # fmt: skip


@pytest.mark.parametrize("format", FORMATS)
def test_empty_text_counts_as_missing(format: str, tmp_path: Path) -> None:
    path = make_track(
        tmp_path / f"01.{format}", title="", artist=" ", albumartist=" ", album="", date="", genre="",
        label="", releasetype="", catalognumber="", edition="", roseid="",
    )  # fmt: skip
    tags = read_tags(path)
    assert (tags.id, tags.tracktitle, tags.releasetitle, tags.catalognumber, tags.edition) == (None,) * 5
    assert (tags.releasedate, tags.genres, tags.labels, tags.releasetype) == (None, (), (), "unknown")
    assert tags.trackartists == tags.releaseartists == ArtistMapping()


@pytest.mark.parametrize(
    ("format", "first", "second"),
    [
        ("mp3", "TXXX:RELEASETYPE", "TXXX:MusicBrainz Album Type"),
        ("m4a", f"{ITUNES}RELEASETYPE", f"{ITUNES}MusicBrainz Album Type"),
    ],
)
def test_the_first_name_that_has_a_text_counts(format: str, first: str, second: str, tmp_path: Path) -> None:
    path = bare(format, tmp_path)
    put(path, second, "live")
    put(path, first, "demo")
    assert read_tags(path).releasetype == "demo"
    put(path, first, "")
    assert read_tags(path).releasetype == "live"


@pytest.mark.parametrize("format", ["ogg", "opus", "flac"])
def test_label_comes_before_organization(format: str, tmp_path: Path) -> None:
    path = make_track(tmp_path / f"01.{format}", label="One", organization="Two", recordlabel="Three")
    assert read_tags(path).labels == ("One",)
    set_tags(path, label=None)
    assert read_tags(path).labels == ("Two",)


@pytest.mark.parametrize("kind", COLUMN)
def test_field_that_repeats_has_all_its_values(kind: str, tmp_path: Path) -> None:
    path = bare(kind, tmp_path)
    put(path, ("TCON", "\xa9gen", "genre")[COLUMN[kind]], "A", "B;C", "A")
    put(path, ("TPE1", "\xa9ART", "artist")[COLUMN[kind]], "X feat. Y", "Z")
    tags = read_tags(path)
    assert tags.genres == ("A", "B", "C")
    assert (artists("main")(tags), artists("guest")(tags)) == (["X", "Z"], ["Y"])


@pytest.mark.parametrize("format", FORMATS)
def test_fields_of_one_role_join_the_artist_field(format: str, tmp_path: Path) -> None:
    path = make_track(
        tmp_path / f"01.{format}", artist="A feat. G produced by P", albumartist="A", producer="P;Q",
        djmixer="D", remixer="R", conductor="L", composer="C",
    )  # fmt: skip
    tags = read_tags(path)
    named = {role: [artist.name for artist in found] for role, found in tags.trackartists.items()}
    assert named == {
        "main": ["A"], "guest": ["G"], "remixer": ["R"], "producer": ["P", "Q"], "composer": ["C"],
        "conductor": ["L"], "djmixer": ["D"],
    }  # fmt: skip
    assert [artist.name for artist in tags.releaseartists.all] == ["A"]


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(
    ("text", "values"),
    [
        (r"A \\ B", ("A", "B")),
        ("A / B", ("A", "B")),
        ("A;B", ("A", "B")),
        ("A; B", ("A", "B")),
        ("A vs. B", ("A", "B")),
        (r"A; B / C vs. D \\ A;A", ("A", "B", "C", "D")),
        ("AC/DC", ("AC/DC",)),
        (r"Pop;K-Pop\\PARENTS:\\Music;Rock", ("Pop", "K-Pop")),
        (r"\\PARENTS:\\Music", ()),
        (";;", ()),
    ],
)
def test_values_split_at_separators(format: str, text: str, values: tuple[str, ...], tmp_path: Path) -> None:
    path = make_track(tmp_path / f"01.{format}", genre=text)
    assert read_tags(path).genres == values


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2020", PartialDate(2020)),
        ("2020-04-09", PartialDate(2020, 4, 9)),
        ("2020-04-09T00:00:00Z", PartialDate(2020, 4, 9)),
        ("2020-04", None),
        ("last year", None),
        ("2020-13-01", None),
    ],
)
def test_dates(format: str, text: str, expected: PartialDate | None, tmp_path: Path) -> None:
    path = make_track(tmp_path / f"01.{format}", compositiondate=text)
    assert read_tags(path).compositiondate == expected


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(
    ("text", "expected"),
    [("ALBUM", "album"), ("DJmix", "djmix"), ("nonsense", "unknown"), ("album; live", "album")],
)
def test_release_types(format: str, text: str, expected: str, tmp_path: Path) -> None:
    assert read_tags(make_track(tmp_path / f"01.{format}", releasetype=text)).releasetype == expected


@pytest.mark.parametrize("format", ["mp3", "ogg", "opus", "flac"])
@pytest.mark.parametrize(("text", "number"), [("A1", "A1"), ("03/12", "03"), ("/12", "1"), ("", "1")])
def test_numbers_are_text(format: str, text: str, number: str, tmp_path: Path) -> None:
    tags = read_tags(make_track(tmp_path / f"01.{format}", tracknumber=text, discnumber=text))
    assert (tags.tracknumber, tags.discnumber) == (number, number)


def test_number_zero_of_mp4_is_a_missing_one(tmp_path: Path) -> None:
    assert read_tags(make_track(tmp_path / "01.m4a", tracknumber="0/12")).tracknumber == "1"


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (TRACK, TRACK),
        (TRACK.upper(), TRACK),
        (TRACK.replace("-", ""), TRACK),
        ("018b6514", None),
        ("018b6514-6fb7-7cc6-9d23-8eaf0b1beeeg", None),
        ("../../../etc/passwd", None),
    ],
)
def test_id_has_to_be_a_uuid(format: str, text: str, expected: str | None, tmp_path: Path) -> None:
    path = make_track(tmp_path / f"01.{format}", roseid=text, rosereleaseid=text)
    assert read_ids(path) == (expected, expected)
    assert read_tags(path).id == expected


@pytest.mark.parametrize("format", ["ogg", "opus", "flac", "m4a"])
def test_text_is_clean(format: str, tmp_path: Path) -> None:
    assert read_tags(make_track(tmp_path / f"01.{format}", title=" a\0b\t")).tracktitle == "ab"


@pytest.mark.parametrize("format", ["ogg", "opus", "flac"])
def test_text_that_is_not_utf8_can_be_stored(format: str, tmp_path: Path) -> None:
    path = make_track(tmp_path / f"01.{format}", title="XXXX", edition="YYYY")
    path.write_bytes(path.read_bytes().replace(b"XXXX", b"a\xed\xa0\x80"))
    title = read_tags(path).tracktitle
    assert title is not None
    assert title.startswith("a\ufffd")
    assert title.encode()


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [("a\ud800", "a\ufffd"), ("\udc00a", "\ufffda"), ("\ud83d\ude00", "\U0001f600"), ("\0 a\0b \n", "ab")],
)
def test_no_text_has_lone_surrogates_or_nul(text: str, cleaned: str) -> None:
    assert clean(text) == cleaned


def test_characters_of_two_utf16_units_are_read(tmp_path: Path) -> None:
    frames = id3_frame(4, b"TXXX", b"\x01\xff\xfeE\0D\0I\0T\0I\0O\0N\0\0\0\xff\xfea\0\x3d\xd8\x00\xde")
    assert read_tags(with_id3(tmp_path, id3_tag(4, frames))).edition == "a\U0001f600"


def test_day_of_a_year_in_old_id3_tags(tmp_path: Path) -> None:
    frames = id3_frame(3, b"TYER", b"\x001990") + id3_frame(3, b"TDAT", b"\x000302")
    assert read_tags(with_id3(tmp_path, id3_tag(3, frames))).releasedate == PartialDate(1990, 2, 3)


def test_year_counts_where_the_new_date_frame_is_unusable(tmp_path: Path) -> None:
    frames = id3_frame(4, b"TDRC", b"\0unknown") + id3_frame(4, b"TYER", b"\x001990")
    assert read_tags(with_id3(tmp_path, id3_tag(4, frames))).releasedate == PartialDate(1990)


def test_frames_of_id3v22(tmp_path: Path) -> None:
    frames = b"".join(
        id3_frame(2, name, b"\0" + text)
        for name, text in {
            b"TT2": b"Title", b"TP1": b"A", b"TP2": b"B", b"TAL": b"Album", b"TRK": b"3/4", b"TYE": b"1990",
            b"TDA": b"0302", b"TCO": b"(17)", b"TPB": b"Label", b"TXX": b"ROSEID\0" + TRACK.encode(),
        }.items()
    )  # fmt: skip
    tags = read_tags(with_id3(tmp_path, id3_tag(2, frames)))
    assert (tags.id, tags.tracktitle, tags.releasetitle, tags.tracknumber) == (TRACK, "Title", "Album", "3")
    assert (tags.releasedate, tags.genres, tags.labels) == (PartialDate(1990, 2, 3), ("Rock",), ("Label",))


@pytest.mark.parametrize("kind", ["ogg", "opus", "ogg flac"])
def test_ogg_may_hold_any_of_three_codecs(kind: str, tmp_path: Path) -> None:
    source = VARIANTS["ogg flac"](tmp_path) if kind == "ogg flac" else make_track(tmp_path / f"01.{kind}")
    path = source.rename(tmp_path / "track.OGG")
    tags = read_tags(path)
    assert (tags.releasetitle or "Album", tags.duration_seconds) == ("Album", 1)


@pytest.mark.parametrize("format", FORMATS)
def test_reading_writes_nothing(format: str, tmp_path: Path) -> None:
    path = make_track(tmp_path / f"01.{format}")
    before, status = path.read_bytes(), path.stat()
    read_tags(path)
    assert path.read_bytes() == before
    assert path.stat().st_ctime_ns == status.st_ctime_ns


def test_every_suffix_of_audio_files_has_containers_that_may_be_in_there() -> None:
    assert BY_SUFFIX.keys() == AUDIO_EXTENSIONS


@pytest.mark.parametrize("name", ["a.mp3", "a.M4A", "a.b.OgG", "ä.opus", "a.flac", ".hidden.flac"])
def test_names_of_audio_files(name: str) -> None:
    assert is_audio(name)
    assert is_audio(name.encode())


@pytest.mark.parametrize("name", ["....flac", ".hidden.flac", "a.b.FLAC"])
def test_whatever_is_called_an_audio_file_is_read_as_one(name: str, tmp_path: Path) -> None:
    plain = make_track(tmp_path / "a.flac", title="Title")
    path = Path(shutil.copy(plain, tmp_path / name))
    assert read_tags(path) == read_tags(plain)


@pytest.mark.parametrize("name", ["a.wav", "mp3", ".mp3", "a.mp3.part", "a.mp3 ", ""])
def test_names_of_other_files(name: str) -> None:
    assert not is_audio(name)
    assert not is_audio(name.encode())


def test_extensions_are_those_of_the_formats() -> None:
    assert {f".{format}" for format in FORMATS} == AUDIO_EXTENSIONS
