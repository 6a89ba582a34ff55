"""Two pages of metrics as one: the app's own and ours, each family once."""

from __future__ import annotations

import logging
import re
from http import HTTPStatus
from typing import TYPE_CHECKING

from instrumentation.catalog import METRICS
from instrumentation.exposition.formats import Page

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from instrumentation.exposition.formats import Exposition
    from instrumentation.http.middleware import Message, Send

_log = logging.getLogger("instrumentation")
_OPENMETRICS = "application/openmetrics-text"
_END = b"# EOF\n"
_BEGINNINGS = (b"# HELP ", b"# TYPE ")
_HEAD = re.compile(rb"^# (?:HELP|TYPE) (\S+)", re.MULTILINE)
_OF_THE_BODY = frozenset((b"content-type", b"content-length", b"etag"))
_OURS = "sidelight_series"  # where it stands, the other page shows a registry that has our collector
_OUR_NAMES = frozenset(metric.name for metric in METRICS)


class HeldAnswer:
    """An answer that is held back while it may be a page of metrics; any other is sent as it comes.

    Args:
        send: Where it goes.

    Attributes:
        held: Whether it is a page of metrics, complete and not sent.
        status: Its status, 0 before there is one.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self._start: Message | None = None
        self._body: list[bytes] = []
        self._is_page = False
        self.held = False
        self.status = 0

    async def take(self, message: Message) -> None:
        """Take a message of the app."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            if _may_be_page(message):
                self._start = message
                return
        elif message["type"] == "http.response.body" and self._start is not None:
            body = bytes(message.get("body", b""))
            self._is_page = self._is_page or _is_page(self._start, body)
            if self._is_page:
                self._body.append(body)
                self.held = not message.get("more_body")
                return
        if self._start is not None and not self._is_page:
            await self._send(self._start)
            self._start = None
        await self._send(message)

    def page(self) -> Page:
        """The page that is held."""
        return Page(b"".join(self._body), _content_type(self._start or {}))

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Its headers, without those that say how the page itself is sent."""
        every = (self._start or {}).get("headers", ())
        return [(name, value) for name, value in every if name.lower() not in _OF_THE_BODY]


class Joiner:
    """Joins our page to another.

    Args:
        exposition: Makes ours.
    """

    def __init__(self, exposition: Exposition) -> None:
        self._exposition = exposition
        self._said: set[str] = set()

    def joined(self, other: Page, names: Iterable[str]) -> Page:
        """The other page, then what it lacks of ours, in the format of the other.

        Args:
            other: The app's own page.
            names: As for ``Exposition.page``.
        """
        families = [(name, text) for name, text in _families(other.body) if name not in self._exposition.summed]
        present = {name for name, _ in families}
        self._say_what_clashes(present)
        stems = {name.removesuffix(suffix) for name in present for suffix in ("_total", "_info")}
        is_openmetrics = other.content_type.startswith(_OPENMETRICS)
        accept = f"{_OPENMETRICS}; version=1.0.0" if is_openmetrics else "text/plain"
        page = self._exposition.page(accept, names, present=present | stems)
        return Page(b"".join((*(text for _, text in families), page.body)), other.content_type)

    def _say_what_clashes(self, present: set[str]) -> None:
        clashing = frozenset() if _OURS in present else _OUR_NAMES & present
        for name in sorted(clashing - self._said):
            self._said.add(name)
            _log.warning("the app's own page of metrics has %s; Sidelight's is left out, and it is said once", name)


def _families(body: bytes) -> Iterator[tuple[str, bytes]]:
    """Each family's name and text, in whole lines; HELP and TYPE may be two pieces of one name."""
    body = body.removesuffix(_END)
    body += b"" if not body or body.endswith(b"\n") else b"\n"
    heads = [*_HEAD.finditer(body)]
    starts = [head.start() for head in heads]
    yield "", body[: (*starts, len(body))[0]]
    for head, start, end in zip(heads, starts, (*starts[1:], len(body)), strict=False):  # without a head there is none
        yield head[1].decode("utf-8", "replace"), body[start:end]


def _content_type(start: Message) -> str:
    found = next((value for name, value in start.get("headers", ()) if name.lower() == b"content-type"), b"")
    return bytes(found).decode("latin-1")


def _may_be_page(start: Message) -> bool:
    is_zipped = any(name.lower() == b"content-encoding" for name, _ in start.get("headers", ()))
    is_text = _content_type(start).lower().startswith(("text/plain", _OPENMETRICS))
    return start["status"] == HTTPStatus.OK and is_text and not is_zipped


def _is_page(start: Message, body: bytes) -> bool:
    """Whether the beginning of a text shows a page of metrics; many send it without the version of its format."""
    content_type = _content_type(start).lower()
    return content_type.startswith(_OPENMETRICS) or "version=" in content_type or body.startswith(_BEGINNINGS)
