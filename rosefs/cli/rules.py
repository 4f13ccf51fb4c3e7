"""The commands that change tags by rules."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import click

from rosecache.config import Config
from rosecache.query.tracks import get_tracks_of_release
from rosecache.update import Problem
from rosefs.cli.browse import cached_config
from rosefs.cli.editing import find_release, find_track, json_option, open_library, say, showing_progress
from rosefs.cli.lazy import LazyGroup
from rosefs.cli.output import one_line, write_json
from rosefs.cli.rule_changes import ask, expect_an_answer, show_changes, tracks
from rosefs.cli.state import State, pass_state
from rosefs.library.files import Progress
from rosefs.rules.errors import RuleSyntaxError
from rosefs.rules.model import Action, Matcher, Pattern
from rosefs.rules.parsing import parse_action, parse_rule
from rosefs.rules.running import Outcome, Plan, plan_actions, plan_rules, run
from rosefs.rules.stored import stored_rules

F = TypeVar("F", bound=Callable[..., Any])

_ACTIONS = click.argument("actions", metavar="ACTION...", nargs=-1, required=True)


def _options(command: F) -> F:
    """Adds the options that all these commands have."""
    for option in (
        json_option,
        click.option("-y", "--yes", is_flag=True, help="Change the files without asking."),
        click.option("--dry-run", is_flag=True, help="Only show what would change."),
    ):
        command = option(command)
    return command


@click.group("rules", cls=LazyGroup)
def rules() -> None:
    """Change tags by rules."""


@rules.command("run")
@click.argument("matcher")
@_ACTIONS
@click.option(
    "--ignore",
    "ignored",
    metavar="MATCHER",
    multiple=True,
    help="Leave alone what this matches; may be repeated.",
)
@_options
@pass_state
def run_(
    state: State, /, matcher: str, actions: tuple[str, ...], ignored: tuple[str, ...], **options: bool
) -> None:
    """Do something to the tags of all tracks that match.

    MATCHER is tags:pattern, such as "genre:K-Pop"; each ACTION is [tags[:pattern]/]kind[:args], such as
    "replace:Pop" or "genre/add:Pop". What would change is shown before it is asked whether it may be.
    """
    with _read_from_command_line():
        rule = parse_rule(matcher, actions, ignored)
    _carry_out(state, lambda c, progress: plan_rules(c, [rule], progress), **options)


@rules.command("run-stored")
@_options
@pass_state
def run_stored(state: State, /, **options: bool) -> None:
    """Do what the rules in the configuration say, one after the other.

    Those are the tables [[stored_metadata_rules]]. What they change in the end is shown before it is asked whether it
    may be.
    """
    stored = stored_rules(state.settings().stored_metadata_rules, path=state.used_config_path)
    if not stored:
        raise click.ClickException(f"there are no [[stored_metadata_rules]] in {state.used_config_path}")
    _carry_out(state, lambda c, progress: plan_rules(c, stored, progress), **options)


@click.command("run-rule")
@click.argument("release")
@_ACTIONS
@_options
@pass_state
def run_on_release(state: State, /, release: str, actions: tuple[str, ...], **options: bool) -> None:
    """Do something to the tags of all tracks of a release.

    RELEASE is an id, a path in the music directory or in a mount, or a name. Each ACTION is tags[:pattern]/kind[:args],
    such as "genre/add:Pop".
    """
    parsed = _parsed(actions)

    def plan(c: Config, progress: Progress) -> Plan:
        return plan_actions(c, get_tracks_of_release(c, find_release(c, release)), parsed, progress)

    _carry_out(state, plan, **options)


@click.command("run-rule")
@click.argument("track")
@_ACTIONS
@_options
@pass_state
def run_on_track(state: State, /, track: str, actions: tuple[str, ...], **options: bool) -> None:
    """Do something to the tags of one track.

    TRACK is an id, a path in the music directory or in a mount, or a name. Each ACTION is tags[:pattern]/kind[:args],
    such as "tracktitle/sed: \\(Remaster\\)$:".
    """
    parsed = _parsed(actions)
    _carry_out(
        state, lambda c, progress: plan_actions(c, [find_track(c, track)], parsed, progress), **options
    )


@contextmanager
def _read_from_command_line() -> Iterator[None]:
    """Has what is wrong with a rule be a mistake in the command line. Raises click.UsageError."""
    try:
        yield
    except RuleSyntaxError as error:
        raise click.UsageError(str(error), click.get_current_context()) from error


def _parsed(texts: tuple[str, ...]) -> list[Action]:
    """Reads actions of which no matcher says what they are about. Raises click.UsageError."""
    nothing = Matcher((), Pattern(""))
    actions = []
    with _read_from_command_line():
        for text in texts:
            actions.append(parse_action(text, nothing))
            if not actions[-1].tags:
                reason = "expected tags, such as genre/add:Pop, since there is no matcher whose tags could be meant"
                raise RuleSyntaxError("action", unicodedata.normalize("NFC", text), 1, reason)
    return actions


def _carry_out(
    state: State,
    make_plan: Callable[[Config, Progress], Plan],
    *,
    dry_run: bool,
    yes: bool,
    json_output: bool,
) -> None:
    """Plans, shows, asks and writes, as far as the options say so; exits with 1 if something went wrong."""
    if not (dry_run or yes):
        if json_output:
            raise click.UsageError("with --json nothing is asked; give --yes or --dry-run too")
        expect_an_answer()
    if dry_run:
        c, journal = cached_config(state), None
    else:
        c, journal = open_library(state)
    with showing_progress("Reading tags") as progress:
        plan = make_plan(c, progress)
    if not json_output:
        show_changes(c, plan)
        _warn(plan.problems)
    outcome = Outcome((), ())
    if plan.changes and journal is not None:
        if not yes:
            ask(plan)
        with showing_progress("Writing tags") as progress:
            outcome = run(c, journal, plan, progress)
    if not json_output:
        _warn(outcome.problems)
        say([], [_summary(plan, outcome, dry_run=dry_run)], as_json=False)
    else:
        write_json(_as_json(plan, outcome))
    if plan.problems or outcome.problems:
        sys.exit(1)


def _summary(plan: Plan, outcome: Outcome, *, dry_run: bool) -> str:
    if not plan.changes:
        return f"nothing to change in {tracks(plan.matched)}" if plan.matched else "no track matches"
    if dry_run:
        return f"would change {tracks(len(plan.changes))}"
    left = len(plan.changes) - len(outcome.changed)
    return f"changed {tracks(len(outcome.changed))}" + (f"; {left:,} could not be" if left else "")


def _as_json(plan: Plan, outcome: Outcome) -> dict[str, object]:
    changed = {change.track.id for change in outcome.changed}
    return {
        "matched": plan.matched,
        "tracks": [
            {
                "id": change.track.id,
                "path": change.track.source_path,
                "changes": change.changes,
                "changed": change.track.id in changed,
            }
            for change in plan.changes
        ],
        "problems": [*plan.problems, *outcome.problems],
    }


def _warn(problems: tuple[Problem, ...]) -> None:
    for problem in problems:
        click.echo(f"rosefs: warning: {one_line(str(problem))}", err=True)
