"""Tracing: a span for each request and each call, sent in batches to the collector beside the service.

Only ``traces_of`` loads OpenTelemetry, and it is only called if ``tracing.endpoint`` is set.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from instrumentation.errors import Fault, SettingsError

if TYPE_CHECKING:
    from instrumentation.settings import Settings, Tracing
    from instrumentation.store import Store
    from instrumentation.tracing.traces import Traces

_LIBRARIES = {
    "sidelight": ("opentelemetry.propagate", "opentelemetry.sdk.trace", "opentelemetry.util.http"),
    "contrib": ("opentelemetry.propagate", "opentelemetry.sdk.trace", "opentelemetry.instrumentation.asgi"),
}
_EXTRAS = {"http/protobuf": "tracing", "grpc": "tracing-grpc"}
_EXPORTERS = {
    "http/protobuf": "opentelemetry.exporter.otlp.proto.http.trace_exporter",
    "grpc": "opentelemetry.exporter.otlp.proto.grpc.trace_exporter",
}
_known: WeakKeyDictionary[Store, Traces] = WeakKeyDictionary()


def traces_of(store: Store, settings: Settings) -> Traces:
    """The traces of a store, which counts them. They are created on first use; settings of later calls are ignored.

    Raises:
        SettingsError: OpenTelemetry is not installed, or a propagator that ``OTEL_PROPAGATORS`` names.
    """
    if store not in _known:
        _refuse_without_opentelemetry(settings.tracing)
        from instrumentation.tracing.traces import Traces  # noqa: PLC0415 - it loads OpenTelemetry

        _known[store] = Traces(settings, store)
    return _known[store]


def _refuse_without_opentelemetry(tracing: Tracing) -> None:
    try:
        for module in (*_LIBRARIES[tracing.instrumentation], _EXPORTERS[tracing.protocol]):
            import_module(module)
    except ImportError as error:
        fault = Fault(
            source="settings",
            path="tracing.endpoint",
            problem=f"traces need {error.name}, which is not installed",
            allowed=f"install sidelight[{_EXTRAS[tracing.protocol]}], or remove the endpoint",
        )
        raise SettingsError([fault]) from None
    except ValueError as error:  # OpenTelemetry cannot be imported with a propagator that it does not find
        fault = Fault(
            source="OTEL_PROPAGATORS",
            path="",
            problem=f"cannot be used ({str(error).rstrip('.')})",
            allowed="install the package that brings it, such as opentelemetry-propagator-b3, or leave it out",
        )
        raise SettingsError([fault]) from None
