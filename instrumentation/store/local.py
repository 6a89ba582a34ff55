"""The store of a single process: plain memory."""

from __future__ import annotations

import threading
import time
from array import array
from typing import TYPE_CHECKING

from instrumentation.store.merge import merged
from instrumentation.store.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from instrumentation.catalog import Metric
    from instrumentation.store.interface import Resettable, Series


class LocalStore:
    """Series in the memory of this process; see ``Store`` for the interface."""

    def __init__(self, series_limit: int = 2000) -> None:
        self.buffer = array("d")
        self.lock: AbstractContextManager[object] = threading.RLock()
        self._table = Table(series_limit)

    @property
    def series_limit(self) -> int:
        """How many series may exist before new ones are folded."""
        return self._table.series_limit

    @series_limit.setter
    def series_limit(self, limit: int) -> None:
        self._table.series_limit = limit

    @property
    def folded(self) -> int:
        """How many new series were folded into an overflow series."""
        return self._table.folded

    def declare(self, metric: Metric, edges: tuple[float, ...]) -> None:
        """Fix the bucket edges of a histogram; see ``Store``."""
        with self.lock:
            self._table.declare(metric, edges)

    def place(self, metric: Metric, labels: tuple[str, ...], shard: int = 0) -> int:
        """The index in ``buffer`` of a series' first slot; see ``Store``."""
        with self.lock:
            row = self._table.find(metric, labels, shard)
            if row is None:
                row, is_new = self._table.make(metric, labels, shard, time.time)
                if is_new:
                    self.buffer.extend([0.0] * row.width)
            return row.start

    def pin(self, metric: Metric, labels: tuple[str, ...], value: float) -> None:
        """Set a gauge."""
        with self.lock:
            self.buffer[self.place(metric, labels)] = value

    def follow(self, follower: Resettable) -> None:
        """Nothing to tell: this store stays what it is."""

    def series(self) -> Iterator[Series]:
        """Every series, each read whole."""
        with self.lock:
            rows = [(row, self.buffer[row.start : row.start + row.width]) for row in self._table.rows]
        return iter(merged((row.metric, row.labels, row.edges, slots, row.created) for row, slots in rows))
