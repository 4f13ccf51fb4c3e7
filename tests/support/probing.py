"""Work done in a process of its own, which is measured: how much it computed, and how much memory it ever had.

A case that computes for too long is ended, and one that ends its process costs only that case.
"""

from __future__ import annotations

import gc
import importlib
import os
import pickle
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

MOST_SECONDS = 1.0
"""Of computing, which reading one file may cost."""

MOST_SECONDS_TO_WRITE = 3.0
"""The same of writing ids and then a title into it, for which it is read again and again, to be sure."""

MOST_MEMORY = 200_000_000
"""Bytes that the process may have at any time, with the interpreter and all that is imported."""

_END_AFTER = 30.0
_REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Measured:
    """What became of a case."""

    problem: str
    """The traceback, or how the process ended; empty if all is well."""
    result: Any
    seconds: float
    memory: int

    def complaints(self, *, seconds: float = MOST_SECONDS) -> list[str]:
        """Returns what is wrong with it, if it may compute for so long."""
        found = [self.problem] if self.problem else []
        if self.seconds > seconds:
            found.append(f"computed for {self.seconds:.1f} s")
        if self.memory > MOST_MEMORY:
            found.append(f"had {self.memory / 1e6:,.0f} MB")
        return found


class Probe:
    """A process that does one case after another, and is replaced when a case ends it."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def measure(self, function: Callable[..., Any], *arguments: Any) -> Measured:
        """Calls a function of a module, by its name, with arguments that can be pickled."""
        process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            pickle.dump((function.__module__, function.__qualname__, arguments), process.stdin)
            process.stdin.flush()
            measured: Measured = pickle.load(process.stdout)
        except (EOFError, BrokenPipeError, pickle.UnpicklingError):
            status = process.wait()
            self._end()
            ended = "computed without end" if status == -signal.SIGVTALRM else f"ended by {status}"
            return Measured(f"the process {ended}", None, 0.0, 0)
        return measured

    def _start(self) -> subprocess.Popen[bytes]:
        paths = [str(_REPOSITORY), str(_REPOSITORY / "cache")]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.probing"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)}, cwd=_REPOSITORY,
        )  # fmt: skip
        return self._process

    def _end(self) -> None:
        if self._process is not None:
            with self._process:
                if self._process.stdin is not None and self._process.poll() is None:
                    self._process.stdin.close()
            self._process = None


def _peak() -> int:
    """Returns the most memory that this process had since :func:`_forget_peak`, in bytes; see proc(5)."""
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")) * 1024


def _forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


class _Noting:
    """Keeps what is raised from going on, and its traceback."""

    def __init__(self) -> None:
        self.problem = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if isinstance(error, Exception):
            self.problem = "".join(traceback.format_exception(error))
        return isinstance(error, Exception)


def _serve(jobs: BinaryIO, results: BinaryIO) -> None:
    while True:
        try:
            module, name, arguments = pickle.load(jobs)
        except EOFError:
            return
        function = getattr(importlib.import_module(module), name)
        result = None
        gc.collect()
        _forget_peak()
        signal.setitimer(signal.ITIMER_VIRTUAL, _END_AFTER)  # its signal ends the process
        start = time.process_time()
        with _Noting() as noted:
            result = function(*arguments)
        seconds = time.process_time() - start
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        pickle.dump(Measured(noted.problem, result, seconds, _peak()), results)
        results.flush()


if __name__ == "__main__":
    from tests.support.probing import _serve as serve  # the one whose classes the parent knows

    with os.fdopen(os.dup(1), "wb") as output:
        os.dup2(2, 1)  # what is printed must not get between the results
        serve(sys.stdin.buffer, output)
