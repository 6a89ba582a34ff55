"""Reads the context that a caller sends in the headers of a request: span context, trace state and baggage.

Most requests bring nothing, or only a ``traceparent`` of version 00. Both are read here; everything else is left to
OpenTelemetry's propagators.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from opentelemetry import propagate
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.propagators.textmap import Getter
from opentelemetry.trace import SpanContext, TraceFlags, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

if TYPE_CHECKING:
    from instrumentation.asgi import Scope

NOTHING = Context()
_W3C = frozenset((TraceContextTextMapPropagator, W3CBaggagePropagator))
_TRACEPARENT = b"traceparent"
_BAGGAGE = b"baggage"
_FURTHER = frozenset((b"tracestate", _BAGGAGE))
_USUAL = re.compile(rb"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")


class _Headers(Getter["Scope"]):
    """Reads the headers of a scope, for propagators."""

    def get(self, carrier: Scope, key: str) -> list[str] | None:
        """All values of a header; those of ``baggage`` as one, because OpenTelemetry's propagator reads only the first."""
        wanted = key.lower().encode("latin-1", "replace")
        found = [value.decode("latin-1") for name, value in carrier.get("headers") or () if name == wanted]
        return ([",".join(found)] if wanted == _BAGGAGE else found) if found else None

    def keys(self, carrier: Scope) -> list[str]:
        """The names of all headers."""
        return [name.decode("latin-1") for name, _ in carrier.get("headers") or ()]


_HEADERS = _Headers()


class IncomingContext:
    """Reads what requests bring."""

    def __init__(self) -> None:
        self._known: Any = None  # the propagator that was looked at last; the service may set another at any time
        self._is_w3c = False

    def __call__(self, scope: Scope) -> tuple[Context, SpanContext | None]:
        """The context that a request brings, and the caller's span if there is one.

        For a usual ``traceparent`` the context does not contain the span.
        """
        propagator = propagate.get_global_textmap()
        if propagator is not self._known:
            self._known, self._is_w3c = propagator, _is_w3c(propagator)
        if self._is_w3c:
            parent = None
            for name, value in scope["headers"]:
                if name == _TRACEPARENT and parent is None:
                    parent = value
                elif name in _FURTHER:
                    break
            else:
                if parent is None:
                    return NOTHING, None
                match = _USUAL.fullmatch(parent)
                if match is not None:
                    trace_id, span_id, flags = match.groups()
                    usual = SpanContext(int(trace_id, 16), int(span_id, 16), True, TraceFlags(int(flags, 16)))  # noqa: FBT003 - is_remote
                    return NOTHING, usual if usual.is_valid else None
        context = propagate.extract(scope, getter=_HEADERS)
        given = get_current_span(context).get_span_context()
        return context, given if given.is_valid else None


def _is_w3c(propagator: Any) -> bool:
    """Whether a propagator reads only traceparent, tracestate and baggage, and traceparent at least."""
    parts = vars(propagator).get("_propagators", ()) if type(propagator) is CompositePropagator else (propagator,)
    kinds = {type(part) for part in parts}
    return TraceContextTextMapPropagator in kinds and kinds <= _W3C
