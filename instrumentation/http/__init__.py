"""``instrument(app)``: HTTP metrics for an ASGI app."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from prometheus_client.registry import REGISTRY

from instrumentation.deployment import announce
from instrumentation.errors import InstrumentationError
from instrumentation.exposition import register
from instrumentation.http.middleware import SidelightMiddleware
from instrumentation.http.recorder import HttpRecorder
from instrumentation.http.routes import Routes
from instrumentation.settings import load_settings
from instrumentation.store import default_store

if TYPE_CHECKING:
    from prometheus_client.registry import CollectorRegistry

    from instrumentation.settings import Settings
    from instrumentation.store import Store

__all__ = ["SidelightMiddleware", "instrument"]

_App = TypeVar("_App")
_MARK = "_sidelight"


def instrument(
    app: _App, *, settings: Settings | None = None, store: Store | None = None, registry: CollectorRegistry = REGISTRY
) -> _App:
    """Measure every request of an app and answer ``/metrics``.

    A Starlette or FastAPI app is changed in place and returned; any other ASGI app is returned wrapped. Doing it twice
    counts once.

    Args:
        app: The app.
        settings: What ``load_settings()`` gives, by default.
        store: Where to count; the process's own store by default.
        registry: The prometheus_client registry whose metrics the page shows.

    Raises:
        SettingsError: The settings cannot be used; every fault is named.
        InstrumentationError: ``app_invalid``, ``metrics_path_taken``.
    """
    if not callable(app):
        raise InstrumentationError(f"instrument() got {type(app).__name__}; give an ASGI app.", code="app_invalid")
    if isinstance(app, SidelightMiddleware) or getattr(app, _MARK, False):
        return app
    settings = settings or load_settings()
    store = store or default_store()
    store.series_limit = settings.metrics.series_limit
    routes = Routes(app)
    _refuse_taken_path(routes, settings)
    announce(store, settings.service)
    register(store, registry)
    recorder = HttpRecorder(store, settings.duration_edges)

    def wrapped(inner: Any) -> SidelightMiddleware:
        return SidelightMiddleware(inner, settings=settings, recorder=recorder, routes=routes, registry=registry)

    return _in_place(app, wrapped) if hasattr(app, "build_middleware_stack") else wrapped(app)  # type: ignore[return-value]


def _in_place(app: Any, wrapped: Any) -> Any:
    """Stand outside of everything Starlette builds: an added middleware would not see what error handlers answer."""
    build = app.build_middleware_stack
    app.build_middleware_stack = lambda: wrapped(build())
    if app.middleware_stack is not None:
        app.middleware_stack = wrapped(app.middleware_stack)
    setattr(app, _MARK, True)
    return app


def _refuse_taken_path(routes: Routes, settings: Settings) -> None:
    path = settings.metrics.path
    if any(route.template == path for route in routes):
        raise InstrumentationError(
            f"metrics.path: {path} is a route of the app already; give another path, or remove the route.",
            code="metrics_path_taken",
            details={"path": path},
        )
