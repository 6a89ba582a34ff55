"""Handles Ctrl-C and similar signals only at safe points, so that no process is left half started."""

from __future__ import annotations

import signal
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(Exception):  # noqa: N818  # no error: someone has seen enough
    """A signal was received that ends the demo.

    Attributes:
        status: The exit status, by the convention of shells: 130 for Ctrl-C.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.status = 128 + number


class Interrupts:
    """Remembers the first signal; further signals do not interrupt the cleanup."""

    def __init__(self, sleep: Callable[[float], None] = time.sleep) -> None:
        self._sleep = sleep
        self._number = 0

    def note(self, number: int, _frame: FrameType | None = None) -> None:
        """Remember a signal; this is the signal handler."""
        self._number = self._number or number

    def check(self) -> None:
        """Raise if a signal was received.

        Raises:
            Interrupted: A signal was received.
        """
        if self._number:
            raise Interrupted(self._number)

    def pause(self, seconds: float) -> None:
        """Sleep.

        Raises:
            Interrupted: A signal was received.
        """
        self.check()
        self._sleep(seconds)
        self.check()


@contextmanager
def noticed() -> Iterator[Interrupts]:
    """Handle signals until the context ends. Use it in the main thread. Signals that are already ignored stay ignored."""
    interrupts = Interrupts()
    heeded = (number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN)
    before = {number: signal.signal(number, interrupts.note) for number in heeded}
    try:
        yield interrupts
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
