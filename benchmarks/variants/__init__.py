"""The instrumentations to compare, one row and one module each; a module is loaded only in its own process."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from fastapi import FastAPI

    from benchmarks.asgi import App


class Installed(NamedTuple):
    """An instrumented service.

    Attributes:
        app: The app to call.
        page: Returns its metrics page.
    """

    app: App
    page: Callable[[], Awaitable[bytes]]


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One way to instrument a service.

    Attributes:
        name: The name of its module.
        title: Its name in tables.
        distributions: The packages whose versions matter.
        peer: Whether Sidelight is compared with it.
        modules: The modules that a service imports for it; empty if import time is not measured.
    """

    name: str
    title: str
    distributions: tuple[str, ...] = ()
    peer: bool = False
    modules: tuple[str, ...] = ()

    def install(self, build: Callable[..., FastAPI]) -> Installed:
        """Build a service with this instrumentation."""
        installed: Installed = import_module(f"benchmarks.variants.{self.name}").install(build)
        return installed


BARE = Variant(name="bare", title="bare app")
PASS_THROUGH = Variant(name="pass_through", title="pass-through middleware")
LEAST = Variant(name="least", title="least pass-through middleware")
SIDELIGHT = Variant(
    name="sidelight",
    title="Sidelight",
    distributions=("sidelight",),
    modules=("instrumentation", "instrumentation.http"),
)
SIDELIGHT_SHARED = Variant(name="sidelight_shared", title="Sidelight, store of many workers")
SIDELIGHT_COMPILED = Variant(
    name="sidelight_compiled", title="Sidelight, compiled", distributions=("sidelight", "sidelight-speedups")
)
SIDELIGHT_COMPILED_SHARED = Variant(
    name="sidelight_compiled_shared", title="Sidelight, compiled, store of many workers"
)
FASTAPI = Variant(
    name="fastapi_telemetry", title="FastAPI's own telemetry", distributions=("fastapi", "opentelemetry-sdk"), peer=True
)
INSTRUMENTATOR = Variant(
    name="instrumentator",
    title="prometheus-fastapi-instrumentator",
    distributions=("prometheus-fastapi-instrumentator", "prometheus-client"),
    peer=True,
    modules=("prometheus_fastapi_instrumentator",),
)
EXPORTER = Variant(
    name="exporter",
    title="starlette_exporter",
    distributions=("starlette-exporter",),
    peer=True,
    modules=("starlette_exporter",),
)
CONTRIB = Variant(
    name="contrib",
    title="OpenTelemetry contrib",
    distributions=("opentelemetry-instrumentation-fastapi", "opentelemetry-exporter-prometheus"),
    peer=True,
    modules=("opentelemetry.instrumentation.fastapi", "opentelemetry.exporter.prometheus"),
)
EVERY = (
    BARE,
    PASS_THROUGH,
    LEAST,
    SIDELIGHT,
    SIDELIGHT_SHARED,
    SIDELIGHT_COMPILED,
    SIDELIGHT_COMPILED_SHARED,
    FASTAPI,
    INSTRUMENTATOR,
    EXPORTER,
    CONTRIB,
)
SIDELIGHT_LOGS = Variant(name="sidelight_logs", title="Sidelight", distributions=("sidelight",))
BUNDLE = Variant(
    name="bundle",
    title="instrumentator, asgi-correlation-id, structlog",
    distributions=("prometheus-fastapi-instrumentator", "asgi-correlation-id", "structlog"),
    peer=True,
)
SIDELIGHT_LOGS_COMPILED = Variant(
    name="sidelight_logs_compiled", title="Sidelight, compiled", distributions=("sidelight", "sidelight-speedups")
)
WITH_LOGS = (BARE, SIDELIGHT_LOGS, SIDELIGHT_LOGS_COMPILED, BUNDLE)
"""Variants with metrics, a correlation id and a JSON access line."""
TRACED = ("sidelight", "opentelemetry-sdk")
LIBRARY = ("opentelemetry-sdk", "opentelemetry-instrumentation-fastapi")
WITH_TRACES = (
    BARE,
    Variant(name="sidelight", title="Sidelight, no traces", distributions=("sidelight",)),
    Variant(name="sidelight_sampled_out", title="Sidelight, traces, none sampled", distributions=TRACED),
    Variant(name="sidelight_sampled", title="Sidelight, traces, every request sampled and sent", distributions=TRACED),
    Variant(
        name="contrib_sampled_out",
        title="OpenTelemetry contrib, only traces, none sampled",
        distributions=LIBRARY,
        peer=True,
    ),
    Variant(
        name="contrib_sampled",
        title="OpenTelemetry contrib, only traces, every request sampled and sent",
        distributions=LIBRARY,
        peer=True,
    ),
)
"""Variants with metrics and traces, and the traces of OpenTelemetry's own instrumentation."""
STARTED = (
    Variant(name="sidelight_logs", title="Sidelight, defaults", distributions=("sidelight",)),
    Variant(name="sidelight_everything", title="Sidelight, everything on", distributions=TRACED),
    INSTRUMENTATOR,
    EXPORTER,
    CONTRIB,
    BUNDLE,
)
"""Variants whose start is measured."""
HAS_SHARED_STORE = find_spec("instrumentation.store.shared_store") is not None
VARIANTS = tuple(row for row in EVERY if row is not SIDELIGHT_SHARED or HAS_SHARED_STORE)
"""All variants."""
