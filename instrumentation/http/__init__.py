"""``instrument(app)``: HTTP metrics for an ASGI or a WSGI app."""

from __future__ import annotations

import os
from collections.abc import Mapping  # noqa: TC003 - for typing.get_type_hints
from functools import partial, reduce
from typing import TYPE_CHECKING, TypeVar, cast

from prometheus_client.registry import REGISTRY, CollectorRegistry

from instrumentation.auditing import auditor_of
from instrumentation.errors import AppError
from instrumentation.exposition.formats import register
from instrumentation.http.compiled import fastest
from instrumentation.http.exclusions import Exclusions
from instrumentation.http.exemplars import HttpExemplars
from instrumentation.http.fallback_pages import FallbackPages
from instrumentation.http.features import FEATURES, Instrumented
from instrumentation.http.interfaces import Interface, interface_of
from instrumentation.http.labels import FindLabel, request_labels
from instrumentation.http.lifecycle import Lifecycle, Part
from instrumentation.http.lifespan import ending, lasting
from instrumentation.http.middleware import counting
from instrumentation.http.outermost import Given, is_observed, leave, observe
from instrumentation.http.page import metrics_page
from instrumentation.http.problems import answer_app_errors, logging_app_errors
from instrumentation.http.recorder import HttpRecorder
from instrumentation.http.request_hook import Hook  # noqa: TC001 - for typing.get_type_hints
from instrumentation.http.routes import Routes
from instrumentation.http.streaming import Streams
from instrumentation.http.users import FindUser  # noqa: TC001 - for typing.get_type_hints
from instrumentation.http.websocket import measuring_websockets
from instrumentation.settings import Settings, load_settings, settings_source
from instrumentation.settings.route_patterns import RoutePatterns
from instrumentation.settings.startup_log import log_settings
from instrumentation.store import Store, default_store
from instrumentation.store.process_store import ProcessStore
from instrumentation.switch import VARIABLE, is_disabled, log_off
from instrumentation.target_info import announce

if TYPE_CHECKING:
    from collections.abc import Callable

    from instrumentation.asgi import ASGIApp, Receive, Scope, Send
    from instrumentation.http.page import MetricsPage

__all__ = ["instrument", "uninstrument"]

_App = TypeVar("_App")


def instrument(  # noqa: PLR0913 - each is an option of its own
    app: _App,
    *,
    settings: Settings | None = None,
    store: Store | None = None,
    registry: CollectorRegistry = REGISTRY,
    user_id: FindUser | None = None,
    on_request: Hook | None = None,
    labels: Mapping[str, FindLabel] | None = None,
    interface: Interface | None = None,
) -> _App:
    """Measure every request of an app, and serve ``/metrics``, ``/health`` and ``/ready`` if the app does not.

    The app is changed in place and returned. A function, or another object that cannot be changed, is returned in a wrapper.
    A second call has no effect. With ``OTEL_SDK_DISABLED=true`` or ``enabled: false``, the only change is that the app
    responds to ``AppError``.

    Args:
        app: The ASGI or WSGI app.
        settings: The settings; by default those of ``load_settings()``.
        store: The store that counts; by default the store of the process.
        registry: The prometheus_client registry whose metrics the page shows.
        user_id: Returns the id of a request's user from its ASGI scope, or None without a user; see ``saw_user``. It is
            called after the response. For a WSGI app, the scope has the environ as ``wsgi.environ``.
        on_request: Called with a ``FinishedRequest`` for each request that was counted. An exception in it is logged once.
        labels: Additional labels of request durations: name to a function that returns the value from the scope, like
            ``user_id``; see ``http.labels``.
        interface: ``"asgi"`` or ``"wsgi"``; needed if the signature of the app fits both.

    Raises:
        SettingsError: The settings are invalid; the message names every fault.
        InstrumentationError: ``app_invalid``, ``interface_unclear``, ``interface_invalid``, ``bucket_edges_differ``,
            ``user_id_finder_invalid``, ``request_hook_invalid``, ``label_invalid``, ``labels_differ``.
    """
    if is_observed(app):
        return app
    interface = interface_of(app, interface)
    given_store, store = store, store or default_store()
    source = "" if settings else settings_source()
    settings = settings or (None if is_disabled(os.environ) else load_settings())
    if settings is None or not settings.enabled or is_disabled(os.environ):
        _stay_off(app, store, settings)
        return app
    given = Given(
        settings=settings,
        store=given_store,
        registry=registry,
        user_id=user_id,
        on_request=on_request,
        labels=labels,
        interface=interface,
        instrument=instrument,
    )
    return _instrumented(app, store, registry, given, source)


