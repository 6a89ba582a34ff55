"""Gives OpenTelemetry's instrumentation for ASGI only headers and queries that it can decode."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from instrumentation.asgi import ASGIApp, Receive, Scope, Send

_GIVEN = "sidelight.given"


def decodable(app: ASGIApp) -> ASGIApp:
    """An ASGI app whose headers and query are UTF-8 while OpenTelemetry's instrumentation reads them.

    It raises on some other bytes, so that any client could make a request fail. ``restore``
    puts the client's bytes back before the app gets them.
    """

    async def decoded(scope: Scope, receive: Receive, send: Send) -> None:
        with suppress(Exception):  # a scope of another kind is the app's to refuse
            _make_decodable(scope)
        await app(scope, receive, send)

    decoded.app = app  # type: ignore[attr-defined]  # frameworks look through a stack by this name
    return decoded


def restore(scope: Scope) -> None:
    """Put the client's bytes back, once the instrumentation has read them."""
    scope.update(scope.pop(_GIVEN, ()))


def _make_decodable(scope: Scope) -> None:
    headers, query = scope["headers"], scope["query_string"]
    if _is_utf8(query) and all(_is_utf8(name) and _is_utf8(value) for name, value in headers):
        return
    scope["headers"] = [(_as_utf8(name), _as_utf8(value)) for name, value in headers]
    scope["query_string"] = _as_utf8(query)
    scope[_GIVEN] = {"headers": headers, "query_string": query}


def _is_utf8(value: bytes) -> bool:
    if value.isascii():
        return True
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def _as_utf8(value: bytes) -> bytes:
    return value if _is_utf8(value) else value.decode("latin-1").encode()
