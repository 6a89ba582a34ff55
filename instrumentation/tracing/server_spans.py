"""Spans of requests. Whether a request is sampled is decided first, so that one that is not costs little.

A request that is not sampled gets a context with ids, which log lines, outgoing calls and the service's own spans continue, and
nothing else. A sampled one gets the span that OpenTelemetry's instrumentation for ASGI would create, with the attributes of the
stable semantic conventions (https://opentelemetry.io/docs/specs/semconv/http/http-spans/).
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from functools import lru_cache
from time import time_ns
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.context import Context, attach, detach, get_current, set_value
from opentelemetry.sdk.trace import Tracer
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, StatusCode, TraceFlags, set_span_in_context
from opentelemetry.trace.span import DEFAULT_TRACE_STATE
from opentelemetry.trace.status import Status
from opentelemetry.util.http import detect_synthetic_user_agent

from instrumentation.correlation import ID
from instrumentation.http_methods import METHODS, OTHER_METHOD
from instrumentation.log_once import LogOnce
from instrumentation.tracing.fastapi_apps import TRACER
from instrumentation.tracing.headers import Captured
from instrumentation.tracing.incoming_context import NOTHING, IncomingContext
from instrumentation.tracing.sampling import bounds_of, is_below
from instrumentation.version import __version__

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span

    from instrumentation.asgi import ASGIApp, Message, Receive, Scope, Send

OBSERVED = "fastapi.telemetry"
"""If this key is in a scope, FastAPI (0.143 or newer) creates no second span for a mounted app."""

SCHEMA = "https://opentelemetry.io/schemas/1.21.0"
SERVER_ERROR = 500
_KINDS = frozenset(("http", "websocket"))
_NO_SERVER = ("0.0.0.0", 80)  # noqa: S104 - what OpenTelemetry's instrumentation writes
_FAILED = Status(StatusCode.ERROR)
_RANDOM = TraceFlags(getattr(TraceFlags, "RANDOM_TRACE_ID", 0))
_ALL_METHODS = "OTEL_PYTHON_INSTRUMENTATION_HTTP_CAPTURE_ALL_METHODS"
_FAULT = "a request has no span, because tracing failed; later failures are not logged"
_synthetic_type = lru_cache(maxsize=512)(detect_synthetic_user_agent)


class ServerSpans:
    """Creates the spans of an app's requests.

    Args:
        provider: Creates spans, and has the sampler.
        template: Gives the route template of a request, once it is known.
        is_excluded: Whether a request gets no span.
    """

    def __init__(
        self, provider: TracerProvider, template: Callable[[Scope], str], is_excluded: Callable[[Scope], bool]
    ) -> None:
        self.tracer = provider.get_tracer("sidelight", __version__, SCHEMA)
        self._ids = provider.id_generator
        self._bounds = bounds_of(provider.sampler) if type(self.tracer) is Tracer else None
        self._chosen: _ChosenIds | None = None
        if self._bounds is not None and self._bounds.draws:
            self._chosen = self.tracer.id_generator = _ChosenIds(self._ids)  # type: ignore[attr-defined]  # the SDK's tracer
        is_random = getattr(self._ids, "is_trace_id_random", None)
        self._root_flags = _RANDOM if is_random is not None and is_random() else TraceFlags()
        self._template = template
        self._is_excluded = is_excluded
        self._takes_all_methods = bool(os.environ.get(_ALL_METHODS))
        self._captured = Captured()
        self._incoming = IncomingContext()
        self._log_once = LogOnce()

    def around(self, app: ASGIApp) -> ASGIApp:
        """An ASGI app whose requests have spans."""
        is_excluded, begun = self._is_excluded, self._begun

        async def traced(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] not in _KINDS or is_excluded(scope):
                return await app(scope, receive, send)
            scope.setdefault(OBSERVED, None)
            try:
                context, span = begun(scope)
            except Exception as fault:  # noqa: BLE001 - an error in tracing must not become the service's
                self._log_once(_FAULT, level=logging.ERROR, error=fault)
                return await app(scope, receive, send)
            recorded = None
            if span.is_recording():
                recorded = _Recorded(self, span, scope, send)
                send = recorded.answering
            elif _response_propagator() is not None:
                send = _with_trace(send, span)
            token = attach(context)
            try:
                return await app(scope, receive, send)
            except Exception as fault:
                if recorded is not None:
                    recorded.fail(fault)
                raise
            finally:
                detach(token)
                if recorded is not None:
                    recorded.end()

        traced.app = app  # type: ignore[attr-defined]  # frameworks look through a stack by this name
        return traced

    def _begun(self, scope: Scope) -> tuple[Context, Span]:
        """The context in which a request is answered, and its span."""
        outer = get_current()
        if outer:  # usually it is empty
            current = trace.get_current_span(outer)
            if not _is_enabled():
                return outer, trace.INVALID_SPAN
            if current is not trace.INVALID_SPAN:  # the request is made within another
                return self._started(scope, outer, SpanKind.INTERNAL)
        context, parent = self._incoming(scope)
        if outer:  # FastAPI's own telemetry keeps its data of the request there
            context = Context({**outer, **context})
        bounds = self._bounds
        if bounds is not None:
            if parent is None:
                trace_id, bound = self._ids.generate_trace_id(), bounds.root
                flags, state = self._root_flags, DEFAULT_TRACE_STATE
            else:
                trace_id, flags, state = parent.trace_id, parent.trace_flags, parent.trace_state
                bound = bounds.sampled if flags.sampled else bounds.unsampled
                flags = TraceFlags(flags & _RANDOM)
            if not is_below(trace_id, bound):
                ids = SpanContext(trace_id, self._ids.generate_span_id(), False, flags, state)  # noqa: FBT003 - is_remote
                span = NonRecordingSpan(ids)
                return set_span_in_context(span, context), span
            if parent is None and self._chosen is not None:
                self._chosen.next.trace_id = trace_id
        if parent is not None:
            context = set_span_in_context(NonRecordingSpan(parent), context)
        return self._started(scope, context, SpanKind.SERVER)

    def _started(self, scope: Scope, context: Context, kind: SpanKind) -> tuple[Context, Span]:
        """The span that OpenTelemetry's tracer starts; a sampler that is not known decides now."""
        method = self.method(scope)
        span = self.tracer.start_span(method, context, kind, self._attributes(scope, method))
        return set_value(TRACER, self.tracer, set_span_in_context(span, context)), span

    def method(self, scope: Scope) -> str:
        """The method of a request, as attributes have it; empty for a websocket."""
        given: str = scope.get("method", "")
        known = METHODS.get(given)
        if known is not None or not given:
            return known or ""
        upper = given.strip().upper()
        return upper if self._takes_all_methods else METHODS.get(upper, OTHER_METHOD)

    def answer(self, span: Span, scope: Scope, message: Message, status: int) -> Message:
        """Name a span by its route, which is known when the response begins, and add what the response says.

        Returns:
            The message to send.
        """
        found: dict[str, Any] = {}
        if status:
            found["http.response.status_code"] = status
            if status >= SERVER_ERROR or status < 100:  # noqa: PLR2004 - no status of HTTP
                found["error.type"] = str(status)
                span.set_status(_FAILED)
        template = self._template(scope)
        method = self.method(scope)
        name = ("HTTP" if method == OTHER_METHOD else method) if scope["type"] == "http" else "WEBSOCKET"
        if template:
            found["http.route"] = template
            name = f"{name} {template}"
        span.update_name(name)
        if found:
            span.set_attributes(found)
        return _with_response_headers(span, self._captured.of_response(span, message))

    def _attributes(self, scope: Scope, method: str) -> dict[str, Any]:
        """The attributes that are known when a request arrives."""
        server = scope.get("server") or _NO_SERVER
        found: dict[str, Any] = {
            "url.scheme": scope.get("scheme"),
            "server.address": server[0],
            "server.port": server[1],
            "network.protocol.version": scope.get("http_version"),
            "url.path": scope.get("path"),
        }
        query = scope.get("query_string")
        if query:
            found["url.query"] = query.decode("utf-8", "replace") if isinstance(query, bytes) else query
        if method:
            if method != scope["method"]:
                found["http.request.method_original"] = scope["method"].strip()
            found["http.request.method"] = method
        for name, value in scope.get("headers") or ():
            if name == b"user-agent":
                agent = value.decode("latin-1")
                found["user_agent.original"] = agent
                synthetic = _synthetic_type(agent)
                if synthetic:
                    found["user_agent.synthetic.type"] = synthetic
                break
        client = scope.get("client")
        if client:
            found["client.address"], found["client.port"] = client
        found["correlation_id"] = scope.get(ID)
        found |= self._captured.of_request(scope)
        return {name: value for name, value in found.items() if value}


