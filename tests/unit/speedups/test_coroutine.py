"""The object that the compiled layer returns behaves like a coroutine, at every moment of its life."""

from __future__ import annotations

import asyncio
import gc
import inspect
import sys
import traceback
import types
from collections import UserDict
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from instrumentation.http.routes import Route
from tests.unit.speedups.layers import (
    END,
    GONE,
    KINDS,
    MORE,
    REQUEST,
    START,
    Layer,
    answering,
    finish,
    pause,
    receive,
    scope,
    send,
)

if TYPE_CHECKING:
    from collections.abc import Generator

OK = ("GET", "", "200", "")
CLIENT_GONE = ("GET", "", "499", "")
FAILED = ("GET", "", "500", "500")
BROKEN_OFF = ("GET", "", "200", "response_aborted")

pytestmark = pytest.mark.parametrize("kind", KINDS)


async def slow_receive() -> dict[str, Any]:
    await pause("receive")
    return REQUEST


async def slow_send(message: Any) -> None:
    await pause(message["type"])


class Slow:
    """Suspends before, within and after each message; notes how it ended."""

    def __init__(self) -> None:
        self.ended: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        del scope
        try:
            await receive()
            await pause("app")
            await send(START)
            await send(MORE)
            await send(END)
            await pause("after")
            self.ended.append("whole")
        except BaseException as error:
            self.ended.append(type(error).__name__)
            raise


STEPS = ("receive", "app", START["type"], MORE["type"], END["type"], "after")
UNTIL_ANSWERED = STEPS.index("after")
HALFWAY = [pytest.param(step, id=f"{step} {name}") for step, name in enumerate(STEPS)]


def after(kind: str, steps: int) -> tuple[Layer, Slow, Any]:
    """A request that has been suspended so many times more than once."""
    app = Slow()
    layer = Layer(kind, app)
    running = layer.app(scope(), slow_receive, slow_send)
    assert [running.send(None) for _ in range(steps + 1)] == list(STEPS[: steps + 1])
    assert layer.active() == (1 if steps < UNTIL_ANSWERED else 0)
    return layer, app, running


def test_a_request_goes_through_every_step(kind: str) -> None:
    layer, app, running = after(kind, len(STEPS) - 1)
    with pytest.raises(StopIteration) as ended:
        running.send(None)
    assert ended.value.value is None
    assert app.ended == ["whole"]
    assert (layer.counted(), layer.active()) == ({OK: 1}, 0)


@pytest.mark.parametrize("step", HALFWAY)
def test_cancelled_halfway(kind: str, step: int) -> None:
    layer, app, running = after(kind, step)
    error = asyncio.CancelledError("enough")
    with pytest.raises(asyncio.CancelledError) as raised:
        running.throw(error)
    assert raised.value is error
    assert app.ended == ["CancelledError"]
    assert layer.counted() == {OK if step >= UNTIL_ANSWERED else CLIENT_GONE: 1}
    assert layer.active() == 0


@pytest.mark.parametrize("step", HALFWAY)
def test_closed_halfway(kind: str, step: int) -> None:
    layer, app, running = after(kind, step)
    running.close()
    running.close()
    assert app.ended == ["GeneratorExit"]
    as_far = FAILED if step < STEPS.index(START["type"]) else BROKEN_OFF if step < UNTIL_ANSWERED else OK
    assert layer.counted() == {as_far: 1}
    assert layer.active() == 0
    with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
        running.send(None)


@pytest.mark.parametrize("step", HALFWAY)
def test_dropped_halfway_is_closed_at_once(kind: str, step: int) -> None:
    gc.disable()
    try:
        layer, app, running = after(kind, step)
        del running
        assert app.ended == ["GeneratorExit"]
    finally:
        gc.enable()
    assert sum(layer.counted().values()) == 1
    assert layer.active() == 0


@pytest.mark.parametrize("step", HALFWAY)
def test_an_exception_thrown_in_goes_through_the_app(kind: str, step: int) -> None:
    layer, app, running = after(kind, step)
    error = ValueError("thrown")
    with pytest.raises(ValueError, match="thrown") as raised:
        running.throw(error)
    assert raised.value is error
    assert app.ended == ["ValueError"]
    assert layer.active() == 0


