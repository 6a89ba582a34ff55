"""Ours, with its numbers in the memory of the one process."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry

import instrumentation
from benchmarks.asgi import body_of
from benchmarks.variants import Installed
from instrumentation.settings import Settings
from instrumentation.store import LocalStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import FastAPI

    from instrumentation.store import Store


def install(build: Callable[..., FastAPI]) -> Installed:
    """Instrument the service."""
    return with_store(build, LocalStore())


def with_store(build: Callable[..., FastAPI], store: Store) -> Installed:
    """Instrument the service, counting in a store; every setting has its default."""
    app = instrumentation.instrument(build(), settings=Settings(), store=store, registry=CollectorRegistry())
    return Installed(app, partial(body_of, app, "/metrics"))