def _instrumented(app: _App, store: Store, registry: CollectorRegistry, given: Given, source: str) -> _App:
    settings, user_id = given.settings, given.user_id
    if isinstance(store, ProcessStore):
        store.turn(on=True, is_read=True)
    store.series_limit = settings.metrics.series_limit
    labels = request_labels(settings, given.labels or {})
    routes = Routes(app)
    path = settings.metrics.path if settings.metrics.port is None else None
    announce(store, settings.service)
    is_answering = answer_app_errors(routes, store)
    register(store, registry)
    excluded = Exclusions(settings.http, routes)
    exemplars = HttpExemplars()
    page = metrics_page(store, registry, settings, skip=left_out(store), exemplars=exemplars)
    lifecycle = Lifecycle()
    recorder = HttpRecorder(
        store,
        settings.duration_edges,
        labels=labels.names if labels else (),
        expected=excluded.expected,
        starting=lifecycle.start,
    )
    features = [
        make(Instrumented(app, routes, settings, store, recorder, user_id, given.on_request)) for make in FEATURES
    ]
    parts = {make.__name__.replace("_", " "): feature for make, feature in zip(FEATURES, features, strict=True)}
    lifecycle.add(
        Part("metrics port", lambda: open_metrics_port(page, settings)),
        Part("child processes", check=store.open_to_children if isinstance(store, ProcessStore) else None),
    )
    lifecycle.add(*(Part(name, each.begin, each.flush, each.end, each.check) for name, each in parts.items()))
    lifecycle.add(
        Part("settings", serve=lambda: log_settings(settings, source)),
        Part("exclusions", serve=excluded.log_no_effect),
    )
    if given.interface == "wsgi":  # nobody tells a WSGI app that the server ends
        lifecycle.add(Part("end of the process", lifecycle.stop_at_exit))
    listeners = tuple(each.listener for each in features if each.listener)
    pages = {path: answer for each in features for path, answer in each.pages.items()}

    has_exemplars = settings.metrics.exemplars
    if has_exemplars is None:
        has_exemplars = settings.tracing.endpoint is not None
    by_route = settings.http.active_requests_by_route
    of_exemplars = "metrics.exemplars" if settings.metrics.exemplars else "exemplars, which tracing turns on"
    only_python = {"http.labels": labels, of_exemplars: has_exemplars, "http.active_requests_by_route": by_route}
    measuring = fastest(*(name for name, is_used in only_python.items() if is_used))

    has_lifespan = hasattr(app, "build_middleware_stack")  # Starlette: what it raises at its start is a failure

    def layer(inner: ASGIApp) -> ASGIApp:
        async def lifespan(scope: Scope, receive: Receive, send: Send) -> None:
            await lifecycle.check()
            recorder.prime()
            lifecycle.start()  # another event loop of a process that has begun already
            await ending(inner if has_lifespan else lasting(inner), lifecycle)(scope, receive, send)

        layers = (each.layer for each in features if each.layer)
        innermost = inner if is_answering else logging_app_errors(inner)
        within = routes.following(reduce(lambda app, wrap: wrap(app), layers, innermost))
        uncounted = excluded.templates()
        streams = Streams(
            store,
            routes,
            excluded=uncounted,
            by_route=RoutePatterns(settings.http.streaming_routes),
            subscriptions=RoutePatterns(settings.http.subscription_routes),
        )
        websocket = measuring_websockets(within, store=store, routes=routes, excluded=excluded.paths)

        measured = partial(
            measuring,
            within,
            recorder=recorder,
            routes=routes,
            excluded=uncounted,
            aside=excluded.aside(inner, within),
            streams=streams,
            active_by_route=by_route,
            labels=labels,
            other={"lifespan": lifespan, "websocket": websocket},
            exemplars=exemplars if has_exemplars else None,
            listeners=listeners,
        )
        aside = dict.fromkeys(excluded.paths.exact, inner)
        fallback = FallbackPages(
            {path: page, **pages} if path else pages,
            app=inner,
            counted=counting(measured(direct=aside)),
            routes=routes,
            metrics_path=path,
            with_metrics=page.added_to(inner),
            prime=recorder.prime,
            overridden=settings.http.overridden_routes,
        )
        return measured(direct={**aside, **fallback.direct})

    def undo() -> None:
        routes.leave(AppError)
        for revert in filter(None, (feature.undo for feature in features)):
            revert()

    return cast("_App", observe(app, layer, given, undo))


def uninstrument(app: _App) -> _App:
    """Revert ``instrument``; an app that is not instrumented does not change.

    The counts stay in the store and in the registry, and the logging configuration of the process stays. Frameworks other
    than Starlette and FastAPI still respond to ``AppError``.

    Returns:
        The app; the inner app if ``instrument`` returned a wrapper.
    """
    return cast("_App", leave(app))


def _stay_off(app: object, store: Store, settings: Settings | None) -> None:
    """Without measuring, do what the service depends on: respond to its errors and write its audit trail."""
    answer_app_errors(Routes(app), store)
    if isinstance(store, ProcessStore):
        store.turn(on=False)
    if settings is not None:
        auditor_of(store).settle(settings)
    log_off(f"{VARIABLE}=true" if is_disabled(os.environ) else "enabled: false")


def left_out(store: Store) -> Callable[[str], bool]:
    """Which families of the registry the page leaves out: what the store sums over all workers, or nobody can.

    prometheus_client's garbage collector metrics are of the one worker that answers, so they would go up and down.
    """

    def is_left_out(name: str) -> bool:
        return isinstance(store, ProcessStore) and (
            name.startswith("process_") or (store.is_shared and name.startswith("python_gc_"))
        )

    return is_left_out


def open_metrics_port(page: MetricsPage, settings: Settings) -> None:
    """Serve the page on its own port, in the process that answers requests and not in one that forks it."""
    if settings.metrics.port is not None and settings.metrics.path is not None:
        from instrumentation.http.server import serve  # noqa: PLC0415 - most services have no such port

        serve(page, host=settings.metrics.host, port=settings.metrics.port, path=settings.metrics.path)
