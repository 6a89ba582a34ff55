"""Runs a WSGI app inside the ASGI layer, so that everything the layer does works for WSGI too.

``as_asgi`` makes an ASGI app that calls the WSGI app; ``as_wsgi`` makes a WSGI app that runs the layer. Both run in the thread
of the request, without an event loop: the layer is a coroutine that is suspended only while the server sends a chunk of the
body. It continues when the server requests the next chunk, so a duration ends when the last chunk was sent.

Sources: PEP 3333, and the ASGI specification, version 3.0.
"""

from __future__ import annotations

import sys
import threading
from asyncio import CancelledError
from contextlib import suppress
from http import HTTPStatus
from io import BytesIO
from types import coroutine
from typing import TYPE_CHECKING, Any

from instrumentation.asgi_headers import WITHOUT_BODY
from instrumentation.correlation import ID, _current
from instrumentation.http.frameworks.interface import ARRIVAL, ENVIRON, EXCHANGE
from instrumentation.http.middleware import awaiting
from instrumentation.http.recorder import SERVER_ERROR
from instrumentation.http.sizes import MARK, Moved

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterable, Iterator

    from instrumentation.asgi import ASGIApp, Message, Receive, Scope, Send

    Environ = dict[str, Any]
    Headers = list[tuple[str, str]]
    Write = Callable[[bytes], object]
    StartResponse = Callable[..., Write]
    WSGIApp = Callable[[Environ, StartResponse], Iterable[bytes]]

_SEEN = "sidelight.seen"
_thread = threading.local()
_FILE: Any = object()  # in place of a chunk: the server sends the file itself


