"""Remembers instrumented httpx clients, so that their calls become spans once tracing is on."""

from __future__ import annotations

from typing import Any
from weakref import WeakSet


class _Clients:
    """Clients and the tracer provider for their spans, in whichever order they are added."""

    def __init__(self) -> None:
        self.known: WeakSet[Any] = WeakSet()
        self.provider: Any = None


_clients = _Clients()


def follow_client(client: Any) -> None:
    """Create spans for a client's calls, at once or as soon as tracing is on."""
    _clients.known.add(client)
    if _clients.provider is not None:
        _instrument(client)


def trace_clients(provider: Any) -> None:
    """Create spans for the calls of all clients, present and future."""
    _clients.provider = provider
    for client in tuple(_clients.known):
        _instrument(client)


def _instrument(client: Any) -> None:
    from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor  # noqa: PLC0415 - only with tracing
    from opentelemetry.metrics import NoOpMeterProvider  # noqa: PLC0415 - as above

    if not getattr(client, "_is_instrumented_by_opentelemetry", False):
        HTTPXClientInstrumentor.instrument_client(
            client, tracer_provider=_clients.provider, meter_provider=NoOpMeterProvider()
        )
