"""OpenTelemetry's contrib instrumentation, with no trace sampled; no metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.variants import contrib_sampled

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import FastAPI

    from benchmarks.variants import Installed


def install(build: Callable[..., FastAPI]) -> Installed:
    """Instrument the service."""
    return contrib_sampled.install(build, sample_ratio=0.0)
