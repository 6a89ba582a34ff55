"""The store of a single process: plain memory."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from instrumentation.store.base import BaseStore
from instrumentation.store.merge import merged

if TYPE_CHECKING:
    from collections.abc import Iterator

    from instrumentation.store.interface import Series
    from instrumentation.store.table import Row


class LocalStore(BaseStore):
    """Series in the memory of this process; see ``Store`` for the interface."""

    def __init__(self, series_limit: int = 2000) -> None:
        super().__init__(series_limit)
        self.buffer = self._memory = array("d")

    def series(self) -> Iterator[Series]:
        """Every series, each read whole."""
        with self.lock:
            rows = [(row, self._memory[row.start : row.start + row.width]) for row in self._table.rows]
        return iter(merged((row.metric, row.labels, row.edges, slots, row.created) for row, slots in rows))

    def _made(self, row: Row) -> None:
        self._memory.extend([0.0] * row.width)
