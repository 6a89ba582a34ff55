"""BlackSheep: its router is called once per request; the pattern that it finds is reported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from instrumentation.http.frameworks import MountedApps
from instrumentation.http.frameworks.interface import UNMATCHED, WEBSOCKET, listed, report, reported

if TYPE_CHECKING:
    from collections.abc import Iterator

    from instrumentation.http.frameworks.interface import Respond, Route, Scope

_WEBSOCKET = "GET_WS"


class BlackSheep:
    """A BlackSheep app."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._mounted = MountedApps()
        self._router = app.router
        self._router.get_match = self._matching

    def routes(self) -> Iterator[Route]:
        """Every pattern, as it was written, including those of mounted apps."""
        before_start = getattr(self._router, "registered_routes", ())
        for method, route in (*before_start, *self._router.iter_with_methods()):
            name = method.decode() if isinstance(method, bytes) else method
            yield listed(_template(route), {WEBSOCKET if name == _WEBSOCKET else name})
        for mount in self._app.mount_registry.mounted_apps:
            for app in self._mounted.behind(mount, mount.handler, _template(mount).removesuffix("/*")):
                yield from app.routes()

    def chosen(self, scope: Scope) -> str:
        """The pattern that was found, such as ``/items/{item}``."""
        return reported(scope, self._app) or self._mounted.chosen(scope)

    def match(self, scope: Scope, path: str) -> str:
        """The pattern of a path."""
        found = self._router.get_match_by_method_and_path(scope.get("method", _WEBSOCKET), path)
        return self._found(found)

    def handle(self, kind: type[Exception], respond: Respond) -> None:
        """Answer exceptions of a class, unless the app has a handler for it."""
        from blacksheep import Content, Response  # noqa: PLC0415 - the app has loaded it

        async def answer(_: Any, __: Any, error: Any) -> Any:
            document = respond(error)
            headers = [(name.encode(), value.encode()) for name, value in document.headers.items()]
            return Response(document.status, headers, Content(document.media_type.encode(), document.body))

        if kind not in self._app.exceptions_handlers:
            self._app.exceptions_handlers[kind] = answer

    def _matching(self, request: Any) -> Any:
        match = type(self._router).get_match(self._router, request)
        report(request.scope, self._app, self._found(match))
        return match

    def _found(self, match: Any) -> str:
        fallback = self._router.fallback
        is_found = match is not None and (fallback is None or match.handler is not fallback.handler)
        return _template(match) if is_found else UNMATCHED


def _template(route: Any) -> str:
    return route.pattern.decode()  # type: ignore[no-any-return]
