"""Workflows are counted, timed and priced, however they end."""

from __future__ import annotations

import asyncio
import math
from decimal import Decimal
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from instrumentation import log_once
from instrumentation.errors import InstrumentationError
from instrumentation.store import LocalStore
from instrumentation.workflows import workflow, workflow_created

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator


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


def test_the_time_that_an_execution_waited_is_recorded(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(log_once, "_about_calls", log_once.LogOnce())
    with workflow("import", store=store) as run:
        run.waited(7.5)
        run.waited(-1)
    assert read(store, "workflow_wait_seconds") == {("import",): 7.5}
    assert "waited got -1; give seconds as a number of at least 0" in caplog.text


def test_an_exception_is_a_failure_and_is_raised(store: LocalStore) -> None:
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


@pytest.mark.parametrize("cost", [-0.01, math.nan, math.inf, "1", None, True, 10**400, Decimal("sNaN")])
def test_a_wrong_cost_is_logged_and_ignored(
    store: LocalStore, cost: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_once, "_about_calls", log_once.LogOnce())
    for _ in range(3):
        with workflow("import", store=store) as run:
            run.cost_usd(cost)
            run.cost_usd(0.5)
    assert read(store, "workflow_cost_usd_total") == {("import",): 1.5}
    assert executions(store) == {"success": 3, "failure": 0, "cancelled": 0}
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith(f"{__file__}:")
    assert ": workflow 'import': cost_usd got " in said
    assert said.endswith("; give US dollars as a number of at least 0. It is ignored, and logged once.")


def test_each_place_that_gives_a_wrong_cost_is_logged(store: LocalStore, caplog: pytest.LogCaptureFixture) -> None:
    with workflow("import", store=store) as run:
        run.cost_usd(math.nan)
        run.cost_usd(-7)
    assert [("nan" in one.getMessage(), "-7" in one.getMessage()) for one in caplog.records] == [
        (True, False),
        (False, True),
    ]


@pytest.mark.parametrize("name", ["", "x" * 101, 7, None, "two\nlines"])
def test_a_wrong_name_is_refused_at_the_call(store: LocalStore, name: Any) -> None:
    with pytest.raises(InstrumentationError, match="give a string of 1 to 100 printable characters") as error:
        workflow_created(name, store=store)
    assert error.value.code == "workflow_name_invalid"


def test_a_decorated_generator_is_counted_when_it_ends(store: LocalStore) -> None:
    @workflow("export", store=store)
    def rows() -> Generator[int, int, str]:
        got = yield 3
        yield got + 7
        return "done"

    generator = rows()
    assert executions(store) == {}  # nobody has asked for an item yet
    assert [next(generator), generator.send(10)] == [3, 17]
    assert executions(store)["success"] == 0
    with pytest.raises(StopIteration, match="done"):
        next(generator)
    assert executions(store) == {"success": 1, "failure": 0, "cancelled": 0}


def test_a_generator_that_is_closed_early_is_cancelled(store: LocalStore) -> None:
    @workflow("export", store=store)
    def rows() -> Generator[int, None, None]:
        yield from range(3)

    generator = rows()
    next(generator)
    generator.close()
    assert executions(store) == {"success": 0, "failure": 0, "cancelled": 1}


def test_an_asynchronous_generator_takes_what_is_sent_and_thrown(store: LocalStore) -> None:
    seen: list[object] = []

    @workflow("export", store=store)
    async def rows() -> AsyncGenerator[int, int]:
        try:
            seen.append((yield 3))
        except KeyError as error:
            seen.append(error)
        try:
            seen.append((yield 7))
        finally:
            seen.append("closed")

    async def run() -> None:
        generator = rows()
        assert [await generator.asend(None), await generator.asend(11)] == [3, 7]  # type: ignore[arg-type]
        await generator.aclose()
        assert executions(store)["cancelled"] == 1
        thrown = KeyError("x")
        other = rows()
        await anext(other)
        assert await other.athrow(thrown) == 7
        with pytest.raises(StopAsyncIteration):
            await other.asend(13)
        assert seen == [11, "closed", thrown, 13, "closed"]

    asyncio.run(run())
    assert executions(store) == {"success": 1, "failure": 0, "cancelled": 1}


def test_an_asynchronous_generator_that_raises_is_a_failure(store: LocalStore) -> None:
    @workflow("export", store=store)
    async def rows() -> AsyncGenerator[int, None]:
        yield 3
        raise ValueError

    async def run() -> list[int]:
        return [row async for row in rows()]

    with pytest.raises(ValueError):  # noqa: PT011 - any
        asyncio.run(run())
    assert executions(store) == {"success": 0, "failure": 1, "cancelled": 0}


def test_an_object_that_is_called_like_a_coroutine_function_is_one(store: LocalStore) -> None:
    class Task:
        async def __call__(self) -> int:
            await asyncio.sleep(0)
            return 7

    coroutine = workflow("import", store=store)(Task())()
    assert executions(store) == {}
    assert asyncio.run(coroutine) == 7
    assert executions(store)["success"] == 1


def test_an_asynchronous_block_is_an_execution(store: LocalStore) -> None:
    async def run() -> None:
        async with workflow("import", store=store) as run:
            run.cost_usd(3)

    asyncio.run(run())
    assert executions(store)["success"] == 1


def test_an_execution_within_another_is_counted_beside_it(store: LocalStore) -> None:
    with workflow("import", store=store), workflow("import", store=store) as inner:
        inner.fail()
    assert executions(store) == {"success": 1, "failure": 1, "cancelled": 0}


def test_one_object_may_be_used_again_but_not_twice_at_a_time(store: LocalStore) -> None:
    run = workflow("import", store=store)
    for _ in range(3):
        with run:
            pass
    with (
        pytest.raises(InstrumentationError, match=r"this execution has not ended; create another workflow\(\.\.\.\)"),
        run,
        run,
    ):
        pass
    assert executions(store) == {"success": 3, "failure": 1, "cancelled": 0}


def test_a_handled_failure_may_be_reported(store: LocalStore) -> None:
    with workflow("import", store=store) as run:
        run.fail()
    assert executions(store) == {"success": 0, "failure": 1, "cancelled": 0}


def test_other_objects_than_functions_are_refused(store: LocalStore) -> None:
    with pytest.raises(InstrumentationError, match="cannot decorate int; give a function"):
        workflow("import", store=store)(7)  # type: ignore[type-var]


def test_more_names_than_the_limit_are_folded(store: LocalStore) -> None:
    store.series_limit = 30
    for number in range(1000):
        with workflow(f"made up {number}", store=store):
            pass
    assert len(list(store.series())) < 40
    assert sum(read(store, "workflow_executions_total").values()) == 1000
