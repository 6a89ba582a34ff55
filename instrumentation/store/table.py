"""The table of series: assigns slots of a buffer to series, and folds new series over the limit."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from instrumentation.catalog import Kind
from instrumentation.errors import InstrumentationError
from instrumentation.store.interface import OVERFLOW

if TYPE_CHECKING:
    from typing import Self

    from instrumentation.catalog import Metric


HEAD = 1
"""The number of slots before those of a series; the slot holds its creation time in seconds since 1970."""


class Key(NamedTuple):
    """The identity of a series.

    Attributes:
        metric: Its catalog row.
        labels: Label values.
        edges: Bucket edges; empty unless it is a histogram.
        width: Its number of slots, without the head.
    """

    metric: Metric
    labels: tuple[str, ...]
    edges: tuple[float, ...]
    width: int

    @classmethod
    def of(cls, metric: Metric, labels: tuple[str, ...], edges: tuple[float, ...] = ()) -> Self:
        """The key of a series. A histogram has one slot per bucket (one more than edges) and one for the sum."""
        return cls(metric, labels, edges, len(edges) + 2 if metric.kind is Kind.HISTOGRAM else 1)


Row: TypeAlias = tuple[Key, int]
"""A series, and the index of its first slot."""


@dataclass(eq=False)
class Part:
    """Rows, and the memory that their indexes refer to.

    Attributes:
        rows: The rows; the list may grow.
        slots: The memory.
    """

    rows: list[Row] = field(default_factory=list)
    slots: array[float] | memoryview[float] = field(default_factory=lambda: array("d"))


class Table:
    """Assigns slots to series, one after the other.

    Attributes:
        rows: All rows, in the order of their slots.
        series: Name and labels to the rows of each series, one per shard.
        series_limit: The maximum number of series before new ones are folded.
        folded: The number of new series that were folded.
        used: The number of assigned slots.
        is_full: Whether there is no room left, so that every new series is folded.
        edges: Metric name to declared bucket edges.
    """

    def __init__(self, series_limit: int) -> None:
        self.rows: list[Row] = []
        self.series: dict[tuple[str, tuple[str, ...]], list[Row]] = {}
        self.series_limit = series_limit
        self.folded = 0
        self.used = 0
        self.is_full = False
        self.edges: dict[str, tuple[float, ...]] = {}
        self._places: dict[tuple[str, tuple[str, ...], int], Row] = {}

    def declare(self, metric: Metric, edges: tuple[float, ...]) -> None:
        """Set the bucket edges of a histogram.

        Raises:
            InstrumentationError: ``bucket_edges_differ``.
        """
        if self.edges.setdefault(metric.name, edges) != edges:
            raise InstrumentationError(
                f"{metric.name}: got bucket edges that differ from those in use; "
                "use the same thresholds and http.duration_buckets for all apps in a process.",
                code="bucket_edges_differ",
                details={"in_use": self.edges[metric.name], "given": edges},
            )

    def find(self, metric: Metric, labels: tuple[str, ...], shard: int) -> Row | None:
        """The row of a series; None if it has none."""
        return self._places.get((metric.name, labels, shard))

    def make(self, metric: Metric, labels: tuple[str, ...], shard: int) -> tuple[Row, bool]:
        """A row for a series without one, and whether the row is new; over the limit, labels are folded."""
        if metric.folded and self._is_over(metric, labels):
            self.folded += 1
            labels = folded(metric, labels)
        known = self.find(metric, labels, shard)
        if known is not None:
            return known, False
        key = Key.of(metric, labels, self.edges.get(metric.name, metric.buckets))
        row = key, self.used + HEAD
        self.used += HEAD + key.width
        self.rows.append(row)
        self.series.setdefault((metric.name, labels), []).append(row)
        self._places[metric.name, labels, shard] = row
        return row, True

    def _is_over(self, metric: Metric, labels: tuple[str, ...]) -> bool:
        is_known = (metric.name, labels) in self.series
        return self.is_full or (not is_known and len(self.series) >= self.series_limit)


def folded(metric: Metric, labels: tuple[str, ...]) -> tuple[str, ...]:
    """The labels of the overflow series for a series with these labels."""
    pairs = zip(metric.labels, labels, strict=True)
    return tuple(OVERFLOW if name in metric.folded else value for name, value in pairs)
