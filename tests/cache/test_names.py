"""File names: safe, short enough, distinct."""

from __future__ import annotations

import os
import random
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rosecache.names import distinct_name, distinct_names, safe_name
from tests.support import targets
from tests.support.breaking import HOSTILE_TEXTS

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=400)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Kim Lip", "Kim Lip"),
        ("Love & Live", "Love & Live"),
        ("AC/DC", "AC_DC"),
        (r': ? < > \ * | " /', "_ _ _ _ _ _ _ _ _"),
        ("  two\t\tblanks \n and\u00a0a\u3000line  ", "two blanks and a line"),
        ("bell\x07 delete\x7f csi\x9b", "bell_ delete_ csi_"),
        ("not \udcff text", "not _ text"),
        (".", "_"),
        ("..", "_"),
        ("...", "..."),
        ("...Baby One More Time", "...Baby One More Time"),
        ("", "_"),
        ("   ", "_"),
        ("e\u0301toile", "\u00e9toile"),
        ("\u1112\u1161\u11ab", "한"),
        ("이달의 소녀", "이달의 소녀"),
    ],
)
def test_safe_name(text: str, name: str) -> None:
    assert safe_name(text) == name


def test_safe_name_normalizes_before_it_replaces() -> None:
    assert safe_name("a <\u0338 b") == "a \u226e b"


@pytest.mark.parametrize(
    ("text", "extension", "name"),
    [
        ("01. Eclipse", ".opus", "01. Eclipse.opus"),
        ("", ".opus", "_.opus"),
        ("..", ".opus", "_.opus"),
        ("01. Eclipse ", ".opus", "01. Eclipse.opus"),
        ("01", ".a/b", "01.a_b"),
        ("01", ".mp3\n", "01.mp3"),
        ("01", "." + "x" * 300, "01." + "x" * 126),
    ],
)
def test_safe_name_keeps_the_extension(text: str, extension: str, name: str) -> None:
    assert safe_name(text, extension=extension) == name


def test_safe_name_cuts_between_characters() -> None:
    assert safe_name("é" * 200) == "é" * 127
    assert safe_name("달" * 100, extension=".flac") == "달" * 83 + ".flac"
    assert safe_name("x" * 300, extension=".opus", max_bytes=20) == "x" * 15 + ".opus"
    assert safe_name("x" * 255) == "x" * 255


def test_safe_name_cuts_no_combining_sequence() -> None:
    sequence = "x\u0331\u0300"
    assert safe_name("abcdef" + sequence, max_bytes=8) == "abcdef"
    family = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
    assert safe_name("abc" + family, max_bytes=16) == "abc"
    assert safe_name("abcd\U0001f44d\U0001f3fd", max_bytes=9) == "abcd"


def test_safe_name_cuts_a_sequence_that_is_longer_than_a_name() -> None:
    name = safe_name("x" + "\u0331" * 300)
    assert name == "x" + "\u0331" * 127


def test_a_cut_leaves_no_blank_at_the_end() -> None:
    assert safe_name("abcdefg hij", max_bytes=8) == "abcdefg"
    assert safe_name("abcdefg hij", max_bytes=13, extension=".opus") == "abcdefg.opus"


@given(ANY_TEXT, st.sampled_from(["", ".opus", ".m3u8"]) | st.text().map(".".__add__), st.integers(20, 255))
def test_safe_name_holds_for_any_text(text: str, extension: str, max_bytes: int) -> None:
    name = safe_name(text, extension=extension, max_bytes=max_bytes)
    assert 1 <= len(name.encode()) <= max_bytes
    assert name not in (".", "..")
    assert not set(name) & set(':?<>\\*|"/')
    assert not any(unicodedata.category(character) in ("Cc", "Cs") for character in name)
    assert unicodedata.is_normalized("NFC", name)
    assert name == " ".join(name.split())
    assert safe_name(name, max_bytes=max_bytes) == name


COMMON_TEXT = st.text(st.sampled_from(" .-'_[]{}~^aZé가나ぁん\u0301\u3099\u11a8\u02ff中Ж&;=@`/:"))


@given(ANY_TEXT | COMMON_TEXT)
def test_safe_name_replaces_character_by_character(text: str) -> None:
    folded = " ".join(unicodedata.normalize("NFC", text).split())
    expected = "".join(
        "_" if character in ':?<>\\*|"/' or unicodedata.category(character) in ("Cc", "Cs") else character
        for character in folded
    )
    assert safe_name(text, max_bytes=4000) == (expected if expected not in ("", ".", "..") else "_")


