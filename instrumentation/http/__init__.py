"""``instrument(app)``: HTTP metrics for an ASGI app."""

from __future__ import annotations

import os
from functools import partial, reduce
from typing import TYPE_CHECKING, Any, TypeVar, cast

from prometheus_client.registry import REGISTRY

from instrumentation.auditing import auditor_of
from instrumentation.errors import AppError, InstrumentationError
from instrumentation.exposition.formats import register
from instrumentation.http.compiled import as_function, fastest
from instrumentation.http.exemplars import HttpExemplars
from instrumentation.http.fallback import Pages
from instrumentation.http.features import FEATURES, Instrumented
from instrumentation.http.page import metrics_page
from instrumentation.http.problems import answer_app_errors
from instrumentation.http.recorder import HttpRecorder
from instrumentation.http.routes import WEBSOCKET, Routes
from instrumentation.http.websocket import measuring_websockets
from instrumentation.otel import problems, say_once, unheeded
from instrumentation.settings import load_settings
from instrumentation.settings.route_patterns import RoutePatterns
from instrumentation.store import default_store
from instrumentation.store.process_store import ProcessStore
from instrumentation.switch import VARIABLE, is_disabled, say_off
from instrumentation.target_info import announce

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator

    from prometheus_client.registry import CollectorRegistry

    from instrumentation.http.middleware import ASGIApp, Receive, Scope, Send
    from instrumentation.http.page import MetricsPage
    from instrumentation.http.users import FindUser
    from instrumentation.settings import Settings
    from instrumentation.store import Store

__all__ = ["instrument", "uninstrument"]

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
    """Measure every request of an app; answer ``/metrics``, ``/health`` and ``/ready`` where the app does not.

    A Starlette or FastAPI app is changed in place and returned; any other ASGI app is returned wrapped. Doing it twice
    counts once. With ``OTEL_SDK_DISABLED=true`` or ``enabled: false`` the app is returned as it is, but that it answers
    ``AppError``.

    Args:
        app: The app.
        settings: What ``load_settings()`` gives, by default.
        store: Where to count; the process's own store by default.
        registry: The prometheus_client registry whose metrics the page shows.
        user_id: Gives the id of the user from the ASGI scope of a request that was answered, None for nobody; see
            ``saw_user``.

    Raises:
        SettingsError: The settings cannot be used; every fault is named.
        InstrumentationError: ``app_invalid``, ``bucket_edges_differ``, ``user_id_finder_invalid``.
    """
    if not callable(app):
        raise InstrumentationError(f"instrument() got {type(app).__name__}; give an ASGI app.", code="app_invalid")
    if getattr(app, _MARK, False):
        return app
    store = store or default_store()
    settings = settings or (None if is_disabled(os.environ) else load_settings())
    if settings is None or not settings.enabled or is_disabled(os.environ):
        _stay_off(app, store, settings)
        return app
    return _instrumented(app, settings, store, registry, user_id)


