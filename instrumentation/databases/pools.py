"""The state of connection pools, read once a second, because most libraries report no change of it."""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from typing import TYPE_CHECKING

from instrumentation import catalog
from instrumentation.log_once import LogOnce

if TYPE_CHECKING:
    from collections.abc import Callable

    from instrumentation.catalog import Metric
    from instrumentation.databases.interface import PoolState
    from instrumentation.store import Store

SECONDS = 1.0
"""Seconds between two readings."""

Values = dict[tuple["Metric", tuple[str, ...]], float]


class _Watched:
    """A pool, and what it has contributed to the series of its name."""

    def __init__(self, name: str, read: Callable[[], PoolState | None]) -> None:
        self.name = name
        self.read = read
        self.shown: Values = {}


class Pools:
    """Reads pools in a thread of its own. Each worker counts its own connections, and readers see the sum.

    Args:
        store: Where to count.
        seconds: Seconds between two readings.
    """

    def __init__(self, store: Store, seconds: float = SECONDS) -> None:
        self._store = weakref.ref(store)
        self._seconds = seconds
        self._watched: list[_Watched] = []
        self._pid = 0
        self._log_once = LogOnce()
        store.follow(self)

    def watch(self, name: str, read: Callable[[], PoolState | None]) -> None:
        """Read a pool from now on; several pools may have the same name."""
        self._watched.append(_Watched(name, read))
        self.read()

    def begin(self) -> None:
        """Start the thread, unless it runs in this process already: a forked child does not inherit it."""
        if self._pid == os.getpid() or not self._watched:
            return
        self._pid = os.getpid()
        thread = threading.Thread(
            target=_run, args=(weakref.ref(self), self._seconds), name="sidelight-pools", daemon=True
        )
        try:
            thread.start()
        except RuntimeError as error:  # no more threads, or the process is ending
            self._log_once("sidelight cannot read the connection pools: %s", error)

    def reset(self) -> None:
        """The store has become another, to which the pools have contributed nothing; a forked child counts only new timeouts."""
        for one in self._watched:
            one.shown = {series: value for series, value in one.shown.items() if series[0] in _COUNTED}

    def read(self) -> None:
        """Read every pool."""
        store = self._store()
        if store is None:
            return
        for one in tuple(self._watched):
            try:
                state = one.read()
                self._show(store, one, _values(one.name, state))
                if state is None:
                    self._watched.remove(one)
            except Exception as error:  # noqa: BLE001 - the other pools are read after any error of one
                text = "sidelight could not read the connection pool %s; further failures are not logged"
                self._log_once(text, one.name, level=logging.ERROR, error=error)

    def _show(self, store: Store, one: _Watched, values: Values) -> None:
        """Add what has changed, so that pools of the same name add up."""
        with store.lock:
            for series in {**one.shown, **values}:
                change = values.get(series, 0.0) - one.shown.get(series, 0.0)
                store.buffer[store.place(*series)] += max(change, 0.0) if series[0] in _COUNTED else change
            one.shown = values


_COUNTED = (catalog.DB_CLIENT_CONNECTION_TIMEOUTS,)


def _values(name: str, state: PoolState | None) -> Values:
    if state is None:
        return {}
    values: Values = {
        (catalog.DB_CLIENT_CONNECTION_COUNT, (name, "used")): state.used,
        (catalog.DB_CLIENT_CONNECTION_COUNT, (name, "idle")): state.idle,
        (catalog.DB_CLIENT_CONNECTION_PENDING_REQUESTS, (name,)): state.waiting,
        (catalog.DB_CLIENT_CONNECTION_TIMEOUTS, (name,)): state.timeouts,
    }
    if state.most is not None:
        values[catalog.DB_CLIENT_CONNECTION_MAX, (name,)] = state.most
    return values


def _run(reference: weakref.ref[Pools], seconds: float) -> None:
    while (pools := reference()) is not None:
        pools.read()
        del pools
        time.sleep(seconds)
