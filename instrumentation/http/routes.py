"""The template of the route that a router chose, every prefix included; never a concrete path."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, MutableMapping
    from re import Pattern

    Scope = MutableMapping[str, Any]

UNMATCHED = ""
"""The template of a request that no route matched."""


WEBSOCKET = "WEBSOCKET"
"""What a route of websockets has for a method."""


class Route(NamedTuple):
    """A route of an app.

    Attributes:
        chosen: The object that a scope carries once the router has chosen this route.
        template: The path with every router prefix and mount template, such as ``/shops/{shop_id}/items``.
        methods: What it answers to; empty for a mount, and for a class that has a function for each.
        path: As the template, with the convertors of its parameters.
    """

    chosen: object
    template: str
    methods: frozenset[str]
    path: str


_AMBIGUOUS = Route(None, UNMATCHED, frozenset(), "")


class Routes:
    """The routes of one app, found by the object that the router leaves in the scope.

    Attributes:
        by_id: The id of that object to the route; always the same dict.
        has_table: Whether the app has routes that can be read; a bare ASGI app has not.
    """

    def __init__(self, app: Any) -> None:
        while not hasattr(app, "routes") and hasattr(app, "app"):
            app = app.app  # a middleware around the app that has them
        self._app = app
        self.has_table = hasattr(app, "routes")
        self.by_id: dict[int, Route] = {}
        self._patterns: list[tuple[Pattern[str], Route]] | None = None

    def __iter__(self) -> Iterator[Route]:
        yield from _walk(getattr(self._app, "routes", ()), "", "")
        yield from sorted(_frontends(self._app), key=lambda route: -len(route.path))  # the most specific one answers

    @property
    def number(self) -> int:
        """How many routes, mounts and included routers the app has."""
        routes = getattr(self._app, "routes", ())
        return len(routes) if hasattr(routes, "__len__") else 0

    def page(self, path: str) -> Route | None:
        """The route that answers GET at a path, or at the path and a slash, where Starlette redirects to it.

        A mounted app without routes of its own counts where it is mounted at the path: whether it answers a path below
        its mount, only it knows.
        """
        for route in _walk(getattr(self._app, "routes", ()), "", ""):
            is_readable = not _is_mount(route.chosen) or route.template.startswith(path)
            answers_get = not route.methods or "GET" in route.methods
            if route.template and is_readable and answers_get:
                pattern = _pattern(route.path)
                if pattern.fullmatch(path) or pattern.fullmatch(f"{path}/"):
                    return route
        return None

    def template(self, scope: Scope) -> str:
        """The template of the route that was chosen for a request, read once the app has answered."""
        # A plain Starlette route leaves FastAPI's scope with its endpoint alone.
        chosen = _chosen(scope) or scope.get("endpoint")
        if chosen is None:
            return self._matched(scope)
        known = self.by_id.get(id(chosen))
        if known is None or (known.chosen is not chosen and known is not _AMBIGUOUS):
            known = self._learned(chosen)
        return self._matched(scope) if known is _AMBIGUOUS else known.template

    def _learned(self, chosen: object) -> Route:
        """Read the app's tables anew. A route outside of them, such as a custom router's, has its own template alone."""
        routes = tuple(self)
        self._patterns = None
        self.by_id.clear()
        self.by_id.update((id(route.chosen), route) for route in routes)
        self.by_id.update((id(endpoint), route) for endpoint, route in _by_endpoint(routes))
        stranger = _AMBIGUOUS if callable(chosen) else Route(chosen, _format(chosen), frozenset(), "")
        return self.by_id.setdefault(id(chosen), stranger)

    def _matched(self, scope: Scope) -> str:
        """The template by the path, where the router left nothing that can be seen from outside.

        That is so for a mounted app without routes, such as static files, and where the router saw a copy of the scope,
        or was never asked because a middleware answered. In a scope that the router has seen nothing else can match.
        """
        is_seen = "router" in scope and "app_root_path" not in scope and "endpoint" not in scope
        if is_seen and "frontend_path" not in (scope.get("fastapi") or ()):
            return UNMATCHED
        path, method, found = local_path(scope), scope.get("method", WEBSOCKET), UNMATCHED
        for pattern, route in self._compiled():
            if pattern.fullmatch(path):
                if not route.methods or method in route.methods:
                    return route.template
                if WEBSOCKET not in {method, *route.methods}:
                    found = found or route.template
        return found

    def _compiled(self) -> list[tuple[Pattern[str], Route]]:
        if self._patterns is None:
            self._patterns = [(_pattern(route.path), route) for route in self if route.template]
        return self._patterns


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


def local_path(scope: Scope) -> str:
    """The path below the root path that the server was started with."""
    path: str = scope["path"]
    root = scope.get("app_root_path", scope.get("root_path"))
    return path[len(root) :] if root and (path == root or path.startswith(f"{root}/")) else path


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


def _walk(routes: Any, prefix: str, path: str) -> Iterator[Route]:
    for route in routes:
        if hasattr(route, "effective_route_contexts"):  # FastAPI >= 0.137: an included router
            for context in route.effective_route_contexts():
                yield from _leaf(context, context.starlette_route or context, prefix, path)
        else:
            yield from _leaf(route, route, prefix, path)


def _leaf(chosen: Any, route: Any, prefix: str, path: str) -> Iterator[Route]:
    """One route; for a mount with routes of its own those, behind the mount's template."""
    own = getattr(route, "path", "")
    if inner := getattr(route, "routes", None):
        # The mount is what stays in the scope where no route within it matched.
        yield Route(chosen, UNMATCHED, frozenset(), "")
        yield from _walk(inner, prefix + _without_convertors(route, own), path + own)
    else:
        is_mount = _is_mount(route)
        methods = frozenset(
            (getattr(route, "methods", None) or ()) if hasattr(route, "methods") or is_mount else {WEBSOCKET}
        )
        yield Route(chosen, prefix + _format(route), methods, path + own + ("/{path:path}" if is_mount else ""))


def _is_mount(route: object) -> bool:
    return hasattr(route, "app") and not hasattr(route, "endpoint")


def _without_convertors(mount: object, path: str) -> str:
    """A mount's template: its path_format ends with the rest of the path, which its routes put there."""
    return _format(mount).removesuffix("/{path}") if hasattr(mount, "path_format") else path


def _format(route: object) -> str:
    return str(getattr(route, "path_format", None) or getattr(route, "path", UNMATCHED))
