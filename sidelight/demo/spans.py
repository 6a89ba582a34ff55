"""The end of the traces: a small OTLP receiver on loopback that remembers the spans that come in."""

from __future__ import annotations

import gzip
import time
from collections import deque
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any, NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from sidelight.toolchain.processes import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Iterator

LARGEST_BODY = 16 << 20  # bytes
KEPT = 10_000  # spans


class Received(NamedTuple):
    """A span that came in.

    Attributes:
        name: Its name.
        trace_id: 32 hexadecimal digits.
        span_id: 16.
        parent_id: 16; empty for the first of a trace.
        attributes: Its own.
        resource: Those of whoever sent it.
        events: The attributes of its events, by their names.
    """

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    attributes: dict[str, Any]
    resource: dict[str, Any]
    events: tuple[tuple[str, dict[str, Any]], ...]


class Spans:
    """What came in, the newest of it.

    Args:
        url: Where they are sent.
        kept: How many are remembered.
    """

    def __init__(self, url: str, kept: int = KEPT) -> None:
        self.url = url
        self._received: deque[Received] = deque(maxlen=kept)

    def __iter__(self) -> Iterator[Received]:
        return iter(tuple(self._received))

    def receive(self, body: bytes) -> None:
        """Remember what a request carries.

        Raises:
            DecodeError: It is no OTLP.
        """
        self._received.extend(spans_in(ExportTraceServiceRequest.FromString(body)))


def spans_in(request: Any) -> Iterator[Received]:
    """The spans of an OTLP request (opentelemetry-proto, ``ExportTraceServiceRequest``)."""
    for of_resource in request.resource_spans:
        resource = _attributes(of_resource.resource.attributes)
        for of_scope in of_resource.scope_spans:
            for span in of_scope.spans:
                yield Received(
                    name=span.name,
                    trace_id=span.trace_id.hex(),
                    span_id=span.span_id.hex(),
                    parent_id=span.parent_span_id.hex(),
                    attributes=_attributes(span.attributes),
                    resource=resource,
                    events=tuple((event.name, _attributes(event.attributes)) for event in span.events),
                )


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value") or "string_value") for pair in pairs}


@contextmanager
def receiving(port: int = 0, *, answers_after: float = 0.0, kept: int = KEPT) -> Iterator[Spans]:
    """Listen on loopback until the context ends.

    Args:
        port: The port; by default a free one.
        answers_after: Seconds that each answer takes.
        kept: How many spans are remembered, the newest.
    """

    class Handler(BaseHTTPRequestHandler):
        timeout = 5.0  # seconds for a sender that says nothing

        def do_POST(self) -> None:
            length = self.headers.get("Content-Length", "")
            if not (length.isdecimal() and int(length) <= LARGEST_BODY):
                self.send_error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
                return
            body = self.rfile.read(int(length))
            try:
                spans.receive(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
            except Exception:  # noqa: BLE001  # protobuf's and gzip's errors have no common root
                self.send_error(HTTPStatus.BAD_REQUEST)
                return
            time.sleep(answers_after)
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name is Python's
            """Stay silent: the terminal is the view's."""

    with ThreadingHTTPServer((LOOPBACK, port), Handler) as server:
        server.daemon_threads = True
        spans = Spans(f"http://{LOOPBACK}:{server.server_port}", kept)
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
        thread.start()
        try:
            yield spans
        finally:
            server.shutdown()
            thread.join()
