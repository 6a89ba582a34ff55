"""Queues: how many items wait, and since when; asked for when the page is made."""

from __future__ import annotations

import logging
import math
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeAlias

from instrumentation import catalog
from instrumentation.errors import InstrumentationError
from instrumentation.names import checked_name
from instrumentation.store import default_store
from instrumentation.store.scrape_callbacks import MOST_READINGS, Reading, reading

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from instrumentation.catalog import Metric
    from instrumentation.store import Series
    from instrumentation.store.process_store import ProcessStore

    Number: TypeAlias = float | Decimal
    Depth: TypeAlias = Callable[[], Number | Awaitable[Number]]
    Age: TypeAlias = Callable[[], Number | Awaitable[Number | None] | None]

_log = logging.getLogger("instrumentation")


class Queue:
    """A queue that is watched.

    Attributes:
        name: Its name.
    """

    def __init__(self, name: str, store: ProcessStore, readings: dict[tuple[str, str], Reading]) -> None:
        self.name = name
        self._store = store
        self._readings = readings

    def close(self) -> None:
        """Watch it no longer; another that has taken its name stays."""
        for key, one in self._readings.items():
            self._store.sources.ignore(key, one)


def queue(name: str, *, depth: Depth, oldest_age: Age | None = None, store: ProcessStore | None = None) -> Queue:
    """Show how long a queue is, whenever the metrics are read; the same name again replaces the former.

    A callback takes nothing. It runs in a thread of its own, and what it gives is awaited on the app's event loop where
    it is awaitable. All callbacks share the time limit ``metrics.read_timeout_seconds``. One that raises, takes longer
    or gives no finite number of at least 0 yields no sample; ``queue_read_failures_total`` counts it.

    Args:
        name: The queue's name, one of few: it becomes a label.
        depth: Gives how many items wait.
        oldest_age: Gives for how many seconds the oldest item has waited; None: the queue is empty.
        store: Where to show it; the process's own store by default.

    Raises:
        InstrumentationError: ``queue_name_invalid``, ``queue_callback_invalid``.
    """
    checked_name("queue", name)
    readings = {("depth", name): _reading(name, "depth", depth, catalog.QUEUE_DEPTH, _items)}
    if oldest_age is not None:
        age = _reading(name, "oldest_age", oldest_age, catalog.QUEUE_OLDEST_AGE, _seconds)
        readings["oldest_age", name] = age
    store = store or default_store()
    store.sources.ignore(("oldest_age", name))  # of a former queue of this name
    for key, one in readings.items():
        if not store.sources.watch(key, one):
            _log.warning("%s is not read: there are %d readings already", one.what, MOST_READINGS)
    return Queue(name, store, readings)


def _reading(name: str, argument: str, read: Any, metric: Metric, checked: Callable[[Any], float]) -> Reading:
    if not callable(read):
        raise InstrumentationError(
            f"queue {name!r}: {argument} got {read!r:.60}; give a function that takes nothing and gives a number.",
            code="queue_callback_invalid",
            details={"queue": name},
        )

    def series(value: Any) -> list[Series]:
        return [reading(metric, checked(value), (name,))]

    return Reading(
        what=f"{argument} of queue {name!r}", read=read, series=series, failures=(catalog.QUEUE_READ_FAILURES, (name,))
    )


def _seconds(value: Any) -> float:
    return 0.0 if value is None else _number(value, "seconds, or None where the queue is empty,")


def _items(value: Any) -> float:
    return _number(value, "how many items wait")


def _number(value: Any, what: str) -> float:
    number = float(value) if isinstance(value, int | float | Decimal) and not isinstance(value, bool) else math.nan
    if not (math.isfinite(number) and number >= 0):
        raise ValueError(f"got {value!r:.60}; give {what} as a number of at least 0")
    return number
