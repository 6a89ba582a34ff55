"""Merges the app's own metrics page with Sidelight's, so that each metric is on the page once."""

from __future__ import annotations

import re
from collections import Counter
from http import HTTPStatus
from typing import TYPE_CHECKING

from instrumentation.asgi_headers import with_lasting_headers
from instrumentation.catalog import METRICS
from instrumentation.exposition.formats import Page
from instrumentation.log_once import LogOnce

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from instrumentation.asgi import Message, Send
    from instrumentation.exposition.formats import Exposition

_OPENMETRICS = "application/openmetrics-text"
_END = b"# EOF\n"
_TYPE = b"# TYPE "
_BEGINNINGS = (b"# HELP ", _TYPE)
_HEAD = re.compile(rb"^# (?:HELP|TYPE) (\S+)", re.MULTILINE)
_BODY_HEADERS = frozenset((b"content-type", b"content-length", b"etag"))
_MARKER = "sidelight_series"  # on a page that shows a registry with our collector


class BufferedResponse:
    """Buffers a response if it is a metrics page; sends any other response as it arrives.

    Args:
        send: Sends a message to the server.

    Attributes:
        is_buffered: Whether the response is a complete metrics page that has not been sent.
        status: The status; 0 before the response starts.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self._start: Message | None = None
        self._body: list[bytes] = []
        self._is_page = False
        self.is_buffered = False
        self.status = 0

    async def take(self, message: Message) -> None:
        """Take a message from the app."""
        if message["type"] == "http.response.start":
            message = with_lasting_headers(message)
            self.status = message["status"]
            if _may_be_page(message):
                self._start = message
                return
        elif message["type"] == "http.response.body" and self._start is not None:
            body = bytes(message.get("body", b""))
            self._is_page = self._is_page or _is_page(self._start, body)
            if self._is_page:
                self._body.append(body)
                self.is_buffered = not message.get("more_body")
                return
        if self._start is not None and not self._is_page:
            await self._send(self._start)
            self._start = None
        await self._send(message)

    def page(self) -> Page:
        """The buffered page."""
        return Page(b"".join(self._body), _content_type(self._start or {}))

    def headers(self) -> list[tuple[bytes, bytes]]:
        """The headers that do not depend on the body."""
        every = (self._start or {}).get("headers", ())
        return [(name, value) for name, value in every if name.lower() not in _BODY_HEADERS]


class PageMerger:
    """Adds Sidelight's metrics to other metrics pages.

    Args:
        exposition: Renders Sidelight's metrics.
    """

    def __init__(self, exposition: Exposition) -> None:
        self._exposition = exposition
        self._log_once = LogOnce()

    def merge(self, other: Page, names: Iterable[str]) -> Page:
        """The other page, followed by the metrics that it lacks, in its format.

        Args:
            other: The app's own page.
            names: As for ``Exposition.page``.
        """
        kept = [(name, text) for name, text in _metrics(other.body) if name not in self._exposition.summed]
        present = {name for name, _ in kept}
        self._log_conflicts(Counter(_stem(name) for name, text in kept if text.startswith(_TYPE)))
        stems = {_stem(name) for name in present}
        is_openmetrics = other.content_type.startswith(_OPENMETRICS)
        accept = f"{_OPENMETRICS}; version=1.0.0" if is_openmetrics else "text/plain"
        page = self._exposition.page(accept, names, present=present | stems)
        return Page(b"".join((*(text for _, text in kept), page.body)), other.content_type)

    def _log_conflicts(self, shown: Counter[str]) -> None:
        """Log once which names of Sidelight's metrics another library uses as well.

        Args:
            shown: How often each metric is on the page, by its name without suffix.
        """
        has_ours = _MARKER in shown
        consequence = "so Sidelight's alerts count both" if has_ours else "so Sidelight's metric is not shown"
        for stem, name in _NAMES.items():
            if shown[stem] > has_ours:
                text = "on the app's own metrics page, another library has the metric %s, %s"
                self._log_once(text, name, consequence, about=name)


def _stem(name: str) -> str:
    """The name as OpenMetrics has it: without the suffix of its type."""
    return name.removesuffix("_total").removesuffix("_info")


_NAMES = {_stem(metric.name): metric.name for metric in METRICS}


def _metrics(body: bytes) -> Iterator[tuple[str, bytes]]:
    """Name and text of each metric, in whole lines; the HELP and TYPE lines of a metric may be separate items."""
    body = body.removesuffix(_END)
    body += b"" if not body or body.endswith(b"\n") else b"\n"
    heads = [*_HEAD.finditer(body)]
    starts = [head.start() for head in heads]
    yield "", body[: (*starts, len(body))[0]]
    for head, start, end in zip(heads, starts, (*starts[1:], len(body)), strict=False):  # both may be empty
        yield head[1].decode("utf-8", "replace"), body[start:end]


def _content_type(start: Message) -> str:
    found = next((value for name, value in start.get("headers", ()) if name.lower() == b"content-type"), b"")
    return bytes(found).decode("latin-1")


def _may_be_page(start: Message) -> bool:
    is_compressed = any(name.lower() == b"content-encoding" for name, _ in start.get("headers", ()))
    is_text = _content_type(start).lower().startswith(("text/plain", _OPENMETRICS))
    return start["status"] == HTTPStatus.OK and is_text and not is_compressed


def _is_page(start: Message, body: bytes) -> bool:
    """Whether a response is a metrics page, judged by its first part: many lack the version in the content type."""
    content_type = _content_type(start).lower()
    return content_type.startswith(_OPENMETRICS) or "version=" in content_type or body.startswith(_BEGINNINGS)
