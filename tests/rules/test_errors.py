"""What is said about rules that cannot be read: the whole text, for every way to get one wrong."""

from __future__ import annotations

import pickle

import pytest

from rosefs.rules.errors import RuleSyntaxError, RuleValueError
from rosefs.rules.model import Matcher, Pattern
from rosefs.rules.parsing import parse_action, parse_matcher, parse_rule

MATCHER = Matcher(("genre",), Pattern("Pop"))

TAGS = (
    "tracktitle, tracknumber, tracktotal, discnumber, trackartist[role], releaseartist[role], artist, disctotal, "
    "releasetitle, releasetype, releasedate, originaldate, compositiondate, genre, parentgenre, secondarygenre, "
    "parentsecondarygenre, descriptor, label, catalognumber, edition, new"
)
LISTS = "trackartist, releaseartist, artist, genre, secondarygenre, descriptor, label"
ROLES = "main, guest, remixer, producer, composer, conductor, djmixer"
TYPES = (
    "album, single, ep, compilation, anthology, soundtrack, live, remix, djmix, mixtape, other, bootleg, "
    "loosetrack, demo, unknown"
)
KINDS = "replace:…, sed:…:…, split:…, add:… or delete"
NO_TEXT = "expected text; this character is none, and in no tag"
DERIVED = "follows from other tags and can only be matched; expected a tag to change"
VALUE = "expected a value for"
SEPARATES = "holds what separates one value from the next"
FLAG = 'the only flag is "i", to ignore case; a colon in a text is written "::"'
END = 'expected the end; a colon in a text is written "::"'


def shown(error: RuleSyntaxError) -> list[str]:
    """Returns the text and the caret's line, and makes sure of the line before them."""
    first, text, caret = str(error).split("\n")
    assert first == f"{error.part}, column {error.column}: {error.reason}"
    return [text, caret]


MATCHERS = [
    ("", "^", f"expected a tag: {TAGS}"),
    ("genre", "     ^", 'expected ":" and the pattern'),
    ("genre,label", "           ^", 'expected ":" and the pattern'),
    ("K-Pop", "^", f'there is no tag "K-Pop"; expected {TAGS}'),
    ("gnere:x", "^", 'there is no tag "gnere"; did you mean genre?'),
    ("Genre:x", "^", 'there is no tag "Genre"; did you mean genre?'),
    ("label, gnere:x", "       ^", 'there is no tag "gnere"; did you mean genre?'),
    ("genre,,label:x", "      ^", f"expected a tag: {TAGS}"),
    ("genre,:x", "      ^", f"expected a tag: {TAGS}"),
    (":x", "^", f"expected a tag: {TAGS}"),
    ("genre/x:y", "^", 'there is no tag "genre/x"; did you mean genre?'),
    ("matched:x", "^", 'expected a tag; "matched" can be used only at the start of an action'),
    ("trackartist[singer]:x", "            ^", f'expected a role and "]"; the roles are {ROLES}'),
    ("trackartist[main:x", "            ^", f'expected a role and "]"; the roles are {ROLES}'),
    ("genre[main]:x", "^", 'there is no tag "genre[main]"; did you mean genre?'),
    ("genre:x:", "        ^", FLAG),
    ("genre:x:g", "        ^", FLAG),
    ("genre:x:ig", "         ^", FLAG),
    ("genre:x:i:i", "         ^", FLAG),
    ("genre:a:b", "        ^", FLAG),
    ("genre:a\0b", "       ^", NO_TEXT),
    ("genre:\udce9", "      ^", NO_TEXT),
]


@pytest.mark.parametrize(("text", "caret", "reason"), MATCHERS)
def test_matchers(text: str, caret: str, reason: str) -> None:
    with pytest.raises(RuleSyntaxError) as caught:
        parse_matcher(text)
    error = caught.value
    assert (error.part, error.text, error.column, error.reason) == ("matcher", text, len(caret), reason)
    assert shown(error) == [f"    {text}".replace("\0", "␀").replace("\udce9", "�"), f"    {caret}"]


