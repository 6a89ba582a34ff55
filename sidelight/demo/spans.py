"""A small OTLP receiver on loopback that keeps the spans it receives."""

from __future__ import annotations

import gzip
import time
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from sidelight.demo.loopback_server import receiving_posts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import Message

LARGEST_BODY = 16 << 20  # bytes
KEPT = 10_000  # spans


class Received(NamedTuple):
    """A received span.

    Attributes:
        name: Its name.
        trace_id: 32 hexadecimal digits.
        span_id: 16 hexadecimal digits.
        parent_id: 16 hexadecimal digits; empty for the root span.
        attributes: Its attributes.
        resource: The resource attributes of its sender.
        events: Event names to the attributes of the event.
    """

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    attributes: dict[str, Any]
    resource: dict[str, Any]
    events: tuple[tuple[str, dict[str, Any]], ...]


class Spans:
    """The most recent spans received.

    Args:
        url: The URL of the receiver.
        kept: The number of spans to keep.
    """

    def __init__(self, url: str, kept: int = KEPT) -> None:
        self.url = url
        self._received: deque[Received] = deque(maxlen=kept)

    def __iter__(self) -> Iterator[Received]:
        return iter(tuple(self._received))

    def receive(self, body: bytes) -> None:
        """Store the spans of a request.

        Raises:
            DecodeError: The request is not valid OTLP.
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
        answers_after: Delay of each response in seconds.
        kept: The number of most recent spans to keep.
    """
    spans = Spans("", kept)

    def receive(headers: Message, body: bytes) -> None:
        spans.receive(gzip.decompress(body) if headers.get("Content-Encoding") == "gzip" else body)
        time.sleep(answers_after)

    with receiving_posts(receive, largest=LARGEST_BODY, port=port, content_type="application/x-protobuf") as url:
        spans.url = url
        yield spans
