"""Tasks are recorded once, and observing one never makes it fail."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import context

from instrumentation import correlation_id, instrument_tasks
from instrumentation.catalog import (
    RETRIES,
    WORKFLOW_DURATION,
    WORKFLOW_EXECUTIONS,
    WORKFLOW_WAIT,
    WORKFLOWS_CREATED,
    Metric,
)
from instrumentation.correlation import _current
from instrumentation.errors import InstrumentationError
from instrumentation.store import LocalStore
from instrumentation.tasks import ADAPTERS
from instrumentation.tasks.executions import Tasks

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[4]


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def own_context() -> Iterator[None]:
    """Give back the ids of before: a task that is not ended leaves its own."""
    ids, spans = _current.set(""), context.attach(context.get_current())
    yield
    context.detach(spans)
    _current.reset(ids)


@pytest.fixture
def store() -> LocalStore:
    return LocalStore()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tasks(store: LocalStore, clock: Clock) -> Tasks:
    return Tasks(store, clock=clock)


def counts(store: LocalStore, metric: Metric) -> dict[tuple[str, ...], tuple[float, ...]]:
    return {series.labels: series.slots for series in store.series() if series.metric.name == metric.name}


def test_a_task_takes_the_correlation_id_along_and_gives_back_the_one_of_before(tasks: Tasks) -> None:
    _current.set("request-7")
    sent = tasks.created("mail")
    _current.set("outer")
    tasks.started("mail", "id-3", sent)
    assert correlation_id() == "request-7"
    tasks.ended("mail", "id-3", "success")
    assert correlation_id() == "outer"
    _current.set("")


@pytest.mark.parametrize("sent", [{}, {"correlation_id": ""}, {"correlation_id": 'forged"\n'}, {"correlation_id": 7}])
def test_a_task_without_a_usable_id_has_its_own(tasks: Tasks, sent: dict[str, Any]) -> None:
    tasks.started("mail", "id-3", sent)
    assert correlation_id() == "id-3"
    tasks.ended("mail", "id-3", "success")


def test_a_task_that_its_caller_runs_at_once_keeps_the_id_of_the_caller(tasks: Tasks) -> None:
    _current.set("request-7")
    tasks.started("mail", "id-3", {})
    assert correlation_id() == "request-7"
    tasks.ended("mail", "id-3", "success")
    _current.set("")


def test_a_task_waits_from_its_creation_or_from_when_it_is_due(tasks: Tasks, store: LocalStore, clock: Clock) -> None:
    sent = tasks.created("mail")
    clock.now += 7
    tasks.started("mail", "a", sent)
    tasks.started("mail", "b", sent, due=1004.0)
    tasks.started("mail", "c", sent, due=2000.0)  # the clock of another machine
    tasks.started("mail", "d", {})
    *buckets, total = counts(store, WORKFLOW_WAIT)["mail",]
    assert (sum(buckets), total) == (3, 7 + 3 + 0)


def test_a_retry_is_neither_a_creation_nor_an_execution(tasks: Tasks, store: LocalStore) -> None:
    sent = tasks.created("mail")
    for attempt in ("a", "a"):
        tasks.started("mail", attempt, sent)
        tasks.retried("mail", attempt, ValueError())
        tasks.created("mail", is_retry=True)
    tasks.started("mail", "a", sent)
    tasks.ended("mail", "a", "success")
    assert counts(store, WORKFLOWS_CREATED) == {("mail",): (1,)}
    assert counts(store, RETRIES) == {("mail",): (2,)}
    assert {key: slots[0] for key, slots in counts(store, WORKFLOW_EXECUTIONS).items()} == {
        ("mail", "success"): 1,
        ("mail", "failure"): 0,
        ("mail", "cancelled"): 0,
    }


def test_a_task_whose_start_was_not_seen_has_no_duration(tasks: Tasks, store: LocalStore) -> None:
    tasks.ended("mail", "a", "failure")
    assert counts(store, WORKFLOW_EXECUTIONS)["mail", "failure"] == (1,)
    assert counts(store, WORKFLOW_DURATION) == {}


def test_a_name_that_cannot_be_a_label_is_logged_and_the_task_runs(
    tasks: Tasks, caplog: pytest.LogCaptureFixture
) -> None:
    name = "x" * 101
    assert tasks.created(name) == {}
    tasks.started(name, "a", {})
    tasks.ended(name, "a", "success")
    assert {record.levelno for record in caplog.records} == {logging.WARNING}
    assert any("workflow name: got" in record.getMessage() for record in caplog.records)


def test_what_is_not_the_app_of_a_queue_is_refused_by_name() -> None:
    with pytest.raises(InstrumentationError, match=r"got builtins\.dict; give a Celery app or a Dramatiq broker"):
        instrument_tasks({})


def test_adapters_are_small_and_load_nothing_of_a_library() -> None:
    folder = ROOT / "instrumentation" / "tasks"
    for name in ADAPTERS:
        assert len((folder / f"{name}.py").read_text().splitlines()) < 150
    program = f"""
import sys
from importlib import import_module
for name in {[*ADAPTERS]!r}:
    import_module("instrumentation.tasks." + name)
    assert name not in sys.modules
assert "instrumentation.http" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, timeout=30)
