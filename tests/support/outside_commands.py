"""Commands to look at while they work on a library that would have them write elsewhere (see ``outside``)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tests.support.outside import OTHER_RELEASE, OTHER_TRACK, PRECIOUS, RELEASE, TRACK, Place, Seen, look_at

SETTINGS: Mapping[str, dict[str, object]] = {
    "plain": {},
    "renames": {"rename_source_files": True},
    "renames out by templates": {
        "rename_source_files": True,
        "path_templates": {
            "source": {
                "release": "../../outside/{{ releasetitle }}",
                "track": "{{ '..' }}/../../outside/{{ tracktitle }}/../{{ tracknumber }}",
            }
        },
    },
    "renames to a place by templates": {
        "rename_source_files": True,
        "path_templates": {
            "source": {
                "release": "/{{ releasetitle }}/{{ labels }}",
                "track": "/tmp/{{ labels }}/../{{ tracktitle }}",
            }
        },
    },
    "ids in datafiles": {"write_ids_to_tags": False},
    "parent genres": {"write_parent_genres": True},
}
"""Configurations, by what is special about them."""


@dataclass(frozen=True)
class Command:
    """A command, and what comes of it in the order in which they are, of a library of ``make_place``.

    Attributes:
        arguments: What follows ``rosefs``.
        status: With what it ends.
        changes: Whether it has to change something in the source.
    """

    arguments: tuple[str, ...]
    status: int = 0
    changes: bool = True


_OUT = "../../outside/new"


def commands(place: Place) -> Iterator[Command]:
    """Yields commands that change something, or are refused: most are told to change something elsewhere."""
    image = str(place.outside / f"{PRECIOUS}.png")
    yield _command("cache", "update")
    yield _command("cache", "update", "--force")
    yield _command("releases", "import", str(place.incoming / "album"))
    yield _command("releases", "import", "--move", str(place.incoming / "album 2"))
    for release, refused in ((OTHER_RELEASE, 0), (RELEASE, 1)):  # of whose files some are links
        yield _command("releases", "toggle-new", release, status=refused)
        yield _command("releases", "set-cover", release, image)
        yield _command("releases", "delete-cover", release)
        yield _command("releases", "edit", release, status=refused)
        rule = f"releasetitle/replace:{_escaped(_OUT)}"
        yield _command("releases", "run-rule", release, rule, "--yes", status=refused)
    yield _command("releases", "extract-covers")
    yield _command("releases", "create-single", OTHER_TRACK)
    out = _escaped(f"{place.outside}/x")
    yield _command("rules", "run", "tracktitle:outside", f"tracktitle/replace:{out}", "--yes")
    for kind, members in (("collages", (OTHER_RELEASE, RELEASE)), ("playlists", (OTHER_TRACK, TRACK))):
        yield _command(kind, "create", "mine")
        for name in (_OUT, "..", str(place.outside / "x"), ".", "a/b"):
            yield _command(kind, "create", name, status=1)
        yield _command(kind, "rename", "mine", "yours")
        yield _command(kind, "rename", "yours", _OUT, status=1)
        for name in ("yours", "plain"):
            for member in members:
                is_new = (name, member) != ("plain", RELEASE)
                yield _command(kind, "add", name, member, changes=is_new)
            yield _command(kind, "edit", name)
            for member in members:
                yield _command(kind, "remove", name, member)
        yield _command(kind, "delete", "yours")
        yield _command(kind, "add", "linked", members[0], status=1)
        yield _command(kind, "edit", "linked", changes=False)  # which is empty, as far as anybody knows
        yield _command(kind, "remove", "linked", members[0], status=1)
        yield _command(kind, "rename", "linked", "linked again")
        yield _command(kind, "delete", "linked again")
    yield _command("playlists", "set-cover", "plain", image)
    yield _command("playlists", "delete-cover", "plain")
    yield _command("doctor", changes=False)
    yield _command("history", changes=False)
    for _ in range(4):
        yield _command("undo")
    for release in (OTHER_RELEASE, RELEASE):
        yield _command("releases", "delete", release)
        yield _command("undo")
    yield _command("cache", "update")


def _command(*arguments: str, status: int = 0, changes: bool = True) -> Command:
    return Command(arguments, status, changes and status == 0)


def _escaped(text: str) -> str:
    """Returns a text as a rule takes it."""
    return text.replace("/", "//")


def few_commands(place: Place) -> list[Command]:
    """Returns the first command of the kinds that differ most, in order, and one that is refused."""
    found: dict[tuple[str, ...], Command] = {}
    for each in commands(place):
        found.setdefault(each.arguments[:2], each)
    left = {kind for kind in found if kind[0] in ("collages", "doctor", "history")}
    left |= {(of, "delete-cover") for of in ("releases", "playlists")}
    left |= {("releases", "run-rule"), ("releases", "extract-covers"), ("playlists", "remove")}
    left.add(("playlists", "edit"))  # of one member there is nothing to turn around
    refused = Command(("playlists", "create", _OUT), 1, changes=False)
    return [each for kind, each in found.items() if kind not in left] + [refused]


def look_at_command(place: Place, *arguments: str, status: int | None = None) -> Seen:
    """Looks at a command: what it imports by moving is moved, and what is edited is a temporary file meanwhile.

    Args:
        place: Where it is run.
        arguments: What follows ``rosefs``.
        status: What it has to end with; None if it may be refused. A command line that is wrong never will do.
    """
    allowed = [place.incoming] if "--move" in arguments else []
    allowed += [place.top / "tmp"] if "edit" in arguments else []

    def run() -> None:
        ended = place.run(*arguments)
        assert status in (None, ended), (arguments, ended)

    return look_at(place, run, *allowed)
