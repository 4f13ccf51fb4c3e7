"""Which releases and tracks have a value in a field that a test accepts, found without reading either as a whole.

For searches that say more than :mod:`rosecache.search` can: the test is a function of one value, so every value that
could pass has to be put to it. What values there are is asked field by field. An artist or a genre is tested once,
however many have it, and its owners come from an index. A text that every passing value holds, if there is one, lets
the full-text tables leave out most of the others.

A field without any value counts as one empty text. Aliases are not searched, parent genres and totals are.
"""

from __future__ import annotations

import functools
import json
import sqlite3
from collections.abc import Callable, Collection, Mapping

import msgspec

from rosecache.config import Config
from rosecache.genres import load_genre_tree
from rosecache.model import ROLES
from rosecache.query.rows import fetch, snapshot
from rosecache.search import can_look_up, keys_of_texts


class ValueTest(msgspec.Struct, frozen=True):
    """What is asked of a value.

    Attributes:
        accepts: Whether a value passes.
        holds: A text that is in every value that passes; empty if none can be said.
        ignore_case: Whether it is there without case only, as :func:`rosecache.search.without_case` compares.
    """

    accepts: Callable[[str], bool]
    holds: str = ""
    ignore_case: bool = False


class _Found(msgspec.Struct):
    """Keys of releases and of tracks, by the table that they are of."""

    releases: set[int] = msgspec.field(default_factory=set)
    tracks: set[int] = msgspec.field(default_factory=set)

    def of(self, table: str) -> set[int]:
        return self.releases if table == "releases" else self.tracks


# Columns: what a row of its own holds, and the full-text tables, too --------------------------------------

_COLUMNS: Mapping[str, Mapping[str, str]] = {
    "tracks": {"tracktitle": "title", "tracknumber": "tracknumber", "discnumber": "discnumber"},
    "releases": {
        "releasetitle": "title",
        "releasetype": "type",
        "releasedate": "releasedate",
        "originaldate": "originaldate",
        "compositiondate": "compositiondate",
        "edition": "edition",
        "catalognumber": "catalognumber",
    },
}

# Computed: one value of each, in no full-text table -------------------------------------------------------

_COMPUTED: Mapping[str, tuple[str, str]] = {
    "tracktotal": (
        "tracks",
        "SELECT key, total FROM tracks JOIN"
        " (SELECT release_key, discnumber, count(*) AS total FROM tracks GROUP BY release_key, discnumber)"
        " USING (release_key, discnumber)",
    ),
    "disctotal": (
        "releases",
        "SELECT key, (SELECT count(DISTINCT discnumber) FROM tracks WHERE release_key = releases.key)"
        " FROM releases",
    ),
    "new": ("releases", "SELECT key, CASE WHEN new THEN 'true' ELSE 'false' END FROM releases"),
}
"""By field, the table whose keys the statement gives with the value of each."""

# Shared: values that many have, each stored once ----------------------------------------------------------


class _Shared(msgspec.Struct, frozen=True):
    """Fields whose values are rows that releases or tracks are linked to, by a mark that says in which field.

    Attributes:
        table: Whose fields they are.
        marks: The mark of each field.
        values: Selects the keys of the values, with the values, that some of ``:marks`` may have.
        owners: Selects the keys of those that have some of ``:values`` under some of ``:marks``.
        count: Counts under how many of ``:marks`` one of them has a value.
    """

    table: str
    marks: Mapping[str, str]
    values: str
    owners: str
    count: str


def _artists_of(owner: str) -> _Shared:
    marked = "role IN (SELECT value FROM json_each(:marks))"
    return _Shared(
        f"{owner}s",
        {f"{owner}artist[{role}]": role for role in ROLES},
        values="SELECT key, name FROM artists",
        owners=(
            f"SELECT {owner}_key FROM {owner}_artists"
            f" WHERE artist_key IN (SELECT value FROM json_each(:values)) AND {marked}"
        ),
        count=f"SELECT count(DISTINCT role) FROM {owner}_artists WHERE {owner}_key = {owner}s.key AND {marked}",
    )


_SHARED = (
    _artists_of("track"),
    _artists_of("release"),
    _Shared(
        "releases",
        {
            "genre": "genre",
            "secondarygenre": "secondary_genre",
            "descriptor": "descriptor",
            "label": "label",
        },
        values="SELECT key, value FROM facets WHERE kind IN (SELECT value FROM json_each(:marks))",
        owners="SELECT release_key FROM release_facets WHERE facet_key IN (SELECT value FROM json_each(:values))",
        count=(
            "SELECT count(DISTINCT kind) FROM release_facets JOIN facets ON facets.key = facet_key"
            " WHERE release_key = releases.key AND kind IN (SELECT value FROM json_each(:marks))"
        ),
    ),
)

# Parents: what the genre tree says of a release's genres --------------------------------------------------

_PARENTS: Mapping[str, str] = {"parentgenre": "genre", "parentsecondarygenre": "secondary_genre"}
"""By field, the kind of facets whose parents it holds."""

_GENRES = "SELECT key, value FROM facets WHERE kind = :kind"
_GENRE_KEYS = """
SELECT key, (SELECT group_concat(facet_key) FROM release_facets JOIN facets ON facets.key = facet_key
             WHERE release_key = releases.key AND kind = :kind)
FROM releases
WHERE key NOT IN (SELECT value FROM json_each(:found)) AND (:any OR key IN
  (SELECT release_key FROM release_facets WHERE facet_key IN (SELECT value FROM json_each(:genres))))
"""

