"""An observed app keeps its identity; docs/reference/behaviours.md is made from these names."""

from __future__ import annotations

import asyncio
import copy
import gc
import pickle
import weakref
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from starlette.responses import PlainTextResponse

import instrumentation
from instrumentation.errors import InstrumentationError
from instrumentation.http.outermost import ObservedApp
from instrumentation.store import LocalStore, default_store
from tests.unit.instrumentation.test_http import METRICS_ALONE, Observed, shop

if TYPE_CHECKING:
    from collections.abc import Callable


async def answer(scope: Any, receive: Any, send: Any, text: str) -> None:
    await PlainTextResponse(text, 200 if scope["path"] == "/" else 404)(scope, receive, send)


class Framework:
    """An app of a framework that nobody knows: an object with attributes of its own."""

    def __init__(self, *, answer: str = "here") -> None:
        self.answer = answer

    def run(self) -> str:
        return self.answer

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await answer(scope, receive, send, self.answer)


class Slotted:
    __slots__ = ("answer",)

    def __init__(self) -> None:
        self.answer = "slotted"

    def __setattr__(self, name: str, value: Any) -> None:
        assert name == "answer", "Setting variables is not allowed"
        super().__setattr__(name, value)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await answer(scope, receive, send, self.answer)


async def function(scope: Any, receive: Any, send: Any) -> None:
    await answer(scope, receive, send, "function")


function.name = "shop"  # type: ignore[attr-defined]
ONCE = {("GET", "", "200", ""): 1}


# --- Installing -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [Framework, Slotted])
def test_an_object_of_any_class_is_changed_in_place(make: Callable[[], Any]) -> None:
    """it keeps its identity, its attributes and the name of its class"""
    app = make()
    observed = Observed(app)
    assert observed.app is app
    assert isinstance(app, make)
    assert (type(app).__name__, type(app).__module__) == (make.__name__, __name__)
    app.answer = "there"
    assert observed.call(("GET", "/"))[0].text == "there"
    assert observed.counted() == ONCE
    assert type(make()) is make


def test_a_function_is_wrapped() -> None:
    """what comes back has the attributes of the function"""
    observed = Observed(function)
    assert isinstance(observed.app, ObservedApp)
    assert (observed.app.app, observed.app.name) == (function, "shop")
    assert not hasattr(observed.app, "__wrapped__")
    observed.call(("GET", "/"))
    assert observed.counted() == ONCE


@pytest.mark.parametrize("make", [shop, Framework, Slotted, lambda: function])
def test_instrumenting_any_kind_of_app_twice(make: Callable[[], Any]) -> None:
    """each request counts once, also of an app that is a function or an object"""
    observed = Observed(make())
    assert observed.again(observed.app).app is observed.app
    observed.call(("GET", "/"))
    assert sum(observed.counted().values()) == 1


def test_another_object_of_the_same_class() -> None:
    """it is not observed"""
    observed = Observed(Framework())
    other = type(observed.app)(answer="other")
    assert asyncio.run(get(other, "/")).text == "other"
    assert observed.counted() == {}


def test_a_class_that_the_framework_gives_its_app_later() -> None:
    """its requests are counted too; BlackSheep does so for mounts"""

    class Mounting:
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            if scope.get("path") == "/mounted":
                return await PlainTextResponse("mounted", 201)(scope, receive, send)
            return await super().__call__(scope, receive, send)  # type: ignore[misc,no-any-return]

    observed = Observed(Framework())
    observed.app.__class__ = type("Extended", (Mounting, type(observed.app)), {})
    assert [answer.text for answer in observed.call(("GET", "/"), ("GET", "/mounted"))] == ["here", "mounted"]
    assert type(observed.app).__name__ == "Extended"
    assert observed.counted() == {("GET", "", "200", ""): 1, ("GET", "", "201", ""): 1}


@pytest.mark.parametrize("make", [Framework, lambda: FastAPI(openapi_url=None)])
def test_a_copy_of_an_app(make: Callable[[], Any]) -> None:
    """it is observed too, and counts in the same store"""
    observed = Observed(make())
    twin = copy.copy(observed.app)
    assert twin is not observed.app
    assert isinstance(twin, type(make()))
    asyncio.run(get(twin, "/"))
    assert sum(observed.counted().values()) == 1


def test_routes_that_are_added_to_a_wrapped_app_afterwards() -> None:
    """`GET /late/{x} 200`: the routes are read with the first request"""
    app = FastAPI()
    observed = Observed(Wrapper(app))
    app.add_api_route("/late/{x}", lambda x: x)
    observed.call(("GET", "/late/7"))
    assert observed.counted() == {("GET", "/late/{x}", "200", ""): 1}


def test_an_object_that_is_deleted() -> None:
    """its counts stay; all its memory is freed"""
    observed = Observed(Framework())
    observed.call(("GET", "/"))
    gone = weakref.ref(observed.app)
    observed.app = None
    gc.collect()
    assert gone() is None


class Wrapper:
    def __init__(self, app: Any) -> None:
        self.wrapped = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.wrapped(scope, receive, send)


async def get(app: Any, path: str) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://shop") as client:
        return await client.get(path)


# --- Pickling ---------------------------------------------------------------------------------------------------------


def pages_served(app: Any) -> str:
    async def served() -> str:
        await get(app, "/")
        return (await get(app, "/metrics")).text

    return asyncio.run(served())


@pytest.mark.parametrize(
    ("app", "attribute", "value"),
    [(Framework(answer="there"), "answer", "there"), (Slotted(), "answer", "slotted"), (function, "name", "shop")],
)
def test_a_pickled_app_is_instrumented_where_it_is_unpickled(app: Any, attribute: str, value: str) -> None:
    observed = instrumentation.instrument(app, settings=METRICS_ALONE)
    sent = pickle.loads(pickle.dumps(observed))  # noqa: S301 - our own
    assert sent is not observed
    assert getattr(sent, attribute) == value
    line = 'http_server_request_duration_seconds_count{error_type="",http_request_method="GET",http_response_status_code="200"'
    counts = [each for each in pages_served(sent).splitlines() if each.startswith(line) and 'route=""' in each]
    assert len(counts) == 1
    assert instrumentation.instrument(sent) is sent


@pytest.mark.parametrize("own", [{"store": LocalStore()}, {"registry": CollectorRegistry()}])
def test_an_app_with_a_store_or_a_registry_of_its_own_says_why_it_cannot_be_pickled(own: Any) -> None:
    options = {"store": LocalStore(), "registry": CollectorRegistry()} if "store" in own else own
    app = instrumentation.instrument(Framework(), settings=METRICS_ALONE, **options)
    with pytest.raises(InstrumentationError) as caught:
        pickle.dumps(app)
    assert caught.value.code == "app_not_picklable"
    assert caught.value.message.startswith("An app that was instrumented with a store or a registry cannot be pickled")


def test_the_processs_store_does_not_prevent_pickling() -> None:
    app = instrumentation.instrument(Framework(), settings=METRICS_ALONE, store=default_store())
    assert pickle.loads(pickle.dumps(app)).answer == "here"  # noqa: S301 - our own
