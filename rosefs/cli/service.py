"""Telling systemd how a service is: the protocol of sd_notify(3), one datagram per message.

Does nothing where nobody asked to be told, and nothing depends on whether it is heard.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable, MutableMapping

log = logging.getLogger(__name__)

_VARIABLE = "NOTIFY_SOCKET"
_INTERVAL = 1.0
"""Seconds between two messages of how far something is."""


class ServiceManager:
    """Who started this process as a service, if anybody did."""

    def __init__(self, address: str | None, clock: Callable[[], float] = time.monotonic) -> None:
        """Takes the socket's address; a first ``@`` stands for the zero byte of abstract ones."""
        self._address = f"\0{address[1:]}" if address is not None and address.startswith("@") else address
        self._clock = clock
        self._told_at = -_INTERVAL

    @classmethod
    def take_from(cls, environment: MutableMapping[str, str]) -> ServiceManager:
        """Returns the one that an environment names, and removes it there: it is not for programs that we run."""
        return cls(environment.pop(_VARIABLE, None))

    def ready(self, status: str) -> None:
        """Tells that the service is up."""
        self._send(f"READY=1\nSTATUS={status}\nMAINPID={os.getpid()}")

    def progress(self, done: int, total: int) -> None:
        """Tells how far an update is, now and then."""
        if total and self._clock() - self._told_at >= _INTERVAL:
            self._told_at = self._clock()
            self._send(f"STATUS=reading releases: {done} of {total}")

    def stopping(self) -> None:
        """Tells that the service is about to end."""
        self._send("STOPPING=1\nSTATUS=finishing what was begun")

    def _send(self, message: str) -> None:
        if self._address is None:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sending:
                sending.connect(self._address)
                sending.sendall(message.encode("utf-8", "surrogateescape"))
        except OSError as error:
            log.warning("systemd cannot be told how it is: %s: %s", self._address, error)
