"""Counts queries: their duration by summary of the statement, slow ones, and those of one request."""

from __future__ import annotations

import logging
from bisect import bisect_left
from contextlib import nullcontext
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from instrumentation import catalog
from instrumentation.databases.callers import line_of_service
from instrumentation.databases.requests import current
from instrumentation.databases.summaries import MOST_READ, summary
from instrumentation.log_once import LogOnce
from instrumentation.sampler import sampler_of
from instrumentation.settings.databases import Databases
from instrumentation.store import add, observe

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from instrumentation.databases.interface import Address, Count
    from instrumentation.databases.requests import Tally
    from instrumentation.store import Store
    from instrumentation.store.interface import Buffer

_EDGES = catalog.DB_CLIENT_OPERATION_DURATION.buckets
_MOST_STATEMENTS = 2000  # statements with values in them must not fill the memory
_MOST_ERRORS = 50  # exception classes that are reported by name
_OTHER_ERROR = "_OTHER"


class DatabaseMetrics:
    """What the observed databases of a store have in common.

    Attributes:
        repeated: How often a request may run the same statement.
        slow: The duration from which on a query is slow, in seconds.
        sampler: Reads the connection pools.
        is_used: Whether any database is observed.
        is_late: Whether a library reports queries in a later turn of the event loop.
        store: Where to count.
        log_once: Logs what repeats with every query once.
    """

    __slots__ = ("__weakref__", "is_late", "is_used", "log_once", "repeated", "sampler", "slow", "store")

    def __init__(self, store: Store) -> None:
        self.sampler = sampler_of(store)
        self.is_used = self.is_late = False
        self.store = store
        self.log_once = LogOnce()
        self.settle(Databases())

    def settle(self, settings: Databases) -> None:
        """Use the settings."""
        self.repeated, self.slow = settings.repeated_queries, settings.slow_query_seconds

    def count(self, tally: Tally, method: str, route: str) -> None:
        """Count the queries of a request that has ended."""
        try:
            self._count(tally, method, route)
        except Exception as error:  # noqa: BLE001 - our errors must not affect the service
            could_not_count(self.log_once, error)

    def _count(self, tally: Tally, method: str, route: str) -> None:
        counts = list(tally.counts.values())
        if not counts:
            return
        limit = self.repeated
        observe(self.store, catalog.DB_CLIENT_QUERIES_PER_REQUEST, (route,), sum(counts))
        repeated = sum(count - limit for count in counts if count > limit)
        add(self.store, catalog.DB_CLIENT_REPEATED_QUERIES, (route,), repeated)  # also 0, so that rate() sees the first
        for statement, line in tally.lines.items():
            text = (
                "%s %s ran the query %r %d times in one request%s. Load the rows with one query. This is logged once."
            )
            told = summary(statement)
            where = f", at {line}" if line else ""
            about = (text, told, line, route)
            self.log_once(text, method, route, told, tally.counts[statement], where, about=about)


class Queries:
    """The queries of one database.

    Args:
        address: The database.
        metrics: What it has in common with others.
        is_tallied: Whether queries of the same request are compared. Commands of a cache are not.

    Attributes:
        count: Counts a query.
    """

    def __init__(self, address: Address, metrics: DatabaseMetrics, *, is_tallied: bool = True) -> None:
        self._labels = (address.system, address.namespace)
        self._metrics = metrics
        self._errors: set[str] = set()
        self._bound: tuple[dict[str, int], AbstractContextManager[object], Buffer] = ({}, nullcontext(), [])
        self.count = self._counting(is_tallied=is_tallied)
        metrics.store.follow(self)

    def reset(self) -> None:
        """Forget every place: the store has become another."""
        self._bound = ({}, nullcontext(), [])

    def _counting(self, *, is_tallied: bool) -> Count:
        """The function that counts a query. It is one closure, because each call within it costs as much as the counting."""
        metrics, tally_of = self._metrics, current.get
        first, edges, total = _EDGES[0], _EDGES, len(_EDGES) + 1

        def count(statement: str, seconds: float, error: BaseException | None = None) -> None:
            try:
                places, lock, buffer = self._bound  # replaced as a whole, so that a thread never uses parts of two
                place = places.get(statement)
                if place is None or error is not None:
                    place, lock, buffer = self._placed(statement, error)
                bucket = 0 if seconds <= first else bisect_left(edges, seconds)
                with lock:
                    buffer[place + bucket] += 1.0
                    buffer[place + total] += seconds
                if seconds >= metrics.slow:
                    self._slow(statement, seconds)
                if is_tallied and (tally := tally_of()) is not None:
                    counts = tally.counts
                    number = counts.get(statement)
                    if number is None:
                        tally.begin(statement)
                    else:
                        counts[statement] = number + 1
                        if number == metrics.repeated:
                            tally.repeat(statement)
            except Exception as fault:  # noqa: BLE001 - our errors must not affect the service
                could_not_count(metrics.log_once, fault)

        return count

    def _placed(
        self, statement: str, error: BaseException | None
    ) -> tuple[int, AbstractContextManager[object], Buffer]:
        store = self._metrics.store
        labels = (*self._labels, summary(statement), "" if error is None else self._named(error))
        self._metrics.sampler.begin()
        with store.lock:
            if not self._bound[2] or len(self._bound[0]) > _MOST_STATEMENTS:
                self._bound = ({}, store.lock, store.buffer)
            places, lock, buffer = self._bound
            place = store.place(catalog.DB_CLIENT_OPERATION_DURATION, labels)
            store.place(catalog.DB_CLIENT_SLOW_QUERIES, labels[:3])  # at 0, so that rate() sees the first
        if error is None and len(statement) <= MOST_READ:
            places[statement] = place
        return place, lock, buffer

    def _named(self, error: BaseException) -> str:
        name = type(error).__qualname__
        if len(self._errors) < _MOST_ERRORS:
            self._errors.add(name)
        return name if name in self._errors else _OTHER_ERROR

    def _slow(self, statement: str, seconds: float) -> None:
        told, line = summary(statement), line_of_service()
        add(self._metrics.store, catalog.DB_CLIENT_SLOW_QUERIES, (*self._labels, told), 1.0)
        text = "the query %r of %s took %.3f s%s. Slow queries of this line are logged once."
        where = f", at {line}" if line else ""
        self._metrics.log_once(
            text, told, "/".join(filter(None, self._labels)), seconds, where, about=(text, told, line)
        )


def could_not_count(log_once: LogOnce, error: Exception) -> None:
    """Log once that a query was not counted, because the next ones will probably fail too."""
    text = "sidelight could not count a query; the service is not affected, and further failures are not logged"
    log_once(text, level=logging.ERROR, error=error)


_of_stores: WeakKeyDictionary[Store, DatabaseMetrics] = WeakKeyDictionary()


def metrics_of(store: Store) -> DatabaseMetrics:
    """What the databases that are counted in a store have in common."""
    found = _of_stores.get(store)
    return _of_stores.setdefault(store, DatabaseMetrics(store)) if found is None else found
