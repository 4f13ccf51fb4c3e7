"""The command line of ``scripts/torture``: runs the parts, prints their figures, and fails if anything did."""

from __future__ import annotations

import argparse
import json
import platform
import secrets
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from scripts.torturelib import broken, endurance, fuzzing, kills, outside, races
from scripts.torturelib.task import Part, Task

PARTS: Mapping[str, Part] = {
    "broken": broken.run,
    "endurance": endurance.run,
    "fuzz": fuzzing.run,
    "kills": kills.run,
    "races": races.run,
    "outside": outside.run,
}
"""Every part by its name. The first line of its docstring says in ``--help`` what it does."""


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parse(arguments)
    signal.signal(signal.SIGTERM, _stop)
    print(f"seed: {options.seed}", flush=True)
    tasks = {name: _run(name, options.seed, options.minutes * 60) for name in options.parts or PARTS}
    if options.json is not None:
        result = {
            "seed": options.seed,
            "minutes": options.minutes,
            "machine": {"python": platform.python_version(), "kernel": platform.release()},
            "parts": {
                name: {"figures": task.figures, "failures": task.failures} for name, task in tasks.items()
            },
        }
        options.json.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return 1 if any(task.failures for task in tasks.values()) else 0


def _run(name: str, seed: int, seconds: float) -> Task:
    directory = Path(tempfile.mkdtemp(prefix=f"rosefs-torture-{name}-"))
    task = Task(directory, seed, seconds)
    start = time.monotonic()
    try:
        PARTS[name](task)
    finally:
        if task.failures:
            print(f"{name}: what failed is in {directory}", file=sys.stderr)
        else:
            shutil.rmtree(directory)
    print(f"\n{name}: {time.monotonic() - start:,.0f} s, {len(task.failures)} failures")
    for what, number in task.figures.items():
        print(f"  {number:>12,}  {what}")
    for failure in task.failures:
        print(f"  FAILED  {failure}")
    sys.stdout.flush()
    return task


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parts = "\n".join(f"  {name:<12} {(part.__doc__ or '').splitlines()[0]}" for name, part in PARTS.items())
    parser = argparse.ArgumentParser(
        prog="scripts/torture",
        description="Tries to break rosefs: see docs/reliability.md.",
        epilog=f"parts, all of them unless some are named:\n{parts}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help="what to try")
    parser.add_argument(
        "--seed", type=int, default=secrets.randbelow(2**32), help="a seed that was printed, to see it again"
    )
    parser.add_argument(
        "--minutes", type=float, default=10.0, help="how long each part goes on (default: %(default)s)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to a file, too")
    options = parser.parse_args(arguments)
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}; expected {', '.join(PARTS)}")
    return options


def _stop(number: int, frame: object) -> None:
    """Ends by an exception, so that everything is unmounted and removed on the way."""
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
