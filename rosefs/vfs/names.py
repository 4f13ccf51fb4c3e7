"""Virtual names: made by templates once, made distinct in a directory, and remembered when they change.

A name belongs to one thing while it is listed, and for two hours after a retag or a renumbering took it
away: it is not listed then, still found, and nothing else gets it. Nothing here asks the cache or a clock.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping
from typing import NamedTuple

from rosecache.config import Config
from rosecache.errors import TemplateError
from rosecache.model import Release, Track
from rosecache.names import distinct_name, distinct_names, safe_name
from rosecache.naming import naming_of
from rosecache.templates import NameTemplate, TemplateKind
from rosefs.vfs.nodes import Key, Node

log = logging.getLogger(__name__)

RETIRED_SECONDS = 2 * 3600
"""How long a name that a change took away still works."""

_MAX_NAMES = 200_000


class Candidate(NamedTuple):
    """Something that a directory is going to list: the name it should have, and its place among equals."""

    wanted: str
    rank: str
    node: Node


class Follower(NamedTuple):
    """Something that is named after what the others in the directory are called."""

    wanted: Callable[[Mapping[Key, str]], str]
    rank: str
    node: Node


_Version = tuple[str, str]


class Namer:
    """Evaluates name templates, once per template and version of a release or track.

    Views that have the same template share its names, unless it depends on where the name is shown.

    Names that the cache has of a release or track, as of most, are not made here.

    Attributes:
        naming: What stored names have to be made by, so that they are the same.
        evaluations: How many templates were evaluated.
    """

    def __init__(self, c: Config) -> None:
        self._c = c
        self._names: dict[tuple[str, str], dict[tuple[str, str | None], tuple[_Version, str]]] = {}
        self._templates: dict[tuple[str, str], NameTemplate] = {}
        self._failing: set[NameTemplate] = set()
        self._count = 0
        self.naming = naming_of(c)
        self.evaluations = 0

    def place(self, template: NameTemplate) -> int | None:
        """Returns where among the stored names of a thing that by a template is; None if it is not stored."""
        return self.naming.place("release" if template.kind == "release" else "track", template.text)

    def template(self, view: str, kind: str) -> NameTemplate:
        """Returns the template for a view's ``release``, ``track``, ``all_tracks`` or ``playlist`` names."""
        found = self._templates.get((view, kind))
        if found is None:
            if kind == "playlist":
                found = NameTemplate(self._c.path_templates.playlists, "playlist-track")
            else:
                names: TemplateKind = "release" if kind == "release" else "track"
                found = NameTemplate(self._c.path_templates.of_view(view, kind), names)
            self._templates[view, kind] = found
        return found

    def name(
        self,
        template: NameTemplate,
        entity: Release | Track,
        *,
        position: str | None = None,
        context: Mapping[str, str] | None = None,
    ) -> str:
        """Returns a safe name; a track's with the extension of its source file, in lower case."""
        where = ""
        if template.uses_context:
            where = repr(sorted((context or {}).items()))
        else:
            position = None
        names = self._names.setdefault((template.text, where), {})
        # What a track is called may depend on its release, whose hash covers all its tracks.
        release = entity.release if isinstance(entity, Track) else entity
        version = (entity.metahash, release.metahash)
        known = names.get((entity.id, position))
        if known is not None and known[0] == version:
            return known[1]
        text = self._evaluate(template, entity, position, context)
        extension = entity.source_path.suffix.lower() if isinstance(entity, Track) else ""
        name = safe_name(text, max_bytes=self._c.max_filename_bytes, extension=extension)
        if known is None:
            self._make_room()
        names[entity.id, position] = (version, name)
        return name

    def _evaluate(
        self,
        template: NameTemplate,
        entity: Release | Track,
        position: str | None,
        context: Mapping[str, str] | None,
    ) -> str:
        self.evaluations += 1
        try:
            return template.render(entity, position=position, context=context)
        except TemplateError as error:
            if template not in self._failing:
                self._failing.add(template)
                log.warning("names are those of the source: %s", error)
            path = entity.source_path
            return path.stem if isinstance(entity, Track) else path.name

    def forget(self) -> None:
        """Lets go of all names. They are made again when they are asked for."""
        self._names.clear()
        self._count = 0

    def _make_room(self) -> None:
        self._count += 1
        if self._count > _MAX_NAMES:
            self.forget()


