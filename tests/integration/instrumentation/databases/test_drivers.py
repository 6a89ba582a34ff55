"""Clients of asyncpg, psycopg and redis-py are measured on the real servers."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg
import psycopg
import psycopg_pool
import pytest
import redis as redis_py
from psycopg import sql

from instrumentation import instrument_database, watch_cache
from instrumentation.databases.queries import metrics_of
from instrumentation.store.process_store import ProcessStore
from tests.integration.instrumentation.databases.test_postgresql import LIMIT, ROWS, request, store, values

if TYPE_CHECKING:
    from instrumentation.store import LocalStore
    from sidelight.toolchain.processes import Process

__all__ = ["store"]
OPERATIONS = "db_client_operation_duration_seconds"
POSTGRESQL = ("postgresql", "postgres")


def line(text: str) -> str:
    (number,) = [
        number for number, each in enumerate(Path(__file__).read_text().splitlines(), 1) if each.endswith(text)
    ]
    return f"{Path(__file__).name}:{number}."


def test_a_pool_of_asyncpg(postgres_url: str, store: LocalStore, caplog: pytest.LogCaptureFixture) -> None:
    async def many() -> None:
        async with asyncpg.create_pool(postgres_url, min_size=1, max_size=2) as pool:
            instrument_database(pool, name="shop", store=store)
            instrument_database(pool, name="shop", store=store)
            async with pool.acquire() as connection:
                for row in range(ROWS):
                    await connection.fetch("SELECT relname FROM pg_class WHERE oid = $1", row)  # asyncpg
                with pytest.raises(asyncpg.UndefinedTableError):
                    await connection.execute("DELETE FROM gone WHERE card = '4111'")
                async with pool.acquire() as other:
                    await other.fetchval("SELECT count(*) FROM pg_type")
                    waiting = asyncio.create_task(pool.fetchval("SELECT 7"))
                    await asyncio.sleep(0)
                    await asyncio.sleep(0)
                    assert values(store, "db_client_connection_pending_requests") == {("shop",): 1}
                    assert values(store, "db_client_connection_count")["shop", "used"] == 2
            assert await waiting == 7
        assert values(store, "db_client_connection_count") == {("shop", "used"): 0, ("shop", "idle"): 0}

    metrics_of(store).is_used = metrics_of(store).is_late = True  # the pool is opened within the request
    request(store, many)
    counted = values(store, OPERATIONS)
    assert counted[*POSTGRESQL, "SELECT pg_class", ""] == ROWS
    assert counted[*POSTGRESQL, "DELETE gone", "UndefinedTableError"] == 1
    assert counted[*POSTGRESQL, "SELECT pg_type", ""] == 1
    assert values(store, "db_client_repeated_queries_total") == {("/many",): ROWS - LIMIT}
    assert line("# asyncpg") in caplog.text


def test_the_last_query_of_a_request_is_counted_although_asyncpg_is_late(postgres_url: str, store: LocalStore) -> None:
    async def one() -> None:
        connection = await asyncpg.connect(postgres_url)
        instrument_database(connection, store=store)
        task = asyncio.current_task()
        assert task is not None
        task.add_done_callback(lambda _: connection.terminate())
        await connection.fetch("SELECT 7")

    metrics_of(store).is_used = metrics_of(store).is_late = True
    request(store, one)
    assert values(store, "db_client_queries_per_request") == {("/many",): 1}


def test_a_pool_of_psycopg(postgres_url: str, store: LocalStore, caplog: pytest.LogCaptureFixture) -> None:
    with psycopg_pool.ConnectionPool(postgres_url, min_size=1, max_size=1, open=True) as pool:
        pool.wait()
        instrument_database(pool, name="shop", store=store)

        def many() -> None:
            with pool.connection() as connection, connection.cursor() as cursor:
                for row in range(ROWS):
                    cursor.execute("SELECT relname FROM pg_class WHERE oid = %s", (row,))  # psycopg
                with pytest.raises(psycopg_pool.PoolTimeout):
                    pool.getconn(timeout=0.01)

        request(store, many)
        assert values(store, OPERATIONS) == {(*POSTGRESQL, "SELECT pg_class", ""): ROWS}
        assert values(store, "db_client_connection_timeouts_total") == {("shop",): 1}
        assert values(store, "db_client_connection_max") == {("shop",): 1}
    assert values(store, "db_client_repeated_queries_total") == {("/many",): ROWS - LIMIT}
    assert line("# psycopg") in caplog.text


def test_a_connection_of_psycopg_and_statements_that_are_not_text(postgres_url: str, store: LocalStore) -> None:
    with instrument_database(psycopg.connect(postgres_url), store=store) as connection:
        connection.execute(b"SELECT 1 FROM pg_class")
        connection.execute(
            sql.SQL("SELECT {} FROM {}").format(sql.Literal("4111 from secret"), sql.Identifier("pg_type"))
        )
        with pytest.raises(psycopg.errors.UndefinedTable):
            connection.execute("SELECT 1 FROM gone")
    assert values(store, OPERATIONS) == {
        (*POSTGRESQL, "SELECT pg_class", ""): 1,
        (*POSTGRESQL, "SELECT pg_type", ""): 1,
        (*POSTGRESQL, "SELECT gone", "UndefinedTable"): 1,
    }


def test_an_async_pool_of_psycopg(postgres_url: str, store: LocalStore) -> None:
    async def ask() -> None:
        pool: Any = psycopg_pool.AsyncConnectionPool(postgres_url, min_size=1, open=False)
        async with instrument_database(pool, name="shop", store=store), pool.connection() as connection:
            await connection.execute("SELECT 1 FROM pg_class")
            assert values(store, "db_client_connection_count")["shop", "used"] == 1

    asyncio.run(ask())
    assert values(store, OPERATIONS) == {(*POSTGRESQL, "SELECT pg_class", ""): 1}


def test_a_client_of_redis(redis: Process, store: LocalStore) -> None:
    client = redis_py.Redis.from_url(redis.url, max_connections=7)
    instrument_database(client, name="cache", store=store)

    def many() -> None:
        for row in range(ROWS):
            client.get(f"secret-{row}")

    request(store, many)
    with pytest.raises(redis_py.ResponseError):
        client.lpush("list", 7) and client.get("list")
    with client.pipeline() as pipeline:
        pipeline.set("secret", 7).get("secret").execute()
    counted = values(store, OPERATIONS)
    assert counted == {
        ("redis", "0", "GET", ""): ROWS,
        ("redis", "0", "LPUSH", ""): 1,
        ("redis", "0", "GET", "ResponseError"): 1,
        ("redis", "0", "PIPELINE", ""): 1,
    }
    assert values(store, "db_client_queries_per_request") == {}  # GET of other keys is not an N+1 query
    assert values(store, "db_client_connection_max") == {("cache",): 7}
    client.close()


def test_an_async_client_of_redis(redis: Process, store: LocalStore) -> None:
    async def ask() -> None:
        async with redis_py.asyncio.from_url(redis.url) as client:
            instrument_database(client, name="cache", store=store)
            await client.set("secret", 7)
            await client.pipeline().get("secret").execute()
            assert values(store, "db_client_connection_count") == {("cache", "used"): 0, ("cache", "idle"): 1}

    asyncio.run(ask())
    assert values(store, OPERATIONS) == {("redis", "0", "SET", ""): 1, ("redis", "0", "PIPELINE", ""): 1}


def test_a_redis_server_as_a_cache(redis: Process) -> None:
    store = ProcessStore(lambda: None)
    store.turn(on=True)
    client = redis_py.Redis.from_url(redis.url)
    client.set("key", 7)
    assert (client.get("key"), client.get("gone")) == (b"7", None)
    watch_cache("server", client, store=store)
    assert {
        (one.metric.name, one.labels): one.slots[0] for one in store.series() if one.metric.name.startswith("cache_")
    } == {
        ("cache_requests_total", ("server", "hit")): 1,
        ("cache_requests_total", ("server", "miss")): 1,
        ("cache_entries", ("server",)): 1,
        ("cache_evictions_total", ("server",)): 0,
        ("cache_read_failures_total", ("server",)): 0,
    }
    client.close()
