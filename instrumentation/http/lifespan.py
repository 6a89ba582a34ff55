"""The lifespan of an app: what begins with the server also ends with it, also if the app has none, as Django's."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from instrumentation.asgi import ASGIApp, Message, Receive, Scope, Send
    from instrumentation.http.lifecycle import Lifecycle

_STARTUP, _SHUTDOWN = "lifespan.startup", "lifespan.shutdown"
_ENDED = frozenset(("lifespan.shutdown.complete", "lifespan.shutdown.failed"))


def ending(app: ASGIApp, lifecycle: Lifecycle) -> ASGIApp:
    """An ASGI app whose server waits, once the app has shut down, until everything has stopped.

    Args:
        app: The app within.
        lifecycle: What stops.
    """

    async def ended(scope: Scope, receive: Receive, send: Send) -> None:
        has_ended = False

        async def last(message: Message) -> None:
            nonlocal has_ended
            if message["type"] in _ENDED:  # a server that has it may end the event loop at once
                await lifecycle.stop_in_threads()
                has_ended = True
            await send(message)

        try:
            await app(scope, receive, last)
        finally:
            if not has_ended:  # it failed, or was cancelled
                lifecycle.stop()

    return ended


def lasting(app: ASGIApp) -> ASGIApp:
    """An ASGI app whose lifespan lasts as long as the server, also where the app gives up at once, as it may.

    Args:
        app: The app within.
    """

    async def lived(scope: Scope, receive: Receive, send: Send) -> None:
        has_lifespan = False

        async def heard() -> Message:
            nonlocal has_lifespan
            has_lifespan = True
            return await receive()

        try:
            await app(scope, heard, send)
        except Exception:
            if has_lifespan:
                raise
        if not has_lifespan:
            await _live(receive, send)

    return lived


async def _live(receive: Receive, send: Send) -> None:
    kind = ""
    while kind != _SHUTDOWN:
        kind = (await receive())["type"]
        await send({"type": f"{kind}.complete"})
