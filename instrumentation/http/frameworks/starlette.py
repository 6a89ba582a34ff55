"""Starlette and FastAPI: the object that the router leaves in the scope is looked up in the app's tables."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from instrumentation.http.frameworks import STARLETTE, Mounted, Placed, framework_of
from instrumentation.http.frameworks.interface import ARRIVAL, UNMATCHED, WEBSOCKET, Route, tell, told

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
    """A Starlette or FastAPI app, or a router of theirs.

    Args:
        app: The app.

    Attributes:
        app: The app.
        by_id: The id of the object that the router leaves in the scope to the route; always the same dict.
    """

    def __init__(self, app: Any) -> None:
        self.app = app
        self._mounted = Mounted()
        self._patterns: list[tuple[Pattern[str], Route]] | None = None
        self._hides_apps = False
        self._answers: dict[type[Exception], Any] = {}
        self.by_id: dict[int, Route] = {}

    def routes(self) -> Iterator[Route]:
        """Every route, those of mounted apps too."""
        yield from self._walk(getattr(self.app, "routes", ()), "", "")
        yield from sorted(_frontends(self.app), key=lambda route: -len(route.path))  # the most specific one answers

    def chosen(self, scope: Scope) -> str:
        """The template of the route that was chosen, also in a mounted app."""
        # A plain Starlette route leaves FastAPI's scope with its endpoint alone.
        chosen = _chosen(scope) or scope.get("endpoint")
        if chosen is not None:
            known = self.by_id.get(id(chosen))
            if known is None or (known.chosen is not chosen and known is not _AMBIGUOUS):
                known = self._learned(chosen)
            if known is not _AMBIGUOUS:
                return known.template
        return self._mounted.chosen(scope) or told(scope, self.app)

    def match(self, scope: Scope, path: str) -> str:
        """The template by the path, where the router left nothing that can be seen from outside.

        That is so for a mounted app without routes, such as static files, and where the router saw a copy of the scope,
        or was never asked because a middleware answered. In a scope that the router has seen nothing else can match.
        """
        chosen = _chosen(scope)
        if chosen is not None and not callable(chosen):
            return _format(chosen)  # a route outside of the tables, such as a custom router's
        is_seen = "router" in scope and "app_root_path" not in scope and "endpoint" not in scope
        if is_seen and "frontend_path" not in (scope.get("fastapi") or ()):
            return UNMATCHED
        method, found = scope.get("method", WEBSOCKET), UNMATCHED
        for pattern, route in self._compiled():
            if pattern.fullmatch(path):
                if not route.methods or method in route.methods:
                    return route.template
                if WEBSOCKET not in {method, *route.methods}:
                    found = found or route.template
        return found

    def handle(self, kind: type[Exception], respond: Respond) -> None:
        """Answer exceptions of a kind with a problem document, unless the app handles that kind itself."""
        if kind not in getattr(self.app, "exception_handlers", {kind: None}):
            self._answers[kind] = answering(respond)
            self.app.add_exception_handler(kind, self._answers[kind])

    def leave(self, kind: type[Exception]) -> None:
        """Revert ``handle`` and ``overhear``."""
        answer = self._answers.pop(kind, None)
        if answer is not None and self.app.exception_handlers.get(kind) is answer:
            del self.app.exception_handlers[kind]
        router = getattr(self.app, "router", self.app)
        called = getattr(router, "middleware_stack", None)
        if isinstance(called, _Overheard):
            router.middleware_stack = called.app

    def overhear(self) -> None:
        """Hear what the router chooses also where a middleware hands on a copy of the scope."""
        router = getattr(self.app, "router", self.app)
        called = getattr(router, "middleware_stack", None)
        if called is not None and not isinstance(called, _Overheard):
            router.middleware_stack = _Overheard(called, self)

    @property
    def shows_all(self) -> bool:
        """Whether the scope that came shows what was chosen: nothing within can copy it or change its path."""
        tuple(self.routes())
        added = getattr(self.app, "user_middleware", ())
        return not self._hides_apps and all(each.cls.__module__.startswith(_OWN) for each in added)

    def _learned(self, chosen: object) -> Route:
        """Read the app's tables anew; an object outside of them is noted, so that they are not read for it again."""
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
        """One route; for a mount the routes of its app too, behind the mount's template."""
        own = getattr(route, "path", "")
        is_mount = hasattr(route, "app") and not hasattr(route, "endpoint")
        below = prefix + _without_convertors(route, own)
        apps = self._behind(route, below) if is_mount else []
        inner = getattr(route, "routes", None)
        self._hides_apps = self._hides_apps or bool(apps) or (is_mount and not inner)
        for app in apps:
            yield from app.routes()
        if inner and not apps:
            # The mount is what stays in the scope where no route within it matched.
            yield Route(chosen, UNMATCHED, frozenset(), "")
            yield from self._walk(inner, below, path + own)
        else:
            methods = frozenset(
                (getattr(route, "methods", None) or ()) if hasattr(route, "methods") or is_mount else {WEBSOCKET}
            )
            leaf = apps or chosen  # a mount in the scope says less than the app that it leads to
            yield Route(leaf, prefix + _format(route), methods, path + own + ("/{path:path}" if is_mount else ""))

    def _behind(self, mount: Any, prefix: str) -> list[Placed]:
        """The apps behind a mount that are of another framework, or hidden in what wraps them."""
        inner = getattr(mount, "_base_app", mount.app)
        if framework_of(inner) == STARLETTE:
            return []
        apps = self._mounted.behind(mount, inner, prefix)
        overhear(apps)
        return apps


