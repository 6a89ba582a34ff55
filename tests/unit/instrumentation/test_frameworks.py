"""Apps within apps, and their route templates, are found; docs/reference/behaviours.md is made from these names."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.websockets import WebSocket

from instrumentation.http import frameworks
from instrumentation.http.frameworks import find, framework_of
from instrumentation.http.frameworks.django import template_of
from instrumentation.http.frameworks.interface import Arrival, listed, report, reported
from tests.unit.instrumentation.test_behaviours import Copying
from tests.unit.instrumentation.test_http import Observed, shop
from tests.unit.instrumentation.test_websocket import connect, echo, ended

HERE = Path(__file__).parent


class Holding:
    """A middleware that calls its app by a name of its own, as many do."""

    def __init__(self, app: Any, name: str = "other_asgi_app") -> None:
        setattr(self, name, app)
        self._name = name

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await getattr(self, self._name)(scope, receive, send)


class Cutting(Holding):
    """A middleware that takes a prefix off the path, in a copy of the scope."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await super().__call__({**scope, "path": scope["path"].removeprefix("/api")}, receive, send)


class Rewriting:
    """As nicegui's app around socket.io: it takes its mount's path off the path, in the scope that it was given."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        scope["path"] = scope["path"].removeprefix(scope.get("root_path", ""))
        if scope["type"] == "websocket":
            return await echo(WebSocket(scope, receive, send))
        return await PlainTextResponse("here")(scope, receive, send)


class Dispatching:
    """A dispatcher by path."""

    def __init__(self, **mounts: Any) -> None:
        self.mounts = {f"/{name}": app for name, app in mounts.items()}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        _, name, rest = scope["path"].split("/", 2)
        await self.mounts[f"/{name}"]({**scope, "path": f"/{rest}"}, receive, send)


def closing_over(app: Any) -> Any:
    async def middleware(scope: Any, receive: Any, send: Any) -> None:
        await app(scope, receive, send)

    return middleware


ITEM = {("GET", "/items/{item}", "200", ""): 1}


# --- Routes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrap",
    [
        Holding,
        partial(Holding, name="anything"),
        closing_over,
        partial(partial, closing_over),
        lambda app: app.__call__,
    ],
)
def test_an_app_in_something_that_wraps_it(wrap: Any) -> None:
    """its templates, however the wrapper holds it"""
    app = wrap(shop())
    observed = Observed(app() if isinstance(app, partial) else app)
    observed.call(("GET", "/items/7"))
    assert observed.counted() == ITEM


def test_a_dispatcher_by_path() -> None:
    """the template behind the path of the dispatcher"""
    observed = Observed(Dispatching(first=shop(), second=shop()))
    observed.call(("GET", "/second/items/7"), ("GET", "/first/items/7"), ("GET", "/first/none"))
    assert observed.counted() == {
        ("GET", "/first/items/{item}", "200", ""): 1,
        ("GET", "/second/items/{item}", "200", ""): 1,
        ("GET", "", "404", ""): 1,
    }


def test_a_middleware_that_changes_the_path_in_a_copy_of_the_scope() -> None:
    """the route that answered"""
    app = shop()
    app.add_middleware(Cutting)
    observed = Observed(app)
    observed.call(("GET", "/api/items/7"), ("GET", "/api/v1/stores/1/shelves/2/boxes/3"), ("GET", "/api/none"))
    assert observed.counted() == {
        **ITEM,
        ("GET", "/v1/stores/{store}/shelves/{shelf}/boxes/{box}", "200", ""): 1,
        ("GET", "", "404", ""): 1,
    }


def test_a_wrapper_that_changes_the_path_in_a_copy_of_the_scope() -> None:
    """the route that answered"""
    observed = Observed(Cutting(shop()))
    observed.call(("GET", "/api/items/7"))
    assert observed.counted() == ITEM


@pytest.mark.parametrize("make", [FastAPI, Starlette])
def test_a_mounted_app_that_changes_the_path_beside_a_ui_at_the_root(make: Any) -> None:
    """its mount, and not that of the UI; the same for its websockets"""
    app = make()
    app.mount("/live", Rewriting())
    app.mount("/", StaticFiles(directory=HERE))
    observed = Observed(app)
    observed.call(("GET", "/live/polling/7"), ("GET", f"/{Path(__file__).name}"))
    connect(observed.app, "/live/socket/7")
    assert observed.counted() == {("GET", "/live/{path}", "200", ""): 1, ("GET", "/{path}", "200", ""): 1}
    assert ended(observed) == {"/live/{path}": 1.0}


def test_an_app_in_a_wrapper_that_is_mounted() -> None:
    """the template behind that of the mount"""
    app = FastAPI()
    app.mount("/tenants/{tenant}", Holding(shop()))
    observed = Observed(app)
    observed.call(("GET", "/tenants/acme/items/7"), ("GET", "/tenants/acme/none"))
    assert observed.counted() == {
        ("GET", "/tenants/{tenant}/items/{item}", "200", ""): 1,
        ("GET", "/tenants/{tenant}/{path}", "404", ""): 1,
    }


# --- Frameworks -------------------------------------------------------------------------------------------------------


def test_an_app_that_hides_nothing_gets_no_further_layer() -> None:
    app = shop()
    observed = Observed(app)
    app.middleware_stack = app.build_middleware_stack()
    assert not hasattr(app.middleware_stack.app.app, "followed")
    observed.call(("GET", "/items/7"))
    assert observed.counted() == ITEM


class Foreign:
    """A framework's app, whose router says what it chose."""

    __module__ = "foreign.apps"

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["path"].removeprefix(scope.get("root_path", "")).startswith("/things/"):
            report(scope, self, "/things/<thing>")
        await PlainTextResponse("here")(scope, receive, send)


