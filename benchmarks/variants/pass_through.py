"""A typical middleware: it sees every message, does nothing, and needs a coroutine for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.variants import Installed
from benchmarks.variants.bare import no_page

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping
    from typing import Any

    from fastapi import FastAPI

    from benchmarks.asgi import App, Message, Receive, Send


class PassThrough:
    """Passes everything on.

    Args:
        app: The wrapped app.
    """

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer a request."""

        async def watched(message: Message) -> None:
            await send(message)

        await self._app(scope, receive, watched)


def install(build: Callable[..., FastAPI]) -> Installed:
    """Wrap the service in the middleware."""
    return Installed(PassThrough(build()), no_page)
