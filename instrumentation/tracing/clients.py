"""The httpx clients that are measured, so that their calls become spans once there are traces."""

from __future__ import annotations

from typing import Any
from weakref import WeakSet


class _Clients:
    """Clients and, once there are traces, the provider that their spans belong to, whichever comes first."""

    def __init__(self) -> None:
        self.known: WeakSet[Any] = WeakSet()
        self.provider: Any = None


_clients = _Clients()


def follow_client(client: Any) -> None:
    """Make spans of a client's calls, at once or as soon as there are traces."""
    _clients.known.add(client)
    if _clients.provider is not None:
        _instrument(client)


def trace_clients(provider: Any) -> None:
    """Make spans of the calls of all clients, those known and those to come."""
    _clients.provider = provider
    for client in tuple(_clients.known):
        _instrument(client)


def _instrument(client: Any) -> None:
    from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor  # noqa: PLC0415 - only where there are traces
    from opentelemetry.metrics import NoOpMeterProvider  # noqa: PLC0415 - as above

    if not getattr(client, "_is_instrumented_by_opentelemetry", False):
        HTTPXClientInstrumentor.instrument_client(
            client, tracer_provider=_clients.provider, meter_provider=NoOpMeterProvider()
        )
