"""Falcon, ASGI and WSGI: a middleware reports the template before the responder is called."""

from __future__ import annotations

from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any

from instrumentation.http.frameworks.interface import UNMATCHED, WEBSOCKET, listed, report, reported

if TYPE_CHECKING:
    from collections.abc import Iterator

    from instrumentation.http.frameworks.interface import Respond, Route, Scope


class Falcon:
    """A Falcon app."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._is_async = iscoroutinefunction(type(app).__call__)
        app.add_middleware(self)

    def routes(self) -> Iterator[Route]:
        """Every template with a resource."""
        from falcon.inspect import inspect_routes  # noqa: PLC0415 - the app has loaded Falcon

        for route in inspect_routes(self._app):
            own = (each.method for each in route.methods if not each.internal)  # Falcon answers the others itself
            yield listed(route.path, {WEBSOCKET if method == "WEBSOCKET" else method for method in own})

    def chosen(self, scope: Scope) -> str:
        """The template of the resource, such as ``/items/{item:int}``."""
        return reported(scope, self._app)

    def match(self, scope: Scope, path: str) -> str:
        """Nothing: Falcon's router needs the request."""
        del scope, path
        return UNMATCHED

    def handle(self, kind: type[Exception], respond: Respond) -> None:
        """Answer exceptions of a class, unless the app has a handler for it."""

        def answer(_: Any, response: Any, error: Any, __: Any) -> None:
            document = respond(error)
            response.status, response.data = document.status, document.body
            response.content_type = document.media_type
            response.set_headers(dict(document.headers))

        async def answer_async(request: Any, response: Any, error: Any, params: Any, **_: Any) -> None:
            answer(request, response, error, params)

        if kind not in self._app._error_handlers:  # noqa: SLF001 - Falcon has no public attribute
            self._app.add_error_handler(kind, answer_async if self._is_async else answer)

    def process_resource(self, request: Any, *_: object) -> None:
        """Called by Falcon."""
        report(request.env, self._app, request.uri_template)

    async def process_resource_async(self, request: Any, *_: object) -> None:
        """Called by Falcon."""
        report(request.scope, self._app, request.uri_template)

    async def process_resource_ws(self, request: Any, *_: object) -> None:
        """Called by Falcon."""
        report(request.scope, self._app, request.uri_template)
