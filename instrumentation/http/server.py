"""Serves the metrics page on the metrics port. One worker serves it for all workers."""

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
_HEAD_BYTES = 16 << 10  # the most that request line and headers may have; Prometheus sends about 300
_BACKLOG = 128  # connections that the kernel holds until they are accepted

_running: dict[tuple[int, str, int], MetricsPort] = {}
_starting = threading.Lock()


def serve(  # noqa: PLR0913 - the last two are for tests
    page: MetricsPage,
    *,
    host: str,
    port: int,
    path: str = "/metrics",
    retry_seconds: float = _RETRY_SECONDS,
    limits: Limits | None = None,
) -> MetricsPort:
    """Serve the metrics page on the metrics port until the process ends.

    Call it after every fork, in each process that serves requests. A second call for the same address in one process
    returns the same port. If the port is taken, usually by a peer worker, that worker serves the page, and this process
    takes over once the port is free.

    Args:
        page: The metrics page.
        host: The address to listen on; ``0.0.0.0`` means every IPv4 address of the machine, ``::`` every address.
        port: The port; 0 means any free port.
        path: The path of the page; the response to any other path has status 404.
        retry_seconds: Seconds between two attempts to listen on a port that is taken.
        limits: The limits for clients.

    Raises:
        SettingsError: This process may not listen there, or the address does not exist.
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
    """Listens on the metrics port in a daemon thread, or waits there until the port is free.

    Args:
        bound: Returns a server that listens.
        port: The port in the settings.
        retry_seconds: Seconds between two attempts to listen on a port that is taken.

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
                "port %s is taken, usually by a peer worker, which serves the metrics of all workers; if another program uses it, "
                "stop that program or set metrics.port",
                port,
            )
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=_let_go(weakref.ref(self)))
        self._thread = threading.Thread(target=self._run, name="sidelight-port", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The port that is served; while this process waits for it, the port in the settings."""
        return self._asked if self._server is None else int(self._server.server_address[1])

    @property
    def is_serving(self) -> bool:
        """Whether this process listens on the port."""
        return self._server is not None

    @property
    def closed(self) -> bool:
        """Whether ``close`` was called."""
        return self._closed.is_set()

    def close(self) -> None:
        """Stop serving, and free the port."""
        self._closed.set()
        if self._server is not None:
            with suppress(OSError):
                self._server.socket.shutdown(socket.SHUT_RDWR)  # wakes the thread
        self._thread.join(self._retry_seconds)

    def let_go(self) -> None:
        """Close the socket that a forked child inherits; otherwise the port would stay taken after the parent ends."""
        if self._server is not None:
            self._server.socket.close()

    def _run(self) -> None:
        while not self.closed:
            if self._server is not None:
                self._server.handle_request()
            elif not self._closed.wait(self._retry_seconds):
                with suppress(SettingsError):  # the process was allowed to listen when it started
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
    """Listens from its creation on, and answers each connection in a thread, up to a limit."""

    timeout = 0.5  # seconds between two checks for connections over their time limit, if no client connects
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
        """Bind without the DNS lookup of ``HTTPServer``, which can take long."""
        TCPServer.server_bind(self)

    def handle_request(self) -> None:
        """Handle at most one request, then close the connections that are over their time limit."""
        super().handle_request()
        for connection in self.connections.late():
            self._hang_up(connection, "the client did not send its request or read the response in time")

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread; over the limit, close the connection that has waited longest for its client."""
        closed = self.connections.admit(request, client_address[0])
        if closed is not None:
            self._hang_up(closed, "there were too many connections")
        if closed is request:
            self.shutdown_request(request)
        else:
            super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer, then forget the connection."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.connections.remove(request)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection, even if no thread could be started for it."""
        self.connections.remove(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        """Stop listening, and close every connection."""
        super().server_close()
        for connection in self.connections.forget():
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log an error, unless the client caused it."""
        del request, client_address
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            _log.exception("sidelight could not serve the metrics page on the metrics port")

    def _hang_up(self, connection: socket.socket, reason: str) -> None:
        """Wake the thread of a connection, which then closes the connection."""
        with suppress(OSError):  # it is closed already
            self._log_once(
                "the metrics port closed a connection from %s, because %s; later ones are not logged",
                connection.getpeername()[0],
                reason,
                about="hung up",
            )
            connection.shutdown(socket.SHUT_RDWR)


class _Head(io.BufferedIOBase):
    """Reads a request up to a limit, so that endless headers do not use up memory."""

    def __init__(self, stream: io.BufferedIOBase) -> None:
        self._stream = stream
        self._left = _HEAD_BYTES

    def readline(self, size: int | None = -1, /) -> bytes:
        """Read a line, as from a file.

        Raises:
            LineTooLong: The request exceeds the limit.
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
        """Limit the size of the request."""
        super().setup()
        self.rfile = _Head(self.rfile)

    def handle(self) -> None:
        """Answer one request. A request line over the limit gets no response."""
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
        """Log nothing, because scrapes are frequent."""
