"""Many rows to one series: threads, workers and what is left of dead ones are summed."""

from __future__ import annotations

from bisect import bisect_left
from operator import add
from typing import TYPE_CHECKING

from instrumentation.catalog import Kind, Metric
from instrumentation.store.interface import Series

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


class Sums:
    """Sums of series, in the order in which they were first seen."""

    def __init__(self) -> None:
        self._sums: dict[tuple[str, tuple[str, ...]], _Sum] = {}

    def add(
        self, metric: Metric, labels: tuple[str, ...], edges: tuple[float, ...], slots: Sequence[float], created: float
    ) -> None:
        """Count one row in. Gauges that say what is, not how many, take the larger value."""
        key = (metric.name, labels)
        held = self._sums.get(key)
        if held is None:
            self._sums[key] = _Sum(metric, labels, edges, list(slots), created)
        else:
            held.add(edges, slots, created)

    def __iter__(self) -> Iterator[Series]:
        for held in self._sums.values():
            yield Series(held.metric, held.labels, held.edges, tuple(held.slots), held.created)


class _Sum:
    __slots__ = ("created", "edges", "labels", "metric", "slots")

    def __init__(
        self, metric: Metric, labels: tuple[str, ...], edges: tuple[float, ...], slots: list[float], created: float
    ) -> None:
        self.metric = metric
        self.labels = labels
        self.edges = edges
        self.slots = slots
        self.created = created

    def add(self, edges: tuple[float, ...], slots: Sequence[float], created: float) -> None:
        self.created = min(self.created, created)
        if self.metric.merge is max:
            self.slots = [max(self.slots[0], slots[0])]
        elif edges == self.edges:
            self.slots = list(map(add, self.slots, slots))
        else:
            self.slots = list(map(add, self.slots, rebucketed(slots, edges, self.edges)))


def rebucketed(slots: Sequence[float], edges: Sequence[float], wanted: Sequence[float]) -> list[float]:
    """A histogram with other edges: each bucket goes into the narrowest that surely holds it.

    >>> rebucketed([1, 2, 3, 7.5], edges=(0.5, 1.0), wanted=(0.7, 2.0))
    [1.0, 2.0, 3.0, 7.5]
    """
    counts = [0.0] * (len(wanted) + 1)
    for edge, count in zip((*edges, float("inf")), slots[:-1], strict=True):
        counts[bisect_left(wanted, edge)] += count
    return [*counts, slots[-1]]


def is_kept(metric: Metric) -> bool:
    """Whether the numbers of a worker that has ended still count; its gauges do not."""
    return metric.kind is not Kind.GAUGE


def merged(rows: Iterable[tuple[Metric, tuple[str, ...], tuple[float, ...], Sequence[float], float]]) -> list[Series]:
    """The sums of rows of (metric, labels, edges, slots, created)."""
    sums = Sums()
    for row in rows:
        sums.add(*row)
    return list(sums)
