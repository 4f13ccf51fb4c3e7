"""The command that edits the tags of a release as text, in the user's editor.

What the user has written is in a file of the state directory from the start, and goes only when it is done: what fails
says where it is.
"""

from __future__ import annotations

import shlex
import sys
from contextlib import suppress
from pathlib import Path

import click
import msgspec

from rosecache.config import Config
from rosecache.query.releases import release_logtext
from rosefs.cli.editing import find_release, open_library, say
from rosefs.cli.editor import ending_by_signals, run_editor
from rosefs.cli.output import one_line
from rosefs.cli.state import State, pass_state
from rosefs.library.errors import Mistake, ReleaseTextError
from rosefs.library.journal import Journal
from rosefs.library.kepttexts import KeptText
from rosefs.library.releasemerge import Merged, merge, read_snapshot
from rosefs.library.releasetext import (
    TAGGED,
    ReleaseText,
    format_text,
    is_emptied,
    on_top,
    parse_text,
    without_top,
)
from rosefs.library.retag import ReleaseEdit, Retagged, retag

_MOST_ROUNDS = 10
"""How often a program that nobody sees gets its text back."""


@click.command()
@click.argument("release")
@click.option(
    "--resume", metavar="FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Go on with a text that an earlier edit left.",
)  # fmt: skip
@pass_state
def edit(state: State, release: str, resume: Path | None) -> None:
    """Edit the tags of a release and of its tracks as text, in $EDITOR.

    RELEASE is an id, a path in the music directory or in a mount, or a name. Only what you change is written, and
    "rosefs undo" takes it back as one. A text with mistakes is opened again, with the mistakes on top. What you
    wrote is never lost: if it cannot be written, a message says how to go on with it.
    """
    c, journal = open_library(state)
    found = find_release(c, release)
    state_dir = state.settings().state_dir
    if resume is None:
        for left in KeptText.left(state_dir, found.id):
            _tell(f"an earlier edit was not finished: {_command(state, found.id, left)}")
        kept = KeptText.make(state_dir, found.id, read_snapshot(c, found.id).format())
    else:
        kept = KeptText.find(resume)
    done = False
    try:
        with ending_by_signals():
            lines = _Session(c, journal, found.id, kept).run()
        done = True
    except click.exceptions.Exit:
        raise  # the editor may still be open, and save
    except BaseException:
        done = not kept.is_changed()
        raise
    finally:
        if done:
            kept.remove()
        else:
            with suppress(OSError):  # the terminal may be gone
                _tell(f"what you wrote is kept; to go on with it: {_command(state, found.id, kept)}")
    say([], lines or [f"nothing was changed in {release_logtext(found)}"], as_json=False)


def _tell(text: str) -> None:
    click.echo(f"rosefs: note: {one_line(text)}", err=True)


def _command(state: State, release_id: str, kept: KeptText) -> str:
    config = ["--config", str(state.config_path)] if state.config_path is not None else []
    return shlex.join(["rosefs", *config, "releases", "edit", release_id, "--resume", str(kept.path)])


class _Session(msgspec.Struct):
    """One text, from the first time that it is opened until it is written."""

    c: Config
    journal: Journal
    release_id: str
    kept: KeptText

    def run(self) -> list[str]:
        """Lets the user edit the text until it is right, and writes what they changed.

        Returns:
            What was done, for people; empty if nothing.

        Raises:
            ReleaseTextError: The user leaves it with mistakes.
            click.ClickException: The editor failed, or not everything could be written.
            OSError, RosecacheError: It cannot be read or written.
        """
        base = parse_text(self.kept.read_base(), may_differ=TAGGED)
        mistakes: list[Mistake] = []
        rounds = 0
        while True:
            shown = self.kept.read()
            run_editor(self.kept.path)
            rounds += 1
            edited = self.kept.read()
            decoded, wrong = _decoded(edited)
            text = without_top(decoded)
            if edited == shown and text != decoded:
                raise ReleaseTextError(mistakes or [Mistake("", None, "what it says on top is not settled")])
            if mistakes and rounds >= _MOST_ROUNDS and not sys.stdin.isatty():
                raise ReleaseTextError(mistakes)
            if is_emptied(text):
                self.kept.remove()
                raise click.ClickException("the text is empty; nothing was changed")
            try:
                if wrong:
                    raise ReleaseTextError(wrong)
                mine = parse_text(text, base.tracks, may_differ=base.differing)
                merged = merge(base, mine, read_snapshot(self.c, self.release_id), text)
                if not merged.is_changed:
                    return []
                if merged.mistakes:
                    base = merged.base
                    self.kept.write_base(_base_text(base))
                    raise ReleaseTextError(merged.mistakes)
            except ReleaseTextError as error:
                text, mistakes = on_top(error.mistakes, text)
                self.kept.write(text)
                continue
            if text != decoded:
                self.kept.write(text)  # should it not be written, what was on top is settled all the same
            return self._write(merged)

    def _write(self, merged: Merged) -> list[str]:
        outcome = retag(self.c, self.journal, [merged.edit])
        for problem in outcome.problems:
            click.echo(f"rosefs: error: {one_line(f'{problem.path}: {problem.reason}')}", err=True)
        if outcome.problems:
            raise click.ClickException(f"{_said(merged.edit, outcome)}; the rest could not be written")
        return (
            [f"edited {release_logtext(merged.edit.release)}: {_said(merged.edit, outcome)}"]
            if outcome.changed
            else []
        )


def _said(edit: ReleaseEdit, outcome: Retagged) -> str:
    """Returns what was written: tags to files, and whether the release is new to its datafile."""
    files = [path for path in outcome.changed if path != edit.release.source_path]
    said = [f"{len(files)} {'file' if len(files) == 1 else 'files'} changed"] if files else []
    if len(files) < len(outcome.changed):
        said.append("marked as new" if edit.new else "marked as not new")
    return ", ".join(said) or "nothing was changed"


def _base_text(base: ReleaseText) -> str:
    return format_text(base, "what the text is compared with", {})


def _decoded(data: bytes) -> tuple[str, list[Mistake]]:
    """Returns a saved text, and what is wrong with its bytes, none of which get lost."""
    try:
        return data.decode("utf-8-sig"), []
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        reason = "this is no UTF-8, and was read as Latin-1; look whether all letters are right, and save it as UTF-8"
        return data.decode("latin-1"), [Mistake("", line, reason)]
