"""Covers of releases and playlists: setting, deleting, and taking them out of the audio files.

A cover that is replaced by another file goes to the trash.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from rosecache.config import Config
from rosecache.errors import LockTimeoutError, UnreadableAudioError
from rosecache.model import Release, Track
from rosecache.query.releases import list_releases, release_logtext
from rosecache.query.tracks import get_tracks_of_release
from rosecache.update.release import choose_cover
from rosecache.update.walk import list_files
from rosefs.library.editing import Touched, editing, holding, refresh, release_directory
from rosefs.library.errors import CoverError, NotFoundError
from rosefs.library.journal import Edit, Journal
from rosefs.library.pictures import (
    HEAD_SIZE,
    embedded_picture,
    extensions_of,
    is_known_extension,
    name_of,
)

_STEM = "cover"


class CoverSet(msgspec.Struct, frozen=True):
    """A cover that was set, and covers of other names that went to the trash for it."""

    path: Path
    replaced: tuple[Path, ...]


class CoverDeleted(msgspec.Struct, frozen=True):
    """A cover that is in the trash, and the image that is shown in its place, if there is one."""

    path: Path
    next: Path | None


class Extraction(msgspec.Struct, frozen=True):
    """Covers that were made of embedded pictures.

    Attributes:
        covers: The new files.
        without: Releases that have no embedded picture, in files that can all be read.
        problems: What could not be done, as path and reason.
    """

    covers: tuple[Path, ...]
    without: tuple[Release, ...]
    problems: tuple[tuple[Path, str], ...]


def check_image(c: Config, image: Path) -> str:
    """Returns the extension of an image that can be a cover, in lower case and without the dot.

    Raises:
        CoverError: It is no image, not what its name says, or of a kind that ``valid_art_exts`` leaves out.
        OSError: It cannot be read.
    """
    extension = image.suffix.lower().removeprefix(".")
    accepted = [each.lower() for each in c.valid_art_exts]
    if extension not in accepted:
        raise CoverError(
            f"{image}: a cover has to be one of {', '.join(accepted)}; the setting valid_art_exts decides that"
        )
    with open(image, "rb") as file:
        head = file.read(HEAD_SIZE)
    actual = extensions_of(head)
    if is_known_extension(extension) and extension not in actual:
        advice = f"; rename it to {image.stem}.{actual[0]}" if actual else ""
        raise CoverError(f"{image}: the name says {extension}, but the content is {name_of(head)}{advice}")
    return extension


def set_cover(c: Config, journal: Journal, release: Release, image: Path) -> CoverSet:
    """Makes an image the cover of a release; it keeps its extension, and is copied.

    The cover that is shown until then is replaced, and so is whatever would be shown before the new one.

    Raises:
        CoverError: The image cannot be a cover; nothing was changed.
        OSError, TrashError, JournalError: Nothing was changed.
    """
    extension = check_image(c, image)
    directory = release_directory(c, release.source_path)
    title = f"set the cover of {release_logtext(release)}"
    with editing(c, journal, title, Touched([directory])) as edit:
        names = _top_files(release)
        current = choose_cover(c, names)
        stem = os.path.splitext(os.fsdecode(current))[0] if current is not None else _stem(c)
        target = os.fsencode(f"{stem}.{extension}")
        # What is shown now, and what would be shown before the new one.
        old = [
            release.source_path / os.fsdecode(name)
            for name in names
            if name == current or choose_cover(c, [name, target]) == name
        ]
        return put_cover(edit, release.source_path / os.fsdecode(target), image, old)


def delete_cover(c: Config, journal: Journal, release: Release) -> CoverDeleted:
    """Puts the cover of a release into the trash. Another image that can be one is shown in its place.

    Raises:
        NotFoundError: There is none.
        OSError, TrashError, JournalError: Nothing was changed.
    """
    directory = release_directory(c, release.source_path)
    with editing(c, journal, f"delete the cover of {release_logtext(release)}", Touched([directory])) as edit:
        names = [file.path for file in list_files(os.fsencode(release.source_path)).files]
        cover = choose_cover(c, names)
        if cover is None:
            raise NotFoundError(f"{release_logtext(release)} has no cover")
        edit.trash(release.source_path / os.fsdecode(cover))
        following = choose_cover(c, [name for name in names if name != cover])
    return CoverDeleted(
        release.source_path / os.fsdecode(cover),
        None if following is None else release.source_path / os.fsdecode(following),
    )


def put_cover(edit: Edit, target: Path, image: Path, old: Iterable[Path]) -> CoverSet:
    """Puts an image in the place of old covers, in an edit that holds their locks; see :func:`check_image`."""
    _put(edit, target, image)
    replaced = tuple(path for path in old if path != target)
    for path in replaced:
        edit.trash(path)
    return CoverSet(target, replaced)


def _put(edit: Edit, target: Path, image: Path) -> None:
    """Gives a file, which need not be there yet, the content of an image. A link makes room for it."""
    if target.is_symlink():
        edit.trash(target)
    if os.path.lexists(target):
        edit.replace(target, image)
    else:
        edit.create(target, image)


def _top_files(release: Release) -> list[bytes]:
    """Returns the names of the files directly in a release's directory. Raises OSError."""
    files = list_files(os.fsencode(release.source_path)).files
    return [file.path for file in files if b"/" not in file.path]


