"""Starlette and FastAPI: the router leaves an object in the scope, which is looked up in a table of the app's routes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from instrumentation.http.frameworks import STARLETTE, MountedApps, PlacedApp, framework_of
from instrumentation.http.frameworks.interface import ARRIVAL, UNMATCHED, WEBSOCKET, Route, report, reported

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator
    from re import Pattern

    from starlette.requests import Request
    from starlette.responses import Response

    from instrumentation.http.frameworks.interface import Respond, Scope

    ASGIApp = Callable[[Scope, Any, Any], Awaitable[None]]

_OWN = ("starlette.", "fastapi.")
_AMBIGUOUS = Route(None, UNMATCHED, frozenset(), "")


class Starlette:
    """A Starlette or FastAPI app, or one of their routers.

    Args:
        app: The app.

    Attributes:
        app: The app.
        by_id: The id of the object that the router leaves in the scope to the route; always the same dict.
    """

    def __init__(self, app: Any) -> None:
        self.app = app
        self._mounted = MountedApps()
        self._patterns: list[tuple[Pattern[str], Route]] | None = None
        self._hides_apps = False
        self._answers: dict[type[Exception], Any] = {}
        self.by_id: dict[int, Route] = {}

    def routes(self) -> Iterator[Route]:
        """Every route, including those of mounted apps."""
        yield from self._walk(getattr(self.app, "routes", ()), "", "")
        yield from sorted(_frontends(self.app), key=lambda route: -len(route.path))  # the most specific one is used

    def chosen(self, scope: Scope) -> str:
        """The template of the chosen route, also if it belongs to a mounted app."""
        # A plain Starlette route in a FastAPI app leaves only its endpoint in the scope.
        chosen = _chosen(scope) or scope.get("endpoint")
        if chosen is not None:
            known = self.by_id.get(id(chosen))
            if known is None or (known.chosen is not chosen and known is not _AMBIGUOUS):
                known = self._learned(chosen)
            if known is not _AMBIGUOUS:
                return known.template
        return self._mounted.chosen(scope) or reported(scope, self.app)

    def match(self, scope: Scope, path: str) -> str:
        """The template that matches the path, if the router left nothing in the scope that the server passed.

        This is so for a mounted app without routes, such as static files, and if a middleware answered or passed a copy of
        the scope. If the router did see the scope, nothing else can match.
        """
        chosen = _chosen(scope)
        if chosen is not None and not callable(chosen):
            return _format(chosen)  # a route that is not in the table, such as a custom router's
        is_seen = "router" in scope and "app_root_path" not in scope and "endpoint" not in scope
        if is_seen and "frontend_path" not in (scope.get("fastapi") or ()):
            return UNMATCHED
        method, found = scope.get("method", WEBSOCKET), UNMATCHED
        for pattern, route in self._compiled():
            if pattern.fullmatch(path):
                if not route.methods or method in route.methods:
                    apps = route.chosen if isinstance(route.chosen, list) else []
                    return next(filter(None, (app.match(scope, path) for app in apps)), route.template)
                if WEBSOCKET not in {method, *route.methods}:
                    found = found or route.template
        return found

    def handle(self, kind: type[Exception], respond: Respond) -> None:
        """Answer exceptions of a class with a problem document, unless the app has a handler for it."""
        if kind not in getattr(self.app, "exception_handlers", {kind: None}):
            self._answers[kind] = answering(respond)
            self.app.add_exception_handler(kind, self._answers[kind])

    def leave(self, kind: type[Exception]) -> None:
        """Revert ``handle`` and ``report_copies``."""
        answer = self._answers.pop(kind, None)
        if answer is not None and self.app.exception_handlers.get(kind) is answer:
            del self.app.exception_handlers[kind]
        router = getattr(self.app, "router", self.app)
        called = getattr(router, "middleware_stack", None)
        if isinstance(called, _ReportingRouter):
            router.middleware_stack = called.app

    def report_copies(self) -> None:
        """Let the router report its choice if a middleware passes it a copy of the scope."""
        router = getattr(self.app, "router", self.app)
        called = getattr(router, "middleware_stack", None)
        if called is not None and not isinstance(called, _ReportingRouter):
            router.middleware_stack = _ReportingRouter(called, self)

    @property
    def shows_all(self) -> bool:
        """Whether the scope that the server passed shows the chosen route: nothing within copies it or changes its path."""
        tuple(self.routes())
        added = getattr(self.app, "user_middleware", ())
        return not self._hides_apps and all(each.cls.__module__.startswith(_OWN) for each in added)

    def _learned(self, chosen: object) -> Route:
        """Rebuild the table of routes; an object that is not a route is remembered, so that it causes no second rebuild."""
        routes = tuple(self.routes())
        self._patterns = None
        self.by_id.clear()
        self.by_id.update((id(route.chosen), route) for route in routes if route.chosen is not None)
        self.by_id.update((id(endpoint), route) for endpoint, route in _by_endpoint(routes))
        return self.by_id.setdefault(id(chosen), _AMBIGUOUS)

    def _compiled(self) -> list[tuple[Pattern[str], Route]]:
        if self._patterns is None:
            own = (route for route in self.routes() if route.template and route.chosen is not None)
            self._patterns = [(_pattern(route.path), route) for route in own]
        return self._patterns

    def _walk(self, routes: Any, prefix: str, path: str) -> Iterator[Route]:
        for route in routes:
            if hasattr(route, "effective_route_contexts"):  # FastAPI >= 0.137: an included router
                for context in route.effective_route_contexts():
                    yield from self._leaf(context, context.starlette_route or context, prefix, path)
            else:
                yield from self._leaf(route, route, prefix, path)

    def _leaf(self, chosen: Any, route: Any, prefix: str, path: str) -> Iterator[Route]:
        """One route; for a mount also the routes of its app, with the mount's template before them."""
        own = getattr(route, "path", "")
        is_mount = hasattr(route, "app") and not hasattr(route, "endpoint")
        below = prefix + _without_convertors(route, own)
        apps = self._behind(route, below) if is_mount else []
        inner = getattr(route, "routes", None)
        self._hides_apps = self._hides_apps or bool(apps) or (is_mount and not inner)
        for app in apps:
            yield from app.routes()
        if inner and not apps:
            # If no route within it matched, the mount stays in the scope.
            yield Route(chosen, UNMATCHED, frozenset(), "")
            yield from self._walk(inner, below, path + own)
        else:
            methods = frozenset(
                (getattr(route, "methods", None) or ()) if hasattr(route, "methods") or is_mount else {WEBSOCKET}
            )
            leaf = apps or chosen  # the mounted app knows the template better than its mount
            yield Route(leaf, prefix + _format(route), methods, path + own + ("/{path:path}" if is_mount else ""))

    def _behind(self, mount: Any, prefix: str) -> list[PlacedApp]:
        """The apps behind a mount whose routes Starlette does not know: they are wrapped, or of another framework."""
        inner = getattr(mount, "_base_app", mount.app)
        if framework_of(inner) == STARLETTE:
            return []
        apps = self._mounted.behind(mount, inner, prefix)
        report_copies(apps)
        return apps


