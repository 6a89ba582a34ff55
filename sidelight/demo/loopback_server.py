"""A small HTTP server on loopback that receives posts, for the spans and the notifications of the demo."""

from __future__ import annotations

from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING

from sidelight.toolchain.processes import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from email.message import Message

    Receive = Callable[[Message, bytes], None]


@contextmanager
def receiving_posts(
    receive: Receive, *, largest: int, port: int = 0, content_type: str = "application/json"
) -> Iterator[str]:
    """Listen until the context ends; yields the server's URL.

    Args:
        receive: Called with the headers and the body of each post; if it raises, the response has status 400.
        largest: The largest body in bytes.
        port: The port; by default a free one.
        content_type: The type of the empty response.
    """

    class Handler(BaseHTTPRequestHandler):
        timeout = 5.0  # seconds for a sender that sends nothing

        def do_POST(self) -> None:
            length = self.headers.get("Content-Length", "")
            if not (length.isdecimal() and int(length) <= largest):
                self.send_error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
                return
            body = self.rfile.read(int(length))
            try:
                receive(self.headers, body)
            except Exception:  # noqa: BLE001 - the errors of pydantic, protobuf and gzip have no common base class
                self.send_error(HTTPStatus.BAD_REQUEST)
                return
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
            """Log nothing, because the terminal shows the demo."""

    with ThreadingHTTPServer((LOOPBACK, port), Handler) as server:
        server.daemon_threads = True
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
        thread.start()
        try:
            yield f"http://{LOOPBACK}:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
