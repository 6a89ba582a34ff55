"""Bottle: it leaves the route in the environ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from instrumentation.http.frameworks.interface import ENVIRON, UNMATCHED, listed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from instrumentation.http.frameworks.interface import Respond, Route, Scope


class Bottle:
    """A Bottle app."""

    def __init__(self, app: Any) -> None:
        self._app = app

    def routes(self) -> Iterator[Route]:
        """Every rule, as it was written."""
        for route in self._app.routes:
            yield listed(route.rule, {route.method} - {"ANY"})

    def chosen(self, scope: Scope) -> str:
        """The rule that was matched, such as ``/items/<item:int>``."""
        route = scope.get(ENVIRON, {}).get("bottle.route")
        return str(route.rule) if route is not None and route.app is self._app else UNMATCHED

    def match(self, scope: Scope, path: str) -> str:
        """The rule that matches a path; if none accepts the method, one for another method."""
        from bottle import HTTPError  # noqa: PLC0415 - the app has loaded it

        methods = dict.fromkeys((scope["method"], *(route.method for route in self._app.routes)))
        for method in methods:
            try:
                route, _ = self._app.router.match({"REQUEST_METHOD": method, "PATH_INFO": path})
            except HTTPError:
                continue
            return str(route.rule)
        return UNMATCHED

    def handle(self, kind: type[Exception], respond: Respond) -> None:
        """Answer exceptions of a class, in a plugin: Bottle has handlers only for status codes."""
        from bottle import HTTPResponse  # noqa: PLC0415 - the app has loaded it

        def answering(callback: Callable[..., Any]) -> Callable[..., Any]:
            def answer(*args: Any, **kwargs: Any) -> Any:
                try:
                    return callback(*args, **kwargs)
                except kind as error:
                    document = respond(error)
                    return HTTPResponse(document.body, document.status, document.all_headers)

            return answer

        self._app.install(answering)