def test_every_safe_name_can_be_created(tmp_path: Path) -> None:
    texts = [*(chr(code) for code in range(0x180)), "a" * 400, "이달의" * 100, "..", "\udc80"]
    names = {safe_name(text, extension=".opus") for text in texts}
    for name in names:
        (tmp_path / name).touch()
    assert set(os.listdir(tmp_path)) == names


@pytest.mark.parametrize(
    ("name", "taken", "extensions", "distinct"),
    [
        ("x.opus", [], True, "x.opus"),
        ("x.opus", ["x.opus"], True, "x [2].opus"),
        ("x.opus", ["x.opus", "x [2].opus"], True, "x [3].opus"),
        ("x", ["x"], True, "x [2]"),
        ("Vol. 1.5", ["Vol. 1.5"], False, "Vol. 1.5 [2]"),
        (".hidden", [".hidden"], True, ".hidden [2]"),
        ("Mr. Mr", ["Mr. Mr"], True, "Mr. Mr [2]"),
        ("X.opus", ["x.opus"], True, "X.opus"),
    ],
)
def test_distinct_name(name: str, taken: list[str], extensions: bool, distinct: str) -> None:
    assert distinct_name(name, set(taken), extensions=extensions) == distinct


def test_distinct_name_shortens_the_stem() -> None:
    name = "달" * 83 + ".flac"
    assert distinct_name(name, {name}) == "달" * 82 + " [2].flac"
    assert distinct_name("abcd efgh.ogg", {"abcd efgh.ogg"}, max_bytes=13) == "abcd [2].ogg"


def test_the_first_in_order_of_id_keeps_the_plain_name() -> None:
    entries = [("x.opus", "c"), ("x.opus", "a"), ("y.opus", "d"), ("x.opus", "b")]
    assert distinct_names(entries, extensions=True) == ["x [3].opus", "x.opus", "y.opus", "x [2].opus"]


def test_a_name_that_looks_numbered_is_not_given_away() -> None:
    entries = [("x", "a"), ("x", "b"), ("x [2]", "c"), ("x", "d"), ("x [2]", "e")]
    assert distinct_names(entries, extensions=False) == ["x", "x [3]", "x [2]", "x [4]", "x [2] [2]"]


def test_names_that_differ_by_case_are_distinct() -> None:
    assert distinct_names([("x", "a"), ("X", "b")], extensions=False) == ["x", "X"]


def test_names_that_become_equal_by_shortening_stay_distinct() -> None:
    long = [("x" * 17 + ending, str(index)) for index, ending in enumerate(["aaa", "aaa", "bbb", "bbb"])]
    names = distinct_names(long, extensions=False, max_bytes=20)
    assert names == ["x" * 17 + "aaa", "x" * 16 + " [2]", "x" * 17 + "bbb", "x" * 16 + " [3]"]


@given(
    st.lists(st.sampled_from(["x", "x [2]", "x [2] [2]", "x [3]", "y.opus", "y [2].opus"]), max_size=12),
    st.booleans(),
    st.randoms(use_true_random=False),
)
def test_distinct_names_do_not_depend_on_the_order(
    wanted: list[str], extensions: bool, shuffler: random.Random
) -> None:
    entries = [(name, f"{index:02}") for index, name in enumerate(wanted)]
    names = dict(zip(entries, distinct_names(entries, extensions=extensions), strict=True))
    assert len(set(names.values())) == len(entries)
    shuffled = list(entries)
    shuffler.shuffle(shuffled)
    again = distinct_names(shuffled, extensions=extensions)
    assert dict(zip(shuffled, again, strict=True)) == names


def test_distinct_name_starts_where_it_is_told() -> None:
    """So that numbering thousands of equal names takes one try each."""
    assert distinct_name("x", {"x"}, first=3001) == "x [3001]"
    assert distinct_names([("x", f"{index:04}") for index in range(3000)], extensions=False)[-1] == "x [3000]"


def test_a_number_fits_where_the_extension_is_nearly_all_of_the_name() -> None:
    name = "nul.tx______________"
    assert distinct_name(name, {name}, max_bytes=20) == "nul.tx__________ [2]"


@given(st.text() | st.sampled_from(HOSTILE_TEXTS))
def test_any_text_makes_names_that_any_disk_takes(text: str) -> None:
    targets.file_names(text)