FIELDS: tuple[str, ...] = (
    *(name for columns in _COLUMNS.values() for name in columns),
    *_COMPUTED,
    *(name for shared in _SHARED for name in shared.marks),
    *_PARENTS,
)
"""The fields that can be searched, by the names of the tags; artists by role, as in ``trackartist[main]``."""


def release_ids_with(c: Config, fields: Collection[str], test: ValueTest) -> set[str]:
    """Returns the ids of the releases that have, or of which a track has, a value that passes in some field.

    Args:
        c: The configuration.
        fields: Names of FIELDS. A value in any of them will do.
        test: What is asked of a value.

    Raises:
        ValueError: A field has no such name.
    """
    return _ids(
        c, fields, test,
        "SELECT id FROM releases WHERE key IN (SELECT value FROM json_each(:releases))"
        " UNION SELECT id FROM releases WHERE key IN"
        " (SELECT release_key FROM tracks WHERE key IN (SELECT value FROM json_each(:tracks)))",
    )  # fmt: skip


def track_ids_with(c: Config, fields: Collection[str], test: ValueTest) -> set[str]:
    """Returns the ids of the tracks that have, or whose release has, a value that passes in some field.

    Arguments and errors are those of :func:`release_ids_with`.
    """
    return _ids(
        c, fields, test,
        "SELECT id FROM tracks WHERE key IN (SELECT value FROM json_each(:tracks))"
        " UNION SELECT id FROM tracks WHERE release_key IN (SELECT value FROM json_each(:releases))",
    )  # fmt: skip


def _ids(c: Config, fields: Collection[str], test: ValueTest, statement: str) -> set[str]:
    """Returns what a statement gives for the keys of all ``:releases`` and ``:tracks`` that were found."""
    names = set(fields)
    if unknown := sorted(names.difference(FIELDS)):
        raise ValueError(f"no such fields: {', '.join(unknown)}; expected some of {', '.join(FIELDS)}")
    with snapshot(c) as connection:
        found = _Found()
        _find_in_columns(connection, names, test, found)
        _find_computed(connection, names, test, found)
        _find_shared(connection, names, test, found)
        _find_parents(c, connection, names, test, found)
        keys = {"releases": json.dumps(list(found.releases)), "tracks": json.dumps(list(found.tracks))}
        return {identifier for (identifier,) in fetch(connection, statement, keys)}


def _find_in_columns(connection: sqlite3.Connection, names: set[str], test: ValueTest, found: _Found) -> None:
    for table, columns in _COLUMNS.items():
        chosen = [column for name, column in columns.items() if name in names]
        if not chosen:
            continue
        statement = f"SELECT key, {', '.join(chosen)} FROM {table}"
        values = {}
        if can_look_up(test.holds):
            keys = keys_of_texts(connection, table, test.holds, test.ignore_case)
            statement += " WHERE key IN (SELECT value FROM json_each(:keys))"
            values["keys"] = json.dumps(keys)
        rows = fetch(connection, statement, values)
        found.of(table).update(key for key, *texts in rows if any(test.accepts(text or "") for text in texts))


def _find_computed(connection: sqlite3.Connection, names: set[str], test: ValueTest, found: _Found) -> None:
    accepts = functools.cache(test.accepts)
    for name in names & _COMPUTED.keys():
        table, statement = _COMPUTED[name]
        rows = fetch(connection, statement)
        found.of(table).update(key for key, value in rows if accepts(str(value)))


def _find_shared(connection: sqlite3.Connection, names: set[str], test: ValueTest, found: _Found) -> None:
    for shared in _SHARED:
        marks = [mark for name, mark in shared.marks.items() if name in names]
        if not marks:
            continue
        asked: dict[str, object] = {"marks": json.dumps(marks)}
        accepted = [key for key, value in fetch(connection, shared.values, asked) if test.accepts(value)]
        statements = []
        if accepted:
            statements.append(shared.owners)
            asked["values"] = json.dumps(accepted)
        if test.accepts(""):
            statements.append(f"SELECT key FROM {shared.table} WHERE ({shared.count}) < :fields")
            asked["fields"] = len(marks)
        for statement in statements:
            found.of(shared.table).update(key for (key,) in fetch(connection, statement, asked))


def _find_parents(
    c: Config, connection: sqlite3.Connection, names: set[str], test: ValueTest, found: _Found
) -> None:
    tree = load_genre_tree(c)
    passes = functools.cache(test.accepts)
    for name in names & _PARENTS.keys():
        kind = {"kind": _PARENTS[name]}
        genres = {row["key"]: row["value"] for row in fetch(connection, _GENRES, kind)}
        promising = [key for key, genre in genres.items() if any(map(passes, tree.parents(genre)))]

        @functools.cache
        def accepts(keys: str | None, genres: Mapping[int, str] = genres) -> bool:
            """Decides for all releases of the same genres at once."""
            own = [genres[int(key)] for key in keys.split(",")] if keys is not None else []
            return any(map(passes, tree.parents_of_all(own) or ("",)))

        asked = {
            **kind,
            "found": json.dumps(list(found.releases)),
            "any": passes(""),  # then whatever has no parents passes too
            "genres": json.dumps(promising),
        }
        found.releases.update(key for key, keys in fetch(connection, _GENRE_KEYS, asked) if accepts(keys))
