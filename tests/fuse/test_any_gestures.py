"""Whatever programs do to a mounted library, one after another: tree, cache, disk and a simple model agree."""

from __future__ import annotations

import copy
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec
import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

import rosecache
from rosefs.library import lists, releases
from rosefs.library.journal import Journal
from rosefs.library.undo import undo
from rosefs.settings import SmartSettings
from tests.fuse.conftest import run, wait_for, working
from tests.support.audio import PICTURE, make_release, set_tags
from tests.support.library import check_cache, snapshot
from tests.support.mounts import HARD_LIMIT
from tests.support.shelf import Shelf, Shown, id_of, shown_by_cache, shown_by_mount

pytestmark = pytest.mark.usefixtures("need_fuse")

PICK = st.integers(0, 1000)
PICTURES = {"png": PICTURE, "jpg": b"\xff\xd8\xff a JPEG"}
VIEW = st.sampled_from(["Collages", "Playlists"])
SMART = (
    SmartSettings(name="Smart", kind="collage", matcher="new:true"),
    SmartSettings(name="Smart", kind="playlist", matcher="tracktitle:"),
)
SEARCH = "Search/releasetitle:"
TRACKS = st.sampled_from(["Releases", "Releases/!All Tracks", SEARCH, f"{SEARCH}/!All Tracks"])
"""Directories in which tracks are edited."""


