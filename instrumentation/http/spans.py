"""Decides which instrumentation creates the span of each request, and names the spans by the full route template."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from opentelemetry.metrics import NoOpMeterProvider

from instrumentation.asgi_headers import with_lasting_headers
from instrumentation.correlation import ID
from instrumentation.tracing.decodable import decodable, restore
from instrumentation.tracing.excluded import exclusion, url_pattern
from instrumentation.tracing.fastapi_apps import give_way
from instrumentation.tracing.server_spans import OBSERVED, ServerSpans

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span

    from instrumentation.asgi import ASGIApp, Message, Receive, Scope, Send
    from instrumentation.http.routes import Routes
    from instrumentation.tracing.traces import Traces

SERVER_SPAN = "sidelight.server_span"
_STARTS = frozenset(("http.response.start", "websocket.accept", "websocket.http.response.start"))


def creating_spans(
    traces: Traces, app: Any, excluded: tuple[str, ...], routes: Routes
) -> tuple[Callable[[ASGIApp], ASGIApp], Callable[[], None] | None]:
    """Create a span for each request of an app.

    Args:
        traces: The traces of the process.
        app: The app.
        excluded: The routes without spans.
        routes: The routes of the app.

    Returns:
        The layer to put around the app, and the function that reverts the changes to the app, if there are any.
    """
    if getattr(app, "_is_instrumented_by_opentelemetry", False):  # such as by the program opentelemetry-instrument
        return partial(naming_spans, routes=routes), None
    if not traces.uses_contrib:
        return ServerSpans(traces.provider, routes.template, exclusion(excluded)).around, give_way(app)
    if _instrument_fastapi(app, excluded, traces.provider):
        return (lambda inner: naming_spans(decodable(inner), routes)), partial(_uninstrument_fastapi, app)
    return (lambda inner: naming_spans(decodable(_contrib(inner, excluded, traces.provider)), routes)), None


def _instrument_fastapi(app: Any, excluded: tuple[str, ...], provider: TracerProvider) -> bool:
    """Let OpenTelemetry's instrumentation create a span for each request of a FastAPI app.

    Returns:
        False if it is not a FastAPI app, or OpenTelemetry's instrumentation for FastAPI is not installed.
    """
    if not hasattr(app, "openapi"):
        return False
    try:
        from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor  # noqa: PLC0415 - it loads FastAPI
    except ImportError:
        return False
    FastAPIInstrumentor.instrument_app(
        app,
        tracer_provider=provider,
        meter_provider=NoOpMeterProvider(),  # Sidelight counts the requests
        server_request_hook=_remember,
        excluded_urls=url_pattern(excluded) or None,
        exclude_spans=["receive", "send"],
    )
    return True


def _uninstrument_fastapi(app: Any) -> None:
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor  # noqa: PLC0415 - it loads FastAPI

    FastAPIInstrumentor.uninstrument_app(app)


def _contrib(app: ASGIApp, excluded: tuple[str, ...], provider: TracerProvider) -> ASGIApp:
    """An ASGI app for which OpenTelemetry's instrumentation for ASGI creates a span for each request."""
    from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware  # noqa: PLC0415 - most apps are FastAPI's

    middleware: Any = OpenTelemetryMiddleware(
        keeping_headers(app),
        excluded_urls=url_pattern(excluded) or None,
        default_span_details=lambda scope: (scope.get("method", "WEBSOCKET"), {}),
        server_request_hook=_remember,
        tracer_provider=provider,
        meter_provider=NoOpMeterProvider(),
        exclude_spans=["receive", "send"],
    )
    return middleware  # type: ignore[no-any-return]


def _remember(span: Span, scope: Any) -> None:
    restore(scope)
    if span.is_recording():
        scope[SERVER_SPAN] = span
        if "server.address" in (getattr(span, "attributes", None) or ()):
            # OpenTelemetry's instrumentation writes `host:port`, although `server.port` has the port.
            span.set_attribute("server.address", (scope.get("server") or ("0.0.0.0",))[0])  # noqa: S104 - its default
        if ID in scope:
            span.set_attribute("correlation_id", scope[ID])


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
