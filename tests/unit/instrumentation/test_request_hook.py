"""The function that a service is called with for each finished request; docs/reference/behaviours.md is made from these names."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from prometheus_client import CollectorRegistry

import instrumentation
from instrumentation import FinishedRequest
from instrumentation.errors import InstrumentationError
from instrumentation.store import LocalStore
from tests.unit.instrumentation.test_behaviours import REQUEST, Client, scope
from tests.unit.instrumentation.test_http import METRICS_ALONE, Observed, shop
from tests.unit.instrumentation.test_streaming import parts


class Hooked(Observed):
    """An app with a hook."""

    def __init__(self, app: Any, hook: Any) -> None:
        self.store = LocalStore()
        self.registry = CollectorRegistry()
        self.app = instrumentation.instrument(
            app, settings=METRICS_ALONE, store=self.store, registry=self.registry, on_request=hook
        )


# --- The service's own hook -------------------------------------------------------------------------------------------


def test_the_hook_is_called_with_each_request_that_was_counted() -> None:
    """method, route, status, error type, seconds and scope"""
    finished: list[FinishedRequest] = []
    hooked = Hooked(shop(), finished.append)
    hooked.call(("GET", "/items/7"), ("GET", "/broken"), ("GET", "/metrics"), ("POST", "/none"))
    assert [one[:4] for one in finished] == [
        ("GET", "/items/{item}", 200, ""),
        ("GET", "/broken", 500, "500"),
        ("POST", "", 404, ""),
    ]
    assert finished[0].scope["path_params"] == {"item": "7"}
    assert all(0 < one.seconds < 10 for one in finished)


def test_the_hook_has_the_seconds_of_a_whole_stream() -> None:
    """from the first byte of the request to the end of the response"""
    finished: list[FinishedRequest] = []
    app = FastAPI()
    app.add_api_route("/", lambda: StreamingResponse(parts(b"a", 0.2, b"b"), media_type="text/event-stream"))
    hooked = Hooked(app, finished.append)
    hooked.call(("GET", "/"))
    assert finished[0].seconds >= 0.2
    assert hooked.seconds() < 0.2


def test_the_hook_and_a_client_that_leaves() -> None:
    """499"""
    finished: list[FinishedRequest] = []
    Client(REQUEST, leaves=0).call(Hooked(shop(), finished.append).app, scope("/items/7"))
    assert [(one.route, one.status) for one in finished] == [("/items/{item}", 499)]


def test_a_hook_that_raises(caplog: pytest.LogCaptureFixture) -> None:
    """logged once; the request is answered and counted"""

    def hook(request: FinishedRequest) -> None:
        raise LookupError(request.route)

    hooked = Hooked(shop(), hook)
    with caplog.at_level(logging.ERROR, logger="instrumentation"):
        responses = hooked.call(("GET", "/items/7"), ("GET", "/items/3"))
    assert [response.json() for response in responses] == [7, 3]
    assert hooked.counted() == {("GET", "/items/{item}", "200", ""): 2}
    (record,) = caplog.records
    assert record.exc_info is not None
    assert repr(record.exc_info[1]) == "LookupError('/items/{item}')"


class Later:
    """Cannot be called at once."""

    async def __call__(self, request: FinishedRequest) -> None:
        del request
        await asyncio.sleep(0)


async def later(request: FinishedRequest, _: object = None) -> None:
    del request


@pytest.mark.parametrize(
    ("hook", "given"),
    [
        ("log", "str"),
        (later, "an async function"),
        (partial(later), "an async function"),
        (Later(), "an async function"),
    ],
)
def test_a_hook_that_cannot_be_called_at_once(hook: Any, given: str) -> None:
    """`instrument()` raises an `InstrumentationError`"""
    with pytest.raises(InstrumentationError) as caught:
        Hooked(shop(), hook)
    assert (caught.value.code, caught.value.message) == (
        "request_hook_invalid",
        f"on_request: got {given}; give a plain function of a FinishedRequest.",
    )