def test_a_thrown_exception_that_the_app_takes_ends_nothing(kind: str) -> None:
    async def patient(scope: Any, receive: Any, send: Any) -> str:
        del scope, receive
        try:
            await pause("first")
        except ValueError:
            await pause("second")
        await send(START)
        await send(END)
        try:
            await pause("third")
        except ValueError:
            return "taken"
        return "never"

    layer = Layer(kind, patient)
    running = layer.app(scope(), receive, send)
    assert running.send(None) == "first"
    assert running.throw(ValueError()) == "second"
    assert layer.counted() == {}
    assert running.send(None) == "third"
    with pytest.raises(StopIteration):
        running.throw(ValueError())
    assert (layer.counted(), layer.active()) == ({OK: 1}, 0)


def test_a_thrown_exception_that_the_server_takes_does_not_keep_the_last_message_from_its_end(kind: str) -> None:
    async def patient(message: Any) -> None:
        if message is END:
            with suppress(ValueError):
                await pause()

    layer = Layer(kind, answering)
    running = layer.app(scope(), receive, patient)
    running.send(None)
    with pytest.raises(StopIteration):
        running.throw(ValueError())
    assert layer.counted() == {OK: 1}


def test_what_is_sent_in_arrives(kind: str) -> None:
    got = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        del scope, receive, send
        got.append(await pause(1))
        got.append(await pause(2))

    running = Layer(kind, app).app(scope(), receive, send)
    assert running.send(None) == 1
    assert running.send("a") == 2
    with pytest.raises(StopIteration):
        running.send("b")
    assert got == ["a", "b"]


def test_an_exception_of_the_app_comes_out_as_it_is_with_its_own_frames(kind: str) -> None:
    error = LookupError("lost")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        del scope, receive, send
        raise error

    with pytest.raises(LookupError) as raised:
        finish(Layer(kind, app).app(scope(), receive, send))
    assert raised.value is error
    assert (error.__context__, error.__cause__) == (None, None)
    assert [frame.name for frame in traceback.extract_tb(error.__traceback__)][-1] == "app"


def test_an_exception_in_the_servers_send_reaches_the_app(kind: str) -> None:
    seen = []

    async def refusing(message: Any) -> None:
        raise OSError(message["type"])

    async def app(scope: Any, receive: Any, send: Any) -> None:
        del scope, receive
        for message in (START, END):
            with pytest.raises(OSError, match=message["type"]) as raised:
                await send(message)
            seen.append(str(raised.value))

    layer = Layer(kind, app)
    finish(layer.app(scope(), receive, refusing))
    assert seen == [START["type"], END["type"]]
    assert layer.counted() == {BROKEN_OFF: 1}


def test_it_cannot_be_awaited_twice(kind: str) -> None:
    layer = Layer(kind, answering)
    running = layer.app(scope(), receive, send)
    finish(running)
    for again in (lambda: running.send(None), lambda: running.throw(ValueError())):
        with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
            again()
    running.close()
    assert layer.counted() == {OK: 1}


def test_it_cannot_run_within_itself(kind: str) -> None:
    raised = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for reenter in (lambda: running.send(None), lambda: running.throw(KeyError()), running.close):
            with pytest.raises(ValueError, match="already executing") as error:
                reenter()
            raised.append(error.value)
        await answering(scope, receive, send)

    layer = Layer(kind, app)
    running = layer.app(scope(), receive, send)
    finish(running)
    assert len(raised) == 3
    assert layer.counted() == {OK: 1}


def test_one_that_is_never_awaited_warns_and_counts_nothing(kind: str) -> None:
    layer = Layer(kind, answering)
    asked = scope()
    with pytest.warns(RuntimeWarning, match="sidelight' was never awaited"):
        layer.app(asked, receive, send)
    assert (layer.counted(), layer.active(), asked) == ({}, 0, scope())


def test_one_that_is_closed_or_thrown_into_before_it_began_counts_nothing(kind: str) -> None:
    layer = Layer(kind, answering)
    layer.app(scope(), receive, send).close()
    with pytest.raises(ValueError, match="early"):
        layer.app(scope(), receive, send).throw(ValueError("early"))
    with pytest.raises(asyncio.CancelledError):
        layer.app(scope(), receive, send).throw(asyncio.CancelledError)
    assert (layer.counted(), layer.active()) == ({}, 0)


