"""Names the server spans of OpenTelemetry's own instrumentation by the full route template."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from instrumentation.asgi_headers import with_lasting_headers
from instrumentation.tracing.server_spans import OBSERVED
from instrumentation.tracing.traces import GIVEN, SERVER_SPAN

if TYPE_CHECKING:
    from instrumentation.asgi import ASGIApp, Message, Receive, Scope, Send
    from instrumentation.http.routes import Routes

_STARTS = frozenset(("http.response.start", "websocket.accept", "websocket.http.response.start"))


def naming_spans(app: ASGIApp, routes: Routes) -> ASGIApp:
    """An ASGI app whose server spans carry the full template of the route, and no path, once it is known.

    OpenTelemetry's own instrumentation matches the path a second time, and finds of nested routers only the last.
    """

    async def named(scope: Scope, receive: Receive, send: Send) -> None:
        def answering(message: Message) -> Any:
            if message.get("type") in _STARTS:
                _name(scope, routes)
            return send(message)

        scope.setdefault(OBSERVED, None)
        await app(scope, receive, answering)

    named.app = app  # type: ignore[attr-defined]  # frameworks look through a stack by this name
    return named


def keeping_headers(app: ASGIApp) -> ASGIApp:
    """An ASGI app whose response headers can be read more than once: OpenTelemetry's instrumentation would use up an iterator."""

    async def kept(scope: Scope, receive: Receive, send: Send) -> None:
        def answering(message: Message) -> Any:
            return send(with_lasting_headers(message) if message.get("type") in _STARTS else message)

        await app(scope, receive, answering)

    kept.app = app  # type: ignore[attr-defined]  # frameworks look through a stack by this name
    return kept


def decodable(app: ASGIApp) -> ASGIApp:
    """An ASGI app whose headers and query are UTF-8 while OpenTelemetry's instrumentation reads them.

    It raises on some other bytes, so that any client could make a request fail. ``traces`` puts the client's bytes back
    before the app gets them.
    """

    async def decoded(scope: Scope, receive: Receive, send: Send) -> None:
        with suppress(Exception):  # a scope of another kind is the app's to refuse
            _make_decodable(scope)
        await app(scope, receive, send)

    decoded.app = app  # type: ignore[attr-defined]  # frameworks look through a stack by this name
    return decoded


def _make_decodable(scope: Scope) -> None:
    headers, query = scope["headers"], scope["query_string"]
    if _is_utf8(query) and all(_is_utf8(name) and _is_utf8(value) for name, value in headers):
        return
    scope["headers"] = [(_as_utf8(name), _as_utf8(value)) for name, value in headers]
    scope["query_string"] = _as_utf8(query)
    scope[GIVEN] = {"headers": headers, "query_string": query}


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


def _name(scope: Scope, routes: Routes) -> None:
    span = scope.get(SERVER_SPAN)
    if span is None or not span.is_recording():
        return
    try:
        template = routes.template(scope)
    except Exception:  # noqa: BLE001 - an error in Sidelight must not become the service's
        return
    method = scope.get("method", "WEBSOCKET")
    span.update_name(f"{method} {template}" if template else method)
    if template:
        span.set_attribute("http.route", template)
