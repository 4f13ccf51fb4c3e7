"""Writing tags of many files: one edit for each release, and all of one run are taken back as one.

What is written was planned before, from what the files said then. Each file is looked at again under the lock of its
release, and one that says something else by now is left as it is. Nothing here decides what tags should say.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from rosecache.config import Config
from rosecache.errors import FileProblemError, LockTimeoutError, RosecacheError
from rosecache.genres import load_genre_tree
from rosecache.model import Release
from rosecache.newid import new_id
from rosecache.query.releases import release_logtext
from rosecache.tags import AudioTags, NewVersion, TagChanges, recover, tagged_version
from rosecache.update import Problem
from rosefs.library.editing import Touched, holding, refresh, release_directory
from rosefs.library.errors import CacheBehindError, JournalError
from rosefs.library.files import Progress, Stretch, no_progress
from rosefs.library.journal import Edit, Journal
from rosefs.library.releases import write_new

_READ = tuple(each.name for each in dataclasses.fields(TagChanges) if each.name not in ("id", "release_id"))
"""What a plan can have been made of. An identifier may be written at any time, and makes no difference."""


class TrackEdit(msgspec.Struct, frozen=True):
    """What the tags of one file are to say.

    Attributes:
        path: The file, in the release's directory.
        before: What it said when that was planned.
        changes: What is to change.
    """

    path: Path
    before: AudioTags
    changes: TagChanges


class ReleaseEdit(msgspec.Struct, frozen=True):
    """What is to change in one release.

    Attributes:
        release: The release.
        tracks: Its files.
        new: What its datafile is to say; None leaves that as it is.
    """

    release: Release
    tracks: Sequence[TrackEdit] = ()
    new: bool | None = None


class Retagged(msgspec.Struct):
    """What became of a run.

    Attributes:
        changed: The files and releases that were changed, by their paths.
        problems: What was not, or not as it should be, and why.
    """

    changed: list[Path] = msgspec.field(default_factory=list)
    problems: list[Problem] = msgspec.field(default_factory=list)


def retag(
    c: Config,
    journal: Journal,
    edits: Sequence[ReleaseEdit],
    *,
    group: str | None = None,
    progress: Progress = no_progress,
) -> Retagged:
    """Writes tags and datafiles, and brings the cache up to date with them.

    What cannot be written is reported, and the rest is done. Where it is set, genres are written with their parents.

    Args:
        c: The settings.
        journal: Where the edits are noted.
        edits: What to do, each release once.
        group: Under what they are taken back as one; an id of their own if None.
        progress: Told how many files are done, and how many there are.

    Returns:
        What was changed, and what was not. A release is changed if its datafile is.
    """
    total = sum(len(each.tracks) for each in edits)
    run = _Run(c, journal, new_id() if group is None else group, progress, total)
    try:
        for number, each in enumerate(edits):
            try:
                run.edit_release(each)
            except JournalError as error:
                run.refuse(each.release.source_path, str(error))
                for other in edits[number + 1 :]:
                    run.refuse(other.release.source_path, "not changed, since the journal cannot be written")
                break
            except LockTimeoutError as error:
                run.refuse(each.release.source_path, str(error))
    finally:
        # Also of what was done before somebody pressed Ctrl-C.
        if run.outcome.changed:
            journal.prune()
        try:
            refresh(c, Touched(run.touched))
        except CacheBehindError as error:
            run.refuse(c.music_source_dir, str(error))
    return run.outcome


class _Run(msgspec.Struct):
    """The edits of one run."""

    c: Config
    journal: Journal
    group: str
    progress: Progress
    total: int
    done: int = 0
    touched: list[bytes] = msgspec.field(default_factory=list)
    """The directories of the releases that were worked on."""
    outcome: Retagged = msgspec.field(default_factory=Retagged)

    def refuse(self, path: Path, reason: str) -> None:
        self.outcome.problems.append(Problem(path, reason))

    def edit_release(self, each: ReleaseEdit) -> None:
        """Makes the edit of one release. Raises JournalError, LockTimeoutError: nothing of it was changed."""
        release = each.release
        changed: list[Path] = []
        problems: list[Problem] = []
        title = f"retag {release_logtext(release)}"
        directory = release_directory(self.c, release.source_path)
        with holding(self.c, Touched([directory])):
            self.touched.append(directory)
            torn = recover(release.source_path)  # a file that an update left half written is not what it was
            if torn:
                self.outcome.problems += [Problem(error.path, error.reason) for error in torn]
                return
            with self.journal.edit(title, group=self.group, more_follow=True) as edit:
                for track in each.tracks:
                    try:
                        if self._edit_track(edit, track):
                            changed.append(track.path)
                    except (FileProblemError, OSError) as error:
                        problems.append(_problem(track.path, error))
                    self.done += 1
                    self.progress(self.done, self.total)
                if each.new is not None:
                    try:
                        if write_new(edit, release, each.new).changed:
                            changed.append(release.source_path)
                    except JournalError:
                        raise
                    except (RosecacheError, OSError) as error:
                        problems.append(_problem(release.source_path, error))
        self.outcome.changed += changed
        self.outcome.problems += problems

    def _edit_track(self, edit: Edit, track: TrackEdit) -> bool:
        parents = load_genre_tree(self.c).parents_of_all if self.c.write_parent_genres else None

        def check(now: AudioTags) -> None:
            if any(getattr(now, name) != getattr(track.before, name) for name in _READ):
                raise ValueError("its tags were changed by another program meanwhile; look at it again")

        with tagged_version(track.path, track.changes, parent_genres=parents, check=check) as version:
            if version is None:
                return False
            edit.put(track.path, version.path, shared=_shared(version), check=version.expect_replaceable)
        return True


def _shared(version: NewVersion) -> Iterable[Stretch]:
    """Yields what a new version shares with the old one, between what was patched."""
    patches = version.plan.patches
    growth = 0
    for patch, following in itertools.pairwise(patches):
        growth += patch.growth
        yield patch.end, patch.end + growth, following.offset - patch.end


def _problem(path: Path, error: Exception) -> Problem:
    if isinstance(error, FileProblemError):
        return Problem(error.path, error.reason)
    if isinstance(error, OSError):
        return Problem(path, error.strerror or str(error))
    return Problem(path, str(error))
