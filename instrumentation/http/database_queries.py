"""Gives each request a tally of its queries, and counts them when it has ended."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from instrumentation.databases.requests import Tally, current

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from instrumentation.asgi import ASGIApp, Receive, Scope, Send
    from instrumentation.databases.queries import DatabaseMetrics
    from instrumentation.http.middleware import Key, Listener

TALLY = "sidelight.queries"
"""The key in a scope of the request's tally."""


def tallying(app: ASGIApp, metrics: DatabaseMetrics) -> ASGIApp:
    """An ASGI app whose requests have a tally, if any database is observed.

    Args:
        app: The app within.
        metrics: What the databases have in common.
    """

    def tallied(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:  # a coroutine would cost
        if metrics.is_used and scope["type"] == "http" and TALLY not in scope:
            scope[TALLY] = tally = Tally(asyncio.current_task() if metrics.is_late else None)
            current.set(tally)
        return app(scope, receive, send)

    tallied.app = app  # type: ignore[attr-defined]  # frameworks look through a stack by this name
    return tallied


def counting_queries(metrics: DatabaseMetrics) -> Listener:
    """A listener that counts the queries of each request.

    Args:
        metrics: What the databases have in common.
    """

    def listener(scope: Scope, key: Key, seconds: float) -> None:
        del seconds
        tally = scope.get(TALLY)
        if tally is None:
            return
        if metrics.is_late:  # the queries of asyncpg arrive in later turns of the event loop, in order
            asyncio.get_running_loop().call_soon(metrics.count, tally, key[0], key[1])
        elif tally.counts:
            metrics.count(tally, key[0], key[1])

    return listener
