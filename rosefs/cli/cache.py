"""The commands about the cache as a whole."""

from __future__ import annotations

import click

from rosecache.update import Report
from rosefs.cli.lazy import LazyGroup
from rosefs.cli.output import clean, write_json
from rosefs.cli.recovering import recover_edits
from rosefs.cli.settings_check import refuse_bad_templates
from rosefs.cli.state import State, pass_state
from rosefs.cli.updating import update
from rosefs.library.arrivals import recover
from rosefs.library.journal import Journal


@click.group(cls=LazyGroup)
def cache() -> None:
    """Bring the cache up to date."""


@cache.command("update")
@click.option("--force", is_flag=True, help="Read every file again, and believe an empty music directory.")
@click.option("-y", "--yes", is_flag=True, help="Write ids on a first run without asking.")
@click.option("--json", "json_output", is_flag=True, help="Write the report as JSON.")
@pass_state
def update_command(state: State, force: bool, yes: bool, json_output: bool) -> None:
    """Make the cache match the music directory, and report what was found.

    Problems with single files are part of the report, and no failure. What a program that was killed left half done is
    completed or taken back.
    """
    c = state.settings().cache
    if c.rename_source_files:
        refuse_bad_templates(c, state.used_config_path)
    report = update(c, force=force, yes=yes)
    journal = Journal(state.settings().state_dir)
    recover(c, journal)
    if not c.read_only and c.music_source_dir.is_dir():
        recover_edits(c, journal)
    if json_output:
        write_json(report.as_json())
    else:
        click.echo(_as_text(report).encode("utf-8", "surrogateescape"))


def _as_text(report: Report) -> str:
    counts = {
        "seen": report.seen,
        "changed": report.changed,
        "evicted": report.evicted,
        "skipped": report.skipped,
        "problems": len(report.problems),
    }
    lines = [f"{name:8}  {count}" for name, count in counts.items()]
    lines += [f"  {clean(str(problem))}" for problem in report.problems]
    return "\n".join(lines)