def as_wsgi(layer: ASGIApp) -> WSGIApp:
    """A WSGI app that runs an ASGI layer, which contains an app made by ``as_asgi``."""

    def sidelight(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        return Exchange(environ, start_response).begin(layer)

    return sidelight


def as_asgi(app: WSGIApp) -> ASGIApp:
    """An ASGI app that calls a WSGI app; it must be run by ``as_wsgi``."""

    async def called(scope: Scope, receive: Receive, send: Send) -> None:
        del receive
        environ, exchange = scope[ENVIRON], scope[EXCHANGE]
        environ[_SEEN], environ[ARRIVAL] = True, scope.get(ARRIVAL)
        if isinstance(scope.get(MARK), Moved):
            environ["wsgi.input"] = _CountedInput(environ["wsgi.input"], scope[MARK])
        response = _Response(exchange, send)
        body = app(environ, response.start)
        close = getattr(body, "close", None)
        try:
            if exchange.takes_as_file(body):
                await response.begin()
                file = getattr(body, "filelike", None)
                return await send({"type": "http.response.pathsend", "path": getattr(file, "name", None)})
            exchange.is_whole = isinstance(body, list | tuple) and len(body) == 1
            for chunk in body:
                await response.begin()
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
                if exchange.has_enough:
                    break
            await response.begin()
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            if close is not None:
                close()

    return called


def is_nested(environ: Environ) -> bool:
    """Whether an outer app observes a request: one of WSGI, or one of ASGI behind a bridge, which copies its context."""
    _forget_left_id()
    return _SEEN in environ or MARK in environ.get("asgi.scope", ()) or bool(_current.get())


class _Response:
    """Status and headers of a WSGI response. They are sent with the first chunk; until then the app may replace them.

    Args:
        exchange: The exchange with the server.
        send: The ``send`` of the layer.
    """

    def __init__(self, exchange: Exchange, send: Send) -> None:
        self._exchange = exchange
        self._send = send
        self._started: tuple[str, Headers] | None = None
        self._is_sent = False

    def start(self, status: str, headers: Headers, exc_info: Any = None) -> Write:
        """WSGI's ``start_response``."""
        if exc_info and self._is_sent:
            raise exc_info[1].with_traceback(exc_info[2])
        if self._started and not exc_info:
            raise AssertionError("start_response was called a second time")
        self._started = status, headers
        return self._write

    async def begin(self) -> None:
        """Send status and headers, once."""
        if self._started and not self._is_sent:
            self._is_sent = True
            await self._send(self._exchange.message_of(*self._started))

    def _write(self, chunk: bytes) -> None:
        self._exchange.write(self.begin())
        self._exchange.write(self._send({"type": "http.response.body", "body": chunk, "more_body": True}))


class Exchange:
    """One request of a WSGI server.

    Args:
        environ: The environ of the request.
        start_response: The server's function.

    Attributes:
        disconnected: Whether the client has left; the layer reads the attribute of uvicorn with this name.
        has_enough: Whether the server needs no further chunk.
        is_whole: Whether the body is a list of one chunk, from which servers derive the content length.
    """

    def __init__(self, environ: Environ, start_response: StartResponse) -> None:
        self._environ = environ
        self._start_response = start_response
        self._scope: Scope = {}
        self._running: Coroutine[Any, Any, None] | None = None
        self._first: bytes | None = None  # the first chunk, until the server takes it
        self._status_line = ""
        self._headers: dict[tuple[bytes, bytes], tuple[str, str]] = {}
        self._remaining: int | None = None  # bytes of the body, if the content length is known
        self._server_write: Write | None = None
        self._file: Any = None
        self.disconnected = False
        self.has_enough = False
        self.is_whole = False

    # --- For the server

    def begin(self, layer: ASGIApp) -> Iterable[bytes]:
        """Run the layer up to the first chunk."""
        self._scope = scope_of(self._environ, self)
        self._running = _coroutine(layer(self._scope, _nothing, self.send))
        self._first = self._advanced()
        _thread.left = self._scope.get(ID)  # some test clients never close a response
        if self._first is _FILE:
            self._file.close = self.close
            return self._file  # type: ignore[no-any-return]
        return _WholeBody(self) if self.is_whole else _Body(self)

    def next_chunk(self) -> bytes:
        """The next chunk; the server has sent those before it."""
        chunk, self._first = self._first, None
        chunk = chunk or self._advanced()
        if chunk is None:
            raise StopIteration
        if self._remaining is not None:
            self._remaining -= len(chunk)
        return chunk

    def close(self) -> None:
        """End the request. If the server has not taken all chunks, it needed only these, or the client has left."""
        if self._running is None:
            return
        is_taken = self.is_whole and self._first is None
        is_complete = is_taken or self._first is _FILE or (self._remaining is not None and self._remaining <= 0)
        if is_complete and sys.exception() is None:
            self.has_enough = True
            while self._advanced() is not None:
                pass
            return
        running, self._running, self.disconnected = self._running, None, True
        with suppress(CancelledError):
            running.throw(CancelledError())
        _thread.left = self._scope.get(ID)
        _forget_left_id()

    def _advanced(self) -> bytes | None:
        """Run the layer up to the next chunk; None after the last."""
        if self._running is None:
            return None
        try:
            (chunk,) = self._running.send(None)
        except StopIteration:
            self._running = None
            return None
        except BaseException:
            self._running = None
            _thread.left = self._scope.get(ID)  # the server logs the exception next; the log line needs the id
            raise
        return chunk  # type: ignore[no-any-return]

    async def send(self, message: Message) -> None:
        """ASGI's ``send``; returns when the server has sent the chunk."""
        kind = message["type"]
        if kind == "http.response.start":
            self._start(message)
        elif kind == "http.response.pathsend":
            await _chunk(_FILE)
        elif kind == "http.response.body" and message.get("body"):
            await _chunk(message["body"])

    def _start(self, message: Message) -> None:
        status, headers = int(message["status"]), message["headers"]
        line = self._status_line if _status(self._status_line) == status else f"{status} {_phrase(status)}"
        has_body = self._environ["REQUEST_METHOD"] != "HEAD" and status not in WITHOUT_BODY
        self._remaining = _length(headers) if has_body else 0
        self._server_write = self._start_response(line, [self._headers.get(pair) or _text(pair) for pair in headers])

    # --- For the app

    def message_of(self, status: str, headers: Headers) -> Message:
        """The ASGI message for a status line and headers; the server receives them with the app's own spelling."""
        self._status_line = status
        pairs = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        self._headers = dict(zip(pairs, headers, strict=True))
        return {"type": "http.response.start", "status": _status(status), "headers": pairs}

    def takes_as_file(self, body: Any) -> bool:
        """Whether a body is the server's own file wrapper, which the server then sends itself."""
        wrapper = self._environ.get("wsgi.file_wrapper")
        if isinstance(wrapper, type) and isinstance(body, wrapper) and hasattr(body, "__dict__"):
            self._file = body
        return self._file is not None

    def write(self, sending: Awaitable[None]) -> None:
        """Send at once, for the ``write`` function that ``start_response`` returns."""
        running = _coroutine(sending)
        while True:
            try:
                (chunk,) = running.send(None)
            except StopIteration:
                return
            if self._server_write is not None:
                self._server_write(chunk)


class _Body:
    """The body that the server gets. Nothing else refers to it, so a response that is dropped without `close()` ends at once.

    Args:
        exchange: The exchange with the server.
    """

    __slots__ = ("_exchange",)

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return self._exchange.next_chunk()

    def close(self) -> None:
        """End the request."""
        self._exchange.close()

    def __del__(self) -> None:
        self._exchange.close()


class _WholeBody(_Body):
    __slots__ = ()

    def __len__(self) -> int:
        return 1


class _CountedInput:
    """A request's body; counts the bytes that the app reads.

    Args:
        stream: The server's ``wsgi.input``.
        moved: The counter.
    """

    def __init__(self, stream: Any, moved: Moved) -> None:
        self._stream = stream
        self._moved = moved

    def read(self, *size: int) -> bytes:
        """Read some bytes, or all."""
        return self._counted(self._stream.read(*size))

    def readline(self, *size: int) -> bytes:
        """Read a line."""
        return self._counted(self._stream.readline(*size))

    def readlines(self, *hint: int) -> list[bytes]:
        """Read lines."""
        return [self._counted(line) for line in self._stream.readlines(*hint)]

    def __iter__(self) -> Iterator[bytes]:
        return map(self._counted, self._stream)

    def _counted(self, data: bytes) -> bytes:
        self._moved.received += len(data)
        return data


def scope_of(environ: Environ, exchange: Exchange) -> Scope:
    """The ASGI scope of a WSGI request; the environ is in it as ``wsgi.environ``."""
    root = _path(environ.get("SCRIPT_NAME", ""))
    names = (name for name in environ if name.startswith("HTTP_") or name in {"CONTENT_TYPE", "CONTENT_LENGTH"})
    headers = [
        (name.removeprefix("HTTP_").lower().replace("_", "-").encode("latin-1"), environ[name].encode("latin-1"))
        for name in names
    ]
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.5"},
        "http_version": environ.get("SERVER_PROTOCOL", "HTTP/1.1").rpartition("/")[-1],
        "method": environ["REQUEST_METHOD"],
        "scheme": environ.get("wsgi.url_scheme", "http"),
        "path": root + _path(environ.get("PATH_INFO", "")),
        "root_path": root,
        "query_string": environ.get("QUERY_STRING", "").encode("latin-1"),
        "headers": headers,
        "client": (environ.get("REMOTE_ADDR", ""), _port(environ.get("REMOTE_PORT"))),
        "server": (environ.get("SERVER_NAME", ""), _port(environ.get("SERVER_PORT"))),
        "extensions": {},
        ENVIRON: environ,
        EXCHANGE: exchange,
    }


