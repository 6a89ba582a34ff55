"""The interface of a store: one buffer of float64 and a table of series."""

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
    """One series, summed over threads and workers.

    Attributes:
        metric: Its catalog row.
        labels: Label values, in the order of ``metric.labels``.
        edges: Upper bucket edges of a histogram; empty for other kinds.
        slots: One number for a counter or a gauge. For a histogram, the count of each bucket (not cumulative), including
            the one above the last edge, followed by the sum of the observed values.
        created: When the series was created, in seconds since 1970.
    """

    metric: Metric
    labels: tuple[str, ...]
    edges: tuple[float, ...]
    slots: tuple[float, ...]
    created: float


class State(NamedTuple):
    """The usage of a store.

    Attributes:
        held: The number of series in the worker with the most series; the limit applies to each worker's table.
        workers: The number of live workers.
        size: Size of the slots in bytes; with several workers, of all files.
    """

    held: int
    workers: int
    size: int


class Buffer(Protocol):
    """A sequence of floats: an array, or a view of shared memory."""

    def __getitem__(self, place: int, /) -> float: ...

    def __setitem__(self, place: int, value: float, /) -> None: ...


class Resettable(Protocol):
    """An object that caches slot indexes of a store and must drop them after a fork."""

    def reset(self) -> None:
        """Drop all cached slot indexes."""


class Store(Protocol):
    """A store in local or shared memory, as writers and readers see it.

    A writer requests the index of a series once and then adds to ``buffer`` at that index, either while holding ``lock`` or
    in a shard that no other thread writes.

    Attributes:
        series_limit: The maximum number of series before new ones are folded.
    """

    series_limit: int

    @property
    def buffer(self) -> Buffer:
        """The slots of all series, one after the other."""

    @property
    def lock(self) -> AbstractContextManager[object]:
        """The lock to hold while creating slots and while adding to slots of shard 0."""

    @property
    def folded(self) -> int:
        """The number of new series that this process has folded into an overflow series."""

    @property
    def state(self) -> State:
        """The usage when the series were last read."""

    def declare(self, metric: Metric, edges: tuple[float, ...]) -> None:
        """Set the bucket edges of a histogram whose catalog row leaves them to the settings.

        Raises:
            InstrumentationError: ``bucket_edges_differ``: other edges are already in use.
        """

    def pin(self, metric: Metric, labels: tuple[str, ...], value: float) -> None:
        """Set a gauge for the lifetime of the process."""

    def place(self, metric: Metric, labels: tuple[str, ...], shard: int = 0) -> int:
        """The index in ``buffer`` of the first slot of a series. A new series is created complete, with all slots 0.

        Each shard has separate slots for the same series; readers see their sum. All threads may use shard 0.

        Once ``series_limit`` is reached, the folded labels of a new series become ``OVERFLOW``. An overflow series itself
        may still be created; the other labels have few values.
        """

    def follow(self, follower: Resettable) -> None:
        """Notify an object, held by a weak reference, when all indexes have changed, as in a forked child."""

    def series(self) -> Iterator[Series]:
        """All series, summed over threads and workers."""


def add(store: Store, metric: Metric, labels: tuple[str, ...], amount: float) -> None:
    """Add to a counter or a gauge."""
    with store.lock:
        store.buffer[store.place(metric, labels)] += amount


def observe(store: Store, metric: Metric, labels: tuple[str, ...], value: float) -> None:
    """Count a value in a histogram whose edges are in its catalog row."""
    edges = metric.buckets
    with store.lock:
        place = store.place(metric, labels)
        store.buffer[place + bisect_left(edges, value)] += 1.0
        store.buffer[place + len(edges) + 1] += value
