"""Values that are read once a second, because nothing reports their changes: connection pools and caches."""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from typing import TYPE_CHECKING

from instrumentation.catalog import Kind
from instrumentation.log_once import LogOnce

if TYPE_CHECKING:
    from collections.abc import Callable

    from instrumentation.catalog import Metric
    from instrumentation.store import Store

SECONDS = 1.0
"""Seconds between two readings."""

Values = dict[tuple["Metric", tuple[str, ...]], float]
"""Row and labels to the value of a gauge, or to the total of a counter."""


class _Sampled:
    """An object, and what it has contributed to its series."""

    def __init__(self, what: str, read: Callable[[], Values | None]) -> None:
        self.what = what
        self.read = read
        self.shown: Values = {}


class Sampler:
    """Reads values in a thread of its own. Each worker adds its own, and readers see the sum.

    Args:
        store: Where to count.
        seconds: Seconds between two readings.
    """

    def __init__(self, store: Store, seconds: float = SECONDS) -> None:
        self._store = weakref.ref(store)
        self._seconds = seconds
        self._sampled: list[_Sampled] = []
        self._pid = 0
        self._log_once = LogOnce()
        store.follow(self)

    def watch(self, what: str, read: Callable[[], Values | None]) -> None:
        """Read values from now on, until there are none; values of the same series add up.

        Args:
            what: What is read, for the log.
            read: Returns the values quickly; None if the object no longer exists.
        """
        self._sampled.append(_Sampled(what, read))
        self.read()
        self.begin()

    def begin(self) -> None:
        """Start the thread, unless it runs in this process already: a forked child does not inherit it."""
        if self._pid == os.getpid() or not self._sampled:
            return
        self._pid = os.getpid()
        thread = threading.Thread(
            target=_run, args=(weakref.ref(self), self._seconds), name="sidelight-sampler", daemon=True
        )
        try:
            thread.start()
        except RuntimeError as error:  # no more threads, or the process is ending
            self._log_once("sidelight cannot read connection pools and caches: %s", error)

    def reset(self) -> None:
        """The store has become another, without our gauges; a forked child counts only what happens in it."""
        for one in self._sampled:
            one.shown = {series: value for series, value in one.shown.items() if series[0].kind is Kind.COUNTER}

    def read(self) -> None:
        """Read everything."""
        store = self._store()
        if store is None:
            return
        for one in tuple(self._sampled):
            try:
                values = one.read()
                self._show(store, one, values or {})
                if values is None:
                    self._sampled.remove(one)
            except Exception as error:  # noqa: BLE001 - the others are read after any error of one
                text = "sidelight could not read the %s; further failures are not logged"
                self._log_once(text, one.what, level=logging.ERROR, error=error)

    def _show(self, store: Store, one: _Sampled, values: Values) -> None:
        """Add what has changed. A counter that fell has begun again."""
        with store.lock:
            for series in {**one.shown, **values}:
                value, before = values.get(series, 0.0), one.shown.get(series, 0.0)
                is_again = series[0].kind is Kind.COUNTER and value < before
                store.buffer[store.place(*series)] += value if is_again else value - before
            one.shown = values


def _run(reference: weakref.ref[Sampler], seconds: float) -> None:
    while (sampler := reference()) is not None:
        sampler.read()
        del sampler
        time.sleep(seconds)


_of_stores: weakref.WeakKeyDictionary[Store, Sampler] = weakref.WeakKeyDictionary()


def sampler_of(store: Store) -> Sampler:
    """The sampler of a store."""
    found = _of_stores.get(store)
    return _of_stores.setdefault(store, Sampler(store)) if found is None else found
