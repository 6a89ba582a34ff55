"""Sums rows of the same series over threads, workers and the archives of dead workers."""

from __future__ import annotations

from bisect import bisect_left
from math import fsum
from types import MappingProxyType
from typing import TYPE_CHECKING

from instrumentation.catalog import Kind
from instrumentation.store.interface import Series
from instrumentation.store.table import HEAD, Key, folded

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from instrumentation.catalog import Metric
    from instrumentation.store.table import Row


class Sums:
    """Sums of series, in the order in which they were first seen. The slots are read each time the sums are.

    Args:
        edges: Metric name to the bucket edges to sum into; other metrics use the first edges seen.
        limit: The number of series after which new ones are folded; None for no limit.
    """

    def __init__(
        self, edges: Mapping[str, tuple[float, ...]] = MappingProxyType({}), *, limit: int | None = None
    ) -> None:
        self._edges = edges
        self._limit = limit
        self._sums: dict[tuple[str, tuple[str, ...]], _Sum] = {}

    def add(self, rows: Iterable[Row], slots: Sequence[float]) -> None:
        """Add rows, whose indexes refer to ``slots``. Gauges are combined as their metric says."""
        find = self._sums.get
        for key, start in rows:
            metric, labels, edges, width = key
            created = slots[start - HEAD]
            held = find((metric.name, labels)) or self._begun(key, created)
            if edges == held.key.edges:
                held.parts.append(slots[start : start + width])
            else:
                held.others.append((edges, slots[start : start + width]))
            if created < held.created:  # noqa: PLR1730 - half the cost of min()
                held.created = created

    def __iter__(self) -> Iterator[Series]:
        for held in self._sums.values():
            metric, labels, edges, _ = held.key
            yield Series(metric, labels, edges, held.total(), held.created)

    def exact(self) -> Iterator[tuple[Key, list[float]]]:
        """Creation time and slots of each series, and once more with the rounding error of the last slot if there is one."""
        for held in self._sums.values():
            *rest, last = held.total()
            yield held.key, [held.created, *rest, last]
            left = held.rest(last)
            if left:
                yield held.key, [held.created, *[0.0] * len(rest), left]

    def _begun(self, key: Key, created: float) -> _Sum:
        metric, labels, edges, _ = key
        if self._limit is not None and len(self._sums) >= self._limit and metric.folded:
            labels = folded(metric, labels)
        wanted = Key.of(metric, labels, self._edges.get(metric.name, edges))
        return self._sums.setdefault((metric.name, labels), _Sum(wanted, created))


def together(edges: Mapping[str, tuple[float, ...]], *stores: Iterable[Series]) -> Iterator[Series]:
    """The series of several stores, combined as those of several workers are."""
    sums = Sums(edges)
    for store in stores:
        for metric, labels, of_series, slots, created in store:
            sums.add([(Key.of(metric, labels, of_series), HEAD)], [created, *slots])
    return iter(sums)


class _Sum:
    __slots__ = ("created", "key", "others", "parts")

    def __init__(self, key: Key, created: float) -> None:
        self.key = key
        self.created = created
        self.parts: list[Sequence[float]] = []
        self.others: list[tuple[tuple[float, ...], Sequence[float]]] = []

    def total(self) -> tuple[float, ...]:
        merge = self.key.metric.merge
        if merge is not sum:
            return (merge(slots[0] for slots in self.parts),)
        parts = self._all()
        *counts, _ = map(sum, zip(*parts, strict=True))
        return (*counts, _exact([slots[-1] for slots in parts]))

    def rest(self, last: float) -> float:
        """The rounding error of the last slot; counts are integers and have none."""
        return 0.0 if self.key.metric.merge is not sum else _exact([*(slots[-1] for slots in self._all()), -last])

    def _all(self) -> list[Sequence[float]]:
        if not self.others:
            return self.parts
        return [*self.parts, *(rebucketed(slots, edges, self.key.edges) for edges, slots in self.others)]


def _exact(numbers: list[float]) -> float:
    """The sum, rounded once.

    Added one by one in another order, the same numbers may give a sum that is smaller in the last digit, and Prometheus
    treats any decrease of a counter as a reset.
    """
    try:
        return fsum(numbers)
    except (OverflowError, ValueError):  # infinite values have no exact sum
        return sum(numbers)


def rebucketed(slots: Sequence[float], edges: Sequence[float], wanted: Sequence[float]) -> list[float]:
    """A histogram converted to other edges: each bucket goes into the narrowest one that certainly contains it.

    >>> rebucketed([1, 2, 3, 7.5], edges=(0.5, 1.0), wanted=(0.7, 2.0))
    [1.0, 2.0, 3.0, 7.5]
    """
    counts = [0.0] * (len(wanted) + 1)
    for edge, count in zip((*edges, float("inf")), slots[:-1], strict=True):
        counts[bisect_left(wanted, edge)] += count
    return [*counts, slots[-1]]


def is_kept(metric: Metric) -> bool:
    """Whether the numbers of a dead worker still count; those of most gauges do not."""
    return metric.kind is not Kind.GAUGE or metric.outlives_worker