class _ReportingRouter:
    """Takes the place of what a router calls: the router's choice is reported if its scope is a copy.

    Args:
        app: What the router called before.
        starlette: The app of the router.
    """

    def __init__(self, app: ASGIApp, starlette: Starlette) -> None:
        self.app = app
        self._starlette = starlette

    def __call__(self, scope: Scope, receive: Any, send: Any) -> Awaitable[None]:
        """Answer the request; without an additional coroutine if the scope is not a copy."""
        arrival = scope.get(ARRIVAL)
        is_copy = arrival is not None and arrival.scope_id != id(scope)
        return self._reporting(scope, receive, send) if is_copy else self.app(scope, receive, send)

    async def _reporting(self, scope: Scope, receive: Any, send: Any) -> None:
        try:
            await self.app(scope, receive, send)
        finally:
            report(scope, self._starlette.app, self._starlette.chosen(scope))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle what the router called before; the unpickled app is instrumented again."""
        return _itself, (self.app,)


def _itself(app: ASGIApp) -> ASGIApp:
    return app


def report_copies(apps: Iterable[PlacedApp]) -> None:
    """Let the routers of Starlette apps report their choice if a middleware passes a copy of the scope."""
    for app in apps:
        if isinstance(app.framework, Starlette):
            app.framework.report_copies()


def answering(respond: Respond) -> Callable[[Request, Any], Awaitable[Response]]:
    """An exception handler that answers with problem documents."""

    async def answer(request: Request, error: Any) -> Response:
        from starlette.responses import Response  # noqa: PLC0415 - the app has loaded it

        del request
        document = respond(error)
        media_type = document.media_type if document.body else None
        return Response(document.body, document.status, headers=dict(document.headers), media_type=media_type)

    return answer


def _pattern(path: str) -> Pattern[str]:
    """As Starlette's compile_path, but a parameter name may be used twice: in a mount and in a route below it."""
    from starlette.convertors import CONVERTOR_TYPES  # noqa: PLC0415 - the app has loaded it
    from starlette.routing import PARAM_REGEX  # noqa: PLC0415

    text, at = "", 0
    for parameter in PARAM_REGEX.finditer(path):
        convertor = CONVERTOR_TYPES[parameter[2].lstrip(":") if parameter[2] else "str"]
        text += f"{re.escape(path[at : parameter.start()])}(?:{convertor.regex})"
        at = parameter.end()
    return re.compile(text + re.escape(path[at:]))


def _by_endpoint(routes: Iterable[Route]) -> Iterator[tuple[object, Route]]:
    """Endpoint to route; ambiguous if an endpoint has several."""
    found: dict[int, tuple[object, Route]] = {}
    for route in routes:
        endpoint = getattr(route.chosen, "endpoint", None)
        if endpoint is not None:
            is_second = id(endpoint) in found
            found[id(endpoint)] = (endpoint, _AMBIGUOUS if is_second else route._replace(chosen=endpoint))
    yield from found.values()


def _chosen(scope: Scope) -> object | None:
    """FastAPI's effective context if it belongs to the route, since only it has the prefixes; otherwise the route."""
    route = scope.get("route")
    fastapi = scope.get("fastapi")
    if fastapi:
        context = fastapi.get("effective_route_context")
        if context is not None and (context.original_route is route or context.starlette_route is route):
            return context  # type: ignore[no-any-return]
    return route


def _frontends(app: Any) -> Iterator[Route]:
    """The files of FastAPI's frontends, which are not among the routes and leave none in the scope."""
    groups: Iterable[Any] = getattr(getattr(app, "router", None), "_iter_low_priority_routes", tuple)()
    for group in groups:
        prefix = getattr(group, "frontend_prefix", "")
        for route in getattr(getattr(group, "original_route", group), "routes", ()):
            path = (prefix + route.path).rstrip("/")
            for own in (path, f"{path}/{{path:path}}"):
                yield Route(route, f"{path}/{{path}}", frozenset(route.methods), own)


def _without_convertors(mount: object, path: str) -> str:
    """A mount's template; the rest of the path, with which its path_format ends, is that of its routes."""
    return _format(mount).removesuffix("/{path}") if hasattr(mount, "path_format") else path


def _format(route: object) -> str:
    return str(getattr(route, "path_format", None) or getattr(route, "path", UNMATCHED))
