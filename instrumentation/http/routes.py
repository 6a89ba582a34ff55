"""The template of the route that answered a request, with every prefix; never a concrete path."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any

from instrumentation.http.frameworks import PlacedApp, find
from instrumentation.http.frameworks.interface import ARRIVAL, UNMATCHED, WEBSOCKET, Arrival, Route, local_path
from instrumentation.http.frameworks.starlette import Starlette, report_copies
from instrumentation.log_once import LogOnce

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator

    from instrumentation.asgi import ASGIApp, Receive, Send
    from instrumentation.http.frameworks.interface import Respond, Scope

__all__ = ["UNMATCHED", "WEBSOCKET", "Route", "Routes", "local_path"]


class Routes:
    """The routes of an app, and of the apps that it wraps or dispatches to.

    Args:
        app: The app.

    Attributes:
        by_id: The id of the object that Starlette's router leaves in the scope, to the route; always the same dict.
        has_table: Whether an app of a known framework was found.
    """

    def __init__(self, app: Any) -> None:
        self._app = app
        found = find(app)
        # An app of another framework may leave its route in the scope as Starlette does.
        self._apps = found or [PlacedApp(Starlette(app), "")]
        self._log_once = LogOnce()
        self.has_table = bool(found)
        own = (each.framework for each in self._apps if not each.prefix)
        self.by_id = next((each.by_id for each in own if isinstance(each, Starlette)), {})

    def __iter__(self) -> Iterator[Route]:
        for each in self._apps:
            try:
                yield from each.routes()
            except Exception as fault:  # noqa: BLE001 - an unknown version of a framework must not fail the start
                text = "Sidelight could not list the app's routes; each is known after its first request"
                self._log_once(text, level=logging.ERROR, error=fault)

    def handle(self, kind: type[Exception], respond: Respond) -> bool:
        """Answer exceptions of a class with problem documents, in every app that has no handler for it.

        Returns:
            False if no app of a known framework was found.
        """
        for each in self._apps:
            each.framework.handle(kind, respond)
        return self.has_table

    def leave(self, kind: type[Exception]) -> None:
        """Revert the changes to the Starlette apps."""
        for each in self._apps:
            if isinstance(each.framework, Starlette):
                each.framework.leave(kind)

    @property
    def count(self) -> int:
        """The number of routes, mounts and included routers of the Starlette apps."""
        own = (each.framework for each in self._apps)
        return sum(len(getattr(each.app, "routes", ())) for each in own if isinstance(each, Starlette))

    def has_page(self, path: str) -> bool:
        """Whether a route answers GET at a path, or at the path with a slash, to which frameworks redirect.

        A route that matches many paths does not count; an app that is mounted at the path does.
        """
        names, mounted = (path, f"{path}/"), re.compile(rf"{re.escape(path)}/\{{\w*:path\}}")
        return any(
            (route.template in names or mounted.fullmatch(route.path)) and (not route.methods or "GET" in route.methods)
            for route in self
        )

    def is_wildcard(self, scope: Scope, path: str) -> bool:
        """Whether a route with parameters, and not a mount, matches a path for which ``has_page`` is false."""
        matched = next(filter(None, (each.match(scope, path) for each in self._apps)), UNMATCHED)
        return any(matched and route.template == matched and not _is_mount(route.chosen) for route in self)

    def template(self, scope: Scope) -> str:
        """The template of the route that was chosen for a request; called after the response."""
        try:
            chosen = next(filter(None, (each.chosen(scope) for each in self._apps)), UNMATCHED)
            return chosen or self._matched(scope)
        except Exception as fault:  # noqa: BLE001 - the request is counted all the same
            text = "Sidelight could not read the route of a request and counts it without one"
            self._log_once(text, level=logging.ERROR, error=fault)
            return UNMATCHED

    def _matched(self, scope: Scope) -> str:
        paths = [local_path(scope)]
        if ARRIVAL in scope and scope[ARRIVAL].path not in paths:
            paths.insert(0, scope[ARRIVAL].path)  # it was changed in place
        matched = (each.match(scope, path) for path in paths for each in self._apps)
        return next(filter(None, matched), UNMATCHED)

    def _is_plain(self, framework: object) -> bool:
        return isinstance(framework, Starlette) and framework.app is self._app and framework.shows_all

    def following(self, app: ASGIApp) -> ASGIApp:
        """An ASGI app whose routers can report their choice, unless the scope shows it in any case."""
        if all(self._is_plain(each.framework) for each in self._apps):
            return app
        report_copies(self._apps)

        def followed(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
            scope[ARRIVAL] = Arrival(scope)
            return app(scope, receive, send)

        followed.app = app  # type: ignore[attr-defined]  # frameworks look through a stack by this name
        return followed


def _is_mount(chosen: object) -> bool:
    return isinstance(chosen, list) or (hasattr(chosen, "app") and not hasattr(chosen, "endpoint"))
