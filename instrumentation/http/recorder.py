"""What becomes of one request: which series it counts in."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

from instrumentation import catalog

if TYPE_CHECKING:
    from collections.abc import Iterable

    from instrumentation.store import Store

METHODS = {
    name: name for name in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "QUERY")
}
"""The methods that keep their name; every other is ``_OTHER``, since a client can make up any number of them."""

OTHER_METHOD = "_OTHER"
ABORTED = "response_aborted"
CLIENT_CLOSED_REQUEST = 499
_SERVER_ERROR = 500


class HttpRecorder:
    """Counts requests in a store. ``begin`` and ``end`` are the request path.

    Args:
        store: Where to count.
        edges: Bucket edges of the duration in seconds.

    Raises:
        InstrumentationError: ``bucket_edges_differ``.
    """

    def __init__(self, store: Store, edges: tuple[float, ...]) -> None:
        store.declare(catalog.HTTP_SERVER_REQUEST_DURATION, edges)
        self._store = store
        self._edges = edges
        self._active: dict[str, int] = {}
        self._durations: dict[tuple[str, str, int, str], int] = {}

    def expect(self, templates: Iterable[tuple[str, str]]) -> None:
        """Make the series of a 500 for every (method, template), at 0, while half of the series limit is free.

        A burst of errors that arrives with a brand-new series is invisible to rate().
        """
        for made, (method, template) in enumerate(templates):
            if made >= self._store.series_limit // 2:
                return
            self._place(METHODS.get(method, OTHER_METHOD), template, _SERVER_ERROR, str(_SERVER_ERROR))

    def begin(self, method: str) -> None:
        """A request of a known method has arrived."""
        place = self._active.get(method)
        if place is None:
            place = self._active[method] = self._store.place(catalog.HTTP_SERVER_ACTIVE_REQUESTS, (method,))
        with self._store.lock:
            self._store.buffer[place] += 1.0

    def discard(self, method: str) -> None:
        """The request is over and does not count."""
        with self._store.lock:
            self._store.buffer[self._active[method]] -= 1.0

    def end(self, method: str, template: str, status: int, seconds: float, *, aborted: bool) -> None:
        """The request is over.

        Args:
            method: As given to ``begin``.
            template: The route's template; empty where none matched.
            status: What went over the wire.
            seconds: From the first byte in to the last byte out.
            aborted: Whether the response broke off after it had started.
        """
        error_type = ABORTED if aborted else str(status) if status >= _SERVER_ERROR else ""
        key = (method, template, status, error_type)
        place = self._durations.get(key)
        if place is None:
            place = self._place(*key)
        edges, store = self._edges, self._store
        with store.lock:
            buffer = store.buffer
            buffer[place + bisect_left(edges, seconds)] += 1.0
            buffer[place + len(edges) + 1] += seconds
            buffer[self._active[method]] -= 1.0

    def _place(self, method: str, template: str, status: int, error_type: str) -> int:
        if len(self._durations) > 2 * self._store.series_limit:  # a router that makes up templates
            self._durations.clear()
        labels = (method, template, str(status), error_type)
        place = self._store.place(catalog.HTTP_SERVER_REQUEST_DURATION, labels)
        self._durations[method, template, status, error_type] = place
        return place
