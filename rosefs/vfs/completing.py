"""When a release that programs fill is complete, and what is done then.

It is when nobody has had a file of it open, or has changed anything in it, for five seconds, and it holds a file that
can be played; at the end of the mount it is in any case. Then it becomes a release of the library: the same
directory under the name it was given, read by the cache, with its tracks under the numbers that tracks have. The
directory keeps its own number, so that a shell in it stays where it is, and old names go on leading to what is there.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import rosecache
from rosecache.errors import RosecacheError
from rosecache.model import Release
from rosecache.query.releases import releases_where
from rosecache.query.rows import snapshot
from rosefs.library import arrivals as library
from rosefs.library.errors import CacheBehindError
from rosefs.vfs.arrival_gestures import bound_name
from rosefs.vfs.arrivals import RELEASES
from rosefs.vfs.arriving import Arrival, Folder, State
from rosefs.vfs.edits import Edits
from rosefs.vfs.errors import FileSystemError
from rosefs.vfs.inodes import Inodes
from rosefs.vfs.names import RETIRED_SECONDS
from rosefs.vfs.nodes import DirectoryNode, Key, Node, file_node, track_node

log = logging.getLogger(__name__)

QUIET_SECONDS = 5.0
_RETRY_SECONDS = 60.0
_OUT_OF_DATE = 0
"""The generation of nodes that are asked for anew before they are shown."""


class Completion:
    """Completes arrivals."""

    def __init__(self, edits: Edits, inodes: Inodes, forget: Callable[[int], None]) -> None:
        """``forget`` has the kernel forget content and attributes of an inode."""
        self._edits = edits
        self._inodes = inodes
        self._forget = forget

    def arm(self, arrival: Arrival) -> None:
        """Has an arrival looked at when it has been left alone for long enough."""
        self._at(QUIET_SECONDS, arrival)

    def _at(self, seconds: float, arrival: Arrival) -> None:
        when = self._edits.clock() + seconds
        self._edits.later.at(when, ("arrival", arrival.token), lambda: self.attempt(arrival))

    def attempt(self, arrival: Arrival) -> None:
        """Completes an arrival if it is. Otherwise whatever happens next to it has it looked at again."""
        if not self._is_quiet(arrival):
            return
        try:
            is_release = library.holds_release(arrival.path_of(arrival.root))
        except OSError as error:
            self._put_off(arrival, error)
            return
        if is_release:
            self._complete(arrival, lambda: self._is_quiet(arrival))

    def finish(self) -> None:
        """Completes all arrivals, whatever is in them, since nobody can fill them any more."""
        for arrival in self._edits.arrivals:
            if arrival.root.children:
                self._complete(arrival, lambda: True)
            else:
                with suppress(OSError):
                    arrival.on_disk.path.rmdir()

    def _is_quiet(self, arrival: Arrival) -> bool:
        is_unused = arrival.state is State.OPEN and not arrival.handles and not arrival.busy
        return is_unused and self._edits.clock() - arrival.touched >= QUIET_SECONDS

    def _complete(self, arrival: Arrival, may: Callable[[], bool]) -> None:
        edits = self._edits
        try:
            library.finish(arrival.path_of(arrival.root))
            with arrival.lock:
                if not may():
                    return
                self._note_folders(arrival)
                arrival.state = State.COMPLETING
            library.complete(edits.c, edits.journal, arrival.on_disk)
        except CacheBehindError as error:
            log.warning("%s", error)  # it is done, and the next update makes up for the rest
        except BaseException as error:
            with arrival.lock:
                arrival.state = State.OPEN
                arrival.lock.notify_all()
            if not isinstance(error, OSError | RosecacheError):
                raise
            self._put_off(arrival, error)
            return
        try:
            edits.look()
            self._become(arrival)
        finally:
            if arrival.state is not State.DONE:
                edits.tree.directory(RELEASES).unbind(bound_name(arrival.name))
                edits.arrivals.end(arrival, lasting=False)
            edits.tree.directory(RELEASES).drop()

    def _put_off(self, arrival: Arrival, error: Exception) -> None:
        log.warning("the import of %s is not complete, and is tried again: %s", arrival.name, error)
        self._at(_RETRY_SECONDS, arrival)

    def _note_folders(self, arrival: Arrival) -> None:
        """Has directories be shown as they are now, also when they are those of a release."""
        for entry in arrival.root.walk():
            if isinstance(entry, Folder):
                with suppress(FileSystemError):
                    arrival.node_of(entry)

    def _become(self, arrival: Arrival) -> None:
        """Has names and numbers lead to the release that an arrival is now, if the cache takes it for one."""
        edits, tree = self._edits, self._edits.tree
        name = os.fsencode(arrival.on_disk.path.name)
        with snapshot(edits.c):
            found = releases_where(edits.c, "r.directory = :directory", {"directory": name})
            if not found:
                return
            release = found[0]
            files = _files_of(edits, release)
        for entry in arrival.root.walk():
            if not isinstance(entry, Folder):
                entry.became = files.get(release.source_path / arrival.relative(entry))
        key = Key("releases", "", release.id)
        directory = tree.directory(key)
        listed = directory.entries().names
        old_names = {
            bound_name(name): entry.became.key
            for name, entry in arrival.root.children.items()
            if entry.became is not None and bound_name(name) not in listed
        }
        # First the names, so that there is no moment at which the directory is the new one and does not have them.
        directory.bind(old_names, RETIRED_SECONDS)
        became = arrival.root.became = DirectoryNode(key, release.id, release.mtime, _OUT_OF_DATE)
        inode = self._inodes.adopt(arrival.root.key, became)
        tree.directory(RELEASES).bind({bound_name(arrival.name): key}, RETIRED_SECONDS)
        edits.arrivals.end(arrival, lasting=True)
        # Ids were written to the files, and what is shown of the directory is another thing now.
        known = [inode, *(self._inodes.find(entry.key) for entry in arrival.root.walk())]
        for each in known:
            if each is not None:
                self._forget(each.number)


def _files_of(edits: Edits, release: Release) -> dict[Path, Node]:
    """Returns the files of a release by where they are."""
    files = rosecache.get_release_files(edits.c, release.id)
    found: dict[Path, Node] = {
        file.path: file_node(release, file, _OUT_OF_DATE)
        for file in (files.cover, files.datafile, *files.extra)
        if file is not None
    }
    tracks = rosecache.get_tracks_of_release(edits.c, release)
    return found | {track.source_path: track_node(track, _OUT_OF_DATE) for track in tracks}
