"""Writing tags on a user's behalf: the fields that were asked for, and nothing else.

What a field is to hold is decided in :mod:`rosecache.tags.changes`, how bytes change by the module of each
container, and how the file is replaced in :mod:`rosecache.tags.rewrite`; this module puts them together. It
never overwrites a file in place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rosecache.tags.changes import ParentGenres, TagChanges, Wish, wishes
from rosecache.tags.fields import KEYS, READ_ONLY_ROLES, TOTALS, Container, names_of, texts
from rosecache.tags.plans import Plan, Request, plan_write
from rosecache.tags.rewrite import NewVersion, prepared, rewrite
from rosecache.tags.values import AudioTags, RawTags, tags_of

_NUMBERS = ("tracknumber", "discnumber")


def write_tags(
    path: Path, changes: TagChanges, *, parent_genres: ParentGenres | None = None, total: int | None = None
) -> None:
    """Writes fields into an audio file, as a new version that takes the old one's place.

    A field that says what it should already stays as it is, even if another program would have written it
    in another form; if that is so of all of them, nothing is written. Of a field that is written, all other
    names go. The new version is read back before it counts; it has the old one's owner, mode and extended
    attributes, and the time of its writing.

    The caller holds the release's lock, and has called :func:`rosecache.tags.recover` since the last start.

    Args:
        path: The file, absolute.
        changes: What to write.
        parent_genres: Given genres, returns their parents, to be written behind them; None writes none.
        total: Put beside the numbers that are written, in the place of any total that is there; None keeps that.

    Raises:
        TagWriteError: A value cannot be written, or the file must not or cannot be; the file is as it was.
            If the error's path is the directory, the new version is in place, but may not outlive a crash.
    """

    plan = _plan(path, changes, parent_genres, total)
    if plan.patches:
        for problem in rewrite([plan]):
            raise problem


@contextmanager
def tagged_version(
    path: Path,
    changes: TagChanges,
    *,
    parent_genres: ParentGenres | None = None,
    check: Callable[[AudioTags], None] = lambda tags: None,
) -> Iterator[NewVersion | None]:
    """Makes the new version that :func:`write_tags` would put in the file's place, for the caller to do so.

    That is a rename, after ``expect_replaceable()`` of the version. What is not renamed goes at the end of the block.

    Args:
        path: The file, absolute.
        changes: What to write.
        parent_genres: As for :func:`write_tags`.
        check: Called with what the file says now; raises ValueError if it must not be written.

    Yields:
        The new version, flushed to the disk; None if the file says all that it should.

    Raises:
        TagWriteError: As :func:`write_tags`; the file is as it was.
    """
    plan = _plan(path, changes, parent_genres, None, check)
    if not plan.patches:
        yield None
        return
    with prepared(plan) as version:
        yield version


def _plan(
    path: Path,
    changes: TagChanges,
    parent_genres: ParentGenres | None,
    total: int | None,
    check: Callable[[AudioTags], None] = lambda tags: None,
) -> Plan:
    def request(raw: RawTags) -> Request:
        tags = tags_of(raw)
        check(tags)
        wanted = wishes(changes, raw.container, parent_genres)
        due = [wish for wish in wanted if not _is_fulfilled(wish, raw, tags, total)]
        new = {name: text for wish in due for name, text in _texts_of(wish, raw, total).items()}
        return Request(new, lambda read: _problem(due, tags_of(read)), is_edit=True)

    return plan_write(path, request)


def _is_fulfilled(wish: Wish, raw: RawTags, tags: AudioTags, total: int | None) -> bool:
    """Says whether a field is there and reads as it should; one that should not be there is left to the plan."""
    present = texts(raw.values, _keys(raw.container, wish.field))
    if wish.text is None or not present:
        return False
    if wish.has_parents and present != (wish.text,):
        return False
    if total is not None and wish.field in _NUMBERS:
        return False  # what is read does not say which total there is
    return bool(getattr(tags, wish.field) == wish.value)


def _texts_of(wish: Wish, raw: RawTags, total: int | None) -> dict[str, str | None]:
    """Returns what each name of a field is to hold: the first one the text, the others nothing."""
    written, *others = [name for field in _fields(wish.field) for name in names_of(raw.container, field)]
    text = wish.text
    if text is not None and wish.field in _NUMBERS:
        found = texts(raw.values, KEYS[raw.container][wish.field])
        # What an MP4 file has for a total is no text, and is kept by the module that writes it.
        kept = found[0].partition("/")[2].strip() if found else ""
        if total is not None:
            kept = str(total)
            others += TOTALS[raw.container].get(wish.field, ())
        text = f"{text}/{kept}" if kept else text
    return {written: text} | dict.fromkeys(others)


def _keys(container: Container, field: str) -> Sequence[str]:
    return [key for each in _fields(field) for key in KEYS[container][each]]


def _fields(field: str) -> Sequence[str]:
    """Returns the fields of the table that hold a field of the tags; the artists of a track are in several."""
    return (field, *READ_ONLY_ROLES) if field == "trackartists" else (field,)


def _problem(due: Sequence[Wish], found: AudioTags) -> str | None:
    for wish in due:
        if getattr(found, wish.field) != wish.value:
            if wish.text is None:
                return f"{wish.field}: the file holds it in a form in which it cannot be removed"
            return f"{wish.field}: {wish.text!r} would not be read back as such from this kind of file"
    return None
