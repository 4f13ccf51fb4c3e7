"""The files of collages and playlists, edited so that everything else in them stays."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rosecache.datafiles import Member
from rosecache.errors import InvalidDatafileError
from rosefs.library import memberfiles
from rosefs.library.memberfiles import MemberFile

WRITTEN = """\
# My favourites. This stays at the top.

title = "Favourites"

# the first
[[releases]]
uuid = "a" # end of line
description_meta = "A"

[[releases]]
uuid = "b"
description_meta = '''
[[releases]]
uuid = "not one"
'''
stars = 5

# the third
# in two lines
[[releases]]
uuid = "c"
description_meta = "C"
[releases.mine]
note = "kept"

# about other things
[other]
x = 1
"""

NEW = Member("n", 'New "\u20ac" \\ \x7f', missing=False)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "x.toml"
    path.write_bytes(WRITTEN.encode())
    return path


def edited(path: Path, order: list[int | Member]) -> str:
    path.write_bytes(MemberFile.read(path, "releases").with_members(order))
    return path.read_bytes().decode()


def simple(*ids: str) -> str:
    return "\n".join(f'[[releases]]\nuuid = "{each}"\ndescription_meta = "{each.upper()}"\n' for each in ids)


def test_comments_move_with_the_member_that_they_stand_above(path: Path) -> None:
    path.write_text(WRITTEN.replace("'''\n[[releases]]\nuuid = \"not one\"\n'''", '"B"'))
    text = edited(path, [2, 0, 1])
    assert text.startswith('# My favourites. This stays at the top.\n\ntitle = "Favourites"\n\n# the third\n')
    assert '# the third\n# in two lines\n[[releases]]\nuuid = "c"\n' in text
    assert '# the first\n[[releases]]\nuuid = "a" # end of line\n' in text
    assert '[releases.mine]\nnote = "kept"\n' in text
    assert text.endswith("\n# about other things\n[other]\nx = 1\n")
    assert [member.id for member in MemberFile.read(path, "releases").members] == ["c", "a", "b"]


def test_what_looks_like_a_table_in_a_text_is_none(path: Path) -> None:
    before = tomllib.loads(WRITTEN)
    after = tomllib.loads(edited(path, [1, 2, 0]))
    a, b, c = before.pop("releases")
    assert after.pop("releases") == [b, c, a]
    assert after == before


def test_removing_and_adding_at_once(path: Path) -> None:
    after = tomllib.loads(edited(path, [1, NEW]))
    assert [entry["uuid"] for entry in after["releases"]] == ["b", "n"]
    assert after["releases"][0]["stars"] == 5
    assert after["releases"][1] == {"uuid": "n", "description_meta": 'New "\u20ac" \\ \x7f'}
    assert after["other"] == {"x": 1}


@pytest.mark.parametrize(
    ("before", "order", "after"),
    [
        ("", [NEW], '[[releases]]\nuuid = "n"\ndescription_meta = "New"\n'),
        ("# mine\n", [NEW], '# mine\n\n[[releases]]\nuuid = "n"\ndescription_meta = "New"\n'),
        (simple("a"), [0, NEW], simple("a") + '\n[[releases]]\nuuid = "n"\ndescription_meta = "New"\n'),
        (simple("a", "b"), [1, 0], simple("b", "a")),
        (simple("a", "b"), [1], simple("b")),
        (simple("a").rstrip(), [0], simple("a")),
        (simple("a", "b").replace("\n\n", "\n"), [1, 0], simple("b", "a").replace("\n\n", "\n")),
        (simple("a", "b").replace("\n", "\r\n"), [1, 0], simple("b", "a").replace("\n", "\r\n")),
    ],
)
def test_files_as_they_are_usually_written(
    path: Path, before: str, order: list[int | Member], after: str
) -> None:
    path.write_bytes(before.encode())
    assert (
        edited(path, [Member("n", "New", missing=False) if each == NEW else each for each in order]) == after
    )


def test_removing_all(path: Path) -> None:
    path.write_text("# mine\n" + simple("a", "b"))
    assert tomllib.loads(edited(path, [])) == {}


@pytest.mark.parametrize(
    "text",
    [
        'releases = [{ uuid = "a" }, { uuid = "b", stars = 5 }, { uuid = "c" }]\n# end\n[other]\nx = 1\n',
        'releases = [\n  { uuid = "a" }, # one\n  { uuid = "b", stars = 5 },\n  { uuid = "c" },\n]\nother.x = 1\n',
        '[[releases]]\nuuid = "a"\n[other]\nx = 1\n[[releases]]\nuuid = "b"\nstars = 5\n[[releases]]\nuuid = "c"\n',
        '[["releases"]]\nuuid = "a"\n[[ releases ]]\nuuid = "b"\nstars = 5\n[[releases]]\nuuid = "c"\n[other]\nx = 1\n',
        '[[releases]]\nuuid = "a"\n[[releases]]\nuuid = "b"\nstars = 5\n[[releases]]\nuuid = "c"\n'
        "grid = [\n  [1, 2],\n  [3, 4],\n]\n[other]\nx = 1\n",
    ],
    ids=["one line", "lines", "scattered", "quoted", "arrays"],
)
@pytest.mark.parametrize("order", [[2, 0, 1], [1], [0, 1, 2, NEW], [NEW, 1]])
def test_files_written_in_other_ways(path: Path, text: str, order: list[int | Member]) -> None:
    path.write_text(text)
    before = tomllib.loads(text)
    wanted = [
        before["releases"][each]
        if isinstance(each, int)
        else {"uuid": each.id, "description_meta": each.description}
        for each in order
    ]
    after = tomllib.loads(edited(path, order))
    assert after == {**before, "releases": wanted}


def test_an_edit_that_would_change_something_else_is_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memberfiles, "_reorder_document", lambda text, key, order: text)
    file = MemberFile.read(path, "releases")
    with pytest.raises(InvalidDatafileError, match="edit it by hand"):
        file.with_members([0])  # the table in a text of the second keeps the way by text from working
    assert path.read_text() == WRITTEN


@given(st.permutations(range(5)), st.integers(0, 5), st.booleans())
def test_any_order_of_any_members(
    tmp_path_factory: pytest.TempPathFactory, order: list[int], count: int, dense: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.toml"
    text = "".join(f'# {each}\n[[tracks]]\nuuid = "{each}"\n' + ("" if dense else "\n") for each in range(5))
    path.write_text(text)
    content = MemberFile.read(path, "tracks").with_members(order[:count]).decode()
    assert [entry["uuid"] for entry in tomllib.loads(content).get("tracks", [])] == [
        str(each) for each in order[:count]
    ]
    lines = content.splitlines()
    for each in order[:count]:
        assert lines[lines.index(f'uuid = "{each}"') - 2] == f"# {each}"
