"""What a framework tells of an app: its routes, and which of them answered a request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, MutableMapping

    from instrumentation.http.problem_document import Document

    Scope = MutableMapping[str, Any]
    Respond = Callable[[Any], Document]
    """Makes the problem document of an exception."""

UNMATCHED = ""
"""The template of a request that no route matched."""

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
"""What a path is matched with in turn, where its route does not answer to the method of a request."""

WEBSOCKET = "WEBSOCKET"
"""What a route of websockets has for a method."""

ENVIRON = "wsgi.environ"
"""The key in a scope under which the environ of a WSGI request stands."""

ARRIVAL = "sidelight.arrival"
"""The key in a scope, or in an environ, under which its ``Arrival`` stands."""


class Route(NamedTuple):
    """A route of an app.

    Attributes:
        chosen: The object that a scope carries once the router has chosen this route; None where it carries none.
        template: The path with every router prefix and mount template, such as ``/shops/{shop_id}/items``.
        methods: What it answers to; empty for a mount, and for a class that has a function for each.
        path: As the template, with the convertors of its parameters.
    """

    chosen: object
    template: str
    methods: frozenset[str]
    path: str


def listed(template: str, methods: Iterable[str]) -> Route:
    """A route of a router that leaves no object in the scope."""
    return Route(None, template, frozenset(methods), template)


class Arrival:
    """A request as it came, and what a router says of it.

    It is one object in every copy that a middleware makes of the scope, so that what is said within is heard outside.

    Attributes:
        path: The path, below the root path that the server was started with.
        scope_id: The id of the scope that came.
        told: Which app's router chose a route, and the route's template.
    """

    __slots__ = ("path", "scope_id", "told")

    def __init__(self, scope: Scope) -> None:
        self.path = local_path(scope)
        self.scope_id = id(scope)
        self.told: tuple[object, str] | None = None


def tell(scope: Scope, app: object, template: str) -> None:
    """Say that an app's router has chosen a route; unheard where the request is not observed."""
    arrival = scope.get(ARRIVAL)
    if arrival is not None:
        arrival.told = app, template


def told(scope: Scope, app: object) -> str:
    """The template that was told for an app; ``UNMATCHED`` where none was."""
    arrival = scope.get(ARRIVAL)
    return arrival.told[1] if arrival is not None and arrival.told and arrival.told[0] is app else UNMATCHED


class Framework(Protocol):
    """One app of a framework."""

    def routes(self) -> Iterable[Route]:
        """Every route that can be listed."""

    def chosen(self, scope: Scope) -> str:
        """The template of the route that this app's router chose for a request, read once the request was answered.

        Returns:
            ``UNMATCHED`` where it chose none, or was not asked.
        """

    def match(self, scope: Scope, path: str) -> str:
        """The template of a path, for a request of which ``chosen`` knows nothing.

        A middleware may have answered it, the method may not be allowed, or a copy of the scope went to the router.
        """

    def handle(self, kind: type[Exception], respond: Respond) -> None:
        """Answer exceptions of a kind with a problem document, unless the app handles that kind itself."""


def local_path(scope: Scope) -> str:
    """The path below the root path that the server was started with."""
    path: str = scope["path"]
    root = scope.get("app_root_path", scope.get("root_path"))
    return path[len(root) :] if root and (path == root or path.startswith(f"{root}/")) else path
