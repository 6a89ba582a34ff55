"""FastAPI's own telemetry: only metrics, with OpenTelemetry's Prometheus exporter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.variants import Installed
from benchmarks.variants.contrib import meters, page

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import FastAPI


def install(build: Callable[..., FastAPI]) -> Installed:
    """Give the service a meter provider, with spans and logs off."""
    telemetry = {"meter_provider": meters(), "tracing": False, "logs": False}
    return Installed(build(telemetry=telemetry), page)
