"""While Sidelight is off, the app does not change, handles work without counting, and one line is logged."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry, generate_latest
from starlette.responses import PlainTextResponse

import instrumentation
from instrumentation import switch
from instrumentation.auditing import auditor_of
from instrumentation.auditing.entry import Given
from instrumentation.errors import AppError, NotFoundError
from instrumentation.settings import Settings, load_settings, parse_settings
from instrumentation.store.process_store import ProcessStore
from tests.unit.instrumentation.test_http import METRICS_ALONE, Observed, shop

ROOT = Path(__file__).parents[3]
OFF = parse_settings({"enabled": False})


@pytest.fixture(autouse=True)
def _unsaid(caplog: pytest.LogCaptureFixture) -> None:
    switch.log_off.cache_clear()
    caplog.set_level(logging.INFO, "instrumentation")


@pytest.fixture
def store() -> ProcessStore:
    return ProcessStore(lambda: None)


def by_variable(app: Any, store: ProcessStore, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "True")
    return instrumentation.instrument(app, store=store, registry=CollectorRegistry())


def by_setting(app: Any, store: ProcessStore, _: pytest.MonkeyPatch) -> Any:
    return instrumentation.instrument(app, settings=OFF, store=store, registry=CollectorRegistry())


WAYS = pytest.mark.parametrize("turn_off", [by_variable, by_setting])


def statuses(app: Any, *paths: str) -> list[int]:
    async def run() -> list[int]:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
            return [(await client.get(path)).status_code for path in paths]

    return asyncio.run(run())


# --- Off ------------------------------------------------------------------------------------------------------------------


@WAYS
def test_the_app_does_not_change(turn_off: Any, store: ProcessStore, monkeypatch: pytest.MonkeyPatch) -> None:
    app = shop()
    before = dict(vars(app))
    assert turn_off(app, store, monkeypatch) is app
    assert type(app) is FastAPI
    assert vars(app) == before
    assert statuses(app, "/items/7", "/metrics", "/health") == [200, 404, 404]
    assert list(store.series()) == []


@WAYS
def test_a_function_is_returned_unchanged(turn_off: Any, store: ProcessStore, monkeypatch: pytest.MonkeyPatch) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse("here")(scope, receive, send)

    assert turn_off(app, store, monkeypatch) is app


@WAYS
def test_one_line_is_logged_with_the_reason(
    turn_off: Any, store: ProcessStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        turn_off(shop(), store, monkeypatch)
    why = {by_variable: "OTEL_SDK_DISABLED=true", by_setting: "enabled: false"}[turn_off]
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith(f"Sidelight is off ({why}): it measures, logs and traces nothing and answers no pages")


@WAYS
def test_app_errors_still_result_in_their_status(
    turn_off: Any, store: ProcessStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = FastAPI()

    @app.get("/missing")
    def missing() -> None:
        raise NotFoundError("no such item")

    assert statuses(turn_off(app, store, monkeypatch), "/missing") == [404]


@WAYS
def test_existing_handles_stop_counting(turn_off: Any, store: ProcessStore, monkeypatch: pytest.MonkeyPatch) -> None:
    run = instrumentation.workflow("invoice_import", store=store)
    turn_off(shop(), store, monkeypatch)
    with run:
        run.cost_usd(0.012)
    assert list(store.series()) == []


def test_other_values_of_the_variable_turn_nothing_off(store: ProcessStore, monkeypatch: pytest.MonkeyPatch) -> None:
    for value in ("false", "", "1", "yes"):
        monkeypatch.setenv("OTEL_SDK_DISABLED", value)
        app = instrumentation.instrument(shop(), settings=METRICS_ALONE, store=store, registry=CollectorRegistry())
        assert statuses(app, "/metrics") == [200]


def test_invalid_settings_do_not_stop_the_start_while_it_is_off(
    store: ProcessStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SIDELIGHT_CONFIG", str(tmp_path / "none.yaml"))
    assert statuses(by_variable(shop(), store, monkeypatch), "/items/7") == [200]


def test_an_app_that_is_on_is_counted_beside_one_that_is_off(
    store: ProcessStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for order in (0, 1):
        apps = [shop(), shop()]
        for number in (order, 1 - order):
            if number:
                by_setting(apps[1], store, monkeypatch)
            else:
                instrumentation.instrument(apps[0], settings=METRICS_ALONE, store=store, registry=CollectorRegistry())
        assert statuses(apps[0], "/items/7", "/metrics") == [200, 200]
        assert statuses(apps[1], "/metrics") == [404]
    counts = [sum(row.slots[:-1]) for row in store.series() if row.labels == ("GET", "/items/{item}", "200", "")]
    assert counts == [2.0]


HANDLES = """
import asyncio, logging, sys
import httpx
import instrumentation
from instrumentation import (
    correlation_id, health_check, instrument_client, queue, retry_with_backoff, saw_user, time_limit, workflow,
    workflow_created,
)
from instrumentation.store import default_store

