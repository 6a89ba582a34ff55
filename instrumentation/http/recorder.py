"""Decides in which series a request is counted."""

from __future__ import annotations

import logging
import sys
import threading
from itertools import islice
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from instrumentation import catalog
from instrumentation.errors import InstrumentationError
from instrumentation.http_methods import METHODS, OTHER_METHOD
from instrumentation.log_once import LogOnce

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable

    from instrumentation.catalog import Metric
    from instrumentation.store import Store
    from instrumentation.store.interface import Buffer

_log = logging.getLogger("instrumentation")

ABORTED = "response_aborted"
CLIENT_CLOSED_REQUEST = 499
SERVER_ERROR = 500


class Shard:
    """The series of one thread. Only this thread writes them, so writing needs no lock.

    Attributes:
        number: Which shard of the store.
        buffer: The store's buffer.
        active: Method to the slot of its active requests.
        active_by_route: Template to the slot of its active requests.
        durations: (method, template, status, error_type) and additional labels to the first slot of the histogram.
    """

    __slots__ = ("active", "active_by_route", "buffer", "durations", "number")

    def __init__(self, number: int, buffer: Buffer) -> None:
        self.number = number
        self.buffer = buffer
        self.active: dict[str, int] = {}
        self.active_by_route: dict[str, int] = {}
        self.durations: dict[tuple[Any, ...], int] = {}


_metrics: WeakKeyDictionary[Store, Metric] = WeakKeyDictionary()


def _check_labels(store: Store, metric: Metric) -> None:
    """Refuse apps of one store with different labels: Prometheus expects the same labels on a metric."""
    known = _metrics.setdefault(store, metric)
    if known is not metric:
        names = catalog.HTTP_SERVER_REQUEST_DURATION.labels
        more = [", ".join(each.labels[len(names) :]) or "no additional labels" for each in (metric, known)]
        raise InstrumentationError(
            f"http.labels: got {more[0]}, but another app of this process has {more[1]}; give them the same labels.",
            code="labels_differ",
        )


class HttpRecorder:
    """Knows the slots of the series in which requests are counted.

    Args:
        store: The store that counts.
        edges: Bucket edges of the duration in seconds.
        labels: Names of additional labels of the duration.
        expected: Returns every (method, template) that requests can have.
        starting: Called in the process that serves, once, before its first request.

    Raises:
        InstrumentationError: ``bucket_edges_differ``, ``labels_differ``.

    Attributes:
        edges: The bucket edges.
        metric: The duration, with the additional labels.
        shards: Thread ident to the shard that this thread alone writes.
    """

    def __init__(
        self,
        store: Store,
        edges: tuple[float, ...],
        *,
        labels: tuple[str, ...] = (),
        expected: Callable[[], Iterable[tuple[str, str]]] = tuple,
        starting: Callable[[], None] = lambda: None,
    ) -> None:
        self.metric = catalog.HTTP_SERVER_REQUEST_DURATION.extended(*labels)
        _check_labels(store, self.metric)
        store.declare(self.metric, edges)
        self._store = store
        self._expected = expected
        self._starting = starting
        self._lock = threading.Lock()
        self._is_primed = False
        self._log_once = LogOnce()
        self.edges = edges
        self.shards: dict[int, Shard] = {}
        store.follow(self)

    def prime(self) -> None:
        """Start the features, and create the series of a 500 at 0 for every expected route, up to half of the series limit.

        rate() does not see a burst of errors that comes with a new series.

        Raises:
            SettingsError: A feature cannot start, for example because a port cannot be opened.
        """
        if self._is_primed:
            return
        self._is_primed = True
        self._starting()
        try:
            for method, template in islice(self._expected(), self._store.series_limit // 2):
                labels = (METHODS.get(method, OTHER_METHOD), template, str(SERVER_ERROR), str(SERVER_ERROR))
                more = ("",) * (len(self.metric.labels) - len(labels))
                self._store.place(self.metric, (*labels, *more))
        except Exception:  # noqa: BLE001 - an unknown kind of router must not fail a request
            _log.exception("sidelight could not read the app's routes; they are counted once they are called")

    def reset(self) -> None:
        """Forget every slot, because the store has been replaced."""
        self._lock = threading.Lock()
        self._is_primed = False
        self.shards.clear()

    def shard(self, thread: int) -> Shard:
        """The shard of a thread; the shard of an ended thread is reused with its counts."""
        try:
            self.prime()
        except Exception:  # noqa: BLE001 - it must not fail a request
            _log.exception("sidelight could not start everything; requests are counted all the same")
        with self._lock:
            shard = self.shards.get(thread)
            if shard is None:
                shard = self._left_behind() or Shard(len(self.shards) + 1, self._store.buffer)
                self.shards[thread] = shard
            return shard

    def _left_behind(self) -> Shard | None:
        # The frames themselves, kept in one of them, would be garbage in a cycle, together with everything they refer to.
        alive = set(sys._current_frames())  # noqa: SLF001 - the one list of threads that knows those of C too
        gone = next((thread for thread in self.shards if thread not in alive), None)
        return None if gone is None else self.shards.pop(gone)

    def could_not_count(self, fault: Exception) -> None:
        """Log once that a request was not counted, because the next ones will probably fail too."""
        text = "sidelight could not count a request; the service continues, and later failures are not logged"
        self._log_once(text, level=logging.ERROR, error=fault)

    def active(self, shard: Shard, method: str) -> int:
        """The place of a method's active requests."""
        place = self._store.place(catalog.HTTP_SERVER_ACTIVE_REQUESTS, (method,), shard.number)
        shard.active[method] = place
        return place

    def active_of(self, shard: Shard, template: str, excluded: Container[str]) -> int | None:
        """The place of a route's active requests; None if the route is excluded."""
        if template in excluded:
            return None
        place = shard.active_by_route.get(template)
        if place is None:
            if len(shard.active_by_route) > 2 * self._store.series_limit:  # a router that invents templates
                shard.active_by_route.clear()
            place = self._store.place(catalog.HTTP_SERVER_ACTIVE_REQUESTS_BY_ROUTE, (template,), shard.number)
            shard.active_by_route[template] = place
        return place

    def duration(self, shard: Shard, key: tuple[Any, ...]) -> int:
        """The place of a duration's histogram, for (method, template, status, error_type) and additional labels."""
        if len(shard.durations) > 2 * self._store.series_limit:  # a router that invents templates
            shard.durations.clear()
        method, template, status, error_type, *more = key
        labels = (method, template, str(int(status)), error_type, *more)
        place = self._store.place(self.metric, labels, shard.number)
        shard.durations[key] = place
        return place
