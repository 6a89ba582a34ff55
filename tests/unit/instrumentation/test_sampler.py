"""Values are read by one thread, add up, and are counted once in a forked child."""

from __future__ import annotations

import time
from itertools import count
from typing import TYPE_CHECKING

from instrumentation import catalog
from instrumentation.sampler import Sampler
from instrumentation.store import LocalStore
from instrumentation.store.process_store import ProcessStore

if TYPE_CHECKING:
    import pytest

    from instrumentation.sampler import Values
    from instrumentation.store import Store

GAUGE = (catalog.DB_CLIENT_CONNECTION_MAX, ("shop",))
COUNTER = (catalog.DB_CLIENT_CONNECTION_TIMEOUTS, ("shop",))


def values(store: Store) -> dict[str, float]:
    return {one.metric.name: one.slots[0] for one in store.series() if one.metric.name.startswith("db_")}


def test_a_forked_child_begins_with_the_gauge_and_counts_only_what_is_new() -> None:
    store, current = ProcessStore(lambda: None), {GAUGE: 7.0, COUNTER: 3.0}
    store.turn(on=True)
    sampler = Sampler(store, seconds=3600)
    sampler.watch("pool", lambda: dict(current))
    assert values(store) == {"db_client_connection_max": 7, "db_client_connection_timeouts_total": 3}
    store._after_fork()
    current[COUNTER] = 5.0
    sampler.read()
    assert values(store) == {"db_client_connection_max": 7, "db_client_connection_timeouts_total": 2}


def test_a_counter_that_begins_again_adds_what_it_has_now() -> None:
    store, totals = LocalStore(100), iter((5.0, 2.0))
    sampler = Sampler(store, seconds=3600)
    sampler.watch("cache", lambda: {COUNTER: next(totals)})
    sampler.read()
    assert values(store) == {"db_client_connection_timeouts_total": 7}


def test_the_thread_reads_until_the_sampler_is_gone() -> None:
    store, reads = LocalStore(100), count()
    sampler = Sampler(store, seconds=0.001)
    sampler.watch("pool", lambda: {GAUGE: float(next(reads))})
    deadline = time.monotonic() + 10
    while values(store)["db_client_connection_max"] < 3:
        assert time.monotonic() < deadline


def test_one_that_fails_is_logged_once_and_the_others_are_read(caplog: pytest.LogCaptureFixture) -> None:
    def fails() -> Values:
        raise LookupError

    store = LocalStore(100)
    sampler = Sampler(store, seconds=3600)
    sampler.watch("connection pool shop", fails)
    sampler.watch("pool", lambda: {GAUGE: 7.0})
    sampler.read()
    assert values(store) == {"db_client_connection_max": 7}
    assert caplog.text.count("could not read the connection pool shop") == 1