def _instrumented(
    app: _App, settings: Settings, store: Store, registry: CollectorRegistry, user_id: FindUser | None
) -> _App:
    if isinstance(store, ProcessStore):
        store.turn(on=True)
    store.series_limit = settings.metrics.series_limit
    routes = Routes(app)
    path = settings.metrics.path if settings.metrics.port is None else None
    announce(store, settings.service)
    is_answering = answer_app_errors(app, store)
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
    features = [make(Instrumented(app, routes, settings, store, recorder, user_id)) for make in FEATURES]
    say_once(tuple(problems(settings.tracing, os.environ)), tuple(unheeded(os.environ)))
    beginnings = [lambda: _open_own_port(page, settings), *(each.begin for each in features if each.begin)]
    listeners = tuple(each.listener for each in features if each.listener)
    pages = {path: answer for each in features for path, answer in each.pages.items()}

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
        websocket = measuring_websockets(within, store=store, routes=routes, excluded=excluded)

        def aside(method: str, path: str) -> ASGIApp | None:
            del method
            return inner if path in excluded else None

        measured = partial(
            measuring,
            within,
            recorder=recorder,
            routes=routes,
            excluded=excluded.exact | {route.template for route in routes if route.template in excluded},
            aside=aside if excluded.has_wildcards else None,
            other={"lifespan": lifespan, "websocket": websocket},
            exemplars=exemplars if has_exemplars else None,
            listeners=listeners,
        )
        uncounted = dict.fromkeys(excluded.exact, inner)
        answering = Pages(
            {path: page, **pages} if path else pages,
            app=inner,
            counted=measured(direct=uncounted),
            routes=routes,
            metrics_path=path,
            with_ours=page.added_to(inner),
            prime=recorder.prime,
            overridden=settings.http.overridden_routes,
        )
        return measured(direct={**uncounted, **answering.direct})

    undoing = [each.undo for each in features if each.undo]
    if is_answering:
        undoing.append(lambda: framework.exception_handlers.pop(AppError, None))
    framework: Any = app
    if hasattr(app, "build_middleware_stack"):
        wrapped = framework
        undoing.append(_in_place(framework, layer))
    else:
        wrapped = as_function(layer(cast("ASGIApp", app)))

    def undo() -> _App:
        _begin(undoing)
        return app

    setattr(wrapped, _MARK, undo)
    return cast("_App", wrapped)


def uninstrument(app: _App) -> _App:
    """Take back what ``instrument`` did to an app; one that is not instrumented stays as it is.

    What was counted stays in the store and in the registry, and logging stays as it was set up for the process.

    Returns:
        The app, as it was; where ``instrument`` returned it wrapped, the app within.
    """
    undo = getattr(app, _MARK, None)
    return app if undo is None else cast("_App", undo())


def _stay_off(app: object, store: Store, settings: Settings | None) -> None:
    """Do what the service relies on where nothing is measured: answer its errors and write its audit trail."""
    answer_app_errors(app, store)
    if isinstance(store, ProcessStore):
        store.turn(on=False)
    if settings is not None:
        auditor_of(store).settle(settings)
    say_off(f"{VARIABLE}=true" if is_disabled(os.environ) else "enabled: false")


def _left_out(store: Store) -> Callable[[str], bool]:
    """Which families of the registry the page leaves out: what the store sums over all workers, or nobody can.

    prometheus_client's garbage collector metrics are of the one worker that answers, so they would go up and down.
    """

    def is_left_out(name: str) -> bool:
        return isinstance(store, ProcessStore) and (
            name.startswith("process_") or (store.is_shared and name.startswith("python_gc_"))
        )

    return is_left_out


def _begin(beginnings: Iterable[Callable[[], object]]) -> None:
    for begin in beginnings:
        begin()


def _open_own_port(page: MetricsPage, settings: Settings) -> None:
    """Serve the page on its own port, in the process that answers requests and not in one that forks it."""
    if settings.metrics.port is not None and settings.metrics.path is not None:
        from instrumentation.http.server import serve  # noqa: PLC0415 - most services have no such port

        serve(page, host=settings.metrics.host, port=settings.metrics.port, path=settings.metrics.path)


def _in_place(app: Any, layer: Callable[[ASGIApp], ASGIApp]) -> Callable[[], None]:
    """Stand outside of everything: an added middleware would not see what error handlers answer.

    What the framework, or whoever else instruments the app, sets as ``middleware_stack`` is wrapped as it is set. A
    changed ``build_middleware_stack`` would be in the way of those who change it too: OpenTelemetry's instrumentation
    takes apart what it returns, and gives up where that is not Starlette's own.

    Returns:
        What takes it back; a stack that was built meanwhile is built anew.
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

    def undo() -> None:
        app.__class__ = kind
        app.middleware_stack = built
        delattr(app, _MARK)

    return undo


def _expected(routes: Routes, excluded: Container[str]) -> Iterator[tuple[str, str]]:
    """Every (method, template) that the app is known to answer."""
    for route in routes:
        if route.template not in excluded:
            for method in sorted(route.methods - {"HEAD", "OPTIONS", WEBSOCKET}):
                yield method, route.template
