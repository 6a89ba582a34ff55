"""The table of series: which slots of a buffer belong to which series, and when a new series is folded."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from instrumentation.catalog import Kind
from instrumentation.errors import InstrumentationError
from instrumentation.store.interface import OVERFLOW

if TYPE_CHECKING:
    from collections.abc import Callable

    from instrumentation.catalog import Metric


class Row(NamedTuple):
    """A series' place.

    Attributes:
        metric: Its catalog row.
        labels: Label values.
        edges: Bucket edges; empty unless it is a histogram.
        start: The index of its first slot.
        width: How many slots it has.
        created: When it was made, in seconds since 1970.
    """

    metric: Metric
    labels: tuple[str, ...]
    edges: tuple[float, ...]
    start: int
    width: int
    created: float


class Table:
    """Gives out places, one behind the other.

    Attributes:
        rows: Every row, in the order of their places.
        series_limit: How many series may exist before new ones are folded.
        folded: How many new series were folded.
        used: How many slots are given out.
        is_full: Whether there is no room, so that every new series is folded.
    """

    def __init__(self, series_limit: int, used: int = 0) -> None:
        self.rows: list[Row] = []
        self.series_limit = series_limit
        self.folded = 0
        self.used = used
        self.is_full = False
        self._edges: dict[str, tuple[float, ...]] = {}
        self._places: dict[tuple[str, tuple[str, ...], int], Row] = {}
        self._series: set[tuple[str, tuple[str, ...]]] = set()

    def declare(self, metric: Metric, edges: tuple[float, ...]) -> None:
        """Fix the bucket edges of a histogram.

        Raises:
            InstrumentationError: ``bucket_edges_differ``.
        """
        if self._edges.setdefault(metric.name, edges) != edges:
            raise InstrumentationError(
                f"{metric.name}: got bucket edges that differ from those in use; "
                "give the apps of one process the same thresholds and http.duration_buckets.",
                code="bucket_edges_differ",
                details={"in_use": self._edges[metric.name], "given": edges},
            )

    def find(self, metric: Metric, labels: tuple[str, ...], shard: int) -> Row | None:
        """The row of a series, if it has one."""
        return self._places.get((metric.name, labels, shard))

    def make(self, metric: Metric, labels: tuple[str, ...], shard: int, clock: Callable[[], float]) -> tuple[Row, bool]:
        """The row of a series that has none yet, and whether it is new: over the limit the labels are folded."""
        if metric.folded and self._is_over(metric, labels):
            self.folded += 1
            labels = _fold(metric, labels)
        known = self.find(metric, labels, shard)
        if known is not None:
            return known, False
        edges = self._edges.get(metric.name, metric.buckets)
        width = len(edges) + 2 if metric.kind is Kind.HISTOGRAM else 1  # a bucket more than edges, and the sum
        row = Row(metric, labels, edges, self.used, width, clock())
        self.used += width
        self.rows.append(row)
        self._series.add((metric.name, labels))
        self._places[metric.name, labels, shard] = row
        return row, True

    def _is_over(self, metric: Metric, labels: tuple[str, ...]) -> bool:
        is_known = (metric.name, labels) in self._series
        return self.is_full or (not is_known and len(self._series) >= self.series_limit)


def _fold(metric: Metric, labels: tuple[str, ...]) -> tuple[str, ...]:
    pairs = zip(metric.labels, labels, strict=True)
    return tuple(OVERFLOW if name in metric.folded else value for name, value in pairs)
