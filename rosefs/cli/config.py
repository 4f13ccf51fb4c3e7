"""The commands about the configuration file. Writes a file only where there is none, unless told to."""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path

import click

from rosecache.datafiles import write_atomically
from rosefs.cli.lazy import LazyCommand, LazyGroup
from rosefs.cli.output import one_line
from rosefs.cli.settings_check import check_settings, smart_notes
from rosefs.cli.state import State, pass_state
from rosefs.cli.systemd import unit


@click.group(
    cls=LazyGroup,
    lazy={
        "preview-templates": LazyCommand(
            "rosefs.cli.preview", "preview_templates", "Show what the name templates make of releases."
        )
    },
)
def config() -> None:
    """Start, check and try out a configuration file, or print a systemd unit."""


@config.command()
@click.option("--force", is_flag=True, help="Replace the file that is there.")
@pass_state
def init(state: State, force: bool) -> None:
    """Write a configuration file to start from, with every setting in a comment."""
    path = state.used_config_path
    text = resources.files("rosefs.cli").joinpath("config.toml").read_text(encoding="utf-8")
    if os.path.lexists(path) and not force:
        raise click.ClickException(f"{path}: there is a file already; --force replaces it")
    path.parent.mkdir(parents=True, exist_ok=True)
    # A configuration may be kept elsewhere, and be a link where it is looked for.
    write_atomically(Path(os.path.realpath(path)), text.encode())
    click.echo(f"wrote {one_line(str(path))}; say in it where your music is (music_source_dir)")


@config.command()
@click.argument("path", required=False, type=click.Path(dir_okay=False, path_type=Path))
@pass_state
def check(state: State, path: Path | None) -> None:
    """Look for mistakes in the configuration file at PATH, or in the one that is used.

    Each mistake is a line with the key and what was expected; the exit status is 1 if there is any.
    """
    path = path or state.used_config_path
    settings, errors = check_settings(path)
    for error in errors[:-1]:
        click.echo(f"rosefs: error: {error}", err=True)
    if errors or settings is None:
        raise errors[-1]
    source = settings.cache.music_source_dir
    if not source.is_dir():
        click.echo(
            f"rosefs: note: music_source_dir: {one_line(str(source))} is no directory at present", err=True
        )
    for note in smart_notes(settings):
        click.echo(f"rosefs: note: {one_line(note)}", err=True)
    click.echo(f"{one_line(str(path))}: no mistakes found")


@config.command()
@pass_state
def systemd(state: State) -> None:
    """Print a systemd user unit that mounts the library of the configuration at its mount_dir.

    Comments in it say how to install it.
    """
    settings = state.settings()
    if settings.vfs.mount_dir is None:
        path = one_line(str(state.used_config_path))
        raise click.ClickException(f"{path}: vfs.mount_dir: say here where to mount, for the unit to know")
    text = unit(state.used_config_path.absolute(), settings.cache.music_source_dir, settings.vfs.mount_dir)
    click.echo(text.encode("utf-8", "surrogateescape"), nl=False)
