"""Renaming source files by the templates of the ``source`` view, when the user asked for it.

Only names change: a file is never moved over another one, nor out of its release. The caller holds the
release's lock. A kill between two renames leaves every file under its old or its new name.
"""

from __future__ import annotations

import errno
import functools
import os
from collections.abc import Container, Iterable
from contextlib import ExitStack, suppress
from pathlib import Path

import msgspec
from msgspec.structs import replace

from rosecache.config import Config
from rosecache.errors import LockTimeoutError, TemplateError
from rosecache.exclusive import rename_exclusively
from rosecache.genres import load_genre_tree
from rosecache.locks import lock
from rosecache.model import PartialDate, Release, Track
from rosecache.names import distinct_name, distinct_names, safe_name
from rosecache.tags.suffixes import suffix_of
from rosecache.templates import NameTemplate
from rosecache.update.report import Problem, problem, reason_of
from rosecache.update.rows import ReleaseRow, TrackRow, mapping_of
from rosecache.update.walk import FoundFile, Listing, release_stamp, reserved_names


class Renamed(msgspec.Struct):
    """A release after its files were renamed."""

    row: ReleaseRow
    moved: bool = False
    problems: list[Problem] = msgspec.field(default_factory=list)

    def with_times(self, c: Config, listing: Listing, *, complete: bool) -> ReleaseRow:
        """Returns the row with the times that the files have now, since a rename changes an inode's.

        Files that somebody else changed meanwhile make the next update look again.
        """
        found = {file.path: file for file in listing.files}
        expected = {(track.path, track.size, track.mtime) for track in self.row.tracks}
        expected |= {(file.path, file.size, file.mtime) for file in self.row.files}
        complete = complete and expected == {(file.path, file.size, file.mtime) for file in listing.files}
        return replace(
            self.row,
            stamp=release_stamp(c, listing) if complete else b"",
            tracks=tuple(_retimed(track, found) for track in self.row.tracks if track.path in found),
            files=tuple(
                replace(file, ctime=found[file.path].ctime) for file in self.row.files if file.path in found
            ),
        )


def _retimed(track: TrackRow, found: dict[bytes, FoundFile]) -> TrackRow:
    return replace(track, ctime=found[track.path].ctime)


def rename_source(c: Config, row: ReleaseRow) -> Renamed:
    """Renames a release's directory and tracks. What cannot be renamed is reported, and keeps its name."""
    renamed = Renamed(row)
    try:
        _rename_tracks(c, renamed)
        _rename_directory(c, renamed)
    except TemplateError as error:
        renamed.problems.append(problem(_directory(c, row), f"not renamed: {error}"))
    return renamed


@functools.lru_cache(maxsize=8)
def _templates(c: Config) -> tuple[NameTemplate, NameTemplate]:
    templates = c.path_templates
    return (
        NameTemplate(templates.of_view("source", "release"), "release"),
        NameTemplate(templates.of_view("source", "track"), "track"),
    )


def _directory(c: Config, row: ReleaseRow) -> bytes:
    return os.path.join(os.fsencode(c.music_source_dir), row.directory)


def _rename_directory(c: Config, renamed: Renamed) -> None:
    source = os.fsencode(c.music_source_dir)
    old = renamed.row.directory
    wanted = source_name(c, _templates(c)[0], _release(c, renamed.row))
    taken = _Taken(source, old, reserved_names(c))
    with ExitStack() as held:
        while True:
            name = distinct_name(wanted, taken, extensions=False, max_bytes=c.max_filename_bytes)
            new = os.fsencode(name)
            if new == old:
                return
            try:
                held.enter_context(lock(c, f"release-{name}", timeout=0))
            except LockTimeoutError:
                return  # somebody is making a directory of that name; the next change of this release tries again
            if (
                name not in taken
            ):  # else another release got that name a moment ago, and now there is another for this
                break
        try:
            _rename(os.path.join(source, old), os.path.join(source, new))
        except OSError as error:
            renamed.problems.append(problem(os.path.join(source, old), f"not renamed: {reason_of(error)}"))
            return
    renamed.row = replace(renamed.row, directory=new)
    renamed.moved = True


