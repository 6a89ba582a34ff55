"""Which of the two request paths is taken: the compiled one where ``sidelight[speedups]`` is installed."""

from __future__ import annotations

import logging
from functools import cache
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any

from instrumentation.http import middleware

if TYPE_CHECKING:
    from collections.abc import Callable

    from instrumentation.http.middleware import ASGIApp, Receive, Scope, Send

REVISION = 1
"""What this package and the compiled module expect of each other; the same number stands in ``speedups``."""

_log = logging.getLogger("instrumentation")


@cache
def fastest() -> Callable[..., ASGIApp]:
    """``measuring``, compiled where that is installed and fits; else of Python."""
    try:
        import _sidelight_speedups as compiled  # noqa: PLC0415 - it may not be there
    except ModuleNotFoundError:
        return middleware.measuring
    except ImportError as error:
        return _slower(f"cannot be loaded ({error})")
    if compiled.REVISION != REVISION:
        return _slower(f"has revision {compiled.REVISION} where {REVISION} is needed")
    return compiled.measuring


def _slower(why: str) -> Callable[..., ASGIApp]:
    _log.warning("sidelight-speedups %s; requests are counted without it. Install sidelight[speedups] anew.", why)
    return middleware.measuring


def as_function(measured: ASGIApp) -> ASGIApp:
    """A coroutine function: servers take any other callable for an app of ASGI 2."""
    if iscoroutinefunction(measured):
        return measured

    async def sidelight(scope: Scope, receive: Receive, send: Send) -> None:
        await measured(scope, receive, send)

    within: Any = measured
    sidelight.app = within.app  # type: ignore[attr-defined]  # frameworks look through a stack by this name
    return sidelight
