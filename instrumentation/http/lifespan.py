"""The lifespan of an app: stops what was started with it, and answers the protocol for apps without one, such as Django's."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from instrumentation.asgi import ASGIApp, Message, Receive, Scope, Send
    from instrumentation.http.lifecycle import Lifecycle

_STARTUP, _SHUTDOWN = "lifespan.startup", "lifespan.shutdown"
_STARTED = f"{_STARTUP}.complete"
_ENDED = frozenset(("lifespan.shutdown.complete", "lifespan.shutdown.failed"))


def ending(app: ASGIApp, lifecycle: Lifecycle) -> ASGIApp:
    """An ASGI app whose server waits, once the app has shut down, until everything has stopped.

    Args:
        app: The app within.
        lifecycle: What serves and stops.
    """

    async def ended(scope: Scope, receive: Receive, send: Send) -> None:
        has_ended = False

        async def last(message: Message) -> None:
            nonlocal has_ended
            if message["type"] in _ENDED:  # a server that has it may end the event loop at once
                await lifecycle.stop_in_threads()
                has_ended = True
            await send(message)
            if message["type"] == _STARTED:
                lifecycle.serve_soon()

        try:
            await app(scope, receive, last)
        finally:
            if not has_ended:  # it failed, or was cancelled
                lifecycle.stop()

    return ended


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
