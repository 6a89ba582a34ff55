"""Values that a request binds to structlog's context are on its access line only, wherever they were bound."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import httpx
import pytest
import structlog
from fastapi import BackgroundTasks, Depends, FastAPI, Request
from prometheus_client import CollectorRegistry
from starlette.middleware.base import BaseHTTPMiddleware
from structlog.contextvars import (
    bind_contextvars,
    bound_contextvars,
    clear_contextvars,
    get_contextvars,
    reset_contextvars,
    unbind_contextvars,
)

import instrumentation
from instrumentation.settings import parse_settings
from tests.unit.instrumentation.logs.test_access import lines
from tests.unit.instrumentation.test_http import Observed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from starlette.responses import Response

    from tests.unit.instrumentation.logs.conftest import Log


async def tenant() -> None:
    bind_contextvars(tenant="acme")


def plan() -> None:
    bind_contextvars(plan="gold")


async def session() -> AsyncIterator[None]:
    bind_contextvars(session_kind="begun")
    yield
    bind_contextvars(session_kind="ended")


def cursor() -> Iterator[None]:
    bind_contextvars(cursor=7)
    yield


def service() -> FastAPI:
    app = FastAPI()
    everything = [Depends(each) for each in (tenant, plan, session, cursor)]

    @app.get("/async", dependencies=everything)
    async def in_async() -> None:
        bind_contextvars(order=31)

    @app.get("/thread", dependencies=everything)
    def in_thread() -> None:
        bind_contextvars(order=31)

    @app.get("/task")
    async def task() -> None:
        async def inner() -> None:
            bind_contextvars(order=31)

        await asyncio.create_task(inner())

    @app.get("/bare")
    async def bare(user: Annotated[str, Depends(lambda: "nobody")]) -> str:
        return user

    return with_corners(app)


def with_corners(app: FastAPI) -> FastAPI:
    @app.get("/taken-back")
    async def taken_back() -> None:
        bind_contextvars(order=31, step=1)
        unbind_contextvars("order")
        reset_contextvars(**bind_contextvars(step=2))
        with bound_contextvars(attempt=3):
            pass

    @app.get("/cleared")
    async def cleared() -> None:
        bind_contextvars(order=31)
        clear_contextvars()

    @app.get("/secret")
    async def secret() -> None:
        bind_contextvars(api_key="hunter2", note="of joe@example.com", route="/orders/31", status=7, level="high")

    @app.get("/broken")
    async def broken() -> None:
        bind_contextvars(order=31)
        raise RuntimeError

    @app.get("/later")
    async def later(tasks: BackgroundTasks) -> None:
        tasks.add_task(bind_contextvars, order=31)

    return app


def observed(log: Log, app: FastAPI | None = None) -> Observed:
    return Observed(app or service(), parse_settings({}), store=log.store)


EVERYTHING = {"tenant": "acme", "plan": "gold", "session_kind": "ended", "cursor": 7, "order": 31}


def bound(log: Log) -> list[dict[str, Any]]:
    """The fields of each access line, without the usual ones."""
    usual = {"timestamp", "level", "event", "logger", "correlation_id", "service", "version", "environment"}
    usual |= {"method", "route", "status", "error_type", "duration_ms"}
    return [{key: value for key, value in line.items() if key not in usual} for line in lines(log)]


@pytest.mark.parametrize("path", ["/async", "/thread"])
def test_what_dependencies_and_endpoints_bind_is_there(path: str, log: Log) -> None:
    observed(log).call(("GET", path))
    assert bound(log) == [EVERYTHING]


@pytest.mark.parametrize("path", ["/task", "/cleared", "/broken"])
def test_what_tasks_bind_is_there_and_what_is_cleared_at_the_end_and_what_failed(path: str, log: Log) -> None:
    observed(log).call(("GET", path))
    assert bound(log) == [{"order": 31}]


def test_unbound_values_are_not_on_the_line(log: Log) -> None:
    observed(log).call(("GET", "/taken-back"))
    assert bound(log) == [{"step": 1}]


def test_what_a_middleware_binds_around_the_app_is_there(log: Log) -> None:
    app = service()

    async def binding(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        clear_contextvars()
        bind_contextvars(tenant=request.headers["x-tenant"])
        return await call_next(request)

    app.add_middleware(BaseHTTPMiddleware, dispatch=binding)
    observed(log, app).call(("GET", "/async"), headers={"x-tenant": "acme"})
    assert bound(log) == [EVERYTHING]


def test_no_request_has_what_another_has_bound_in_the_same_task_or_at_the_same_time(log: Log) -> None:
    watched = observed(log)

    async def call() -> None:
        transport = httpx.ASGITransport(watched.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
            for path in ("/async", "/bare", "/thread", "/bare"):
                await client.get(path)
            await asyncio.gather(*(client.get(path) for path in ("/async", "/bare", "/task", "/bare")))

    asyncio.run(call())
    found = {line["route"]: fields for line, fields in zip(lines(log), bound(log), strict=True)}
    assert found == {"/async": EVERYTHING, "/thread": EVERYTHING, "/task": {"order": 31}, "/bare": {}}
    assert sum(fields == {} for fields in bound(log)) == 4


def test_what_a_background_task_binds_comes_too_late(log: Log) -> None:
    observed(log).call(("GET", "/later"), ("GET", "/bare"))
    assert [line["route"] for line in lines(log)] == ["/later", "/bare"]
    assert bound(log)[1] == {}


def test_it_is_masked_and_changes_nothing_that_is_ours(log: Log) -> None:
    observed(log).call(("GET", "/secret"))
    (line,) = lines(log)
    assert (line["route"], line["status"], line["level"]) == ("/secret", 200, "info")
    assert bound(log) == [
        {"api_key": "***", "note": "of ***", "route_": "/orders/31", "status_": 7, "level_": "high"},
    ]  # fmt: skip


def test_a_terminal_has_it_too(log: Log) -> None:
    log.configure(format="console")
    observed(log).call(("GET", "/task"))
    assert "order=31" in log.text


def test_structlog_works_as_before(log: Log) -> None:
    observed(log)
    tokens = bind_contextvars(tenant="acme", order=31)
    assert get_contextvars() == {"tenant": "acme", "order": 31}
    structlog.get_logger("shop").info("bound")
    assert (log.last["tenant"], log.last["order"]) == ("acme", 31)
    reset_contextvars(order=tokens["order"])
    unbind_contextvars("tenant", "never-bound")
    assert get_contextvars() == {}


def test_an_app_that_is_mounted_in_an_instrumented_one_binds_for_that_one(log: Log) -> None:
    outer, inner = FastAPI(), service()
    outer.mount("/inner", inner)
    instrumentation.instrument(inner, settings=parse_settings({}), store=log.store, registry=CollectorRegistry())
    observed(log, outer).call(("GET", "/inner/task"))
    assert bound(log) == [{"order": 31}]
