"""The values of tags: those that files have, under every tag."""

from __future__ import annotations

import msgspec
import pytest

from rosecache import update_cache
from rosecache.config import ArtistAlias, Config
from rosecache.query.tracks import list_tracks
from rosefs.rules.checking import checked
from rosefs.rules.model import LIST_TAGS, RELEASE_TAGS, TAGS, Tag
from rosefs.rules.parsing import parse_matcher
from rosefs.rules.values import TagValues, matches_track, values_of_release, values_of_track
from tests.support.audio import FORMATS, ID3_NAMES, make_release, set_tags


def values_in(c: Config) -> TagValues:
    """Brings the cache up to date, and returns what its only track has."""
    update_cache(c)
    [track] = list_tracks(c)
    return values_of_track(track)


def test_every_tag_has_its_values(c: Config) -> None:
    alias = ArtistAlias("LOONA", ("Kim Lip",))
    make_release(
        c.music_source_dir, tracks=1, title="Eclipse", tracknumber="1/2", discnumber="3", album="Kim Lip",
        releasetype="single", date="2017-05-23", originaldate="2017", compositiondate="2016", genre="K-Pop;Dance",
        secondarygenre="Deep House", descriptor="warm;dense", label="Blockberry", catalognumber="CAT", edition="Deluxe",
        albumartist="Kim Lip", artist="Bach performed by X pres. Kim Lip under. C feat. G;H remixed by R produced by P",
    )  # fmt: skip
    found = values_in(msgspec.structs.replace(c, artist_aliases=(alias,)))
    parents = found["parentgenre"], found["parentsecondarygenre"]
    assert ["Pop" in parents[0], "House" in parents[1]] == [True, True]
    assert {tag: values for tag, values in found.items() if values and not tag.startswith("parent")} == {
        "tracktitle": ("Eclipse",), "tracknumber": ("1",), "tracktotal": ("1",), "discnumber": ("3",),
        "disctotal": ("1",), "trackartist[main]": ("Kim Lip",), "trackartist[guest]": ("G", "H"),
        "trackartist[remixer]": ("R",), "trackartist[producer]": ("P",), "trackartist[composer]": ("Bach",),
        "trackartist[conductor]": ("C",), "trackartist[djmixer]": ("X",), "releaseartist[main]": ("Kim Lip",),
        "releasetitle": ("Kim Lip",), "releasetype": ("single",), "releasedate": ("2017-05-23",),
        "originaldate": ("2017",), "compositiondate": ("2016",), "genre": ("K-Pop", "Dance"),
        "secondarygenre": ("Deep House",), "descriptor": ("warm", "dense"), "label": ("Blockberry",),
        "catalognumber": ("CAT",), "edition": ("Deluxe",), "new": ("true",),
    }  # fmt: skip
    assert set(found) == set(TAGS)


@pytest.mark.parametrize("format", FORMATS)
def test_what_has_no_tags_has_no_values_but_those_that_nothing_lacks(c: Config, format: str) -> None:
    release = make_release(c.music_source_dir, tracks=1, format=format)
    set_tags(release / f"01.{format}", **dict.fromkeys(ID3_NAMES))
    found = values_in(c)
    for tag in TAGS:
        if tag == "new":
            assert found[tag] == ("true",)
        elif tag in ("tracktotal", "disctotal"):
            assert found[tag] == ("1",)
        else:
            # The same as what deleting a value gives, so that nothing is left to do after it.
            assert found[tag] == checked(tag, ()), tag
    assert matches_track(parse_matcher("genre:^$"), found)
    assert matches_track(parse_matcher("edition:"), found)
    assert not matches_track(parse_matcher("releasetype:^$"), found)


def test_a_release_has_no_tags_of_tracks(c: Config) -> None:
    make_release(c.music_source_dir, tracks=1, title="")
    update_cache(c)
    [track] = list_tracks(c)
    found = values_of_release(track.release)
    assert set(found) == set(RELEASE_TAGS)
    assert not matches_track(parse_matcher("tracktitle:"), found)
    assert matches_track(parse_matcher("tracktitle,edition:"), found)


FIELDS: dict[Tag, str] = {
    "tracktitle": "title", "releasetitle": "album", "releasedate": "date", "genre": "genre", "label": "label",
    "releasetype": "releasetype", "trackartist[main]": "artist", "tracknumber": "tracknumber", "edition": "edition",
}  # fmt: skip
"""Some tags, by what files call them."""


@pytest.mark.parametrize("format", FORMATS)
def test_what_may_be_a_value_is_read_back_from_a_file_as_it_is(c: Config, format: str) -> None:
    wanted: dict[Tag, tuple[str, ...]] = {
        "tracktitle": ("A; B / C",), "releasetitle": ("日本",), "releasedate": ("2001-02-03 later",),
        "genre": ("A/B", "C"), "label": ("vs.", "é"), "releasetype": ("EP",), "trackartist[main]": ("feat.X", "Y"),
        "tracknumber": ("12",), "edition": ("Deluxe",),
    }  # fmt: skip
    tags = {FIELDS[tag]: ";".join(values) for tag, values in wanted.items()}
    set_tags(make_release(c.music_source_dir, tracks=1, format=format) / f"01.{format}", **tags)
    found = values_in(c)
    assert {tag: found[tag] for tag in wanted} == {
        tag: checked(tag, values) for tag, values in wanted.items()
    }


@pytest.mark.parametrize(
    ("tag", "value"),
    [("genre", "A / B"), ("label", "A;B"), ("descriptor", "A vs. B"), ("trackartist[main]", "A feat. B")],
)
def test_what_would_be_read_back_as_another_value_may_be_none(c: Config, tag: Tag, value: str) -> None:
    assert tag in LIST_TAGS
    set_tags(make_release(c.music_source_dir, tracks=1) / "01.opus", **{FIELDS.get(tag, tag): value})
    assert values_in(c)[tag] != (value,)
    with pytest.raises(ValueError, match=r"holds what separates"):
        checked(tag, (value,))
