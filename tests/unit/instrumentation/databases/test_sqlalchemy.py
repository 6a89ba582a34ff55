"""Queries of SQLAlchemy's engines are counted by summary, by request and by route, and pools are watched."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from sqlalchemy import NullPool, create_engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import create_async_engine
from starlette.testclient import TestClient

import instrumentation
from instrumentation import instrument_database
from instrumentation.databases.queries import metrics_of
from instrumentation.errors import InstrumentationError
from instrumentation.settings import parse_settings
from instrumentation.store import LocalStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Engine

ROOT = Path(__file__).parents[4]
LIMIT = 3
FEW, MANY = text("SELECT :few"), text("SELECT 7 FROM items WHERE id = :id")
SETTINGS = parse_settings({"databases": {"repeated_queries": LIMIT}, "logging": {"enabled": False}})


@pytest.fixture
def store() -> LocalStore:
    return LocalStore(2000)


@pytest.fixture
def engine(store: LocalStore, tmp_path: Path) -> Iterator[Engine]:
    engine = create_engine(f"sqlite:///{tmp_path}/shop.db", pool_size=2, max_overflow=1, pool_timeout=0.01)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE items (id INTEGER)"))
    yield instrument_database(engine, name="shop", store=store)
    engine.dispose()


def values(store: LocalStore, name: str) -> dict[tuple[str, ...], float]:
    """Labels to value; for a histogram, the number of values."""
    return {
        one.labels: sum(one.slots[:-1]) if one.edges else one.slots[0]
        for one in store.series()
        if one.metric.name == name
    }


def asked(app: Any, store: LocalStore, *paths: str) -> None:
    instrumentation.instrument(app, settings=SETTINGS, store=store, registry=CollectorRegistry())
    with TestClient(app) as client:
        for path in paths:
            assert client.get(path).status_code == 200


def shop(engine: Engine) -> FastAPI:
    app = FastAPI()

    @app.get("/few")
    def few() -> None:
        with engine.connect() as connection:
            for _ in range(LIMIT):
                connection.execute(FEW, {"few": 1})

    @app.get("/many")
    def many(rows: int = LIMIT + 4) -> None:
        with engine.connect() as connection:
            connection.execute(FEW, {"few": 1})
            for row in range(rows):
                connection.execute(MANY, {"id": row})

    return app


def test_a_query_is_counted_by_summary(engine: Engine, store: LocalStore) -> None:
    with engine.connect() as connection:
        connection.execute(MANY, {"id": 4111})
        connection.execute(MANY, {"id": 4112})
    assert values(store, "db_client_operation_duration_seconds") == {("sqlite", "shop.db", "SELECT items", ""): 2}


def test_a_failed_query_is_counted_with_its_error_and_raised(engine: Engine, store: LocalStore) -> None:
    with engine.connect() as connection, pytest.raises(OperationalError):
        connection.execute(text("SELECT 1 FROM gone"))
    assert values(store, "db_client_operation_duration_seconds") == {
        ("sqlite", "shop.db", "SELECT gone", "OperationalError"): 1
    }


def test_queries_beyond_the_limit_in_one_request_are_repeated(engine: Engine, store: LocalStore) -> None:
    asked(shop(engine), store, "/few", "/many", "/few")
    assert values(store, "db_client_queries_per_request") == {("/few",): 2, ("/many",): 1}
    assert values(store, "db_client_repeated_queries_total") == {("/few",): 0, ("/many",): 4}


def test_the_line_of_code_that_repeats_a_query_is_logged_once(
    engine: Engine, store: LocalStore, caplog: pytest.LogCaptureFixture
) -> None:
    asked(shop(engine), store, "/many?rows=9", "/many?rows=9")
    (line,) = [
        number for number, line in enumerate(Path(__file__).read_text().splitlines(), 1) if '{"id": row}' in line
    ][:1]
    told = [record.getMessage() for record in caplog.records if "ran the query" in record.getMessage()]
    assert told == [
        (
            f"GET /many ran the query 'SELECT items' 9 times in one request, at {Path(__file__).relative_to(Path.cwd())}:{line}. "
            "Load the rows with one query. This is logged once."
        )
    ]


def test_an_async_engine_is_counted_and_its_line_found(
    store: LocalStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    engine = instrument_database(create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/a.db"), store=store)
    app = FastAPI()

    @app.get("/many")
    async def many() -> None:
        async with engine.connect() as connection:
            for row in range(LIMIT + 2):
                await connection.execute(FEW, {"few": row})  # the line
        await engine.dispose()

    asked(app, store, "/many")
    (line,) = [
        number for number, line in enumerate(Path(__file__).read_text().splitlines(), 1) if line.endswith("# the line")
    ]
    assert values(store, "db_client_repeated_queries_total") == {("/many",): 2}
    assert f"{Path(__file__).name}:{line}." in caplog.text


def test_requests_at_the_same_time_do_not_share_queries(engine: Engine, store: LocalStore) -> None:
    app, together = FastAPI(), threading.Barrier(3)

    @app.get("/few")
    def few() -> None:
        together.wait(10)
        for _ in range(LIMIT):
            with engine.connect() as connection:
                connection.execute(FEW, {"few": 1})

    instrumentation.instrument(app, settings=SETTINGS, store=store, registry=CollectorRegistry())
    with TestClient(app) as client, ThreadPoolExecutor() as threads:
        statuses = list(threads.map(lambda _: client.get("/few").status_code, range(3)))
    assert statuses == [200, 200, 200]
    assert values(store, "db_client_queries_per_request") == {("/few",): 3}
    assert values(store, "db_client_repeated_queries_total") == {("/few",): 0}


def test_the_queries_of_a_wsgi_app_are_counted(engine: Engine, store: LocalStore) -> None:
    def wsgi(_: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        with engine.connect() as connection:
            for row in range(LIMIT + 2):
                connection.execute(MANY, {"id": row})
        start_response("200 OK", [("content-length", "0")])
        return [b""]

    app = instrumentation.instrument(
        wsgi, settings=SETTINGS, store=store, registry=CollectorRegistry(), interface="wsgi"
    )
    list(app({"REQUEST_METHOD": "GET", "PATH_INFO": "/", "wsgi.input": None}, lambda *_: None))
    assert values(store, "db_client_repeated_queries_total") == {("",): 2}


def test_without_a_database_a_request_counts_no_queries(store: LocalStore) -> None:
    app = FastAPI()
    app.get("/")(lambda: 7)
    asked(app, store, "/")
    assert values(store, "db_client_queries_per_request") == {}


def test_a_slow_query_is_counted_and_its_line_logged_once(
    engine: Engine, store: LocalStore, caplog: pytest.LogCaptureFixture
) -> None:
    metrics_of(store).settle(parse_settings({"databases": {"slow_query_seconds": 1e-9}}).databases)
    with engine.connect() as connection:
        for row in range(2):
            connection.execute(MANY, {"id": row})
    assert values(store, "db_client_slow_queries_total") == {("sqlite", "shop.db", "SELECT items"): 2}
    (told,) = [record.getMessage() for record in caplog.records if "took" in record.getMessage()]
    assert told.startswith("the query 'SELECT items' of sqlite/shop.db took 0.0")
    assert f"{Path(__file__).name}:" in told


def state(store: LocalStore) -> dict[str, float]:
    metrics_of(store).sampler.read()
    count = values(store, "db_client_connection_count")
    return {
        "used": count["shop", "used"],
        "idle": count["shop", "idle"],
        "max": values(store, "db_client_connection_max")["shop",],
        "waiting": values(store, "db_client_connection_pending_requests")["shop",],
        "timeouts": values(store, "db_client_connection_timeouts_total")["shop",],
    }


def test_a_pool_shows_what_is_used_and_who_got_nothing(engine: Engine, store: LocalStore) -> None:
    taken = [engine.connect() for _ in range(3)]
    with pytest.raises(PoolTimeoutError):
        engine.connect()
    assert state(store) == {"used": 3, "idle": 0, "max": 3, "waiting": 0, "timeouts": 1}
    for connection in taken:
        connection.close()
    assert state(store) == {"used": 0, "idle": 2, "max": 3, "waiting": 0, "timeouts": 1}


def test_the_pool_of_a_disposed_engine_is_watched_too(engine: Engine, store: LocalStore) -> None:
    engine.dispose()
    taken = [engine.connect() for _ in range(3)]
    with pytest.raises(PoolTimeoutError):
        engine.connect()
    assert state(store) == {"used": 3, "idle": 0, "max": 3, "waiting": 0, "timeouts": 1}
    for connection in taken:
        connection.close()


def test_callers_that_wait_for_a_connection_are_counted(store: LocalStore, tmp_path: Path) -> None:
    pool = {"pool_size": 1, "max_overflow": 0, "pool_timeout": 10}
    engine = instrument_database(create_engine(f"sqlite:///{tmp_path}/shop.db", **pool), name="shop", store=store)

    with ThreadPoolExecutor() as threads:
        with engine.connect():
            waiting = threads.submit(lambda: engine.connect().close())
            while state(store)["waiting"] != 1:
                assert not waiting.done()
        waiting.result(10)
    assert state(store)["waiting"] == 0
    engine.dispose()


@pytest.mark.usefixtures("engine")
def test_pools_of_one_name_add_up_and_end_with_their_engine(store: LocalStore, tmp_path: Path) -> None:
    other = instrument_database(create_engine(f"sqlite:///{tmp_path}/other.db", pool_size=7), name="shop", store=store)
    assert state(store)["max"] == 3 + 17
    del other
    gc.collect()
    assert state(store)["max"] == 3


def test_an_engine_without_a_pool_has_no_series_of_one(store: LocalStore, tmp_path: Path) -> None:
    engine = instrument_database(create_engine(f"sqlite:///{tmp_path}/shop.db", poolclass=NullPool), store=store)
    with engine.connect() as connection:
        connection.execute(FEW, {"few": 1})
    assert values(store, "db_client_connection_count") == {}
    assert values(store, "db_client_operation_duration_seconds") == {("sqlite", "shop.db", "SELECT", ""): 1}


def test_a_second_call_has_no_effect(engine: Engine, store: LocalStore) -> None:
    assert instrument_database(engine, store=store) is engine
    with engine.connect() as connection:
        connection.execute(FEW, {"few": 1})
    assert values(store, "db_client_operation_duration_seconds") == {("sqlite", "shop.db", "SELECT", ""): 1}


def test_what_is_no_database_is_refused() -> None:
    with pytest.raises(InstrumentationError, match=r"instrument_database\(\) got list; give an Engine"):
        instrument_database([])


def test_a_store_that_fails_is_logged_once_and_the_query_runs(
    engine: Engine, store: LocalStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> int:
        raise OSError("no space")

    monkeypatch.setattr(store, "place", full)
    with engine.connect() as connection:
        assert [connection.execute(FEW, {"few": 7}).scalar() for _ in range(2)] == [7, 7]
    assert caplog.text.count("sidelight could not count a query") == 1


def test_no_library_is_loaded_before_a_client_is_given() -> None:
    program = "import sys, instrumentation.databases; sys.exit('sqlalchemy' in sys.modules)"
    assert subprocess.run((sys.executable, "-c", program), cwd=ROOT, check=False, timeout=60).returncode == 0
