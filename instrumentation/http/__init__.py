"""``instrument(app)``: HTTP metrics for an ASGI app."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Any, TypeVar, cast

from prometheus_client.registry import REGISTRY

from instrumentation.errors import InstrumentationError
from instrumentation.exposition.formats import register
from instrumentation.http.compiled import as_function, fastest
from instrumentation.http.exemplars import HttpExemplars
from instrumentation.http.features import FEATURES, Instrumented
from instrumentation.http.page import metrics_page
from instrumentation.http.problems import answer_app_errors
from instrumentation.http.recorder import HttpRecorder
from instrumentation.http.routes import WEBSOCKET, Routes
from instrumentation.http.streaming import Streams
from instrumentation.http.websocket import measuring_websockets
from instrumentation.settings import load_settings
from instrumentation.settings.route_patterns import RoutePatterns
from instrumentation.store import default_store
from instrumentation.store.process_store import ProcessStore
from instrumentation.target_info import announce

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator

    from prometheus_client.registry import CollectorRegistry

    from instrumentation.http.middleware import ASGIApp, Receive, Scope, Send
    from instrumentation.http.page import MetricsPage
    from instrumentation.http.users import FindUser
    from instrumentation.settings import Settings
    from instrumentation.store import Store

__all__ = ["instrument"]

_App = TypeVar("_App")
_MARK = "_sidelight"


def instrument(
    app: _App,
    *,
    settings: Settings | None = None,
    store: Store | None = None,
    registry: CollectorRegistry = REGISTRY,
    user_id: FindUser | None = None,
) -> _App:
    """Measure every request of an app and answer ``/metrics``.

    A Starlette or FastAPI app is changed in place and returned; any other ASGI app is returned wrapped. Doing it twice
    counts once.

    Args:
        app: The app.
        settings: What ``load_settings()`` gives, by default.
        store: Where to count; the process's own store by default.
        registry: The prometheus_client registry whose metrics the page shows.
        user_id: Gives the id of the user from the ASGI scope of a request that was answered, None for nobody; see
            ``saw_user``.

    Raises:
        SettingsError: The settings cannot be used; every fault is named.
        InstrumentationError: ``app_invalid``, ``metrics_path_taken``, ``bucket_edges_differ``,
            ``user_id_finder_invalid``.
    """
    if not callable(app):
        raise InstrumentationError(f"instrument() got {type(app).__name__}; give an ASGI app.", code="app_invalid")
    if getattr(app, _MARK, False):
        return app
    settings = settings or load_settings()
    store = store or default_store()
    store.series_limit = settings.metrics.series_limit
    routes = Routes(app)
    path = settings.metrics.path if settings.metrics.port is None else None
    _refuse_taken_path(routes, path)
    announce(store, settings.service)
    answer_app_errors(app, store)
    register(store, registry)
    excluded = RoutePatterns(settings.http.excluded_routes)
    exemplars = HttpExemplars()
    page = metrics_page(store, registry, settings, skip=_left_out(store), exemplars=exemplars)
    recorder = HttpRecorder(
        store,
        settings.duration_edges,
        expected=lambda: _expected(routes, excluded),
        starting=lambda: _begin(beginnings),
    )
    streams = Streams(
        store,
        routes,
        excluded=excluded,
        by_route=RoutePatterns(settings.http.streaming_routes),
        subscriptions=RoutePatterns(settings.http.subscription_routes),
    )
    features = [make(Instrumented(app, routes, settings, store, recorder, user_id)) for make in FEATURES]
    beginnings = [lambda: _open_own_port(page, settings), *(each.begin for each in features if each.begin)]
    listeners = tuple(each.listener for each in features if each.listener)
    pages = {path: answer for each in features for path, answer in each.pages.items()}

    async def primed_page(scope: Scope, receive: Receive, send: Send) -> None:
        recorder.prime()  # a scrape that comes before the first request sees the series at 0
        await page(scope, receive, send)

    measuring = fastest()
    has_exemplars = settings.metrics.exemplars
    if has_exemplars is None:
        has_exemplars = settings.tracing.endpoint is not None

    def layer(inner: ASGIApp) -> ASGIApp:
        async def lifespan(scope: Scope, receive: Receive, send: Send) -> None:
            recorder.prime()
            _begin(beginnings)  # another event loop of a process that has begun already
            try:
                await inner(scope, receive, send)
            finally:
                _begin(each.end for each in features if each.end)

        within = reduce(lambda app, wrap: wrap(app), (each.layer for each in features if each.layer), inner)
        taken = {route.template for route in routes}  # a service's own page of a path wins
        answered = {at: answer for at, answer in pages.items() if at not in taken}
        if path is not None:
            answered[path] = primed_page
        websocket = measuring_websockets(within, store=store, routes=routes, excluded=excluded)

        def aside(method: str, path: str) -> ASGIApp | None:
            del method
            return inner if path in excluded else None

        return measuring(
            within,
            recorder=recorder,
            routes=routes,
            excluded=excluded.exact | {template for template in taken if template in excluded},
            direct={**dict.fromkeys(excluded.exact, inner), **answered},
            aside=aside if excluded.has_wildcards else None,
            streams=streams,
            other={"lifespan": lifespan, "websocket": websocket},
            exemplars=exemplars if has_exemplars else None,
            listeners=listeners,
        )

    is_framework = hasattr(app, "build_middleware_stack")
    wrapped: Any = _in_place(app, layer) if is_framework else as_function(layer(cast("ASGIApp", app)))
    setattr(wrapped, _MARK, True)
    return cast("_App", wrapped)


def _left_out(store: Store) -> Callable[[str], bool]:
    """Which families of the registry the page leaves out: what the store sums over all workers, or nobody can.

    prometheus_client's garbage collector metrics are of the one worker that answers, so they would go up and down.
    """

    def is_left_out(name: str) -> bool:
        return isinstance(store, ProcessStore) and (
            name.startswith("process_") or (store.is_shared and name.startswith("python_gc_"))
        )

    return is_left_out


def _begin(beginnings: Iterable[Callable[[], None]]) -> None:
    for begin in beginnings:
        begin()


def _open_own_port(page: MetricsPage, settings: Settings) -> None:
    """Serve the page on its own port, in the process that answers requests and not in one that forks it."""
    if settings.metrics.port is not None and settings.metrics.path is not None:
        from instrumentation.http.server import serve  # noqa: PLC0415 - most services have no such port

        serve(page, host=settings.metrics.host, port=settings.metrics.port, path=settings.metrics.path)


def _in_place(app: Any, layer: Callable[[ASGIApp], ASGIApp]) -> Any:
    """Stand outside of everything: an added middleware would not see what error handlers answer.

    What the framework, or whoever else instruments the app, sets as ``middleware_stack`` is wrapped as it is set. A
    changed ``build_middleware_stack`` would be in the way of those who change it too: OpenTelemetry's instrumentation
    takes apart what it returns, and gives up where that is not Starlette's own.
    """
    kind: Any = type(app)

    def set_attribute(self: Any, name: str, value: Any) -> None:
        if name == "middleware_stack" and value is not None:
            value = layer(value)
        kind.__setattr__(self, name, value)

    names = {name: getattr(kind, name) for name in ("__module__", "__qualname__", "__doc__")}
    built = app.middleware_stack
    app.__class__ = type(kind.__name__, (kind,), {**names, "__setattr__": set_attribute})
    app.middleware_stack = built
    return app


def _expected(routes: Routes, excluded: Container[str]) -> Iterator[tuple[str, str]]:
    """Every (method, template) that the app is known to answer."""
    for route in routes:
        if route.template not in excluded:
            for method in sorted(route.methods - {"HEAD", "OPTIONS", WEBSOCKET}):
                yield method, route.template


def _refuse_taken_path(routes: Routes, path: str | None) -> None:
    if any(route.template == path for route in routes):
        raise InstrumentationError(
            f"metrics.path: {path} is a route of the app already; give another path, or remove the route.",
            code="metrics_path_taken",
            details={"path": path},
        )
