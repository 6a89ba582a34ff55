"""OpenTelemetry's contrib instrumentation: only metrics, with its Prometheus exporter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import REGISTRY, generate_latest

from benchmarks.variants import Installed

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import FastAPI


def meters() -> MeterProvider:
    """A meter provider that exports to prometheus_client's registry."""
    return MeterProvider(metric_readers=[PrometheusMetricReader()])


async def page() -> bytes:
    """The page of prometheus_client's registry."""
    return generate_latest(REGISTRY)


def install(build: Callable[..., FastAPI]) -> Installed:
    """Instrument the service, without a tracer provider and without spans for messages, which makes it faster."""
    app = build()
    FastAPIInstrumentor.instrument_app(app, meter_provider=meters(), exclude_spans=["receive", "send"])
    return Installed(app, page)
