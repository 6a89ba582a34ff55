"""A store keeps each series once, complete and bounded."""

from __future__ import annotations

import threading

import pytest

from instrumentation.catalog import HTTP_SERVER_REQUEST_DURATION, SIDELIGHT_SERIES, WORKFLOW_DURATION, WORKFLOWS_CREATED
from instrumentation.errors import InstrumentationError
from instrumentation.store import OVERFLOW, LocalStore, add, observe


def slots(store: LocalStore) -> dict[tuple[str, ...], tuple[float, ...]]:
    return {series.labels: series.slots for series in store.series()}


def test_a_series_is_found_again_at_its_place() -> None:
    store = LocalStore()
    places = [store.place(WORKFLOWS_CREATED, (name,)) for name in "abab"]
    assert places[:2] == places[2:]
    assert len(set(places)) == 2


def test_a_value_on_an_edge_counts_at_that_edge() -> None:
    store = LocalStore()
    for seconds in (0.1, 0.10001, 7200.0):
        observe(store, WORKFLOW_DURATION, ("a", "success"), seconds)
    (series,) = store.series()
    *counts, total = series.slots
    assert counts[series.edges.index(0.1)] == 1
    assert counts[series.edges.index(0.25)] == 1
    assert counts[-1] == 1
    assert total == pytest.approx(7200.20001)


def test_a_new_histogram_is_whole_and_zero() -> None:
    store = LocalStore()
    store.declare(HTTP_SERVER_REQUEST_DURATION, (0.5, 1.0))
    store.place(HTTP_SERVER_REQUEST_DURATION, ("GET", "/", "500", "500"))
    assert slots(store) == {("GET", "/", "500", "500"): (0.0, 0.0, 0.0, 0.0)}


def test_over_the_limit_new_series_are_folded_and_old_ones_continue() -> None:
    store = LocalStore(series_limit=2)
    for name in ("a", "b", "c", "d", "a"):
        add(store, WORKFLOWS_CREATED, (name,), 1.0)
    assert slots(store) == {("a",): (2.0,), ("b",): (1.0,), (OVERFLOW,): (2.0,)}
    assert store.folded == 2


def test_folding_keeps_the_labels_whose_values_are_few() -> None:
    store = LocalStore(series_limit=0)
    store.declare(HTTP_SERVER_REQUEST_DURATION, (1.0,))
    store.place(HTTP_SERVER_REQUEST_DURATION, ("GET", "/x", "500", "500"))
    assert list(slots(store)) == [("GET", OVERFLOW, "500", "500")]


def test_a_metric_that_folds_nothing_is_kept_over_the_limit() -> None:
    store = LocalStore(series_limit=0)
    add(store, SIDELIGHT_SERIES, (), 7.0)
    assert slots(store) == {(): (7.0,)}


def test_other_edges_for_the_same_metric_are_refused() -> None:
    store = LocalStore()
    store.declare(HTTP_SERVER_REQUEST_DURATION, (0.5,))
    store.declare(HTTP_SERVER_REQUEST_DURATION, (0.5,))
    with pytest.raises(InstrumentationError, match="use the same thresholds") as error:
        store.declare(HTTP_SERVER_REQUEST_DURATION, (0.7,))
    assert error.value.code == "bucket_edges_differ"


def test_no_count_is_lost_between_threads() -> None:
    store = LocalStore()

    def count() -> None:
        for _ in range(5_000):
            add(store, WORKFLOWS_CREATED, ("a",), 1.0)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert slots(store) == {("a",): (20_000.0,)}
