"""Sidelight with metrics and a span per request, which is masked and sent to a receiver in another process."""

from __future__ import annotations

import atexit
import subprocess
import sys
from functools import partial
from typing import TYPE_CHECKING
from unittest.mock import patch

from prometheus_client import CollectorRegistry

import instrumentation
from benchmarks.asgi import body_of
from benchmarks.variants import Installed
from instrumentation.settings import parse_settings
from instrumentation.store import LocalStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import FastAPI

RECEIVER = """
import sys
from sidelight.demo.spans import receiving

with receiving() as spans:
    print(spans.url, flush=True)
    sys.stdin.read()
"""


def install(build: Callable[..., FastAPI], sample_ratio: float = 1.0) -> Installed:
    """Instrument the service."""
    settings = parse_settings(
        {
            "logging": {"enabled": False, "correlation_id": False},
            "metrics": {"exemplars": False},
            "tracing": {"endpoint": receiver(), "sample_ratio": sample_ratio},
        }
    )
    # With a provider for the whole process, FastAPI's own telemetry would also trace the bare app.
    with patch("instrumentation.speedups.module", lambda: None), patch("opentelemetry.trace.set_tracer_provider"):
        app = instrumentation.instrument(build(), settings=settings, store=LocalStore(), registry=CollectorRegistry())
    return Installed(app, partial(body_of, app, "/metrics"))


def receiver() -> str:
    """The address of a receiver of spans in another process, which ends with this one."""
    process = subprocess.Popen(  # noqa: S603 - ours
        [sys.executable, "-c", RECEIVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    atexit.register(process.communicate)  # it ends with its standard input
    return "" if process.stdout is None else process.stdout.readline().strip()
