"""Websockets are counted while they are open, and timed when they end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import APIRouter, FastAPI, WebSocket
from starlette.applications import Starlette
from starlette.routing import Mount, WebSocketRoute

from tests.unit.instrumentation.test_http import Observed

if TYPE_CHECKING:
    from collections.abc import Callable

CONNECT = {"type": "websocket.connect"}
LEAVE = {"type": "websocket.disconnect", "code": 1001}


async def echo(socket: WebSocket) -> None:
    await socket.accept()
    async for text in socket.iter_text():
        await socket.send_text(text)


async def refuse(socket: WebSocket) -> None:
    await socket.close()


async def fail(socket: WebSocket) -> None:
    await socket.accept()
    raise RuntimeError("broken")


def service() -> FastAPI:
    rooms = APIRouter(prefix="/rooms/{room}")
    rooms.add_api_websocket_route("/talk", echo)
    app = FastAPI()
    app.include_router(rooms, prefix="/v1")
    app.add_api_websocket_route("/refuse", refuse)
    app.add_api_websocket_route("/fail", fail)
    app.mount("/sites/{site}", Starlette(routes=[Mount("/inner", routes=[WebSocketRoute("/{x}", echo)])]))
    return app


def active(observed: Observed) -> dict[str, float]:
    rows = (row for row in observed.store.series() if row.metric.name == "websocket_server_active_connections")
    return {row.labels[0]: row.slots[0] for row in rows}


def ended(observed: Observed) -> dict[str, float]:
    rows = (row for row in observed.store.series() if row.metric.name == "websocket_server_connection_duration_seconds")
    return {row.labels[0]: sum(row.slots[:-1]) for row in rows}


def connect(observed: Observed, path: str, during: Callable[[], None] = lambda: None) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []
    messages = [CONNECT, LEAVE]

    async def receive() -> dict[str, Any]:
        if len(messages) == 1:
            during()
        return messages.pop(0)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "websocket", "path": path, "root_path": "", "query_string": b"", "headers": [], "subprotocols": []}
    asyncio.run(observed.app(scope, receive, send))
    return sent


@pytest.mark.parametrize(
    ("path", "template"),
    [("/v1/rooms/7/talk", "/v1/rooms/{room}/talk"), ("/sites/a/inner/b", "/sites/{site}/inner/{x}")],
)
def test_an_open_websocket_is_active_and_one_that_ended_has_a_duration(path: str, template: str) -> None:
    observed = Observed(service())
    during: list[dict[str, float]] = []
    connect(observed, path, lambda: during.append(active(observed)))
    assert during == [{template: 1.0}]
    assert active(observed) == {template: 0.0}
    assert ended(observed) == {template: 1.0}


def test_a_websocket_that_is_refused_was_never_open() -> None:
    observed = Observed(service())
    connect(observed, "/refuse")
    assert (active(observed), ended(observed)) == ({}, {})


def test_a_websocket_whose_handler_fails_has_ended_and_the_exception_goes_on() -> None:
    observed = Observed(service())
    with pytest.raises(RuntimeError, match="broken"):
        connect(observed, "/fail")
    assert (active(observed), ended(observed)) == ({"/fail": 0.0}, {"/fail": 1.0})


def test_websockets_are_no_requests() -> None:
    observed = Observed(service())
    connect(observed, "/v1/rooms/7/talk")
    assert observed.counted() == {}


def test_a_path_that_no_route_matches_opens_nothing() -> None:
    observed = Observed(service())
    connect(observed, "/none")
    assert (active(observed), ended(observed)) == ({}, {})
