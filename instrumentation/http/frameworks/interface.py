"""The interface of a framework's module: the routes of an app, and the route that answered a request."""

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
"""The methods that a path is matched with in turn, if its route does not accept the method of the request."""

WEBSOCKET = "WEBSOCKET"
"""The method of a websocket route."""

ENVIRON = "wsgi.environ"
"""The scope key of a WSGI request's environ."""

ARRIVAL = "sidelight.arrival"
"""The key, in a scope or an environ, of the request's ``Arrival``."""


EXCHANGE = "sidelight.exchange"
"""The key, in a scope, of the object that exchanges messages with a server that does not use ASGI."""


class Route(NamedTuple):
    """A route of an app.

    Attributes:
        chosen: The object that a scope carries once the router has chosen this route; None if it carries none.
        template: The path with every router prefix and mount template, such as ``/shops/{shop_id}/items``.
        methods: The methods that the route accepts; empty for a mount, and for a class with one function per method.
        path: The template, with the convertors of its parameters.
    """

    chosen: object
    template: str
    methods: frozenset[str]
    path: str


def listed(template: str, methods: Iterable[str]) -> Route:
    """A route whose router leaves no object in the scope."""
    return Route(None, template, frozenset(methods), template)


class Arrival:
    """A request as it arrived, and what a router reported about it.

    All copies of a scope share it, so a report arrives even if a middleware passes a copy to the router.

    Attributes:
        path: The path, without the root path that the server was started with.
        scope_id: The id of the scope that the server passed.
        reported: The app whose router chose a route, and the route's template.
    """

    __slots__ = ("path", "reported", "scope_id")

    def __init__(self, scope: Scope) -> None:
        self.path = local_path(scope)
        self.scope_id = id(scope)
        self.reported: tuple[object, str] | None = None


def report(scope: Scope, app: object, template: str) -> None:
    """Report that an app's router chose a route; does nothing if the request is not observed."""
    arrival = scope.get(ARRIVAL)
    if arrival is not None:
        arrival.reported = app, template


def reported(scope: Scope, app: object) -> str:
    """The template that was reported for an app; ``UNMATCHED`` if there was no report."""
    arrival = scope.get(ARRIVAL)
    report = None if arrival is None else arrival.reported
    return report[1] if report is not None and report[0] is app else UNMATCHED


class Framework(Protocol):
    """One app of a framework."""

    def routes(self) -> Iterable[Route]:
        """Every route that can be listed."""

    def chosen(self, scope: Scope) -> str:
        """The template of the route that this app's router chose; called after the response.

        Returns:
            ``UNMATCHED`` if it chose none, or never saw the request.
        """

    def match(self, scope: Scope, path: str) -> str:
        """The template that matches a path, if ``chosen`` does not know the request.

        Possible reasons: a middleware answered, the route does not accept the method, or the router got a copy of the scope.
        """

    def handle(self, kind: type[Exception], respond: Respond) -> None:
        """Answer exceptions of a class with a problem document, unless the app has a handler for that class."""


def local_path(scope: Scope) -> str:
    """The path without the root path that the server was started with."""
    path: str = scope["path"]
    root = scope.get("app_root_path", scope.get("root_path"))
    return path[len(root) :] if root and (path == root or path.startswith(f"{root}/")) else path
