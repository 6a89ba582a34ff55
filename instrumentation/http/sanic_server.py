"""Sanic's own server, which does not use ASGI: each of its requests passes through the same ASGI layers.

The app keeps its own request and response. A request gets a scope, and what the app sends to Sanic's HTTP stream becomes ASGI
messages on their way through the layers, at whose end it is written to the stream.
"""

from __future__ import annotations

import asyncio
from asyncio import CancelledError
from contextvars import ContextVar
from functools import cache
from inspect import isawaitable
from types import new_class
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from instrumentation.http.frameworks.interface import EXCHANGE
from instrumentation.http.sizes import MARK, Moved
from instrumentation.log_once import LogOnce

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from instrumentation.asgi import ASGIApp, Message, Receive, Scope, Send

    Handle = Callable[[Any], Awaitable[None]]

_current: ContextVar[Exchange] = ContextVar("sidelight_sanic_exchange")


class SanicServer:
    """Passes the requests of Sanic's own server to the layers around an app.

    Args:
        app: The app.
    """

    def __init__(self, app: Any) -> None:
        self._app = app
        self._enter: ASGIApp | None = None
        self._method: object = None
        self._lifespan: _Lifespan | None = None
        self._log_once = LogOnce()
        app.register_listener(self._start, "before_server_start")
        app.register_listener(self._stop, "after_server_stop")

    def within(self, inner: ASGIApp) -> ASGIApp:
        """The innermost app: a request of Sanic's own server is answered by the handler that the server called."""

        async def called(scope: Scope, receive: Receive, send: Send) -> None:
            exchange = scope.get(EXCHANGE)
            if exchange is None or (scope["type"] != "lifespan" and exchange.scope is not scope):
                await inner(scope, receive, send)  # served as ASGI, or a probe, whose scope is a copy
            elif scope["type"] != "lifespan":  # Sanic calls its listeners itself
                await exchange.answer(send)

        return called

    def methods(self, kind: Any, enter: ASGIApp) -> dict[str, Any]:
        """The methods of the observed app's class.

        Args:
            kind: The app's own class.
            enter: Passes a request to the layers.
        """

        async def handle_request(app: Any, request: Any) -> None:
            async def handle(request: Any) -> None:
                await kind.handle_request(app, request)

            if app is not self._app or not self._is_own(request.stream):
                return await handle(request)
            exchange = Exchange(request, handle)
            return await enter(exchange.scope, exchange.receive, exchange.send)

        self._enter, self._method = enter, handle_request
        return {"handle_request": handle_request}

    def _is_own(self, stream: Any) -> bool:
        if self._app.asgi:
            return False
        is_known = hasattr(stream, "response_func")
        is_probe = hasattr(stream, "sanic_app")
        if not (is_known or is_probe):
            self._log_once(
                "requests over HTTP/3 are not observed, because this version of Sanic answers them in another way"
            )
        return is_known

    async def _start(self, app: Any) -> None:
        if not app.asgi and self._enter is not None and vars(type(app)).get("handle_request") is self._method:
            self._lifespan = _Lifespan(self._enter)
            await self._lifespan.ask("lifespan.startup")

    async def _stop(self, _: Any) -> None:
        if self._lifespan is not None:
            lifespan, self._lifespan = self._lifespan, None
            await lifespan.ask("lifespan.shutdown")


