"""Rules from text: what can be written, and what is said about what cannot."""

from __future__ import annotations

import pytest

from rosefs.rules.model import ALIASES, Action, Add, Behavior, Delete, Matcher, Pattern, Replace, Sed, Split
from rosefs.rules.parsing import parse_action, parse_matcher, parse_rule

MATCHER = Matcher(("genre", "label"), Pattern("K-Pop"))


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("", Pattern("")),
        ("K-Pop", Pattern("K-Pop")),
        ("^K-Pop", Pattern("K-Pop", at_start=True)),
        ("K-Pop$", Pattern("K-Pop", at_end=True)),
        ("^K-Pop$", Pattern("K-Pop", at_start=True, at_end=True)),
        ("K-Pop:i", Pattern("K-Pop", ignore_case=True)),
        ("^$", Pattern("", at_start=True, at_end=True)),
        ("^", Pattern("", at_start=True)),
        ("$", Pattern("", at_end=True)),
        (":i", Pattern("", ignore_case=True)),
        (r"\^_^", Pattern("^_^")),
        (r"^\^_^", Pattern("^_^", at_start=True)),
        (r"A$AP", Pattern("A$AP")),
        (r"A\$AP", Pattern("A$AP")),
        (r"Ca\$h\$", Pattern("Ca$h$")),
        (r"Ca$h\$$", Pattern("Ca$h$", at_end=True)),
        (r"a\\$", Pattern("a\\", at_end=True)),
        (r"a\\\$", Pattern("a\\$")),
        (r"a\b\\c", Pattern(r"a\b\\c")),
        ("a\\", Pattern("a\\")),
        ("AC//DC", Pattern("AC/DC")),
        ("AC/DC", Pattern("AC/DC")),
        ("a::b", Pattern("a:b")),
        ("::", Pattern(":")),
        ("::i", Pattern(":i")),
        (":::i", Pattern(":", ignore_case=True)),
        (" a ", Pattern(" a ")),
        ("e\u0301", Pattern("é")),
    ],
)
def test_patterns(text: str, pattern: Pattern) -> None:
    assert parse_matcher(f"genre:{text}") == Matcher(("genre",), pattern)


def test_tags_are_named_one_by_one_or_by_alias_and_count_once() -> None:
    assert parse_matcher("label, genre,label:x").tags == ("label", "genre")
    assert parse_matcher("artist:x").tags == ALIASES["trackartist"] + ALIASES["releaseartist"]
    tags = parse_matcher("trackartist[guest],trackartist:x").tags
    assert tags[:2] == ("trackartist[guest]", "trackartist[main]")
    assert sorted(tags) == sorted(ALIASES["trackartist"])
    assert parse_matcher("tracktotal,parentgenre:x").tags == ("tracktotal", "parentgenre")


@pytest.mark.parametrize(
    ("text", "tags", "pattern"),
    [
        ("delete", MATCHER.tags, MATCHER.pattern),
        ("matched/delete", MATCHER.tags, MATCHER.pattern),
        ("matched:/delete", MATCHER.tags, Pattern("")),
        ("matched:x:i/delete", MATCHER.tags, Pattern("x", ignore_case=True)),
        ("descriptor/delete", ("descriptor",), None),
        ("descriptor:/delete", ("descriptor",), Pattern("")),
        ("genre:^a//b::c$/delete", ("genre",), Pattern("a/b:c", at_start=True, at_end=True)),
        ("edition,genre:x/delete", ("edition", "genre"), Pattern("x")),
        ("genre:a///delete", ("genre",), Pattern("a/")),
    ],
)
def test_what_an_action_is_about(text: str, tags: tuple[str, ...], pattern: Pattern | None) -> None:
    assert parse_action(text, MATCHER) == Action(tags, pattern, Delete())


@pytest.mark.parametrize(
    ("text", "behavior"),
    [
        ("replace:J-Pop", Replace("J-Pop")),
        ("replace:", Replace("")),
        ("replace:a::b//c/d", Replace("a:b/c/d")),
        ("replace:delete", Replace("delete")),
        ("sed:a:b", Sed("a", "b")),
        ("sed:a:", Sed("a", "")),
        (r"sed:^(?::a|b)//(.)$:\1", Sed("^(?:a|b)/(.)$", r"\1")),
        ("sed:a:::b", Sed("a:", "b")),
        ("split:;", Split(";")),
        ("split:/", Split("/")),
        ("split://", Split("/")),
        ("split:::", Split(":")),
        ("split: ", Split(" ")),
        ("add:a;b", Add("a;b")),
        ("delete", Delete()),
    ],
)
def test_what_an_action_does(text: str, behavior: Behavior) -> None:
    assert parse_action(text, MATCHER).behavior == behavior


def test_a_rule_is_a_matcher_with_actions_and_what_is_left_alone() -> None:
    rule = parse_rule("genre:K-Pop", ["replace:Pop", "label/delete"], ["artist:x", "new:true"])
    assert [action.tags for action in rule.actions] == [("genre",), ("label",)]
    assert rule.ignore == (parse_matcher("artist:x"), parse_matcher("new:true"))
