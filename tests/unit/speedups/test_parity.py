"""Both layers pass on the same messages and count the same, whatever app, server and event loop do."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.speedups.layers import Layer, pause, scope

STATUSES = st.sampled_from([200, 204, 304, 404, 499, 500, 503, 599, 0, True, 200.0, 204.0, 10**30, None, []])
LENGTHS = st.sampled_from([b"0", b"1", b"3", b"3", b"-1", b" 3", b"1_0", b"one", b"", b"9" * 18, b"9" * 30, "3", None])
HEADERS = st.one_of(
    st.sampled_from(
        [[(b"content-type", b"text/event-stream; charset=utf-8")], ((b"Content-Type", b"application/jsonl"),)]
    ),
    st.sampled_from([None, (), [], 7, [7], ["ab"], [(b"x",)], [(b"x", b"y", b"z")], [[b"content-length", b"1"]]]),
    st.builds(
        lambda name, length, made: made([(b"content-typo!!", b"x"), (name, length), (b"content-length", b"7")]),
        st.sampled_from([b"content-length", b"Content-Length", bytearray(b"content-length"), "content-length", b"x"]),
        LENGTHS,
        st.sampled_from([list, tuple]),
    ),
)
BODIES = st.sampled_from(
    [{}, *({"body": body} for body in (b"", b"a", b": ping", b"ab", bytearray(b"ab"), memoryview(b"abc"), "a", None))]
)
FLAGS = st.sampled_from([{}, {"more_body": True}, {"more_body": False}, {"more_body": 1}, {"more_body": []}])
MESSAGES = st.one_of(
    st.builds(
        lambda status, headers, trailers: {
            "type": "http.response.start",
            "status": status,
            "headers": headers,
            **trailers,
        },
        STATUSES,
        HEADERS,
        st.sampled_from([{}, {}, {"trailers": True}, {"trailers": False}]),
    ),
    st.builds(lambda flags, body: {"type": "http.response.body", **flags, **body}, FLAGS, BODIES),
    st.builds(lambda flags: {"type": "http.response.zerocopysend", **flags}, FLAGS),
    st.sampled_from([
        {"type": "http.response.trailers"},
        {"type": "http.response.trailers", "more_trailers": True},
        {"type": "http.response.pathsend", "path": "/x"},
        {"type": "http.response.early_hint"},
        {"type": b"http.response.start"},
        {},
    ]),
)  # fmt: skip
ERRORS = st.sampled_from([ValueError, asyncio.CancelledError, KeyboardInterrupt, GeneratorExit])
ACTIONS = st.one_of(
    st.tuples(st.just("send"), MESSAGES),
    st.tuples(st.just("send"), MESSAGES),
    st.tuples(st.just("receive"), st.none()),
    st.tuples(st.just("pause"), st.none()),
    st.tuples(st.just("insist"), st.none()),
    st.tuples(st.just("raise"), ERRORS),
    st.tuples(st.sampled_from(["route", "endpoint"]), st.sampled_from(["/health", "/items/{item}", "/items/events"])),
)
DRIVES = st.lists(st.one_of(st.just(("send", None)), st.just(("send", None)), st.tuples(st.just("throw"), ERRORS)))
SCOPES = st.fixed_dictionaries(
    {
        "method": st.sampled_from(["GET", "POST", "HEAD", "BREW"]),
        "path": st.sampled_from(["/", "/metrics", "/api/metrics", "/aside", "/items/events"]),
    },
    optional={
        "root_path": st.sampled_from(["", "/api"]),
        "fastapi": st.sampled_from([None, {}, {"effective_route_context": None}]),
        "type": st.sampled_from(["websocket", "lifespan"]),
        "sidelight": st.none(),
    },
)


class Chosen:
    """What a router leaves in a scope."""

    def __init__(self, path: str) -> None:
        self.path_format = path


@dataclass(repr=False)
class Server:
    """The server: it suspends, throws errors, refuses messages or reports a disconnect, as configured."""

    suspends: bool
    takes: bool
    refuses: int
    disconnects: int
    disconnected: bool | None
    closed: bool | None
    is_wrapped: bool
    trace: list[Any] = field(default_factory=list)
    sent: int = 0
    asked: int = 0

    def __repr__(self) -> str:
        return "the server"

    async def send(self, message: Any) -> None:
        self.sent += 1
        await self._pause(f"send {self.sent}")
        if self.sent == self.refuses:
            raise OSError("refused")
        self.trace.append(message)

    async def receive(self) -> Any:
        self.asked += 1
        await self._pause(f"receive {self.asked}")
        return {"type": "http.disconnect" if self.asked >= self.disconnects else "http.request"}

    def functions(self) -> tuple[Any, Any]:
        """What the app gets: the methods, or functions of a layer outside that wrap them."""
        receive, send = self.receive, self.send
        if not self.is_wrapped:
            return receive, send

        async def received() -> Any:
            return await receive()

        async def sending(message: Any) -> None:
            await send(message)

        return received, sending

    async def _pause(self, name: str) -> None:
        with suppress(ValueError if self.takes else ()):
            if self.suspends:
                await pause(name)


KNOWS = st.sampled_from([True, False, False, None])
SERVERS = st.tuples(st.booleans(), st.booleans(), st.integers(0, 5), st.integers(1, 4), KNOWS, KNOWS, st.booleans())


@dataclass
class App:
    """An app that follows a script and records what it receives."""

    actions: list[Any]
    trace: list[Any]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.trace.append({**scope, "sidelight": str(scope.get("sidelight"))})
        for name, value in self.actions:
            if name in {"route", "endpoint"}:
                scope[name] = Chosen(value)
            elif name == "raise":
                raise value("app")
            elif name == "insist":
                await self._insist()
            else:
                await self._await(send(value) if name == "send" else receive() if name == "receive" else pause("app"))

    async def _insist(self) -> None:
        try:
            await pause("first")
        except BaseException as error:  # noqa: BLE001 - an app may take even what closes it
            self.trace.append(repr(error))
            await pause("second")

    async def _await(self, awaitable: Any) -> None:
        try:
            self.trace.append(await awaitable)
        except Exception as error:  # noqa: BLE001 - what the app sees is compared
            self.trace.append(repr(error))


def outcome(kind: str, actions: list[Any], drives: list[Any], asked: dict[str, Any], told: Any) -> Any:
    """Everything that can be seen of one request from outside and from within."""
    server = Server(*told)
    trace = server.trace

    def heard(scope: Any, key: Any, seconds: float) -> None:
        trace.append((scope["path"], key, seconds >= 0))

    layer = Layer(kind, App(actions, trace), listeners=(heard,))
    running = layer.app(scope(**asked), *server.functions())
    steps = [("send", None), *drives]
    try:
        for name, error in steps:
            given = "x" if name == "send" and trace else None
            trace.append(running.send(given) if name == "send" else running.throw(error("driver")))
    except BaseException as error:  # noqa: BLE001 - how it ends is compared
        trace.append(("ended", repr(error), repr(error.__context__), repr(error.__cause__)))
    try:
        running.close()
    except RuntimeError as error:
        trace.append(("closed", repr(error), repr(error.__context__)))
    return trace, layer.counted(), layer.active(), layer.streams()


@settings(max_examples=400, deadline=None)
@given(actions=st.lists(ACTIONS, max_size=9), drives=DRIVES, asked=SCOPES, told=SERVERS)
def test_both_layers_do_the_same(actions: list[Any], drives: list[Any], asked: dict[str, Any], told: Any) -> None:
    python, compiled = (outcome(kind, actions, drives, asked, told) for kind in ("python", "compiled"))
    assert compiled == python
