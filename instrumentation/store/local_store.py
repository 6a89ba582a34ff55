"""The store of a single process, in plain memory."""

from __future__ import annotations

from array import array
from operator import add
from typing import TYPE_CHECKING

from instrumentation.store.base_store import BaseStore
from instrumentation.store.interface import Series, State
from instrumentation.store.table import HEAD

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from instrumentation.store.table import Row


class LocalStore(BaseStore):
    """Series in the memory of this process; see ``Store`` for the interface."""

    def __init__(self, series_limit: int = 2000) -> None:
        super().__init__(series_limit)
        self.buffer = self._memory = array("d")

    def series(self) -> Iterator[Series]:
        """All series, each read consistently."""
        with self.lock:
            memory = tuple(self._memory)  # in one step: half the cost of a slice per row
            series = [tuple(rows) for rows in self._table.series.values()]
        return (_summed(rows, memory) for rows in series)

    @property
    def state(self) -> State:
        """The usage of the store."""
        return State(held=len(self._table.series), workers=1, size=len(self._memory) * self._memory.itemsize)

    def _made(self, row: Row, now: float) -> None:
        self._memory.extend([now, *[0.0] * row[0].width])


def _summed(rows: Sequence[Row], memory: tuple[float, ...]) -> Series:
    """A series from the rows of its shards, of which the first is the oldest."""
    (metric, labels, edges, width), start = rows[0]
    slots = memory[start : start + width]
    for _, other in rows[1:]:
        slots = tuple(map(add, slots, memory[other : other + width]))
    return Series(metric, labels, edges, slots, memory[start - HEAD])
