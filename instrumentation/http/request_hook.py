"""The service's own hook, called with each request that was counted."""

from __future__ import annotations

import logging
from collections.abc import Callable
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from instrumentation.asgi import Scope  # noqa: TC001 - for typing.get_type_hints
from instrumentation.errors import InstrumentationError
from instrumentation.log_once import LogOnce

if TYPE_CHECKING:
    from instrumentation.http.middleware import Key, Listener


class FinishedRequest(NamedTuple):
    """A request that has been answered and counted.

    Attributes:
        method: The method, ``_OTHER`` for an unknown one.
        route: The route template, ``""`` if no route matched.
        status: The status that was sent; 499 if the client left before.
        error_type: As in the metric: ``""`` for a request that is not an error.
        seconds: From the first byte of the request to the end of the response, also for a stream.
        scope: The ASGI scope, as the app left it.
    """

    method: str
    route: str
    status: int
    error_type: str
    seconds: float
    scope: Scope


Hook: TypeAlias = Callable[[FinishedRequest], object]


def calling(hook: Hook) -> Listener:
    """A listener that calls a hook; what the hook raises is logged once and changes nothing for the request.

    Args:
        hook: A plain function. It runs in the event loop after the app has returned, so it must be fast.

    Raises:
        InstrumentationError: ``request_hook_invalid``.
    """
    if not callable(hook) or iscoroutinefunction(hook) or iscoroutinefunction(type(hook).__call__):
        given = "an async function" if callable(hook) else type(hook).__name__
        raise InstrumentationError(
            f"on_request: got {given}; give a plain function of a FinishedRequest.", code="request_hook_invalid"
        )
    log_once = LogOnce()

    def listener(scope: Scope, key: Key, seconds: float) -> None:
        method, route, status, error_type = key
        try:
            hook(FinishedRequest(method, route, int(status), error_type, seconds, scope))
        except Exception as error:  # noqa: BLE001 - an error in the hook must not fail the request
            text = "on_request failed; the service continues, and later failures are not logged"
            log_once(text, level=logging.ERROR, error=error)

    return listener
