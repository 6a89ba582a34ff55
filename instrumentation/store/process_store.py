"""The process's own store: in shared memory for one of several workers, and created again after a fork.

A process that counts in its own memory also reads what its children have counted, if it is read itself.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING

from instrumentation.catalog import SIDELIGHT_SERIES_FOLDED, SIDELIGHT_STORE_DEGRADED, Kind
from instrumentation.store.file_watchdog import look_after
from instrumentation.store.interface import Series, State
from instrumentation.store.local_store import LocalStore
from instrumentation.store.merge import together
from instrumentation.store.null_store import NullStore
from instrumentation.store.process_metrics import process_values, usage
from instrumentation.store.reporter import Reporter
from instrumentation.store.scrape_callbacks import ScrapeCallbacks
from instrumentation.store.shared_store import SharedStore
from instrumentation.store.unread_counts import UnreadCounts
from instrumentation.store.worker_files import has_any
from instrumentation.store.worker_group import (
    DIRECTORY_VARIABLE,
    family_folder,
    group_name,
    is_being_spawned,
    is_read,
    open_to_children,
)
from instrumentation.switch import is_disabled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from instrumentation.catalog import Metric
    from instrumentation.store.interface import Buffer, Resettable
    from instrumentation.store.scrape_callbacks import ScrapeCallback

_log = logging.getLogger("instrumentation")


class ProcessStore:
    """A store chosen on first use, and again in a forked child; see ``Store`` for the interface.

    A child must not write where its parent does: the counts that it inherits are its parent's.

    Args:
        folder: Returns the folder that the workers share; None if this process is not a worker.
        warns: Whether to log once that nobody can read what this process counts.

    Attributes:
        callbacks: The scrape callbacks, which are called whenever the series are read.
        is_read: Whether somebody reads what this process counts.
    """

    def __init__(self, folder: Callable[[], Path | None] = family_folder, *, warns: bool = False) -> None:
        self.callbacks = ScrapeCallbacks(self)
        self._folder = folder
        self._limit = 2000
        self._declared: dict[str, tuple[Metric, tuple[float, ...]]] = {}
        self._pinned: dict[tuple[str, tuple[str, ...]], tuple[Metric, float]] = {}
        self._followers: weakref.WeakSet[Resettable] = weakref.WeakSet()
        self._choosing = threading.Lock()
        self._is_off = self._is_wanted = self._is_provisional = False
        self._store: LocalStore | SharedStore | None = None
        self._reporter: Reporter | None = None
        self._children_folder: Path | None = None
        self._children: SharedStore | None = None
        self._inherited: Path | None = None
        self._moved: Path | None = None
        self.is_read = False
        self._unread_counts = UnreadCounts(lambda: self.is_read or self.is_off) if warns else None
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=_weakly(self))

    @property
    def inner(self) -> LocalStore | SharedStore:
        """The store in use."""
        if self._is_provisional and not is_being_spawned():
            self._is_provisional = False
            self._become_another()
        if self._store is None:
            with self._choosing:
                self._store = self._store or self._chosen()
        return self._store

    @property
    def is_shared(self) -> bool:
        """Whether this process is one worker of a worker group."""
        return isinstance(self.inner, SharedStore)

    @property
    def is_inherited(self) -> bool:
        """Whether this process was forked from one into whose numbers it counts."""
        return self._inherited is not None

    @property
    def is_degraded(self) -> bool:
        """Whether this process is one of several workers, but cannot count with the others."""
        return not self.is_shared and self._reporter is not None

    @property
    def is_off(self) -> bool:
        """Whether the store counts nothing."""
        return isinstance(self.inner, NullStore)

    def turn(self, *, on: bool, is_read: bool = False) -> None:
        """Turn counting on or off, in this process and its children; once on, it stays on.

        Args:
            on: Whether to count.
            is_read: Whether somebody reads what this process counts from now on.
        """
        self.is_read = self.is_read or is_read
        self._is_wanted = self._is_wanted or on
        is_off = not self._is_wanted
        if is_off != self._is_off:
            self._is_off = is_off
            self._become_another()

    def open_to_children(self) -> None:
        """Let processes that this one starts, by fork or with multiprocessing, count where this one is read."""
        inner = self.inner
        if not self.is_off and self._folder is family_folder:
            with suppress(OSError):  # children say that they cannot count together
                folder = inner.folder if isinstance(inner, SharedStore) else None
                self._children_folder = open_to_children(folder, is_read=True)

    def move(self, folder: Path) -> None:
        """Count in a folder from now on, together with what was counted there before and by others.

        Call it before other threads count: events that they count meanwhile may be lost.
        """
        before = [*self._store.series()] if self._store is not None else []
        self._moved = folder
        self._become_another()
        for series in before:
            if series.metric.kind is not Kind.GAUGE:
                with self.lock:
                    place = self.place(series.metric, series.labels)
                    for index, amount in enumerate(series.slots):
                        self.buffer[place + index] += amount

    @property
    def buffer(self) -> Buffer:
        """The slots of all series."""
        return self.inner.buffer

    @property
    def lock(self) -> AbstractContextManager[object]:
        """The lock to hold while creating slots and while adding to slots of shard 0."""
        return self.inner.lock

    @property
    def folded(self) -> int:
        """The number of new series that were folded into an overflow series."""
        return self.inner.folded

    @property
    def state(self) -> State:
        """The usage when the series were last read."""
        own = self.inner.state
        if self._children is None or isinstance(self.inner, SharedStore):
            return own
        others = self._children.state
        return State(held=max(own.held, others.held), workers=others.workers, size=own.size + others.size)

    @property
    def series_limit(self) -> int:
        """The maximum number of series before new ones are folded."""
        return self._limit

    @series_limit.setter
    def series_limit(self, limit: int) -> None:
        self._limit = limit
        if self._store is not None:
            self._store.series_limit = limit

    def follow(self, follower: Resettable) -> None:
        """Notify an object, held by a weak reference, when the store is replaced."""
        self._followers.add(follower)

    def declare(self, metric: Metric, edges: tuple[float, ...]) -> None:
        """Set the bucket edges of a histogram; see ``Store``."""
        self.inner.declare(metric, edges)
        self._declared[metric.name] = (metric, edges)

    def place(self, metric: Metric, labels: tuple[str, ...], shard: int = 0) -> int:
        """The index in ``buffer`` of a series' first slot; see ``Store``."""
        store = self.inner
        if self._unread_counts is not None and self._unread_counts.counts(metric):
            self._unread_counts = None
        return store.place(metric, labels, shard)

    def pin(self, metric: Metric, labels: tuple[str, ...], value: float) -> None:
        """Set a gauge for the lifetime of the process and in every child."""
        self._pinned[metric.name, labels] = (metric, value)
        self.inner.pin(metric, labels, value)

    def attach(self, callback: ScrapeCallback) -> None:
        """Include the series of a scrape callback, which is called each time."""
        self.callbacks.attach(callback)

    def series(self) -> Iterator[Series]:
        """All series, summed over threads and workers, with process metrics and the series of scrape callbacks.

        If the workers cannot share files, one of them yields its own series, and the others only that the store is degraded.
        """
        if self.is_off:
            return
        is_degraded = self.is_degraded
        yield Series(SIDELIGHT_STORE_DEGRADED, (), (), (float(is_degraded),), 0.0)
        if is_degraded and self._reporter and not self._reporter.reports():
            return  # another worker reports its own series; two that alternate would look like restarts
        self.is_read = True
        read = self.callbacks.collect()  # first, so that their own counts are included
        children = self._counting_children()
        if children is None:
            yield from self.inner.series()
        else:
            folded = Series(SIDELIGHT_SERIES_FOLDED, (), (), (float(self.folded),), time.time())
            yield from together(self._declared_edges(), self.inner.series(), [folded], children.series())
        yield from read
        if children is None and isinstance(self.inner, LocalStore) and (used := usage(os.getpid())):
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
        if is_being_spawned():
            self._is_provisional = True
            return LocalStore(self._limit)
        try:
            folder = self._inherited or self._moved or self._folder()
            if folder is not None:
                is_chosen = self._inherited is not None or bool(os.environ.get(DIRECTORY_VARIABLE))
                self.is_read = self.is_read or is_chosen or is_read(folder)
                store = SharedStore(folder, series_limit=self._limit)
                look_after(store)
                if self._folder is family_folder:
                    self._children_folder = open_to_children(folder, is_read=self.is_read)
                return store
        except OSError as error:
            self._reporter = Reporter(group_name())
            _log.warning(
                "the workers of this server cannot count together: %s: %s. Only one of them reports, and only its own "
                "requests; make room there, or set another folder in %s",
                error.filename,
                error.strerror,
                DIRECTORY_VARIABLE,
            )
        return LocalStore(self._limit)

    def _declared_edges(self) -> dict[str, tuple[float, ...]]:
        return {name: edges for name, (_, edges) in self._declared.items()}

    def _counting_children(self) -> SharedStore | None:
        """The store of the children of a process that counts in its own memory; None if no child has counted yet."""
        folder = self._children_folder
        if self._children is None and folder is not None and not self.is_shared and has_any(folder):
            try:
                self._children = SharedStore(folder, series_limit=self._limit)
            except OSError as error:
                _log.warning("the counts of child processes cannot be read: %s: %s", error.filename, error.strerror)
                self._children_folder = None
            else:
                look_after(self._children)
        return self._children

    def _after_fork(self) -> None:
        self._inherited = self._inherited or self._children_folder
        self._children_folder = self._children = None
        self._choosing = threading.Lock()  # the parent's may be held by a thread that does not exist in the child
        self.callbacks.reset()
        if self._reporter is not None:
            self._reporter.close()
            self._reporter = None
        self._become_another()

    def _become_another(self) -> None:
        self._store = None
        for follower in tuple(self._followers):
            follower.reset()


def _weakly(store: ProcessStore) -> Callable[[], None]:
    """Functions registered to run after a fork cannot be unregistered, so they must not keep the store alive."""
    reference = weakref.ref(store)

    def after_fork() -> None:
        held = reference()
        if held is not None:
            held._after_fork()  # noqa: SLF001 - ours

    return after_fork
