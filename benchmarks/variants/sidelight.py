"""Sidelight in Python, with counts in the memory of a single process."""

from __future__ import annotations

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

    from instrumentation.store import Store


def install(build: Callable[..., FastAPI]) -> Installed:
    """Instrument the service."""
    return with_store(build, LocalStore())


METRICS_ALONE = parse_settings({"logging": {"enabled": False, "correlation_id": False}})


def with_store(build: Callable[..., FastAPI], store: Store, compiled: ModuleType | None = None) -> Installed:
    """Instrument the service with a store, compiled or not: only metrics, like the other libraries."""
    with patch("instrumentation.speedups.module", lambda: compiled):
        app = instrumentation.instrument(build(), settings=METRICS_ALONE, store=store, registry=CollectorRegistry())
    return Installed(app, partial(body_of, app, "/metrics"))
