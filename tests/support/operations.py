"""What is done to a library when its process is killed: every kind of update and edit, each from the same start."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import rosecache
from rosecache.config import Config
from rosecache.tags import TagChanges, read_tags
from rosecache.update import assign, update_cache
from rosefs.cli.main import cli
from rosefs.library import arrivals, covers, imports, lists, releases, singles
from rosefs.library.holds import HOLD_SECONDS
from rosefs.library.releasemerge import read_snapshot
from rosefs.library.retag import ReleaseEdit, TrackEdit, retag
from rosefs.library.undo import undo
from tests.support.audio import FORMATS, PICTURE, make_release, make_track, set_tags
from tests.support.editing import Editor
from tests.support.library import ids_on_disk, make_list, release_id_on_disk
from tests.support.soundness import Home

Act = Callable[[Home], object]
COLLAGE, PLAYLIST = "Winter", "Quiet"


@dataclass(frozen=True)
class Operation:
    """Something that is done in one process, which may be killed.

    Attributes:
        act: What is done.
        prepare: What has happened before, in a library that is in the cache.
        is_edit: What was killed is as if it had never begun, or done: byte by byte. Else it goes on the next time, as
            an update does, and ends as if it had never been killed.
        by_release: It is several edits, of a release each: each release is as before, or done.
        is_first: The library has never been scanned.
        renames: Source files are renamed by their tags.
        workers: How many processes an update may use.
    """

    act: Act
    prepare: Act = lambda home: None
    is_edit: bool = True
    by_release: bool = False
    is_first: bool = False
    renames: bool = False
    workers: int = 1


# The start --------------------------------------------------------------------------------------------------


def make_template(top: Path, *, first: bool) -> None:
    """Makes what every operation starts with: releases, a collage, a playlist, and an album that is to come."""
    home = Home(top)
    source = home.source
    make_release(source, "loona", tracks=2, cover=True, artist="LOONA", album="Hash", date="2018")
    make_release(source, "blackpink", tracks=2, format="mp3", artist="BLACKPINK", album="Square", date="2016")
    for number, format in enumerate(FORMATS):
        # A comment that leaves an id no room has a file written anew.
        make_track(
            source / "formats" / f"{number:02}.{format}", title=f"In {format}", artist="Many", album="Formats",
            tracknumber=str(number), picture=PICTURE,
        )  # fmt: skip
    (source / "!collages").mkdir()
    (source / "!playlists").mkdir()
    make_release(home.incoming, "album", tracks=2, format="flac", artist="New", album="Arrived")
    # What arrives has ids already, so that it is the same afterwards, whether an import was killed or not.
    update_cache(Config(music_source_dir=home.incoming, cache_dir=top / "cache", max_proc=1))
    shutil.rmtree(top / "cache")
    if not first:
        update_cache(home.c)
        ids = ids_on_disk(source)
        make_list(
            source / "!collages" / f"{COLLAGE}.toml", "releases",
            release_id_on_disk(source / "loona"), release_id_on_disk(source / "blackpink"),
        )  # fmt: skip
        make_list(
            source / "!playlists" / f"{PLAYLIST}.toml", "tracks",
            *(str(ids[name]) for name in ("loona/01.opus", "blackpink/02.mp3", "loona/02.opus")),
        )  # fmt: skip
        (source / "!playlists" / f"{PLAYLIST}.png").write_bytes(PICTURE)
    (top / "new.png").write_bytes(PICTURE + b"new")
    shutil.rmtree(top / "cache", ignore_errors=True)


def begin(home: Home, template: Path, operation: Operation) -> None:
    """Makes a library what it was before an operation. ``assign.QUIET_SECONDS`` has to be 0."""
    assert assign.QUIET_SECONDS == 0
    if home.top.exists():
        shutil.rmtree(home.top)
    shutil.copytree(template, home.top, symlinks=True)
    if not operation.is_first:
        update_cache(Home(home.top).c)  # which renames nothing
    operation.prepare(home)


# What there is ----------------------------------------------------------------------------------------------


def release(home: Home, directory: str) -> rosecache.Release:
    (found,) = (each for each in rosecache.list_releases(home.c) if each.source_path.name == directory)
    return found


def track(home: Home, path: str) -> rosecache.Track:
    (found,) = (each for each in rosecache.list_tracks(home.c) if each.source_path == home.source / path)
    return found


# Updates ----------------------------------------------------------------------------------------------------


def change_by_hand(home: Home) -> None:
    """Does what taggers and file managers do between two updates."""
    for path in (home.source / "loona").glob("*.opus"):
        set_tags(path, album="Hash again", genre="Techno")
    (home.source / "blackpink").rename(home.source / "blackpink, moved")
    make_release(home.source, "later", tracks=2, format="m4a", artist="Later", album="Later")
    shutil.copytree(home.source / "formats", home.source / "formats, copied")
    (home.source / "loona" / "cover.png").unlink()


def many_more(home: Home) -> None:
    for number in range(52):
        make_release(
            home.source, f"R{number:02}", tracks=1, format=FORMATS[number % 5], album=f"R{number:02}"
        )


def update(home: Home) -> object:
    return update_cache(home.c)


# Edits through the tree -------------------------------------------------------------------------------------


def in_tree(act: Callable[[Editor, Home], object]) -> Act:
    def done(home: Home) -> None:
        editor = Editor(home.c, home.state_dir)
        editor.fs.recover()
        act(editor, home)
        editor.later(60)
        editor.fs.close()

    return done


def tree_path(editor: Editor, release: str, track: str = "") -> str:
    """Returns the path of a release, or a track of it, by parts of their names."""
    (found,) = (name for name in editor.releases("Releases") if release in name)
    path = f"Releases/{found}"
    if track:
        (name,) = (name for name in editor.ls(path) if track in name)
        path = f"{path}/{name}"
    return path


def save_track(editor: Editor, home: Home) -> None:
    """Writes a track anew, as a tagger does that rewrites files."""
    copy = home.top / "tagged.opus"
    shutil.copyfile(home.source / "loona" / "01.opus", copy)
    set_tags(copy, title="Saved", comment="x" * 2000)
    editor.write(tree_path(editor, "Hash", "Track 1"), copy.read_bytes())
    copy.unlink()


def copy_album(home: Home) -> None:
    """Copies an album to a mount that is killed before it is a release."""
    child = os.fork()
    if child == 0:
        try:
            Editor(home.c, home.state_dir).copy_tree(home.incoming / "album", "Releases/album")
        finally:
            os._exit(0)
    os.waitpid(child, 0)


def remove_track(editor: Editor, home: Home) -> None:
    editor.unlink(tree_path(editor, "Hash", "Track 2"))


def rename_cover(editor: Editor, home: Home) -> None:
    path = tree_path(editor, "Hash")
    editor.rename(f"{path}/cover.png", f"{path}/scan.png")


def rename_playlist_in_tree(editor: Editor, home: Home) -> None:
    editor.rename(f"Playlists/{PLAYLIST}", "Playlists/Loud")


def move_into_collage(editor: Editor, home: Home) -> None:
    """Copies a release into a collage and deletes it, as ``mv`` does; what is held is put back in the end."""
    editor.copy_tree(home.source / "formats", f"Collages/{COLLAGE}/formats")
    shutil.rmtree(home.source / "formats")
    editor.later(HOLD_SECONDS)


def move_into_playlist(editor: Editor, home: Home) -> None:
    path = home.source / "formats" / "04.flac"
    editor.write(f"Playlists/{PLAYLIST}/04.flac", path.read_bytes())
    path.unlink()
    editor.later(HOLD_SECONDS)


# Commands ---------------------------------------------------------------------------------------------------


def configure(home: Home) -> None:
    """Writes what a command of the program, and the editor that it runs, finds."""
    directories = {
        "music_source_dir": home.source,
        "cache_dir": home.c.cache_dir,
        "state_dir": home.state_dir,
    }
    config = "".join(f'{key} = "{path}"\n' for key, path in directories.items())
    (home.top / "config.toml").write_text(config)
    text = read_snapshot(home.c, release(home, "loona").id).format()
    (home.top / "edited.txt").write_text(text.replace("Hash", "Bang").replace("Track 2", "Track Two"))


def command(*arguments: str) -> Act:
    """Returns what runs a command of the program in this process."""
    return lambda home: cli.main(
        ["--config", str(home.top / "config.toml"), *arguments], standalone_mode=False
    )


def edit_as_text(home: Home) -> None:
    """Has an editor write a text in place, and flush it."""
    edited = home.top / "edited.txt"
    with patch.dict(os.environ, VISUAL=f'f() {{ dd if="{edited}" of="$1" conv=fsync status=none; }}; f'):
        command("releases", "edit", "loona")(home)


# All of them ------------------------------------------------------------------------------------------------


def extract_and_tidy(home: Home) -> None:
    covers.extract_covers(home.c, home.journal)


def set_cover(home: Home) -> object:
    return covers.set_cover(home.c, home.journal, release(home, "loona"), home.top / "new.png")


def delete_release(home: Home) -> object:
    return releases.delete_release(home.c, home.journal, release(home, "loona"))


def import_copy(home: Home) -> object:
    return imports.import_release(home.c, home.journal, home.incoming / "album")


def retag_release(home: Home, *directories: str) -> None:
    """Writes tags and datafiles of releases, one after the other; some files have room for them, some have not."""
    edits = []
    for directory in directories or ("formats",):
        changed = release(home, directory)
        paths = [each.source_path for each in rosecache.get_tracks_of_release(home.c, changed)]
        changes = TagChanges(genres=("Techno", "Ambient " * 300), edition="Deluxe")
        edits.append(
            ReleaseEdit(changed, [TrackEdit(path, read_tags(path), changes) for path in paths], new=False)
        )
    assert retag(home.c, home.journal, edits).problems == []


def retag_releases(home: Home) -> None:
    retag_release(home, "formats", "loona", "blackpink")


def take_back(home: Home) -> object:
    return undo(home.c, home.journal)


def rename_playlist(home: Home) -> object:
    return lists.rename(home.c, home.journal, lists.PLAYLISTS, PLAYLIST, "Loud")


def add_to_playlist(home: Home) -> object:
    new = track(home, "formats/04.flac").id
    return lists.add(home.c, home.journal, lists.PLAYLISTS, PLAYLIST, [new])


def rename_collage(home: Home) -> object:
    return lists.rename(home.c, home.journal, lists.COLLAGES, COLLAGE, "Summer")


def delete_collage(home: Home) -> object:
    return lists.delete(home.c, home.journal, lists.COLLAGES, COLLAGE)


def both(first: Act, second: Act) -> Act:
    def done(home: Home) -> None:
        first(home)
        second(home)

    return done


OPERATIONS: Mapping[str, Operation] = {
    "first update": Operation(update, is_edit=False, is_first=True),
    "first update with renames": Operation(update, is_edit=False, is_first=True, renames=True),
    "update after changes": Operation(update, change_by_hand, is_edit=False),
    "update with renames": Operation(update, change_by_hand, is_edit=False, renames=True),
    "first update with workers": Operation(update, many_more, is_edit=False, is_first=True, workers=2),
    "import a copy": Operation(import_copy),
    "import by moving": Operation(
        lambda home: imports.import_release(home.c, home.journal, home.incoming / "album", move=True)
    ),
    "toggle new": Operation(lambda home: releases.toggle_new(home.c, home.journal, release(home, "loona"))),
    "delete a release": Operation(delete_release),
    "set a cover": Operation(set_cover),
    "delete a cover": Operation(lambda home: covers.delete_cover(home.c, home.journal, release(home, "loona"))),
    "extract covers": Operation(extract_and_tidy),
    "create a single": Operation(
        lambda home: singles.create_single(home.c, home.journal, track(home, "formats/00.mp3"))
    ),
    "retag a release": Operation(retag_release),
    "retag releases": Operation(retag_releases, by_release=True),
    "undo a retag": Operation(take_back, retag_release),
    "create a playlist": Operation(lambda home: lists.create(home.c, home.journal, lists.PLAYLISTS, "Loud")),
    "add to a playlist": Operation(add_to_playlist),
    "rename a playlist": Operation(rename_playlist),
    "set a playlist's cover": Operation(
        lambda home: lists.set_cover(home.c, home.journal, PLAYLIST, home.top / "new.png")
    ),
    "rename a collage": Operation(rename_collage),
    "delete a collage": Operation(delete_collage),
    "delete a playlist": Operation(lambda home: lists.delete(home.c, home.journal, lists.PLAYLISTS, PLAYLIST)),
    "undo a deletion": Operation(take_back, delete_release),
    "undo a cover": Operation(take_back, set_cover),
    "undo an import": Operation(take_back, import_copy),
    "undo a rename": Operation(take_back, rename_playlist),
    "redo a deletion": Operation(
        lambda home: undo(home.c, home.journal, home.journal.history(1)[0].id), both(delete_release, take_back)
    ),
    "save a track in the tree": Operation(in_tree(save_track)),
    "complete a copied album": Operation(
        lambda home: arrivals.recover(home.c, home.journal), copy_album, is_edit=False
    ),
    "remove a track in the tree": Operation(in_tree(remove_track)),
    "rename a file in the tree": Operation(in_tree(rename_cover)),
    "rename a playlist in the tree": Operation(in_tree(rename_playlist_in_tree)),
    "move a release into a collage": Operation(in_tree(move_into_collage), by_release=True),
    "move a track into a playlist": Operation(in_tree(move_into_playlist), by_release=True),
    "edit a release as text": Operation(edit_as_text, configure),
    "run a rule": Operation(
        command("rules", "run", "--yes", "genre:K-Pop", "replace:Folk"), configure, by_release=True
    ),
}  # fmt: skip
"""What is done, by what it is called in reports."""
