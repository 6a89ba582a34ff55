"""Optional features of the request path. A feature without a listener adds nothing per request."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from instrumentation import resources
from instrumentation.auditing import auditor_of
from instrumentation.databases.queries import metrics_of
from instrumentation.health.monitor import checks_of
from instrumentation.http.correlation import correlating
from instrumentation.http.database_queries import counting_queries, tallying
from instrumentation.http.health import health_pages
from instrumentation.http.refused_requests import count_refused_requests
from instrumentation.http.request_hook import calling
from instrumentation.http.sizes import MARK, SizeRecorder, counting_bytes
from instrumentation.http.users import seeing_users
from instrumentation.shutdown import shutdown
from instrumentation.signals.calls import check_calls
from instrumentation.signals.declared import declare, in_use
from instrumentation.signals.handle import start
from instrumentation.threads import get_ident
from instrumentation.tracing import traces_of
from instrumentation.users.active import users_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from instrumentation.asgi import ASGIApp, Scope
    from instrumentation.http.middleware import Key, Listener
    from instrumentation.http.recorder import HttpRecorder
    from instrumentation.http.request_hook import Hook
    from instrumentation.http.routes import Routes
    from instrumentation.http.users import FindUser
    from instrumentation.settings import Settings
    from instrumentation.store import Store


class Observed(Protocol):
    """What is being instrumented: an app, or a process without one."""

    @property
    def settings(self) -> Settings:
        """The settings."""

    @property
    def store(self) -> Store:
        """The store that counts."""


class Instrumented(NamedTuple):
    """An app that is being instrumented.

    Attributes:
        app: The app.
        routes: Its routes.
        settings: The settings.
        store: The store that counts.
        recorder: Counts its requests.
        user_id: Returns the id of a request's user; None if the service passed no function.
        on_request: Called with each request that was counted.
    """

    app: Any
    routes: Routes
    settings: Settings
    store: Store
    recorder: HttpRecorder
    user_id: FindUser | None = None
    on_request: Hook | None = None


class Feature(NamedTuple):
    """What a feature does.

    Attributes:
        layer: Wraps the app, within what counts requests.
        listener: Called with each request that was counted.
        pages: Path to the app that answers it, uncounted.
        begin: Called in the process that serves, before its first request and again with each event loop.
        check: Called once, in a thread, before anything begins; it may read files.
        flush: Called in a thread when the app has shut down, and waits until everything is written.
        end: Called on the event loop after that; some servers then end the process immediately.
        undo: Reverts the changes to the app, for ``uninstrument()``.
    """

    layer: Callable[[ASGIApp], ASGIApp] | None = None
    listener: Listener | None = None
    pages: Mapping[str, ASGIApp] = MappingProxyType({})
    begin: Callable[[], None] | None = None
    flush: Callable[[], None] | None = None
    end: Callable[[], None] | None = None
    undo: Callable[[], None] | None = None
    check: Callable[[], None] | None = None


def body_sizes(app: Instrumented) -> Feature:
    """Body sizes, if ``http.body_sizes`` is set."""
    if not app.settings.http.body_sizes:
        return Feature()
    sizes, shards = SizeRecorder(app.store), app.recorder.shards

    def listener(scope: Scope, key: Key, seconds: float) -> None:
        del seconds
        shard = shards[get_ident()]
        sizes.record(shard.number, shard.buffer, key, scope[MARK])

    return Feature(layer=counting_bytes, listener=listener)


def refused_requests(app: Instrumented) -> Feature:
    """Requests that the server refuses before they reach the app."""
    return Feature(begin=lambda: count_refused_requests(app.store, app.recorder.metric))


def resource_use(app: Observed) -> Feature:
    """The resources that the process and its container use, and the queues."""
    resources.attach(app.store, app.settings)
    return Feature(begin=lambda: resources.begin(app.store))


def team_signals(app: Observed) -> Feature:
    """The team's own signals: a handle that is not declared, or called with other labels, stops the start."""
    declare(app.settings)
    settings, store = app.settings, app.store  # not the app, which may be deleted during the check

    def check() -> None:
        if in_use(settings):  # otherwise there is no call to look for in the source of every module
            check_calls()

    return Feature(begin=lambda: start(in_use(settings), store), check=check)


def active_users(app: Instrumented) -> Feature:
    """The active users. Set up here, so that a worker that has counted no user reports those of the others."""
    users = users_of(app.store)
    users.settle(app.settings)
    return Feature(listener=None if app.user_id is None else seeing_users(app.user_id, users))


def audit_trail(app: Observed) -> Feature:
    """The audit trail, if it has a path. An unusable key is reported at start-up."""
    auditor = auditor_of(app.store)
    auditor.settle(app.settings)
    return Feature(begin=auditor.begin, flush=auditor.end)


def databases(app: Instrumented) -> Feature:
    """The queries of each request, if a database is observed."""
    metrics = metrics_of(app.store)
    metrics.settle(app.settings.databases)
    return Feature(
        layer=partial(tallying, metrics=metrics), listener=counting_queries(metrics), begin=metrics.sampler.begin
    )


def tracing(app: Instrumented) -> Feature:
    """Traces, if an endpoint is set. Otherwise OpenTelemetry is not loaded."""
    if app.settings.tracing.endpoint is None:
        return Feature()
    traces = traces_of(app.store, app.settings)
    from instrumentation.http.spans import creating_spans  # noqa: PLC0415 - it loads OpenTelemetry

    excluded = tuple(filter(None, (*app.settings.http.excluded_routes, app.settings.metrics.path)))
    layer, undo = creating_spans(traces, app.app, excluded, app.routes)

    def begin() -> None:
        traces.begin()
        traces.log(app.app)

    return Feature(layer=layer, begin=begin, flush=traces.end, undo=undo)


def correlation(app: Instrumented) -> Feature:
    """The correlation id."""
    return Feature(layer=correlating) if app.settings.logging.correlation_id else Feature()


def health(app: Instrumented) -> Feature:
    """The health pages, which also report a shutdown. This feature ends after all others."""
    checks, settings = checks_of(app.store), app.settings.health
    checks.settle(settings)

    def begin() -> None:
        with suppress(RuntimeError):  # no event loop, or not asyncio's
            checks.begin(asyncio.get_running_loop())
        shutdown().begin(settings.drain_seconds)

    return Feature(pages=health_pages(settings, checks), begin=begin, end=shutdown().end)


def logs(app: Instrumented) -> Feature:
    """Structured logs and access lines, unless the service configures logging itself."""
    if not app.settings.logging.enabled:
        return Feature()
    from instrumentation.http.access_lines import AccessLines  # noqa: PLC0415 - structlog loads only if Sidelight writes logs
    from instrumentation.logs.binding import noting  # noqa: PLC0415 - as above
    from instrumentation.logs.configuration import begin, configure_unless_configured, end  # noqa: PLC0415 - as above

    configure_unless_configured(app.settings, app.store)
    if not app.settings.logging.access:
        return Feature(begin=begin, flush=end)
    lines = AccessLines(app.settings, app.store, app.recorder)
    return Feature(layer=noting, listener=lines.write, begin=begin, flush=end)


def request_hook(app: Instrumented) -> Feature:
    """The service's own hook."""
    return Feature(listener=None if app.on_request is None else calling(app.on_request))


FEATURES: tuple[Callable[[Instrumented], Feature], ...] = (
    body_sizes,
    refused_requests,
    resource_use,
    team_signals,
    active_users,
    audit_trail,
    databases,
    tracing,
    correlation,
    health,
    logs,
    request_hook,
)
"""Every feature, the innermost layer first."""
