"""The store of a single process: plain memory."""

from __future__ import annotations

import threading
from array import array
from typing import TYPE_CHECKING

from instrumentation.catalog import Kind
from instrumentation.errors import InstrumentationError
from instrumentation.store.interface import OVERFLOW, Series

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from instrumentation.catalog import Metric


class LocalStore:
    """Series in the memory of this process; see ``Store`` for the interface."""

    def __init__(self, series_limit: int = 2000) -> None:
        self.buffer = array("d")
        self.lock: AbstractContextManager[object] = threading.RLock()
        self.series_limit = series_limit
        self.folded = 0
        self._edges: dict[str, tuple[float, ...]] = {}
        self._places: dict[tuple[str, tuple[str, ...]], int] = {}
        self._rows: list[tuple[Metric, tuple[str, ...], int]] = []

    def declare(self, metric: Metric, edges: tuple[float, ...]) -> None:
        """Fix the bucket edges of a histogram; see ``Store``."""
        with self.lock:
            if self._edges.setdefault(metric.name, edges) != edges:
                raise InstrumentationError(
                    f"{metric.name}: got bucket edges that differ from those in use; "
                    "give the apps of one process the same thresholds and http.duration_buckets.",
                    code="bucket_edges_differ",
                    details={"in_use": self._edges[metric.name], "given": edges},
                )

    def place(self, metric: Metric, labels: tuple[str, ...]) -> int:
        """The index in ``buffer`` of a series' first slot; made where it is new, folded over the limit."""
        with self.lock:
            place = self._places.get((metric.name, labels))
            if place is None and metric.folded and len(self._rows) >= self.series_limit:
                self.folded += 1
                labels = _fold(metric, labels)
                place = self._places.get((metric.name, labels))
            return self._make(metric, labels) if place is None else place

    def series(self) -> Iterator[Series]:
        """Every series, each read whole."""
        for metric, labels, start in tuple(self._rows):
            with self.lock:
                slots = tuple(self.buffer[start : start + self._width(metric)])
            yield Series(metric, labels, self._edges_of(metric), slots)

    def _make(self, metric: Metric, labels: tuple[str, ...]) -> int:
        start = len(self.buffer)
        self.buffer.extend([0.0] * self._width(metric))
        self._places[metric.name, labels] = start
        self._rows.append((metric, labels, start))
        return start

    def _edges_of(self, metric: Metric) -> tuple[float, ...]:
        return self._edges.get(metric.name, metric.buckets)

    def _width(self, metric: Metric) -> int:
        """A histogram has a bucket more than edges, and a sum."""
        return len(self._edges_of(metric)) + 2 if metric.kind is Kind.HISTOGRAM else 1


def _fold(metric: Metric, labels: tuple[str, ...]) -> tuple[str, ...]:
    pairs = zip(metric.labels, labels, strict=True)
    return tuple(OVERFLOW if name in metric.folded else value for name, value in pairs)
