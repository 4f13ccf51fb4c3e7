"""The names of files and directories that are being written: for whoever makes one, and whoever cleans up.

This module only names; it never creates or removes anything.
"""

from __future__ import annotations

IN_PROGRESS_PREFIX = ".in-progress."
"""Whatever starts with this is being written by somebody, not only by us: never scanned, never shown."""

TEMPORARY_PREFIX = IN_PROGRESS_PREFIX + "rosefs."
"""Starts our own names; they are completed or removed at the next start after a crash."""

SPOOL_PREFIX = TEMPORARY_PREFIX + "spool."
"""Starts the name of a private copy of a file that a program is writing to through a mount."""

HOLD_PREFIX = TEMPORARY_PREFIX + "hold."
"""Starts the name of a directory in the source directory, of files that nobody is to lose."""