class Adapter:
    def __init__(self, app: Any) -> None:
        self.app = app

    def routes(self) -> Any:
        return [listed("/things/<thing>", {"GET"}), listed("/broken", {"POST"})]

    def chosen(self, scope: Any) -> str:
        return reported(scope, self.app)

    def match(self, scope: Any, path: str) -> str:
        del scope
        if path == "/broken":
            raise LookupError("another version of the framework")
        return "/short" if path == "/short" else ""

    def handle(self, *_: Any) -> None: ...


@pytest.fixture
def foreign(monkeypatch: pytest.MonkeyPatch) -> type[Foreign]:
    monkeypatch.setitem(frameworks._FRAMEWORKS, "foreign.Foreign", "of_a_test.Adapter")
    monkeypatch.setattr(
        frameworks, "_adapted", lambda name, app: Adapter(app) if "of_a" in name else _adapted(name, app)
    )
    return Foreign


_adapted = frameworks._adapted


def test_a_framework_tells_its_templates_and_its_routes_are_there_from_the_start(foreign: type[Foreign]) -> None:
    observed = Observed(foreign())
    observed.page()
    zeros = {
        row.labels[:2] for row in observed.store.series() if row.labels[1:2] in [("/things/<thing>",), ("/broken",)]
    }
    assert zeros == {("GET", "/things/<thing>"), ("POST", "/broken")}
    observed.call(("GET", "/things/7"), ("GET", "/short"), ("GET", "/none"))
    assert observed.counted() == {
        ("GET", "/things/<thing>", "200", ""): 1,
        ("GET", "/short", "200", ""): 1,
        ("GET", "", "200", ""): 1,
    }


@pytest.mark.parametrize("make", [FastAPI, Starlette])
def test_a_framework_that_is_mounted_in_another(foreign: type[Foreign], make: Any) -> None:
    app = make()
    app.mount("/old/{area}", foreign())
    app.router.routes.append(Route("/own/{x}", lambda _: PlainTextResponse("own")))
    observed = Observed(app)
    observed.call(("GET", "/old/7/things/7"), ("GET", "/old/7/none"), ("GET", "/own/7"))
    assert observed.counted() == {
        ("GET", "/old/{area}/things/<thing>", "200", ""): 1,
        ("GET", "/old/{area}/{path}", "200", ""): 1,
        ("GET", "/own/{x}", "200", ""): 1,
    }


