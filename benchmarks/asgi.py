"""Calls an ASGI app in process, without a socket, in the same way as uvicorn."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    Message: TypeAlias = MutableMapping[str, Any]
    Receive: TypeAlias = Callable[[], Awaitable[Message]]
    Send: TypeAlias = Callable[[Message], Awaitable[None]]
    App: TypeAlias = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

HEADERS = [(b"host", b"127.0.0.1:8000"), (b"user-agent", b"sidelight-benchmarks"), (b"accept", b"*/*")]


class Wire:
    """Receive and send of one request, as bound methods of one object with a disconnect flag, like uvicorn's."""

    __slots__ = ("disconnected", "heard")

    def __init__(self) -> None:
        self.disconnected = False
        self.heard = False

    async def receive(self) -> Message:
        """The request's empty body, then nothing more."""
        if self.heard:
            await asyncio.Future()
        self.heard = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(self, message: Message) -> None:
        """Discard a message."""


class Keeping(Wire):
    """A wire that keeps the body."""

    __slots__ = ("body",)

    def __init__(self) -> None:
        super().__init__()
        self.body = b""

    async def send(self, message: Message) -> None:
        """Keep the body of a message."""
        self.body += message.get("body", b"")


def scope_of(path: str) -> dict[str, Any]:
    """The scope of a GET, with the same keys as uvicorn's."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "server": ("127.0.0.1", 8000),
        "client": ("127.0.0.1", 50000),
        "scheme": "http",
        "method": "GET",
        "root_path": "",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": HEADERS,
        "state": {},
    }


async def call(app: App, path: str, times: int = 1) -> None:
    """Request a path a number of times, one after the other."""
    scope = scope_of(path)
    for _ in range(times):
        wire = Wire()
        await app(dict(scope), wire.receive, wire.send)


async def body_of(app: App, path: str) -> bytes:
    """Request a path and return the body of the response."""
    wire = Keeping()
    await app(scope_of(path), wire.receive, wire.send)
    return wire.body
