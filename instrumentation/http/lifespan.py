"""The lifespan of an app that has none, such as Django's: what begins with the server also ends with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from instrumentation.asgi import ASGIApp, Message, Receive, Scope, Send

_STARTUP, _SHUTDOWN = "lifespan.startup", "lifespan.shutdown"


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
