"""The end of a process: noticed with the first signal, before the server acts on it, and told in one last log line."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable
    from types import FrameType

_log = logging.getLogger("instrumentation")
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Shutdown:
    """Handles the first SIGTERM or SIGINT of a process, and passes it to the previous handler.

    Args:
        clock: Gives seconds, as the monotonic clock does.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._drain = 0.0
        self._loop: AbstractEventLoop | None = None
        self._before: dict[int, Any] = {}
        self._began: float | None = None
        self._why = ""
        os.register_at_fork(after_in_child=self._forget)

    @property
    def has_begun(self) -> bool:
        """Whether this process is about to end."""
        return self._began is not None

    def begin(self, drain_seconds: float) -> None:
        """Hear signals, where the process serves; servers set up theirs before the app begins.

        Args:
            drain_seconds: How long SIGTERM waits before the server receives it.
        """
        self._drain = drain_seconds
        self._began = None  # a server may begin again after it has ended
        try:
            self._loop = asyncio.get_running_loop()
        except RuntimeError:  # not asyncio's
            self._loop = None
        for number in _SIGNALS:
            before = signal.getsignal(number)
            if before is not None and before != self._hear:
                try:
                    signal.signal(number, self._hear)
                except ValueError:  # not the main thread: the program that runs the server here handles signals for it
                    return
                self._before[number] = before

    def end(self) -> None:
        """The app has shut down: say how long that took, and hear signals no longer."""
        for number in tuple(self._before):
            self._step_aside(number)
        if self._began is None:
            _log.info("shut down, since the server ended the app")
        else:
            milliseconds = (self._clock() - self._began) * 1000
            extra = {"duration_ms": round(milliseconds, 3)}
            _log.info("shut down %.0f ms after %s", milliseconds, self._why, extra=extra)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        del frame
        is_first = self._began is None
        if is_first:
            self._began, self._why = self._clock(), signal.Signals(number).name
        if is_first and self._drain and number == signal.SIGTERM and self._loop is not None and self._loop.is_running():
            self._loop.call_soon_threadsafe(self._loop.call_later, self._drain, self._hand_on, number)
        else:
            self._hand_on(number)

    def _hand_on(self, number: int) -> None:
        """Call the previous handler. Event loops receive the signal on their own, and some must not receive it twice."""
        before = self._before.get(number)
        self._step_aside(number)
        if callable(before):
            before(number, None)
        elif before == signal.SIG_DFL:
            os.kill(os.getpid(), number)

    def _step_aside(self, number: int) -> None:
        before = self._before.pop(number, None)
        if before is not None and signal.getsignal(number) == self._hear:
            with suppress(ValueError):  # not the main thread
                signal.signal(number, before)

    def _forget(self) -> None:
        """A forked child hears signals as its parent did, and has not begun to end."""
        self._began = None


@cache
def shutdown() -> Shutdown:
    """The end of this process."""
    return Shutdown()
