"""What a store is: one buffer of float64 and a table of series."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableSequence
    from contextlib import AbstractContextManager

    from instrumentation.catalog import Metric

OVERFLOW = "_OVERFLOW"
"""The value of a folded label once the series limit is reached."""


class Series(NamedTuple):
    """One series as it is read.

    Attributes:
        metric: Its catalog row.
        labels: Label values, in the order of ``metric.labels``.
        edges: Upper bucket edges of a histogram; empty for the other kinds.
        slots: One number for a counter or a gauge. For a histogram the count of each bucket alone, the one above the
            last edge included, then the sum of what was observed.
    """

    metric: Metric
    labels: tuple[str, ...]
    edges: tuple[float, ...]
    slots: tuple[float, ...]


class Store(Protocol):
    """What writers and readers need of a store, in local or in shared memory.

    A writer asks once for the place of a series and then adds to ``buffer`` there, holding ``lock``.

    Attributes:
        series_limit: How many series may exist before new ones are folded.
    """

    series_limit: int

    @property
    def buffer(self) -> MutableSequence[float]:
        """Every series' slots, one behind the other."""

    @property
    def lock(self) -> AbstractContextManager[object]:
        """Held while slots are added to, made or read, so that any thread may write."""

    @property
    def folded(self) -> int:
        """How many new series were folded into an overflow series."""

    def declare(self, metric: Metric, edges: tuple[float, ...]) -> None:
        """Fix the bucket edges of a histogram whose row leaves them to the settings.

        Raises:
            InstrumentationError: ``bucket_edges_differ``, where other edges are in use already.
        """

    def place(self, metric: Metric, labels: tuple[str, ...]) -> int:
        """The index in ``buffer`` of a series' first slot; a new series is made whole, every slot 0.

        Once ``series_limit`` is reached, a new series' folded labels become ``OVERFLOW``; an overflow series itself
        may still be made, and the values of the other labels are few.
        """

    def series(self) -> Iterator[Series]:
        """Every series, each read whole."""


def add(store: Store, metric: Metric, labels: tuple[str, ...], amount: float) -> None:
    """Add to a counter or a gauge."""
    with store.lock:
        store.buffer[store.place(metric, labels)] += amount


def observe(store: Store, metric: Metric, labels: tuple[str, ...], value: float) -> None:
    """Count a value in a histogram whose edges stand in its row."""
    edges = metric.buckets
    with store.lock:
        place = store.place(metric, labels)
        store.buffer[place + bisect_left(edges, value)] += 1.0
        store.buffer[place + len(edges) + 1] += value
