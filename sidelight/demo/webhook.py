"""A small HTTP server on loopback that keeps the alerts posted by Alertmanager."""

from __future__ import annotations

from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from sidelight.demo.timeline import Key, Message
from sidelight.toolchain.processes import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LARGEST_BODY = 1 << 20  # bytes


class Posted(BaseModel):
    """One alert in a notification; it may have further keys."""

    model_config = ConfigDict(frozen=True)

    status: Literal["firing", "resolved"]
    labels: dict[str, str]


class Notification(BaseModel):
    """A notification of Alertmanager (see webhook_config in its documentation, version 4)."""

    model_config = ConfigDict(frozen=True)

    alerts: tuple[Posted, ...]


class Webhook:
    """The notifications received.

    Args:
        url: The URL of the webhook.
        clock: Returns the seconds since the demo began.
    """

    def __init__(self, url: str, clock: Callable[[], float]) -> None:
        self.url = url
        self._clock = clock
        self._messages: SimpleQueue[Message] = SimpleQueue()

    def receive(self, body: bytes) -> None:
        """Store a notification.

        Raises:
            ValidationError: The request is not a valid notification.
        """
        at = self._clock()
        for alert in Notification.model_validate_json(body).alerts:
            key = Key(alert.labels.get("alertname", ""), alert.labels.get("severity", ""))
            self._messages.put(Message(key=key, firing=alert.status == "firing", at=at))

    def take(self) -> Iterator[Message]:
        """Return what was received since the last call, oldest first."""
        while True:
            try:
                yield self._messages.get_nowait()
            except Empty:
                return


@contextmanager
def listening(clock: Callable[[], float]) -> Iterator[Webhook]:
    """Listen on a free port of loopback until the context ends."""

    class Handler(BaseHTTPRequestHandler):
        timeout = 5.0  # seconds for a sender that sends nothing

        def do_POST(self) -> None:
            length = self.headers.get("Content-Length", "")
            if not (length.isdecimal() and int(length) <= LARGEST_BODY):
                self.send_error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
                return
            try:
                webhook.receive(self.rfile.read(int(length)))
            except ValidationError:
                self.send_error(HTTPStatus.BAD_REQUEST)
                return
            self.send_response(HTTPStatus.NO_CONTENT)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name is Python's
            """Log nothing, because the terminal shows the demo."""

    with ThreadingHTTPServer((LOOPBACK, 0), Handler) as server:
        server.daemon_threads = True
        webhook = Webhook(f"http://{LOOPBACK}:{server.server_port}/alerts", clock)
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
        thread.start()
        try:
            yield webhook
        finally:
            server.shutdown()
            thread.join()
