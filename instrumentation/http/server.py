"""The metrics page on a port of its own, served by one of the workers for all."""

from __future__ import annotations

import errno
import logging
import os
import socket
import sys
import threading
import weakref
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import TYPE_CHECKING, Any

from instrumentation.errors import Fault, SettingsError
from instrumentation.http.page import Request, Response, joined_headers

if TYPE_CHECKING:
    from collections.abc import Callable

    from instrumentation.http.page import MetricsPage

_log = logging.getLogger("instrumentation")
_RETRY_SECONDS = 1.0
_CONNECTIONS = 16  # at the same time; Prometheus needs one
_PATIENCE_SECONDS = 5.0  # for a client that says nothing

_running: dict[tuple[int, str, int], OwnPort] = {}
_starting = threading.Lock()


def serve(
    page: MetricsPage, *, host: str, port: int, path: str = "/metrics", retry_seconds: float = _RETRY_SECONDS
) -> OwnPort:
    """Answer a path with the page on a port of its own, from now until the process ends.

    Call it in the process that is to serve, after every fork. Twice for the same address in one process is once. Where
    the port is taken, usually by a peer worker, that one serves; this one takes over when it is gone.

    Args:
        page: The page.
        host: The address to listen at; ``0.0.0.0`` is every IPv4 address of the machine, ``::`` every address.
        port: The port; 0 for any.
        path: The path; every other is 404.
        retry_seconds: How often a taken port is tried again.

    Raises:
        SettingsError: This process may not listen there, or there is no such address.
    """
    with _starting:
        key = (os.getpid(), host, port)
        running = _running.get(key)
        if running is None or running.closed:
            running = _running[key] = OwnPort(lambda: _Server(page, host, port, path), port, retry_seconds)
        return running


class OwnPort:
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


def _let_go(port: weakref.ref[OwnPort]) -> Callable[[], None]:
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

    timeout = 1.0  # seconds after which the thread checks whether it was closed, if nothing else wakes it

    def __init__(self, page: MetricsPage, host: str, port: int, path: str) -> None:
        self.page = page
        self.path = path
        self._free = threading.BoundedSemaphore(_CONNECTIONS)
        self.address_family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        super().__init__((str(address[0]), port), _Handler)

    def server_bind(self) -> None:
        """Bind; not as ``HTTPServer`` does, which asks DNS for the machine's name and may wait for long."""
        TCPServer.server_bind(self)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread, or hang up if there are too many."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log what is not the client's doing."""
        del request, client_address
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            _log.exception("sidelight could not answer with the metrics page")


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    server_version = "sidelight"
    sys_version = ""
    timeout = _PATIENCE_SECONDS

    def _answer(self) -> None:
        path, _, query = self.path.partition("?")
        request = Request(self.command, query, joined_headers(self.headers.items()))
        here = path == self.server.path
        status, headers, body = (
            self.server.page.answer(request) if here else Response(404, {"content-length": "0"}, b"")
        )
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _answer  # noqa: N815 - http.server's names

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
        """Log nothing: a scrape is not worth a line."""
