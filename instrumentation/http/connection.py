"""Finds the server behind the functions that an ASGI app gets, and asks it whether the client has left.

Only the server knows it. An outer layer, such as FastAPI's own telemetry, passes functions that wrap those of the
server, so the server is looked for in what these functions refer to.
"""

from __future__ import annotations

from functools import partial
from types import BuiltinMethodType, FunctionType, MethodType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from instrumentation.asgi import Receive, Send

_MOST = 32
"""How many functions are looked at for one request; more layers than this are not expected."""
_NAMES = ("send", "receive")


def server_method(send: Send, receive: Receive) -> Any:
    """The server's own ``send`` or ``receive``, looked for in layers that wrap both; None if it is not found.

    Its object tells whether the client has left: by ``disconnected`` (uvicorn) or by ``closed`` (hypercorn). A builtin method is
    granian's, which tells nothing.
    """
    try:
        if _is_server(send):
            return send
        waiting: list[Any] = [send, receive]
        for function in waiting:
            if _is_server(function):
                return function
            if len(waiting) < _MOST:
                waiting += [one for one in _wrapped(function) if all(one is not known for known in waiting)]
    except Exception:  # noqa: BLE001 - an attribute of a foreign object may raise anything
        return None
    return None


def client_has_left(server: Any) -> bool | None:
    """Whether a server knows that nobody receives the response; None if it does not say.

    uvicorn knows it, and drops what is sent. So does hypercorn, whose streams are also closed by the end of a response.

    Args:
        server: The object of ``server_method``.
    """
    has_left = getattr(server, "disconnected", None)
    return getattr(server, "closed", None) if has_left is None else has_left


def _is_server(function: Any) -> bool:
    kind = type(function)
    return kind is BuiltinMethodType or (kind is MethodType and type(client_has_left(function.__self__)) is bool)


def _wrapped(function: Any) -> Iterator[Any]:
    """What a function, a bound method, a partial or a callable object refers to under a name of ``send`` or ``receive``."""
    if isinstance(function, partial):
        yield function.func
        yield from (one for one in function.args if callable(one))
        yield from _named(function.keywords)
        return
    if isinstance(function, MethodType):
        yield from _attributes(function.__self__)
        function = function.__func__
    if isinstance(function, FunctionType):
        cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
        yield from _named({name: cell.cell_contents for name, cell in cells if _is_named(name)})
    else:
        yield from _attributes(function)


def _attributes(owner: Any) -> Iterator[Any]:
    slots = (name for kind in type(owner).__mro__ for name in vars(kind).get("__slots__", ()) if _is_named(name))
    yield from _named({name: getattr(owner, name, None) for name in slots})
    yield from _named(getattr(owner, "__dict__", {}))


def _named(values: dict[str, Any]) -> Iterator[Any]:
    return (value for name, value in values.items() if _is_named(name) and callable(value))


def _is_named(name: str) -> bool:
    return any(part in name for part in _NAMES)
