"""What a first update of a library writes into it: found out, said, and asked about before it is done.

An update gives ids to whatever has none, which changes files of the user's. So the first time, which is when the
cache knows nothing of a source directory, the user is told. Reads files, and never writes any.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click
import msgspec

from rosecache.config import Config
from rosecache.database import connect, database_path
from rosecache.datafiles import parse_datafile_name
from rosecache.errors import UnreadableAudioError
from rosecache.tags.reading import read_ids
from rosecache.update.content import audio_files
from rosecache.update.walk import Listing, list_files, list_release_directories


class Writes(msgspec.Struct, frozen=True):
    """What an update is about to write: counts of files."""

    tags: int = 0
    """Audio files that get ids."""
    datafiles: int = 0
    """Datafiles that are made."""


def announce_first_run(c: Config, *, yes: bool) -> None:
    """Says what a first update writes, and on a terminal asks whether it may.

    Says and asks nothing if the cache knows the library, if everything has its ids already, or if the library is
    read-only. Where nobody can be asked, the notice is all: whoever starts rosefs from a script has decided.

    Args:
        c: The settings.
        yes: The answer, given beforehand.

    Raises:
        click.ClickException: The answer is no.
    """
    if c.read_only or _is_known(c):
        return
    writes = _expected_writes(c)
    if writes == Writes():
        return
    click.echo(_notice(c, writes), err=True)
    if yes or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return
    if not click.confirm("Go on?", err=True):
        raise click.ClickException("nothing was written")


def _is_known(c: Config) -> bool:
    if not database_path(c).exists():
        return False
    with connect(c) as connection:
        return bool(connection.execute("SELECT 1 FROM releases LIMIT 1").fetchall())


def _expected_writes(c: Config) -> Writes:
    tags = datafiles = 0
    try:
        names = list_release_directories(c)
    except OSError:
        return Writes()  # the update will say what is wrong
    for name in names:
        directory = os.path.join(os.fsencode(c.music_source_dir), name)
        try:
            listing = list_files(directory)
        except OSError:
            continue
        audio = audio_files(listing)
        if not audio:
            continue
        is_new = not _has_datafile(listing)
        datafiles += is_new
        if c.write_ids_to_tags and (is_new or not _has_ids(directory, listing)):
            tags += len(audio)
    return Writes(tags, datafiles)


def _has_datafile(listing: Listing) -> bool:
    return any(parse_datafile_name(file.path) is not None for file in listing.files if b"/" not in file.path)


def _has_ids(directory: bytes, listing: Listing) -> bool:
    """Tells whether the tracks of a release with a datafile have ids, by its first file that can be read."""
    for file in audio_files(listing):
        try:
            track_id, _ = read_ids(Path(os.fsdecode(os.path.join(directory, file.path))))
        except (OSError, UnreadableAudioError):
            continue
        return track_id is not None
    return True


def _notice(c: Config, writes: Writes) -> str:
    said = [f"rosefs has not seen {c.music_source_dir} before. It is about to write"]
    if writes.tags:
        said.append(
            f"  - identifiers into the tags of {_count(writes.tags, 'audio file')}; all other tags, covers and "
            "the audio stay as they are"
        )
    if writes.datafiles:
        said.append(
            f"  - {_count(writes.datafiles, 'small file')} .rose.<uuid>.toml, one in each release's directory"
        )
    if writes.tags:
        said.append("To have no audio file changed, put this line into the configuration:")
        said.append("  write_ids_to_tags = false")
    return "\n".join(said)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"
