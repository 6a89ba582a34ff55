"""The process's own store: in shared memory where it is one of several workers, and made anew after a fork."""

from __future__ import annotations

import logging
import os
import threading
import weakref
from typing import TYPE_CHECKING

from instrumentation.store.file_watchdog import look_after
from instrumentation.store.interface import Series
from instrumentation.store.local_store import LocalStore
from instrumentation.store.null_store import NullStore
from instrumentation.store.process_metrics import process_values, usage
from instrumentation.store.scrape_callbacks import ScrapeCallbacks
from instrumentation.store.shared_store import SharedStore
from instrumentation.store.worker_group import DIRECTORY_VARIABLE, family_folder
from instrumentation.switch import is_disabled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from instrumentation.catalog import Metric
    from instrumentation.store.interface import Buffer, Resettable, State
    from instrumentation.store.scrape_callbacks import Source

_log = logging.getLogger("instrumentation")


class ProcessStore:
    """A store that is chosen on first use, and again in a forked child; see ``Store`` for the interface.

    A child must not write where its parent does: what it inherits are the parent's counts.

    Args:
        folder: Gives the folder that the workers share, None where this is no worker.

    Attributes:
        sources: What is read whenever the series are, and kept nowhere.
    """

    def __init__(self, folder: Callable[[], Path | None] = family_folder) -> None:
        self.sources = ScrapeCallbacks(self)
        self._folder = folder
        self._limit = 2000
        self._declared: dict[str, tuple[Metric, tuple[float, ...]]] = {}
        self._pinned: dict[tuple[str, tuple[str, ...]], tuple[Metric, float]] = {}
        self._followers: weakref.WeakSet[Resettable] = weakref.WeakSet()
        self._choosing = threading.Lock()
        self._is_off = self._is_wanted = False
        self._store: LocalStore | SharedStore | None = None
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=_weakly(self))

    @property
    def inner(self) -> LocalStore | SharedStore:
        """The store that is in use."""
        if self._store is None:
            with self._choosing:
                self._store = self._store or self._chosen()
        return self._store

    @property
    def is_shared(self) -> bool:
        """Whether this process is one of several workers that count together."""
        return isinstance(self.inner, SharedStore)

    @property
    def is_off(self) -> bool:
        """Whether the store counts nothing."""
        return isinstance(self.inner, NullStore)

    def turn(self, *, on: bool) -> None:
        """Turn counting on or off, in this process and its children; once on, it stays on."""
        self._is_wanted = self._is_wanted or on
        is_off = not self._is_wanted
        if is_off != self._is_off:
            self._is_off = is_off
            self._become_another()

    @property
    def buffer(self) -> Buffer:
        """Every series' slots."""
        return self.inner.buffer

    @property
    def lock(self) -> AbstractContextManager[object]:
        """Held while slots are made, and while slots of shard 0 are added to."""
        return self.inner.lock

    @property
    def folded(self) -> int:
        """How many new series were folded into an overflow series."""
        return self.inner.folded

    @property
    def state(self) -> State:
        """How full the store was when the series were read last."""
        return self.inner.state

    @property
    def series_limit(self) -> int:
        """How many series may exist before new ones are folded."""
        return self._limit

    @series_limit.setter
    def series_limit(self, limit: int) -> None:
        self._limit = limit
        if self._store is not None:
            self._store.series_limit = limit

    def follow(self, follower: Resettable) -> None:
        """Tell somebody, who is held weakly, when the store becomes another."""
        self._followers.add(follower)

    def declare(self, metric: Metric, edges: tuple[float, ...]) -> None:
        """Fix the bucket edges of a histogram; see ``Store``."""
        self.inner.declare(metric, edges)
        self._declared[metric.name] = (metric, edges)

    def place(self, metric: Metric, labels: tuple[str, ...], shard: int = 0) -> int:
        """The index in ``buffer`` of a series' first slot; see ``Store``."""
        return self.inner.place(metric, labels, shard)

    def pin(self, metric: Metric, labels: tuple[str, ...], value: float) -> None:
        """Set a gauge, for as long as the process lives and in every child."""
        self._pinned[metric.name, labels] = (metric, value)
        self.inner.pin(metric, labels, value)

    def attach(self, source: Source) -> None:
        """Show the series of a source too, read anew each time."""
        self.sources.attach(source)

    def series(self) -> Iterator[Series]:
        """Every series, summed over threads and workers, what the processes use, and what the sources give."""
        if self.is_off:
            return
        read = self.sources.collect()  # first, so that what they count is among the series
        yield from self.inner.series()
        yield from read
        if isinstance(self.inner, LocalStore) and (used := usage(os.getpid())):
            for metric, value in process_values([used]):
                yield Series(metric, (), (), (value,), used.started)

    def _chosen(self) -> LocalStore | SharedStore:
        store = self._opened()
        for metric, edges in self._declared.values():
            store.declare(metric, edges)
        for (_, labels), (metric, value) in self._pinned.items():
            store.pin(metric, labels, value)
        return store

    def _opened(self) -> LocalStore | SharedStore:
        if self._is_off or is_disabled(os.environ):
            return NullStore()
        try:
            folder = self._folder()
            if folder is not None:
                store = SharedStore(folder, series_limit=self._limit)
                look_after(store)
                return store
        except OSError as error:
            _log.warning(
                "sidelight counts this worker alone: %s: %s; make room there, or name another folder in %s",
                error.filename,
                error.strerror,
                DIRECTORY_VARIABLE,
            )
        return LocalStore(self._limit)

    def _after_fork(self) -> None:
        self._choosing = threading.Lock()  # the parent's may be held by a thread that is not here
        self.sources.reset()
        self._become_another()

    def _become_another(self) -> None:
        self._store = None
        for follower in tuple(self._followers):
            follower.reset()


def _weakly(store: ProcessStore) -> Callable[[], None]:
    """What the system calls after a fork can never be taken back, so it must not keep the store."""
    reference = weakref.ref(store)

    def after_fork() -> None:
        held = reference()
        if held is not None:
            held._after_fork()  # noqa: SLF001 - ours

    return after_fork
