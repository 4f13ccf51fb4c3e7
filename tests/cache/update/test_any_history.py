"""Whatever a user does to the library between two updates, ids stay with their files and cache and disk agree."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from pathlib import Path

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from rosecache.changes import changes_since, current_position
from rosecache.config import Config
from rosecache.database import close_connections
from rosecache.query.lists import get_collage_releases, get_playlist_tracks
from rosecache.query.releases import list_releases
from rosecache.query.tracks import list_tracks
from rosecache.tags import is_audio, read_tags
from rosecache.update import Report, assign, update_cache, update_cache_for_releases
from tests.support.audio import make_track, set_tags
from tests.support.library import (
    cached_ids,
    check_cache,
    ids_on_disk,
    make_list,
    release_id_on_disk,
    snapshot,
)

PICK = st.integers(0, 1000)
FORMAT = st.sampled_from(["opus", "mp3", "flac", "m4a", "ogg"])


class Library(RuleBasedStateMachine):
    """A user and an update take turns at one library.

    Of every file the model knows the id that it, or what it was copied from, had at the last update.
    """

    def __init__(self) -> None:
        super().__init__()
        self.top = Path(tempfile.mkdtemp())
        self.source = self.top / "source"
        self.source.mkdir()
        self.c = Config(music_source_dir=self.source, cache_dir=self.top / "cache", max_proc=2)
        self.count = 0
        self.origins: dict[Path, str | None] = {}
        self.release_origins: dict[Path, str | None] = {}
        self.unmoved: set[Path] = set()
        self.quiet = assign.QUIET_SECONDS
        assign.QUIET_SECONDS = 0.0

    def teardown(self) -> None:
        try:
            self.update()
            self.rebuild()
        finally:
            assign.QUIET_SECONDS = self.quiet
            close_connections()
            shutil.rmtree(self.top)

    # What there is --------------------------------------------------------------------------------------

    def new_name(self, pick: int) -> str:
        """Returns a name that sorts before or after the others, and is new."""
        self.count += 1
        return f"{'azAZ'[pick % 4]}{self.count}"

    def track(self, pick: int) -> Path:
        return sorted(self.origins)[pick % len(self.origins)]

    def release(self, pick: int) -> Path:
        return sorted(self.release_origins)[pick % len(self.release_origins)]

    def finished_release(self, pick: int) -> Path:
        """Returns a release with a datafile: what comes to one without looks like a copy in progress."""
        finished = [path for path in sorted(self.release_origins) if any(path.glob(".rose.*.toml"))]
        return finished[pick % len(finished)]

    def moved(self, old: Path, new: Path) -> None:
        self.origins = {_rebased(path, old, new): origin for path, origin in self.origins.items()}
        self.release_origins = {
            _rebased(path, old, new): origin for path, origin in self.release_origins.items()
        }
        self.unmoved = {path for path in self.unmoved if path != old and old not in path.parents}

    # What a user does -----------------------------------------------------------------------------------

    @initialize(format=FORMAT)
    def begin(self, format: str) -> None:
        for _ in range(2):
            self.add_release(0, format)
        self.update()

    @rule(pick=PICK, format=FORMAT)
    def add_release(self, pick: int, format: str) -> None:
        directory = self.source / self.new_name(pick)
        self.release_origins[directory] = None
        for name in ("01", "Disc 2/01"):
            self.origins[make_track(directory / f"{name}.{format}", title=self.new_name(pick))] = None

    @precondition(lambda self: self.release_origins)
    @rule(pick=PICK, format=FORMAT)
    def add_track(self, pick: int, format: str) -> None:
        path = self.release(pick) / f"{self.new_name(pick)}.{format}"
        self.origins[make_track(path, title=self.new_name(pick))] = None

    @precondition(lambda self: self.origins)
    @rule(pick=PICK)
    def retag(self, pick: int) -> None:
        set_tags(self.track(pick), title=self.new_name(pick), album=self.new_name(pick))

    @precondition(lambda self: self.origins)
    @rule(pick=PICK)
    def rename_track(self, pick: int) -> None:
        old = self.track(pick)
        new = old.with_name(self.new_name(pick) + old.suffix)
        old.rename(new)
        self.moved(old, new)

    @precondition(lambda self: len(self.origins) > 1)
    @rule(one=PICK, two=PICK)
    def swap_tracks(self, one: int, two: int) -> None:
        first, second = self.track(one), self.track(two)
        if first.suffix != second.suffix or first == second:
            return
        spare = self.top / "spare"
        for old, new in ((first, spare), (second, first), (spare, second)):
            old.rename(new)
            self.moved(old, new)

    @precondition(lambda self: self.origins and any(self.source.glob("*/.rose.*.toml")))
    @rule(pick=PICK, to=PICK, copy=st.booleans())
    def move_or_copy_track(self, pick: int, to: int, copy: bool) -> None:
        old = self.track(pick)
        new = self.finished_release(to) / (self.new_name(pick) + old.suffix)
        if copy:
            shutil.copy2(old, new)
            self.origins[new] = self.origins[old]
        else:
            old.rename(new)
            self.moved(old, new)

    @precondition(lambda self: len(self.origins) > 3)
    @rule(pick=PICK)
    def remove_track(self, pick: int) -> None:
        path = self.track(pick)
        path.unlink()
        del self.origins[path]

    @precondition(lambda self: self.release_origins)
    @rule(pick=PICK)
    def rename_release(self, pick: int) -> None:
        old = self.release(pick)
        new = self.source / self.new_name(pick)
        old.rename(new)
        self.moved(old, new)

    @precondition(lambda self: len(self.release_origins) > 1)
    @rule(one=PICK, two=PICK)
    def swap_releases(self, one: int, two: int) -> None:
        first, second, spare = self.release(one), self.release(two), self.top / "spare"
        if first == second:
            return
        for old, new in ((first, spare), (second, first), (spare, second)):
            old.rename(new)
            self.moved(old, new)

    @precondition(lambda self: self.release_origins)
    @rule(pick=PICK)
    def copy_release(self, pick: int) -> None:
        old = self.release(pick)
        new = Path(shutil.copytree(old, self.source / self.new_name(pick)))
        self.release_origins[new] = self.release_origins[old]
        self.origins |= {
            _rebased(path, old, new): origin for path, origin in self.origins.items() if old in path.parents
        }

    @precondition(lambda self: len(self.release_origins) > 2)
    @rule(pick=PICK)
    def remove_release(self, pick: int) -> None:
        directory = self.release(pick)
        shutil.rmtree(directory)
        del self.release_origins[directory]
        self.origins = {
            path: origin for path, origin in self.origins.items() if directory not in path.parents
        }

    @precondition(lambda self: any(self.source.glob("*/.rose.*.toml")))
    @rule(pick=PICK)
    def edit_datafile(self, pick: int) -> None:
        datafile = next(self.finished_release(pick).glob(".rose.*.toml"))
        text = datafile.read_text()
        datafile.write_text(text.replace("new = true", "new = false") + "# listened\n")

    @precondition(lambda self: bool(list_releases(self.c)))
    @rule(pick=PICK)
    def make_lists(self, pick: int) -> None:
        releases, tracks = list_releases(self.c), list_tracks(self.c)
        nobody = "018b268e-ef68-7180-a01e-19bc3fdf970e"
        make_list(
            self.c.collages_dir / "C.toml",
            "releases",
            releases[pick % len(releases)].id,
            nobody,
            releases[0].id,
        )
        make_list(self.c.playlists_dir / "P.toml", "tracks", nobody, tracks[pick % len(tracks)].id)

    # What updates do about it ---------------------------------------------------------------------------

    @precondition(lambda self: self.origins)
    @rule(pick=PICK)
    def update_one_release(self, pick: int) -> None:
        """As a watcher asks, who does not know of the rest yet."""
        update_cache_for_releases(self.c, [self.release(pick)])
        for path in sorted(self.origins):
            # An id that was just given is one to keep.
            self.origins[path] = self.origins[path] or read_tags(path).id

    @precondition(lambda self: self.origins)
    @rule(pick=PICK)
    def break_and_repair_a_track(self, pick: int) -> None:
        self.update()
        path = self.track(pick)
        saved, identifier = path.read_bytes(), read_tags(path).id
        path.write_bytes(saved[: len(saved) // 50] if pick % 2 else b"")
        report = update_cache(self.c)
        assert {problem.path for problem in report.problems} <= {path}
        assert str(path.relative_to(self.source)) not in cached_ids(self.c) or not report.problems
        path.write_bytes(saved)
        self.update()
        assert read_tags(path).id == identifier

    @precondition(lambda self: self.origins)
    @rule(pick=PICK)
    def lose_a_datafile(self, pick: int) -> None:
        self.update()
        directory = self.track(pick).relative_to(self.source).parts[0]
        identifier = release_id_on_disk(self.source / directory)
        next((self.source / directory).glob(".rose.*.toml")).unlink()
        self.update(force=True)
        assert release_id_on_disk(self.source / directory) == identifier

    @rule()
    def update(self, force: bool = False) -> None:
        expect_no_problems(update_cache(self.c, force=force))
        self.check_ids()
        check_cache(self.c)
        self.check_lists()
        position, before = current_position(self.c), snapshot(self.source)
        report = update_cache(self.c)
        assert (report.changed, report.evicted, report.problems) == (0, 0, [])
        assert changes_since(self.c, position).changes == ()
        assert snapshot(self.source) == before

    def check_ids(self) -> None:
        found = {self.source / path: identifier for path, identifier in ids_on_disk(self.source).items()}
        assert found.keys() == self.origins.keys()
        assert None not in found.values()
        assert len(set(found.values())) == len(found), "no two files have one id"
        lost = {origin for origin in self.origins.values() if origin} - set(found.values())
        assert not lost, "as long as a file or a copy of it is there, its id is"
        copies = Counter(self.origins.values())
        for path, origin in self.origins.items():
            if origin and (copies[origin] == 1 or path in self.unmoved):
                assert found[path] == origin, "a file that is no copy keeps its id, and one that did not move"
        self.origins = dict(found)
        self.unmoved = set(found)
        releases = {
            directory: release_id_on_disk(directory)
            for directory in self.release_origins
            if any(path.is_file() and is_audio(path.name) for path in directory.rglob("*"))
        }
        assert len(set(releases.values())) == len(releases)
        counts = Counter(self.release_origins.values())
        for directory, identifier in releases.items():
            origin = self.release_origins[directory]
            assert origin is None or counts[origin] > 1 or identifier == origin
        self.release_origins |= releases

    def check_lists(self) -> None:
        if not (self.c.collages_dir / "C.toml").exists():
            return
        import tomllib

        for path, key, ids in (
            (self.c.collages_dir / "C.toml", "releases", {release.id for release in list_releases(self.c)}),
            (self.c.playlists_dir / "P.toml", "tracks", {track.id for track in list_tracks(self.c)}),
        ):
            entries = tomllib.loads(path.read_text())[key]
            assert [entry["uuid"] not in ids for entry in entries] == [
                "missing" in entry for entry in entries
            ]
            assert all(
                entry["description_meta"].endswith("{MISSING}") == ("missing" in entry) for entry in entries
            )
            there = [entry["uuid"] for entry in entries if "missing" not in entry]
            members = (
                get_collage_releases(self.c, "C") if key == "releases" else get_playlist_tracks(self.c, "P")
            )
            assert [member.id for member in members] == there

    def rebuild(self) -> None:
        """Builds another cache of the same files, which finds the same and leaves them alone."""
        before = snapshot(self.source)
        other = msgspec.structs.replace(self.c, cache_dir=self.top / "other")
        expect_no_problems(update_cache(other))
        assert snapshot(self.source) == before
        for values in (list_releases, list_tracks):
            found, rebuilt = (
                {value.id: value.metahash for value in values(each)} for each in (self.c, other)
            )
            assert rebuilt == found

    @invariant()
    def nothing_is_left_over(self) -> None:
        assert not list(self.source.rglob(".in-progress.*"))


def _rebased(path: Path, old: Path, new: Path) -> Path:
    return new / path.relative_to(old) if path == old or old in path.parents else path


def expect_no_problems(report: Report) -> None:
    assert report.problems == []


# REPEAT=20 pytest … tries so many times as many histories, other ones each time.
_REPEAT = int(os.environ.get("REPEAT", "0"))


def test_any_history() -> None:
    run_state_machine_as_test(
        Library,
        settings=settings(
            max_examples=20 * max(_REPEAT, 1), stateful_step_count=12, derandomize=not _REPEAT, deadline=None
        ),
    )
