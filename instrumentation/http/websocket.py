"""Counts open websockets and how long they were open."""

from __future__ import annotations

import logging
from time import perf_counter
from typing import TYPE_CHECKING

from instrumentation import catalog
from instrumentation.http.routes import local_path
from instrumentation.store import add, observe

if TYPE_CHECKING:
    from collections.abc import Callable, Container

    from instrumentation.asgi import ASGIApp, Message, Receive, Scope, Send
    from instrumentation.http.routes import Routes
    from instrumentation.store import Store

_log = logging.getLogger("instrumentation")


def measuring_websockets(
    app: ASGIApp, *, store: Store, routes: Routes, excluded: Container[str], clock: Callable[[], float] = perf_counter
) -> ASGIApp:
    """An ASGI app that counts the websockets which go through it, from their acceptance to their end.

    Args:
        app: The app within.
        store: Where to count.
        routes: The routes of the app.
        excluded: Templates and paths that do not count.
        clock: Gives seconds.
    """
    quietly = _Quietly()

    async def websocket(scope: Scope, receive: Receive, send: Send) -> None:
        opened: tuple[str, float] | None = None

        async def watched(message: Message) -> None:
            nonlocal opened
            await send(message)
            if opened is None and message["type"] == "websocket.accept":
                opened = note_open(scope)

        try:
            await app(scope, receive, watched)
        finally:
            if opened is not None:
                note_closed(*opened)

    def note_open(scope: Scope) -> tuple[str, float] | None:
        with quietly:
            route = routes.template(scope)
            if route not in excluded and local_path(scope) not in excluded:
                add(store, catalog.WEBSOCKET_SERVER_ACTIVE_CONNECTIONS, (route,), 1.0)
                return route, clock()
        return None

    def note_closed(route: str, began: float) -> None:
        with quietly:
            add(store, catalog.WEBSOCKET_SERVER_ACTIVE_CONNECTIONS, (route,), -1.0)
            observe(store, catalog.WEBSOCKET_SERVER_CONNECTION_DURATION, (route,), clock() - began)

    return websocket


class _Quietly:
    """Keeps an error in Sidelight from becoming the service's; the first is logged."""

    _failed = False

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> bool:
        if isinstance(error, Exception) and not self._failed:
            self._failed = True
            _log.error(
                "sidelight could not count a websocket; the service continues, and later failures are not logged",
                exc_info=error,
            )
        return isinstance(error, Exception)
