"""Collages and playlists as text: one line a member, moved and removed in an editor."""

from __future__ import annotations

import time
import tomllib
from pathlib import Path

import pytest

from rosecache.config import Config
from rosecache.query.tracks import list_tracks
from rosecache.update import update_cache
from rosefs.library import lists
from rosefs.library.errors import EditTextError, NotFoundError
from rosefs.library.journal import Journal
from rosefs.library.lists import COLLAGES, PLAYLISTS
from rosefs.library.listtext import apply_text, edit_text
from tests.support.audio import make_release


@pytest.fixture
def ids(c: Config) -> list[str]:
    """Five tracks: ``A``, ``B``, two called ``C``, and ``C [2]``."""
    for number, title in enumerate(("A", "B", "C", "C", "C [2]"), start=1):
        make_release(c.music_source_dir, f"{number}", tracks=1, title=title, album=str(number), date=None)
    update_cache(c)
    return [track.id for track in list_tracks(c)]


@pytest.fixture
def path(c: Config, journal: Journal, ids: list[str]) -> Path:
    """A playlist ``run`` of A, B, A again, both C and C [2]."""
    path = lists.create(c, journal, PLAYLISTS, "run")
    lists.add(c, journal, PLAYLISTS, "run", [ids[0], ids[1], ids[0], *ids[2:]])
    return path


def order(path: Path, ids: list[str]) -> list[int]:
    return [ids.index(entry["uuid"]) for entry in tomllib.loads(path.read_text()).get("tracks", [])]


def test_every_member_has_a_line_of_its_own(c: Config, path: Path) -> None:
    before = "[0000-00-00] Artist - "
    assert edit_text(c, PLAYLISTS, "run").lines == tuple(
        before + title for title in ("A", "B", "A [2]", "C", "C [3]", "C [2]")
    )
    assert edit_text(c, PLAYLISTS, "run").text.count("\n") == 6


def test_thousands_of_members_of_one_title_are_gone_through_once(
    c: Config, journal: Journal, path: Path, ids: list[str]
) -> None:
    path.write_text(5000 * f'[[tracks]]\nuuid = "{ids[0]}"\ndescription_meta = "A"\n')
    before = time.process_time()
    text = edit_text(c, PLAYLISTS, "run")
    assert text.lines[:3] + text.lines[-1:] == ("A", "A [2]", "A [3]", "A [5000]")
    apply_text(c, journal, text, "\n".join(reversed(text.lines)))
    assert (
        time.process_time() - before < 15
    )  # of which one is used; going through all for each takes a minute


def test_lines_are_moved_and_removed(c: Config, journal: Journal, path: Path, ids: list[str]) -> None:
    text = edit_text(c, PLAYLISTS, "run")
    _, b, second_a, _, second_c, c2 = text.lines
    done = apply_text(c, journal, text, f"\n{second_c}\n{second_a}  \n\n{b}\n{c2}")
    assert order(path, ids) == [3, 0, 1, 4]
    assert (done.removed, done.reordered) == (2, True)


def test_the_same_text_changes_nothing(c: Config, journal: Journal, path: Path) -> None:
    before, edits = path.read_bytes(), journal.history()
    text = edit_text(c, PLAYLISTS, "run")
    done = apply_text(c, journal, text, text.text)
    assert (done.removed, done.reordered) == (0, False)
    assert path.read_bytes() == before
    assert journal.history() == edits


def test_an_empty_text_removes_all(c: Config, journal: Journal, path: Path, ids: list[str]) -> None:
    done = apply_text(c, journal, edit_text(c, PLAYLISTS, "run"), "\n")
    assert (done.removed, done.reordered) == (6, False)
    assert order(path, ids) == []


@pytest.mark.parametrize(
    ("change", "number", "reason"),
    [
        (lambda lines: [*lines, "something new"], 7, "no member of the playlist has this line"),
        (lambda lines: ["", lines[0].lower(), *lines[1:]], 2, "no member"),
        (lambda lines: [*lines, lines[1]], 7, "this is line 2 again"),
    ],
)
def test_a_line_that_is_no_members_is_named_and_nothing_changed(
    c: Config, journal: Journal, path: Path, change: object, number: int, reason: str
) -> None:
    assert callable(change)
    before = path.read_bytes()
    text = edit_text(c, PLAYLISTS, "run")
    with pytest.raises(EditTextError, match=reason) as raised:
        apply_text(c, journal, text, "\n".join(change(text.lines)))
    assert raised.value.number == number
    assert path.read_bytes() == before


def test_what_others_do_meanwhile_is_kept(c: Config, journal: Journal, path: Path, ids: list[str]) -> None:
    text = edit_text(c, PLAYLISTS, "run")
    lists.add(c, journal, PLAYLISTS, "run", [ids[1], ids[0]])
    lists.remove(c, journal, PLAYLISTS, "run", ids[2])
    make_release(c.music_source_dir, "1", tracks=1, title="Renamed", album="1", date=None)
    update_cache(c)
    done = apply_text(c, journal, text, "\n".join(reversed(text.lines)))
    assert order(path, ids)[-2:] == [1, 0]
    assert order(path, ids)[:-2] == [4, 3, 0, 1, 0]
    assert done.removed == 0


def test_descriptions_that_are_no_line(c: Config, journal: Journal) -> None:
    c.collages_dir.mkdir()
    (c.collages_dir / "mix.toml").write_text(
        '[[releases]]\nuuid = "a"\ndescription_meta = "two\\nlines\\u2028and more"\n'
        '[[releases]]\nuuid = "b"\ndescription_meta = ""\n'
        '[[releases]]\nuuid = "c"\ndescription_meta = "# no comment"\n'
    )
    text = edit_text(c, COLLAGES, "mix")
    assert text.lines == ("two lines and more", "b", "# no comment")
    apply_text(c, journal, text, "# no comment\nb\ntwo lines and more\n")
    found = tomllib.loads((c.collages_dir / "mix.toml").read_text())["releases"]
    assert [entry["uuid"] for entry in found] == ["c", "b", "a"]


def test_there_has_to_be_a_list(c: Config) -> None:
    with pytest.raises(NotFoundError, match="no collage 'mix'"):
        edit_text(c, COLLAGES, "mix")
