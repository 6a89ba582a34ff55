"""Signals count exactly over workers, also when workers are killed and their files are merged."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING, Any

import pytest

from instrumentation import counter, gauge, job
from instrumentation.catalog import BY_NAME
from instrumentation.settings import parse_settings
from instrumentation.store import add, series_index
from instrumentation.store.process_store import ProcessStore
from instrumentation.store.shared_store import SharedStore
from instrumentation.store.table import Key

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SETTINGS = parse_settings(
    {
        "signals": [
            {"name": "orders_placed", "kind": "counter", "labels": {"channel": ["web", "app"]}},
            {"name": "pool_size", "kind": "gauge", "combine": "min"},
            {"name": "cache_bytes", "kind": "gauge", "combine": "max"},
            {"name": "nightly_import", "kind": "job"},
        ]
    }
)
ORDERS, POOL, CACHE, RUNS, _, STARTED, SUCCEEDED = (
    metric for signal in SETTINGS.signals for metric in signal.metrics
)  # fmt: skip


class Pair:
    """Two workers of one server."""

    def __init__(self, folder: Path) -> None:
        self.alive = {"1-0", "2-0"}
        self.first, self.second = (
            SharedStore(folder, name=name, is_alive=self.alive.__contains__, usage=lambda _: None)
            for name in sorted(self.alive)
        )

    def kill_second(self) -> None:
        self.alive.remove("2-0")


def read(store: Any, name: str) -> dict[tuple[str, ...], float]:
    return {row.labels: row.slots[-1] for row in store.series() if row.metric.name == name}


@pytest.mark.parametrize(
    ("metric", "values", "together", "after"),
    [(ORDERS, (3, 4), 7, 7), (POOL, (5, 3), 3, 5), (CACHE, (5, 7), 7, 5), (SUCCEEDED, (100, 700), 700, 700)],
    ids=lambda value: getattr(value, "name", None),
)
def test_workers_combine_as_declared_and_what_happened_outlives_them(
    metric: Any, values: tuple[int, int], together: int, after: int, tmp_path: Path
) -> None:
    pair = Pair(tmp_path)
    labels = ("web",) if metric.labels else ()
    for store, value in zip((pair.first, pair.second), values, strict=True):
        add(store, metric, labels, value)
    assert read(pair.first, metric.name) == read(pair.second, metric.name) == {labels: together}
    pair.kill_second()
    assert read(pair.first, metric.name) == {labels: after}
    assert read(pair.first, metric.name) == {labels: after}


def test_killed_processes_lose_nothing(tmp_path: Path) -> None:
    def child(work: Callable[[], object]) -> None:
        pid = os.fork()
        if pid == 0:
            work()
            os.kill(os.getpid(), signal.SIGKILL)
        assert os.waitpid(pid, 0)[1] == signal.SIGKILL

    store = ProcessStore(folder=lambda: tmp_path)
    orders, pool, nightly = (
        counter("orders_placed", settings=SETTINGS, store=store),
        gauge("pool_size", settings=SETTINGS, store=store),
        job("nightly_import", settings=SETTINGS, store=store),
    )
    for _ in range(3):
        child(lambda: [orders.add(channel="web") for _ in range(1000)])
    child(nightly(lambda: None))
    child(lambda: pool.set(7))
    child(nightly.run().__enter__)
    assert read(store, ORDERS.name) == {("web",): 3000}
    assert read(store, RUNS.name) == {("success",): 1, ("failure",): 0, ("cancelled",): 0}
    assert read(store, SUCCEEDED.name)[()] > 0
    assert read(store, STARTED.name)[()] >= read(store, SUCCEEDED.name)[()]
    assert read(store, POOL.name) == {}


def test_a_line_holds_the_declaration_so_that_workers_without_it_can_sum() -> None:
    line = series_index.line(Key.of(ORDERS, ("web",)))
    assert ORDERS.name not in BY_NAME
    [(key, _)] = series_index.read(line, 0, 7).rows
    assert (key.metric.help, key.metric.labels, key.labels) == ("Orders placed.", ("channel",), ("web",))


@pytest.mark.parametrize("more", [{}, {"kind": "meter"}, {"combine": "mean"}, {"colour": "red"}, ["a"], 7])
def test_a_declaration_of_another_version_is_passed_over_without_its_neighbours(more: object) -> None:
    known = series_index.line(Key.of(ORDERS, ("web",)))
    name, labels, edges, width, definition = json.loads(known)
    changed = {**definition, **more} if isinstance(more, dict) and more else more
    other = json.dumps([name, labels, edges, width, changed or {"kind": "counter"}]).encode() + b"\n"
    found = series_index.read(other + known, 0, 7)
    assert [key.labels for key, _ in found.rows] == [("web",)]
    assert found.size == len(other + known)