class Gestures(RuleBasedStateMachine):
    """A user with a mount, a tagger beside it, and the commands, at one library."""

    binding = "pyfuse3"

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.top = Path(tempfile.mkdtemp())
        self.stack.callback(shutil.rmtree, self.top)
        self.bench = self.stack.enter_context(
            working(
                self.top,
                self.binding,
                hard_limit=5 * HARD_LIMIT,
                allows_log=["put back [0-9]+ files", "a copy of it is in the trash"],
                smart=SMART,
            )
        )
        self.mnt, self.c = self.bench.mount.path, self.bench.c
        self.journal = Journal(self.bench.state_dir)
        self.count = 0
        self.before: Shelf | None = None
        self.retags: list[tuple[str, str, str, str]] = []
        """Edits that changed a title: their id, the track, the old title and the new one."""
        self.shelf = self.look()

    def look(self) -> Shelf:
        """Returns a model of what the cache has to begin with."""
        shown = shown_by_cache(self.c)
        return Shelf(
            {track: title for each in shown.releases.values() for track, title in each.titles.items()},
            {track: release for release, each in shown.releases.items() for track in each.titles},
            {release: each.new for release, each in shown.releases.items()},
            {release: each.cover for release, each in shown.releases.items() if each.cover is not None},
            shown.collages,
            shown.playlists,
            shown.pictures,
        )

    def teardown(self) -> None:
        try:
            self.bench.clock.advance(100)
            self.everything_agrees()
            rosecache.update_cache(self.c)  # files that were held for a while have another ctime since
            check_cache(self.c)
        finally:
            self.stack.close()

    # What there is --------------------------------------------------------------------------------------

    def new_name(self) -> str:
        self.count += 1
        return f"Name {self.count}"

    def release(self, pick: int) -> str:
        ids = sorted(self.shelf.new)
        return ids[pick % len(ids)]

    def track(self, pick: int) -> str:
        ids = sorted(self.shelf.titles)
        return ids[pick % len(ids)]

    def named(self, directory: Path, identifier: str) -> Path:
        """Returns what is shown of an id in a directory."""
        return next(path for path in sorted(directory.iterdir()) if id_of(path) == identifier)

    def release_path(self, release: str, view: str = "Releases") -> Path:
        return self.named(self.mnt / view, release)

    def track_path(self, track: str, view: str = "Releases") -> Path:
        if view.endswith("!All Tracks"):
            return self.named(self.mnt / view, track)
        return self.named(self.release_path(self.shelf.release_of[track], view), track)

    def lists(self, view: str) -> dict[str, list[str]]:
        return self.shelf.collages if view == "Collages" else self.shelf.playlists

    def list_name(self, view: str, pick: int) -> str:
        names = sorted(self.lists(view))
        return names[pick % len(names)]

    def member_paths(self, view: str, name: str) -> list[Path]:
        numbered = [path for path in (self.mnt / view / name).iterdir() if path.name[0].isdigit()]
        return sorted(numbered, key=lambda path: int(path.name.partition(".")[0]))

    @contextmanager
    def gesture(self) -> Iterator[Shelf]:
        """Gives the model to be changed, and remembers what it was if the gesture can be taken back."""
        before, edits = copy.deepcopy(self.shelf), self.edits()
        yield self.shelf
        self.bench.clock.advance(3)  # what is removed in quick succession is taken back as one
        self.before = before if self.edits() != edits else None

    def edits(self) -> int:
        return len(self.journal.history())

    # Gestures on releases -------------------------------------------------------------------------------

    @precondition(lambda self: self.shelf.titles)
    @rule(pick=PICK, view=TRACKS)
    def retag_in_place(self, pick: int, view: str) -> None:
        track, title = self.track(pick), self.new_name()
        with self.gesture() as shelf:
            set_tags(self.track_path(track, view), title=title)
            self.retags.append((self.journal.history(1)[0].id, track, shelf.titles[track], title))
            shelf.titles[track] = title

    @precondition(lambda self: self.shelf.titles)
    @rule(pick=PICK)
    def retag_by_a_temporary_file(self, pick: int) -> None:
        track, title = self.track(pick), self.new_name()
        path = self.track_path(track)
        outside = self.top / path.name
        shutil.copyfile(path, outside)
        set_tags(outside, title=title, roseid=None)
        temporary = path.with_name(f"temporary{path.suffix}")
        run("cp", outside, temporary)
        run("mv", temporary, path)
        outside.unlink()
        self.shelf.titles[track] = title
        self.before = None

    # An update of a library without any release changes nothing: its disk may not be mounted.
    @precondition(lambda self: len(self.shelf.new) > 1)
    @rule(pick=PICK, view=TRACKS)
    def remove_a_track(self, pick: int, view: str) -> None:
        track = self.track(pick)
        is_last = len(self.shelf.tracks_of(self.shelf.release_of[track])) == 1
        with self.gesture() as shelf:
            run("rm", self.track_path(track, view))
            if is_last:
                self.bench.clock.advance(11)
            shelf.remove_track(track)

    @precondition(lambda self: len(self.shelf.new) > 1)
    @rule(pick=PICK, view=st.sampled_from(["Releases", "Releases - Added On", "Artists/{}"]))
    def remove_a_release(self, pick: int, view: str) -> None:
        release = self.release(pick)
        artist = rosecache.get_release(self.c, release)
        assert artist is not None
        view = view.format(artist.releaseartists.main[0].name)
        with self.gesture() as shelf:
            run("rm", "-r", self.release_path(release, view))
            for track in shelf.tracks_of(release):
                shelf.remove_track(track)

    @precondition(lambda self: self.shelf.new)
    @rule(pick=PICK)
    def move_between_new_and_all(self, pick: int) -> None:
        release = self.release(pick)
        new = self.shelf.new[release]
        views = ("Releases - New", "Releases") if new else ("Releases", "Releases - New")
        with self.gesture() as shelf:
            run("mv", self.release_path(release, views[0]), self.mnt / views[1])
            shelf.new[release] = not new

    @precondition(lambda self: self.shelf.new)
    @rule(pick=PICK, extension=st.sampled_from(["png", "jpg"]))
    def set_a_cover(self, pick: int, extension: str) -> None:
        release, content = self.release(pick), PICTURE + self.new_name().encode()
        image = self.top / f"image.{extension}"
        image.write_bytes(content)
        with self.gesture() as shelf:
            run("cp", image, self.release_path(release) / f"cover.{extension}")
            shelf.covers[release] = content

    @precondition(lambda self: self.shelf.covers)
    @rule(pick=PICK)
    def remove_a_cover(self, pick: int) -> None:
        release = sorted(self.shelf.covers)[pick % len(self.shelf.covers)]
        with self.gesture() as shelf:
            (cover,) = self.release_path(release).glob("cover.*")
            run("rm", cover)
            del shelf.covers[release]

    @rule(
        tracks=st.integers(1, 2),
        program=st.sampled_from(["cp -r", "cp -a", "rsync -a", "mv"]),
        title=st.sampled_from([None, "Edited while it arrives"]),
    )
    def import_a_release(self, tracks: int, program: str, title: str | None) -> None:
        name = self.new_name()
        album = make_release(
            self.top / "outside", name, tracks=tracks, format="flac", artist="LOONA", album=name
        )
        with self.gesture() as shelf:
            run(*program.split(), album, self.mnt / "Releases")
            assert album.exists() == (program != "mv")
            if title is not None:
                set_tags(self.mnt / "Releases" / album.name / "01.flac", title=title)
            self.bench.clock.advance(6)
            wait_for(lambda: len(rosecache.list_releases(self.c)) > len(shelf.new))
            (added,) = (each for each in rosecache.list_releases(self.c) if each.id not in shelf.new)
            shelf.new[added.id] = True
            for track in rosecache.get_tracks_of_release(self.c, added):
                shelf.titles[track.id], shelf.release_of[track.id] = track.tracktitle, added.id
            if title is not None:
                assert title in [shelf.titles[each] for each in shelf.tracks_of(added.id)]

    # Gestures on lists ----------------------------------------------------------------------------------

    @rule(view=VIEW)
    def make_a_list(self, view: str) -> None:
        name = self.new_name()
        with self.gesture():
            run("mkdir", self.mnt / view / name)
            self.lists(view)[name] = []

    @precondition(lambda self: self.shelf.collages and self.shelf.playlists)
    @rule(view=VIEW, pick=PICK)
    def rename_a_list(self, view: str, pick: int) -> None:
        name, new = self.list_name(view, pick), self.new_name()
        with self.gesture():
            run("mv", self.mnt / view / name, self.mnt / view / new)
            self.lists(view)[new] = self.lists(view).pop(name)
            if view == "Playlists" and name in self.shelf.pictures:
                self.shelf.pictures[new] = self.shelf.pictures.pop(name)

    @precondition(lambda self: self.shelf.collages and self.shelf.playlists)
    @rule(view=VIEW, pick=PICK)
    def remove_a_list(self, view: str, pick: int) -> None:
        name = self.list_name(view, pick)
        with self.gesture():
            run("rm", "-r", self.mnt / view / name)
            del self.lists(view)[name]
            if view == "Playlists":
                self.shelf.pictures.pop(name, None)

    @precondition(lambda self: self.shelf.playlists)
    @rule(pick=PICK, extension=st.sampled_from(["png", "jpg"]))
    def set_the_cover_of_a_playlist(self, pick: int, extension: str) -> None:
        name, content = self.list_name("Playlists", pick), PICTURES[extension] + self.new_name().encode()
        image = self.top / f"image.{extension}"
        image.write_bytes(content)
        with self.gesture() as shelf:
            run("cp", image, self.mnt / "Playlists" / name / f"cover.{extension}")
            shelf.pictures[name] = content

    @precondition(lambda self: self.shelf.pictures)
    @rule(pick=PICK)
    def remove_the_cover_of_a_playlist(self, pick: int) -> None:
        name = sorted(self.shelf.pictures)[pick % len(self.shelf.pictures)]
        with self.gesture() as shelf:
            (cover,) = (self.mnt / "Playlists" / name).glob("cover.*")
            run("rm", cover)
            del shelf.pictures[name]

    @precondition(lambda self: self.shelf.new and self.shelf.collages)
    @rule(pick=PICK, to=PICK, program=st.sampled_from(["cp -r", "cp -a", "rsync -a"]))
    def copy_into_a_collage(self, pick: int, to: int, program: str) -> None:
        release, name = self.release(pick), self.list_name("Collages", to)
        with self.gesture() as shelf:
            run(*program.split(), self.release_path(release), self.mnt / "Collages" / name)
            if release not in shelf.collages[name]:
                shelf.collages[name].append(release)

    @precondition(lambda self: self.shelf.new and self.shelf.collages)
    @rule(pick=PICK, to=PICK)
    def move_into_a_collage_from_the_source(self, pick: int, to: int) -> None:
        release, name = self.release(pick), self.list_name("Collages", to)
        found = rosecache.get_release(self.c, release)
        assert found is not None
        with self.gesture() as shelf:
            run("mv", found.source_path, self.mnt / "Collages" / name)
            if release not in shelf.collages[name]:
                shelf.collages[name].append(release)
            self.bench.clock.advance(61)
            assert found.source_path.exists()

    @precondition(lambda self: self.shelf.titles and self.shelf.playlists)
    @rule(pick=PICK, to=PICK, program=st.sampled_from(["cp", "cp -a", "rsync -a", "install"]))
    def copy_into_a_playlist(self, pick: int, to: int, program: str) -> None:
        track, name = self.track(pick), self.list_name("Playlists", to)
        # A name that was copied there a moment ago is that copy still: it is written over, removed, or up to date.
        self.bench.clock.advance(11)
        with self.gesture() as shelf:
            outside = self.top / self.track_path(track).name  # a name in a playlist may be that of a member
            shutil.copyfile(self.track_path(track), outside)
            run(*program.split(), outside, self.mnt / "Playlists" / name)
            outside.unlink()
            shelf.playlists[name].append(track)

    @precondition(lambda self: self.shelf.collages and self.shelf.playlists)
    @rule(view=VIEW, pick=PICK, member=PICK)
    def remove_a_member(self, view: str, pick: int, member: int) -> None:
        name = self.list_name(view, pick)
        paths = self.member_paths(view, name)
        if not paths:
            return
        with self.gesture() as shelf:
            index = member % len(paths)
            run("rm", "-r", paths[index])
            ids = self.lists(view)[name]
            del ids[shelf.there(ids)[index]]

    @precondition(lambda self: self.shelf.collages and self.shelf.playlists)
    @rule(view=VIEW, pick=PICK, member=PICK, to=st.integers(0, 6))
    def move_a_member(self, view: str, pick: int, member: int, to: int) -> None:
        name = self.list_name(view, pick)
        paths = self.member_paths(view, name)
        if not paths:
            return
        with self.gesture() as shelf:
            ids = self.lists(view)[name]
            there = shelf.there(ids)
            index = member % len(paths)
            target = there[min(max(to, 1), len(there)) - 1]
            run("mv", paths[index], paths[index].with_name(f"{to}. x"))
            ids.insert(target, ids.pop(there[index]))

    # Beside the mount -----------------------------------------------------------------------------------

    @precondition(lambda self: self.shelf.titles)
    @rule(pick=PICK)
    def a_tagger_changes_the_source(self, pick: int) -> None:
        track, title = self.track(pick), self.new_name()
        found = rosecache.get_track(self.c, track)
        assert found is not None
        set_tags(found.source_path, title=title)
        rosecache.update_cache(self.c)
        self.shelf.titles[track] = title
        self.before = None

    @precondition(lambda self: self.shelf.new)
    @rule(pick=PICK)
    def a_command_toggles_new(self, pick: int) -> None:
        found = rosecache.get_release(self.c, self.release(pick))
        assert found is not None
        with self.gesture() as shelf:
            releases.toggle_new(self.c, self.journal, found)
            shelf.new[found.id] = not shelf.new[found.id]

    @precondition(lambda self: self.shelf.titles and self.shelf.playlists)
    @rule(pick=PICK, to=PICK)
    def a_command_adds_to_a_playlist(self, pick: int, to: int) -> None:
        track, name = self.track(pick), self.list_name("Playlists", to)
        with self.gesture() as shelf:
            lists.add(self.c, self.journal, lists.PLAYLISTS, name, [track])
            shelf.playlists[name].append(track)

    @precondition(lambda self: self.before is not None)
    @rule()
    def the_last_gesture_is_taken_back(self) -> None:
        undo(self.c, self.journal)
        assert self.before is not None
        self.shelf, self.before = self.before, None

    def retags_in_force(self) -> list[tuple[str, str, str, str]]:
        return [each for each in self.retags if self.shelf.titles.get(each[1]) == each[3]]

    @precondition(lambda self: self.retags_in_force())
    @rule(pick=PICK)
    def an_older_retag_is_taken_back(self, pick: int) -> None:
        retags = self.retags_in_force()
        edit, track, old, _ = retags[pick % len(retags)]
        undo(self.c, self.journal, edit)
        self.shelf.titles[track] = old
        self.before = None

    @rule(seconds=st.sampled_from([0.5, 11]))
    def time_passes(self, seconds: float) -> None:
        self.bench.clock.advance(seconds)

    # What has to be true --------------------------------------------------------------------------------

    @invariant()
    def everything_agrees(self) -> None:
        expected = self.shelf.shown()
        assert shown_by_cache(self.c) == expected
        wait_for(lambda: self._shown() == expected)
        wait_for(lambda: self._matching() == self._expected_matching())
        before = snapshot(self.c.music_source_dir)
        other = msgspec.structs.replace(self.c, cache_dir=self.top / f"cache {self.new_name()}")
        assert rosecache.update_cache(other).problems == []
        assert shown_by_cache(other) == expected
        assert snapshot(self.c.music_source_dir) == before
        shutil.rmtree(other.cache_dir)

    def _shown(self) -> Shown | None:
        try:
            shown = shown_by_mount(self.mnt)
        except FileNotFoundError:
            return None  # names change while they are looked at
        if shown is not None:
            del shown.collages["Smart"], shown.playlists["Smart"]
        return shown

    def _matching(self) -> list[set[str]] | None:
        """Returns what matchers find in the mount: new releases, all tracks, and the releases of a few tracks."""
        directories = ["Collages/Smart", "Search/new:true", "Playlists/Smart", SEARCH]
        directories += [f"Search/tracktitle:^{self.shelf.titles[track]}$" for track in self._some_tracks()]
        try:
            return [
                {each for path in (self.mnt / name).iterdir() if (each := id_of(path))}
                for name in directories
            ]
        except FileNotFoundError:
            return None

    def _expected_matching(self) -> list[set[str]]:
        shelf = self.shelf
        new = {release for release, is_new in shelf.new.items() if is_new}
        some = [shelf.titles[track] for track in self._some_tracks()]
        found = [
            {shelf.release_of[track] for track in shelf.titles if shelf.titles[track] == title}
            for title in some
        ]
        return [new, new, {*shelf.titles}, {*shelf.new}, *found]

    def _some_tracks(self) -> list[str]:
        return sorted(self.shelf.titles)[-3:]


# REPEAT=20 pytest … tries so many times as many histories, other ones each time.
_REPEAT = int(os.environ.get("REPEAT", "0"))


def test_any_gestures(binding: str) -> None:
    run_state_machine_as_test(
        type("Gestures", (Gestures,), {"binding": binding}),
        settings=settings(
            max_examples=5 * max(_REPEAT, 1),
            stateful_step_count=12,
            derandomize=not _REPEAT,
            deadline=None,
            phases=[Phase.generate],  # to look for a shorter history takes minutes
        ),
    )
