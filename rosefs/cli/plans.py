"""What a command line and a configuration together say of a mount: read once to mount, and again on SIGHUP.

Decides and checks. Never mounts anything, and changes nothing on the disk.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec
from msgspec.structs import replace

from rosecache.config import Config
from rosefs.cli.mount_options import Options
from rosefs.cli.state import State
from rosefs.fuse.mount import AUTO, BINDINGS, MountOptions
from rosefs.rules.smart import Smart, parse_smart
from rosefs.settings import Settings, ViewKey
from rosefs.vfs.model import Appearance

_LONGEST_NAME = 100
"""Bytes of the mount point's name in that of the log."""


class Request(msgspec.Struct, frozen=True):
    """What the command line asks for.

    Attributes:
        state: Which configuration is used.
        source: The music directory, absolute, in place of the configured one.
        mountpoint: Where to mount, absolute, in place of the configured directory.
        options: The options, those of ``-o`` and those that mean the same.
        watches: Whether the source is to be followed, unless the configuration has it turned off.
    """

    state: State
    source: Path | None
    mountpoint: Path | None
    options: Options
    watches: bool = True

    def plan(self) -> Plan:
        """Reads the configuration, and returns what is to be done.

        Raises:
            ConfigError: There is no configuration, or it is wrong.
            click.UsageError: Something is missing, or does not exist.
        """
        settings, options = self.state.settings(source=self.source), self.options
        smart = parse_smart(settings.smart, path=self.state.used_config_path)
        view = None if options.view is None else _find_view(settings, options.view)
        if view is not None:
            settings = replace(settings, vfs=settings.vfs.only(view))
        read_only = bool(options.read_only or settings.cache.read_only)
        if read_only:
            settings = replace(settings, cache=msgspec.structs.replace(settings.cache, read_only=True))
        return Plan(
            settings=settings,
            smart=smart,
            mountpoint=_mountpoint(settings, self.mountpoint),
            binding=_binding(options.binding),
            writable=not read_only,
            allow_other=options.allow_other,
            appearance=_appearance(view, options),
            watches=self.watches,
        )


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A mount as it is to be.

    Attributes:
        settings: The settings, with what the command line says in their place.
        smart: The lists that matchers make.
        mountpoint: Where to mount, absolute.
        binding: By name, or ``auto``.
        writable: Whether programs can change the library.
        allow_other: Whether other users are let in.
        appearance: How the tree is shown.
        watches: Whether the source is followed, unless the settings have it turned off.
    """

    settings: Settings
    smart: tuple[Smart, ...]
    mountpoint: Path
    binding: str
    writable: bool
    allow_other: bool
    appearance: Appearance
    watches: bool = True

    @property
    def mount_options(self) -> MountOptions:
        """How to mount."""
        return MountOptions(
            source=self.settings.cache.music_source_dir,
            read_only=not self.writable,
            allow_other=self.allow_other,
        )

    @property
    def log_path(self) -> Path:
        """Where a mount in the background logs: one file for each mount point."""
        name = os.fsencode(self.mountpoint.name)[:_LONGEST_NAME]
        digest = hashlib.blake2b(os.fsencode(self.mountpoint), digest_size=4).hexdigest()
        return self.settings.state_dir / "logs" / f"{os.fsdecode(name)}-{digest}.log"


LIVE = ("path_templates",)
"""The settings of the cache that a mount can take up while it runs. Of those of the mount it can take up all."""


def fixed_differences(old: Settings, new: Settings) -> Iterator[str]:
    """Yields the settings that differ, and that a mount keeps as long as it runs."""
    for field in msgspec.structs.fields(Config):
        if field.name not in LIVE and getattr(old.cache, field.name) != getattr(new.cache, field.name):
            yield field.name
    for key in ("state_dir", "watch", "hooks"):
        if getattr(old, key) != getattr(new, key):
            yield key
    if old.vfs.mount_dir != new.vfs.mount_dir:
        yield "vfs.mount_dir"


def _mountpoint(settings: Settings, given: Path | None) -> Path:
    if given is not None:
        return given
    if settings.vfs.mount_dir is None:
        raise click.UsageError(
            "missing MOUNTPOINT: give it after SOURCE, or set mount_dir in the table [vfs]"
        )
    return settings.vfs.mount_dir


def _find_view(settings: Settings, text: str) -> ViewKey:
    view = settings.vfs.find_view(text)
    if view is None:
        names = ", ".join(name for _, name in settings.vfs.named_views)
        raise click.UsageError(f"there is no view {text!r}; there are {names}")
    return view


def _binding(name: str | None) -> str:
    if name not in (None, AUTO, *BINDINGS):
        raise click.UsageError(f"there is no binding {name!r}; there are {', '.join((AUTO, *BINDINGS))}")
    return name or AUTO


def _appearance(view: ViewKey | None, options: Options) -> Appearance:
    chosen = {"uid": options.uid, "gid": options.gid, "umask": options.umask}
    return Appearance(view, **{name: value for name, value in chosen.items() if value is not None})
