"""Gauges: values that go up and down, set by the code or read at each scrape."""

from __future__ import annotations

from math import isnan
from typing import TYPE_CHECKING, Any

from instrumentation.catalog import SIGNAL_READ_FAILURES
from instrumentation.errors import InstrumentationError
from instrumentation.signals.handle import Handle
from instrumentation.signals.numbers import number
from instrumentation.store.scrape_callbacks import MOST_READINGS, Reading, reading

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from instrumentation.store import Series


class Gauge(Handle):
    """A gauge of the team's own; see ``instrumentation.gauge``.

    Several workers set values of their own; ``combine`` in the declaration says how these become one. A worker that ends takes
    its values along. Without a value there is no series.
    """

    __slots__ = ()

    def set(self, value: float, /, **labels: Any) -> None:
        """Set the value of this worker.

        Args:
            value: A finite number; anything else is logged once and ignored.
            labels: The value of each declared label.
        """
        self._change(value, labels, keep=False)

    def add(self, amount: float = 1.0, /, **labels: Any) -> None:
        """Add to the value of this worker, which starts at 0.

        Args:
            amount: A finite number, below 0 to subtract; anything else is logged once and ignored.
            labels: The value of each declared label.
        """
        self._change(amount, labels, keep=True)

    def read(self, callback: Callable[[], float | Awaitable[float]], /, **labels: Any) -> None:
        """Read the value at each scrape, once for all workers; a second callback with the same labels replaces the first.

        The callback runs in a thread of its own; an awaitable is awaited on the app's event loop. All callbacks share the
        time limit ``metrics.read_timeout_seconds``. One that raises, takes longer or returns no finite number yields no
        sample, and ``signal_read_failures_total`` counts it.

        Args:
            callback: Returns the value.
            labels: The value of each declared label.

        Raises:
            InstrumentationError: ``signal_callback_invalid``.
        """
        if not callable(callback):
            raise InstrumentationError(
                f"gauge {self.name!r}: read got {callback!r:.60}; give a function without arguments that returns a number.",
                code="signal_callback_invalid",
                details={"signal": self.name},
            )

        def series(value: Any) -> list[Series]:
            metric, given = self._metric(), number(value)
            if isnan(given):
                raise ValueError(f"got {value!r:.60}; give a finite number")
            return [reading(metric, given, self._values(self.signal, labels))] if metric and self.signal else []

        what = f"gauge {self.name!r}"
        one = Reading(what=what, read=callback, series=series, failures=(SIGNAL_READ_FAILURES, (self.name,)))
        if not self._store.callbacks.watch(("signal", self.name, *sorted(labels.items())), one):
            self.say(f"is not read, because there are {MOST_READINGS} readings already.")

    def _change(self, value: Any, labels: dict[str, Any], *, keep: bool) -> None:
        given = number(value)
        if isnan(given):
            self.say(f"got {value!r:.60}; give a finite number. It is ignored.", "value")
            return
        places, lock, buffer = self._bound
        try:
            place = places[tuple(labels.items())]
        except (KeyError, TypeError):
            found = self._placed(labels)
            if found is None:
                return
            (_, lock, buffer), place = found
        with lock:
            buffer[place] = buffer[place] + given if keep else given
