"""The guide to the rule language says what is true: each of its examples is read and run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rosecache.model import RELEASE_TYPES, ROLES
from rosefs.rules.acting import act
from rosefs.rules.checking import WITHOUT
from rosefs.rules.errors import RuleSyntaxError
from rosefs.rules.model import ALIASES, TAGS, Tag
from rosefs.rules.parsing import parse_rule
from rosefs.rules.values import matches_track

GUIDE = (Path(__file__).parents[2] / "docs/rules.md").read_text(encoding="utf-8")


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)


def lines_of(block: str) -> dict[str, list[str]]:
    """Returns the texts of an example by the word before them."""
    found: dict[str, list[str]] = {"ignore": []}
    for line in block.removesuffix("\n").split("\n"):
        word, _, text = line.partition(" ")
        found.setdefault(word, []).append(text.removeprefix(" " * (8 - len(word))))
    return found


def values_in(text: str) -> dict[Tag, tuple[str, ...]]:
    """Reads ``tag: value, value; tag: value``."""
    found: dict[Tag, tuple[str, ...]] = {}
    tags = "|".join(map(re.escape, TAGS))
    parts = re.split(rf"(?:^|; )({tags}):", text)
    assert parts[0] == ""
    for tag, values in zip(parts[1::2], parts[2::2], strict=True):
        found[tag] = tuple(filter(None, (value.strip() for value in values.split(", "))))
    return found


def track_with(values: dict[Tag, tuple[str, ...]]) -> dict[Tag, tuple[str, ...]]:
    defaults = {tag: (value,) for tag, value in WITHOUT.items()}
    return {**dict.fromkeys(TAGS, ()), **defaults, "new": ("false",), **values}


def test_there_is_an_example_for_each_kind_of_action_and_each_way_to_say_what_it_is_about() -> None:
    examples = [lines_of(block) for block in blocks("rule")]
    actions = "\n".join(action for example in examples for action in example["action"])
    for kind in ("replace", "sed", "split", "add", "delete"):
        assert re.search(rf"^{kind}\b", actions, re.MULTILINE)
    for target in ("matched/", "matched:/", "matched:Dance/", "label/", "label:^yg$:i/"):
        assert f"\n{target}" in actions
    assert any(example["ignore"] for example in examples)


@pytest.mark.parametrize("block", blocks("rule"), ids=lambda block: str(block.splitlines()[:2]))
def test_examples(block: str) -> None:
    lines = lines_of(block)
    [matcher] = lines["matcher"]
    rule = parse_rule(matcher, lines["action"], lines["ignore"])
    before, expected = (values_in(*lines[word]) for word in ("before", "after"))
    values = track_with(before)
    is_meant = matches_track(rule.matcher, values) and not any(matches_track(m, values) for m in rule.ignore)
    found = act(rule.actions, values) if is_meant else values
    assert found == {**values, **expected}
    assert set(before) <= set(expected), "what becomes of every value is said"


@pytest.mark.parametrize("block", blocks("error"))
def test_errors(block: str) -> None:
    first, _, message = block.partition("\n")
    kind, _, text = first.partition(" ")
    matcher, actions = (text.strip(), []) if kind == "matcher" else ("genre:x", [text.strip()])
    with pytest.raises(RuleSyntaxError) as caught:
        parse_rule(matcher, actions)
    assert f"{caught.value}\n" == message


def test_every_tag_role_and_type_is_in_the_guide() -> None:
    named = {tag.partition("[")[0] for tag in TAGS}
    for word in (*named, *ALIASES, *ROLES, *RELEASE_TYPES, "trackartist[role]", "releaseartist[role]"):
        assert f"`{word}`" in GUIDE