class _Overheard:
    """What a router calls: where it gets a copy of the scope that came, the route it chooses is told.

    Args:
        app: What the router called.
        starlette: Tells of the app.
    """

    def __init__(self, app: ASGIApp, starlette: Starlette) -> None:
        self.app = app
        self._starlette = starlette

    def __call__(self, scope: Scope, receive: Any, send: Any) -> Awaitable[None]:
        """Answer; without a coroutine of its own where the scope is the one that came."""
        arrival = scope.get(ARRIVAL)
        is_copy = arrival is not None and arrival.scope_id != id(scope)
        return self._telling(scope, receive, send) if is_copy else self.app(scope, receive, send)

    async def _telling(self, scope: Scope, receive: Any, send: Any) -> None:
        try:
            await self.app(scope, receive, send)
        finally:
            tell(scope, self._starlette.app, self._starlette.chosen(scope))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle what the router called: where it is unpickled the app is instrumented anew."""
        return _itself, (self.app,)


def _itself(app: ASGIApp) -> ASGIApp:
    return app


def overhear(apps: Iterable[Placed]) -> None:
    """Hear what the routers of Starlette apps choose, also where a middleware hands on a copy of the scope."""
    for app in apps:
        if isinstance(app.framework, Starlette):
            app.framework.overhear()


def answering(respond: Respond) -> Callable[[Request, Any], Awaitable[Response]]:
    """A handler of exceptions that answers with their problem documents."""

    async def answer(request: Request, error: Any) -> Response:
        from starlette.responses import Response  # noqa: PLC0415 - the app has loaded it

        del request
        document = respond(error)
        media_type = document.media_type if document.body else None
        return Response(document.body, document.status, headers=dict(document.headers), media_type=media_type)

    return answer


def _pattern(path: str) -> Pattern[str]:
    """As Starlette's compile_path, but for parameters whose name stands twice: once in a mount, once in a route below."""
    from starlette.convertors import CONVERTOR_TYPES  # noqa: PLC0415 - where there are routes there is Starlette
    from starlette.routing import PARAM_REGEX  # noqa: PLC0415

    text, at = "", 0
    for parameter in PARAM_REGEX.finditer(path):
        convertor = CONVERTOR_TYPES[parameter[2].lstrip(":") if parameter[2] else "str"]
        text += f"{re.escape(path[at : parameter.start()])}(?:{convertor.regex})"
        at = parameter.end()
    return re.compile(text + re.escape(path[at:]))


def _by_endpoint(routes: Iterable[Route]) -> Iterator[tuple[object, Route]]:
    """Endpoint to route; ambiguous where an endpoint has several."""
    found: dict[int, tuple[object, Route]] = {}
    for route in routes:
        endpoint = getattr(route.chosen, "endpoint", None)
        if endpoint is not None:
            is_second = id(endpoint) in found
            found[id(endpoint)] = (endpoint, _AMBIGUOUS if is_second else route._replace(chosen=endpoint))
    yield from found.values()


def _chosen(scope: Scope) -> object | None:
    """FastAPI's effective context where it belongs to the route, since only it knows the prefixes; else the route."""
    route = scope.get("route")
    fastapi = scope.get("fastapi")
    if fastapi:
        context = fastapi.get("effective_route_context")
        if context is not None and (context.original_route is route or context.starlette_route is route):
            return context  # type: ignore[no-any-return]
    return route


def _frontends(app: Any) -> Iterator[Route]:
    """The files of FastAPI's frontends, which stand in no table of routes and leave none in the scope."""
    groups: Iterable[Any] = getattr(getattr(app, "router", None), "_iter_low_priority_routes", tuple)()
    for group in groups:
        prefix = getattr(group, "frontend_prefix", "")
        for route in getattr(getattr(group, "original_route", group), "routes", ()):
            path = (prefix + route.path).rstrip("/")
            for own in (path, f"{path}/{{path:path}}"):
                yield Route(route, f"{path}/{{path}}", frozenset(route.methods), own)


def _without_convertors(mount: object, path: str) -> str:
    """A mount's template: its path_format ends with the rest of the path, which its routes put there."""
    return _format(mount).removesuffix("/{path}") if hasattr(mount, "path_format") else path


def _format(route: object) -> str:
    return str(getattr(route, "path_format", None) or getattr(route, "path", UNMATCHED))
