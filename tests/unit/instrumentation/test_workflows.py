"""Workflows are counted, timed and priced, however they end."""

from __future__ import annotations

import asyncio
import math
from decimal import Decimal
from itertools import count
from typing import Any

import pytest

from instrumentation.errors import InstrumentationError
from instrumentation.store import LocalStore
from instrumentation.workflows import workflow, workflow_created


def read(store: LocalStore, name: str) -> dict[tuple[str, ...], float]:
    return {row.labels: row.slots[-1] for row in store.series() if row.metric.name == name}


@pytest.fixture
def store() -> LocalStore:
    return LocalStore()


def executions(store: LocalStore) -> dict[str, float]:
    return {labels[1]: value for labels, value in read(store, "workflow_executions_total").items()}


def test_a_success_is_counted_timed_and_priced(store: LocalStore) -> None:
    ticks = count(step=7)
    with workflow("import", store=store, clock=lambda: next(ticks)) as run:
        run.cost_usd(0.25)
        run.cost_usd(Decimal("0.5"))
    assert executions(store) == {"success": 1, "failure": 0, "cancelled": 0}
    assert read(store, "workflow_duration_seconds") == {("import", "success"): 7.0}
    assert read(store, "workflow_cost_usd_total") == {("import",): 0.75}


def test_an_exception_is_a_failure_and_goes_on(store: LocalStore) -> None:
    with pytest.raises(KeyError), workflow("import", store=store):
        raise KeyError
    assert executions(store) == {"success": 0, "failure": 1, "cancelled": 0}


def test_a_cancelled_task_is_cancelled(store: LocalStore) -> None:
    async def run() -> None:
        with workflow("import", store=store):
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(run())
    assert executions(store) == {"success": 0, "failure": 0, "cancelled": 1}


def test_a_decorated_function_counts_every_call(store: LocalStore) -> None:
    @workflow("import", store=store)
    def double(number: int) -> int:
        return 2 * number

    assert [double(3), double(7)] == [6, 14]
    assert double.__name__ == "double"
    assert executions(store)["success"] == 2


def test_a_decorated_coroutine_is_counted_when_it_ends_not_when_it_is_made(store: LocalStore) -> None:
    @workflow("import", store=store)
    async def fail() -> None:
        await asyncio.sleep(0)
        raise ValueError

    coroutine = fail()
    assert executions(store) == {}
    with pytest.raises(ValueError):  # noqa: PT011 - any
        asyncio.run(coroutine)
    assert executions(store)["failure"] == 1


def test_executions_side_by_side_do_not_mix(store: LocalStore) -> None:
    @workflow("import", store=store)
    async def run(fails: bool) -> None:  # noqa: FBT001
        await asyncio.sleep(0)
        if fails:
            raise ValueError

    async def all_of_them() -> None:
        await asyncio.gather(*(run(fails) for fails in (True, False, False)), return_exceptions=True)

    asyncio.run(all_of_them())
    assert executions(store) == {"success": 2, "failure": 1, "cancelled": 0}


def test_a_created_workflow_is_counted(store: LocalStore) -> None:
    workflow_created("import", store=store)
    assert read(store, "workflows_created_total") == {("import",): 1.0}


@pytest.mark.parametrize("cost", [-0.01, math.nan, math.inf, "1", None, True])
def test_a_wrong_cost_is_refused_at_the_call(store: LocalStore, cost: Any) -> None:
    with (
        pytest.raises(InstrumentationError, match=r"cost_usd got .*; give US dollars as a number of at least 0"),
        workflow("import", store=store) as run,
    ):
        run.cost_usd(cost)
    assert read(store, "workflow_cost_usd_total") == {("import",): 0.0}


@pytest.mark.parametrize("name", ["", "x" * 101, 7, None])
def test_a_wrong_name_is_refused_at_the_call(store: LocalStore, name: Any) -> None:
    with pytest.raises(InstrumentationError, match="give a text of 1 to 100 characters") as error:
        workflow_created(name, store=store)
    assert error.value.code == "workflow_name_invalid"
