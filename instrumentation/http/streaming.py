"""Streamed responses: how many are open, how long each is open, and when its first byte is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from instrumentation import catalog
from instrumentation.http.routes import local_path
from instrumentation.store import add, observe

if TYPE_CHECKING:
    from collections.abc import Container

    from instrumentation.asgi import Message, Scope
    from instrumentation.http.routes import Routes
    from instrumentation.settings.route_patterns import RoutePatterns
    from instrumentation.store import Store

STREAM = "sidelight.stream"
"""The key in a scope that holds its ``Stream``."""

CONTENT_TYPES = frozenset((
    b"text/event-stream",
    b"application/x-ndjson", b"application/ndjson",
    b"application/jsonl", b"application/x-jsonl", b"application/jsonlines", b"application/x-jsonlines",
    b"application/json-seq", b"application/geo+json-seq", b"application/stream+json",
    b"application/vnd.amazon.eventstream",
    b"multipart/x-mixed-replace",
))  # fmt: skip
"""Media types that make a response without a ``content-length`` a stream."""

_BAD_REQUEST = 400


class Stream:
    """One streamed response, from its start to its end.

    All times are seconds on the clock of the caller, which is Python's or C's.

    Attributes:
        first_byte: When the first byte of the body was sent. It is the start of the response if the body has no byte, or
            begins with a comment: server-sent events use comments to keep a connection that has no events yet.
        ended: When the stream ended; 0.0 before.
    """

    __slots__ = ("_is_waiting", "_route", "_started", "_store", "ended", "first_byte")

    def __init__(self, store: Store, route: str, started: float, *, is_waiting: bool) -> None:
        self.first_byte = started
        self.ended = 0.0
        self._store = store
        self._route = route
        self._started = started
        self._is_waiting = is_waiting
        add(store, catalog.HTTP_SERVER_ACTIVE_STREAMS, (route,), 1.0)

    def heed(self, message: Message, now: float) -> bool:
        """Note a part of the body; False if later parts need not be noted."""
        body = message.get("body")
        if self._is_waiting and body:
            self._is_waiting = False
            if bytes(body[:1]) != b":":
                self.first_byte = now
        return self._is_waiting

    def end(self, now: float) -> None:
        """Count the stream as ended; only the first call counts."""
        if not self.ended:
            self.ended = now
            add(self._store, catalog.HTTP_SERVER_ACTIVE_STREAMS, (self._route,), -1.0)
            observe(self._store, catalog.HTTP_SERVER_STREAM_DURATION, (self._route,), now - self._started)


class Streams:
    """Recognises the responses that are streams.

    Args:
        store: Where to count.
        routes: The routes of the app.
        excluded: Templates that do not count.
        by_route: Routes whose responses are streams, whatever their content type.
        subscriptions: Routes whose streams wait for events. When the first one comes says nothing about the service, so
            the latency of these streams is the time until the response starts.

    Attributes:
        names_routes: Whether a response with a ``content-length`` may be a stream.
    """

    def __init__(
        self,
        store: Store,
        routes: Routes,
        *,
        excluded: Container[str],
        by_route: RoutePatterns,
        subscriptions: RoutePatterns,
    ) -> None:
        self._store = store
        self._routes = routes
        self._excluded = excluded
        self._by_route = by_route
        self._subscriptions = subscriptions
        self.names_routes = bool(by_route or subscriptions)

    def begin(self, scope: Scope, start: Message, now: float, *, is_sized: bool) -> Stream | None:
        """The stream that a response starts, or None if it is not a stream.

        Args:
            scope: The scope of the request, after routing.
            start: The start of the response.
            now: Seconds on the caller's clock.
            is_sized: Whether the response has a ``content-length``; then its content type does not make it a stream.
        """
        has_type = not is_sized and _has_content_type(start)
        if start["status"] >= _BAD_REQUEST or not (has_type or self.names_routes):
            return None
        route = self._routes.template(scope)
        names = {route, local_path(scope)}
        waits_for_events = any(name in self._subscriptions for name in names)
        is_stream = has_type or waits_for_events or any(name in self._by_route for name in names)
        if route in self._excluded or not is_stream:
            return None
        scope[STREAM] = stream = Stream(self._store, route, now, is_waiting=not waits_for_events)
        return stream


def _has_content_type(start: Message) -> bool:
    try:
        for name, value in start.get("headers") or ():
            if name.lower() == b"content-type":
                return value.partition(b";")[0].strip().lower() in CONTENT_TYPES
    except (AttributeError, TypeError, ValueError):  # not headers; the server refuses them
        pass
    return False
