"""Names the server spans of OpenTelemetry's own instrumentation by the full route template."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from instrumentation.asgi_headers import with_lasting_headers
from instrumentation.tracing.server_spans import OBSERVED
from instrumentation.tracing.traces import SERVER_SPAN

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
