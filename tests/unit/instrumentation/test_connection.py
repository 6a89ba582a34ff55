"""The server is found behind the functions of layers outside of Sidelight, however they wrap what they got."""

from __future__ import annotations

import asyncio
import io
from collections import deque
from functools import partial, wraps
from typing import TYPE_CHECKING, Any

import pytest
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request

from instrumentation.http.connection import client_has_left, server_method
from tests.unit.speedups.layers import Layer, scope

if TYPE_CHECKING:
    from collections.abc import Callable


class Uvicorn:
    """Knows whether its client has left, as uvicorn's request cycle does."""

    def __init__(self, *, disconnected: bool = False) -> None:
        self.disconnected = disconnected
        self.sent: list[Any] = []

    async def receive(self) -> Any:
        return {"type": "http.request"}

    async def send(self, message: Any) -> None:
        self.sent.append(message)


class Hypercorn:
    """Knows it by the state of its stream."""

    closed = True

    async def app_send(self, message: Any) -> None: ...


class Sender:
    """A callable object around another, as some tracers have it."""

    def __init__(self, wrapped_send: Any) -> None:
        self._wrapped_send = wrapped_send

    async def __call__(self, message: Any) -> None:
        await self._wrapped_send(message)


class Slotted:
    """The same in slots."""

    __slots__ = ("send",)

    def __init__(self, send: Any) -> None:
        self.send = send

    async def respond(self, message: Any) -> None:
        await self.send(message)


def closure(send: Any) -> Any:
    async def sending(message: Any) -> None:
        await send(message)

    return sending


def decorated(send: Any) -> Any:
    original_send = send

    @wraps(send)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        return await original_send(*args, **kwargs)

    return wrapper


async def _with_headers(message: Any, send: Any, headers: Any) -> None:
    await send({**message, "headers": headers})


WRAPPERS: dict[str, Callable[[Any], Any]] = {
    "nothing": lambda send: send,
    "a closure": closure,
    "a decorator": decorated,
    "a partial with keywords": lambda send: partial(_with_headers, send=send, headers=[]),
    "a partial with arguments": lambda send: partial(lambda send, message: send(message), send),
    "a callable object": Sender,
    "a method of an object": lambda send: Sender(send).__call__,
    "a method of an object with slots": lambda send: Slotted(send).respond,
    "several layers": lambda send: closure(
        Sender(partial(_with_headers, send=Slotted(closure(send)).respond, headers=[]))
    ),
}


@pytest.mark.parametrize("wrapper", WRAPPERS.values(), ids=WRAPPERS)
def test_a_wrapped_send_leads_to_the_server(wrapper: Callable[[Any], Any]) -> None:
    for server in (Uvicorn(), Uvicorn(disconnected=True)):
        found = server_method(wrapper(server.send), closure(None))
        assert found.__self__ is server
        assert client_has_left(found.__self__) is server.disconnected
    assert client_has_left(server_method(wrapper(Hypercorn().app_send), closure(None)).__self__) is True


def test_where_send_leads_nowhere_receive_is_asked() -> None:
    server = Uvicorn()
    request = Request({"type": "http"}, server.receive)
    for receive in (server.receive, decorated(server.receive), Sender(server.receive), request.stream):
        assert server_method(Sender(None), receive).__self__ is server


def test_a_wrapped_builtin_method_is_found_since_granian_holds_the_start_of_a_response() -> None:
    held = deque[Any]().append
    assert server_method(closure(held), closure(None)) is held


def test_unrelated_objects_that_can_be_closed_are_not_taken_for_the_server() -> None:
    log = io.StringIO()

    def writing(send: Any) -> Any:
        async def sending(message: Any) -> None:
            log.write(str(message))
            await send(message)

        return sending

    assert server_method(writing(closure(None)), closure(None)) is None


def test_functions_that_refer_to_each_other_end_the_search() -> None:
    first, second = Sender(None), Sender(None)
    first._wrapped_send, second._wrapped_send = second, first
    assert server_method(first, second) is None


class Hostile:
    """Raises an error for every attribute."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)


def test_an_object_that_raises_is_no_server() -> None:
    assert server_method(closure(Hostile()), closure(None)) is None


@pytest.mark.parametrize("wrapper", WRAPPERS.values(), ids=WRAPPERS)
@pytest.mark.parametrize("middleware", [None, GZipMiddleware, partial(CORSMiddleware, allow_origins=["*"])])
@pytest.mark.parametrize("kind", ["python", "compiled"])
def test_a_client_that_left_early_is_counted_as_499_within_any_layers(
    kind: str, middleware: Any, wrapper: Callable[[Any], Any]
) -> None:
    server = Uvicorn()

    async def app(called: Any, _: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
        server.disconnected = called["path"] == "/left"
        await send({"type": "http.response.body", "body": b"done"})

    layer = Layer(kind, app)
    outer = layer.app if middleware is None else middleware(layer.app)
    headers = [(b"accept-encoding", b"gzip"), (b"origin", b"http://shop.example")]
    for path in ("/left", "/stayed"):
        server.disconnected = False
        asyncio.run(outer(scope(path=path, headers=headers), wrapper(server.receive), wrapper(server.send)))
    assert sorted(status for _, _, status, _ in layer.counted()) == ["200", "499"]
