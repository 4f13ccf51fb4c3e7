"""What actions make of values."""

from __future__ import annotations

import pytest

from rosefs.rules.acting import act
from rosefs.rules.errors import RuleValueError
from rosefs.rules.model import DERIVED_TAGS, TAGS, Tag
from rosefs.rules.parsing import parse_action, parse_matcher
from rosefs.rules.values import TagValues

NOTHING: TagValues = dict.fromkeys(TAGS, ())


def after(matcher: str, *actions: str, **values: str) -> dict[Tag, tuple[str, ...]]:
    """Returns what has changed. Values as ``genre="a;b"``; artists are not among them."""
    before = {**NOTHING, **{tag: tuple(text.split(";")) for tag, text in values.items()}}
    parsed = parse_matcher(matcher)
    found = act([parse_action(action, parsed) for action in actions], before)
    assert found.keys() == before.keys()
    return {tag: found[tag] for tag in found if found[tag] != before[tag]}


@pytest.mark.parametrize(
    ("action", "genres"),
    [
        ("replace:Z", ("A", "Z", "C")),
        ("replace:Y; Z ;;Y", ("A", "Y", "Z", "C")),
        ("replace:C", ("A", "C")),
        ("replace:", ("A", "C")),
        ("delete", ("A", "C")),
        ("sed:B:<B>", ("A", "<B>ab", "C")),
        ("sed:B:D;E", ("A", "D", "Eab", "C")),
        ("sed:.*:", ("A", "C")),
        (r"sed:(a)(b):\2\1", ("A", "Bba", "C")),
        ("split:a", ("A", "B", "b", "C")),
        ("add:Z", ("A", "Bab", "C", "Z")),
        ("add:Y;Z", ("A", "Bab", "C", "Y", "Z")),
        ("genre:x/add:Z", None),
        ("genre:/add:Z", ("A", "Bab", "C", "Z")),
        ("genre/add:A", None),
        ("genre/replace:Z", ("Z",)),
        ("genre/delete", ()),
        ("genre:b:i/delete", ("A", "C")),
        ("genre:^A$/delete", ("Bab", "C")),
        ("genre:^$/replace:Z", None),
    ],
)
def test_values_that_match_change_and_others_stay_in_their_order(
    action: str, genres: tuple[str, ...] | None
) -> None:
    changed = after("genre:B", action, genre="A;Bab;C")
    assert changed == ({} if genres is None else {"genre": genres})


@pytest.mark.parametrize(
    ("action", "changed"),
    [
        ("edition/replace:Deluxe", {"edition": ("Deluxe",)}),
        ("edition:/replace:Deluxe", {"edition": ("Deluxe",)}),
        ("edition:^$/replace:Deluxe", {"edition": ("Deluxe",)}),
        ("edition:x/replace:Deluxe", {}),
        ("edition/sed:^$:Deluxe", {"edition": ("Deluxe",)}),
        ("edition/delete", {}),
        ("edition/replace: a;b ", {"edition": ("a;b",)}),
        ("genre/replace:Pop", {}),
        ("genre:/replace:Pop", {}),
        ("genre:^/replace:Pop", {}),
        ("genre:$/replace:Pop", {}),
        ("genre:^$/replace:Pop;Rock", {"genre": ("Pop", "Rock")}),
        ("genre:^$/sed:^$:Pop", {"genre": ("Pop",)}),
        ("genre:^$/add:Pop", {"genre": ("Pop",)}),
        ("genre/add:Pop", {"genre": ("Pop",)}),
        ("genre:/add:Pop", {"genre": ("Pop",)}),
        ("genre:x/add:Pop", {}),
        ("genre:^$/split:x", {}),
        ("genre:^$/delete", {}),
        ("artist:^$/replace:Various", None),
    ],
)
def test_tags_without_values(action: str, changed: dict[Tag, tuple[str, ...]] | None) -> None:
    found = after("new:true", action)
    if changed is None:
        assert found == {tag: ("Various",) for tag in TAGS if "artist[" in tag}
    else:
        assert found == changed


def test_each_action_works_on_what_the_one_before_has_left() -> None:
    actions = ["genre:A/replace:B", "genre:B/replace:C", "genre:C/add:D", "label/delete"]
    assert after("genre:A", *actions, genre="A", label="x") == {"genre": ("C", "D"), "label": ()}
    # The matcher's pattern too is compared with what is there by then.
    assert after("genre:A", "replace:B", "add:C", genre="A") == {"genre": ("B",)}


@pytest.mark.parametrize(
    ("action", "value"),
    [
        ("releasedate/replace:1999-12-31T23::59", "1999-12-31"),
        ("releasedate/replace: 1999 ", "1999"),
        ("releasetype/replace:EP", "ep"),
        ("releasetype/delete", "unknown"),
        ("tracknumber/delete", "1"),
        ("discnumber/replace:", "1"),
        ("new/replace:False", "false"),
        ("tracktitle/sed:$:\u0301", "titl\u00e9"),
    ],
)
def test_a_value_is_what_reading_it_again_will_give(action: str, value: str) -> None:
    before = {"releasedate": "2001", "releasetype": "album", "tracknumber": "7", "discnumber": "2"}
    tag = action.partition("/")[0]
    assert after("label:", action, **before, new="true", tracktitle="title") == {tag: (value,)}


@pytest.mark.parametrize(
    ("action", "tag", "message"),
    [
        ("releasedate/sed:20:MM", "releasedate", 'cannot become "MM01": a date is YYYY or YYYY-MM-DD'),
        ("new/sed:t:", "new", 'cannot become "rue": new is true or false'),
        ("new/sed:.*:", "new", 'cannot become "": new is true or false, and never neither'),
        ("releasetype/sed:$:s", "releasetype", "cannot become \"albums\": 'albums' is none of album, single"),
        ("tracknumber/sed:$:/9", "tracknumber", "cannot become \"7/9\": '7/9' is no single number"),
        ("genre/sed:A:A // B", "genre", "'A / B' holds what separates one value from the next"),
        ("tracktitle/sed:t:\\0", "tracktitle", 'cannot become "␀i␀le": '),
    ],
)
def test_what_cannot_be_a_value_is_refused_with_tag_and_value(action: str, tag: Tag, message: str) -> None:
    before = {"releasedate": "2001", "releasetype": "album", "tracknumber": "7", "genre": "A"}
    with pytest.raises(RuleValueError) as caught:
        after("label:", action, **before, new="true", tracktitle="title")
    assert caught.value.tag == tag
    assert f"{tag} " in str(caught.value)
    assert message in str(caught.value)


def test_a_value_that_no_action_changes_is_not_judged() -> None:
    assert after("label:", "genre:x/replace:y", "genre/sed:q:r", genre="a / b") == {}


def test_tags_that_the_thing_does_not_have_stay_away() -> None:
    actions = [parse_action("tracktitle,edition/replace:x", parse_matcher("label:"))]
    assert act(actions, {"edition": ()}) == {"edition": ("x",)}


def test_python_s_warnings_about_a_regular_expression_are_not_the_user_s() -> None:
    assert after("label:", "genre/sed:[[a]:x", genre="[a") == {"genre": ("xx",)}  # "possible nested set"


def test_derived_tags_stay() -> None:
    before = {**NOTHING, "genre": ("K-Pop",), "parentgenre": ("Pop",), "tracktotal": ("9",)}
    found = act([parse_action("genre/delete", parse_matcher("label:"))], before)
    assert {tag: found[tag] for tag in DERIVED_TAGS} == {tag: before[tag] for tag in DERIVED_TAGS}
