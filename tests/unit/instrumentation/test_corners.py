"""Corner cases of routing and ASGI that were once counted wrongly."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
from opentelemetry import trace

from instrumentation.settings import parse_settings
from tests.unit.instrumentation.test_behaviours import (
    END,
    REQUEST,
    START,
    Case,
    Client,
    Copying,
    bare,
    deep,
    outcome,
    scope,
    within,
)
from tests.unit.instrumentation.test_http import Failing, Observed, shop
from tests.unit.instrumentation.test_websocket import connect, echo, ended

HERE = Path(__file__).parent


def counted(case: Case, app: Any) -> Any:
    observed = Observed(app)
    case.ask(observed.app)
    return observed.counted()


# --- Routes -----------------------------------------------------------------------------------------------------------


def same_names() -> FastAPI:
    inner = FastAPI()
    inner.add_api_route("/items/{id}", lambda id: id)  # noqa: A006
    app = FastAPI()
    app.mount("/tenants/{id}", inner)
    app.mount("/static", StaticFiles(directory=HERE))
    return app


@pytest.mark.parametrize(
    ("path", "labels"),
    [("/static/none.css", ("GET", "/static/{path}", "404", "")), ("/tenants/1/none", ("GET", "", "404", ""))],
)
def test_a_parameter_name_that_is_twice_in_a_template(path: str, labels: Any) -> None:
    """the template of the mount, or empty if no route matched"""
    assert counted(Case(f"GET {path}", labels), same_names()) == {labels: 1}


def test_a_parameter_name_that_is_twice_in_a_template_and_a_copied_scope() -> None:
    """`/tenants/{id}/items/{id}`"""
    app = same_names()
    app.add_middleware(Copying)
    labels = ("GET", "/tenants/{id}/items/{id}", "200", "")
    assert counted(Case("GET /tenants/1/items/2", labels), app) == {labels: 1}


def test_a_websocket_beside_a_request_route_of_its_path_with_a_copied_scope() -> None:
    """the websocket's own template"""
    app = FastAPI()
    app.add_api_route("/rooms/{x}", lambda x: x)
    app.add_api_websocket_route("/rooms/{room}", echo)
    app.add_middleware(Copying)
    observed = Observed(app)
    connect(observed.app, "/rooms/1")
    assert ended(observed) == {"/rooms/{room}": 1.0}


@pytest.mark.parametrize("root", ["/m", "/met"])
def test_the_page_behind_a_proxy_that_cuts_off_a_root_path_which_begins_like_it(root: str) -> None:
    """nothing; the page is answered"""
    observed = Observed(deep())
    client = Client(REQUEST)
    client.call(observed.app, scope("/metrics", root_path=root))
    assert client.sent[0]["status"] == 200


def test_a_copied_scope_and_a_root_path_that_begins_like_the_path() -> None:
    """the full template"""
    labels = ("GET", "/v1/a/b/{b}/c/{c}/leaf", "200", "")
    assert counted(Case("GET /v1/a/b/1/c/2/leaf", labels, scope={"root_path": "/v"}), within(Copying)) == {labels: 1}


def test_the_files_of_a_frontend_have_the_template_of_its_mount() -> None:
    """`/ui/{path}`"""
    app = FastAPI()
    app.frontend("/ui", directory=HERE)
    labels = ("GET", "/ui/{path}", "200", "")
    assert counted(Case(f"GET /ui/{Path(__file__).name}", labels), app) == {labels: 1}


# --- Errors in Sidelight ----------------------------------------------------------------------------------------------


def test_a_store_without_room_from_the_start(caplog: pytest.LogCaptureFixture) -> None:
    """nothing; the service answers as before, and one line is logged"""
    store = Failing()
    observed = Observed(shop(), store=store)
    store.is_full = True  # recorder.shard and recorder.active
    with caplog.at_level(logging.ERROR, logger="instrumentation"):
        responses = observed.call(("GET", "/items/1"), ("GET", "/items/2"))
    assert [response.status_code for response in responses] == [200, 200]


def test_a_span_that_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """the request, without an exemplar"""
    observed = Observed(bare(START, END), parse_settings({"metrics": {"exemplars": True}}))
    monkeypatch.setattr(trace, "get_current_span", None)  # sampled_span, called within the app's own send
    client = Client(REQUEST)
    client.call(observed.app, scope("/"))
    assert client.error is None


@pytest.mark.parametrize("message", [{"type": "http.response.start"}, {}], ids=["no status", "no type"])
def test_an_invalid_message_reaches_the_server(message: dict[str, Any]) -> None:
    """nothing: the server refuses it, as without Sidelight"""
    case = Case("GET /", ())
    assert outcome(case, Observed(bare(message, END)).app) == outcome(case, bare(message, END))


# --- Installing -------------------------------------------------------------------------------------------------------


def test_an_app_in_a_wrapper_has_its_templates() -> None:
    """the full template"""

    class Wrapper:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await self.app(scope, receive, send)

    labels = ("GET", "/v1/a/b/{b}/c/{c}/leaf", "200", "")
    assert counted(Case("GET /v1/a/b/1/c/2/leaf", labels), Wrapper(deep())) == {labels: 1}