@workflow("invoice_import")
def work(times):
    return times

@retry_with_backoff(3, initial_delay=0.001)
def again(seen=[]):
    seen.append(1)
    if len(seen) < 3:
        raise ConnectionError
    return len(seen)

async def within():
    async with time_limit(7, "payment"):
        return "in time"

with workflow("mail") as run:
    run.cost_usd(0.012)
    run.fail()
workflow_created("mail")
queue("emails", depth=lambda: 7).close()
saw_user("7f3c")
health_check("database", lambda: True)
client = instrument_client(httpx.Client(transport=httpx.MockTransport(lambda request: httpx.Response(204))))
print(work(7), again(), asyncio.run(within()), client.get("http://shop.example/").status_code, repr(correlation_id()))
print(list(default_store().series()), default_store().is_shared, [*logging.root.handlers])
"""


def test_every_handle_works_and_writes_no_files(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    switches = {"OTEL_SDK_DISABLED": "true", "SIDELIGHT_STORE_DIR": str(folder), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", HANDLES],
        cwd=tmp_path, env={**os.environ, **switches}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-2:] == ["7 3 in time 204 ''", "[] False []"]
    assert not folder.exists()


def test_the_audit_trail_is_still_written(store: ProcessStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SIDELIGHT_AUDIT_KEY", "s7" * 20)
    settings = parse_settings({"enabled": False, "audit": {"path": str(tmp_path / "audit.log")}})
    instrumentation.instrument(shop(), settings=settings, store=store, registry=CollectorRegistry())
    auditor_of(store).write(Given("user.login", "7f3c", "success", {}))
    assert "user.login" in (tmp_path / "audit.log").read_text()


# --- uninstrument -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_built", [False, True])
def test_uninstrument_restores_the_app(*, is_built: bool) -> None:
    app = shop()
    if is_built:
        statuses(app, "/items/7")
    before, handlers = dict(vars(app)), dict(app.exception_handlers)
    observed = Observed(app)
    observed.call(("GET", "/items/7"))
    assert instrumentation.uninstrument(app) is app
    assert type(app) is FastAPI
    assert vars(app) == before
    assert app.exception_handlers == handlers
    assert statuses(app, "/items/7", "/metrics", "/health") == [200, 404, 404]
    assert observed.counted() == {("GET", "/items/{item}", "200", ""): 1}


def test_a_handler_of_the_apps_own_stays() -> None:
    app = shop()
    app.add_exception_handler(AppError, lambda *_: PlainTextResponse("own", 418))
    instrumentation.uninstrument(Observed(app).app)
    assert AppError in app.exception_handlers


def test_uninstrument_returns_the_app_inside_a_wrapper() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse("here")(scope, receive, send)

    assert instrumentation.uninstrument(Observed(app).app) is app


def test_an_app_that_is_not_instrumented_does_not_change() -> None:
    app = shop()
    assert instrumentation.uninstrument(app) is app
    assert instrumentation.uninstrument(instrumentation.uninstrument(Observed(app).app)) is app


def test_an_app_can_be_instrumented_again() -> None:
    app = shop()
    observed = Observed(app)
    observed.call(("GET", "/items/7"))
    again = observed.again(instrumentation.uninstrument(app))
    again.call(("GET", "/items/7"))
    assert again.counted() == {("GET", "/items/{item}", "200", ""): 2}
    assert "shop" not in generate_latest(observed.registry).decode()


def test_uninstrument_removes_the_instrumentation_for_traces(store: ProcessStore) -> None:
    tracing = {"endpoint": "http://localhost:4318", "instrumentation": "contrib"}  # which changes the app
    settings = parse_settings({"logging": {"enabled": False}, "tracing": tracing})
    app = shop()
    build = app.build_middleware_stack
    instrumentation.instrument(app, settings=settings, store=store, registry=CollectorRegistry())
    assert app.build_middleware_stack != build
    instrumentation.uninstrument(app)
    assert app.build_middleware_stack == build
    assert statuses(app, "/items/7", "/metrics") == [200, 404]


def test_the_setting_is_read_from_the_file(tmp_path: Path) -> None:
    file = tmp_path / "sidelight.yaml"
    file.write_text("enabled: false\n")
    assert not load_settings(file, {}).enabled
    assert Settings().enabled
