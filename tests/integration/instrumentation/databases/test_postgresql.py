"""Clients of a real PostgreSQL are measured: queries, errors, N+1 queries of requests, and pools."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from sqlalchemy import create_engine, text
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import create_async_engine
from starlette.testclient import TestClient

import instrumentation
from instrumentation import instrument_database
from instrumentation.databases.queries import metrics_of
from instrumentation.settings import parse_settings
from instrumentation.store import LocalStore

if TYPE_CHECKING:
    from collections.abc import Callable

LIMIT, ROWS = 3, 7
SETTINGS = parse_settings({"databases": {"repeated_queries": LIMIT}, "logging": {"enabled": False}})


@pytest.fixture
def store() -> LocalStore:
    return LocalStore(2000)


def values(store: LocalStore, name: str) -> dict[tuple[str, ...], float]:
    """Labels to value; for a histogram, the number of values."""
    metrics_of(store).sampler.read()
    return {
        one.labels: sum(one.slots[:-1]) if one.edges else one.slots[0]
        for one in store.series()
        if one.metric.name == name
    }


def request(store: LocalStore, endpoint: Callable[..., Any]) -> None:
    app = FastAPI()
    app.get("/many")(endpoint)
    instrumentation.instrument(app, settings=SETTINGS, store=store, registry=CollectorRegistry())
    with TestClient(app) as client:
        assert client.get("/many").status_code == 200


def test_a_sync_engine(postgres_url: str, store: LocalStore) -> None:
    url = postgres_url.replace("postgresql:", "postgresql+psycopg:")
    pool = {"pool_size": 1, "max_overflow": 1, "pool_timeout": 0.01}
    engine = instrument_database(create_engine(url, **pool), name="shop", store=store)

    def many() -> None:
        with engine.connect() as connection:
            for row in range(ROWS):
                connection.execute(text("SELECT relname FROM pg_class WHERE oid = :row"), {"row": row})

    request(store, many)
    assert values(store, "db_client_repeated_queries_total") == {("/many",): ROWS - LIMIT}
    assert (
        values(store, "db_client_operation_duration_seconds")["postgresql", "postgres", "SELECT pg_class", ""] == ROWS
    )
    with engine.connect(), engine.connect(), pytest.raises(PoolTimeoutError):
        engine.connect()
    assert values(store, "db_client_connection_timeouts_total") == {("shop",): 1}
    assert values(store, "db_client_connection_max") == {("shop",): 2}
    engine.dispose()


def test_an_async_engine(postgres_url: str, store: LocalStore) -> None:
    url = postgres_url.replace("postgresql:", "postgresql+asyncpg:")
    engine = instrument_database(create_async_engine(url, pool_size=1, max_overflow=0), name="shop", store=store)

    async def many() -> dict[tuple[str, ...], float]:
        async with engine.connect() as connection:
            for row in range(ROWS):
                await connection.execute(text("SELECT relname FROM pg_class WHERE reltuples = :row"), {"row": row})
            waiting = asyncio.create_task(engine.connect().__aenter__())
            await asyncio.sleep(0)  # until it waits
            assert values(store, "db_client_connection_pending_requests") == {("shop",): 1}
            used = values(store, "db_client_connection_count")
        await (await waiting).close()
        await engine.dispose()
        return used

    seen: list[dict[tuple[str, ...], float]] = []

    async def endpoint() -> None:
        seen.append(await many())

    request(store, endpoint)
    assert seen == [{("shop", "used"): 1, ("shop", "idle"): 0}]
    assert values(store, "db_client_repeated_queries_total") == {("/many",): ROWS - LIMIT}


def test_slow_queries_at_the_same_time(postgres_url: str, store: LocalStore) -> None:
    url = postgres_url.replace("postgresql:", "postgresql+psycopg:")
    engine = instrument_database(create_engine(url), store=store)
    metrics_of(store).settle(parse_settings({"databases": {"slow_query_seconds": 0.05}}).databases)

    def ask(seconds: float) -> None:
        with engine.connect() as connection:
            connection.execute(text("SELECT pg_sleep(:seconds)"), {"seconds": seconds})

    with ThreadPoolExecutor(3) as threads:
        list(threads.map(ask, (0.06, 0.06, 0.0)))
    assert values(store, "db_client_slow_queries_total")["postgresql", "postgres", "SELECT"] == 2
    engine.dispose()