class _Taken:
    """The names that cannot be had in a directory: those that exist, but for one's own, and some others."""

    def __init__(self, directory: bytes, own: bytes | None, reserved: Container[bytes] = ()) -> None:
        self._directory = directory
        self._own = own
        self._reserved = reserved

    def __contains__(self, name: object) -> bool:
        encoded = os.fsencode(str(name))
        if encoded in self._reserved:
            return True
        if self._own is not None and encoded == self._own:
            return False
        return _is_taken(os.path.join(self._directory, encoded), self._own)


def _is_taken(path: bytes, own: bytes | None) -> bool:
    """Tells whether something else has a path than what is called ``own`` beside it."""
    if not os.path.lexists(path):
        return False
    return own is None or not _is_same(os.path.join(os.path.dirname(path), own), path)


def _is_same(one: bytes, other: bytes) -> bool:
    """Tells whether two spellings are one name to a file system that does not tell capitals apart."""
    if os.fsdecode(one).casefold() != os.fsdecode(other).casefold():
        return False
    with suppress(OSError):
        return os.path.samestat(os.lstat(one), os.lstat(other))
    return False


def _rename(old: bytes, new: bytes) -> None:
    if _is_same(old, new):
        os.rename(old, new)  # from capitals to small letters, say: the name is taken, but by the file itself
    else:
        rename_exclusively(old, new)


def _rename_tracks(c: Config, renamed: Renamed) -> None:
    """Renames tracks, and the files beside them that share their stem (lyrics, say)."""
    directory = _directory(c, renamed.row)
    pending = {old: new for old, new in _wanted_paths(c, renamed.row).items() if old != new}
    emptied = {os.path.dirname(path) for path in pending}
    while pending:
        free = [old for old, new in pending.items() if not _is_path_taken(directory, old, new)]
        if free:
            for old in free:
                _move_track(directory, renamed, old, pending.pop(old))
            continue
        # Every name is taken, by a file that waits itself (two swapped tracks) or by one that stays.
        old, new = next(iter(pending.items()))
        parent, name = os.path.split(new)
        own = os.path.basename(old) if os.path.dirname(old) == parent and new not in pending else None
        taken = _Taken(os.path.join(directory, parent), own)
        spare_name = distinct_name(os.fsdecode(name), taken, max_bytes=c.max_filename_bytes)
        spare = os.path.join(parent, os.fsencode(spare_name))
        del pending[old]
        if spare != old:
            _move_track(directory, renamed, old, spare)
        if new in pending:
            pending[spare] = new
    _remove_empty(directory, emptied)


def _is_path_taken(directory: bytes, old: bytes, new: bytes) -> bool:
    own = os.path.basename(old) if os.path.dirname(old) == os.path.dirname(new) else None
    return _is_taken(os.path.join(directory, new), own)


def _wanted_paths(c: Config, row: ReleaseRow) -> dict[bytes, bytes]:
    """Returns the path that each track should have, by the path that it has."""
    release = _release(c, row)
    template = _templates(c)[1]
    wanted: dict[str, list[tuple[str, TrackRow]]] = {}
    for track in row.tracks:
        *parents, name = source_parts(c, template, _track(c, row, track, release))
        wanted.setdefault("/".join(parents), []).append((name, track))
    paths = {}
    for parent, entries in wanted.items():
        names = distinct_names(
            [(name, track.id) for name, track in entries], extensions=True, max_bytes=c.max_filename_bytes
        )
        for name, (_, track) in zip(names, entries, strict=True):
            paths[track.path] = os.fsencode(f"{parent}/{name}" if parent else name)
    return paths


def source_name(c: Config, template: NameTemplate, release: Release) -> str:
    """Returns what a release's directory should be called. Raises TemplateError."""
    return _visible(safe_name(template.render(release), max_bytes=c.max_filename_bytes))


def source_parts(c: Config, template: NameTemplate, track: Track) -> list[str]:
    """Returns what a track should be called below its release: directories, then a name. Raises TemplateError."""
    *parents, stem = template.render_segments(track)
    extension = suffix_of(track.source_path.name)
    names = [safe_name(parent, max_bytes=c.max_filename_bytes) for parent in parents]
    return [
        *map(_visible, names),
        _visible(safe_name(stem, max_bytes=c.max_filename_bytes, extension=extension)),
    ]


