"""Going on in the background: a child process that does the work, and a parent that waits until it is ready.

The child leaves the terminal but for its stdout and stderr, which it keeps until it is ready. The parent ends with
status 0 then, and with the child's own status if the child ends before. Nothing may have started a thread, or hold a
connection to a database, when this begins: both do not survive a fork. Knows nothing of what the work is.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

import click

_READY = b"ready"
_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What ends the parent while it waits has to end the child."""


class Waiting:
    """The parent that waits for this process, the child."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe

    def tell_ready(self) -> None:
        """Lets the parent end well. Raises BrokenPipeError if it does not wait any more."""
        os.write(self._pipe, _READY)
        os.close(self._pipe)


def detach(ready_text: bytes) -> Waiting:
    """Goes on in a child process, and returns there. In the parent it returns never.

    Args:
        ready_text: What the parent says when the child is ready.

    Raises:
        click.exceptions.Exit: In the parent, with status 0 when the child is ready, else with the child's.
        click.ClickException: In the parent, if somebody ended the child before it was ready.
    """
    reading, writing = os.pipe()
    # A signal must find either the parent's way of handing it on, or the child.
    old_mask = signal.pthread_sigmask(signal.SIG_BLOCK, _FORWARDED)
    child = os.fork()
    if child:
        os.close(writing)
        for number in _FORWARDED:
            signal.signal(number, lambda received, _: os.kill(child, received))
        signal.pthread_sigmask(signal.SIG_SETMASK, old_mask)
        _wait(child, reading, ready_text)
    signal.pthread_sigmask(signal.SIG_SETMASK, old_mask)
    os.close(reading)
    os.setsid()
    os.chdir("/")
    _redirect(Path(os.devnull), 0)
    return Waiting(writing)


def _wait(child: int, reading: int, ready_text: bytes) -> None:
    with open(reading, "rb") as pipe:
        said = pipe.read()
    if said == _READY:
        click.echo(ready_text)
        raise click.exceptions.Exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status == 0:
        raise click.ClickException("it was ended before it was ready")
    if status > 0:
        raise click.exceptions.Exit(status)  # it has said why
    name = signal.Signals(-status).name
    click.echo(f"rosefs: error: it was ended by {name} before it was ready", err=True)
    raise click.exceptions.Exit(128 - status)  # as shells have it


def _redirect(path: Path, target: int) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    os.dup2(descriptor, target)
    os.close(descriptor)
