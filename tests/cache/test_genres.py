"""The genre tree, as it ships and with a user's own file."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from itertools import pairwise
from pathlib import Path

import pytest

from rosecache import genres
from rosecache.config import Config
from rosecache.errors import ConfigError
from rosecache.genres import BUILTIN_GENRES, GenreTree, load_genre_tree, read_builtin, read_genres

LISTED: dict[str, list[str]] = tomllib.loads(BUILTIN_GENRES.read_text(encoding="utf-8"))["genres"]

TREE = GenreTree(
    {
        "Electronic": [],
        "House": ["Electronic"],
        "Deep House": ["House"],
        "Hip House": ["House", "Hip Hop"],
    }
)


def configured(tmp_path: Path, text: str | None = None, *, replace: bool = False) -> Config:
    """Returns a configuration whose file of genres has this text."""
    genres_file = None
    if text is not None:
        genres_file = tmp_path / "genres.toml"
        genres_file.write_text(text, encoding="utf-8")
    return Config(music_source_dir=tmp_path, genres_file=genres_file, genres_replace=replace)


def depth(tree: GenreTree, genre: str) -> int:
    return 1 + max((depth(tree, parent) for parent in LISTED[genre]), default=0)


def test_parents_are_all_ancestors() -> None:
    assert TREE.parents("Deep House") == ("Electronic", "House")
    assert TREE.parents("Hip House") == ("Electronic", "Hip Hop", "House")
    assert TREE.parents("Electronic") == ()


def test_children_are_all_descendants() -> None:
    assert TREE.children("Electronic") == ("Deep House", "Hip House", "House")
    assert TREE.children("Hip Hop") == ("Hip House",)
    assert TREE.children("Deep House") == ()


def test_an_unknown_genre_has_no_relatives() -> None:
    assert TREE.parents("Zeuhl") == ()
    assert TREE.children("Zeuhl") == ()
    assert TREE.parents_of_all(["Zeuhl"]) == ()


def test_genres_match_whatever_their_case() -> None:
    assert TREE.parents("deep HOUSE") == ("Electronic", "House")
    assert TREE.children("house") == ("Deep House", "Hip House")
    mixed = GenreTree({"deep house": ["HOUSE"], "House": ["Electronic"]})
    assert mixed.parents("Deep House") == ("Electronic", "House")


def test_parents_of_all_leave_out_what_was_given() -> None:
    assert TREE.parents_of_all(["Deep House", "Hip House"]) == ("Electronic", "Hip Hop", "House")
    assert TREE.parents_of_all(["Deep House", "HOUSE"]) == ("Electronic",)
    assert TREE.parents_of_all([]) == ()


def test_a_parent_that_is_not_listed_is_a_top_genre() -> None:
    assert TREE.genres == ("Deep House", "Electronic", "Hip Hop", "Hip House", "House")
    assert TREE.parents("Hip Hop") == ()


def test_the_builtin_tree_is_large_deep_and_spans_blues_to_vaporwave(tmp_path: Path) -> None:
    tree = load_genre_tree(configured(tmp_path))
    assert len(tree.genres) >= 600
    assert {"Blues", "Vaporwave", "K-Pop", "Jazz", "Classical", "Metal", "Reggae"} <= set(tree.genres)
    assert max(depth(tree, genre) for genre in LISTED) >= 6
    assert sum(len(parents) > 1 for parents in LISTED.values()) >= 100
    assert sum(not parents for parents in LISTED.values()) <= 40


@pytest.mark.parametrize(
    ("genre", "parents"),
    [
        ("Delta Blues", {"Country Blues", "Acoustic Blues", "Blues"}),
        ("K-Pop", {"Pop", "East Asian Pop", "Korean Music", "Asian Music"}),
        ("Deep House", {"House", "Electronic Dance Music", "Electronic", "Dance"}),
        ("Shoegaze", {"Dream Pop", "Alternative Rock", "Rock", "Psychedelia"}),
        ("Goregrind", {"Grindcore", "Hardcore Punk", "Punk", "Metal"}),
        ("Future Funk", {"Vaporwave", "House", "Plunderphonics", "Experimental"}),
    ],
)
def test_builtin_descent(tmp_path: Path, genre: str, parents: set[str]) -> None:
    tree = load_genre_tree(configured(tmp_path))
    assert parents <= set(tree.parents(genre))
    assert all(genre in tree.children(parent) for parent in parents)


def test_the_builtin_tree_is_consistent(tmp_path: Path) -> None:
    tree = load_genre_tree(configured(tmp_path))
    assert len({genre.casefold() for genre in LISTED}) == len(LISTED), "two genres differ by case only"
    assert tree.genres == tuple(sorted(LISTED, key=str.casefold)), "a parent is not listed"
    for genre, parents in LISTED.items():
        ancestors = tree.parents(genre)
        assert genre not in ancestors, "a genre descends from itself"
        assert genre == " ".join(genre.split())
        assert len(set(parents)) == len(parents)
        for parent in parents:
            others = [other for other in parents if other != parent]
            assert not any(parent in tree.parents(other) for other in others), f"{genre}: {parent} is implied"


def test_the_builtin_file_is_indented_below_first_parents() -> None:
    above: list[str] = []
    text = BUILTIN_GENRES.read_text(encoding="utf-8").partition("[genres]\n")[2]
    for line in filter(None, text.splitlines()):
        level = (len(line) - len(line.lstrip())) // 2
        ((genre, parents),) = tomllib.loads(line).items()
        del above[level:]
        assert parents[:1] == above[-1:], genre
        above.append(genre)


def test_the_builtin_file_says_the_same_without_a_parser_of_toml(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = read_genres(BUILTIN_GENRES)
    parsed: list[Path] = []
    monkeypatch.setattr(genres, "read_genres", parsed.append)
    assert list(read_builtin().items()) == list(expected.items())
    assert parsed == []


@pytest.mark.parametrize(
    ("line", "parents"),
    [
        ('"B" = [ "A" ]', ["A"]),
        ('"B" = ["A",]', ["A"]),
        ('"B" = ["A"] # since', ["A"]),
        ("B = ['A']", ["A"]),
        ('"B" = ["A\\"", "C"]', ['A"', "C"]),
        ('"B" = [\n"A"]', ["A"]),
    ],
)
def test_a_builtin_file_of_another_form_is_read_as_toml(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, parents: list[str]
) -> None:
    path = tmp_path / "genres.toml"
    path.write_text(f'# Genres\n\n[genres]\n\n"A" = []\n  {line}\n', encoding="utf-8")
    monkeypatch.setattr(genres, "BUILTIN_GENRES", path)
    assert read_builtin() == {"A": [], "B": parents}


def test_a_users_file_extends_the_tree(tmp_path: Path) -> None:
    own = """
        [genres]
        "Girl Crush" = ["k-pop"]
        "My Own" = ["Unheard Of"]
        "deep house" = ["My Own"]
    """
    tree = load_genre_tree(configured(tmp_path, own))
    assert {"K-Pop", "Pop"} <= set(tree.parents("Girl Crush"))
    assert tree.parents("My Own") == ("Unheard Of",)
    assert tree.parents("Deep House") == ("My Own", "Unheard Of")
    assert "deep house" in tree.children("Unheard Of")
    assert "Blues" in tree.parents("Delta Blues")


def test_a_users_file_replaces_the_tree(tmp_path: Path) -> None:
    tree = load_genre_tree(configured(tmp_path, '[genres]\n"A" = ["B"]\n', replace=True))
    assert tree.genres == ("A", "B")


@pytest.mark.parametrize(
    ("text", "key", "reason"),
    [
        ("[genres", "", "not valid TOML"),
        ("", "genres", "expected a table"),
        ("genres = 1", "genres", "expected a table"),
        ("genre = 1\n[genres]", "genre", "unknown key"),
        ("[genres]\nHouse = 'Electronic'", 'genres."House"', "expected a list of genres"),
        ("[genres]\nHouse = [1]", 'genres."House"', "expected a list of genres"),
        ("[genres]\nHouse = ['']", 'genres."House"', "expected a list of genres"),
        ("[genres]\n'' = []", 'genres.""', "needs a name"),
        ("[genres]\nHouse = []\nhouse = []", 'genres."house"', "differs from 'House' by case only"),
        ("[genres]\nMine = ['mine']", 'genres."Mine"', "Mine → Mine"),
    ],
)
def test_a_wrong_file_is_an_error_that_names_the_key(
    tmp_path: Path, text: str, key: str, reason: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load_genre_tree(configured(tmp_path, text))
    assert caught.value.path == tmp_path / "genres.toml"
    assert caught.value.key == key
    assert reason in caught.value.reason


def test_a_circle_is_an_error_that_shows_it(tmp_path: Path) -> None:
    """Also one that the user's file closes over genres of the built-in tree."""
    with pytest.raises(ConfigError) as caught:
        load_genre_tree(configured(tmp_path, '[genres]\n"Acoustic Blues" = ["delta blues"]'))
    circle = caught.value.reason.removeprefix("descends from itself: ").split(" → ")
    assert set(pairwise(circle)) == {
        ("Acoustic Blues", "Delta Blues"),
        ("Delta Blues", "Country Blues"),
        ("Country Blues", "Acoustic Blues"),
    }


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    c = Config(music_source_dir=tmp_path, genres_file=tmp_path / "none.toml")
    with pytest.raises(ConfigError, match=r"none\.toml"):
        load_genre_tree(c)


def test_the_tree_is_read_once(tmp_path: Path) -> None:
    c = configured(tmp_path, '[genres]\n"A" = ["B"]\n')
    assert load_genre_tree(c) is load_genre_tree(configured(tmp_path, '[genres]\n"A" = ["B"]\n'))


def test_importing_reads_no_tree() -> None:
    program = "import sys; sys.addaudithook(lambda event, args: event == 'open' and print(args[0]))\n"
    program += "import rosecache.genres"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "genres" in done.stdout
    assert "genres.toml" not in done.stdout
