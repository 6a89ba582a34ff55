"""Flask and Quart: the rules of a werkzeug map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from instrumentation.http.frameworks.interface import UNMATCHED, WEBSOCKET, listed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from instrumentation.http.frameworks.interface import Route, Scope


class UrlMap:
    """The rules of an app.

    Args:
        app: The app, which has a ``url_map``.
    """

    def __init__(self, app: Any) -> None:
        self._app = app

    def routes(self) -> Iterator[Route]:
        """Every rule, as it was written."""
        for rule in self._app.url_map.iter_rules():
            yield listed(rule.rule, {WEBSOCKET} if rule.websocket else rule.methods or ())

    def match(self, scope: Scope, path: str) -> str:
        """The rule that matches a path; if none accepts the method, one for another method."""
        from werkzeug.exceptions import HTTPException, MethodNotAllowed  # noqa: PLC0415 - the app has loaded it
        from werkzeug.routing import RoutingException  # noqa: PLC0415 - the app has loaded it

        adapter = self._app.url_map.bind("", path_info=path)
        is_websocket, method = scope["type"] == "websocket", scope.get("method")
        try:
            try:
                rule, _ = adapter.match(method=method, websocket=is_websocket, return_rule=True)
            except MethodNotAllowed as refusal:
                method = next(iter(refusal.valid_methods or ()), None)
                rule, _ = adapter.match(method=method, websocket=is_websocket, return_rule=True)
        except (HTTPException, RoutingException):
            return UNMATCHED
        return str(rule.rule)
