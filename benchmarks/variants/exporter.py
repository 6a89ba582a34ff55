"""starlette_exporter, as in its README."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from starlette_exporter import PrometheusMiddleware, handle_metrics

from benchmarks.asgi import body_of
from benchmarks.variants import Installed

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import FastAPI


def install(build: Callable[..., FastAPI]) -> Installed:
    """Add the middleware and the page."""
    app = build()
    app.add_middleware(PrometheusMiddleware)
    app.add_route("/metrics", handle_metrics)
    return Installed(app, partial(body_of, app, "/metrics"))
