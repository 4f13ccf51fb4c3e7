"""What holds for any rule, and for any text that somebody takes for one."""

from __future__ import annotations

import shlex
import unicodedata
from collections.abc import Callable

from hypothesis import assume, example, given
from hypothesis import strategies as st

from rosefs.rules.acting import act
from rosefs.rules.errors import RuleSyntaxError, RuleValueError
from rosefs.rules.model import (
    ALIASES,
    DERIVED_TAGS,
    LIST_TAGS,
    TAGS,
    Action,
    Add,
    Behavior,
    Delete,
    Matcher,
    Pattern,
    Replace,
    Rule,
    Sed,
    Split,
)
from rosefs.rules.parsing import parse_action, parse_matcher, parse_rule
from rosefs.rules.printing import format_action, format_matcher, format_rule
from rosefs.rules.values import matches, matches_track

CHANGEABLE = [tag for tag in TAGS if tag not in DERIVED_TAGS]
FREE = [tag for tag in CHANGEABLE if tag in LIST_TAGS or tag in ("tracktitle", "releasetitle", "edition")]
"""Tags that take any text."""
LISTS = [tag for tag in CHANGEABLE if tag in LIST_TAGS]

# Few characters, so that those with a meaning meet; any others beside them.
CHARACTERS = st.one_of(
    st.sampled_from(":/^$\\;i ab"), st.characters(exclude_categories=["Cs"], exclude_characters="\0")
)


def texts(**limits: int) -> st.SearchStrategy[str]:
    composed = st.text(CHARACTERS, **limits).map(lambda text: unicodedata.normalize("NFC", text))
    return composed.filter(lambda text: len(text) >= limits.get("min_size", 0))


def values() -> st.SearchStrategy[str]:
    return st.text("ABCab é:/", min_size=1, max_size=5).map(str.strip).filter(bool)


patterns = st.builds(Pattern, texts(max_size=6), st.booleans(), st.booleans(), st.booleans())


def tags_of(known: list[str]) -> st.SearchStrategy[tuple[str, ...]]:
    several = st.lists(st.sampled_from(known), min_size=1, max_size=4, unique=True).map(tuple)
    aliases = [tags for tags in ALIASES.values() if set(tags) <= set(known)]
    followed = st.tuples(st.sampled_from(aliases), several).map(
        lambda pair: tuple(dict.fromkeys(sum(pair, ())))
    )
    return several | followed


matchers = st.builds(Matcher, tags_of(list(TAGS)), patterns)
REPLACEMENTS = st.text("ab/;]$^", max_size=4).flatmap(
    lambda text: st.sampled_from([text, rf"{text}\g<0>", rf"a{text}:"])
)
REGEXES = st.sampled_from(["a", "^", "$", "a:", ":", "(?:a|b)/", "//", r"\$", "[^:]", "::"])

plain_actions = st.one_of(
    st.builds(Action, tags_of(FREE), st.none() | patterns, st.builds(Replace, values() | st.just(""))),
    st.builds(Action, st.just(("edition", "tracktitle")), patterns, st.builds(Replace, texts(max_size=6))),
    st.builds(Action, tags_of(CHANGEABLE), st.none() | patterns, st.builds(Sed, REGEXES, REPLACEMENTS)),
    st.builds(Action, tags_of(LISTS), st.none() | patterns, st.builds(Split, texts(min_size=1, max_size=3))),
    st.builds(Action, tags_of(LISTS), st.none() | patterns, st.builds(Add, values())),
    st.builds(
        Action, tags_of([t for t in CHANGEABLE if t != "new"]), st.none() | patterns, st.just(Delete())
    ),
)
"""Actions with tags of their own; those on any tag with texts that any tag of that kind takes."""


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    matcher = draw(matchers)
    actions = draw(st.lists(plain_actions, min_size=1, max_size=3))
    if not set(matcher.tags) & {*DERIVED_TAGS, "new"}:
        pattern = draw(st.sampled_from([matcher.pattern, Pattern(""), None]))
        actions.append(Action(matcher.tags, pattern, Delete()))
    return Rule(matcher, tuple(actions), tuple(draw(st.lists(matchers, max_size=2))))


