"""What becomes of a websocket: it is open, and then it was open for so long."""

from __future__ import annotations

import logging
from time import perf_counter
from typing import TYPE_CHECKING

from instrumentation import catalog
from instrumentation.store import add, observe

if TYPE_CHECKING:
    from collections.abc import Callable

    from instrumentation.http.middleware import ASGIApp, Message, Receive, Scope, Send
    from instrumentation.http.routes import Routes
    from instrumentation.store import Store

_log = logging.getLogger("instrumentation")


def measuring_websockets(
    app: ASGIApp, *, store: Store, routes: Routes, excluded: frozenset[str], clock: Callable[[], float] = perf_counter
) -> ASGIApp:
    """An ASGI app that counts the websockets which go through it, from their acceptance to their end.

    Args:
        app: The app within.
        store: Where to count.
        routes: The routes of the app.
        excluded: Templates that do not count.
        clock: Gives seconds.
    """

    async def websocket(scope: Scope, receive: Receive, send: Send) -> None:
        opened: tuple[str, float] | None = None

        async def watched(message: Message) -> None:
            nonlocal opened
            await send(message)
            if opened is None and message["type"] == "websocket.accept":
                opened = note_open(routes.template(scope))

        try:
            await app(scope, receive, watched)
        finally:
            if opened is not None:
                note_closed(*opened)

    def note_open(route: str) -> tuple[str, float] | None:
        if route in excluded:
            return None
        try:
            add(store, catalog.WEBSOCKET_SERVER_ACTIVE_CONNECTIONS, (route,), 1.0)
        except Exception:  # noqa: BLE001 - a fault of ours must not become the service's
            _log.exception("sidelight could not count a websocket; the service goes on")
            return None
        return route, clock()

    def note_closed(route: str, began: float) -> None:
        try:
            add(store, catalog.WEBSOCKET_SERVER_ACTIVE_CONNECTIONS, (route,), -1.0)
            observe(store, catalog.WEBSOCKET_SERVER_CONNECTION_DURATION, (route,), clock() - began)
        except Exception:  # noqa: BLE001 - a fault of ours must not become the service's
            _log.exception("sidelight could not count a websocket; the service goes on")

    return websocket
