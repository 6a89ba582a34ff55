"""Websockets are counted while they are open, and timed when they end; docs/reference/behaviours.md is made from these names."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import APIRouter, FastAPI, WebSocket
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, WebSocketRoute

from instrumentation.settings import parse_settings
from tests.unit.instrumentation.test_http import Failing, Observed, Unreadable

if TYPE_CHECKING:
    from collections.abc import Callable

CONNECT = {"type": "websocket.connect"}
HELLO = {"type": "websocket.receive", "text": "hello"}
LEAVE = {"type": "websocket.disconnect", "code": 1001}
BROKEN = RuntimeError("broken")


async def echo(socket: WebSocket) -> None:
    await socket.accept()
    async for text in socket.iter_text():
        await socket.send_text(text)


async def refuse(socket: WebSocket) -> None:
    await socket.close()


async def fail(socket: WebSocket) -> None:
    await socket.accept()
    raise BROKEN


async def deny(socket: WebSocket) -> None:
    await socket.send_denial_response(PlainTextResponse("no", 403))


async def bare_service(scope: Any, receive: Any, send: Any) -> None:
    await echo(WebSocket(scope, receive, send))


def starlette_service() -> Starlette:
    return Starlette(routes=[WebSocketRoute("/talk/{x}", echo)])


def service() -> FastAPI:
    rooms = APIRouter(prefix="/rooms/{room}")
    rooms.add_api_websocket_route("/talk", echo)
    app = FastAPI()
    app.include_router(rooms, prefix="/v1")
    app.add_api_websocket_route("/refuse", refuse)
    app.add_api_websocket_route("/deny", deny)
    app.add_api_websocket_route("/fail", fail)
    app.mount("/sites/{site}", Starlette(routes=[Mount("/inner", routes=[WebSocketRoute("/{x}", echo)])]))
    return app


def active(observed: Observed) -> dict[str, float]:
    rows = (row for row in observed.store.series() if row.metric.name == "websocket_server_active_connections")
    return {row.labels[0]: row.slots[0] for row in rows}


def ended(observed: Observed) -> dict[str, float]:
    rows = (row for row in observed.store.series() if row.metric.name == "websocket_server_connection_duration_seconds")
    return {row.labels[0]: sum(row.slots[:-1]) for row in rows}


def connect(app: Any, path: str, during: Callable[[], None] = lambda: None) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []
    messages = [CONNECT, HELLO, LEAVE]

    async def receive() -> dict[str, Any]:
        if len(messages) == 1:
            during()
        return messages.pop(0)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(app(scope(path), receive, send))
    return sent


def scope(path: str) -> dict[str, Any]:
    return {
        "type": "websocket", "path": path, "raw_path": path.encode(), "root_path": "", "query_string": b"", "headers": [],
        "subprotocols": [], "extensions": {"websocket.http.response": {}},
    }  # fmt: skip


@pytest.mark.parametrize("path", ["/v1/rooms/7/talk", "/sites/a/inner/b", "/refuse", "/deny", "/none"])
def test_nothing_changes_for_the_server(path: str) -> None:
    assert connect(Observed(service()).app, path) == connect(service(), path)


# --- Websockets -------------------------------------------------------------------------------------------------------

WEBSOCKETS = {
    "in nested routers": (service, "/v1/rooms/7/talk", "/v1/rooms/{room}/talk"),
    "in mounted apps": (service, "/sites/a/inner/b", "/sites/{site}/inner/{x}"),
    "of Starlette alone": (starlette_service, "/talk/7", "/talk/{x}"),
    "of a bare ASGI app": (lambda: bare_service, "/talk/7", ""),
}


@pytest.mark.parametrize(("make", "path", "template"), WEBSOCKETS.values(), ids=WEBSOCKETS)
def test_a_websocket_that_is_open_and_one_that_has_ended(make: Callable[[], Any], path: str, template: str) -> None:
    """one active connection of its route; then none, and a duration"""
    observed = Observed(make())
    during: list[dict[str, float]] = []
    connect(observed.app, path, lambda: during.append(active(observed)))
    assert during == [{template: 1.0}]
    assert active(observed) == {template: 0.0}
    assert ended(observed) == {template: 1.0}


@pytest.mark.parametrize("path", ["/refuse", "/deny", "/none"])
def test_a_websocket_that_is_refused_or_matched_by_no_route(path: str) -> None:
    """nothing: it was never open"""
    observed = Observed(service())
    connect(observed.app, path)
    assert (active(observed), ended(observed)) == ({}, {})


def test_a_websocket_whose_handler_fails() -> None:
    """its end, with a duration; the exception is raised as before"""
    observed = Observed(service())
    with pytest.raises(RuntimeError) as caught:
        connect(observed.app, "/fail")
    assert caught.value is BROKEN
    assert (active(observed), ended(observed)) == ({"/fail": 0.0}, {"/fail": 1.0})


def test_a_websocket_that_is_cancelled() -> None:
    """its end, with a duration"""
    observed = Observed(service())

    async def run() -> None:
        says, opened = [CONNECT], asyncio.Event()

        async def receive() -> dict[str, Any]:
            if not says:
                await asyncio.Event().wait()
            return says.pop()

        async def send(_: dict[str, Any]) -> None:
            opened.set()

        task = asyncio.ensure_future(observed.app(scope("/v1/rooms/7/talk"), receive, send))
        await opened.wait()
        assert active(observed) == {"/v1/rooms/{room}/talk": 1.0}
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    assert active(observed) == {"/v1/rooms/{room}/talk": 0.0}
    assert ended(observed) == {"/v1/rooms/{room}/talk": 1.0}


def test_a_websocket_is_not_a_request() -> None:
    observed = Observed(service())
    connect(observed.app, "/v1/rooms/7/talk")
    assert observed.counted() == {}
    assert observed.active() == {}


@pytest.mark.parametrize(
    ("make", "excluded"),
    [(service, "/v1/rooms/{room}/talk"), (service, "/v1/*/talk"), (lambda: bare_service, "/v1/*")],
)
def test_a_websocket_of_an_excluded_route(make: Callable[[], Any], excluded: str) -> None:
    """nothing"""
    observed = Observed(make(), parse_settings({"http": {"excluded_routes": [excluded]}}))
    connect(observed.app, "/v1/rooms/7/talk")
    assert (active(observed), ended(observed)) == ({}, {})


# --- Errors in Sidelight ----------------------------------------------------------------------------------------------


def test_a_websocket_that_cannot_be_counted(caplog: pytest.LogCaptureFixture) -> None:
    """logged once; the websocket does not change"""
    store = Failing()
    observed = Observed(service(), store=store)
    store.is_full = True
    with caplog.at_level(logging.ERROR, logger="instrumentation"):
        sent = [connect(observed.app, "/v1/rooms/7/talk") for _ in range(3)]
    assert sent == [connect(service(), "/v1/rooms/7/talk")] * 3
    assert len(caplog.records) == 1


def test_a_websocket_whose_scope_cannot_be_read(caplog: pytest.LogCaptureFixture) -> None:
    """logged once; the websocket does not change"""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope["route"] = Unreadable()
        await bare_service(scope, receive, send)

    observed = Observed(app)
    with caplog.at_level(logging.ERROR, logger="instrumentation"):
        sent = [connect(observed.app, "/") for _ in range(3)]
    assert sent == [connect(bare_service, "/")] * 3
    assert len(caplog.records) == 1
