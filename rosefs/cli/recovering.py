"""Making good what programs left half done that were killed, before anything is changed or mounted."""

from __future__ import annotations

import logging

from rosecache.config import Config
from rosefs.library.holds import recover_holds
from rosefs.library.journal import Journal
from rosefs.library.scratch import remove_scratch
from rosefs.library.undo import Undone, recover

log = logging.getLogger(__name__)


def recover_edits(c: Config, journal: Journal) -> None:
    """Takes back the edits whose programs were killed, and says so. Those that cannot be are left to the user.

    Puts back, too, what was lost by moving it into a collage or a playlist, if the mount has not done so; and removes
    what a mount that was killed had been given to copy.
    """
    for outcome in recover(c, journal):
        if isinstance(outcome, Undone):
            log.info("%r was cut off; what it had done is taken back", outcome.entry.title)
        else:
            log.debug("not taken back: %s", outcome)  # rosefs history has it, and rosefs undo says so
    recover_holds(c)
    remove_scratch(c.cache_dir)
