"""Rules, and values that they are tried on, that would take long or much."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator

import pytest

from rosefs.rules.acting import act
from rosefs.rules.errors import RuleTimeError
from rosefs.rules.model import TAGS, Tag
from rosefs.rules.parsing import parse_action, parse_matcher
from tests.support import targets
from tests.support.probing import Probe

ENDLESS = r"sed:(a+)+$:x"


@pytest.fixture(scope="module")
def probe() -> Iterator[Probe]:
    with Probe() as running:
        yield running


def titled(title: str) -> dict[Tag, tuple[str, ...]]:
    return {**dict.fromkeys(TAGS, ()), "tracktitle": (title,)}


@pytest.mark.parametrize(
    "text",
    [
        "tracktitle:" + "\\" * 300_000,
        "tracktitle:" + "\\" * 300_001 + "$",
        "tracktitle:^" + "\\" * 300_000 + "^$$",
        "tracktitle:" + "\\^" * 150_000,
        "tracktitle:x" + "\nsplit:" + "\\" * 300_000,
    ],
    ids=["backslashes", "before the end", "between anchors", "anchors", "delimiter"],
)
def test_long_runs_of_backslashes(text: str, probe: Probe) -> None:
    assert probe.measure(targets.rule, text).complaints() == []


@pytest.mark.parametrize("count", [4, 5])
def test_half_of_the_backslashes_before_an_anchor_are_left(count: int) -> None:
    backslashes = "\\" * count
    assert parse_matcher(f"tracktitle:{backslashes}^b").pattern.text == "\\\\^b"
    ending = parse_matcher(f"tracktitle:b{backslashes}$").pattern
    assert (ending.text, ending.at_end) == (("b\\\\", True) if count == 4 else ("b\\\\$", False))


def test_a_regular_expression_that_finds_no_end_is_ended() -> None:
    matcher = parse_matcher("tracktitle:a")
    handler, timer = signal.getsignal(signal.SIGVTALRM), signal.getitimer(signal.ITIMER_VIRTUAL)
    with pytest.raises(RuleTimeError, match=r"too long on tracktitle.*aaaaa…") as caught:
        act([parse_action(ENDLESS, matcher)], titled("a" * 300 + "b"))
    assert len(str(caught.value)) < 300
    assert (signal.getsignal(signal.SIGVTALRM), signal.getitimer(signal.ITIMER_VIRTUAL)) == (handler, timer)
    assert act([parse_action(ENDLESS, matcher)], titled("aaa"))["tracktitle"] == ("x",)


def test_a_value_that_is_too_long_is_not_tried() -> None:
    matcher = parse_matcher("tracktitle:a")
    action = parse_action("sed:a:" + "b" * 100, matcher)
    assert len(act([action], titled("a" * 1000))["tracktitle"][0]) == 100_000
    with pytest.raises(RuleTimeError):
        act([action], titled("a" * 100_001))


def test_in_another_thread_nothing_is_limited_and_nothing_fails() -> None:
    matcher = parse_matcher("tracktitle:a")
    found = []
    thread = threading.Thread(
        target=lambda: found.append(act([parse_action(ENDLESS, matcher)], titled("aaa"))["tracktitle"])
    )
    thread.start()
    thread.join()
    assert found == [("x",)]
