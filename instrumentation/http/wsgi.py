"""Runs a WSGI app within a layer of ASGI, so that what is written once, for ASGI, holds for both.

``as_asgi`` gives the layer an ASGI app that calls the WSGI app; ``as_wsgi`` gives the server a WSGI app that runs the
layer. Both run in the thread of the request, without an event loop: the layer is a coroutine that is suspended only while
the server has a part of the body. It goes on when the server asks for the next part, so the layer sees the last byte when
it is out.

ScrapeCallbacks: PEP 3333, and the ASGI specification, version 3.0.
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

from instrumentation.correlation import ID, _current
from instrumentation.http.frameworks.interface import ARRIVAL, ENVIRON
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

SEEN = "sidelight.seen"
"""The key in an environ of a request that is observed already."""

_EXCHANGE = "sidelight.exchange"
_thread = threading.local()
_FILE: Any = object()  # stands for a body that the server sends by itself
_WITHOUT_BODY = frozenset((204, 304))


def as_wsgi(layer: ASGIApp) -> WSGIApp:
    """A WSGI app that answers with a layer of ASGI around ``as_asgi``."""

    def sidelight(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        return Exchange(environ, start_response).begin(layer)

    return sidelight


def as_asgi(app: WSGIApp) -> ASGIApp:
    """An ASGI app that calls a WSGI app; only ``as_wsgi`` can run it."""

    async def called(scope: Scope, receive: Receive, send: Send) -> None:
        del receive
        environ, exchange = scope[ENVIRON], scope[_EXCHANGE]
        environ[SEEN], environ[ARRIVAL] = True, scope.get(ARRIVAL)
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
            for part in body:
                await response.begin()
                await send({"type": "http.response.body", "body": part, "more_body": True})
                if exchange.has_enough:
                    break
            await response.begin()
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            if close is not None:
                close()

    return called


class _Response:
    """What a WSGI app says of its response. It is sent with the first part: until then the app may say otherwise.

    Args:
        exchange: With the server.
        send: The layer's.
    """

    def __init__(self, exchange: Exchange, send: Send) -> None:
        self._exchange = exchange
        self._send = send
        self._said: tuple[str, Headers] | None = None
        self._is_sent = False

    def start(self, status: str, headers: Headers, exc_info: Any = None) -> Write:
        """WSGI's ``start_response``."""
        if exc_info and self._is_sent:
            raise exc_info[1].with_traceback(exc_info[2])
        if self._said and not exc_info:
            raise AssertionError("start_response was called a second time")
        self._said = status, headers
        return self._write

    async def begin(self) -> None:
        """Send what was said, once."""
        if self._said and not self._is_sent:
            self._is_sent = True
            await self._send(self._exchange.message_of(*self._said))

    def _write(self, part: bytes) -> None:
        self._exchange.write(self.begin())
        self._exchange.write(self._send({"type": "http.response.body", "body": part, "more_body": True}))


class Exchange:
    """One request of a WSGI server, and the body that it gets.

    Args:
        environ: The server's.
        start_response: The server's.

    Attributes:
        disconnected: Whether the client has left; uvicorn's name, as the layer knows it.
        has_enough: Whether the server wants nothing more of a body.
        is_whole: Whether the body is one part, of which servers make the content length.
    """

    def __init__(self, environ: Environ, start_response: StartResponse) -> None:
        self._environ = environ
        self._start_response = start_response
        self._scope: Scope = {}
        self._running: Coroutine[Any, Any, None] | None = None
        self._first: bytes | None = None
        self._status_line = ""
        self._headers: dict[tuple[bytes, bytes], tuple[str, str]] = {}
        self._owed: int | None = None  # bytes of the body that the server still has to get; None where nothing tells
        self._server_write: Write | None = None
        self._file: Any = None
        self.disconnected = False
        self.has_enough = False
        self.is_whole = False

    # --- The server's side

    def begin(self, layer: ASGIApp) -> Iterable[bytes]:
        """Answer, as far as the first part of the body."""
        _forget_left_id()
        self._scope = scope_of(self._environ, self)
        self._running = _coroutine(layer(self._scope, _nothing, self.send))
        self._first = self._advanced()
        if self._first is _FILE:
            self._file.close = self.close
            return self._file  # type: ignore[no-any-return]
        if self.is_whole:
            self.__class__ = _WholeExchange
        return self

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        part, self._first = self._first, None
        part = part or self._advanced()
        if part is None:
            raise StopIteration
        if self._owed is not None:
            self._owed -= len(part)
        return part

    def close(self) -> None:
        """The server has done. Where it did not ask for all, the client has left, or there was nothing more to send."""
        if self._running is None:
            return
        is_complete = self._first is _FILE or (self._owed is not None and self._owed <= 0)
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
        """Run the layer until there is a part of the body for the server; None where that was all."""
        if self._running is None:
            return None
        try:
            (part,) = self._running.send(None)
        except StopIteration:
            self._running = None
            return None
        except BaseException:
            self._running = None
            _thread.left = self._scope.get(ID)  # the server logs the exception next, and that line needs it
            raise
        return part  # type: ignore[no-any-return]

    async def send(self, message: Message) -> None:
        """ASGI's ``send``: done once the server has taken what was sent."""
        kind = message["type"]
        if kind == "http.response.start":
            self._start(message)
        elif kind == "http.response.pathsend":
            await _handed(_FILE)
        elif kind == "http.response.body" and message.get("body"):
            await _handed(message["body"])

    def _start(self, message: Message) -> None:
        status, headers = int(message["status"]), message["headers"]
        line = self._status_line if _status(self._status_line) == status else f"{status} {_phrase(status)}"
        has_body = self._environ["REQUEST_METHOD"] != "HEAD" and status not in _WITHOUT_BODY
        self._owed = _length(headers) if has_body else 0
        self._server_write = self._start_response(line, [self._headers.get(pair) or _text(pair) for pair in headers])

    # --- The app's side

    def message_of(self, status: str, headers: Headers) -> Message:
        """The start of a response; the server gets what the layer leaves of it as the app wrote it."""
        self._status_line = status
        pairs = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        self._headers = dict(zip(pairs, headers, strict=True))
        return {"type": "http.response.start", "status": _status(status), "headers": pairs}

    def takes_as_file(self, body: Any) -> bool:
        """Whether the server sends a body by itself, from a file, once it gets its own wrapper around it."""
        wrapper = self._environ.get("wsgi.file_wrapper")
        if isinstance(wrapper, type) and isinstance(body, wrapper) and hasattr(body, "__dict__"):
            self._file = body
        return self._file is not None

    def write(self, sending: Awaitable[None]) -> None:
        """Send within the app's call, as the function does that ``start_response`` returned."""
        running = _coroutine(sending)
        while True:
            try:
                (part,) = running.send(None)
            except StopIteration:
                return
            if self._server_write is not None:
                self._server_write(part)


class _WholeExchange(Exchange):
    def __len__(self) -> int:
        return 1


class _CountedInput:
    """A request's body, of which what the app reads is counted.

    Args:
        stream: The server's ``wsgi.input``.
        moved: Where to count.
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
    """The ASGI scope of a WSGI request; the environ stands in it as ``wsgi.environ``."""
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
        _EXCHANGE: exchange,
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
    """Take the correlation id of a request that ended with an exception out of this thread, which goes on."""
    left = getattr(_thread, "left", None)
    if left and _current.get() == left:
        _current.set("")


@coroutine
def _handed(part: bytes) -> Generator[tuple[bytes], None, None]:
    yield (part,)


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
    return int(code) if code.isdecimal() else SERVER_ERROR  # what is no status is the server's to refuse


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