def test_a_mounted_app_that_a_bridge_hides_is_matched_by_the_rest_of_the_path(foreign: type[Foreign]) -> None:
    """As a WSGI app behind a bridge from ASGI, which passes no scope."""
    app = FastAPI()
    app.mount("/old", Holding(foreign()))
    observed = Observed(app)
    observed.call(("GET", "/old/short"), ("GET", "/old/none"))
    assert observed.counted() == {("GET", "/old/short", "200", ""): 1, ("GET", "/old/{path}", "200", ""): 1}


def test_a_template_reported_in_a_copied_scope_is_found(foreign: type[Foreign]) -> None:
    observed = Observed(Copying(foreign()))
    observed.call(("GET", "/things/7"))
    assert observed.counted() == {("GET", "/things/<thing>", "200", ""): 1}


def test_a_fault_of_an_adapter_costs_the_route_alone_and_is_said_once(
    foreign: type[Foreign], caplog: pytest.LogCaptureFixture
) -> None:
    observed = Observed(foreign())
    with caplog.at_level(logging.ERROR, logger="instrumentation"):
        observed.call(("GET", "/broken"), ("GET", "/broken"))
    assert observed.counted() == {("GET", "", "200", ""): 2}
    assert [record.getMessage() for record in caplog.records] == [
        "Sidelight could not read the route of a request and counts it without one"
    ]


def test_routes_that_cannot_be_listed_fail_no_start(
    foreign: type[Foreign], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Adapter, "routes", None)
    with caplog.at_level(logging.ERROR, logger="instrumentation"):
        observed = Observed(foreign())
        observed.call(("GET", "/things/7"))
    assert observed.counted() == {("GET", "/things/<thing>", "200", ""): 1}
    assert len(caplog.records) == 1


def test_what_is_told_belongs_to_one_app_and_is_unheard_where_nobody_observes() -> None:
    first, second = object(), object()
    scope: dict[str, Any] = {"path": "/shop/7", "root_path": "/shop"}
    report(scope, first, "/{x}")
    assert reported(scope, first) == ""
    scope["sidelight.arrival"] = arrival = Arrival(scope)
    report({**scope}, first, "/{x}")
    assert (reported(scope, first), reported(scope, second), arrival.path) == ("/{x}", "", "/7")


class Proxy:
    """Like werkzeug's proxies outside of a request: every attribute raises."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(f"asked for {name}")

    def __call__(self) -> None: ...


def test_looking_for_apps_runs_no_code_and_ends() -> None:
    holding = Holding(None)
    holding.itself, holding.proxy, holding.kind = holding, Proxy(), FastAPI  # type: ignore[attr-defined]
    holding.many = [Holding(None) for _ in range(10_000)]  # type: ignore[attr-defined]
    assert find(holding) == []
    holding.other_asgi_app = shop()  # type: ignore[attr-defined]
    assert len(find(holding)) == 1


def test_a_framework_is_known_by_the_package_of_its_class() -> None:
    class Shop(FastAPI): ...

    assert framework_of(Shop()) == framework_of(Starlette()) == "starlette.Starlette"
    assert framework_of(Mount("/x", shop())) is None


@pytest.mark.parametrize(
    ("route", "template"),
    [
        ("", "/"),
        ("items/<int:item>/", "/items/<int:item>/"),
        ("files/a(b).txt", "/files/a(b).txt"),
        (r"^items/(?P<item>\d+)/$", "/items/<item>/"),
        (r"api/v1/^items/(?P<item>[^/.)]+)/(?P<part>(a|b)+)$", "/api/v1/items/<item>/<part>"),
        (r"^x/(\d+)/(\w+)/(\d{2,4})$", "/x/<var>/<var>/<var>"),
        (r"^articles/(?:page-(?P<page>[0-9]+)/)?$", "/articles/page-<page>/"),
        (r"^(?!api/)(?P<rest>.*)\Z", "/<rest>"),
        (r"^a\.b/[a-z]+\-\d+/?$", r"/a.b/[a-z]-\d/"),
    ],
)
def test_a_pattern_of_django_as_path_would_write_it(route: str, template: str) -> None:
    assert template_of(route) == template
