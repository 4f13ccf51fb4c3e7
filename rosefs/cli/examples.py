"""Examples of every command, by the words that call it: they end its help, and the user guide has them too.

A table of its own, since commands are made in several ways, and some for several kinds of things. Tests check that no
command is without one, and that it can be called so.
"""

from __future__ import annotations

from collections.abc import Mapping

_RELEASE = '~/mnt/Artists/LOONA/"LOONA - 2018. Hash"'

EXAMPLES: Mapping[str, tuple[str, ...]] = {
    "mount": (
        "rosefs mount ~/Music ~/mnt",
        "rosefs mount --view Artists --read-only ~/Music /srv/music",
    ),
    "unmount": ("rosefs unmount ~/mnt",),
    "status": ("rosefs status", "rosefs status --json ~/mnt"),
    "doctor": ("rosefs doctor",),
    "cache update": ("rosefs cache update",),
    "watch": ("rosefs watch ~/Music",),
    "releases list": (
        "rosefs releases list --genre K-Pop --new",
        'rosefs releases list "label,edition:blockberry:i"',
    ),
    "releases show": (f"rosefs releases show {_RELEASE}",),
    "releases edit": (f"rosefs releases edit {_RELEASE}",),
    "releases import": ('rosefs releases import ~/Downloads/"LOONA - Hash" --move',),
    "releases delete": (f"rosefs releases delete {_RELEASE}",),
    "releases toggle-new": ('rosefs releases toggle-new ~/mnt/"Releases - New"/"{NEW} LOONA"*',),
    "releases set-cover": ('rosefs releases set-cover "LOONA - 2018. Hash" ~/Pictures/hash.jpg',),
    "releases delete-cover": ('rosefs releases delete-cover "LOONA - 2018. Hash"',),
    "releases extract-covers": (
        "rosefs releases extract-covers",
        f"rosefs releases extract-covers {_RELEASE}",
    ),
    "releases create-single": (f'rosefs releases create-single {_RELEASE}/"01. Hi High.opus"',),
    "releases run-rule": (f"rosefs releases run-rule {_RELEASE} genre/add:Pop",),
    "tracks list": (
        "rosefs tracks list --artist LOONA --json",
        "rosefs tracks list 'tracktitle:(live)$:i'",
    ),
    "tracks show": ('rosefs tracks show "Hi High"',),
    "tracks run-rule": ('rosefs tracks run-rule "Hi High" tracktitle/replace:"Hi High" --dry-run',),
    "artists list": ("rosefs artists list",),
    "artists show": ("rosefs artists show LOONA",),
    "genres list": ("rosefs genres list",),
    "genres show": ("rosefs genres show K-Pop",),
    "descriptors list": ("rosefs descriptors list",),
    "descriptors show": ("rosefs descriptors show Lush",),
    "labels list": ("rosefs labels list",),
    "labels show": ('rosefs labels show "BlockBerry Creative"',),
    "collages list": ("rosefs collages list",),
    "collages show": ('rosefs collages show "Road Trip"',),
    "collages create": ('rosefs collages create "Road Trip"',),
    "collages rename": ('rosefs collages rename "Road Trip" "Long Road Trip"',),
    "collages delete": ('rosefs collages delete "Long Road Trip"',),
    "collages add": ('rosefs collages add "Road Trip" ~/mnt/Artists/LOONA/*Hash',),
    "collages remove": ('rosefs collages remove "Road Trip" "LOONA - 2018. Hash"',),
    "collages edit": ('rosefs collages edit "Road Trip"',),
    "playlists list": ("rosefs playlists list",),
    "playlists show": ("rosefs playlists show Shower --json",),
    "playlists create": ("rosefs playlists create Shower",),
    "playlists rename": ('rosefs playlists rename Shower "Long Shower"',),
    "playlists delete": ('rosefs playlists delete "Long Shower"',),
    "playlists add": ("rosefs playlists add Shower ~/mnt/Artists/LOONA/*/01*",),
    "playlists remove": ('rosefs playlists remove Shower ~/mnt/Playlists/Shower/"1. "*',),
    "playlists edit": ("rosefs playlists edit Shower",),
    "playlists set-cover": ("rosefs playlists set-cover Shower ~/Pictures/rain.jpg",),
    "playlists delete-cover": ("rosefs playlists delete-cover Shower",),
    "playlists export": ("rosefs playlists export Shower ~/Music/shower.m3u8 --relative",),
    "rules run": (
        'rosefs rules run "genre:K-Pop" replace:Pop',
        'rosefs rules run "artist:^loona$:i" replace:LOONA --ignore "releasetype:bootleg" --dry-run',
    ),
    "rules run-stored": ("rosefs rules run-stored --dry-run",),
    "history": ("rosefs history --limit 5",),
    "undo": ("rosefs undo", "rosefs undo 66ceaea58fac"),
    "config init": ("rosefs config init",),
    "config check": ("rosefs config check",),
    "config preview-templates": (
        "rosefs config preview-templates",
        'rosefs config preview-templates "LOONA - 2018. Hash"',
    ),
    "config systemd": ("rosefs config systemd > ~/.config/systemd/user/rosefs.service",),
}


def epilog_of(words: str) -> str | None:
    """Returns what the help of a command ends with; None if there is no such command."""
    examples = EXAMPLES.get(words)
    if examples is None:
        return None
    title = "Example:" if len(examples) == 1 else "Examples:"
    return "\n".join(
        ["\b", title, *(f"  {example}" for example in examples)]
    )  # "\b" keeps click from wrapping it
