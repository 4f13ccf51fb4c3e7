"""The command line of ``scripts/bench``: makes a library, measures, prints a table, and cleans up."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from rosefs.fuse.mount import BINDINGS
from scripts.benchlib import on_cache, on_life, on_mount, on_scale, report
from scripts.benchlib.figures import Figure, readable
from scripts.benchlib.workspace import Workspace, say
from tests.support.bulk import Library

NAMES = (*on_cache.MEASUREMENTS, "commands", *on_mount.NAMES, *on_life.ON_MOUNT, "scale")


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parse(arguments)
    signal.signal(signal.SIGTERM, _stop)
    with _directory(options.keep) as directory:
        plan = Library(options.releases, options.tracks)
        workspace = Workspace(
            directory, plan, options.large_mib, options.runs, options.drop_caches, sizes=options.sizes,
            idle_releases=options.idle_releases, idle_seconds=3.0 if options.quick else 30.0,
        )  # fmt: skip
        figures = list(_measure(workspace, options.only, options.fuse))
        machine = _machine(directory)
    print("\n".join(f"{key}: {value}" for key, value in machine.items()))
    print(f"library: {plan.releases} releases of {plan.tracks} tracks, and one of a large file")
    _print_table(figures)
    if options.json is not None:
        result = {
            "machine": machine,
            "library": {"releases": plan.releases, "tracks": plan.tracks, "large_mib": options.large_mib},
            "runs": options.runs,
            "caches_dropped": options.drop_caches,
            "figures": [figure.as_json() for figure in figures],
        }
        options.json.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    if options.markdown is not None:
        options.markdown.write_text(report.markdown(figures), encoding="utf-8")
    if options.plot is not None:
        options.plot.write_text(report.plot(figures), encoding="utf-8")
    missed = sum(figure.verdict == "missed" for figure in figures)
    judged = sum(figure.verdict != "" for figure in figures)
    print(f"{judged - missed} of {judged} budgets are met")
    return 1 if missed else 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description="Measures rosefs on a synthetic library, beside the plain file system.",
    )
    parser.add_argument("--releases", type=int, help="how many releases (default: 5000, or 120 with --quick)")
    parser.add_argument("--tracks", type=int, default=10, help="tracks of each (default: %(default)s)")
    parser.add_argument(
        "--large-mib", type=int, default=110, help="size of the large file (default: %(default)s)"
    )
    parser.add_argument(
        "--runs", type=int, help="how often; the least counts (default: 3, or 2 with --quick)"
    )
    parser.add_argument(
        "--fuse",
        choices=[*BINDINGS, "both"],
        help="which binding to mount with (default: both, or pyfuse3 with --quick)",
    )
    parser.add_argument(
        "--only", nargs="+", choices=NAMES, default=NAMES, metavar="NAME", help=" ".join(NAMES)
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to a file, too")
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help="work in this new directory, and leave it there"
    )
    parser.add_argument(
        "--drop-caches",
        action="store_true",
        help="have the kernel forget all disks before what is cold (root)",
    )
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table as Markdown, too")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the figures of scale as SVG")
    parser.add_argument("--quick", action="store_true", help="small libraries, in under two minutes")
    parser.add_argument("--large", action="store_true", help="see how costs grow up to 100,000 releases")
    options = parser.parse_args(arguments)
    if options.releases is None:
        options.releases = 120 if options.quick else 5000
    if options.plot is not None and "scale" not in options.only:
        parser.error("--plot draws the figures of scale, which --only leaves out")
    options.runs = (2 if options.quick else 3) if options.runs is None else options.runs
    options.fuse = options.fuse or ("pyfuse3" if options.quick else "both")
    options.idle_releases = min(options.releases, 20_000) if options.quick else max(options.releases, 20_000)
    options.sizes = (20, 200) if options.quick else (200, 2000, 20_000, *([100_000] if options.large else []))
    if options.releases < 12 or options.tracks < 1 or options.large_mib < 1 or options.runs < 1:
        parser.error("expected at least 12 releases, 1 track, 1 MiB and 1 run")
    if options.drop_caches and os.geteuid() != 0:
        parser.error("--drop-caches needs root")
    return options


@contextmanager
def _directory(keep: Path | None) -> Iterator[Path]:
    """Makes the directory to work in, and removes it at the end unless it is to be kept."""
    if keep is not None:
        keep.mkdir(parents=True)
        yield keep.resolve()
        return
    directory = Path(tempfile.mkdtemp(prefix="rosefs-bench-"))
    try:
        yield directory
    finally:
        shutil.rmtree(directory)


def _measure(workspace: Workspace, only: Sequence[str], fuse: str) -> Iterator[Figure]:
    bindings = list(BINDINGS) if fuse == "both" else [fuse]
    if set(only) - {"scale", "commands", "idle"}:
        workspace.make()
        if "build" not in only:
            say("building the cache")
            workspace.update()
    for name, measurement in on_cache.MEASUREMENTS.items():
        if name in only:
            say(name)
            yield from measurement(workspace)
    if "commands" in only:
        say("commands")
        yield from on_life.commands(workspace)
    if set(only) & {*on_mount.NAMES, "memory", "mount", "slow"}:
        workspace.make_lists()
    if set(only) & {*on_mount.NAMES, "slow"}:
        workspace.make_plain(bindings[0])
    for binding in bindings:
        yield from on_mount.measure(workspace, binding, only) if set(only) & set(on_mount.NAMES) else ()
        for name, measured in on_life.ON_MOUNT.items():
            if name in only:
                say(f"{name} by {binding}")
                yield from map(_judged, measured(workspace, binding))
    if "scale" in only:
        yield from map(_judged, on_scale.scale(workspace, bindings))


def _judged(figure: Figure) -> Figure:
    """Takes the budget off the figures of llfuse, which is measured only."""
    return replace(figure, budget=None) if figure.binding == "llfuse" else figure


def _machine(directory: Path) -> dict[str, object]:
    disk = ["findmnt", "--noheadings", "--output", "FSTYPE", "--target", str(directory)]
    return {
        "cores": len(os.sched_getaffinity(0)),
        "load": " ".join(f"{load:.1f}" for load in os.getloadavg()),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "kernel": platform.release(),
        "disk": subprocess.run(disk, capture_output=True, text=True, check=False).stdout.strip(),
    }


def _print_table(figures: Sequence[Figure]) -> None:
    table = Table(title_justify="left")
    for heading, side in (
        ("name", "left"), ("fuse", "left"), ("what", "left"), ("rosefs", "right"), ("plain", "right"),
        ("ratio", "right"), ("budget", "right"), ("verdict", "left"),
    ):  # fmt: skip
        table.add_column(heading, justify="right" if side == "right" else "left", no_wrap=heading != "what")
    for figure in figures:
        ratio = "" if figure.ratio is None else f"{figure.ratio:.3g}"
        ours, plain = readable(figure.ours, figure.unit), readable(figure.plain, figure.unit)
        table.add_row(
            figure.name, figure.binding, figure.what, ours, plain, ratio, figure.allowed, figure.verdict
        )
    Console(width=None if sys.stdout.isatty() else 150).print(table)


def _stop(number: int, frame: object) -> None:
    """Ends by an exception, so that everything is unmounted and removed on the way."""
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
