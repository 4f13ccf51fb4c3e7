"""Processes of tests that import nothing: each is forked from one that has imported what serves a library.

A script that starts one must do nothing when it is imported, as ``multiprocessing`` asks.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from multiprocessing import reduction
from pathlib import Path
from typing import IO, Any, Protocol

_FORKS = multiprocessing.get_context("forkserver")
# Not the bindings: the one that a process does not use may not be there.
_FORKS.set_forkserver_preload(["tests.support.serve", "tests.support.mounts", "jinja2", "trio"])


class Process(Protocol):
    """What tests ask of a process: ``subprocess.Popen`` is one, too."""

    pid: int

    @property
    def stdout(self) -> IO[bytes] | None: ...

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...

    def send_signal(self, number: int) -> None: ...

    def kill(self) -> None: ...


class Forked:
    """A process that calls a function, and ends with the status that it returns."""

    def __init__(self, function: Callable[..., int], *arguments: Any, log_path: Path) -> None:
        """Starts it, in the environment of this process. What it logs goes to a file, what it prints to ``stdout``."""
        reading, writing = os.pipe()
        self.stdout: IO[bytes] | None = os.fdopen(reading, "rb")
        log_path.touch()
        try:
            # Descriptors can be handed over only while a process is being started.
            self._process = _FORKS.Process(
                target=_Call(function, arguments, dict(os.environ), log_path, writing)
            )
            self._process.start()
        finally:
            os.close(writing)
        assert self._process.pid is not None
        self.pid = self._process.pid

    def poll(self) -> int | None:
        """Returns how it ended, as ``subprocess`` tells; None if it did not."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Waits for its end. Raises ``subprocess.TimeoutExpired``."""
        self._process.join(timeout)
        status = self._process.exitcode
        if status is None:
            raise subprocess.TimeoutExpired("a forked process", timeout or 0.0)
        return status

    def send_signal(self, number: int) -> None:
        """Sends it a signal, if it has not ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """Kills it, if it has not ended."""
        self.send_signal(signal.SIGKILL)


class _Call:
    """What a forked process does; made in the one that starts it, and called in the new one."""

    def __init__(
        self, function: Callable[..., int], arguments: tuple[Any, ...], environment: Mapping[str, str],
        log_path: Path, output: int,
    ) -> None:  # fmt: skip
        self._told = (function, arguments, environment, log_path)
        self._output = output

    def __call__(self) -> None:
        function, arguments, environment, log_path = self._told
        os.environ.clear()
        os.environ.update(environment)
        with log_path.open("ab") as log:
            os.dup2(log.fileno(), 2)
        os.dup2(self._output, 1)
        os.close(self._output)
        sys.exit(function(*arguments))

    def __getstate__(self) -> tuple[Any, Any]:
        return self._told, reduction.DupFd(self._output)

    def __setstate__(self, state: tuple[Any, Any]) -> None:
        self._told, output = state
        self._output = output.detach()