class _Recorded:
    """A request whose span is recorded.

    Args:
        spans: Names the span.
        span: The span.
        scope: The scope of the request.
        send: Sends the response.
    """

    __slots__ = (
        "_ended_at",
        "_failed_at",
        "_has_ended",
        "_has_trailers",
        "_outer",
        "_scope",
        "_send",
        "_span",
        "_spans",
        "_status",
    )

    def __init__(self, spans: ServerSpans, span: Span, scope: Scope, send: Send) -> None:
        self._spans = spans
        self._span = span
        self._scope = scope
        self._send = send
        self._outer = sys.exception()
        self._status = 0
        self._failed_at: int | None = None  # when the answer to an exception began
        self._ended_at: int | None = None
        self._has_trailers = self._has_ended = False

    def answering(self, message: Message) -> Awaitable[None]:
        """ASGI's ``send``."""
        try:
            kind = message["type"]
            if kind == "http.response.body":
                if not (message.get("more_body") or self._has_trailers):
                    return self._last(message)
            elif kind == "http.response.start":
                self._has_trailers = message.get("trailers", False)
                if sys.exception() is not self._outer:
                    self._failed_at = time_ns()
                self._status = int(message["status"])
                message = self._spans.answer(self._span, self._scope, message, self._status)
            elif kind == "http.response.trailers":
                if not message.get("more_trailers"):
                    return self._last(message)
            else:
                message = self._of_websocket(message, kind)
        except Exception:  # noqa: BLE001, S110 - an error in tracing, or a message that the server refuses
            pass
        return self._send(message)

    def _of_websocket(self, message: Message, kind: str) -> Message:
        if kind == "websocket.send" and not self._status:
            self._status = 200
            self._span.set_attribute("http.response.status_code", self._status)
        return self._spans.answer(self._span, self._scope, message, 0) if kind in _OPENINGS else message

    async def _last(self, message: Message) -> None:
        await self._send(message)
        self._ended_at = time_ns()
        # An exception that is being answered is recorded when it arrives at the layer.
        if sys.exception() is self._outer:
            self.end()

    def fail(self, fault: Exception) -> None:
        """The app has raised an exception."""
        if not self._has_ended:
            self._span.record_exception(fault, timestamp=self._failed_at)
            if self._status < SERVER_ERROR:  # otherwise the status says it
                self._span.set_status(Status(StatusCode.ERROR, f"{type(fault).__name__}: {fault}"))

    def end(self) -> None:
        """The response has ended, or the app."""
        if not self._has_ended:
            self._has_ended = True
            self._span.end(self._ended_at)


