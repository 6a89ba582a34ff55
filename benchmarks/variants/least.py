"""The minimum overhead of a middleware that sees every message: one closure and one plain function."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.variants import Installed
from benchmarks.variants.bare import no_page

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping
    from typing import Any

    from fastapi import FastAPI

    from benchmarks.asgi import App, Message, Receive, Send


def passing(app: App) -> App:
    """Pass everything on."""

    async def outer(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        def watched(message: Message) -> Awaitable[None]:
            return send(message)

        await app(scope, receive, watched)

    return outer


def install(build: Callable[..., FastAPI]) -> Installed:
    """Wrap the service in the function."""
    return Installed(passing(build()), no_page)
