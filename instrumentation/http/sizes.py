"""Counts the bytes of request and response bodies as they are received and sent; it never trusts a header."""

from __future__ import annotations

import os
from bisect import bisect_left
from typing import TYPE_CHECKING

from instrumentation import catalog
from instrumentation.asgi_headers import promised_bytes
from instrumentation.offload import in_thread

if TYPE_CHECKING:
    from instrumentation.asgi import ASGIApp, Message, Receive, Scope, Send
    from instrumentation.store import Store
    from instrumentation.store.interface import Buffer

_OK = 200
MARK = "sidelight"
"""The key in a scope under which ``counting_bytes`` leaves what moved; the outermost layer has set it before."""

_METRICS = (catalog.HTTP_SERVER_REQUEST_BODY_SIZE, catalog.HTTP_SERVER_RESPONSE_BODY_SIZE)


class Moved:
    """The bytes of one request's bodies so far.

    Attributes:
        received: Bytes of the request's body that the app has taken.
        sent: Bytes of the response's body that the server has taken while the client was there.
    """

    __slots__ = ("received", "sent")

    def __init__(self) -> None:
        self.received = 0
        self.sent = 0


def counting_bytes(app: ASGIApp) -> ASGIApp:
    """An ASGI app that counts the bytes which go through it into ``scope["sidelight"]``.

    It stands directly within the outermost layer, so that a middleware which passes a copy of the scope passes the
    same ``Moved``. In an app that is mounted in one that counts already it does nothing.

    Args:
        app: The app within.
    """

    async def counting(scope: Scope, receive: Receive, send: Send) -> None:
        server = scope.get(MARK)
        if scope["type"] != "http" or isinstance(server, Moved):
            return await app(scope, receive, send)
        scope[MARK] = moved = Moved()
        has_body = scope["method"] != "HEAD"  # a server sends none, whatever the app gives it
        gone = False
        headers: object = ()

        async def heard() -> Message:
            nonlocal gone
            message = await receive()
            if message["type"] == "http.request":
                moved.received += _length(message.get("body"))
            elif message["type"] == "http.disconnect":
                gone = True
            return message

        async def counted(message: Message) -> None:
            nonlocal headers
            kind, size = message["type"], 0
            if kind == "http.response.start":
                headers = message.get("headers")
            elif has_body and not gone:
                is_file = kind == "http.response.pathsend"
                size = await _file_size(headers, message.get("path")) if is_file else _size(message)
            await send(message)  # what it refuses was not sent
            if getattr(server, "disconnected", False) is not True:  # uvicorn drops what is sent after its client left
                moved.sent += size

        return await app(scope, heard, counted)

    counting.app = app  # type: ignore[attr-defined]  # frameworks look through a stack by this name
    return counting


class SizeRecorder:
    """Counts what moved in the histograms of body sizes; only its own thread writes a shard, without a lock.

    Args:
        store: Where to count.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._places: dict[tuple[int, tuple[str, str, int, str]], tuple[int, int]] = {}
        store.follow(self)

    def reset(self) -> None:
        """Forget every place: the store has become another."""
        self._places.clear()

    def record(self, shard: int, buffer: Buffer, key: tuple[str, str, int, str], moved: Moved) -> None:
        """Count one request.

        Args:
            shard: The number of the shard that this thread alone writes.
            buffer: The store's buffer.
            key: (method, template, status, error_type), as the duration has it.
            moved: What the scope holds once the app has ended.
        """
        received, sent = self._places.get((shard, key)) or self._made(shard, key)
        _observe(buffer, received, moved.received)
        _observe(buffer, sent, moved.sent)

    def _made(self, shard: int, key: tuple[str, str, int, str]) -> tuple[int, int]:
        if len(self._places) > 2 * self._store.series_limit:  # a router that makes up templates
            self._places.clear()
        method, template, status, error_type = key
        labels = (method, template, str(int(status)), error_type)
        received, sent = (self._store.place(metric, labels, shard) for metric in _METRICS)
        self._places[shard, key] = received, sent
        return received, sent


def _observe(buffer: Buffer, place: int, size: int) -> None:
    edges = catalog.HTTP_SERVER_REQUEST_BODY_SIZE.buckets  # both have the same
    buffer[place + bisect_left(edges, size)] += 1.0
    buffer[place + len(edges) + 1] += size


def _size(message: Message) -> int:
    """The number of body bytes in a message; trailers do not count."""
    if message["type"] != "http.response.body":
        return 0
    body = message.get("body")
    return len(body) if type(body) is bytes else _length(body)  # the usual case without a call


def _length(body: object) -> int:
    """The number of bytes that a server would send; the server itself refuses a body that is not bytes."""
    if isinstance(body, memoryview):
        return body.nbytes
    return len(body) if isinstance(body, (bytes, bytearray)) else 0


async def _file_size(headers: object, path: object) -> int:
    """The size of a file that the server sends by itself: as the framework has just measured it, or measured in a thread."""
    declared = promised_bytes("GET", _OK, headers) if isinstance(headers, list | tuple) else None

    def measured() -> int:
        try:
            return os.stat(path).st_size  # type: ignore[arg-type]  # noqa: PTH116 - a path of any kind
        except (OSError, TypeError, ValueError):
            return 0

    return await in_thread(measured, "sidelight-file-size") if declared is None else declared
