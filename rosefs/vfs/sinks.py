"""What was copied into collages and playlists: which release or track it is, and how long it is remembered.

A copy names what it was made from: a directory by its name, a file by the identifier in its tags, or by its bytes. The
files that a mount shows for it are ``ghosts``, those of the source are kept by ``holds``. What follows from a copy is
the business of ``sink_gestures``.
"""

from __future__ import annotations

import filecmp
import re
import threading
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import rosecache
from rosecache.changes import Position, changes_since, current_position
from rosecache.config import Config
from rosecache.errors import UnreadableAudioError
from rosecache.model import Track
from rosecache.query.releases import releases_where
from rosecache.query.tracks import tracks_where
from rosecache.tags import AUDIO_EXTENSIONS, is_audio, read_ids
from rosefs.library.files import walk
from rosefs.library.holds import HOLD_SECONDS, Holds, recover_holds
from rosefs.vfs.ghosts import Ghost, GhostFile, Ghosts
from rosefs.vfs.later import Later
from rosefs.vfs.names import Namer
from rosefs.vfs.nodes import Key
from rosefs.vfs.overlay import MOMENT
from rosefs.vfs.tree import Tree
from rosefs.vfs.views import VIEWS

_POSITION = re.compile(r"[0-9]+\. ")
_REPETITION = re.compile(r" \[[0-9]+\]\Z")
_TEMPORARY = re.compile(r"\.(?P<name>.+)\.[A-Za-z0-9]{6}")
"""How rsync calls a file until it is whole."""
_UNNAMED = ".goutputstream-"
"""How programs of GNOME do."""


class Sinks:
    """What a mount knows of copies. Safe to use from several threads at once.

    Attributes:
        ghosts: What programs have written.
        holds: The source files that they may be about to delete.
    """

    def __init__(self, c: Config, tree: Tree, later: Later, clock: Callable[[], float]) -> None:
        self.ghosts = Ghosts(c.cache_dir, clock)
        self.holds = Holds(c, clock)
        self._c = c
        self._later = later
        self._clock = clock
        self._names = _ReleaseNames(c, tree)
        self._made: dict[Key, float] = {}

    def use(self, ghost: Ghost, *, opened: int = 0) -> None:
        """Says that a program is at work on something; ``opened`` counts an open file, or takes one back."""
        self.ghosts.use(ghost, opened)
        self.holds.use()
        now = self._clock()
        self._later.at(now + MOMENT, "ghosts", self.ghosts.expire)
        self._later.at(now + HOLD_SECONDS, "holds", self._settle)

    def note_made(self, directory: Key) -> None:
        """Notes that a collage or a playlist is being made, maybe as a copy of another one."""
        self._made = {key: until for key, until in self._made.items() if until > self._clock()}
        self._made[directory] = self._clock() + MOMENT

    def is_fresh(self, directory: Key) -> bool:
        """Tells whether a directory was made, or copied into, a moment ago."""
        return bool(self.ghosts.listed(directory)) or self._made.get(directory, 0.0) > self._clock()

    def forget(self, directory: Key, identifier: str) -> None:
        """Lets go of what was copied into a list and stands for a member that is being removed."""
        for ghost in self.ghosts.listed(directory).values():
            if ghost.member == identifier:
                self.ghosts.drop(ghost)

    def forget_covers(self) -> None:
        """Lets go of images that were copied into a playlist which has another cover by now, or none: by undo, say."""
        for ghost in self.ghosts.covers():
            if rosecache.get_playlist_cover(self._c, ghost.directory.value) != ghost.cover:
                self.ghosts.drop(ghost)

    def releases_called(self, name: str) -> frozenset[str]:
        """Returns the ids of the releases that a directory's name may mean."""
        return self._names.find(name)

    def close(self) -> None:
        """Lets go of what was written, and puts back what was lost."""
        self.ghosts.close()
        self.holds.close()

    def _settle(self) -> None:
        if self.ghosts.is_any_open:
            self.holds.use()
        left = self.holds.settle()
        if left is not None:
            self._later.at(self._clock() + left, "holds", self._settle)
        else:
            recover_holds(self._c)  # of mounts before this one


