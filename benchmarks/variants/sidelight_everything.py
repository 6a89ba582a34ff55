"""Sidelight with its defaults and what else it has for requests: sizes, exemplars, active requests by route, audit trail and traces."""

from __future__ import annotations

import os
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import patch

from prometheus_client import CollectorRegistry

import instrumentation
from benchmarks.asgi import body_of
from benchmarks.variants import Installed
from benchmarks.variants.sidelight_sampled import receiver
from instrumentation.settings import parse_settings
from instrumentation.store import LocalStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import FastAPI


def install(build: Callable[..., FastAPI]) -> Installed:
    """Instrument the service; its log is discarded."""
    folder = Path(tempfile.mkdtemp(prefix="sidelight-benchmark-"))
    settings = parse_settings(
        {
            "http": {"body_sizes": True, "active_requests_by_route": True},
            "metrics": {"exemplars": True},
            "audit": {"path": str(folder / "audit.log")},
            "tracing": {"endpoint": receiver()},
        }
    )
    store = LocalStore()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    instrumentation.configure_logging(settings, store=store, descriptor=nowhere)
    with (
        patch.dict(os.environ, {"SIDELIGHT_AUDIT_KEY": "0" * 64}),
        patch("instrumentation.speedups.module", lambda: None),
        patch("opentelemetry.trace.set_tracer_provider"),
    ):
        app = instrumentation.instrument(build(), settings=settings, store=store, registry=CollectorRegistry())
    return Installed(app, partial(body_of, app, "/metrics"))
