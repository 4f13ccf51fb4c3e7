"""Making a track a release of its own: a copy, tagged as a single, seen by others only when it is whole.

The track that is copied, its release and its cover stay as they are, and nothing of their identity is taken.
"""

from __future__ import annotations

import os
import stat
from datetime import datetime
from pathlib import Path

import msgspec

from rosecache.config import Config
from rosecache.datafiles import ReleaseDatafile, datafile_name, write_release_datafile
from rosecache.formatting import format_artists
from rosecache.model import Release, Track
from rosecache.names import safe_name
from rosecache.newid import new_id
from rosecache.query.releases import get_release
from rosecache.query.tracks import track_logtext
from rosecache.tags import TagChanges, read_tags, write_tags
from rosecache.tags.journal import flush_directory
from rosecache.update.track_ids import table_key
from rosefs.library.editing import Touched, editing, holding, release_directory
from rosefs.library.files import copy_file
from rosefs.library.imports import check_release_name, free_names, temporary_path
from rosefs.library.journal import Journal


class Single(msgspec.Struct, frozen=True):
    """A release that was made of a track.

    Attributes:
        path: The release's directory.
        release: The release; None if the cache could not read it.
    """

    path: Path
    release: Release | None


def create_single(c: Config, journal: Journal, track: Track, *, loose: bool = False) -> Single:
    """Makes a copy of a track a release of its own.

    Its title and its artists are those of the track, it is number 1 of 1 on disc 1, a single, and not new; all other
    tags are kept, and the cover is copied. Release and track have ids of their own. The directory is called by
    artists and title, with `` [2]`` if that is taken.

    Args:
        c: The settings.
        journal: Where the edit is noted.
        track: The track.
        loose: Make it a loose track, rather than a single.

    Raises:
        InvalidNameError: The settings say that a directory of that name is no release.
        TagWriteError, UnreadableAudioError: The track's tags cannot be read, or not be written to a copy.
        OSError, JournalError, LockTimeoutError: Nothing was changed.
    """
    making = _Making(c, track, "loosetrack" if loose else "single", new_id(), new_id())
    title = f"make {track_logtext(track)} a release of its own"
    wanted = safe_name(f"{format_artists(track.trackartists)} - {making.title}")
    if wanted.startswith("."):
        wanted = "_" + wanted[1:]  # a hidden directory, or one that counts as in progress, would be lost
    for name in free_names(c, check_release_name(c, wanted)):
        path = c.music_source_dir / name
        # The original is held, so that nobody is at work on the file that is being copied.
        held = Touched([release_directory(c, track.source_path), os.fsencode(name)])
        touched = Touched([os.fsencode(name)])
        try:
            with holding(c, held, to_write=False), editing(c, journal, title, touched, force=True) as edit:
                edit.create_directory(path, temporary_path(c, name), making.fill)
        except FileExistsError:
            continue  # somebody was faster in taking that name
        break
    release = get_release(c, making.release_id)
    return Single(path if release is None else release.source_path, release)


class _Making(msgspec.Struct, frozen=True):
    """What a new release is made of."""

    c: Config
    track: Track
    releasetype: str
    release_id: str
    track_id: str

    @property
    def title(self) -> str:
        return self.track.tracktitle or "Unknown Title"

    def fill(self, directory: Path) -> None:
        """Puts all files of the release into an empty directory, and flushes them to the disk."""
        source, release = self.track.source_path, self.track.release
        audio = directory / safe_name(f"01. {self.title}", extension=source.suffix)
        copy_file(source, audio)
        tags, in_tags = read_tags(audio), self.c.write_ids_to_tags
        changes = TagChanges(
            id=self.track_id if in_tags else None,
            release_id=self.release_id if in_tags else None,
            tracknumber="1",
            discnumber="1",
            releasetitle=tags.tracktitle,
            releasetype=self.releasetype,
            releaseartists=tags.trackartists,
        )
        write_tags(audio, changes, total=1)
        if release.cover_image_path is not None:
            copy_file(release.cover_image_path, directory / release.cover_image_path.name)
        datafile = ReleaseDatafile(
            new=False,
            added_at=datetime.now().astimezone().isoformat(timespec="seconds"),
            tracks={} if in_tags else {table_key(os.fsencode(audio.name)): self.track_id},
        )
        write_release_datafile(directory / datafile_name(self.release_id), datafile)
        directory.chmod(release.source_path.stat().st_mode & 0o777 | stat.S_IRWXU)
        flush_directory(directory)
