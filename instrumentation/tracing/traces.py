"""The tracer provider of a process and its exporter, started in each serving process and flushed at its end."""

from __future__ import annotations

import atexit
import logging
import os
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.propagators.textmap import TextMapPropagator
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

from instrumentation.log_once import LogOnce
from instrumentation.offload import start_thread
from instrumentation.redaction import Redactor
from instrumentation.settings import Tracing
from instrumentation.settings.opentelemetry import read_tracing
from instrumentation.tracing.clients import trace_clients
from instrumentation.tracing.export import BoundedExport, BoundedProcessor
from instrumentation.tracing.fastapi_apps import telemetry_fault

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

    from instrumentation.settings import Settings
    from instrumentation.store import Store

_log = logging.getLogger("instrumentation")

FLUSH_SECONDS = 5.0
"""Seconds that a shutdown waits for a collector."""

_SEMANTICS = "OTEL_SEMCONV_STABILITY_OPT_IN"
_OLD_NAMES = (
    "spans of requests have the names of the stable semantic conventions, although %s is %s; "
    "set tracing.instrumentation: contrib to have others"
)


class Traces:
    """The traces of a process.

    Args:
        settings: The settings: destination and sampling.
        store: The store that counts spans.

    Attributes:
        provider: OpenTelemetry's tracer provider; the service's own one if it has set one.
        uses_contrib: Whether OpenTelemetry's own instrumentation creates the spans of requests.
    """

    def __init__(self, settings: Settings, store: Store) -> None:
        os.environ.setdefault(_SEMANTICS, "http")  # the stable names; otherwise the instrumentations use those of 2022
        self._settings = settings.tracing
        self.uses_contrib = settings.tracing.instrumentation == "contrib"
        self._store = store
        masked = settings.logging.redaction
        self._redactor = Redactor(keys=masked.keys, allow=masked.allow, patterns=masked.patterns)
        self._log_once = LogOnce()
        self._export: BoundedExport | None = None
        self._processor: BoundedProcessor | None = None
        known = trace.get_tracer_provider()
        is_known = isinstance(known, TracerProvider)
        self.provider = known if isinstance(known, TracerProvider) else _provider(settings)
        # The service's own provider reads the same variables; Sidelight would send every span a second time.
        self._is_sent_elsewhere = is_known and "endpoint" in read_tracing(Tracing(), os.environ).set
        if not propagate.get_global_textmap().fields:  # OTEL_PROPAGATORS=none
            propagate.set_global_textmap(_NoPropagator())
        # It would log a line for each lost batch.
        logging.getLogger("opentelemetry.exporter").setLevel(logging.CRITICAL)
        trace_clients(self.provider)
        os.register_at_fork(after_in_child=self._forget)

    def log(self, app: Any) -> None:
        """Say what an app's traces replace."""
        said = telemetry_fault(app, uses_contrib=self.uses_contrib)
        if said:
            self._log_once(said)
        wanted = os.environ.get(_SEMANTICS, "http")  # the service may have removed it since
        if not self.uses_contrib and "http" not in {each.strip() for each in wanted.split(",")}:
            self._log_once(_OLD_NAMES, _SEMANTICS, wanted)

    def begin(self) -> None:
        """Start to send spans. Call it in the serving process, because threads do not survive a fork."""
        if self._processor is None and not self._is_sent_elsewhere:
            most = self._settings.queue_size
            where = _without_password(str(self._settings.endpoint))
            try:
                exporter = _exporter(self._settings)
            except Exception as error:  # noqa: BLE001 - a variable of OpenTelemetry that it cannot use
                self._is_sent_elsewhere = True
                _log.error("no spans are sent to %s, since OpenTelemetry's exporter says: %s", where, error)
                return
            self._export = BoundedExport(exporter, self._redactor, self._store, most=most, where=where)
            self._processor = BoundedProcessor(self._export, most)
            self.provider.add_span_processor(self._processor)
            atexit.register(self.end)

    def end(self) -> None:
        """Send waiting spans within the time limit of a shutdown, which a missing collector must not delay."""
        if self._processor is None or self._export is None or not self._export.waiting:
            return
        # A slow collector, or an interpreter that is shutting down and starts no more threads: the warning below says what is lost.
        with suppress(TimeoutError, RuntimeError):
            start_thread(self._processor.force_flush, "sidelight-spans").result(FLUSH_SECONDS)
        if self._export.waiting:
            where = _without_password(str(self._settings.endpoint))
            _log.warning("%d spans could not be sent to %s in time", self._export.waiting, where)

    def _forget(self) -> None:
        if self._export is not None:  # OpenTelemetry restarts its thread itself
            self._export.reset()


class _NoPropagator(TextMapPropagator):
    """Propagates nothing. OpenTelemetry's own returns no context for OTEL_PROPAGATORS=none, so that requests fail."""

    def extract(self, carrier: Any, context: Context | None = None, *_: Any, **__: Any) -> Context:
        """The unchanged context."""
        del carrier
        return Context() if context is None else context

    def inject(self, carrier: Any, *_: Any, **__: Any) -> None:
        """Add nothing."""

    @property
    def fields(self) -> set[str]:
        """No fields."""
        return set()


def _without_password(address: str) -> str:
    return re.sub(r"(?<=//)[^/@\s]*@", "***@", address)


def _provider(settings: Settings) -> TracerProvider:
    service = settings.service
    facts = {
        **service.attributes,
        "service.name": service.name,
        "service.version": service.version,
        "deployment.environment.name": service.environment,
    }
    by_ratio = ParentBased(TraceIdRatioBased(settings.tracing.sample_ratio))
    provider = TracerProvider(
        sampler=None if os.environ.get("OTEL_TRACES_SAMPLER", "").strip() else by_ratio,  # None: the variable's
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

        insecure = endpoint.startswith("http://") if "://" in endpoint else None  # None: as the variable says
        return GrpcExporter(endpoint=endpoint, insecure=insecure, timeout=seconds)
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - as above

    has_path = re.fullmatch(r"https?://[^/]+", endpoint) is None
    return OTLPSpanExporter(endpoint=endpoint if has_path else f"{endpoint}/v1/traces", timeout=seconds)
