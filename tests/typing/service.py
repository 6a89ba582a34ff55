"""What users write, checked by mypy, pyright and pyrefly; see tests/integration/test_typing.py.

A line that ends with ``# error`` must be reported by each of them; every other line must not.
"""

from __future__ import annotations

from collections.abc import AsyncIterator  # noqa: TC003 - as users write it
from contextlib import asynccontextmanager
from typing import assert_type

import httpx
from fastapi import FastAPI, Request
from pydantic import BaseModel, SecretStr
from starlette.applications import Starlette

import instrumentation
from instrumentation import (
    AppError,
    FinishedRequest,
    NotFoundError,
    Redactor,
    Settings,
    audit,
    configure_logging,
    correlation_id,
    counter,
    gauge,
    health_check,
    histogram,
    http_check,
    instrument,
    instrument_client,
    job,
    load_settings,
    problem_documents,
    queue,
    read_environment,
    retry_with_backoff,
    saw_user,
    set_level,
    tcp_check,
    time_limit,
    workflow,
    workflow_created,
)


class Secrets(BaseModel):
    database_password: SecretStr


class OutOfStockError(AppError):
    status = 409


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    del app
    yield


def finished(request: FinishedRequest) -> None:
    assert_type(request.route, str)
    assert_type(request.status, int)
    assert_type(request.seconds, float)


def user(scope: object) -> str | None:
    del scope
    return "anna"


app = instrument(FastAPI(lifespan=lifespan), on_request=finished, user_id=user)
assert_type(app, FastAPI)
assert_type(instrument(Starlette()), Starlette)
assert_type(instrumentation.__version__, str)
assert_type(load_settings("sidelight.yaml"), Settings)
assert_type(read_environment(Secrets), Secrets)
assert_type(correlation_id(), str)
client = instrument_client(httpx.AsyncClient())
assert_type(client, httpx.AsyncClient)

configure_logging(load_settings())
set_level("debug", "shop.orders")
problem_documents(app)
queue("orders", depth=lambda: 3, oldest_age=lambda: None)
health_check("catalog", http_check("http://catalog/health"))
health_check("cache", tcp_check("cache", 6379), required=False)
workflow_created("checkout")
ORDERS, POOL, QUOTES, IMPORT = counter("orders"), gauge("pool"), histogram("quote_seconds"), job("import")
ORDERS.add(channel="web")
ORDERS.add(2.5, channel="web")
POOL.read(lambda: 7)
POOL.set(7)
with QUOTES.time(tenant="acme"), IMPORT.run():
    QUOTES.observe(0.25, tenant="acme")
assert_type(Redactor(keys=["pin"]).text("pin=1234"), str)


@retry_with_backoff(5, exceptions=ConnectionError)
async def prices(sku: str) -> list[int]:
    async with time_limit(2.0, "prices"):
        return [len(sku)]


@app.get("/orders/{number}")
async def order(number: int, request: Request) -> dict[str, int]:
    saw_user(request.headers["user"])
    audit("order.read", actor="anna", outcome="success", number=number)
    assert_type(await prices("kettle"), list[int])
    with workflow("checkout"):
        if number > 10:
            raise NotFoundError("There is no such order.", details={"number": number})
        if number > 5:
            raise OutOfStockError("Sold out.", retry_after=60.0)
    return {"number": number}


instrumentation.instrumnet(app)  # error
instrumentation.import_module("os")  # error
instrument(app, colour="red")  # error
load_settings(3)  # error
ORDERS.add("web")  # error
