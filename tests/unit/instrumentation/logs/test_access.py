"""Each request has one access line, which describes the request without its content."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from opentelemetry import trace

import instrumentation
from instrumentation import catalog
from instrumentation.settings import parse_settings
from tests.unit.instrumentation.test_http import Observed, shop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.unit.instrumentation.logs.conftest import Log

ACCESS = "instrumentation.access"


def observed(log: Log, app: Any = None, **keys: Any) -> Observed:
    settings = parse_settings({"service": {"name": "shop", "version": "7.3.0"}, "logging": keys})
    return Observed(app or shop(), settings, store=log.store)


def lines(log: Log) -> list[dict[str, Any]]:
    return [line for line in log.lines if line["logger"] == ACCESS]


def test_it_says_route_status_duration_and_id_and_nothing_that_was_sent(log: Log) -> None:
    headers = {"x-correlation-id": "abc-7", "cookie": "hunter2"}
    observed(log).call(("GET", "/items/31?token=hunter2"), headers=headers, content=b"hunter2")
    (line,) = lines(log)
    assert line.pop("timestamp").endswith("Z")
    assert 0 < line.pop("duration_ms") < 60_000
    assert line == {
        "level": "info", "event": "request", "logger": ACCESS, "correlation_id": "abc-7", "service": "shop",
        "version": "7.3.0", "environment": "development", "method": "GET", "route": "/items/{item}", "status": 200,
    }  # fmt: skip
    assert "hunter2" not in log.text
    assert "31" not in line["route"]


@pytest.mark.parametrize("bound", [False, True])
def test_the_line_of_a_stream_says_when_its_first_byte_was_sent(log: Log, *, bound: bool) -> None:
    app = FastAPI()

    @app.get("/events")
    async def events() -> StreamingResponse:
        if bound:
            structlog.contextvars.bind_contextvars(tenant="acme")

        async def parts() -> AsyncIterator[str]:
            await asyncio.sleep(0.02)
            yield "data: first\n\n"
            await asyncio.sleep(0.05)
            yield "data: last\n\n"

        return StreamingResponse(parts(), media_type="text/event-stream")

    observed(log, app).call(("GET", "/events"))
    (line,) = lines(log)
    assert 20 <= line["first_byte_ms"] <= line["duration_ms"] - 50
    assert ("tenant" in line) is bound


def test_an_error_is_one_and_says_its_type(log: Log) -> None:
    observed(log).call(("GET", "/broken"), ("GET", "/nope"))
    broken, unknown = lines(log)
    assert (broken["level"], broken["status"], broken["error_type"]) == ("error", 500, "500")
    assert (unknown["level"], unknown["status"], unknown["route"]) == ("info", 404, "")
    assert "error_type" not in unknown


def test_lines_are_counted_as_records(log: Log) -> None:
    observed(log).call(("GET", "/items/7"), ("GET", "/items/8"), ("GET", "/broken"))
    assert log.counted() == {("info",): 2, ("error",): 1}


def test_the_span_of_the_request_is_there_though_it_has_ended(log: Log) -> None:
    inner = shop()

    async def traced(scope: Any, receive: Any, send: Any) -> None:
        with trace.use_span(trace.NonRecordingSpan(trace.SpanContext(0xABC, 0x7, is_remote=False))):
            await inner(scope, receive, send)

    observed(log, traced).call(("GET", "/items/7"))
    (line,) = lines(log)
    assert (line["trace_id"], line["span_id"]) == (f"{0xABC:032x}", f"{7:016x}")


def test_of_successes_a_sample_is_kept_and_of_the_others_every_one(log: Log) -> None:
    watched = observed(log, access_sample_ratio=0.0)
    watched.call(("GET", "/items/7"), ("GET", "/nope"), ("GET", "/broken"))
    assert [line["status"] for line in lines(log)] == [404, 500]
    half = observed(log, access_sample_ratio=0.5)
    half.call(*[("GET", "/items/7")] * 200)
    assert 50 < len(lines(log)) - 2 < 150


def test_the_level_holds_for_it_too(log: Log) -> None:
    watched = observed(log)
    instrumentation.set_level("warning")
    watched.call(("GET", "/items/7"), ("GET", "/broken"))
    assert [line["status"] for line in lines(log)] == [500]


def test_there_is_no_access_line_if_it_is_turned_off(log: Log) -> None:
    observed(log, access=False).call(("GET", "/items/7"))
    observed(log, enabled=False).call(("GET", "/items/7"))
    assert lines(log) == []


def test_a_terminal_gets_it_in_columns(log: Log) -> None:
    log.configure(format="console")
    observed(log).call(("GET", "/items/7"), headers={"x-correlation-id": "abc-7"})
    assert "route=/items/{item}" in log.text
    assert "correlation_id=abc-7" in log.text


def test_uvicorn_writes_none_beside_ours(log: Log) -> None:
    access = logging.getLogger("uvicorn.access")
    access.propagate = False
    access.handlers = [logging.StreamHandler()]
    observed(log).call(("GET", "/items/7"))
    assert not access.hasHandlers()  # which is what uvicorn asks


def test_what_is_lost_is_born_at_zero(log: Log) -> None:
    assert catalog.LOG_LINES_LOST in {row.metric for row in log.store.series()}
