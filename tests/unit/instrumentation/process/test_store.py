"""What a process counted before it learned where to count, and what its children count, is on its page once."""

from __future__ import annotations

from threading import Event
from typing import TYPE_CHECKING

from instrumentation.catalog import (
    LOG_EVENTS,
    PROCESS_CPU,
    SIDELIGHT_SERIES_FOLDED,
    WORKFLOW_DURATION,
    WORKFLOWS_CREATED,
)
from instrumentation.store import LocalStore, add, observe
from instrumentation.store.merge import together
from instrumentation.store.process_store import ProcessStore
from instrumentation.store.unread_counts import UnreadCounts

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_counts_move_to_a_folder_and_gauges_that_are_pinned_stay(tmp_path: Path) -> None:
    store = ProcessStore(lambda: None)
    add(store, WORKFLOWS_CREATED, ("a",), 3.0)
    observe(store, WORKFLOW_DURATION, ("a", "success"), 0.07)
    store.move(tmp_path)
    add(store, WORKFLOWS_CREATED, ("a",), 4.0)
    found = {(series.metric.name, series.labels): series for series in store.series()}
    assert found[WORKFLOWS_CREATED.name, ("a",)].slots == (7.0,)
    duration = found[WORKFLOW_DURATION.name, ("a", "success")]
    assert duration.slots[duration.edges.index(0.1)] == 1
    assert duration.slots[-1] == 0.07
    assert store.is_shared


def test_several_stores_are_one_series_each() -> None:
    one, other = LocalStore(), LocalStore()
    for store, amount in ((one, 3.0), (other, 4.0)):
        add(store, WORKFLOWS_CREATED, ("a",), amount)
        observe(store, WORKFLOW_DURATION, ("a", "success"), amount)
    sums = {series.metric.name: series for series in together({}, one.series(), other.series())}
    assert sums[WORKFLOWS_CREATED.name].slots == (7.0,)
    assert sums[WORKFLOW_DURATION.name].slots[-1] == 7.0
    assert sum(sums[WORKFLOW_DURATION.name].slots[:-1]) == 2


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def test_only_counts_of_workflows_and_of_a_team_need_a_reader() -> None:
    unread = UnreadCounts(lambda: True)
    assert not any(unread.counts(metric) for metric in (LOG_EVENTS, PROCESS_CPU, SIDELIGHT_SERIES_FOLDED))
    assert unread.counts(WORKFLOWS_CREATED)


def test_a_process_that_says_in_time_how_it_is_read_is_not_warned(caplog: pytest.LogCaptureFixture) -> None:
    is_read = Event()
    unread = UnreadCounts(is_read.is_set, seconds=0.05)
    assert unread.counts(WORKFLOWS_CREATED)
    is_read.set()
    unread.timer.join(7)  # type: ignore[union-attr]
    assert said(caplog) == []


def test_a_process_is_warned_once(caplog: pytest.LogCaptureFixture) -> None:
    unread = UnreadCounts(lambda: False, seconds=0.01)
    unread.counts(WORKFLOWS_CREATED)
    unread.timer.join(7)  # type: ignore[union-attr]
    (text,) = said(caplog)
    assert "workflows_created_total, and nobody can read it" in text