class NameMemory:
    """Names that were taken away in one directory, and until when they still work."""

    __slots__ = ("_retired",)

    def __init__(self, retired: Mapping[str, tuple[Key, float]]) -> None:
        self._retired = dict(retired)

    def __bool__(self) -> bool:
        return bool(self._retired)

    def find(self, name: str, now: float) -> Key | None:
        """Returns to whom a retired name still belongs."""
        retired = self._retired.get(name)
        return retired[0] if retired is not None and now < retired[1] else None

    def all(self) -> dict[str, Key]:
        """Returns to whom each retired name belongs, or belonged until lately."""
        return {name: key for name, (key, _) in self._retired.items()}

    def owners(self, now: float) -> dict[str, Key]:
        """Returns to whom each retired name belongs, and lets go of those whose time is over."""
        for name in [name for name, (_, until) in self._retired.items() if until <= now]:
            del self._retired[name]
        return {name: key for name, (key, _) in self._retired.items()}

    def has_any(self, now: float) -> bool:
        """Tells whether any retired name still works."""
        return any(now < until for _, until in self._retired.values())

    def holds(self, key: Key, now: float) -> bool:
        """Tells whether something still has a retired name."""
        return any(owner == key and now < until for owner, until in self._retired.values())

    def updated(
        self, listed: Mapping[str, Node], lost: Iterable[tuple[str, Key]], until: float
    ) -> NameMemory:
        """Returns one in which what was lost is retired, and what is listed again is not any more."""
        retired = self._retired | {name: (key, until) for name, key in lost}
        left = {name: owner for name, owner in retired.items() if name not in listed}
        return NameMemory(left) if left else NO_NAMES

    def release(self, name: str) -> None:
        """Lets go of a name."""
        self._retired.pop(name, None)


NO_NAMES = NameMemory({})
"""The memory of most directories."""


class _Taken(Container[str]):
    """The names that one thing in a directory cannot have."""

    def __init__(self, wanted: Iterable[str], owners: Mapping[str, Key], used: set[str]) -> None:
        self._all_wanted = set(wanted)
        self._owners = owners
        self._used = used
        self.key: Key | None = None
        self.wanted = ""

    def __contains__(self, name: object) -> bool:
        if not isinstance(name, str) or name in self._used:
            return True
        owner = self._owners.get(name)
        if owner is not None and owner != self.key:
            return True
        return name != self.wanted and name in self._all_wanted


def assign_names(
    candidates: Collection[Candidate],
    owners: Mapping[str, Key],
    previous: Mapping[Key, str],
    *,
    extensions: bool,
    max_bytes: int,
) -> Iterator[tuple[str, Node]]:
    """Yields the things with the names that they get, in their order.

    Args:
        candidates: What there is to name.
        owners: Names that belong to something already, listed or retired: nothing else gets them.
        previous: The name that each had until now.
        extensions: The names are those of files.
        max_bytes: The most bytes that a name may have.
    """
    if not owners:
        names = distinct_names(
            [(candidate.wanted, candidate.rank) for candidate in candidates],
            extensions=extensions,
            max_bytes=max_bytes,
        )
        yield from zip(names, (candidate.node for candidate in candidates), strict=True)
        return
    listed = list(candidates)
    used: set[str] = set()
    taken = _Taken((candidate.wanted for candidate in listed), owners, used)
    assigned: dict[int, str] = {}
    others: list[int] = []
    for index, (wanted, _, node) in enumerate(listed):
        # Most have the name that they want, which belongs to them: nobody else can get it.
        if previous.get(node.key) == wanted and wanted not in used and owners.get(wanted) == node.key:
            assigned[index] = wanted
            used.add(wanted)
        else:
            others.append(index)
    # Who had the lower number before has the first choice, and newcomers the last.
    others.sort(key=lambda index: _precedence(listed[index], previous.get(listed[index].node.key)))
    for index in others:
        taken.wanted, _, node = listed[index]
        taken.key = node.key
        name = distinct_name(taken.wanted, taken, extensions=extensions, max_bytes=max_bytes)
        used.add(name)
        assigned[index] = name
    yield from ((assigned[index], candidate.node) for index, candidate in enumerate(listed))


_NUMBER = re.compile(r" \[[0-9]+\](?=(\.[^.]*)?\Z)")


def unnumbered(name: str) -> str:
    """Returns a name without the number that tells it from its equals."""
    return _NUMBER.sub("", name)


def _precedence(candidate: Candidate, previous: str | None) -> tuple[int, int, str, str]:
    if previous is None or (previous != candidate.wanted and _NUMBER.sub("", previous) != candidate.wanted):
        return (1, 0, "", candidate.rank)
    # Of "x", "x [2]" and "x [10]" the shorter is the lower number.
    return (0, len(previous), previous, candidate.rank)
