"""New identifiers: of releases, tracks and edits."""

from __future__ import annotations


def new_id() -> str:
    """Returns a new time-ordered UUID (version 7) in its canonical form."""
    from uuid6 import uuid7  # slow to import, and most programs need no new one

    return str(uuid7())