def test_nothing_happens_before_it_is_awaited(kind: str) -> None:
    began = []

    def app(scope: Any, receive: Any, send: Any) -> Awaitable[None]:
        began.append(scope["path"])
        return answering(scope, receive, send)

    running = Layer(kind, app).app(scope(), receive, send)
    assert began == []
    finish(running)
    assert began == ["/"]


def test_the_app_runs_in_the_context_of_who_awaits(kind: str) -> None:
    name = ContextVar("name", default="outside")
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        del scope, receive, send
        seen.append(name.get())
        name.set("app")

    async def call() -> None:
        name.set("caller")
        await Layer(kind, app).app(scope(), receive, send)
        seen.append(name.get())

    asyncio.run(call())
    assert seen == ["caller", "app"]


# --- What is not a coroutine ------------------------------------------------------------------------------------------


class Object:
    """Something with ``__await__``."""

    def __init__(self, inner: Coroutine[Any, Any, Any]) -> None:
        self._inner = inner

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._inner.__await__()


@types.coroutine
def generator(inner: Coroutine[Any, Any, Any]) -> Generator[Any, Any, Any]:
    return (yield from inner)


def future(inner: Coroutine[Any, Any, Any]) -> asyncio.Future[Any]:
    return asyncio.ensure_future(inner)


@pytest.mark.parametrize("kind_of_awaitable", [Object, generator, future])
def test_any_awaitable_will_do(kind: str, kind_of_awaitable: Callable[..., Awaitable[Any]]) -> None:
    sent = []

    async def keep(message: Any) -> None:
        await asyncio.sleep(0)
        sent.append(message)

    layer = Layer(kind, lambda *given: kind_of_awaitable(answering(*given)))

    async def call() -> None:
        await layer.app(scope(), lambda: kind_of_awaitable(receive()), lambda message: kind_of_awaitable(keep(message)))

    asyncio.run(call())
    assert sent == [START, END]
    assert layer.counted() == {OK: 1}


def test_an_awaitable_that_is_not_a_coroutine_can_be_cancelled(kind: str) -> None:
    layer = Layer(kind, answering)

    async def call() -> None:
        never: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(layer.app(scope(), receive, lambda _: never))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(call())
    assert (layer.counted(), layer.active()) == ({CLIENT_GONE: 1}, 0)


def test_an_app_that_returns_nothing_to_await_is_a_type_error(kind: str) -> None:
    layer = Layer(kind, lambda *_: None)
    with pytest.raises(TypeError, match="NoneType"):
        finish(layer.app(scope(), receive, send))
    assert (layer.counted(), layer.active()) == ({FAILED: 1}, 0)


def test_an_app_that_raises_when_it_is_called_is_counted(kind: str) -> None:
    def app(*given: Any) -> None:
        raise RuntimeError(f"called with {len(given)}")

    layer = Layer(kind, app)
    with pytest.raises(RuntimeError, match="called"):
        finish(layer.app(scope(), receive, send))
    assert (layer.counted(), layer.active()) == ({FAILED: 1}, 0)


# --- What libraries do with it ----------------------------------------------------------------------------------------


def test_it_is_a_coroutine_to_collections_and_to_inspect(kind: str) -> None:
    running = Layer(kind, Slow()).app(scope(), slow_receive, slow_send)
    assert isinstance(running, Coroutine)
    assert inspect.isawaitable(running)
    running.send(None)
    assert inspect.getcoroutinestate(running) == inspect.CORO_SUSPENDED
    assert inspect.iscoroutine(running.cr_await)
    assert inspect.isframe(running.cr_frame)
    running.close()
    assert inspect.getcoroutinestate(running) == inspect.CORO_CLOSED
    assert (running.cr_await, running.cr_frame) == (None, None)


def test_a_task_can_be_made_of_each_awaitable(kind: str) -> None:
    states = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        del scope
        assert await asyncio.create_task(receive()) == REQUEST
        assert await asyncio.wait_for(receive(), 5) == REQUEST
        await asyncio.create_task(send(START))
        last = send(END)
        states.append(inspect.getcoroutinestate(last))
        await asyncio.create_task(last)
        states.append(inspect.getcoroutinestate(last))

    layer = Layer(kind, app)

    async def call() -> None:
        await asyncio.create_task(layer.app(scope(), receive, send))

    asyncio.run(call())
    assert layer.counted() == {OK: 1}
    assert states == [inspect.CORO_CREATED, inspect.CORO_CLOSED]