def _stem(c: Config) -> str:
    stems = [stem.lower() for stem in c.cover_art_stems]
    return _STEM if _STEM in stems or not stems else stems[0]


# Extraction -------------------------------------------------------------------------------------------------


class _Found(msgspec.Struct):
    covers: list[Path] = msgspec.field(default_factory=list)
    without: list[Release] = msgspec.field(default_factory=list)
    problems: list[tuple[Path, str]] = msgspec.field(default_factory=list)


def extract_covers(
    c: Config,
    journal: Journal,
    releases: Iterable[Release] | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Extraction:
    """Makes ``cover.<ext>`` of embedded pictures, for releases without a cover; a front cover is preferred.

    Releases are done one by one, each under its lock, and all are one edit. What fails for one is a problem in
    the result.

    Args:
        c: The settings.
        journal: Where the edit is noted.
        releases: Which ones; None for all.
        progress: Told how many releases are done, and how many there are.
    """
    chosen = list_releases(c) if releases is None else list(releases)
    wanting = [release for release in chosen if release.cover_image_path is None]
    found = _Found()
    single = release_logtext(wanting[0]) if len(wanting) == 1 else f"{len(wanting)} releases"
    with journal.edit(f"extract the covers of {single}") as edit:
        for done, release in enumerate(wanting):
            progress(done, len(wanting))
            try:
                with holding(c, Touched([release_directory(c, release.source_path)])):
                    _extract(c, edit, release, found)
            except OSError as error:
                found.problems.append((release.source_path, error.strerror or str(error)))
            except LockTimeoutError as error:
                found.problems.append((release.source_path, str(error)))
        progress(len(wanting), len(wanting))
    if found.covers:
        refresh(c, Touched([release_directory(c, cover) for cover in found.covers]))
    return Extraction(tuple(found.covers), tuple(found.without), tuple(found.problems))


def _extract(c: Config, edit: Edit, release: Release, found: _Found) -> None:
    if choose_cover(c, [file.path for file in list_files(os.fsencode(release.source_path)).files]):
        return  # since the cache looked
    problems = len(found.problems)
    picture = _first_picture(get_tracks_of_release(c, release), found)
    if picture is None:
        if len(found.problems) == problems:
            found.without.append(release)
        return
    accepted = [each.lower() for each in c.valid_art_exts]
    extension = next((each for each in extensions_of(picture) if each in accepted), None)
    if extension is None:
        reason = f"the embedded picture is {name_of(picture)}, which valid_art_exts does not have"
        found.problems.append((release.source_path, reason))
        return
    cover = release.source_path / f"{_stem(c)}.{extension}"
    edit.create(cover, picture)
    found.covers.append(cover)


def _first_picture(tracks: Iterable[Track], found: _Found) -> bytes | None:
    for track in tracks:
        try:
            picture = embedded_picture(track.source_path)
        except OSError as error:
            found.problems.append((track.source_path, error.strerror or str(error)))
        except UnreadableAudioError as error:
            found.problems.append((track.source_path, error.reason))
        else:
            if picture is not None:
                return picture
    return None
