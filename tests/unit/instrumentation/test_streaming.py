"""Streams: their latency ends with their first byte; docs/reference/behaviours.md is made from these names."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import BackgroundTasks, FastAPI
from fastapi.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse

from instrumentation.http.streaming import CONTENT_TYPES
from instrumentation.settings import parse_settings
from tests.unit.instrumentation.test_behaviours import (
    BROKEN,
    MORE,
    NOTHING,
    REQUEST,
    START,
    Client,
    Holding,
    SilentlyGone,
    bare,
    deep,
    mounted,
    raising,
    scope,
)
from tests.unit.instrumentation.test_http import METRICS_ALONE, Failing, Observed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from instrumentation.settings import Settings

EVENTS = "text/event-stream"
LONG = 0.3  # seconds
EVENT_START = {**START, "headers": [(b"content-type", b"text/event-stream; charset=utf-8")]}
Part = bytes | float


async def parts(*given: Part) -> AsyncIterator[bytes]:
    """Parts of a body, and seconds to wait between them."""
    for part in given:
        if isinstance(part, bytes):
            yield part
        else:
            await asyncio.sleep(part)


def service(*given: Part, path: str = "/chat/{room}", **options: Any) -> FastAPI:
    app = FastAPI()
    app.add_api_route(path, lambda: StreamingResponse(parts(*given), **{"media_type": EVENTS, **options}))
    return app


def settings(**http: Any) -> Settings:
    return parse_settings({"http": http, "logging": {"enabled": False, "correlation_id": False}})


def opened(observed: Observed) -> dict[str, float]:
    rows = (row for row in observed.store.series() if row.metric.name == "http_server_active_streams")
    return {row.labels[0]: row.slots[0] for row in rows}


def ended(observed: Observed) -> dict[str, tuple[int, float]]:
    """Streams that ended, and their seconds, by route."""
    rows = (row for row in observed.store.series() if row.metric.name == "http_server_stream_duration_seconds")
    return {row.labels[0]: (int(sum(row.slots[:-1])), row.slots[-1]) for row in rows}


# --- Streams ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("media_type", [*sorted(one.decode() for one in CONTENT_TYPES), "TEXT/Event-Stream; charset=x"])
def test_a_stream_by_its_content_type(media_type: str) -> None:
    """the duration until its first byte; its own duration and number by route"""
    observed = Observed(service(b"data: 7\n\n", LONG, b"data: 3\n\n", media_type=media_type))
    (response,) = observed.call(("GET", "/chat/1"))
    assert response.content == b"data: 7\n\ndata: 3\n\n"
    assert observed.counted() == {("GET", "/chat/{room}", "200", ""): 1}
    assert observed.seconds() < LONG
    assert opened(observed) == {"/chat/{room}": 0.0}
    (number, seconds) = ended(observed)["/chat/{room}"]
    assert (number, seconds >= LONG) == (1, True)


def test_a_stream_whose_first_byte_is_late() -> None:
    """the duration until its first byte"""
    observed = Observed(service(LONG, b"data: 7\n\n"))
    observed.call(("GET", "/chat/1"))
    assert observed.seconds() >= LONG


def test_parts_of_a_stream_without_a_byte_are_not_its_first_byte() -> None:
    """the duration until its first byte"""
    observed = Observed(service(b"", LONG, b"", b"data: 7\n\n"))
    observed.call(("GET", "/chat/1"))
    assert observed.seconds() >= LONG


def test_a_stream_in_a_single_message() -> None:
    """the duration until that message"""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        del scope, receive
        await send(dict(EVENT_START))
        await asyncio.sleep(LONG)
        await send({"type": "http.response.body", "body": b"data: 7\n\n"})

    observed = Observed(app)
    observed.call(("GET", "/"))
    assert observed.seconds() >= LONG
    assert ended(observed)[""][0] == 1


@pytest.mark.parametrize("given", [(LONG, b": ping\n\n", b"data: 7\n\n"), (LONG, b""), (LONG,)])
def test_a_stream_that_begins_with_a_comment_or_has_no_byte(given: tuple[Part, ...]) -> None:
    """the duration until the response starts"""
    observed = Observed(service(*given))
    observed.call(("GET", "/chat/1"))
    assert observed.seconds() < LONG


@pytest.mark.parametrize("subscription", ["/chat/{room}", "/chat/*"])
def test_a_stream_of_http_subscription_routes_whose_first_event_is_late(subscription: str) -> None:
    """the duration until the response starts"""
    observed = Observed(
        service(LONG, b"event", media_type="application/x-own"), settings(subscription_routes=[subscription])
    )
    observed.call(("GET", "/chat/1"))
    assert observed.seconds() < LONG
    assert ended(observed)["/chat/{room}"][0] == 1


@pytest.mark.parametrize("streaming", ["/chat/{room}", "/chat/*", "/chat/1"])
@pytest.mark.parametrize("headers", [{}, {"content-length": "10"}])
def test_a_stream_of_http_streaming_routes(streaming: str, headers: dict[str, str]) -> None:
    """the duration until its first byte, also with a content-length"""
    app = service(b"first", LONG, b"other", media_type="application/x-own", headers=headers)
    observed = Observed(app, settings(streaming_routes=["/other", streaming]))
    assert observed.call(("GET", "/chat/1"))[0].content == b"firstother"
    assert observed.seconds() < LONG
    assert ended(observed)["/chat/{room}"][0] == 1


NO_STREAMS: dict[str, tuple[Callable[[], Any], dict[str, Any]]] = {
    "another content type": (lambda: service(b"a", LONG, b"b", media_type="text/plain"), {}),
    "a content-length": (lambda: service(b"a", LONG, b"b", headers={"content-length": "2"}), {}),
    "a status of an error": (lambda: service(b"a", LONG, b"b", status_code=429), {}),
    "a status of an error of a route that is named": (
        lambda: service(b"a", LONG, b"b", status_code=429), {"streaming_routes": ["/chat/*"]}
    ),
    "another route than those that are named": (
        lambda: service(b"a", LONG, b"b", media_type="text/plain"), {"streaming_routes": ["/chats/*"]}
    ),
}  # fmt: skip


@pytest.mark.parametrize(("make", "http"), NO_STREAMS.values(), ids=NO_STREAMS)
def test_a_response_that_is_not_a_stream(make: Callable[[], Any], http: dict[str, Any]) -> None:
    """the duration until its last byte"""
    observed = Observed(make(), settings(**http))
    observed.call(("GET", "/chat/1"))
    assert observed.seconds() >= LONG
    assert (opened(observed), ended(observed)) == ({}, {})


def test_head_of_a_stream_and_a_stream_of_an_excluded_route() -> None:
    """no stream"""
    observed = Observed(service(b"a"), settings(excluded_routes=["/chat/{room}"]))
    observed.call(("GET", "/chat/1"))
    app = bare({**EVENT_START}, NOTHING)
    other = observed.again(app)
    other.call(("HEAD", "/"))
    assert (opened(observed), ended(observed)) == ({}, {})
    assert observed.counted() == {("HEAD", "", "200", ""): 1}


def test_active_streams_rise_and_fall_before_a_background_task() -> None:
    """one while it flows, none in its background task; it is an active request too"""
    during = []

    def look(when: str) -> None:
        during.append((when, opened(observed), observed.active()))

    async def events() -> AsyncIterator[bytes]:
        look("before")
        yield b"data: 7\n\n"
        look("amid")

    app = FastAPI()

    @app.get("/events")
    async def stream(tasks: BackgroundTasks) -> StreamingResponse:
        tasks.add_task(look, "after")
        return StreamingResponse(events(), media_type=EVENTS, background=tasks)

    observed = Observed(app)
    observed.call(("GET", "/events"))
    assert during == [
        ("before", {"/events": 1.0}, {"GET": 1.0}),
        ("amid", {"/events": 1.0}, {"GET": 1.0}),
        ("after", {"/events": 0.0}, {"GET": 0.0}),
    ]


@pytest.mark.parametrize("make", [lambda inner: inner, mounted], ids=["alone", "mounted"])
def test_the_route_of_a_stream_has_every_prefix(make: Callable[[Any], Any]) -> None:
    """the full template"""
    app = deep()
    app.include_router(service(b"data: 7\n\n").router, prefix="/v2/{shop}")
    whole = make(app)
    observed = Observed(whole)
    prefix, template = ("", "") if whole is app else ("/tenants/acme", "/tenants/{tenant}")
    observed.call(("GET", f"{prefix}/v2/7/chat/1"))
    assert [*ended(observed)] == [f"{template}/v2/{{shop}}/chat/{{room}}"]


# --- Clients that disconnect ------------------------------------------------------------------------------------------


def endless(path: str = "/events") -> FastAPI:
    return service(*[b"data: 7\n\n", 0.0] * 1000, path=path)


@pytest.mark.parametrize("kind", [Client, SilentlyGone])
@pytest.mark.parametrize("cancelled", [False, True])
def test_a_stream_that_its_client_ends(kind: type[Client], *, cancelled: bool) -> None:
    """the status that was sent, and no error: it is the normal end of a stream"""
    observed = Observed(raising(asyncio.CancelledError(), endless()) if cancelled else endless())
    kind(REQUEST, leaves=5).call(observed.app, scope("/events"))
    assert {(method, status, error) for method, _, status, error in observed.counted()} == {("GET", "200", "")}
    assert [*opened(observed).values()] == [0.0]


def test_a_stream_whose_app_raises_since_its_client_has_left() -> None:
    """the status that was sent, and no error"""
    observed = Observed(raising(BROKEN, bare(EVENT_START, MORE, MORE)))
    Client(leaves=2).call(observed.app, scope("/"))
    assert observed.counted() == {("GET", "", "200", ""): 1}


def test_gone_before_a_stream_starts() -> None:
    """`499`, and no stream"""
    observed = Observed(endless())
    Client(REQUEST, leaves=0).call(observed.app, scope("/events"))
    assert observed.counted() == {("GET", "/events", "499", ""): 1}
    assert opened(observed) == {}


@pytest.mark.parametrize(("leaves", "status"), [(1, "499"), (2, "200")])
def test_gone_before_the_first_part_of_a_stream_on_granian(leaves: int, status: str) -> None:
    """`499`; the status that was sent, once the body began"""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        del scope
        await send(dict(EVENT_START))
        if leaves == 1:
            await receive()
        await send(dict(MORE))
        if leaves > 1:
            await receive()
        await send(dict(NOTHING))

    observed = Observed(app)
    Holding(leaves=leaves).call(observed.app, scope("/"))
    assert observed.counted() == {("GET", "", status, ""): 1}
    assert opened(observed) == {"": 0.0}


# --- Statuses and errors ----------------------------------------------------------------------------------------------


def test_a_stream_whose_app_fails() -> None:
    """an error: `response_aborted`"""

    async def broken_off() -> AsyncIterator[bytes]:
        yield b"data: 7\n\n"
        raise BROKEN

    app = FastAPI()
    app.add_api_route("/chat", lambda: StreamingResponse(broken_off(), media_type=EVENTS))
    observed = Observed(app)
    observed.call(("GET", "/chat"))
    assert observed.counted() == {("GET", "/chat", "200", "response_aborted"): 1}
    assert opened(observed) == {"/chat": 0.0}


def test_a_stream_that_the_service_ends_without_a_last_message() -> None:
    """the status that was sent, and no error: so sse-starlette ends streams when the server stops"""
    observed = Observed(bare(EVENT_START, MORE))
    Client().call(observed.app, scope("/"))
    assert observed.counted() == {("GET", "", "200", ""): 1}


def test_errors_before_a_stream_starts_are_counted_as_usual() -> None:
    """`GET /chat 500`, error `500`; `GET /chat 429`"""
    app = FastAPI()

    @app.get("/chat")
    async def chat(code: int = 500) -> Response:
        if code == 500:
            raise BROKEN
        return JSONResponse({}, code)

    observed = Observed(app)
    observed.call(("GET", "/chat"), ("GET", "/chat?code=429"))
    assert observed.counted() == {("GET", "/chat", "500", "500"): 1, ("GET", "/chat", "429", ""): 1}


# --- Limits -----------------------------------------------------------------------------------------------------------


def test_a_second_start_opens_no_second_stream() -> None:
    """one stream, which ends"""
    observed = Observed(bare(EVENT_START, EVENT_START, MORE, NOTHING))
    Client().call(observed.app, scope("/"))
    assert opened(observed) == {"": 0.0}


# --- Errors in Sidelight ----------------------------------------------------------------------------------------------


def test_a_stream_that_cannot_be_counted(caplog: pytest.LogCaptureFixture) -> None:
    """logged once; the stream does not change"""
    store = Failing()
    observed = Observed(service(b"data: 7\n\n", b"data: 3\n\n"), store=store)
    observed.call(("GET", "/none"))
    store.is_full = True
    with caplog.at_level(logging.ERROR, logger="instrumentation"):
        responses = observed.call(("GET", "/chat/1"), ("GET", "/chat/1"))
    assert [response.content for response in responses] == [b"data: 7\n\ndata: 3\n\n"] * 2
    assert len(caplog.records) == 1


@pytest.mark.parametrize("headers", [[(b"content-type",)], [7], [("content-type", EVENTS)], [(b"content-type", None)]])
def test_invalid_headers_change_nothing(headers: list[Any], caplog: pytest.LogCaptureFixture) -> None:
    """the request is counted"""
    observed = Observed(bare({**START, "headers": headers}, MORE, NOTHING))
    client = Client()
    with caplog.at_level(logging.ERROR, logger="instrumentation"):
        client.call(observed.app, scope("/"))
    assert client.sent[0]["headers"] == headers
    assert observed.counted() == {("GET", "", "200", ""): 1}
    assert opened(observed) == {}
    assert caplog.records == []


def test_plain_responses_if_streams_are_not_counted() -> None:
    """counted as before"""
    observed = Observed(PlainTextResponse("here"), METRICS_ALONE)
    observed.call(("GET", "/"))
    assert observed.counted() == {("GET", "", "200", ""): 1}
    assert (opened(observed), ended(observed)) == ({}, {})
