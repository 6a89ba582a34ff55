"""A hundred thousand requests of every kind leave memory and reference counts unchanged."""

from __future__ import annotations

import asyncio
import gc
import sys
import weakref
from array import array
from collections import UserDict
from contextlib import suppress
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from instrumentation.catalog import HTTP_SERVER_REQUEST_DURATION
from tests.unit.speedups.layers import END, GONE, MORE, START, Layer, answering, finish, pause, receive, scope, send

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.serial  # what other tests leave running would be counted as memory

MANY = 100_000
WARM = 100
ROUNDS = 3
FEW = 0.1  # of what one block of memory for each request would be: the interpreter's own caches come and go


async def slow(message: Any = None) -> Any:
    await pause()
    return message or GONE


def whole(ask: Callable[..., Any]) -> None:
    finish(ask(scope(), receive, send))


def cancelled(ask: Callable[..., Any]) -> None:
    running = ask(scope(), slow, send)
    running.send(None)
    with suppress(asyncio.CancelledError):
        running.throw(asyncio.CancelledError())


def closed(ask: Callable[..., Any]) -> None:
    running = ask(scope(), receive, slow)
    running.send(None)
    running.close()


def dropped(ask: Callable[..., Any]) -> None:
    ask(scope(), receive, slow).send(None)


def never_begun(ask: Callable[..., Any]) -> None:
    ask(scope(), receive, send).close()


def thrown_into_before_it_began(ask: Callable[..., Any]) -> None:
    with suppress(ValueError):
        ask(scope(), receive, send).throw(ValueError())


def refused(ask: Callable[..., Any]) -> None:
    with suppress(ValueError):
        finish(ask(scope(), receive, refusing))


def to_the_end_in_steps(ask: Callable[..., Any]) -> None:
    running = ask(scope(), slow, slow)
    with suppress(StopIteration):
        while True:
            running.send(None)


def other_awaitables(ask: Callable[..., Any]) -> None:
    finish(ask(scope(), lambda: Other(receive()), lambda message: Other(send(message))))


def another_kind_of_scope(ask: Callable[..., Any]) -> None:
    finish(ask(UserDict(scope()), receive, send))


def without_a_path(ask: Callable[..., Any]) -> None:
    asked = scope()
    del asked["path"]
    with suppress(KeyError):
        finish(ask(asked, receive, send))


def what_is_no_message(ask: Callable[..., Any]) -> None:
    with suppress(TypeError):
        finish(ask(scope(type="none"), receive, send))


async def refusing(message: Any) -> None:
    raise ValueError(message["type"])