def test_anyio_cancels_a_receive_that_it_started(kind: str) -> None:
    async def never() -> None:
        await anyio.sleep_forever()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async def nothing() -> None:
            """The body was already received."""

        async with anyio.create_task_group() as group:
            group.start_soon(receive)
            await anyio.wait_all_tasks_blocked()
            await answering(scope, nothing, send)
            group.cancel_scope.cancel()

    layer = Layer(kind, app)
    anyio.run(layer.app, scope(), never, send)
    assert layer.counted() == {OK: 1}


def test_await_of_its_iterator(kind: str) -> None:
    layer = Layer(kind, answering)

    async def call() -> None:
        await Object(layer.app(scope(), receive, send))

    asyncio.run(call())
    assert layer.counted() == {OK: 1}


@pytest.mark.parametrize("observe", [sys.settrace, sys.setprofile])
def test_under_a_debugger_and_a_profiler(kind: str, observe: Callable[[Any], None]) -> None:
    layer = Layer(kind, Slow())

    async def call() -> None:
        await Layer(kind, answering).app(scope(), receive, send)
        await layer.app(scope(), receive, send)

    before = sys.gettrace() if observe is sys.settrace else sys.getprofile()
    observe(lambda *_: None)
    try:
        driver = call()
        while_suspended = list(driver.__await__())
    finally:
        observe(before)
    assert while_suspended == ["app", "after"]
    assert layer.counted() == {OK: 1}


def test_an_app_that_calls_itself_without_end_is_a_recursion_error(kind: str) -> None:
    async def app(asked: Any, receive: Any, send: Any) -> None:
        del asked
        await layer.app(scope(), receive, send)

    layer = Layer(kind, app)
    with pytest.raises(RecursionError):
        finish(layer.app(scope(), receive, send))
    assert layer.active() == 0


# --- Templates --------------------------------------------------------------------------------------------------------


class Chosen:
    """What a router leaves in a scope."""

    def __init__(self, path: str, original: Any = None) -> None:
        self.path_format = path
        self.original_route = original
        self.starlette_route = None


def routed(kind: str, known: Chosen, **left: Any) -> tuple[str, ...]:
    """The template of a request whose router left this, where one object has been seen before."""

    async def app(asked: Any, receive: Any, send: Any) -> None:
        asked.update(left)
        await answering(asked, receive, send)

    layer = Layer(kind, app)
    layer.routes.by_id[id(left.get("planted", known))] = Route(known, known.path_format, frozenset(), "")
    finish(layer.app(scope(), receive, send))
    return tuple(template for _, template, *_ in layer.counted())


def test_a_route_that_is_known_has_its_template(kind: str) -> None:
    route = Chosen("/items/{item}")
    assert routed(kind, route, route=route) == ("/items/{item}",)


def test_a_nested_route_has_its_context_s_template(kind: str) -> None:
    route = Chosen("/{item}")
    context = Chosen("/shops/{shop}/{item}", route)
    left = {"route": route, "fastapi": {"effective_route_context": context}}
    assert routed(kind, context, **left) == ("/shops/{shop}/{item}",)


def test_a_context_of_another_route_is_not_this_one_s(kind: str) -> None:
    route, other = Chosen("/plain"), Chosen("/other")
    context = Chosen("/shops/{shop}/other", other)
    left = {"route": route, "fastapi": {"effective_route_context": context}}
    assert routed(kind, context, **left) == ("/plain",)


def test_an_object_with_the_id_of_one_that_is_gone_has_its_own_template(kind: str) -> None:
    route, gone = Chosen("/new"), Chosen("/old")
    assert routed(kind, gone, route=route, planted=route) == ("/new",)


# --- Listeners --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [None, LookupError("lost"), asyncio.CancelledError()], ids=repr)
def test_a_listener_sees_the_exception_that_ends_the_request(kind: str, error: BaseException | None) -> None:
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answering(scope, receive, send)
        if error is not None:
            raise error

    layer = Layer(kind, app, listeners=(lambda *_: seen.append(sys.exception()),))
    with suppress(LookupError, asyncio.CancelledError):
        finish(layer.app(scope(), receive, send))
    assert seen == [error]
    assert sys.exception() is None


