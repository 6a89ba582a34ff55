"""What a store is: one buffer of float64 and a table of series."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from instrumentation.catalog import Metric

OVERFLOW = "_OVERFLOW"
"""The value of a folded label once the series limit is reached."""


class Series(NamedTuple):
    """One series as it is read, summed over threads and workers.

    Attributes:
        metric: Its catalog row.
        labels: Label values, in the order of ``metric.labels``.
        edges: Upper bucket edges of a histogram; empty for the other kinds.
        slots: One number for a counter or a gauge. For a histogram the count of each bucket alone, the one above the
            last edge included, then the sum of what was observed.
        created: When the series was made, in seconds since 1970.
    """

    metric: Metric
    labels: tuple[str, ...]
    edges: tuple[float, ...]
    slots: tuple[float, ...]
    created: float


class State(NamedTuple):
    """How full a store is.

    Attributes:
        held: Series in the table of the worker that has most; each worker has a table, and the limit bounds it.
        workers: Workers alive.
        size: Bytes of the slots, and with several workers of all files.
    """

    held: int
    workers: int
    size: int


class Buffer(Protocol):
    """Numbers by place: an array, or a view of shared memory."""

    def __getitem__(self, place: int, /) -> float: ...

    def __setitem__(self, place: int, value: float, /) -> None: ...


class Resettable(Protocol):
    """Somebody who keeps places of a store."""

    def reset(self) -> None:
        """Forget every place."""


class Store(Protocol):
    """What writers and readers need of a store, in local or in shared memory.

    A writer asks once for the place of a series and then adds to ``buffer`` there: holding ``lock``, or without it in a
    shard that no other thread writes.

    Attributes:
        series_limit: How many series may exist before new ones are folded.
    """

    series_limit: int

    @property
    def buffer(self) -> Buffer:
        """Every series' slots, one behind the other."""

    @property
    def lock(self) -> AbstractContextManager[object]:
        """Held while slots are made, and while slots of shard 0 are added to."""

    @property
    def folded(self) -> int:
        """How many new series this process has folded into an overflow series."""

    @property
    def state(self) -> State:
        """How full the store was when the series were read last."""

    def declare(self, metric: Metric, edges: tuple[float, ...]) -> None:
        """Fix the bucket edges of a histogram whose row leaves them to the settings.

        Raises:
            InstrumentationError: ``bucket_edges_differ``, where other edges are in use already.
        """

    def pin(self, metric: Metric, labels: tuple[str, ...], value: float) -> None:
        """Set a gauge, for as long as the process lives."""

    def place(self, metric: Metric, labels: tuple[str, ...], shard: int = 0) -> int:
        """The index in ``buffer`` of a series' first slot; a new series is made whole, every slot 0.

        Each shard has slots of its own for the same series; readers see their sum. Shard 0 is everybody's.

        Once ``series_limit`` is reached, a new series' folded labels become ``OVERFLOW``; an overflow series itself
        may still be made, and the values of the other labels are few.
        """

    def follow(self, follower: Resettable) -> None:
        """Tell somebody, who is held weakly, when every place has become another, as in a forked child."""

    def series(self) -> Iterator[Series]:
        """Every series, summed over threads and workers."""


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
