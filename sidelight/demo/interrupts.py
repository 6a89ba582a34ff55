"""Ctrl-C and its relatives, noticed at safe moments only, so that no process is left half started."""

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
    """A signal asked for the end.

    Attributes:
        status: What the process then exits with, as shells have it: 130 for Ctrl-C.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.status = 128 + number


class Interrupts:
    """Remembers the first signal; further ones do not disturb the cleaning up."""

    def __init__(self, sleep: Callable[[float], None] = time.sleep) -> None:
        self._sleep = sleep
        self._number = 0

    def note(self, number: int, _frame: FrameType | None = None) -> None:
        """Remember a signal; the handler."""
        self._number = self._number or number

    def check(self) -> None:
        """Go on, unless a signal came.

        Raises:
            Interrupted: One came.
        """
        if self._number:
            raise Interrupted(self._number)

    def pause(self, seconds: float) -> None:
        """Sleep.

        Raises:
            Interrupted: A signal came.
        """
        self.check()
        self._sleep(seconds)
        self.check()


@contextmanager
def noticed() -> Iterator[Interrupts]:
    """Notice signals until the context ends; to be used in the main thread. What nohup and the like ignore stays so."""
    interrupts = Interrupts()
    heeded = (number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN)
    before = {number: signal.signal(number, interrupts.note) for number in heeded}
    try:
        yield interrupts
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
