"""The tracer provider of a process and its exporter, started in each serving process and flushed at its end."""

from __future__ import annotations

import atexit
import logging
import os
import re
import threading
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

from instrumentation.http.correlation import ID
from instrumentation.redaction import Redactor
from instrumentation.settings.route_patterns import as_regex
from instrumentation.tracing.clients import trace_clients
from instrumentation.tracing.export import BoundedExport, BoundedProcessor

if TYPE_CHECKING:
    from collections.abc import Iterable

    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Span

    from instrumentation.http.middleware import ASGIApp, Message, Receive, Scope, Send
    from instrumentation.http.routes import Routes
    from instrumentation.settings import Settings, Tracing
    from instrumentation.store import Store

_log = logging.getLogger("instrumentation")

FLUSH_SECONDS = 5.0
"""Seconds that a shutdown waits for a collector."""

_SERVER_SPAN = "sidelight.server_span"
_STARTS = frozenset(("http.response.start", "websocket.accept", "websocket.http.response.start"))
_OBSERVED = "fastapi.telemetry"
"""If this key is in a scope, FastAPI (0.143 or newer) creates no second span for a mounted app."""
_SEMANTICS = "OTEL_SEMCONV_STABILITY_OPT_IN"


class Traces:
    """The traces of a process.

    Args:
        settings: The settings: destination and sampling.
        store: The store that counts spans.

    Attributes:
        provider: OpenTelemetry's tracer provider; the service's own one if it has set one.
    """

    def __init__(self, settings: Settings, store: Store) -> None:
        os.environ.setdefault(_SEMANTICS, "http")  # the stable names; otherwise the instrumentations use those of 2022
        self._settings = settings.tracing
        self._store = store
        masked = settings.logging.redaction
        self._redactor = Redactor(keys=masked.keys, allow=masked.allow, patterns=masked.patterns)
        self._export: BoundedExport | None = None
        self._processor: BoundedProcessor | None = None
        self.provider = _provider(settings)
        logging.getLogger("opentelemetry.exporter").setLevel(
            logging.CRITICAL
        )  # it would log a line for each lost batch
        trace_clients(self.provider)
        os.register_at_fork(after_in_child=self._forget)

    def begin(self) -> None:
        """Start to send spans. Call it in the serving process, because threads do not survive a fork."""
        if self._processor is None:
            most = self._settings.queue_size
            where = str(self._settings.endpoint)
            self._export = BoundedExport(_exporter(self._settings), self._redactor, self._store, most=most, where=where)
            self._processor = BoundedProcessor(self._export, most)
            self.provider.add_span_processor(self._processor)
            atexit.register(self.end)

    def end(self) -> None:
        """Send waiting spans within the time limit of a shutdown, which a missing collector must not delay."""
        if self._processor is None or self._export is None or not self._export.waiting:
            return
        flushing = threading.Thread(target=self._processor.force_flush, name="sidelight-spans", daemon=True)
        try:
            flushing.start()
        except RuntimeError:  # the interpreter is shutting down and starts no more threads
            return
        flushing.join(FLUSH_SECONDS)
        if self._export.waiting:
            _log.warning("%d spans could not be sent to %s in time", self._export.waiting, self._settings.endpoint)

    def instrument(self, app: Any, excluded: Iterable[str]) -> bool:
        """Let OpenTelemetry's instrumentation create a span for each request of a FastAPI app.

        Returns:
            False if it is not a FastAPI app; use ``layer`` instead.
        """
        from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor  # noqa: PLC0415 - it loads FastAPI

        if not hasattr(app, "openapi"):
            return False
        FastAPIInstrumentor.instrument_app(
            app,
            tracer_provider=self.provider,
            meter_provider=NoOpMeterProvider(),  # requests are counted once, by us
            server_request_hook=_remember,
            excluded_urls=_pattern(excluded) or None,
            exclude_spans=["receive", "send"],
        )
        return True

    def layer(self, excluded: Iterable[str]) -> Any:
        """A layer that creates a span for each request of any ASGI app."""
        from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware  # noqa: PLC0415 - most apps are FastAPI's

        def wrap(app: ASGIApp) -> ASGIApp:
            middleware: Any = OpenTelemetryMiddleware(
                app,
                excluded_urls=_pattern(excluded) or None,
                default_span_details=lambda scope: (scope.get("method", "WEBSOCKET"), {}),
                server_request_hook=_remember,
                tracer_provider=self.provider,
                meter_provider=NoOpMeterProvider(),
                exclude_spans=["receive", "send"],
            )
            return middleware  # type: ignore[no-any-return]

        return wrap

    def _forget(self) -> None:
        if self._export is not None:  # OpenTelemetry restarts its thread itself
            self._export.reset()


def naming_spans(app: ASGIApp, routes: Routes) -> ASGIApp:
    """An ASGI app whose server spans get the full route template instead of the path, once it is known.

    OpenTelemetry's own instrumentation matches the path a second time, and finds only the last of nested routers.
    """

    async def named(scope: Scope, receive: Receive, send: Send) -> None:
        def answering(message: Message) -> Any:
            if message.get("type") in _STARTS:
                _name(scope, routes)
            return send(message)

        scope.setdefault(_OBSERVED, None)
        await app(scope, receive, answering)

    named.app = app  # type: ignore[attr-defined]  # frameworks look through a stack by this name
    return named


def _name(scope: Scope, routes: Routes) -> None:
    span = scope.get(_SERVER_SPAN)
    if span is None or not span.is_recording():
        return
    try:
        template = routes.template(scope)
    except Exception:  # noqa: BLE001 - our errors must not affect the service
        return
    method = scope.get("method", "WEBSOCKET")
    span.update_name(f"{method} {template}" if template else method)
    if template:
        span.set_attribute("http.route", template)


def _remember(span: Span, scope: Any) -> None:
    if span.is_recording():
        scope[_SERVER_SPAN] = span
        if ID in scope:
            span.set_attribute("correlation_id", scope[ID])


def _pattern(excluded: Iterable[str]) -> str:
    return ",".join(f"^[a-z]+://[^/]+{as_regex(path)}$" for path in sorted(excluded))


def _provider(settings: Settings) -> TracerProvider:
    known = trace.get_tracer_provider()
    if isinstance(known, TracerProvider):
        return known
    service = settings.service
    facts = {
        "service.name": service.name,
        "service.version": service.version,
        "deployment.environment.name": service.environment,
    }
    provider = TracerProvider(
        sampler=ParentBased(TraceIdRatioBased(settings.tracing.sample_ratio)),
        resource=Resource.create(facts),
        shutdown_on_exit=False,  # it would wait half a minute for a missing collector
    )
    trace.set_tracer_provider(provider)
    return provider


def _exporter(tracing: Tracing) -> SpanExporter:
    endpoint, seconds = str(tracing.endpoint), tracing.timeout_seconds
    if tracing.protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import (  # noqa: PLC0415 - only if configured
            OTLPSpanExporter as GrpcExporter,
        )

        return GrpcExporter(endpoint=endpoint, insecure=endpoint.startswith("http://"), timeout=seconds)
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - as above

    has_path = re.fullmatch(r"https?://[^/]+", endpoint) is None
    return OTLPSpanExporter(endpoint=endpoint if has_path else f"{endpoint}/v1/traces", timeout=seconds)
