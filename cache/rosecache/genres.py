"""The genre tree: which genres descend from which, so that a listing of House shows Deep House too.

The tree is data, in ``genres.toml`` beside this module; a user's own file in the same form extends or
replaces it. A genre may have several parents. Genres match whatever their case; the tree never changes how
a genre is shown where a tag names it, and knows nothing of releases.
"""

from __future__ import annotations

import functools
import graphlib
import hashlib
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from rosecache.config import Config, read_toml
from rosecache.errors import ConfigError

BUILTIN_GENRES = Path(__file__).with_name("genres.toml")

_GENRE_LINE = re.compile(r' *"([^"\\]+)" = \[(?:"([^"\\]+(?:", "[^"\\]+)*)")?\]')
"""A genre with its parents, as the built-in file has them."""


class GenreTree:
    """Genres and their descent. Immutable; safe to use from several threads."""

    def __init__(self, parents: Mapping[str, Iterable[str]]) -> None:
        """Makes a tree of genres and the direct parents of each.

        Genres that occur as parents only are top genres. Where spellings differ by case, a genre has the one
        under which it is listed. The parents must not lead in a circle, which the loader checks.
        """
        self._names = {genre.casefold(): genre for genre in parents}
        self._above = {genre.casefold(): tuple(above) for genre, above in parents.items()}
        for above in self._above.values():
            for parent in above:
                self._names.setdefault(parent.casefold(), parent)
        self._ancestors: dict[str, tuple[str, ...]] = {}
        self._descendants: dict[str, tuple[str, ...]] = {}

    def _up(self, genre: str) -> set[str]:
        return {parent.casefold() for parent in self._above.get(genre, ())}

    def _down(self, genre: str) -> set[str]:
        return self._below.get(genre, set())

    @functools.cached_property
    def _below(self) -> Mapping[str, set[str]]:
        below: dict[str, set[str]] = {}
        for genre in self._above:
            for parent in self._up(genre):
                below.setdefault(parent, set()).add(genre)
        return below

    @functools.cached_property
    def digest(self) -> str:
        """A text that stands for all that the tree says."""
        up = sorted((genre, sorted(self._up(genre))) for genre, above in self._above.items() if above)
        return hashlib.blake2b(repr((sorted(self._names.items()), up)).encode(), digest_size=8).hexdigest()

    @property
    def genres(self) -> tuple[str, ...]:
        """Every genre of the tree, sorted."""
        return self._shown(self._names)

    def parents(self, genre: str) -> tuple[str, ...]:
        """Returns every genre that this one descends from, however far, sorted; nothing for an unknown one."""
        return self._reached(genre.casefold(), self._up, self._ancestors)

    def children(self, genre: str) -> tuple[str, ...]:
        """Returns every genre that descends from this one, however far, sorted; nothing for an unknown one."""
        return self._reached(genre.casefold(), self._down, self._descendants)

    def parents_of_all(self, genres: Iterable[str]) -> tuple[str, ...]:
        """Returns every genre that one of these descends from and that is none of them, sorted."""
        given = {genre.casefold() for genre in genres}
        above = {parent for genre in given for parent in self.parents(genre)}
        return tuple(sorted((name for name in above if name.casefold() not in given), key=str.casefold))

    def _reached(
        self, start: str, step: Callable[[str], set[str]], known: dict[str, tuple[str, ...]]
    ) -> tuple[str, ...]:
        if start not in self._names:
            return ()
        if start not in known:
            reached: set[str] = set()
            waiting = [start]
            while waiting:
                found = step(waiting.pop()) - reached
                reached |= found
                waiting.extend(found)
            known[start] = self._shown(reached)
        return known[start]

    def _shown(self, keys: Iterable[str]) -> tuple[str, ...]:
        return tuple(self._names[key] for key in sorted(keys))