_OPENINGS = frozenset(("websocket.accept", "websocket.http.response.start"))


def _with_trace(send: Send, span: Span) -> Send:
    """A ``send`` that adds the trace to the response, as the service's propagator for responses writes it."""

    def answering(message: Message) -> Awaitable[None]:
        if message.get("type") == "http.response.start" or message.get("type") in _OPENINGS:
            message = _with_response_headers(span, message)
        return send(message)

    return answering


class _ChosenIds(IdGenerator):
    """Gives a trace the id that was sampled.

    Args:
        inner: Gives all other ids.
    """

    def __init__(self, inner: IdGenerator) -> None:
        self._inner = inner
        self.next = threading.local()

    def generate_trace_id(self) -> int:
        """The chosen id, once; then new ones."""
        chosen: int = vars(self.next).pop("trace_id", 0)
        return chosen or self._inner.generate_trace_id()

    def generate_span_id(self) -> int:
        """A new id."""
        return self._inner.generate_span_id()

    def is_trace_id_random(self) -> bool:
        """As the inner generator says."""
        return self._inner.is_trace_id_random()


def _is_enabled() -> bool:
    from opentelemetry.instrumentation.utils import is_http_instrumentation_enabled  # noqa: PLC0415 - rarely needed

    return is_http_instrumentation_enabled()


def _response_propagator() -> Any:
    """What adds the trace to responses, if the service has set it."""
    propagators = sys.modules.get("opentelemetry.instrumentation.propagators")
    return None if propagators is None else propagators.get_global_response_propagator()


def _with_response_headers(span: Span, message: Message) -> Message:
    propagator = _response_propagator()
    if propagator is None:
        return message
    headers: list[tuple[bytes, bytes]] = list(message.get("headers") or ())
    propagator.inject(headers, context=set_span_in_context(span, NOTHING), setter=_SETTER)
    return {**message, "headers": headers}


class _Setter:
    """Adds a header to those of a response."""

    def set(self, carrier: list[tuple[bytes, bytes]], key: str, value: str) -> None:
        """Add one."""
        carrier.append((key.lower().encode("latin-1"), value.encode("latin-1")))


_SETTER = _Setter()
