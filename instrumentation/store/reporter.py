"""Chooses the one worker that reports if the workers of a server cannot share files."""

from __future__ import annotations

import hashlib
import socket
import sys
from contextlib import suppress


class Reporter:
    """The right to report for a worker group: the process that holds it has bound a name that no other process can bind.

    Without it, every scrape would show the counts of another worker, and Prometheus would take the smaller ones for restarts.
    The name is an abstract socket of Linux. It needs no file, and it is free again as soon as the process ends.

    Args:
        group: The name of the worker group.
    """

    def __init__(self, group: str) -> None:
        self._name = f"\0sidelight-{hashlib.sha256(group.encode()).hexdigest()[:32]}"
        self._socket: socket.socket | None = None

    def reports(self) -> bool:
        """Whether this process reports; it becomes the reporter if there is none."""
        if self._socket is None and sys.platform == "linux":
            bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                bound.bind(self._name)
            except OSError:
                bound.close()
                return False
            self._socket = bound
        return True

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Give the right back, for example in a forked child, which inherits the socket."""
        if self._socket is not None:
            with suppress(OSError):
                self._socket.close()
            self._socket = None
