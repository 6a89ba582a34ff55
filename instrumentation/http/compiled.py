"""Which of the two request paths is taken, and what servers see of it."""

from __future__ import annotations

from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any

from instrumentation import speedups
from instrumentation.http import middleware

if TYPE_CHECKING:
    from collections.abc import Callable

    from instrumentation.http.middleware import ASGIApp, Receive, Scope, Send


def fastest() -> Callable[..., ASGIApp]:
    """``measuring``, compiled where that is installed and fits; else of Python."""
    return getattr(speedups.module(), "measuring", middleware.measuring)


def as_function(measured: ASGIApp) -> ASGIApp:
    """A coroutine function: servers take any other callable for an app of ASGI 2."""
    if iscoroutinefunction(measured):
        return measured

    async def sidelight(scope: Scope, receive: Receive, send: Send) -> None:
        await measured(scope, receive, send)

    within: Any = measured
    sidelight.app = within.app  # type: ignore[attr-defined]  # frameworks look through a stack by this name
    return sidelight
