"""The metrics page on a port of its own, served by one of the workers for all."""

from __future__ import annotations

import errno
import io
import logging
import os
import socket
import sys
import threading
import weakref
from contextlib import suppress
from http.client import LineTooLong
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import TYPE_CHECKING, Any

from instrumentation.errors import Fault, SettingsError
from instrumentation.http.connections import Connections, Limits
from instrumentation.http.page import BUSY, Request, Response, joined_headers
from instrumentation.log_once import LogOnce

if TYPE_CHECKING:
    from collections.abc import Callable

    from instrumentation.http.page import MetricsPage

_log = logging.getLogger("instrumentation")
_RETRY_SECONDS = 1.0
_HEAD_BYTES = 16 << 10  # of a request; Prometheus sends about 300
_BACKLOG = 128  # connections that the kernel keeps until they are accepted

_running: dict[tuple[int, str, int], MetricsPort] = {}
_starting = threading.Lock()


def serve(  # noqa: PLR0913 - two are for tests
    page: MetricsPage,
    *,
    host: str,
    port: int,
    path: str = "/metrics",
    retry_seconds: float = _RETRY_SECONDS,
    limits: Limits | None = None,
) -> MetricsPort:
    """Answer a path with the page on a port of its own, from now until the process ends.

    Call it in the process that is to serve, after every fork. Twice for the same address in one process is once. Where
    the port is taken, usually by a peer worker, that one serves; this one takes over when it is gone.

    Args:
        page: The page.
        host: The address to listen at; ``0.0.0.0`` is every IPv4 address of the machine, ``::`` every address.
        port: The port; 0 for any.
        path: The path; every other is 404.
        retry_seconds: How often a taken port is tried again.
        limits: What clients may use.

    Raises:
        SettingsError: This process may not listen there, or there is no such address.
    """
    with _starting:
        key = (os.getpid(), host, port)
        running = _running.get(key)
        if running is None or running.closed:
            running = _running[key] = MetricsPort(
                lambda: _Server(page, host, port, path, limits or Limits()), port, retry_seconds
            )
        return running


