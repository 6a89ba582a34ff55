"""The usual combination: prometheus-fastapi-instrumentator, asgi-correlation-id and a structlog access line."""

from __future__ import annotations

import os
import time
from functools import partial
from typing import TYPE_CHECKING

import structlog
from asgi_correlation_id import CorrelationIdMiddleware, correlation_id
from prometheus_client import CollectorRegistry
from prometheus_fastapi_instrumentator import Instrumentator

from benchmarks.asgi import body_of
from benchmarks.variants import Installed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from fastapi import FastAPI, Request, Response


def install(build: Callable[..., FastAPI]) -> Installed:
    """Combine the three as their READMEs and common tutorials do; the log is discarded."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.WriteLoggerFactory(os.fdopen(nowhere, "w", buffering=1, encoding="utf-8")),
        cache_logger_on_first_use=True,
    )
    log = structlog.get_logger("access")
    app = build()

    @app.middleware("http")
    async def access(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(correlation_id=correlation_id.get())
        began = time.perf_counter()
        response = await call_next(request)
        route = getattr(request.scope.get("route"), "path", "")
        milliseconds = round((time.perf_counter() - began) * 1000, 3)
        log.info("request", method=request.method, route=route, status=response.status_code, duration_ms=milliseconds)
        return response

    app.add_middleware(CorrelationIdMiddleware, header_name="X-Request-ID")
    Instrumentator(registry=CollectorRegistry()).instrument(app).expose(app)
    return Installed(app, partial(body_of, app, "/metrics"))
