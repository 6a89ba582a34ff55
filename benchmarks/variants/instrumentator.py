"""prometheus-fastapi-instrumentator, as in its README."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry
from prometheus_fastapi_instrumentator import Instrumentator

from benchmarks.asgi import body_of
from benchmarks.variants import Installed

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import FastAPI


def install(build: Callable[..., FastAPI]) -> Installed:
    """Instrument and expose the service with a separate registry, because a second app in one records nothing."""
    app = build()
    Instrumentator(registry=CollectorRegistry()).instrument(app).expose(app)
    return Installed(app, partial(body_of, app, "/metrics"))
