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
from pathlib import Path

from rich.console import Console
from rich.table import Table

from rosefs.fuse.mount import BINDINGS
from scripts.benchlib import on_cache, on_mount
from scripts.benchlib.figures import Figure, readable
from scripts.benchlib.workspace import Workspace, say
from tests.support.bulk import Library

NAMES = (*on_cache.MEASUREMENTS, *on_mount.NAMES)


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parse(arguments)
    signal.signal(signal.SIGTERM, _stop)
    with _directory(options.keep) as directory:
        plan = Library(options.releases, options.tracks)
        workspace = Workspace(directory, plan, options.large_mib, options.runs, options.drop_caches)
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
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description="Measures rosefs on a synthetic library, beside the plain file system.",
    )
    parser.add_argument("--releases", type=int, default=150, help="how many releases (default: %(default)s)")
    parser.add_argument("--tracks", type=int, default=10, help="tracks of each (default: %(default)s)")
    parser.add_argument(
        "--large-mib", type=int, default=110, help="size of the large file (default: %(default)s)"
    )
    parser.add_argument(
        "--runs", type=int, default=3, help="how often, for the median (default: %(default)s)"
    )
    parser.add_argument(
        "--fuse", choices=[*BINDINGS, "both"], default="both", help="which binding to mount with"
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
    options = parser.parse_args(arguments)
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
    workspace.make()
    if "build" not in only:
        say("building the cache")
        workspace.update()
    for name, measurement in on_cache.MEASUREMENTS.items():
        if name in only:
            say(name)
            yield from measurement(workspace)
    if not set(only) & set(on_mount.NAMES):
        return
    workspace.make_lists()
    bindings = list(BINDINGS) if fuse == "both" else [fuse]
    workspace.make_plain(bindings[0])
    for binding in bindings:
        say(f"mounts by {binding}")
        yield from on_mount.measure(workspace, binding, only)


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
        ("ratio", "right"),
    ):  # fmt: skip
        table.add_column(heading, justify="right" if side == "right" else "left", no_wrap=heading != "what")
    for figure in figures:
        ratio = "" if figure.ratio is None else f"{figure.ratio:.3g}"
        ours, plain = readable(figure.ours, figure.unit), readable(figure.plain, figure.unit)
        table.add_row(figure.name, figure.binding, figure.what, ours, plain, ratio)
    Console(width=None if sys.stdout.isatty() else 130).print(table)


def _stop(number: int, frame: object) -> None:
    """Ends by an exception, so that everything is unmounted and removed on the way."""
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