class Other:
    """Something with ``__await__``."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __await__(self) -> Any:
        return self._inner.__await__()


async def streaming(asked: Any, receive: Any, send: Any) -> None:
    """Also accepts scopes that are not requests, and sends values that are not messages."""
    if asked["type"] == "none":
        await send(None)
    await receive()
    await send(START)
    await send(MORE)
    await send(END)


async def failing(asked: Any, receive: Any, send: Any) -> None:
    await answering(asked, receive, send)
    raise ValueError(asked["path"])


class Chosen:
    """A route, and the context that FastAPI leaves with it."""

    path_format = "/items/{item}"

    def __init__(self) -> None:
        self.original_route = self


CHOSEN = Chosen()
NESTED = {"effective_route_context": CHOSEN}


async def nested(asked: Any, receive: Any, send: Any) -> None:
    asked["route"] = CHOSEN
    asked["fastapi"] = NESTED
    await answering(asked, receive, send)


async def patient(asked: Any, receive: Any, send: Any) -> str:
    """Catches exceptions that are thrown in, and continues."""
    del asked, receive, send
    with suppress(ValueError):
        await pause()
    return "the end"


async def events(scope: Any, _: Any, send: Any) -> None:
    scope["route"] = CHOSEN
    await send({**START, "headers": [(b"content-type", b"text/event-stream")]})
    await send(MORE)
    await send(END)


def taken(ask: Callable[..., Any]) -> None:
    running = ask(scope(), receive, send)
    running.send(None)
    with suppress(StopIteration):
        running.throw(ValueError())


def failed(ask: Callable[..., Any]) -> None:
    with suppress(ValueError):
        finish(ask(scope(), receive, send))


def failed_while_another_was_handled(ask: Callable[..., Any]) -> None:
    try:
        raise LookupError  # noqa: TRY301 - it is what is being handled
    except LookupError:
        failed(ask)


def interrupted(ask: Callable[..., Any]) -> None:
    with suppress(KeyboardInterrupt):
        finish(ask(scope(), receive, send))


def interrupting_listener(asked: Any, key: Any, seconds: float) -> None:
    raise KeyboardInterrupt(asked, key, seconds)


def broken_listener(asked: Any, key: Any, seconds: float) -> None:
    raise ValueError(asked, key, seconds)


CASES: dict[str, tuple[Callable[..., None], Any, tuple[Any, ...]]] = {
    **{
        case.__name__: (case, streaming, ())
        for case in (
            whole, cancelled, closed, dropped, never_begun, thrown_into_before_it_began, refused, to_the_end_in_steps,
            other_awaitables, another_kind_of_scope, without_a_path, what_is_no_message,
        )
    },
    "an exception that the app takes": (taken, patient, ()),
    "a nested route": (whole, nested, ()),
    "a stream": (whole, events, ()),
    "a stream that is dropped": (dropped, events, ()),
    "an app that fails": (failed, failing, ()),
    "an app that fails while another exception is handled": (failed_while_another_was_handled, failing, ()),
    "an interrupt while an app that fails is counted": (interrupted, failing, (interrupting_listener,)),
    "a listener": (whole, answering, (lambda *_: None,)),
    "a listener that fails": (whole, answering, (broken_listener,)),
    "a listener that fails after an app that fails": (failed, failing, (broken_listener,)),
}  # fmt: skip


@pytest.mark.parametrize(("case", "app", "listeners"), CASES.values(), ids=CASES)
def test_memory_and_reference_counts_stay(case: Callable[..., None], app: Any, listeners: tuple[Any, ...]) -> None:
    layer = Layer("compiled", app, listeners=listeners)
    for number in range(100):  # so that the slot numbers are not small integers, which Python caches
        layer.store.place(HTTP_SERVER_REQUEST_DURATION, ("GET", f"/{number}", "200", ""))
    everything = (app, receive, send, layer.app, layer.recorder, layer.routes, CHOSEN, NESTED)
    everything += (*scope().values(), *START.values(), *MORE.values(), *END.values(), "sidelight", 499, 500)

    def measured() -> tuple[int, int, array[int]]:
        gc.collect()
        (shard,) = layer.recorder.shards.values() or (None,)
        places = (
            (shard, shard.active, shard.durations, *shard.active.values(), *shard.durations.values()) if shard else ()
        )
        every = (*everything, *places, *layer.routes.by_id.values())
        known = array("q", map(sys.getrefcount, every))  # a list would hold small numbers, which are in `every` too
        return sys.getallocatedblocks(), len(gc.get_objects()), known

    for _ in range(WARM):
        case(layer.app)
    requests = MANY // len(CASES)
    measures = [measured()]
    for _ in range(ROUNDS):
        for _ in range(requests // ROUNDS):
            case(layer.app)
        measures.append(measured())
    blocks, objects, references = zip(*measures, strict=True)
    assert least_growth(blocks) < FEW * requests / ROUNDS  # what leaks does so in every round
    assert least_growth(objects) < FEW * requests / ROUNDS
    assert [after - before for before, after in zip(references[0], references[-1], strict=True) if after > before] == []


def least_growth(measures: tuple[int, ...]) -> int:
    return min(after - before for before, after in pairwise(measures))


def test_a_request_that_ended_holds_nothing() -> None:
    gone: list[weakref.ref[Any]] = []

    class Scope(dict[str, Any]):
        """A dict that can be referred to weakly."""

    class Message(dict[str, Any]):
        """The same for a message."""

    async def app(asked: Any, receive: Any, send: Any) -> None:
        message = Message(START)
        gone.append(weakref.ref(message))
        await send(message)
        await answering(asked, receive, send)

    layer = Layer("compiled", app)
    gc.disable()
    try:
        state = Scope()
        asked = scope(state=state)
        gone.append(weakref.ref(state))
        running = layer.app(asked, receive, send)
        finish(running)
        del asked, state, running
        assert [one() for one in gone] == [None, None]
    finally:
        gc.enable()


def test_an_app_that_holds_its_layer_is_collected() -> None:
    class App:
        """An app as frameworks make them: it holds the stack that holds it."""

        def __init__(self) -> None:
            self.stack = Layer("compiled", self, listeners=(self.heard,)).app

        async def __call__(self, asked: Any, receive: Any, send: Any) -> None:
            self.asked = asked
            asked["send"], asked["receive"], asked["running"] = send, receive, self.running
            await answering(asked, receive, send)
            await pause()

        def heard(self, *_: Any) -> None:
            """Listen."""

    app = App()
    app.running = app.stack(scope(app=app), receive, send)
    app.running.send(None)
    gone = weakref.ref(app)
    del app
    gc.collect()
    assert gone() is None
