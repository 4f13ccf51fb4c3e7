"""What a power cut could take, judged by the order in which a process wrote, flushed and renamed.

A kill loses nothing that was written, a power cut loses what was not flushed: so new content has to be on the disk
before it gets its name, and whoever notes what it is about to do has to have flushed the note before.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from rosecache.tags import is_audio
from rosecache.tags.journal import JOURNAL_PREFIX
from rosecache.temporary import IN_PROGRESS_PREFIX
from tests.support.soundness import Home
from tests.support.stepping import WRITES, Call

_WRITES = frozenset(WRITES.values()) | {"ftruncate"}
_NAMES = frozenset({"rename", "link", "create", "symlink"})
_REFRESHED = IN_PROGRESS_PREFIX + "rosefs.toml."
"""Starts the temporary names under which an update writes datafiles and lists, and the next one would again."""


def hazards(home: Home, calls: Iterable[Call], *, is_edit: bool) -> list[str]:
    """Returns what was done too early, or never flushed, in the order of the steps; the cache does not count.

    What an edit has done when it returns has to stay. The next update does again what an update has done.
    """
    found: list[str] = []
    written: set[str] = set()
    named: dict[str, str] = {}
    cache = str(home.c.cache_dir)
    for call in calls:
        if call.paths[0].startswith(cache):
            continue
        path = call.paths[-1]
        if call.name == "syncfs":  # of the one file system that all of this is on
            written.clear()
            named.clear()
            continue
        if call.name in ("fsync", "fdatasync"):
            written.discard(path)
            named.pop(path, None)
            continue
        notes = [each for each in written if _is_note(home, each)]
        if notes and not _is_note(home, path) and _matters(home, call):
            found.append(f"{call}: before its note was flushed, {notes[0]}")
        if call.name in _WRITES:
            written.add(path)
        elif call.name == "unlink":
            written.discard(path)
        if call.name == "rename" and call.paths[0] in written:
            found.append(f"{call}: before its content was flushed")
        if call.name in _NAMES and _is_lasting(call):
            named[os.path.dirname(path)] = str(call)
    found += [f"never flushed: {path}" for path in sorted(written)]
    if is_edit:
        found += [f"directory never flushed: {call}" for path, call in named.items() if _is_kept(home, path)]
    return found


def _is_lasting(call: Call) -> bool:
    """Tells whether a name is given that is not temporary, and not given anew by the next update."""
    old, new = Path(call.paths[0]).name, Path(call.paths[-1]).name
    return not (new.startswith(IN_PROGRESS_PREFIX) or old.startswith(_REFRESHED) or new.endswith(".lock"))


def _is_note(home: Home, path: str) -> bool:
    """Tells whether a file notes what is about to be done: it is of a journal."""
    return Path(path).name.startswith(JOURNAL_PREFIX) or path.startswith(str(home.state_dir))


def _matters(home: Home, call: Call) -> bool:
    """Tells whether a step changes what a user has."""
    if not call.paths[0].startswith((str(home.source), str(home.incoming))):
        return False
    name = Path(call.paths[-1]).name
    if call.name in _WRITES:
        return is_audio(name) and not name.startswith(IN_PROGRESS_PREFIX)
    return call.name == "rename"


def _is_kept(home: Home, directory: str) -> bool:
    """Tells whether names in a directory have to outlive a power cut by the end."""
    return directory.startswith((str(home.source), str(home.incoming), str(home.trash)))
