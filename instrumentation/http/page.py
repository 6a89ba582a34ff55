"""The page Prometheus reads, as an ASGI app."""

from __future__ import annotations

from typing import TYPE_CHECKING

from instrumentation.exposition import render

if TYPE_CHECKING:
    from prometheus_client.registry import CollectorRegistry

    from instrumentation.http.middleware import ASGIApp, Receive, Scope, Send
    from instrumentation.settings import Settings
    from instrumentation.store import Store


def metrics_page(store: Store, registry: CollectorRegistry, settings: Settings) -> ASGIApp:
    """An ASGI app that answers with the page."""
    del store, settings

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        del receive
        accept = b",".join(value for name, value in scope["headers"] if name == b"accept")
        made = render(accept.decode("latin-1"), registry)
        headers = [
            (b"content-type", made.content_type.encode("latin-1")),
            (b"content-length", str(len(made.body)).encode("ascii")),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else made.body})

    return page
