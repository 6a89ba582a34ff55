"""The template of the route that a router chose, every prefix included; never a concrete path."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping

    Scope = MutableMapping[str, Any]

UNMATCHED = ""
"""The template of a request that no route matched."""


class Route(NamedTuple):
    """A route of an app.

    Attributes:
        chosen: The object that a scope carries once the router has chosen this route.
        template: The path with every router prefix and mount template, such as ``/shops/{shop_id}/items``.
        methods: What it answers to; empty for a mount.
    """

    chosen: object
    template: str
    methods: frozenset[str]


class Routes:
    """The routes of one app, found by the object that the router leaves in the scope."""

    def __init__(self, app: object) -> None:
        self._app = app
        self._by_id: dict[int, Route] = {}

    def __iter__(self) -> Iterator[Route]:
        return _walk(getattr(self._app, "routes", ()), "")

    def template(self, scope: Scope) -> str:
        """The template of the route that was chosen for a request, read once the app has answered."""
        chosen = _chosen(scope)
        if chosen is None:
            return UNMATCHED
        known = self._by_id.get(id(chosen))
        if known is None or known.chosen is not chosen:
            self._by_id = {id(route.chosen): route for route in self}
            known = self._by_id.get(id(chosen)) or self._stranger(chosen)
        return known.template

    def _stranger(self, chosen: object) -> Route:
        """A route outside the app's own tables, such as one a custom router made: its own template is all there is."""
        route = Route(chosen, _path_format(chosen), frozenset())
        self._by_id[id(chosen)] = route
        return route


def _chosen(scope: Scope) -> object | None:
    """FastAPI's effective context where it belongs to the route, since only it knows the prefixes; else the route."""
    route = scope.get("route")
    context = scope.get("fastapi", {}).get("effective_route_context")
    if context is not None and route in (context.original_route, context.starlette_route):
        return context  # type: ignore[no-any-return]
    return route


def _walk(routes: Any, prefix: str) -> Iterator[Route]:
    for route in routes:
        if hasattr(route, "effective_route_contexts"):  # FastAPI >= 0.137: an included router
            for context in route.effective_route_contexts():
                yield from _leaf(context, context.starlette_route or context, prefix)
        else:
            yield from _leaf(route, route, prefix)


def _leaf(chosen: Any, route: Any, prefix: str) -> Iterator[Route]:
    """One route; for a mount with routes of its own those, behind the mount's template."""
    inner = getattr(route, "routes", None)
    if inner:
        # The mount is what stays in the scope where no route within it matched.
        yield Route(chosen, UNMATCHED, frozenset())
        yield from _walk(inner, prefix + getattr(route, "path", ""))
    else:
        methods = frozenset(getattr(route, "methods", None) or ())
        yield Route(chosen, prefix + _path_format(route), methods)


def _path_format(route: object) -> str:
    return str(getattr(route, "path_format", None) or getattr(route, "path", UNMATCHED))
