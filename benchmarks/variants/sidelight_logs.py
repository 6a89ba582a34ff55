"""Sidelight in Python with its defaults: metrics, the correlation id and a JSON access line per request."""

from __future__ import annotations

import os
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
    from types import ModuleType

    from fastapi import FastAPI


def install(build: Callable[..., FastAPI]) -> Installed:
    """Instrument the service; its log is discarded."""
    return with_defaults(build)


def with_defaults(build: Callable[..., FastAPI], compiled: ModuleType | None = None) -> Installed:
    """Instrument the service with default settings, compiled or not."""
    store, settings = LocalStore(), parse_settings({})
    nowhere = os.open(os.devnull, os.O_WRONLY)
    instrumentation.configure_logging(settings, store=store, descriptor=nowhere)
    with patch("instrumentation.speedups.module", lambda: compiled):
        app = instrumentation.instrument(build(), settings=settings, store=store, registry=CollectorRegistry())
    return Installed(app, partial(body_of, app, "/metrics"))
