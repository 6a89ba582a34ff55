"""The correlation id of a request: taken from its headers or made, bound while it is answered, and answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from instrumentation.correlation import HEADER, ID, SPAN, _current, current_span, new_correlation_id, usable

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from instrumentation.asgi import ASGIApp, Message, Receive, Scope, Send

_ANSWERED = HEADER.encode()
_NAMES = frozenset((_ANSWERED, b"x-request-id"))


def correlating(app: ASGIApp) -> ASGIApp:
    """An ASGI app whose requests have a correlation id: in the context, in their scope and in the response.

    It stands outside of what answers unhandled exceptions, so that a 500 has it too. A header that the app sets itself
    stays. In an app that is mounted in one that correlates already it does nothing.

    Args:
        app: The app within.
    """

    async def correlated(scope: Scope, receive: Receive, send: Send) -> None:
        if ID in scope or scope["type"] not in _KINDS:
            return await app(scope, receive, send)
        scope[ID] = current = _taken(scope)

        def answering(message: Message) -> Awaitable[None]:  # a coroutine for every chunk of a stream would cost
            try:
                if message["type"] in _STARTS:
                    scope[SPAN] = current_span()
                    message = _with_header(message, (_ANSWERED, current.encode()))
            except Exception:  # noqa: BLE001, S110 - a message without a type is the server's to refuse
                pass
            return send(message)

        outer = _current.get()
        _current.set(current)
        try:
            await app(scope, receive, answering)
        except BaseException:
            if outer:  # else the server logs the exception next, and that line needs the id; the task then ends
                _current.set(outer)
            raise
        _current.set(outer)
        return None

    correlated.app = app  # type: ignore[attr-defined]  # frameworks look through a stack by this name
    return correlated


_KINDS = frozenset(("http", "websocket"))
_STARTS = frozenset(("http.response.start", "websocket.accept", "websocket.http.response.start"))


def _with_header(message: Message, answered: tuple[bytes, bytes]) -> Message:
    """A message with the id; as it is where the app has given one."""
    headers = [*(message.get("headers") or ())]  # an iterator gives them only once; the app may use its list again
    for name, _ in headers:
        if name == _ANSWERED:
            break
    else:
        headers.append(answered)
    return {**message, "headers": headers}


def _taken(scope: Scope) -> str:
    """The id that came with a request, if there is a usable one; otherwise a new one."""
    try:
        for name, _ in scope["headers"]:
            if name in _NAMES:
                return _chosen([header for header in scope["headers"] if header[0] in _NAMES])
    except Exception:  # noqa: BLE001, S110 - a scope of another kind is the app's to refuse
        pass
    return new_correlation_id()


def _chosen(given: list[tuple[bytes, bytes]]) -> str:
    ids = [value for name, value in given if name == _ANSWERED] or [value for _, value in given]
    is_clear = len(ids) == 1 and usable(ids[0])  # of several, which would be the right one?
    return ids[0].decode() if is_clear else new_correlation_id()
