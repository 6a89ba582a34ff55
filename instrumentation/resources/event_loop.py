"""Event loop lag: how late timers fire, which also delays every request."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

from instrumentation.catalog import EVENT_LOOP_LAG

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, TimerHandle

    from instrumentation.store import Store

_SHARD = 1  # of this metric; only the loop's thread writes it, so the loop never waits for a lock
_MOST_MISSED = 1000  # a process that was stopped for hours must not count for seconds


class LoopLag:
    """Measures one event loop at a time.

    If the loop was blocked for longer than the interval, the timers that should have fired in the meantime count too, each
    with its own delay. So the histogram shows the delay of a request arriving at any time, and one long block is not hidden
    by hundreds of quiet intervals (Gil Tene calls this coordinated omission).

    Args:
        store: The store to count in.
        interval: Seconds between two timers.
    """

    def __init__(self, store: Store, interval: float = 0.25) -> None:
        self._store = store
        self._interval = interval
        self._loop: AbstractEventLoop | None = None
        self._timer: TimerHandle | None = None
        self._due = 0.0
        self._place = 0

    def begin(self, loop: AbstractEventLoop) -> None:
        """Start to measure this loop instead of any other; call it in the loop's thread."""
        if loop is not self._loop:
            self.end()
            self._loop = loop
            self._place = self._store.place(EVENT_LOOP_LAG, (), _SHARD)
            self._arm(loop)

    def end(self) -> None:
        """Stop measuring."""
        if self._timer is not None:
            self._timer.cancel()
        self.reset()

    def reset(self) -> None:
        """Drop the loop in a forked child, because it belongs to the parent."""
        self._loop = self._timer = None

    def _arm(self, loop: AbstractEventLoop) -> None:
        self._due = loop.time() + self._interval
        self._timer = loop.call_at(self._due, self._fired, loop)

    def _fired(self, loop: AbstractEventLoop) -> None:
        self._count(max(loop.time() - self._due, 0.0))
        self._arm(loop)

    def _count(self, late: float) -> None:
        buffer, edges = self._store.buffer, EVENT_LOOP_LAG.buckets
        missed = min(int(late / self._interval), _MOST_MISSED)
        for number in range(missed + 1):
            delay = late - number * self._interval
            buffer[self._place + bisect_left(edges, delay)] += 1.0
            buffer[self._place + len(edges) + 1] += delay
