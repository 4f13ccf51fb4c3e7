"""The names that are stored with releases and tracks: those that templates make of what queries return."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from rosecache import filter_releases, get_release, get_tracks_of_release, list_genres, list_releases
from rosecache.config import ArtistAlias, Config, PathTemplates, TemplateSet
from rosecache.database import connect, transaction
from rosecache.errors import ConfigError, TemplateError
from rosecache.genres import load_genre_tree
from rosecache.in_force import in_force, take_up
from rosecache.model import Release, Track
from rosecache.names import safe_name
from rosecache.naming import UNNAMED, extension_of, hash_name, naming_of, split_names
from rosecache.templates import NameTemplate, release_variables, track_variables
from rosecache.update import pool, refill, update_cache, update_cache_for_releases
from rosecache.update.naming import RELEASE_VARIABLES, TRACK_VARIABLES, Names, names_of
from rosecache.update.rows import FileRow, ReleaseRow, load_release
from tests.support.audio import make_release, set_tags
from tests.support.rows import release_row, store, track_row

EVERYTHING = release_row(
    "release", directory="Ü AC_DC".encode(), title="AC/DC: Live", type="live", releasedate="1992-10-27",
    originaldate="1991", compositiondate="1990", edition="Deluxe", catalognumber="7 92215-2",
    artists={"main": ["AC/DC", "Kim Lip"], "guest": ["Gäste"]}, genres=["Deep House"], secondary_genres=["Bebop"],
    descriptors=["loud"], labels=["Atco"], new=True,
    tracks=[
        track_row("a", "1", "1", title="One", artists={"main": ["Kim Lip"]}, path=b"1/01 caf\xe9.MP3"),
        track_row("b", "A1", "2", title="", artists={}, path=b"2/01.opus", duration_seconds=0),
        track_row("c", "2", "2", artists={"main": ["A"], "composer": ["B"], "conductor": ["C"]}, path=b"2/.hidden"),
    ],
    files=[FileRow(b"Z.jpg", "cover", 1, 2, 3), FileRow(b"A.jpg", "cover", 1, 2, 3), FileRow(b"x", "extra", 1, 2, 3)],
)  # fmt: skip
UNTAGGED = release_row(
    "untagged", title="", type="unknown", releasedate=None, artists={}, tracks=[track_row("d")]
)


@pytest.fixture
def c(c: Config) -> Config:
    return msgspec.structs.replace(c, artist_aliases=(ArtistAlias("LOONA", ("Kim Lip",)),))


def templates(**views: TemplateSet) -> PathTemplates:
    return msgspec.structs.replace(PathTemplates(), **views)


def stored_names(c: Config) -> dict[str, list[str]]:
    """Returns the stored names of every release and track by id; without those that are not to be used."""
    with connect(c) as connection:
        number = naming_of(c).number
        rows = connection.execute("SELECT id, names FROM releases WHERE naming = ?", (number,)).fetchall()
        rows += connection.execute(
            "SELECT tracks.id, tracks.names FROM tracks JOIN releases ON releases.key = release_key"
            " WHERE naming = ?", (number,),
        ).fetchall()  # fmt: skip
    return {identifier: split_names(names) for identifier, names in rows}


def made_names(c: Config, things: Sequence[Release | Track]) -> dict[str, list[str]]:
    """Returns the names that templates make of what queries return; empty where one cannot."""

    def name(text: str, thing: Release | Track) -> str:
        extension = thing.source_path.suffix.lower() if isinstance(thing, Track) else ""
        try:
            shown = NameTemplate(text, "track" if isinstance(thing, Track) else "release").render(thing)
        except TemplateError:
            return ""
        return safe_name(shown, max_bytes=c.max_filename_bytes, extension=extension)

    places = naming_of(c).places
    return {
        thing.id: [name(text, thing) for text in places["track" if isinstance(thing, Track) else "release"]]
        for thing in things
    }


def everything(c: Config) -> list[Release | Track]:
    releases = list_releases(c)
    return [*releases, *(track for release in releases for track in get_tracks_of_release(c, release))]


@pytest.mark.parametrize("row", [EVERYTHING, UNTAGGED], ids=lambda row: row.id)
def test_templates_get_the_values_that_queries_return(c: Config, row: object) -> None:
    assert isinstance(row, type(EVERYTHING))
    store(c, row)
    release = get_release(c, row.id)
    assert release is not None
    values = release_variables(release)
    del values["mtime"]  # which is settled when it is stored
    assert {variable: make(c, row) for variable, make in RELEASE_VARIABLES.items()} == values
    for track in get_tracks_of_release(c, release):
        (of_row,) = (each for each in row.tracks if each.id == track.id)
        values = track_variables(track)
        made = {variable: make(c, row, of_row) for variable, make in TRACK_VARIABLES.items()}
        assert made == {variable: values[variable] for variable in made}
        assert values.keys() - made.keys() <= release_variables(release).keys()


@pytest.mark.parametrize(
    "path_templates",
    [
        templates(),
        templates(
            artists=TemplateSet(release="{{ releaseartists.main | length }} {{ parent_genres }}"),
            genres=TemplateSet(track="{{ tracktotal }}/{{ source_path }}", all_tracks="{{ id }}{{ release_id }}"),
            labels=TemplateSet(release="{{ releasetitle + 1 }}"),
        ),
    ],
    ids=["default", "own"],
)  # fmt: skip
def test_what_is_stored_is_what_templates_make(c: Config, path_templates: PathTemplates) -> None:
    c = msgspec.structs.replace(c, path_templates=path_templates)
    store(c, EVERYTHING, UNTAGGED)
    names = stored_names(c)
    assert names == made_names(c, everything(c))
    assert len(names) == 6


@pytest.mark.parametrize("variable", ["position", "context.artist", "mtime", "source_mtime"])
def test_what_depends_on_more_than_the_release_is_not_stored(c: Config, variable: str) -> None:
    plain = naming_of(c)
    text = f"{{{{ {variable} }}}} {{{{ tracktitle }}}}"
    changed = msgspec.structs.replace(c, path_templates=templates(artists=TemplateSet(track=text)))
    assert naming_of(changed).place("track", text) is None
    assert naming_of(changed) == plain


@pytest.mark.parametrize(
    "changes",
    [
        {"path_templates": templates(labels=TemplateSet(track="{{ tracktitle }}"))},
        {"path_templates": templates(default=TemplateSet(release="{{ releasetitle }}"))},
        {"max_filename_bytes": 100},
        {"artist_aliases": ()},
    ],
    ids=lambda changes: "".join(changes),
)
def test_names_by_other_settings_are_not_taken_for_these(c: Config, changes: dict[str, object]) -> None:
    store(c, EVERYTHING)
    assert stored_names(c) != {}
    changed = msgspec.structs.replace(c, **changes)
    assert stored_names(changed) == {}
    assert naming_of(changed).number not in (UNNAMED, naming_of(c).number)


def test_names_depend_on_the_genres_only_where_they_are_shown(c: Config, tmp_path: Path) -> None:
    genres = tmp_path / "genres.toml"
    genres.write_text('[genres]\n"Deep House" = ["Mine"]\n')
    with_genres = msgspec.structs.replace(c, genres_file=genres)
    assert naming_of(with_genres) == naming_of(c)
    shown = templates(genres=TemplateSet(release="{{ parent_genres }}"))
    c, with_genres = (msgspec.structs.replace(each, path_templates=shown) for each in (c, with_genres))
    assert naming_of(with_genres) != naming_of(c)


def test_an_update_makes_the_names_by_new_templates_and_then_has_nothing_to_do(
    c: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        make_release(c.music_source_dir, f"release {number}", tracks=2)
    update_cache(c)
    assert stored_names(c) == made_names(c, everything(c))
    changed = msgspec.structs.replace(
        c, path_templates=templates(default=TemplateSet(track="{{ tracknumber }}"))
    )
    assert stored_names(changed) == {}
    monkeypatch.setattr("rosecache.update.content.read_file", None)  # nothing is read again
    update_cache_for_releases(changed, [c.music_source_dir / "release 0"])
    assert stored_names(changed) == {}
    update_cache(changed)
    assert stored_names(changed) == made_names(changed, everything(changed))
    assert len(stored_names(changed)) == 9
    with connect(c) as connection:
        before = connection.total_changes
        update_cache(changed)
        assert connection.total_changes == before


def test_what_a_process_took_up_holds_for_whoever_updates_by_the_settings_it_began_with(c: Config) -> None:
    for number in range(3):
        make_release(c.music_source_dir, f"release {number}", tracks=2)
    update_cache(c)
    taken = templates(default=TemplateSet(track="{{ tracknumber }}"))
    take_up(c, taken)
    set_tags(c.music_source_dir / "release 0/01.opus", album="Another")
    update_cache_for_releases(c, [c.music_source_dir / "release 0"])
    changed = msgspec.structs.replace(c, path_templates=taken)
    assert len(stored_names(changed)) == 3
    update_cache(c)
    assert stored_names(changed) == made_names(changed, everything(changed))
    assert len(stored_names(changed)) == 9


def test_an_update_during_which_others_were_taken_up_leaves_no_name_by_the_old_ones(
    c: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        make_release(c.music_source_dir, f"release {number}", tracks=1)
    update_cache(c)
    taken = templates(default=TemplateSet(track="{{ tracknumber }}"))

    def naming(config: Config, row: ReleaseRow) -> Names:
        names = names_of(config, row)
        take_up(c, taken)  # as another thread may, at this moment
        return names

    monkeypatch.setattr("rosecache.update.release.names_of", naming)
    set_tags(c.music_source_dir / "release 0/01.opus", album="Another")
    update_cache_for_releases(c, [c.music_source_dir / "release 0"])
    changed = msgspec.structs.replace(c, path_templates=taken)
    assert stored_names(changed) == made_names(changed, everything(changed))
    assert len(stored_names(changed)) == 6


@pytest.mark.parametrize("max_proc", [1, 2], ids=["here", "in workers"])
def test_the_genres_that_a_process_has_read_make_its_names_until_they_are_taken_up_again(
    c: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, max_proc: int
) -> None:
    monkeypatch.setattr(pool, "RELEASES_FOR_WORKERS", 2)
    monkeypatch.setattr(pool, "_RELEASES_PER_WORKER", 1)
    genres = tmp_path / "genres.toml"
    genres.write_text('[genres]\n"K-Pop" = ["Mine"]\n')
    shown = templates(genres=TemplateSet(release="{{ parent_genres }} {{ releasetitle }}"))
    c = msgspec.structs.replace(c, genres_file=genres, path_templates=shown, max_proc=max_proc)
    for number in range(3):
        make_release(c.music_source_dir, f"release {number}", tracks=1, genre="K-Pop")
    before = naming_of(c)
    genres.write_text('[genres]\n"K-Pop" = ["Ours"]\n')
    assert update_cache(c).changed == 3
    names = stored_names(c)
    assert naming_of(c) == before
    assert names == made_names(c, everything(c))
    assert sum("Mine" in name for each in names.values() for name in each) == 3
    take_up(c, shown)
    assert naming_of(c) != before
    assert stored_names(c) == {}
    update_cache(c)
    assert stored_names(c) == made_names(c, everything(c))
    assert sum("Ours" in name for each in stored_names(c).values() for name in each) == 3
    assert [entry.genre for entry in list_genres(c)] == ["K-Pop", "Ours"]
    assert len(filter_releases(c, genre_filter="Ours")) == 3


def test_genres_that_cannot_be_used_are_not_taken_up(c: Config, tmp_path: Path) -> None:
    genres = tmp_path / "genres.toml"
    genres.write_text('[genres]\n"K-Pop" = ["Mine"]\n')
    c = msgspec.structs.replace(c, genres_file=genres)
    before = load_genre_tree(c)
    genres.write_text("[genres]\nx = 1\n")
    with pytest.raises(ConfigError):
        take_up(c, templates(default=TemplateSet(track="{{ tracknumber }}")))
    assert load_genre_tree(c) is before
    assert in_force(c) == c


def test_making_names_ends_when_another_configuration_makes_its_own_meanwhile(
    c: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two mounts that share a cache look at the music at the same time, and have templates of their own."""
    other = msgspec.structs.replace(c, path_templates=templates(default=TemplateSet(release="{{ id }}")))
    store(c, *(release_row(f"r{number}", tracks=[track_row(f"t{number}")]) for number in range(5)))
    store(other, *(release_row(f"s{number}", tracks=[track_row(f"u{number}")]) for number in range(5)))
    made = []

    def making(config: Config, row: ReleaseRow) -> Names:
        made.append(row.id)
        assert len(made) < 100
        return names_of(config, row)

    @contextmanager
    def interrupted(connection: sqlite3.Connection) -> Iterator[None]:
        with transaction(connection):
            yield
        with connect(c) as another, transaction(another):  # as the other one does
            another.execute("UPDATE releases SET naming = ?", (naming_of(other).number,))

    monkeypatch.setattr(refill, "_AT_ONCE", 2)
    monkeypatch.setattr(refill, "names_of", making)
    monkeypatch.setattr(refill, "transaction", interrupted)
    refill.fill_names(c)
    assert made == [f"s{number}" for number in range(5)]
    monkeypatch.undo()
    refill.fill_names(c)
    assert stored_names(c) == made_names(c, everything(c))


