"""Garbage collection: how often it runs, and for how long the process stands still meanwhile."""

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
_SHARD = 1  # of this metric; Python collects once at a time, so no two threads write it
_GENERATIONS = ("0", "1", "2")


class GarbagePauses:
    """Times every garbage collection of the process.

    Python calls back in the middle of anything, also where the store's lock is held. So nothing but numbers is written
    then; the series are made before.

    Args:
        store: Where to count.
        clock: Gives seconds.
    """

    def __init__(self, store: Store, clock: Callable[[], float] = perf_counter) -> None:
        self._store = store
        self._clock = clock
        self._slots: dict[int, tuple[Buffer, int]] = {}
        self._began = 0.0

    def begin(self) -> None:
        """Count from now on."""
        for generation, name in enumerate(_GENERATIONS):
            self._slots[generation] = (self._store.buffer, self._store.place(GC_PAUSE, (name,), _SHARD))
        if self._note not in gc.callbacks:
            gc.callbacks.append(self._note)

    def end(self) -> None:
        """Count no longer."""
        if self._note in gc.callbacks:
            gc.callbacks.remove(self._note)

    def reset(self) -> None:
        """Write no more where it wrote: that is the parent's, and this is a forked child."""
        self._slots.clear()

    def _note(self, phase: str, info: Mapping[str, int]) -> None:
        if phase == "start":
            self._began = self._clock()
        elif slots := self._slots.get(info["generation"]):
            seconds = self._clock() - self._began
            buffer, place = slots
            buffer[place + bisect_left(_EDGES, seconds)] += 1.0
            buffer[place + len(_EDGES) + 1] += seconds
