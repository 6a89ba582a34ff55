"""The lifespan of an app: what begins with the server also ends with it, also if the app has none, as Django's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from instrumentation.offload import in_thread

if TYPE_CHECKING:
    from collections.abc import Sequence

    from instrumentation.asgi import ASGIApp, Message, Receive, Scope, Send
    from instrumentation.http.features import Feature

_STARTUP, _SHUTDOWN = "lifespan.startup", "lifespan.shutdown"


_ENDED = frozenset(("lifespan.shutdown.complete", "lifespan.shutdown.failed"))


def ending(app: ASGIApp, features: Sequence[Feature]) -> ASGIApp:
    """An ASGI app whose server waits, once the app has shut down, until the features have ended.

    Args:
        app: The app within.
        features: Ended in their order; what they write is waited for in threads.
    """

    async def ended(scope: Scope, receive: Receive, send: Send) -> None:
        has_ended = False

        async def last(message: Message) -> None:
            nonlocal has_ended
            if message["type"] in _ENDED:  # a server that has it may end the event loop at once
                for feature in features:
                    if feature.flush:
                        await in_thread(feature.flush, "sidelight-flush")
                    if feature.end:
                        feature.end()
                has_ended = True
            await send(message)

        try:
            await app(scope, receive, last)
        finally:
            if not has_ended:  # it failed, or was cancelled
                end(features)

    return ended


def end(features: Sequence[Feature]) -> None:
    """End the features, and wait for what they write."""
    for feature in features:
        for step in (feature.flush, feature.end):
            if step:
                step()


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