def test_a_release_that_lost_a_track_to_another_has_no_names_until_it_is_looked_at(c: Config) -> None:
    store(c, EVERYTHING)
    store(c, release_row("other", tracks=[EVERYTHING.tracks[1]]))
    assert set(stored_names(c)) == {"other", "b"}
    with connect(c) as connection:
        left = load_release(connection, release_id="release")
    assert left is not None
    store(c, left)
    assert stored_names(c) == made_names(c, everything(c))


def test_what_a_release_is_found_by_goes_with_its_names(c: Config) -> None:
    def found_by() -> set[int]:
        with connect(c) as connection:
            return {number for (number,) in connection.execute("SELECT hash FROM release_names").fetchall()}

    store(c, EVERYTHING)
    first = split_names(names_of(c, EVERYTHING).release)
    assert found_by() == set(map(hash_name, first))
    store(c, release_row("release", directory=EVERYTHING.directory, title="Another"))
    assert found_by().isdisjoint(map(hash_name, first))
    assert len(found_by()) == len(first)


@pytest.mark.parametrize("path", ["01.Mp3", "a.b/01", ".hidden", "a/.x.opus", "01.", "01..flac", "Ä.ÖGG"])
def test_an_extension_is_what_it_is_to_a_path(path: str) -> None:
    assert extension_of(path) == extension_of(path.encode()) == Path(path).suffix.lower()
