"""A layer of either kind around a bare app, with what it counted."""

from __future__ import annotations

from types import coroutine
from typing import TYPE_CHECKING, Any

import _sidelight_speedups

from instrumentation.catalog import (
    HTTP_SERVER_ACTIVE_REQUESTS,
    HTTP_SERVER_ACTIVE_STREAMS,
    HTTP_SERVER_REQUEST_DURATION,
    HTTP_SERVER_STREAM_DURATION,
)
from instrumentation.http import middleware
from instrumentation.http.recorder import HttpRecorder
from instrumentation.http.routes import Routes
from instrumentation.http.streaming import Streams
from instrumentation.settings.route_patterns import RoutePatterns
from instrumentation.store import LocalStore

if TYPE_CHECKING:
    from collections.abc import Generator

KINDS = {"python": middleware.measuring, "compiled": _sidelight_speedups.measuring}
START = {"type": "http.response.start", "status": 200, "headers": []}
MORE = {"type": "http.response.body", "body": b"a", "more_body": True}
END = {"type": "http.response.body", "body": b"b"}
REQUEST = {"type": "http.request", "body": b"", "more_body": False}
GONE = {"type": "http.disconnect"}


class Layer:
    """A layer around an app, with a store of its own."""

    def __init__(
        self,
        kind: str,
        app: Any,
        *,
        store: Any = None,
        listeners: tuple[Any, ...] = (),
        edges: tuple[float, ...] = (0.5, 1.0),
    ) -> None:
        self.store = store or LocalStore()
        self.recorder = HttpRecorder(self.store, edges)
        self.routes = Routes(app)
        self.app: Any = KINDS[kind](
            app,
            recorder=self.recorder,
            routes=self.routes,
            excluded=frozenset({"/health"}),
            direct={"/metrics": page},
            other={},
            aside=lambda method, path: page if (method, path) == ("POST", "/aside") else None,
            streams=Streams(
                self.store,
                self.routes,
                excluded={"/health"},
                by_route=RoutePatterns(["/items/*"]),
                subscriptions=RoutePatterns(["/items/events"]),
            ),
            listeners=listeners,
        )

    def counted(self) -> dict[tuple[str, ...], int]:
        """Requests by (method, route, status, error type)."""
        rows = (row for row in self.store.series() if row.metric is HTTP_SERVER_REQUEST_DURATION)
        return {row.labels: int(sum(row.slots[:-1])) for row in rows}

    def active(self) -> float:
        rows = (row for row in self.store.series() if row.metric is HTTP_SERVER_ACTIVE_REQUESTS)
        return sum(row.slots[0] for row in rows)

    def streams(self) -> dict[tuple[str, ...], float]:
        """Streams that are open, and those that ended, by metric and route."""
        kinds = (HTTP_SERVER_ACTIVE_STREAMS, HTTP_SERVER_STREAM_DURATION)
        rows = (row for row in self.store.series() if row.metric in kinds)
        return {(row.metric.name, *row.labels): sum(row.slots[:-1] or row.slots) for row in rows}


def scope(**more: Any) -> dict[str, Any]:
    return {"type": "http", "method": "GET", "path": "/", "root_path": "", "headers": [], **more}


@coroutine
def pause(name: object = None) -> Generator[object, object, object]:
    """Suspend once; gives what is sent."""
    return (yield name)


async def receive() -> dict[str, Any]:
    return REQUEST


async def send(message: Any) -> None:
    del message


async def page(scope: Any, receive: Any, send: Any) -> None:
    del scope, receive
    await send(START)


async def answering(scope: Any, receive: Any, send: Any) -> None:
    del scope
    await receive()
    await send(START)
    await send(END)


def finish(coro: Any) -> Any:
    """Run to the end what never suspends."""
    try:
        coro.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("it is suspended")
