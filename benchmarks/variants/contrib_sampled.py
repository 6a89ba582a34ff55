"""OpenTelemetry's contrib instrumentation: a span per request, sent to a receiver in another process; no metrics."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

from benchmarks.variants import Installed
from benchmarks.variants.sidelight_sampled import receiver

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import FastAPI


def install(build: Callable[..., FastAPI], sample_ratio: float = 1.0) -> Installed:
    """Instrument the service, without spans for messages, and with the names that Sidelight's spans have."""
    os.environ["OTEL_SEMCONV_STABILITY_OPT_IN"] = "http"
    provider = TracerProvider(sampler=ParentBased(TraceIdRatioBased(sample_ratio)), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{receiver()}/v1/traces")))
    app = build()
    FastAPIInstrumentor.instrument_app(
        app, tracer_provider=provider, meter_provider=NoOpMeterProvider(), exclude_spans=["receive", "send"]
    )
    return Installed(app, nothing)


async def nothing() -> bytes:
    """It has no page."""
    return b""