ACTIONS = [
    ("", "^", f"expected {KINDS}"),
    ("genre", "     ^", f'expected "/" and what to do: {KINDS}'),
    ("genre:x", "       ^", f'expected "/" and what to do: {KINDS}'),
    ("genre://delete", "              ^", f'expected "/" and what to do: {KINDS}'),
    ("matched", "       ^", f'expected "/" and what to do: {KINDS}'),
    ("matched:x", "         ^", f'expected "/" and what to do: {KINDS}'),
    ("matched,genre/delete", "^", 'expected a tag; "matched" can be used without other tags'),
    ("genre,matched/delete", "      ^", 'expected a tag; "matched" can be used without other tags'),
    ("gnere/delete", "^", 'there is no tag "gnere"; did you mean genre?'),
    ("delete/delete", "^", f'there is no tag "delete"; expected {TAGS}'),
    ("/delete", "^", f"expected a tag: {TAGS}"),
    ("genre:x:g/delete", "        ^", FLAG),
    ("genre:x:/delete", "        ^", FLAG),
    ("genre/", "      ^", f"expected {KINDS}"),
    ("genre/frob", "      ^", f'there is no action "frob"; expected {KINDS}'),
    ("genre/dlete", "      ^", 'there is no action "dlete"; did you mean delete?'),
    ("repalce:x", "^", 'there is no action "repalce"; did you mean replace?'),
    ("genre/replace", "             ^", 'expected ":" and the new value'),
    ("sed", "   ^", 'expected ":" and a regular expression'),
    ("split", "     ^", 'expected ":" and the delimiter'),
    ("add", "   ^", 'expected ":" and the value to add'),
    ("replace:a:b", "         ^", END),
    ("add:a:b", "     ^", END),
    ("split:a:b", "       ^", END),
    ("split::", "      ^", END),
    ("split:", "      ^", "expected the delimiter"),
    ("add:", "    ^", "expected the value to add"),
    ("add: ; ", "    ^", "expected the value to add"),
    ("delete:", "      ^", END),
    ("delete:x", "      ^", END),
    ("sed:", "    ^", "expected a regular expression"),
    ("sed::x", "    ^", "expected a regular expression"),
    ("sed:a", "     ^", 'expected ":" and the replacement'),
    ("sed:a:b:c", "       ^", END),
    ("sed:a::(b:c", "       ^", "expected a regular expression: missing ), unterminated subpattern"),
    ("sed:a**:c", "      ^", "expected a regular expression: multiple repeat"),
    (r"sed:(a)://\2", "           ^", "expected a replacement: invalid group reference 2"),
    (r"sed:a:\q", "      ^", r"expected a replacement: bad escape \q"),
    (r"sed:a::b:x\\g<n>\g<n>", "                   ^", "expected a replacement: unknown group name 'n'"),
    ("tracktotal/replace:1", "^", f"tracktotal {DERIVED}"),
    (
        "genre, parentgenre/delete",
        "       ^",
        f"parentgenre {DERIVED}",
    ),
    (
        "releasetitle/split:,",
        "             ^",
        f"split is for tags that hold several values ({LISTS}), and releasetitle holds one",
    ),
    ("genre,new/add:x", "          ^", f"add is for tags that hold several values ({LISTS}), and new holds one"),
    ("new/delete", "    ^", "new cannot be deleted; expected replace:true or replace:false"),
    ("new/replace:", "            ^", "expected a value for new: new is true or false, and never neither"),
    ("new/replace:maybe", "            ^", "expected a value for new: new is true or false"),
    ("releasedate/replace:May", "                    ^", f"{VALUE} releasedate: a date is YYYY or YYYY-MM-DD"),
    ("releasetype/replace:lp", "                    ^", f"expected a value for releasetype: 'lp' is none of {TYPES}"),
    ("discnumber/replace:1//2", "                   ^", "expected a value for discnumber: '1/2' is no single number"),
    ("genre/replace:A // B", "              ^", f"{VALUE} genre: 'A / B' {SEPARATES}"),
    ("label/add:A vs. B", "          ^", f"{VALUE} label: 'A vs. B' {SEPARATES}"),
    ("genre/replace:a\0", "               ^", NO_TEXT),
]  # fmt: skip


@pytest.mark.parametrize(("text", "caret", "reason"), ACTIONS)
def test_actions(text: str, caret: str, reason: str) -> None:
    with pytest.raises(RuleSyntaxError) as caught:
        parse_action(text, MATCHER)
    error = caught.value
    assert (error.part, error.text, error.column, error.reason) == ("action", text, len(caret), reason)
    assert shown(error) == [f"    {text}".replace("\0", "␀"), f"    {caret}"]


@pytest.mark.parametrize("text", ["delete", "matched/delete", "matched:x/delete"])
def test_tags_of_the_matcher_that_cannot_be_changed(text: str) -> None:
    with pytest.raises(RuleSyntaxError) as caught:
        parse_action(text, parse_matcher("genre,parentgenre:x"))
    assert caught.value.column == 1
    assert caught.value.reason == (
        "the matcher's parentgenre follows from other tags and can only be matched; expected tags to change"
    )


def test_a_rule_without_actions() -> None:
    with pytest.raises(RuleSyntaxError, match=r"expected at least one action: replace:…"):
        parse_rule("genre:x", [])


def test_which_text_of_a_rule_is_wrong() -> None:
    with pytest.raises(RuleSyntaxError, match=r"^matcher, column 6: ") as caught:
        parse_rule("genre:x", ["delete"], ["label:x", "genre"])
    assert caught.value.text == "genre"


@pytest.mark.parametrize(
    ("text", "line", "caret"),
    [
        ("日本語:x", "日本語:x", "^"),
        ("genre:日本:x", "genre:日本:x", "           ^"),
        ("genre:ｱ:x", "genre:ｱ:x", "        ^"),
        ("genre:e\u0301:x", "genre:é:x", "        ^"),
        ("genre:q\u0301:x", "genre:q\u0301:x", "        ^"),
        ("genre:a\nb\t\x7f\u200b:x", "genre:a␊b␉��:x", "             ^"),
        ("genre:\u3000:x", "genre:\u3000:x", "         ^"),
    ],
)
def test_the_caret_is_below_the_cell_that_a_terminal_shows(text: str, line: str, caret: str) -> None:
    with pytest.raises(RuleSyntaxError) as caught:
        parse_matcher(text)
    assert shown(caught.value) == [f"    {line}", f"    {caret}"]


def test_errors_go_from_process_to_process() -> None:
    with pytest.raises(RuleSyntaxError) as caught:
        parse_matcher("gnere:x")
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (str(copy), vars(copy)) == (str(caught.value), vars(caught.value))
    value = RuleValueError("new", "a\nb", "new is true or false")
    assert str(pickle.loads(pickle.dumps(value))) == 'new cannot become "a␊b": new is true or false'