def test_a_failing_listener_is_logged_once_and_changes_nothing(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    def broken(*_: Any) -> None:
        raise LookupError("listener")

    layer = Layer(kind, answering, listeners=(broken,))
    for _ in range(2):
        finish(layer.app(scope(), receive, send))
    assert layer.counted() == {OK: 2}
    assert ["listener" in str(record.exc_info) for record in caplog.records] == [True]


def test_an_interrupt_while_a_listener_runs_is_raised(kind: str) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    layer = Layer(kind, answering, listeners=(interrupted,))
    with pytest.raises(KeyboardInterrupt):
        finish(layer.app(scope(), receive, send))
    assert (layer.counted(), layer.active()) == ({OK: 1}, 0)


# --- Messages and scopes of other kinds -------------------------------------------------------------------------------


def test_a_scope_and_messages_that_are_not_dicts(kind: str) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        del scope
        assert (await receive())["type"] == "http.request"
        await send(UserDict(START))
        await send(UserDict(MORE))
        await send(UserDict(END))

    async def other_receive() -> Any:
        return UserDict(REQUEST)

    for asked in (scope(), UserDict(scope())):
        layer = Layer(kind, app)
        finish(layer.app(asked, other_receive, send))
        assert layer.counted() == {OK: 1}


@pytest.mark.parametrize("message", [None, {}, {"type": "http.response.start"}], ids=str)
def test_an_invalid_message_is_passed_on_and_logged_once(
    kind: str, message: Any, caplog: pytest.LogCaptureFixture
) -> None:
    sent = []

    async def keep(message: Any) -> None:
        sent.append(message)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(message)
        await send(message)
        await answering(scope, receive, send)

    layer = Layer(kind, app)
    finish(layer.app(scope(), receive, keep))
    assert sent == [message, message, START, END]
    assert layer.counted() == {OK: 1}
    assert len(caplog.records) == 1


@pytest.mark.parametrize("message", [None, {}, 7], ids=str)
def test_an_invalid_message_from_the_server_reaches_the_app(
    kind: str, message: Any, caplog: pytest.LogCaptureFixture
) -> None:
    heard = []

    async def odd() -> Any:
        return message

    async def app(scope: Any, receive: Any, send: Any) -> None:
        heard.extend([await receive(), await receive()])
        await answering(scope, receive, send)

    layer = Layer(kind, app)
    finish(layer.app(scope(), odd, send))
    assert heard == [message, message]
    assert layer.counted() == {OK: 1}
    assert len(caplog.records) == 1


def test_a_message_of_an_unknown_type_is_passed_on(kind: str) -> None:
    sent = []

    async def keep(message: Any) -> None:
        sent.append(message)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": 7})
        await send({"type": "http.response.debug"})
        await answering(scope, receive, send)

    layer = Layer(kind, app)
    finish(layer.app(scope(), receive, keep))
    assert [message["type"] for message in sent] == [7, "http.response.debug", START["type"], END["type"]]
    assert layer.counted() == {OK: 1}


def test_a_client_that_is_gone_before_the_answer(kind: str) -> None:
    async def disconnect() -> dict[str, Any]:
        return GONE

    layer = Layer(kind, answering)
    finish(layer.app(scope(), disconnect, send))
    assert layer.counted() == {CLIENT_GONE: 1}


def test_a_scope_without_its_keys_raises_when_it_is_awaited(kind: str) -> None:
    for missing in ("type", "path", "method"):
        asked = scope()
        del asked[missing]
        layer = Layer(kind, answering)
        running = layer.app(asked, receive, send)
        with pytest.raises(KeyError, match=missing):
            running.send(None)
        assert (layer.counted(), layer.active()) == ({}, 0)


def test_called_by_keywords_and_with_too_little(kind: str) -> None:
    layer = Layer(kind, answering)
    finish(layer.app(scope=scope(), receive=receive, send=send))
    assert layer.counted() == {OK: 1}
    with pytest.raises(TypeError, match="send"):
        layer.app(scope(), receive)


def test_pages_are_matched_without_the_root_path(kind: str) -> None:
    sent = []

    async def keep(message: Any) -> None:
        sent.append(message["type"])

    layer = Layer(kind, answering)
    finish(layer.app(scope(path="/api/metrics", root_path="/api"), receive, keep))
    assert (sent, layer.counted()) == ([START["type"]], {})
    finish(layer.app(scope(path="/api/items", root_path="/api"), receive, keep))
    assert layer.counted() == {OK: 1}
