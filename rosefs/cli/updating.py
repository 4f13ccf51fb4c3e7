"""Running an update for a command: the notice of a first run, how far it is, and what came of it."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rosecache.config import Config
from rosecache.update import Progress, Report, update_cache
from rosefs.cli.first_run import announce_first_run
from rosefs.cli.output import one_line

log = logging.getLogger(__name__)

_LINES_FROM = 50
"""From this many releases on, an update that is written to a log says how far it is."""

_PROBLEMS_SHOWN = 5


def update(c: Config, *, force: bool = False, yes: bool = False) -> Report:
    """Brings the cache up to date, and shows on stderr how far it is.

    Args:
        c: The settings.
        force: Read every file again, and believe an empty source directory.
        yes: Write ids without asking.

    Raises:
        As ``update_cache``; and click.ClickException if the user does not want anything written.
    """
    announce_first_run(c, yes=yes)
    return update_announced(c, force=force)


def update_announced(c: Config, *, force: bool = False, also_tell: Progress | None = None) -> Report:
    """Does what :func:`update` does once the user agrees; ``also_tell`` is told how far it is, too."""
    with _progress_shown() as progress:

        def tell(done: int, total: int) -> None:
            progress(done, total)
            if also_tell is not None:
                also_tell(done, total)

        report = update_cache(c, force, progress=tell)
    if report.skipped:
        log.info(
            "%d left for later, since somebody seems to be copying them: 'rosefs -v cache update' says which,"
            " 'rosefs cache update --force' takes them as they are",
            report.skipped,
        )
    return report


@contextmanager
def _progress_shown() -> Iterator[Progress]:
    if not sys.stderr.isatty():
        yield _log_progress
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("Looking for changes", total=None)

        def show(done: int, total: int) -> None:
            if total:
                bar.update(task, description="Reading releases", completed=done, total=total)

        yield show


def _log_progress(done: int, total: int) -> None:
    """Logs the start, and in a long update every tenth of it."""
    if done == 0 and total:
        log.info("%d %s to read", total, "release" if total == 1 else "releases")
    elif total >= _LINES_FROM and done * 10 // total > (done - 1) * 10 // total:
        log.info("%d of %d releases", done, total)


def log_report(report: Report) -> None:
    """Logs what an update found; every problem is in the report of ``rosefs cache update``."""
    log.info(
        "the cache is up to date: %d seen, %d changed, %d evicted, %d skipped",
        report.seen, report.changed, report.evicted, report.skipped,
    )  # fmt: skip
    for problem in report.problems[:_PROBLEMS_SHOWN]:
        log.warning("%s", one_line(str(problem)))
    if (more := len(report.problems) - _PROBLEMS_SHOWN) > 0:
        log.warning("%d more problems; run 'rosefs cache update' to see all", more)
