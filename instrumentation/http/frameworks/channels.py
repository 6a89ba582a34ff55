"""Django Channels: its router leads to other apps, and to consumers of websockets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from instrumentation.http.frameworks import MountedApps
from instrumentation.http.frameworks.django import template_of
from instrumentation.http.frameworks.interface import UNMATCHED, WEBSOCKET, listed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from instrumentation.http.frameworks import PlacedApp
    from instrumentation.http.frameworks.interface import Respond, Route, Scope


class Channels:
    """A ``URLRouter``."""

    def __init__(self, router: Any) -> None:
        self._router = router
        self._mounted = MountedApps()

    def routes(self) -> Iterator[Route]:
        """Every consumer, and the routes of the apps that the router leads to."""
        for pattern, apps in self._patterns():
            for app in apps:
                yield from app.routes()
            if not apps:
                yield listed(template_of(str(pattern)), {WEBSOCKET})

    def chosen(self, scope: Scope) -> str:
        """The route that one of the apps chose; the router itself leaves nothing."""
        return self._mounted.chosen(scope)

    def match(self, scope: Scope, path: str) -> str:
        """The first pattern that matches a path, as in the router."""
        for pattern, apps in self._patterns():
            if found := pattern.match(path.lstrip("/")):
                template = template_of(str(pattern))
                inner = next(filter(None, (app.framework.match(scope, f"/{found[0]}") for app in apps)), UNMATCHED)
                return template.rstrip("/") + inner if apps and inner else UNMATCHED if apps else template
        return UNMATCHED

    def handle(self, kind: type[Exception], respond: Respond) -> None:
        """Answer exceptions of a class in the apps that the router leads to."""
        for _, apps in self._patterns():
            for app in apps:
                app.framework.handle(kind, respond)

    def _patterns(self) -> Iterator[tuple[Any, list[PlacedApp]]]:
        for route in self._router.routes:
            prefix = template_of(str(route.pattern)).rstrip("/")
            yield route.pattern, self._mounted.behind(route, route.callback, prefix)