@given(matchers)
@example(Matcher(("genre",), Pattern("\\")))
@example(Matcher(("genre",), Pattern("\\", at_end=True)))
@example(Matcher(("genre",), Pattern("\\", at_start=True, at_end=True)))
@example(Matcher(("genre",), Pattern("\\^")))
@example(Matcher(("genre",), Pattern("\\$")))
@example(Matcher(("genre",), Pattern("^$")))
@example(Matcher(("genre",), Pattern("$\n")))
@example(Matcher(("genre",), Pattern(":", ignore_case=True)))
@example(Matcher(("genre",), Pattern(":i")))
def test_a_matcher_printed_and_read_is_the_same(matcher: Matcher) -> None:
    assert parse_matcher(format_matcher(matcher)) == matcher


@given(matchers, plain_actions)
@example(Matcher(("genre",), Pattern("")), Action(("genre",), None, Delete()))
@example(Matcher(("genre",), Pattern("a")), Action(("genre",), Pattern(""), Delete()))
@example(Matcher(("genre",), Pattern("a")), Action(("genre",), Pattern("a/"), Split("/")))
def test_an_action_printed_and_read_is_the_same(matcher: Matcher, action: Action) -> None:
    assert parse_action(format_action(action, matcher), matcher) == action


@given(rules())
def test_a_rule_printed_and_read_is_the_same(rule: Rule) -> None:
    words = iter(shlex.split(format_rule(rule)))
    matcher = next(words)
    actions: list[str] = []
    ignore: list[str] = []
    for word in words:
        if word == "--ignore":
            ignore.append(next(words))
        else:
            actions.append(word)
    assert parse_rule(matcher, actions, ignore) == rule


def test_aliases_are_printed_as_such() -> None:
    for text in ("artist:x", "trackartist:x", "genre,releaseartist,label:x", "releaseartist,trackartist:x"):
        assert format_matcher(parse_matcher(text)) == text


@given(texts(max_size=3), st.lists(values(), max_size=3, unique=True))
def test_a_replacement_that_begins_with_a_colon_is_printed_in_other_words(
    text: str, genres: list[str]
) -> None:
    assume("\\" not in text)
    matcher = parse_matcher("genre:")
    action = Action(("genre",), None, Sed("a", f":{text}"))
    printed = parse_action(format_action(action, matcher), matcher)
    before = {"genre": tuple(genres)}
    try:
        expected = act([action], before)
    except RuleValueError:
        return
    assert act([printed], before) == expected


PIECES = st.sampled_from(
    [
        "genre", "artist", "trackartist[main]", "trackartist[", "matched", "new", "tracktotal", "releasedate",
        "replace", "sed", "split", "add", "delete", ":", "::", "/", "//", ",", "^", "$", "\\", "i", ";", " ",
        "(", ")", "[", "{2}", "*", "?", "(?P<n>", "\\g<n>", "\\1", "(?i)", "[[", "\\0", "1", "a",
    ]
)  # fmt: skip


def error_of(read: Callable[[str], object], text: str) -> RuleSyntaxError | None:
    try:
        read(text)
    except RuleSyntaxError as error:
        return error
    return None


@given(st.text() | st.lists(PIECES, max_size=12).map("".join))
@example("sed:a{99999999999999999999}:b")
@example(f"sed:{'(' * 5000}{')' * 5000}:b")
@example("sed:[[a]:b")
@example("sed:a(?i):b")
@example(r"sed:(?P<n>a):\g<1n>")
@example(r"sed:a:\g<²>")
@example(r"sed:a:\g<+1>")
@example(r"sed:a:\g<n")
@example("sed:(?<=a*)b:c")
@example("sed:(?:a:b")
@example("genre/replace:a \\\\ b")
@example("artist/replace:a feat. b")
@example("releasedate/replace:0000-00-00")
@example("releasedate/replace:٢٠٠١")
def test_any_text_is_a_rule_or_an_error_that_points_into_it(text: str) -> None:
    matcher = Matcher(("genre",), Pattern("a"))
    for read in (parse_matcher, lambda text: parse_action(text, matcher)):
        error = error_of(read, text)
        if error is not None:
            assert 1 <= error.column <= len(error.text) + 1
            assert len(str(error).splitlines()) == 3


