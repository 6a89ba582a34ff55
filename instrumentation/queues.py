"""Queues: the number of waiting items and the age of the oldest, read at each scrape."""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeAlias

from instrumentation import catalog
from instrumentation.errors import InstrumentationError
from instrumentation.names import checked_name
from instrumentation.store import default_store
from instrumentation.store.process_store import ProcessStore  # noqa: TC001 - for typing.get_type_hints
from instrumentation.store.scrape_callbacks import MOST_READINGS, Reading, reading

if TYPE_CHECKING:
    from instrumentation.catalog import Metric
    from instrumentation.store import Series

Number: TypeAlias = float | Decimal
Depth: TypeAlias = Callable[[], Number | Awaitable[Number]]
Age: TypeAlias = Callable[[], Number | Awaitable[Number | None] | None]

_log = logging.getLogger("instrumentation")


class Queue:
    """A queue whose depth is reported.

    Attributes:
        name: Its name.
    """

    def __init__(self, name: str, store: ProcessStore, readings: dict[tuple[str, str], Reading]) -> None:
        self.name = name
        self._store = store
        self._readings = readings

    def close(self) -> None:
        """Stop reporting it; a queue that has replaced it stays."""
        for key, one in self._readings.items():
            self._store.callbacks.ignore(key, one)


def queue(name: str, *, depth: Depth, oldest_age: Age | None = None, store: ProcessStore | None = None) -> Queue:
    """Report the depth of a queue at each scrape; a second call with the same name replaces the queue.

    A callback takes no arguments. It runs in its own thread; if it returns an awaitable, that is awaited on the app's event
    loop. All callbacks share the time limit ``metrics.read_timeout_seconds``. A callback that raises, takes longer or does
    not return a finite number of at least 0 yields no sample, and ``queue_read_failures_total`` counts it.

    Args:
        name: The queue's name; use few different names, because it becomes a label.
        depth: Returns the number of waiting items.
        oldest_age: Returns how long the oldest item has waited, in seconds; None if the queue is empty.
        store: The store that reports it; the process's own by default.

    Raises:
        InstrumentationError: ``queue_name_invalid``, ``queue_callback_invalid``.
    """
    checked_name("queue", name)
    readings = {("depth", name): _reading(name, "depth", depth, catalog.QUEUE_DEPTH, _items)}
    if oldest_age is not None:
        age = _reading(name, "oldest_age", oldest_age, catalog.QUEUE_OLDEST_AGE, _seconds)
        readings["oldest_age", name] = age
    store = store or default_store()
    store.callbacks.ignore(("oldest_age", name))  # of a previous queue with this name
    for key, one in readings.items():
        if not store.callbacks.watch(key, one):
            _log.warning("%s is not read: there are %d readings already", one.what, MOST_READINGS)
    return Queue(name, store, readings)


def _reading(name: str, argument: str, read: Any, metric: Metric, checked: Callable[[Any], float]) -> Reading:
    if not callable(read):
        raise InstrumentationError(
            f"queue {name!r}: {argument} got {read!r:.60}; give a function without arguments that returns a number.",
            code="queue_callback_invalid",
            details={"queue": name},
        )

    def series(value: Any) -> list[Series]:
        return [reading(metric, checked(value), (name,))]

    return Reading(
        what=f"{argument} of queue {name!r}", read=read, series=series, failures=(catalog.QUEUE_READ_FAILURES, (name,))
    )


def _seconds(value: Any) -> float:
    return 0.0 if value is None else _number(value, "seconds, or None if the queue is empty,")


def _items(value: Any) -> float:
    return _number(value, "the number of items")


def _number(value: Any, what: str) -> float:
    number = float(value) if isinstance(value, int | float | Decimal) and not isinstance(value, bool) else math.nan
    if not (math.isfinite(number) and number >= 0):
        raise ValueError(f"got {value!r:.60}; give {what} as a number of at least 0")
    return number
