"""Counts requests that uvicorn refuses because of ``--limit-concurrency``; they never reach the app."""

from __future__ import annotations

import logging
import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from instrumentation.catalog import Metric
    from instrumentation.store import Store

_LOGGER = "uvicorn.error"
_MESSAGE = "Exceeded concurrency limit."  # uvicorn logs it once for each request that it refuses
_LABELS = ("_OTHER", "", "503", "503")

_log = logging.getLogger("instrumentation")
_counted: weakref.WeakSet[Store] = weakref.WeakSet()


def count_refused_requests(store: Store, metric: Metric) -> None:
    """Count each refused request as a 503 without a route, once however many apps use the store.

    uvicorn does not call the app, so its log record is the only sign. Below the log level ``warning`` there is none.

    Args:
        store: A store in which the bucket edges of the request duration are declared.
        metric: The request duration, with its additional labels.
    """
    if store not in _counted:
        _counted.add(store)
        counter, logger = _Counter(store, metric), logging.getLogger(_LOGGER)
        logger.addFilter(counter)
        weakref.finalize(store, logger.removeFilter, counter)


class _Counter(logging.Filter):
    """Counts the records of refused requests, and lets every record pass."""

    def __init__(self, store: Store, metric: Metric) -> None:
        super().__init__()
        self._metric = metric
        self._labels = (*_LABELS, *[""] * (len(metric.labels) - len(_LABELS)))
        self._store = weakref.ref(store)
        self._has_failed = False

    def filter(self, record: logging.LogRecord) -> bool:
        store = self._store()
        if record.msg == _MESSAGE and store is not None:
            try:
                with store.lock:
                    store.buffer[store.place(self._metric, self._labels)] += 1.0  # in 0 seconds
            except Exception:  # noqa: BLE001 - a fault in Sidelight must not affect the service
                if not self._has_failed:
                    self._has_failed = True
                    _log.exception(
                        "sidelight could not count a request that uvicorn refused; later faults are not logged"
                    )
        return True
