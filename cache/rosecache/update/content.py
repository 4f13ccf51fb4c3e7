"""Reading the audio files of one release: each changed file once, broken ones noted and passed over."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import msgspec

from rosecache.config import Config
from rosecache.errors import UnreadableAudioError
from rosecache.tags import AudioTags, Reading, is_audio, read_file
from rosecache.update.report import Problem, problem, reason_of
from rosecache.update.rows import ReleaseRow, ReleaseTags, TrackRow, credits_of, release_tags_of
from rosecache.update.walk import FoundFile, Listing

_MOST_SHOWN = 16 * 2**20
"""Characters that the fields of all files of a release may hold: it is stored as a whole."""

_MOST_READINGS = 8 * 2**20
"""Characters of tags that are kept for who writes. Of Ogg files, pictures are among them; others are read again."""


class Content(msgspec.Struct):
    """What the audio files of a release say, by path below the release directory, in order of path."""

    kept: dict[bytes, TrackRow] = msgspec.field(default_factory=dict)
    """Unchanged since the cache stored them, or unreadable just now: what the cache holds of them."""
    read: dict[bytes, AudioTags] = msgspec.field(default_factory=dict)
    """New or changed files."""
    readings: dict[bytes, Reading] = msgspec.field(default_factory=dict)
    """The same, as they were read, for who has to write to them; not all of them, where they are large."""
    broken: dict[bytes, str] = msgspec.field(default_factory=dict)
    """Files that are no readable audio, and why."""
    problems: list[Problem] = msgspec.field(default_factory=list)
    complete: bool = True
    """False if the disk failed on a file, which the next update has to try again."""
    shown_size: int = 0
    """Characters of what is shown of all these files."""
    readings_size: int = 0
    """Characters of all tags in ``readings``."""

    @property
    def paths(self) -> list[bytes]:
        """Every readable audio file, sorted."""
        return sorted([*self.kept, *self.read])

    def release_tags(self, known: ReleaseRow | None) -> ReleaseTags:
        """Returns what the first audio file says of the release."""
        first = self.paths[0]
        if first in self.read:
            return release_tags_of(self.read[first])
        assert known is not None
        return known.tags


class Request(msgspec.Struct, frozen=True):
    """One release as it was found and read, for deciding its ids."""

    c: Config
    directory: bytes
    """Name of its directory."""
    path: bytes
    """Full path of its directory."""
    listing: Listing
    content: Content
    known: ReleaseRow | None
    store_first: Callable[[Iterable[str]], None]
    """To be told of ids before the cache is asked which other release has them."""
    force: bool
    defer: bool
    now: float


def audio_files(listing: Listing) -> list[FoundFile]:
    """Returns the files that are audio by their name."""
    return [file for file in listing.files if is_audio(file.path)]


def read_content(
    directory: bytes, listing: Listing, known: ReleaseRow | None, *, everything: bool
) -> Content:
    """Reads the audio files that changed since the cache stored them.

    The first one is also read when another file was the first before, since it speaks for the release.

    Args:
        directory: The release directory's full path.
        listing: Its files.
        known: What the cache holds of it.
        everything: Read unchanged files too.
    """
    content = Content()
    stored = {track.path: track for track in known.tracks} if known is not None else {}
    for file in audio_files(listing):
        track = stored.get(file.path)
        if track is not None and not everything and is_unchanged(file, track):
            content.kept[file.path] = track
            content.shown_size += len(track.title) + sum(len(name) for _, name in track.artists)
        else:
            _read(content, directory, file.path, stored)
    if content.kept:
        first = content.paths[0]
        if first in content.kept and first != min(stored):
            del content.kept[first]
            _read(content, directory, first, stored)
    return content


def is_unchanged(file: FoundFile, track: TrackRow) -> bool:
    """Tells whether a file is as it was when the cache stored it."""
    return (file.size, file.mtime, file.ctime) == (track.size, track.mtime, track.ctime)


def _read(content: Content, directory: bytes, path: bytes, stored: Mapping[bytes, TrackRow]) -> None:
    full = Path(os.fsdecode(os.path.join(directory, path)))
    try:
        reading = read_file(full)
        shown_size = reading.raw.shown_size
        if content.shown_size + shown_size > _MOST_SHOWN:
            reason = f"the fields of this release's files hold more than {_MOST_SHOWN // 2**20} MiB of text"
            raise UnreadableAudioError(full, reason)
        content.shown_size += shown_size
        content.read[path] = reading.tags
        content.readings_size += reading.raw.size
        if content.readings_size <= _MOST_READINGS:
            content.readings[path] = reading
    except FileNotFoundError:
        return  # it went between the walk and now; its directory has another stamp next time
    except UnreadableAudioError as error:
        content.broken[path] = error.reason
        content.problems.append(Problem(full, error.reason))
    except OSError as error:
        # A file that cannot be read just now is not gone: what is known of it stays.
        content.complete = False
        content.problems.append(problem(full, reason_of(error)))
        if path in stored:
            content.kept[path] = stored[path]
        else:
            content.broken[path] = reason_of(error)


def track_row(path: bytes, identifier: str, file: FoundFile, source: AudioTags | TrackRow) -> TrackRow:
    """Makes the row of one audio file, of its tags or of what the cache held."""
    if isinstance(source, TrackRow):
        title, number, disc = source.title, source.tracknumber, source.discnumber
        duration, artists = source.duration_seconds, source.artists
    else:
        title, number, disc = source.tracktitle or "", source.tracknumber, source.discnumber
        duration, artists = source.duration_seconds, credits_of(source.trackartists)
    return TrackRow(
        identifier, path, file.size, file.mtime, file.ctime, title, number, disc, duration, artists
    )