class MetricsPort:
    """A port of its own, held or waited for, in a daemon thread.

    Args:
        bound: Gives a server that listens.
        port: The port in the settings.
        retry_seconds: How often a taken port is tried again.

    Raises:
        SettingsError: As ``serve``.
    """

    def __init__(self, bound: Callable[[], _Server], port: int, retry_seconds: float) -> None:
        self._bound = bound
        self._retry_seconds = retry_seconds
        self._closed = threading.Event()
        self._server: _Server | None = None
        self._asked = port
        self._listen()
        if self._server is None:
            _log.info(
                "port %s is taken; a peer worker serves the metrics of all workers; if it is another program, stop it or set metrics.port",
                port,
            )
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=_let_go(weakref.ref(self)))
        self._thread = threading.Thread(target=self._run, name="sidelight-port", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The port."""
        return self._asked if self._server is None else int(self._server.server_address[1])

    @property
    def is_serving(self) -> bool:
        """Whether this process holds the port."""
        return self._server is not None

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._closed.is_set()

    def close(self) -> None:
        """Give the port up."""
        self._closed.set()
        if self._server is not None:
            with suppress(OSError):
                self._server.socket.shutdown(socket.SHUT_RDWR)  # wakes the thread
        self._thread.join(self._retry_seconds)

    def let_go(self) -> None:
        """Close the parent's socket in a forked child; otherwise the port stays taken when the parent is gone."""
        if self._server is not None:
            self._server.socket.close()

    def _run(self) -> None:
        while not self.closed:
            if self._server is not None:
                self._server.handle_request()
            elif not self._closed.wait(self._retry_seconds):
                with suppress(SettingsError):  # it could be had when the process started
                    self._listen()
        if self._server is not None:
            self._server.server_close()
            self._server = None

    def _listen(self) -> None:
        try:
            self._server = self._bound()
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise _cannot_listen(error) from None


def _let_go(port: weakref.ref[MetricsPort]) -> Callable[[], None]:
    def in_child() -> None:
        inherited = port()
        if inherited is not None:
            inherited.let_go()

    return in_child


def _cannot_listen(error: OSError) -> SettingsError:
    problem = f"this process cannot listen there ({error.strerror})"
    allowed = "give a free port above 1023 and, as metrics.host, an address of this machine"
    return SettingsError([Fault(source="settings", path="metrics.port", problem=problem, allowed=allowed)])


class _Server(ThreadingHTTPServer):
    """Listens from the start; a thread for each connection, up to a limit."""

    timeout = 0.5  # seconds after which the thread looks for late connections, if nothing else wakes it
    request_queue_size = _BACKLOG

    def __init__(self, page: MetricsPage, host: str, port: int, path: str, limits: Limits) -> None:
        self.page = page
        self.path = path
        self.connections = Connections[socket.socket](limits)
        self._log_once = LogOnce()
        self.address_family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        super().__init__((str(address[0]), port), _Handler)

    def server_bind(self) -> None:
        """Bind; not as ``HTTPServer`` does, which asks DNS for the machine's name and may wait for long."""
        TCPServer.server_bind(self)

    def handle_request(self) -> None:
        """Handle one request, or none for a while; and hang up on clients whose time is up."""
        super().handle_request()
        for connection in self.connections.late():
            self._hang_up(connection, "sent no complete request, or did not read the answer, in time")

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread; if there are too many, hang up on the client that has kept the port waiting longest."""
        closed = self.connections.admit(request, client_address[0])
        if closed is not None:
            self._hang_up(closed, "was one too many")
        if closed is request:
            self.shutdown_request(request)
        else:
            super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.connections.remove(request)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection, also one for which no thread could be started."""
        self.connections.remove(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        """Stop listening, and close every connection."""
        super().server_close()
        for connection in self.connections.forget():
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log what is not the client's doing."""
        del request, client_address
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            _log.exception("sidelight could not answer with the metrics page")

    def _hang_up(self, connection: socket.socket, reason: str) -> None:
        """Wake the thread of a connection, which then closes it."""
        with suppress(OSError):  # it is closed already
            self._log_once(
                "the metrics port closed a connection of %s, which %s; further ones are not logged",
                connection.getpeername()[0],
                reason,
                about="hung up",
            )
            connection.shutdown(socket.SHUT_RDWR)


class _Head(io.BufferedIOBase):
    """The bytes of a request up to a limit, so that headers without end use no memory."""

    def __init__(self, stream: io.BufferedIOBase) -> None:
        self._stream = stream
        self._left = _HEAD_BYTES

    def readline(self, size: int | None = -1, /) -> bytes:
        """A line, as of a file.

        Raises:
            LineTooLong: The request is over the limit.
        """
        allowed = self._left + 1
        line = self._stream.readline(allowed if size is None or size < 0 else min(size, allowed))
        self._left -= len(line)
        if self._left < 0:
            raise LineTooLong("request")
        return line

    def close(self) -> None:
        """Close the stream."""
        self._stream.close()
        super().close()


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    server_version = "sidelight"
    sys_version = ""

    def setup(self) -> None:
        """Read no more than a request may have."""
        super().setup()
        self.rfile = _Head(self.rfile)

    def handle(self) -> None:
        """Answer one request. A request line without end has no answer."""
        with suppress(LineTooLong):
            super().handle()

    def _answer(self) -> None:
        connections = self.server.connections
        connections.has_head(self.connection)
        path, _, query = self.path.partition("?")
        request = Request(self.command, query, joined_headers(self.headers.items()))
        status, headers, body = self._response(path, request)
        connections.is_answered(self.connection)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _response(self, path: str, request: Request) -> Response:
        if path != self.server.path:
            return Response(404, {"content-length": "0"}, b"")
        if (refused := self.server.page.refusal(request)) is not None:
            return refused
        if not self.server.connections.may_be_answered(self.connection):
            return BUSY
        return self.server.page.made(request)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _answer  # noqa: N815 - http.server's names

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
        """Log nothing: a scrape is not worth a line."""
