"""Garbage collection: how often it runs, and how long it pauses the process."""

from __future__ import annotations

import gc
from bisect import bisect_left
from time import perf_counter
from typing import TYPE_CHECKING

from instrumentation.catalog import GC_PAUSE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from instrumentation.store import Store
    from instrumentation.store.interface import Buffer

_EDGES = GC_PAUSE.buckets
_SHARD = 1  # of this metric; Python runs one collection at a time, so no two threads write it
_GENERATIONS = ("0", "1", "2")


class GarbagePauses:
    """Measures the duration of every garbage collection in the process.

    Python may call back at any point, even while the store's lock is held. So the callback only writes numbers; the series
    are created beforehand.

    Args:
        store: The store to count in.
        clock: Returns seconds.
    """

    def __init__(self, store: Store, clock: Callable[[], float] = perf_counter) -> None:
        self._store = store
        self._clock = clock
        self._slots: dict[int, tuple[Buffer, int]] = {}
        self._began = 0.0

    def begin(self) -> None:
        """Start counting."""
        for generation, name in enumerate(_GENERATIONS):
            self._slots[generation] = (self._store.buffer, self._store.place(GC_PAUSE, (name,), _SHARD))
        if self._note not in gc.callbacks:
            gc.callbacks.append(self._note)

    def end(self) -> None:
        """Stop counting."""
        if self._note in gc.callbacks:
            gc.callbacks.remove(self._note)

    def reset(self) -> None:
        """Stop writing to the previous slots in a forked child, because they belong to the parent."""
        self._slots.clear()

    def _note(self, phase: str, info: Mapping[str, int]) -> None:
        if phase == "start":
            self._began = self._clock()
        elif slots := self._slots.get(info["generation"]):
            seconds = self._clock() - self._began
            buffer, place = slots
            buffer[place + bisect_left(_EDGES, seconds)] += 1.0
            buffer[place + len(_EDGES) + 1] += seconds
