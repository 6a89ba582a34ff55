"""Decides which requests are not counted: by route, by method, and unmatched ones."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from instrumentation.http.routes import UNMATCHED, WEBSOCKET
from instrumentation.http_methods import METHODS, OTHER_METHOD
from instrumentation.settings.route_patterns import RoutePatterns

if TYPE_CHECKING:
    from collections.abc import Iterator

    from instrumentation.asgi import ASGIApp
    from instrumentation.http.middleware import Aside
    from instrumentation.http.routes import Routes
    from instrumentation.settings.http import Http

_log = logging.getLogger("instrumentation")
_UNEXPECTED = {"HEAD", "OPTIONS", WEBSOCKET}


class Exclusions:
    """What the settings leave out.

    Args:
        settings: The section ``http``.
        routes: The routes of the app.

    Attributes:
        paths: The paths and templates of ``excluded_routes``.
    """

    def __init__(self, settings: Http, routes: Routes) -> None:
        self.paths = RoutePatterns(settings.excluded_routes)
        self._methods = frozenset(settings.excluded_methods)
        self._routes = routes
        self._has_unmatched = not settings.count_unmatched and routes.has_table
        self._has_no_effect = not settings.count_unmatched and not routes.has_table

    def log_no_effect(self) -> None:
        """Log once that a setting has no effect on this app."""
        if self._has_no_effect:
            self._has_no_effect = False
            _log.warning(
                "http.count_unmatched: false has no effect on an app of no known framework: "
                "no route matches any of its requests, so all of them are counted"
            )

    def templates(self) -> frozenset[str]:
        """The templates that are not counted, of the routes that the app has now."""
        named = {route.template for route in self._routes if route.template in self.paths}
        return self.paths.exact | named | ({UNMATCHED} if self._has_unmatched else set())

    def aside(self, app: ASGIApp, observed: ASGIApp) -> Aside | None:
        """Gives the app that answers a request which is not counted, by method and path; None if no request needs it.

        Args:
            app: Answers the paths of ``excluded_routes``.
            observed: Answers the methods of ``excluded_methods``, which still have a correlation id and traces.
        """
        paths, methods = self.paths, self._methods
        if not (paths.has_wildcards or methods):
            return None

        def answer(method: str, path: str) -> ASGIApp | None:
            if path in paths:
                return app
            return observed if METHODS.get(method, OTHER_METHOD) in methods else None

        return answer

    def expected(self) -> Iterator[tuple[str, str]]:
        """Every (method, template) that is counted and that the app is known to answer."""
        for route in self._routes:
            if route.template not in self.paths:
                for method in sorted(route.methods - _UNEXPECTED - self._methods):
                    yield method, route.template
