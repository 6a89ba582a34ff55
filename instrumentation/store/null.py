"""The store of a process in which Sidelight is off: it takes everything and keeps nothing."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

from instrumentation.store.local_store import LocalStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from instrumentation.catalog import Metric
    from instrumentation.store.interface import Series


class _Nowhere:
    """A buffer of which every slot is 0."""

    def __getitem__(self, place: int, /) -> float:
        return 0.0

    def __setitem__(self, place: int, value: float, /) -> None:
        pass


class NullStore(LocalStore):
    """No series; see ``Store`` for the interface."""

    def __init__(self) -> None:
        super().__init__()
        self.buffer = _Nowhere()
        self.lock = nullcontext()

    def declare(self, metric: Metric, edges: tuple[float, ...]) -> None:
        """Take any edges."""

    def place(self, metric: Metric, labels: tuple[str, ...], shard: int = 0) -> int:
        """The same place for every series."""
        del metric, labels, shard
        return 0

    def series(self) -> Iterator[Series]:
        """None."""
        return iter(())