def probe_scope(scope: Scope, path: str) -> Scope:
    """The scope of a GET request for another path from an unknown client: only the host is the same.

    Args:
        scope: The scope of a request.
        path: The path, relative to the root path of the request.
    """
    environ: Environ = scope[ENVIRON]
    kept = {name: value for name, value in environ.items() if not name.startswith("HTTP_") or name == "HTTP_HOST"}
    given = {"REQUEST_METHOD": "GET", "QUERY_STRING": "", "CONTENT_LENGTH": "", "wsgi.input": BytesIO()}
    probed = {**kept, **given, "PATH_INFO": path.encode().decode("latin-1")}
    return scope_of(probed, Exchange(probed, lambda *_: lambda _: None))


def _forget_left_id() -> None:
    """Remove the correlation id of this thread's last request, if that ended with an exception or has not ended."""
    left = getattr(_thread, "left", None)
    if left and _current.get() == left:
        _current.set("")


@coroutine
def _chunk(chunk: bytes) -> Generator[tuple[bytes], None, None]:
    yield (chunk,)


async def _nothing() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}  # the app reads the body from its environ


def _coroutine(awaitable: Any) -> Coroutine[Any, Any, None]:
    return awaitable if hasattr(awaitable, "send") else awaiting(awaitable)


def _path(text: str) -> str:
    return text.encode("latin-1", "replace").decode("utf-8", "replace")


def _port(text: Any) -> int:
    try:
        return int(text)
    except (TypeError, ValueError):
        return 0


def _status(line: str) -> int:
    code = line.partition(" ")[0]
    return int(code) if code.isdecimal() else SERVER_ERROR  # the server rejects a malformed status


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Status"


def _text(pair: tuple[bytes, bytes]) -> tuple[str, str]:
    return pair[0].decode("latin-1"), pair[1].decode("latin-1")


def _length(headers: Iterable[tuple[bytes, bytes]]) -> int | None:
    given = next((value for name, value in headers if name.lower() == b"content-length"), b"")
    return int(given) if given.isdigit() else None
