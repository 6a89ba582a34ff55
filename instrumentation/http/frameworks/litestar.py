"""Litestar: the router leaves the handler and the template in the scope."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from instrumentation.http.frameworks.interface import METHODS, UNMATCHED, WEBSOCKET, listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from instrumentation.http.frameworks.interface import Respond, Route, Scope


class Litestar:
    """A Litestar app."""

    def __init__(self, app: Any) -> None:
        self._app = app

    def routes(self) -> Iterator[Route]:
        """Every route; a mount has no methods."""
        for route in self._app.routes:
            is_websocket = type(route).__name__ == "WebSocketRoute"
            yield listed(route.path_format, {WEBSOCKET} if is_websocket else getattr(route, "methods", ()))

    def chosen(self, scope: Scope) -> str:
        """The template of the path, such as ``/items/{item}``."""
        if scope.get("litestar_app") is not self._app or "route_handler" not in scope:
            return UNMATCHED
        return self._template(scope["route_handler"], scope.get("path_template"))

    def match(self, scope: Scope, path: str) -> str:
        """The template that matches a path; if no handler accepts the method, of another method."""
        from litestar.exceptions import HTTPException, MethodNotAllowedException  # noqa: PLC0415 - the app has loaded it

        for method in (scope.get("method"), *METHODS):
            try:
                _, handler, *rest = self._app.asgi_router.handle_routing(path=path, method=method)
            except MethodNotAllowedException:
                continue
            except HTTPException:
                break
            return self._template(handler, rest[-1])
        return UNMATCHED

    def _template(self, handler: Any, given: object) -> str:
        """The template that Litestar gives; older versions give none, and for a mount it is that of the root."""
        if isinstance(given, str) and not getattr(handler, "is_mount", False):
            return given
        routes: Iterable[Any] = self._app.routes
        templates = {
            str(route.path_format)
            for route in routes
            if handler in getattr(route, "route_handlers", (getattr(route, "route_handler", None),))
        }
        return templates.pop() if len(templates) == 1 else UNMATCHED

    def handle(self, kind: type[Exception], respond: Respond) -> None:
        """Answer exceptions of a class, unless the app has a handler for it."""
        from litestar import Response  # noqa: PLC0415 - the app has loaded it

        def answer(_: Any, error: Any) -> Any:
            document = respond(error)
            return Response(
                document.body, status_code=document.status, headers=document.headers, media_type=document.media_type
            )

        self._app.exception_handlers.setdefault(kind, answer)
