"""The layers that instrument() adds to an app if more than the duration is measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse
from opentelemetry import trace
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.trace import NoOpTracerProvider
from opentelemetry.util._once import Once
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.routing import Router
from starlette.testclient import TestClient

import instrumentation
from instrumentation.settings import parse_settings
from instrumentation.store import LocalStore
from tests.unit.instrumentation.test_http import Observed, shop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SIZES = parse_settings({"http": {"body_sizes": True}})


def sizes(observed: Observed) -> dict[tuple[str, ...], tuple[int, float]]:
    """(request or response, method, route, status, error_type) to how many bodies and bytes."""
    rows = (row for row in observed.store.series() if "_body_size_" in row.metric.name)
    return {(row.metric.name.split("_")[2], *row.labels): (int(sum(row.slots[:-1])), row.slots[-1]) for row in rows}


def test_sizes_are_counted_if_configured() -> None:
    app = shop()

    @app.post("/echo")
    async def echo(request: Request) -> StreamingResponse:
        def twice(body: bytes) -> Iterator[bytes]:
            yield body
            yield body

        return StreamingResponse(twice(await request.body()))

    observed = Observed(app, SIZES)
    observed.call(("POST", "/echo"), content=b"seven77")
    observed.call(("GET", "/broken"), ("GET", "/nope"))
    assert sizes(observed)["request", "POST", "/echo", "200", ""] == (1, 7.0)
    assert sizes(observed)["response", "POST", "/echo", "200", ""] == (1, 14.0)
    assert sizes(observed)["response", "GET", "/broken", "500", "500"] == (1, 21.0)
    assert sizes(observed)["response", "GET", "", "404", ""] == (1, 22.0)


def test_sizes_of_a_mounted_app_are_counted_once() -> None:
    outer = FastAPI()
    observed = Observed(outer, SIZES)
    outer.mount(
        "/t/{tenant}",
        instrumentation.instrument(shop(), settings=SIZES, store=observed.store, registry=observed.registry),
    )
    observed.call(("GET", "/t/1/items/7"))
    route = ("GET", "/t/{tenant}/items/{item}", "200", "")
    assert sizes(observed) == {("request", *route): (1, 0.0), ("response", *route): (1, 1.0)}


@pytest.mark.parametrize("path", ["/items/7", "/nope"])
def test_sizes_are_not_counted_by_default(path: str) -> None:
    observed = Observed(shop())
    observed.call(("GET", path))
    assert sizes(observed) == {}


@pytest.mark.parametrize(
    ("library", "telemetry", "said"),
    [
        ("sidelight", None, ""),
        ("sidelight", {"meter_provider": NoOpMeterProvider()}, ""),
        ("sidelight", {"tracer_provider": NoOpTracerProvider()}, "creates no spans for this app"),
        ("contrib", None, ""),
        ("contrib", {"meter_provider": NoOpMeterProvider()}, "records nothing for this app"),
    ],
)
def test_telemetry_of_fastapi_that_gives_way_is_logged(
    library: str, telemetry: Any, said: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)
    monkeypatch.setattr(trace, "_TRACER_PROVIDER_SET_ONCE", Once())
    tracing = {"endpoint": "http://127.0.0.1:9", "instrumentation": library}
    settings = parse_settings({"logging": {"enabled": False}, "tracing": tracing})
    app = FastAPI(telemetry=telemetry)
    instrumentation.instrument(app, settings=settings, store=LocalStore(), registry=CollectorRegistry())
    with TestClient(app):
        pass
    assert ("FastAPI's own telemetry (telemetry=)" in caplog.text) is bool(said)
    assert said in caplog.text


@pytest.mark.parametrize("make", [FastAPI, Starlette])
def test_frameworks_can_look_through_every_layer(
    make: Callable[[], Starlette], monkeypatch: pytest.MonkeyPatch
) -> None:
    """FastAPI looks for OpenTelemetry's middleware by the attribute `app`, and creates a second span without it."""
    contrib = {"endpoint": "http://127.0.0.1:9", "instrumentation": "contrib"}
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)  # only for this test: FastAPI would wrap every later app
    monkeypatch.setattr(trace, "_TRACER_PROVIDER_SET_ONCE", Once())
    app = make()
    settings = parse_settings({"http": {"body_sizes": True}, "tracing": contrib})
    store = LocalStore()
    instrumentation.instrument(app, settings=settings, store=store, registry=CollectorRegistry())
    app.middleware_stack = app.build_middleware_stack()
    layer, seen = app.middleware_stack, list[Any]()
    while layer is not None:
        seen.append(layer)
        layer = getattr(layer, "app", None)
    assert any(isinstance(each, OpenTelemetryMiddleware) for each in seen)
    assert any(isinstance(each, Router) for each in seen)
