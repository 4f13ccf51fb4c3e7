"""The rule of bound names, for whatever happens in a directory: one that lists what it is told to."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from rosecache.config import Config
from rosefs.settings import VfsSettings
from rosefs.vfs.building import Built
from rosefs.vfs.directories import Context, Directory
from rosefs.vfs.freshness import Versions
from rosefs.vfs.names import RETIRED_SECONDS, Candidate, Namer
from rosefs.vfs.nodes import DirectoryNode, Key, Node
from tests.support.browsing import Clock

TITLES = ("Live", "Live [2]", "Studio", "x" * 255)
THINGS = "abcdef"


class Shelf(Directory):
    """Lists things by their titles. What is not titled is elsewhere; what is in ``gone`` is nowhere."""

    def __init__(self, clock: Clock) -> None:
        c = Config(music_source_dir=Path("/nowhere"))
        super().__init__(Key("shelf", "", ""), Context(c, VfsSettings(), Namer(c), Versions(), clock))
        self.titles: dict[str, str] = {}
        self.gone: set[str] = set()

    def change(self, titles: dict[str, str], gone: set[str]) -> None:
        self.titles, self.gone = titles, gone
        self.context.versions.resync()
        self.drop()

    def build(self, generation: int) -> Built:
        return Built(
            [
                Candidate(title, thing, DirectoryNode(Key("shelf", "", thing), "", 0, generation))
                for thing, title in self.titles.items()
                if thing not in self.gone
            ]
        )

    def survivors(self, keys: Collection[Key]) -> Collection[Key]:
        return [key for key in keys if key.entity not in self.gone]

    def fetch(self, key: Key) -> Node | None:
        return None if key.entity in self.gone else DirectoryNode(key, "", 0, 0)

    def listed(self) -> dict[str, str]:
        return {name: node.key.entity for name, node in self.entries().names.items()}

    def found(self, name: str) -> str | None:
        node = self.find(name)
        return None if node is None else node.key.entity


steps = st.lists(
    st.tuples(
        st.dictionaries(st.sampled_from(THINGS), st.sampled_from(TITLES)),
        st.sets(st.sampled_from(THINGS), max_size=2),
        st.sampled_from([60, RETIRED_SECONDS // 2, RETIRED_SECONDS]),
    ),
    min_size=1,
    max_size=8,
)


@given(steps)
def test_a_name_means_one_thing_for_two_hours_after_it_was_listed(
    history: list[tuple[dict[str, str], set[str], int]],
) -> None:
    clock = Clock()
    shelf = Shelf(clock)
    owners: dict[str, tuple[str, float]] = {}
    for titles, gone, seconds in history:
        shelf.change(titles, gone)
        taken_away = clock.now
        listed = shelf.listed()
        assert sorted(listed.values()) == sorted(titles.keys() - gone)
        assert all(len(name.encode()) <= 255 for name in listed)
        owners = {
            name: (thing, until)
            for name, (thing, until) in owners.items()
            if thing not in gone and clock.now < until
        }
        for name, (thing, _) in owners.items():
            assert shelf.found(name) == thing
        owners |= {name: (thing, float("inf")) for name, thing in listed.items()}
        for name, thing in listed.items():
            assert shelf.found(name) == thing
        clock.advance(seconds)
        # The next change takes away what it takes away at that time.
        owners = {
            name: (thing, until if name in listed else min(until, taken_away + RETIRED_SECONDS))
            for name, (thing, until) in owners.items()
        }


def test_numbers_close_up_when_names_are_free_again() -> None:
    clock = Clock()
    shelf = Shelf(clock)
    shelf.change(dict.fromkeys("abc", "Live"), set())
    assert shelf.listed() == {"Live": "a", "Live [2]": "b", "Live [3]": "c"}
    shelf.change(dict.fromkeys("bc", "Live"), {"a"})
    assert shelf.listed() == {"Live": "b", "Live [3]": "c"}
    clock.advance(RETIRED_SECONDS)
    shelf.change(dict.fromkeys("bc", "Live"), {"a"})
    assert shelf.listed() == {"Live": "b", "Live [2]": "c"}


def test_a_thing_that_comes_back_gets_its_name_back() -> None:
    shelf = Shelf(Clock())
    shelf.change({"a": "Live"}, set())
    assert shelf.listed() == {"Live": "a"}
    shelf.change({"b": "Live"}, set())
    assert shelf.listed() == {"Live [2]": "b"}
    shelf.change({"a": "Live", "b": "Live"}, set())
    assert shelf.listed() == {"Live": "a", "Live [2]": "b"}