def _visible(name: str) -> str:
    """Returns a name for what would be lost if it were hidden, or counted as in progress."""
    return "_" + name[1:] if name.startswith(".") else name


def _move_track(directory: bytes, renamed: Renamed, old: bytes, new: bytes) -> None:
    row = renamed.row
    moves = {old: new}
    old_stem, new_stem = os.path.splitext(old)[0], os.path.splitext(new)[0]
    for file in row.files:
        stem, extension = os.path.splitext(file.path)
        if stem == old_stem and file.kind == "extra":
            moves[file.path] = new_stem + extension
    done = {}
    for source, target in moves.items():
        try:
            _make_parent(directory, target)
            _rename(os.path.join(directory, source), os.path.join(directory, target))
        except FileExistsError as error:
            if source == old:
                renamed.problems.append(
                    problem(os.path.join(directory, source), f"not renamed: {reason_of(error)}")
                )
            continue  # the lyrics of another track have that name: these keep theirs
        except OSError as error:
            renamed.problems.append(
                problem(os.path.join(directory, source), f"not renamed: {reason_of(error)}")
            )
        else:
            done[source] = target
    renamed.moved = renamed.moved or bool(done)
    renamed.row = replace(
        row,
        tracks=tuple(replace(track, path=done.get(track.path, track.path)) for track in row.tracks),
        files=tuple(replace(file, path=done.get(file.path, file.path)) for file in row.files),
    )


def _make_parent(directory: bytes, target: bytes) -> None:
    """Makes the directory for a path. Raises OSError where a link would lead out of the release."""
    parent = os.path.dirname(os.path.join(directory, target))
    top = os.path.realpath(directory)
    if os.path.commonpath([os.path.realpath(parent), top]) != top:
        raise OSError(errno.ELOOP, "a link leads out of the release")
    os.makedirs(parent, exist_ok=True)


def _remove_empty(directory: bytes, below: Iterable[bytes]) -> None:
    for path in sorted(below, key=len, reverse=True):
        while path:
            try:
                os.rmdir(os.path.join(directory, path))
            except OSError:
                break  # not empty
            path = os.path.dirname(path)


def _release(c: Config, row: ReleaseRow) -> Release:
    genres = load_genre_tree(c)
    tags = row.tags
    return Release(
        id=row.id,
        source_path=Path(os.fsdecode(_directory(c, row))),
        cover_image_path=None,
        added_at=row.added_at,
        datafile_mtime=row.datafile_mtime,
        releasetitle=tags.title,
        releasetype=tags.type,
        releasedate=PartialDate.parse(tags.releasedate),
        originaldate=PartialDate.parse(tags.originaldate),
        compositiondate=PartialDate.parse(tags.compositiondate),
        edition=tags.edition,
        catalognumber=tags.catalognumber,
        new=row.new,
        disctotal=len({track.discnumber for track in row.tracks}),
        genres=tags.facets["genre"],
        parent_genres=genres.parents_of_all(tags.facets["genre"]),
        secondary_genres=tags.facets["secondary_genre"],
        parent_secondary_genres=genres.parents_of_all(tags.facets["secondary_genre"]),
        descriptors=tags.facets["descriptor"],
        labels=tags.facets["label"],
        releaseartists=mapping_of(tags.artists),
        metahash="",
    )


def _track(c: Config, row: ReleaseRow, track: TrackRow, release: Release) -> Track:
    return Track(
        id=track.id,
        source_path=Path(os.fsdecode(os.path.join(_directory(c, row), track.path))),
        source_mtime=track.mtime,
        source_size=track.size,
        tracktitle=track.title,
        tracknumber=track.tracknumber,
        tracktotal=sum(other.discnumber == track.discnumber for other in row.tracks),
        discnumber=track.discnumber,
        duration_seconds=track.duration_seconds,
        trackartists=mapping_of(track.artists),
        metahash="",
        release=release,
    )
