"""Sanic: the current request has its route; on an ASGI server it is in a context variable."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from instrumentation.http.frameworks.interface import ARRIVAL, EXCHANGE, METHODS, UNMATCHED, WEBSOCKET, listed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from instrumentation.http.frameworks.interface import Respond, Route, Scope


class Sanic:
    """A Sanic app."""

    def __init__(self, app: Any) -> None:
        self._app = app

    def routes(self) -> Iterator[Route]:
        """Every route, as Sanic writes it."""
        for route in self._app.router.routes:
            is_websocket = getattr(route.extra, "websocket", False)
            yield listed(_template(route), {WEBSOCKET} if is_websocket else route.methods)

    def chosen(self, scope: Scope) -> str:
        """The template of the route, such as ``/items/<item:int>``."""
        if EXCHANGE in scope:  # Sanic's own server
            route = scope[EXCHANGE].request.route
            return UNMATCHED if route is None else _template(route)
        from sanic import Request  # noqa: PLC0415 - the app has loaded it
        from sanic.exceptions import ServerError  # noqa: PLC0415 - the app has loaded it

        try:
            request: Any = Request.get_current()
        except ServerError:
            return UNMATCHED
        is_this = request.app is self._app and request.transport.scope.get(ARRIVAL) is scope.get(ARRIVAL)
        return _template(request.route) if is_this and request.route is not None else UNMATCHED

    def match(self, scope: Scope, path: str) -> str:
        """The template that matches a path; if none accepts the method, of another method."""
        from sanic.exceptions import MethodNotAllowed, NotFound  # noqa: PLC0415 - the app has loaded it

        host = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), None)
        for method in (scope.get("method", "GET"), *METHODS):
            try:
                route, *_ = self._app.router.get(path, method, host)
            except MethodNotAllowed:
                continue
            except NotFound:
                break
            return _template(route)
        return UNMATCHED

    def handle(self, kind: type[Exception], respond: Respond) -> None:
        """Answer exceptions of a class, unless the app has a handler for it."""
        from sanic import HTTPResponse  # noqa: PLC0415 - the app has loaded it

        def answer(_: Any, error: Any) -> Any:
            document = respond(error)
            return HTTPResponse(document.body, document.status, document.all_headers)

        if (kind, None) not in self._app.error_handler.cached_handlers:
            self._app.error_handler.add(kind, answer)


def _template(route: Any) -> str:
    return f"/{route.path}"
