"""The store that is used while Sidelight is disabled: it accepts every write and keeps nothing."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

from instrumentation.store.local_store import LocalStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from instrumentation.catalog import Metric
    from instrumentation.store.interface import Series


class _NullBuffer:
    """A buffer in which every slot is 0."""

    def __getitem__(self, place: int, /) -> float:
        return 0.0

    def __setitem__(self, place: int, value: float, /) -> None:
        pass


class NullStore(LocalStore):
    """A store without series; see ``Store`` for the interface."""

    def __init__(self) -> None:
        super().__init__()
        self.buffer = _NullBuffer()
        self.lock = nullcontext()

    def declare(self, metric: Metric, edges: tuple[float, ...]) -> None:
        """Accept any edges."""

    def place(self, metric: Metric, labels: tuple[str, ...], shard: int = 0) -> int:
        """The same place for every series."""
        del metric, labels, shard
        return 0

    def series(self) -> Iterator[Series]:
        """No series."""
        return iter(())