class _ReleaseNames:
    """Which releases are shown, or called on the disk, by a name."""

    def __init__(self, c: Config, tree: Tree) -> None:
        self._c = c
        self._tree = tree
        self._lock = threading.Lock()
        self._position: Position | None = None
        self._namer: Namer | None = None
        self._shown: dict[str, set[str]] = {}

    def find(self, name: str) -> frozenset[str]:
        """Returns the ids of the releases of a name; the closest reading that there is one for is taken."""
        found = {release.id for release in releases_where(self._c, "r.directory = :d", {"d": name.encode()})}
        shown = self._current()
        for reading in _readings(unicodedata.normalize("NFC", name)):
            found |= shown.get(reading, set()) | self._bound(reading)
            if found:
                break
        return frozenset(found)

    def _bound(self, name: str) -> set[str]:
        """Returns the releases that have a name in a directory that was looked at: also numbered or retired ones."""
        return {
            key.id for key in self._tree.bound(name) if rosecache.get_release(self._c, key.id) is not None
        }

    def _current(self) -> dict[str, set[str]]:
        """Returns the releases by what templates call them, in all views."""
        with self._lock:
            namer = self._tree.namer
            if self._position is not None and self._namer is namer:
                changes = changes_since(self._c, self._position)
                if not changes.resync and not any(change.kind == "release" for change in changes.changes):
                    self._position = changes.position
                    return self._shown
            self._position, self._namer = current_position(self._c), namer
            self._shown = self._collect(namer)
            return self._shown

    def _collect(self, namer: Namer) -> dict[str, set[str]]:
        templates = {
            namer.template(view.key, "release"): view.ordered
            for view in VIEWS.values()
            if view.key != "playlists"
        }
        shown: dict[str, set[str]] = {}
        for release in rosecache.list_releases(self._c):
            for template, ordered in templates.items():
                name = namer.name(template, release, position="0" if ordered else None)
                shown.setdefault(_POSITION.sub("", name, count=1) if ordered else name, set()).add(release.id)
        return shown


def _readings(name: str) -> Iterator[str]:
    """Yields a name as it is, then without the position, then without the number that tells equal names apart."""
    unnumbered = name[len(match[0]) :] if (match := _POSITION.match(name)) else name
    yield from dict.fromkeys((name, unnumbered, _REPETITION.sub("", name), _REPETITION.sub("", unnumbered)))


# Files ------------------------------------------------------------------------------------------------------


def final_name(name: str) -> str:
    """Returns what a file is going to be called that has a temporary name now, as far as one can tell."""
    match = _TEMPORARY.fullmatch(name)
    return match["name"] if match else name


def is_temporary(name: str) -> bool:
    """Tells whether a file is going to be called otherwise when it is whole."""
    return name.startswith(_UNNAMED) or _TEMPORARY.fullmatch(name) is not None


def identify(c: Config, ghost: GhostFile) -> Track | None:
    """Returns the track that a copy was made from: by the id in it, else by its bytes. Raises OSError."""
    name = final_name(ghost.name)
    suffixes = [Path(name).suffix.lower()] if is_audio(name) else sorted(AUDIO_EXTENSIONS)
    for suffix in suffixes:
        with suppress(UnreadableAudioError):
            track_id, _ = read_ids(ghost.called(suffix))
            track = None if track_id is None else rosecache.get_track(c, track_id)
            if track is not None:
                return track
    for track in tracks_where(c, "t.size = :size", {"size": ghost.size}):
        with suppress(FileNotFoundError):
            if filecmp.cmp(track.source_path, ghost.path, shallow=False):
                return track
    return None


def is_source_of(track: Track, ghost: GhostFile) -> bool:
    """Tells whether a copy has the very bytes of the library's file. Raises OSError, but not if that file is gone."""
    return _is_same(track.source_path, ghost)


def is_in_releases(c: Config, ghost: GhostFile, release_ids: Iterable[str]) -> bool:
    """Tells whether some file of any of these releases has the very bytes of a copy, whatever it is called.

    Raises OSError, but not for what is gone.
    """
    for release in rosecache.list_releases(c, release_ids):
        with suppress(FileNotFoundError):
            for parent, _, names in walk(release.source_path):
                if any(_is_same(Path(parent, name), ghost) for name in names):
                    return True
    return False


def _is_same(path: Path, ghost: GhostFile) -> bool:
    filecmp.clear_cache()  # which goes by size and time: too little where what is not the same is deleted
    try:
        return filecmp.cmp(path, ghost.path, shallow=False)
    except FileNotFoundError:
        return False
