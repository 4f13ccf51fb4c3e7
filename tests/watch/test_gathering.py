"""When a place is looked at: once it is quiet, not too late, and again when an update could not finish with it."""

from __future__ import annotations

import math

import pytest

from rosefs.watch.gathering import (
    AGAIN,
    BACKOFF,
    BURST,
    BUSY,
    CAP,
    QUIET,
    QUIET_NEW,
    Gatherer,
    Ripe,
)
from rosefs.watch.places import EVERYTHING, Place

A, B = Place("release", b"a"), Place("release", b"b")
MOMENT = 0.001


def taken(gatherer: Gatherer, now: float) -> list[Place]:
    return [ripe.place for ripe in gatherer.take_ripe(now)]


def take_one(gatherer: Gatherer, now: float) -> Ripe:
    (ripe,) = gatherer.take_ripe(now)
    return ripe


def test_where_nothing_happens_nothing_is_due() -> None:
    gatherer = Gatherer()
    assert gatherer.next_due() == math.inf
    assert gatherer.take_ripe(1e9) == []


def test_a_place_is_looked_at_once_when_it_is_quiet() -> None:
    gatherer = Gatherer()
    for now in (10.0, 10.1, 10.2):
        gatherer.touch(A, now)
        assert gatherer.take_ripe(now + QUIET - MOMENT) == []
    assert gatherer.next_due() == pytest.approx(10.2 + QUIET)
    assert taken(gatherer, 10.2 + QUIET + MOMENT) == [A]
    assert gatherer.next_due() == math.inf


def test_each_place_has_its_own_quiet() -> None:
    gatherer = Gatherer()
    gatherer.touch(A, 10.0)
    gatherer.touch(B, 10.0)
    gatherer.touch(B, 10.2)
    assert taken(gatherer, 10.0 + QUIET + MOMENT) == [A]
    assert taken(gatherer, 10.2 + QUIET + MOMENT) == [B]


def test_a_place_that_is_never_quiet_is_looked_at_all_the_same() -> None:
    gatherer = Gatherer()
    now, looks = 10.0, []
    while now < 10.0 + 2.5 * CAP:
        gatherer.touch(A, now)
        now += QUIET / 2
        looks += gatherer.take_ripe(now)
    assert len(looks) == 2


def test_a_new_release_that_is_being_written_is_waited_for_however_long() -> None:
    gatherer = Gatherer()
    gatherer.touch(A, 10.0)
    ripe = take_one(gatherer, 10.0 + QUIET + MOMENT)
    assert not ripe.quiet
    gatherer.wait_for_whole(ripe, 10.4)
    assert gatherer.next_due() == pytest.approx(10.0 + QUIET_NEW)
    now = 10.5
    while now < 60:
        gatherer.touch(A, now)
        now += QUIET / 2
        assert gatherer.take_ripe(now) == []
    now += QUIET
    ripe = take_one(gatherer, now)
    gatherer.wait_for_whole(ripe, now)
    ripe = take_one(gatherer, now + QUIET_NEW)
    assert ripe.quiet
    gatherer.wait_for_whole(ripe, now)  # quiet, but a program has one of its files open
    assert gatherer.next_due() == now + BUSY


def test_what_happens_while_a_place_is_looked_at_counts() -> None:
    gatherer = Gatherer()
    gatherer.touch(A, 10.0)
    ripe = take_one(gatherer, 11.0)
    gatherer.touch(A, 11.1)
    gatherer.look_again(ripe, 11.2)
    assert gatherer.next_due() == pytest.approx(11.1 + QUIET)
    assert take_one(gatherer, 12.0).looks == 0


def test_what_is_left_for_later_is_looked_at_again_but_not_for_ever() -> None:
    gatherer = Gatherer()
    gatherer.touch(A, 10.0)
    now = 11.0
    for pause in AGAIN:
        gatherer.look_again(take_one(gatherer, now), now)
        assert gatherer.next_due() == now + pause
        now += pause
    gatherer.look_again(take_one(gatherer, now), now)
    assert gatherer.next_due() == math.inf


def test_an_event_takes_the_place_of_another_look() -> None:
    gatherer = Gatherer()
    gatherer.touch(A, 10.0)
    gatherer.look_again(take_one(gatherer, 11.0), 11.0)
    gatherer.touch(A, 12.0)
    assert gatherer.next_due() == 12.0 + QUIET
    assert take_one(gatherer, 13.0).looks == 0


def test_what_fails_is_tried_again_for_ever_and_ever_less_often() -> None:
    gatherer = Gatherer()
    gatherer.touch(A, 0.0)
    now, pauses = 1.0, []
    for _ in range(40):
        gatherer.try_again(gatherer.take_ripe(now), now)
        pauses.append(gatherer.next_due() - now)
        now = gatherer.next_due()
    assert (pauses[0], pauses[-1]) == BACKOFF
    assert pauses == sorted(pauses)


def test_after_a_burst_everything_is_looked_at_when_it_is_over() -> None:
    gatherer = Gatherer()
    places = [Place("release", str(number).encode()) for number in range(BURST + 1)]
    for place in places[:BURST]:
        gatherer.touch(place, 10.0)
    assert EVERYTHING not in taken(gatherer, 10.0 + QUIET + MOMENT)
    for place in places:
        gatherer.touch(place, 11.0)
    assert set(taken(gatherer, 11.0 + QUIET + MOMENT)) == set(places)
    gatherer.touch(A, 11.9)
    assert taken(gatherer, 12.5) == [A]
    assert taken(gatherer, 13.0) == [EVERYTHING]
    gatherer.touch(A, 20.0)
    assert taken(gatherer, 30.0) == [A]


def test_a_pace_makes_quiet_longer_than_the_time_between_two_looks() -> None:
    gatherer = Gatherer()
    gatherer.set_pace(10.0)
    gatherer.touch(A, 0.0)
    gatherer.touch(A, 10.0)
    assert gatherer.take_ripe(20.0) == []
    assert take_one(gatherer, 26.0).quiet