@given(texts(max_size=30))
def test_what_can_be_read_stays_the_same_when_printed(text: str) -> None:
    for source in (f"genre:{text}", text):
        try:
            matcher = parse_matcher(source)
        except RuleSyntaxError:
            continue
        assert parse_matcher(format_matcher(matcher)) == matcher


# Acting -----------------------------------------------------------------------------------------------------


@st.composite
def tag_values(draw: st.DrawFn) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = dict.fromkeys(TAGS, ())
    for tag in draw(st.lists(st.sampled_from(FREE), unique=True, max_size=6)):
        size = 4 if tag in LIST_TAGS else 1
        found[tag] = tuple(draw(st.lists(values(), max_size=size, unique=True)))
    return {**found, "new": ("true",), "tracknumber": ("1",), "discnumber": ("1",), "releasetype": ("album",)}


short_patterns = st.builds(
    Pattern, st.text("ABab:/", max_size=2), st.booleans(), st.booleans(), st.booleans()
)


def actions_on(tags: list[str], behaviors: st.SearchStrategy[Behavior]) -> st.SearchStrategy[Action]:
    return st.builds(Action, tags_of(tags), st.none() | short_patterns, behaviors)


acting = st.one_of(
    actions_on(FREE, st.builds(Replace, st.text("ABab; ", max_size=6))),
    actions_on(LISTS, st.builds(Split, st.text("ABab:/ ", min_size=1, max_size=2))),
    actions_on(LISTS, st.builds(Add, st.text("AB;", min_size=1, max_size=3))),
    actions_on(FREE, st.just(Delete())),
)
seds = actions_on(
    FREE, st.builds(Sed, st.sampled_from(["a", "^", "$", "[AB]+", "."]), st.text("ABab; ", max_size=4))
)


@given(st.lists(acting | seds, max_size=4), tag_values())
def test_acting_makes_no_empty_and_no_second_value_and_keeps_what_is_not_named(
    actions: list[Action], before: dict[str, tuple[str, ...]]
) -> None:
    after = act(actions, before)
    assert after.keys() == before.keys()
    named = {tag for action in actions for tag in action.tags}
    for tag, found in after.items():
        assert all(value == value.strip() != "" for value in found)
        assert len(set(found)) == len(found)
        assert tag in LIST_TAGS or len(found) <= 1
        assert tag in named or found == before[tag]


@given(st.lists(acting, min_size=1, max_size=3), tag_values())
def test_a_second_time_changes_nothing(actions: list[Action], before: dict[str, tuple[str, ...]]) -> None:
    # Of sed, and of actions on one tag that undo or feed each other, nobody expects it.
    tags = [tag for action in actions for tag in action.tags]
    assume(len(set(tags)) == len(tags))
    once = act(actions, before)
    assert act(actions, once) == once


@given(acting, tag_values())
def test_values_that_do_not_match_stay_in_their_order(
    action: Action, before: dict[str, tuple[str, ...]]
) -> None:
    after = act([action], before)
    pattern = action.pattern
    assume(pattern is not None)
    for tag in set(action.tags) & LIST_TAGS:
        kept = [value for value in before[tag] if pattern is not None and not matches(pattern, value)]
        assert set(kept) <= set(after[tag])
        if isinstance(action.behavior, Add | Delete):
            assert [value for value in after[tag] if value in kept] == kept


@given(short_patterns, tag_values())
def test_a_matcher_is_about_what_has_a_value_that_fits_or_none_where_nothing_fits(
    pattern: Pattern, values: dict[str, tuple[str, ...]]
) -> None:
    nothing_fits = matches(pattern, "")
    for tag in FREE:
        expected = any(matches(pattern, value) for value in values[tag]) or (not values[tag] and nothing_fits)
        assert matches_track(Matcher((tag,), pattern), values) == expected
        assert not matches_track(Matcher((tag,), pattern), {})
