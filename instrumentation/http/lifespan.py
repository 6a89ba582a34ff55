"""Answers the lifespan protocol for an app that does not support it, such as Django's."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from instrumentation.asgi import ASGIApp, Message, Receive, Scope, Send

_SHUTDOWN = "lifespan.shutdown"


def lasting(app: ASGIApp) -> ASGIApp:
    """An ASGI app whose lifespan ends with the server, even if the app raises or returns at once, as the protocol allows.

    Args:
        app: The inner app.
    """

    async def lifespan(scope: Scope, receive: Receive, send: Send) -> None:
        has_lifespan = False

        async def receiving() -> Message:
            nonlocal has_lifespan
            has_lifespan = True
            return await receive()

        try:
            await app(scope, receiving, send)
        except Exception:
            if has_lifespan:
                raise
        if not has_lifespan:
            await _answer(receive, send)

    return lifespan


async def _answer(receive: Receive, send: Send) -> None:
    kind = ""
    while kind != _SHUTDOWN:
        kind = (await receive())["type"]
        await send({"type": f"{kind}.complete"})
