"""What the stores share: a table of series under a lock."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from instrumentation.store.table import Table

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from instrumentation.catalog import Metric
    from instrumentation.store.interface import Buffer, Resettable
    from instrumentation.store.table import Row


class BaseStore(ABC):
    """A store but for its buffer; see ``Store`` for the interface.

    Args:
        series_limit: How many series may exist before new ones are folded.
    """

    buffer: Buffer

    def __init__(self, series_limit: int) -> None:
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
                row, is_new = self._table.make(metric, labels, shard)
                if is_new:
                    self._made(row, time.time())
                self._asked()
            return self._at(row)

    def pin(self, metric: Metric, labels: tuple[str, ...], value: float) -> None:
        """Set a gauge."""
        with self.lock:
            self.buffer[self.place(metric, labels)] = value

    def follow(self, follower: Resettable) -> None:  # noqa: B027 - nothing to do is what a store that stays does
        """Nothing to tell: this store stays what it is."""

    @abstractmethod
    def _made(self, row: Row, now: float) -> None:
        """A row is new: its slots must be there, all 0, and the time before them."""

    def _asked(self) -> None:  # noqa: B027 - nothing to do is what a store that counts for itself does
        """Somebody asked for a row that was not there: it is made, or folded."""

    def _at(self, row: Row) -> int:
        """Where a row's slots are."""
        return row[1]