class _Lifespan:
    """The lifespan of the layers, as an ASGI server would drive it.

    Args:
        enter: Passes a scope to the layers.
    """

    def __init__(self, enter: ASGIApp) -> None:
        self._asked: asyncio.Queue[Message] = asyncio.Queue()
        self._answered: asyncio.Queue[Message] = asyncio.Queue()
        scope = {"type": "lifespan", "asgi": {"version": "3.0"}, EXCHANGE: self}
        self._running = asyncio.ensure_future(enter(scope, self._asked.get, self._answered.put))

    async def ask(self, kind: str) -> None:
        """Send a message and await its answer; what the layers raise, such as ``SettingsError``, is raised."""
        await self._asked.put({"type": kind})
        answer = asyncio.ensure_future(self._answered.get())
        await asyncio.wait({answer, self._running}, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            answer.cancel()
            self._running.result()


class Exchange:
    """One request of Sanic's own server.

    Args:
        request: Sanic's request.
        handle: Answers it, as Sanic does.

    Attributes:
        request: As given.
        scope: Its ASGI scope.
    """

    def __init__(self, request: Any, handle: Handle) -> None:
        self.request = request
        self._handle = handle
        self._stream = request.stream
        self._kind = "websocket" if self._stream.upgrade_websocket else "http"
        self._prefix = "websocket.http.response" if self._kind == "websocket" else "http.response"
        self._through: Send | None = None  # into the layers, while the app answers
        self._write: Any = None  # Sanic's function for the next part of the response
        self._given: list[tuple[bytes, bytes]] = []
        self._is_started = False
        self._page: Any = None  # a response that the layers give themselves
        self.scope = self._new_scope()

    # --- For the layers: this is the server

    @property
    def disconnected(self) -> bool:
        """Whether the client has left; the layer reads the attribute of uvicorn with this name."""
        transport = self._stream.protocol.transport
        return transport is None or bool(transport.is_closing())

    async def receive(self) -> Message:
        """An empty body: the app reads the body from Sanic's request."""
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(self, message: Message) -> None:
        """ASGI's ``send``: write to Sanic's stream."""
        kind = message["type"]
        if kind == f"{self._prefix}.start":
            if self._through is None:
                self._page = self._stream.respond(_response(message))
            else:
                headers = self._stream.response.headers
                for name, value in message["headers"]:
                    if (name, value) not in self._given:
                        headers[name.decode("latin-1")] = value.decode("latin-1")
        elif kind == f"{self._prefix}.body":
            data, is_last = message.get("body", b""), not message.get("more_body")
            await (self._page.send(data, end_stream=is_last) if self._through is None else self._written(data, is_last))

    # --- For the app

    async def answer(self, through: Send) -> None:
        """Let Sanic answer, and pass what it sends through the layers."""
        stream, self._through = self._stream, through
        self._write, stream.response_func = stream.response_func, self._part
        if self._kind == "websocket":
            kind: Any = type(stream.protocol)
            stream.protocol.__class__ = _noting_handshakes(kind)
        _current.set(self)
        try:
            await self._handle_as_server()
        finally:
            self._through = None
            if not self._is_started:
                stream.response_func = self._write
            moved = self.scope.get(MARK)
            if isinstance(moved, Moved):
                moved.received = (stream.request_bytes or 0) - (stream.request_bytes_left or 0)

    async def accepted(self) -> None:
        """Tell the layers that the websocket is open."""
        if self._through is not None:
            await self._through({"type": "websocket.accept", "subprotocol": None, "headers": []})

    async def _handle_as_server(self) -> None:
        """Handle the request. The server's response to an exception is sent here already, within the layers."""
        stream = self._stream
        try:
            await self._handle(self.request)
        except CancelledError:
            error = stream.exception  # such as a timeout of the server
            if error is None or self._is_started or self.disconnected:
                raise
            stream.exception, stream.keep_alive = None, False
            await stream.error_response(error)
        except Exception as error:
            if self._is_started:
                raise
            await stream.error_response(error)

    async def _part(self, data: bytes, end_stream: bool) -> None:  # noqa: FBT001 - Sanic's signature
        """Sanic's function for a part of the response; the first one begins it."""
        if self._through is None:
            return await self._written(data, end_stream)
        if not self._is_started:
            self._is_started = True
            response = self._stream.response
            self._given = [(name.lower(), value) for name, value in response.processed_headers]
            start = {"type": f"{self._prefix}.start", "status": response.status, "headers": [*self._given]}
            await self._through(start)
            whole = getattr(response, "body", None)
            if not data and whole:
                data, end_stream = whole, True
        return await self._through({"type": f"{self._prefix}.body", "body": data, "more_body": not end_stream})

    async def _written(self, data: bytes, is_last: bool) -> None:  # noqa: FBT001 - as above
        written = self._write(data, is_last)
        if isawaitable(written):  # a response to HEAD ignores its body with a plain function
            await written
        if self._stream.response_func is not None and self._stream.response_func != self._part:
            self._write, self._stream.response_func = self._stream.response_func, self._part

    def _new_scope(self) -> Scope:
        request, transport = self.request, self._stream.protocol.transport
        headers = [
            (name.lower().encode("latin-1"), value.encode(errors="surrogateescape"))
            for name, value in request.headers.items()
        ]
        scheme = "ws" if self._kind == "websocket" else "http"
        return {
            "type": self._kind,
            "asgi": {"version": "3.0", "spec_version": "2.5"},
            "http_version": request.version,
            "method": request.method,
            "scheme": f"{scheme}s" if transport.get_extra_info("sslcontext") else scheme,
            "path": unquote(request.path),
            "raw_path": request.path.encode(),
            "root_path": "",
            "query_string": request.query_string.encode(),
            "headers": headers,
            "client": _address(transport.get_extra_info("peername")),
            "server": _address(transport.get_extra_info("sockname")),
            "subprotocols": [],
            "extensions": {},
            EXCHANGE: self,
        }


def _response(start: Message) -> Any:
    from sanic import HTTPResponse  # noqa: PLC0415 - the app has loaded it

    response = HTTPResponse(status=start["status"])
    for name, value in start["headers"]:
        response.headers.add(name.decode("latin-1"), value.decode("latin-1"))
    return response


def _address(name: Any) -> tuple[str, int | None] | None:
    """An address as ASGI has it; a Unix socket has only a path."""
    if isinstance(name, tuple):
        return name[0], name[1]
    return (name, None) if isinstance(name, str) and name else None


@cache
def _noting_handshakes(kind: Any) -> Any:
    """A subclass of Sanic's protocol for websockets that tells when a websocket is open."""
    if not hasattr(kind, "websocket_handshake") or getattr(kind, "sidelight_notes", False):
        return kind

    async def websocket_handshake(protocol: Any, request: Any, *args: Any, **options: Any) -> Any:
        socket = await kind.websocket_handshake(protocol, request, *args, **options)
        await _current.get().accepted()
        return socket

    attributes = {"__slots__": (), "websocket_handshake": websocket_handshake, "sidelight_notes": True}
    return new_class(kind.__name__, (kind,), exec_body=lambda namespace: namespace.update(attributes))
