"""The command that looks for whatever keeps rosefs from working, and says what to do. Mends nothing."""

from __future__ import annotations

from collections.abc import Iterator

import click

from rosecache.errors import ConfigError
from rosefs.cli.doctor_library import library_findings
from rosefs.cli.doctor_system import mount_findings, system_findings
from rosefs.cli.findings import Finding, Level, error, ok, warning
from rosefs.cli.output import Column, write_json, write_rows
from rosefs.cli.settings_check import genre_errors, smart_errors, smart_notes, template_errors
from rosefs.cli.state import State, pass_state
from rosefs.settings import Settings

_STYLES = {Level.OK: "green", Level.WARNING: "yellow", Level.ERROR: "bold red"}
_CORRECT = "correct it; 'rosefs config check' looks again"

_COLUMNS: tuple[Column[Finding], ...] = (
    Column("Result", lambda finding: finding.level, style=lambda finding: _STYLES[finding.level]),
    Column("Check", lambda finding: finding.check),
    Column("Found", lambda finding: finding.found),
    Column("What to do", lambda finding: finding.remedy),
)


@click.command()
@click.option("--json", "json_output", is_flag=True, help="Write JSON.")
@pass_state
@click.pass_context
def doctor(ctx: click.Context, state: State, json_output: bool) -> None:
    """Look for whatever keeps rosefs from working, and say what to do about it.

    Looks at the system, the configuration, the music directory and the cache, and changes nothing. The exit status is 1
    if anything is an error; warnings are none.
    """
    findings = list(_findings(state))
    if json_output:
        write_json(findings)
    else:
        write_rows(_COLUMNS, findings)
    if any(finding.level is Level.ERROR for finding in findings):
        ctx.exit(1)


def _findings(state: State) -> Iterator[Finding]:
    settings: Settings | None = None
    try:
        settings = state.settings()
    except ConfigError as failure:
        yield error("configuration", str(failure), _CORRECT)
    yield from system_findings()
    yield from mount_findings(settings)
    if settings is None:
        return
    path = state.used_config_path
    wrong = [
        *template_errors(settings.cache, path), *genre_errors(settings.cache), *smart_errors(settings, path),
    ]  # fmt: skip
    for mistake in wrong:
        yield error("configuration", str(mistake), _CORRECT)
    for note in smart_notes(settings):
        yield warning("configuration", note, "give one of the two another name, if that is not meant")
    if not wrong:
        yield ok("configuration", str(path))
    yield from library_findings(settings)