def load_genre_tree(c: Config) -> GenreTree:
    """Returns the genre tree: the built-in one, extended or replaced by ``c.genres_file``.

    The files are read once, like the configuration itself, until somebody asks for :func:`reload_genre_tree`.

    Raises:
        ConfigError: The user's file cannot be read, is not TOML or not of the form that ``genres.toml``
            describes, or makes a genre its own ancestor. The error names the file and the genre.
    """
    tree = _trees.get((c.genres_file, c.genres_replace))
    return use_genre_tree(c, _load(c.genres_file, c.genres_replace)) if tree is None else tree


def reload_genre_tree(c: Config) -> None:
    """Has this process go by what the files say now. Raises ConfigError as above, and goes on by the old tree then."""
    tree = _load(c.genres_file, c.genres_replace)
    if tree.digest != load_genre_tree(c).digest:
        use_genre_tree(c, tree)


def use_genre_tree(c: Config, tree: GenreTree) -> GenreTree:
    """Has this process go by a tree that another one has loaded, whatever the files say. Returns it."""
    _trees[c.genres_file, c.genres_replace] = tree
    return tree


_trees: dict[tuple[Path | None, bool], GenreTree] = {}
"""Those in force, by where they come from."""


def _load(genres_file: Path | None, replace: bool) -> GenreTree:
    if genres_file is None:
        return GenreTree(read_builtin())
    own = read_genres(genres_file)
    if replace:
        parents = own
    else:
        listed = {genre.casefold() for genre in own}
        builtin = read_builtin()
        parents = {genre: above for genre, above in builtin.items() if genre.casefold() not in listed} | own
    _refuse_circles(parents, genres_file)
    return GenreTree(parents)


def read_builtin() -> dict[str, list[str]]:
    """Returns the built-in genres, each with its direct parents.

    Its lines are read here, in a tenth of the time that TOML of any form takes: whoever looks at genres first waits for
    it. If a line is of another form, all are read as a user's file is.
    """
    found: dict[str, list[str]] = {}
    for line in BUILTIN_GENRES.read_text(encoding="utf-8").splitlines():
        match = _GENRE_LINE.fullmatch(line)
        if match is not None:
            found[match[1]] = match[2].split('", "') if match[2] else []
        elif line not in ("", "[genres]") and not line.startswith("#"):
            return read_genres(BUILTIN_GENRES)
    return found


def read_genres(path: Path) -> dict[str, list[str]]:
    """Returns what a file of genres says, each genre with its direct parents. Raises ConfigError."""
    content = read_toml(path)
    for key in content:
        if key != "genres":
            raise ConfigError("unknown key; the only one is the table genres", key=key, path=path)
    table = content.get("genres")
    if not isinstance(table, dict):
        raise ConfigError(
            "expected a table of genres, each with the list of its parents", key="genres", path=path
        )
    spellings: dict[str, str] = {}
    read: dict[str, list[str]] = {}
    for genre, parents in table.items():
        _check_entry(genre, parents, path)
        name, *above = (unicodedata.normalize("NFC", each) for each in (genre, *parents))  # as tags are read
        other = spellings.setdefault(name.casefold(), genre)
        if other != genre:
            raise ConfigError(f"differs from {other!r} by case only", key=_key(genre), path=path)
        read[name] = above
    return read


def _check_entry(genre: str, parents: Any, path: Path) -> None:
    if not genre.strip():
        raise ConfigError("a genre needs a name", key=_key(genre), path=path)
    if not isinstance(parents, list) or not all(isinstance(name, str) and name.strip() for name in parents):
        raise ConfigError(
            f'expected a list of genres, such as ["House"], got {parents!r}', key=_key(genre), path=path
        )


def _refuse_circles(parents: Mapping[str, Iterable[str]], path: Path) -> None:
    graph = {genre.casefold(): [parent.casefold() for parent in above] for genre, above in parents.items()}
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        names = {genre.casefold(): genre for genre in parents}
        # graphlib gives the circle from parent to child; a reader of the file goes the other way.
        circle = [names[key] for key in reversed(error.args[1])]
        raise ConfigError(
            f"descends from itself: {' → '.join(circle)}", key=_key(circle[0]), path=path
        ) from error


def _key(genre: str) -> str:
    return f'genres."{genre}"'
