"""Collects the values that a request binds to structlog's context, including those bound in dependencies, threads and tasks."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from structlog import contextvars

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from instrumentation.asgi import ASGIApp, Receive, Scope, Send

BOUND = "sidelight.bound"
"""The key in a request's scope under which the bound names and values are."""

_bound: ContextVar[dict[str, Any] | None] = ContextVar("sidelight_bound", default=None)


def noting(app: ASGIApp) -> ASGIApp:
    """An ASGI app that collects, in the scope of each request, what the request binds.

    Threads and tasks run in a copy of the context, so what they bind is not in the context of the request. But all copies
    share this dict.

    Args:
        app: The app to wrap.
    """
    _watch()

    def noted(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:  # a coroutine would be slower
        if BOUND not in scope:  # otherwise the app is mounted in one that collects already
            bound: dict[str, Any] = {}
            scope[BOUND] = bound
            _bound.set(bound)
        return app(scope, receive, send)

    noted.app = app  # type: ignore[attr-defined]  # frameworks look through a stack by this name
    return noted


def _watch() -> None:
    # structlog has no hook, and bind_contextvars may already be imported. So the variables in its table are replaced by
    # variables that record their values.
    table: dict[str, Any] = contextvars._CONTEXT_VARS  # noqa: SLF001 - as above
    if not isinstance(table, _Variables):
        contextvars._CONTEXT_VARS = _Variables(table)  # noqa: SLF001 - as above


class _Variables(dict[str, Any]):
    """structlog's variables, by their prefixed names."""

    def __init__(self, known: dict[str, ContextVar[Any]]) -> None:
        super().__init__({name: _Noting(variable) for name, variable in known.items()})

    def __missing__(self, name: str) -> _Noting:
        self[name] = variable = _Noting(ContextVar(name, default=...))
        return variable


class _Noting:
    """A context variable that also records its values for the current request."""

    def __init__(self, variable: ContextVar[Any]) -> None:
        self._variable = variable
        self._key = variable.name.removeprefix(contextvars.STRUCTLOG_KEY_PREFIX)

    def set(self, value: Any) -> Any:
        token = self._variable.set(value)
        self._note(value)
        return token

    def reset(self, token: Any) -> None:
        self._variable.reset(token)
        self._note(self._variable.get())

    def _note(self, value: Any) -> None:
        bound = _bound.get()
        if bound is None:
            return
        if value is ...:
            bound.pop(self._key, None)
        else:
            bound[self._key] = value
