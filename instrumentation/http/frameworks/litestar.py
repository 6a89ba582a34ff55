"""Litestar: it leaves the handler, and the template of its path, in the scope."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from instrumentation.http.frameworks.interface import UNMATCHED, WEBSOCKET, listed

if TYPE_CHECKING:
    from collections.abc import Iterator

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
        app: Any = scope.get("litestar_app")
        if app is not self._app:
            return UNMATCHED
        handler: Any = scope.get("route_handler")
        if getattr(handler, "is_mount", False):  # the template that is left is that of the root
            mounts: Any = (each for each in self._app.routes if getattr(each, "route_handler", None) is handler)
            return next((str(mount.path_format) for mount in mounts), UNMATCHED)
        return str(scope.get("path_template", UNMATCHED))

    def match(self, scope: Scope, path: str) -> str:
        """The template of a path; where none has the method, one of another."""
        from litestar.exceptions import HTTPException, MethodNotAllowedException  # noqa: PLC0415 - the app has loaded it

        routing = self._app.asgi_router.handle_routing
        try:
            try:
                found = routing(path=path, method=scope.get("method"))
            except MethodNotAllowedException as refusal:
                found = routing(path=path, method=str((refusal.headers or {}).get("allow")).split(",")[0])
        except HTTPException:
            return UNMATCHED
        return str(found[-1])

    def handle(self, kind: type[Exception], respond: Respond) -> None:
        """Answer exceptions of a kind, unless the app handles that kind itself."""
        from litestar import Response  # noqa: PLC0415 - the app has loaded it

        def answer(_: Any, error: Any) -> Any:
            document = respond(error)
            return Response(
                document.body, status_code=document.status, headers=document.headers, media_type=document.media_type
            )

        self._app.exception_handlers.setdefault(kind, answer)
