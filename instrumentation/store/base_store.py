"""The common part of the stores: a table of series under a lock."""

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
    """A store without its buffer; see ``Store`` for the interface.

    Args:
        series_limit: The maximum number of series before new ones are folded.
    """

    buffer: Buffer

    def __init__(self, series_limit: int) -> None:
        self.lock: AbstractContextManager[object] = threading.RLock()
        self._table = Table(series_limit)

    @property
    def series_limit(self) -> int:
        """The maximum number of series before new ones are folded."""
        return self._table.series_limit

    @series_limit.setter
    def series_limit(self, limit: int) -> None:
        self._table.series_limit = limit

    @property
    def folded(self) -> int:
        """The number of new series that were folded into an overflow series."""
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

    def follow(self, follower: Resettable) -> None:  # noqa: B027 - a store that never changes has nothing to do
        """Do nothing: this store never changes."""

    @abstractmethod
    def _made(self, row: Row, now: float) -> None:
        """Prepare a new row: its slots must exist and be 0, with the creation time before them."""

    def _asked(self) -> None:  # noqa: B027 - a store that is not shared has nothing to do
        """A row was requested that did not exist; it has been created or folded."""

    def _at(self, row: Row) -> int:
        """The index of a row's slots."""
        return row[1]
