"""Counting over time, in one app or several; the page; docs/reference/behaviours.md is made from these names."""

from __future__ import annotations

import asyncio
import gc
import logging
import weakref
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, Request
from fastapi.responses import PlainTextResponse, StreamingResponse
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.parser import text_string_to_metric_families

import instrumentation
from instrumentation.catalog import (
    HTTP_SERVER_ACTIVE_REQUESTS,
    HTTP_SERVER_ACTIVE_REQUESTS_BY_ROUTE,
    HTTP_SERVER_REQUEST_DURATION,
)
from instrumentation.errors import InstrumentationError
from instrumentation.settings import Settings, parse_settings
from instrumentation.settings.route_patterns import RoutePatterns
from instrumentation.store import LocalStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from instrumentation.catalog import Metric

METRICS_ALONE = parse_settings({"logging": {"enabled": False, "correlation_id": False}})
"""What changes nothing for the app and its client."""
Counted = dict[tuple[str, str, str, str], int]


class Observed:
    """An app instrumented with a store and a registry of its own, and a client that calls it."""

    def __init__(
        self,
        app: Any,
        settings: Settings | None = None,
        store: LocalStore | None = None,
        registry: CollectorRegistry | None = None,
    ) -> None:
        self.store = store or LocalStore()
        self.registry = registry or CollectorRegistry()
        self.app = instrumentation.instrument(
            app, settings=settings or METRICS_ALONE, store=self.store, registry=self.registry
        )

    def again(self, app: Any) -> Observed:
        """Another app of the same process."""
        return Observed(app, store=self.store, registry=self.registry)

    def call(self, *requests: tuple[str, str], **options: Any) -> list[httpx.Response]:
        async def run() -> list[httpx.Response]:
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
                return [await client.request(method, path, **options) for method, path in requests]

        return asyncio.run(run())

    def page(self, accept: str = "") -> httpx.Response:
        return self.call(("GET", "/metrics"), headers={"accept": accept})[0]

    def counted(self) -> Counted:
        """Requests by (method, route, status, error_type), those that were never made left out."""
        rows = (row for row in self.store.series() if row.metric is HTTP_SERVER_REQUEST_DURATION)
        counts = {row.labels: int(sum(row.slots[:-1])) for row in rows}
        return {labels: count for labels, count in counts.items() if count}  # type: ignore[misc]

    def active(self) -> dict[str, float]:
        """Requests that are being answered, by method."""
        rows = (row for row in self.store.series() if row.metric is HTTP_SERVER_ACTIVE_REQUESTS)
        return {row.labels[0]: row.slots[0] for row in rows}

    def seconds(self) -> float:
        return sum(row.slots[-1] for row in self.store.series() if row.metric is HTTP_SERVER_REQUEST_DURATION)


def shop() -> FastAPI:
    app = FastAPI()

    @app.get("/items/{item}")
    def item(item: int) -> int:
        return item

    @app.get("/broken")
    def broken() -> None:
        raise RuntimeError("broken")

    leaf = APIRouter(prefix="/shelves/{shelf}")

    @leaf.get("/boxes/{box}")
    async def box(shelf: int, box: int) -> int:
        return shelf + box

    branch = APIRouter(prefix="/stores/{store}")
    branch.include_router(leaf)
    app.include_router(branch, prefix="/v1")
    return app


async def _get(app: Any, path: str) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://shop") as client:
        return await client.get(path)


# --- Streams ----------------------------------------------------------------------------------------------------------


def test_background_tasks_are_not_latency() -> None:
    """the duration until the last byte of the response"""
    app = FastAPI()
    finished = []

    async def later() -> None:
        await asyncio.sleep(0.3)
        finished.append(True)

    @app.get("/")
    async def now(tasks: BackgroundTasks) -> str:
        tasks.add_task(later)
        return "now"

    observed = Observed(app)
    observed.call(("GET", "/"))
    assert finished
    assert observed.seconds() < 0.3


def test_a_stream_is_timed_to_its_last_byte() -> None:
    """the duration of the whole stream"""
    app = FastAPI()

    async def parts() -> AsyncIterator[str]:
        for _ in range(3):
            await asyncio.sleep(0.05)
            yield "part"

    @app.get("/")
    def stream() -> StreamingResponse:
        return StreamingResponse(parts())

    observed = Observed(app)
    (response,) = observed.call(("GET", "/"))
    assert response.text == "partpartpart"
    assert observed.seconds() >= 0.15


def test_active_requests_rise_and_fall() -> None:
    """one while it is answered, none afterwards"""
    app = FastAPI()
    during = []

    @app.get("/")
    async def look() -> None:
        during.append(observed.active())

    observed = Observed(app)
    observed.call(("GET", "/"))
    assert during == [{"GET": 1.0}]
    assert observed.active() == {"GET": 0.0}


def test_active_requests_by_route_if_the_setting_is_on() -> None:
    """one of the route that the path matches while it is answered, none afterwards"""
    app = shop()
    during = []

    @app.middleware("http")
    async def look(request: Request, call_next: Any) -> Any:
        response = await call_next(request)
        during.append((request.url.path, {route: value for route, value in by_route(observed).items() if value}))
        return response

    switched_on = {"active_requests_by_route": True, "excluded_routes": ["/broken"]}
    observed = Observed(app, parse_settings({"http": switched_on, "logging": {"enabled": False}}))
    paths = ("/items/7", "/items/3", "/v1/stores/7/shelves/3/boxes/2", "/none")
    observed.call(*(("GET", path) for path in (*paths, "/broken")))
    template = "/v1/stores/{store}/shelves/{shelf}/boxes/{box}"
    assert during == list(
        zip(paths, ({one: 1.0} for one in ("/items/{item}", "/items/{item}", template, "")), strict=True)
    )
    assert by_route(observed) == {"/items/{item}": 0.0, template: 0.0, "": 0.0}
    assert observed.active() == {"GET": 0.0}


def by_route(observed: Observed) -> dict[str, float]:
    rows = (row for row in observed.store.series() if row.metric is HTTP_SERVER_ACTIVE_REQUESTS_BY_ROUTE)
    return {row.labels[0]: row.slots[0] for row in rows}


def test_active_requests_are_not_counted_by_route_unless_the_setting_is_on() -> None:
    """nothing"""
    observed = Observed(shop())
    observed.call(("GET", "/items/7"))
    assert by_route(observed) == {}


def test_active_requests_fall_before_a_background_task_and_the_end_of_a_dependency() -> None:
    """none, once the response was sent"""
    app = FastAPI()
    during = []

    async def opened() -> AsyncIterator[None]:
        yield
        during.append(("the end of the dependency", observed.active()))

    async def task() -> None:
        during.append(("the background task", observed.active()))

    @app.get("/", dependencies=[Depends(opened)])
    async def look(tasks: BackgroundTasks) -> str:
        during.append(("the handler", observed.active()))
        tasks.add_task(task)
        return "now"

    observed = Observed(app)
    observed.call(("GET", "/"))
    ends_early = tuple(map(int, version("fastapi").split(".")[:2])) < (0, 118)  # before the response is sent
    assert sorted(during) == [
        ("the background task", {"GET": 0.0}),
        ("the end of the dependency", {"GET": float(ends_early)}),
        ("the handler", {"GET": 1.0}),
    ]
    assert observed.active() == {"GET": 0.0}


def test_active_requests_fall_once_the_content_length_is_sent() -> None:
    """none, though the last message is still to come"""
    during = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        del scope, receive
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"7")]})
        for part in (b"four", b"six"):
            await send({"type": "http.response.body", "body": part, "more_body": True})
            during.append(observed.active())
        await send({"type": "http.response.body"})

    observed = Observed(app)
    observed.call(("GET", "/"))
    assert during == [{"GET": 1.0}, {"GET": 0.0}]
    assert observed.active() == {"GET": 0.0}


# --- Requests that are not counted ------------------------------------------------------------------------------------


def test_reading_the_page() -> None:
    observed = Observed(shop())
    observed.call(("GET", "/metrics"), ("HEAD", "/metrics"))
    assert observed.counted() == {}


def test_a_template_of_excluded_routes_leaves_no_active_request() -> None:
    observed = Observed(shop(), parse_settings({"http": {"excluded_routes": ["/items/{item}"]}}))
    observed.call(("GET", "/items/1"))
    assert observed.counted() == {}
    assert observed.active() == {"GET": 0.0}


EXCLUDED = parse_settings({
    "http": {"excluded_routes": ["/v1/*", "/items/*"]}, "logging": {"enabled": False, "correlation_id": False}
})  # fmt: skip
EXCLUDED_ROUTES = RoutePatterns(EXCLUDED.http.excluded_routes)


def test_a_pattern_of_excluded_routes() -> None:
    """nothing: no count, no active request, no series at 0"""
    observed = Observed(shop(), EXCLUDED)
    responses = observed.call(("GET", "/v1/stores/7/shelves/3/boxes/4"), ("GET", "/v1/none"), ("GET", "/items/2"))
    assert [response.status_code for response in responses] == [200, 404, 200]
    assert observed.counted() == {}
    observed.call(("GET", "/broken"))
    assert observed.counted() == {("GET", "/broken", "500", "500"): 1}
    born = {row.labels[1] for row in observed.store.series() if row.metric is HTTP_SERVER_REQUEST_DURATION}
    assert "/broken" in born
    assert not any(template in EXCLUDED_ROUTES for template in born)


def test_a_pattern_of_excluded_routes_and_a_bare_app_by_path() -> None:
    """nothing"""
    observed = Observed(PlainTextResponse("here"), EXCLUDED)
    observed.call(("GET", "/v1/x"), ("GET", "/v2/x"))
    assert observed.counted() == {("GET", "", "200", ""): 1}


def test_a_pattern_of_excluded_routes_and_a_middleware_that_changes_the_path() -> None:
    """nothing: the route that answered is excluded"""

    class Rewriting:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            scope["path"] = scope["path"].replace("/things/", "/items/")
            await self.app(scope, receive, send)

    app = shop()
    app.add_middleware(Rewriting)
    observed = Observed(app, EXCLUDED)
    assert observed.call(("GET", "/things/7"))[0].json() == 7
    assert observed.counted() == {}


# --- Installing -------------------------------------------------------------------------------------------------------


def test_instrumenting_twice_counts_once() -> None:
    observed = Observed(shop())
    assert observed.again(observed.app).app is observed.app
    observed.call(("GET", "/items/1"))
    assert observed.counted() == {("GET", "/items/{item}", "200", ""): 1}


def test_an_instrumented_app_mounted_in_an_instrumented_one_counts_once_by_its_full_template() -> None:
    outer = FastAPI()
    observed = Observed(outer)
    outer.mount("/tenants/{tenant}", observed.again(shop()).app)
    observed.call(("GET", "/tenants/acme/items/7"), ("GET", "/tenants/acme/none"))
    assert observed.counted() == {
        ("GET", "/tenants/{tenant}/items/{item}", "200", ""): 1,
        ("GET", "", "404", ""): 1,
    }


def test_two_apps_in_one_process_each_count_right_and_the_page_has_their_sum() -> None:
    first, other = Observed(shop()), FastAPI()
    other.add_api_route("/other/{x}", lambda x: x)
    others = [first.again(app) for app in (shop(), other)]
    first.call(*[("GET", "/items/1")] * 3)
    others[0].call(*[("GET", "/items/1")] * 4)
    others[1].call(("GET", "/other/1"))
    assert first.counted() == {("GET", "/items/{item}", "200", ""): 7, ("GET", "/other/{x}", "200", ""): 1}


def test_an_app_that_was_built_already_can_be_instrumented() -> None:
    app = shop()
    asyncio.run(_get(app, "/items/1"))
    observed = Observed(app)
    observed.call(("GET", "/items/1"))
    assert observed.counted() == {("GET", "/items/{item}", "200", ""): 1}


def test_an_instrumented_app_is_still_what_it_was() -> None:
    """its class has the same name, and other apps keep theirs"""
    app = shop()
    Observed(app)
    assert isinstance(app, FastAPI)
    assert (type(app).__name__, type(app).__module__) == ("FastAPI", FastAPI.__module__)
    assert app.middleware_stack is None
    assert type(shop()) is FastAPI


def test_middleware_added_afterwards_is_inside() -> None:
    app = shop()
    observed = Observed(app)

    @app.middleware("http")
    async def teapot(request: object, call_next: object) -> PlainTextResponse:
        del request, call_next
        return PlainTextResponse("teapot", 418)

    observed.call(("GET", "/items/1"))
    assert observed.counted() == {("GET", "/items/{item}", "418", ""): 1}


def test_an_app_that_is_deleted() -> None:
    """its counts stay; all its memory is freed"""
    observed = Observed(shop())
    observed.call(("GET", "/items/1"))
    gone = weakref.ref(observed.app)
    observed.app = None
    gc.collect()
    assert gone() is None
    assert observed.counted() == {("GET", "/items/{item}", "200", ""): 1}


def test_requests_of_other_threads_are_in_the_sum() -> None:
    observed = Observed(shop())

    def ask(times: int) -> None:
        observed.call(*[("GET", "/items/1")] * times)

    async def all_at_once() -> None:
        await asyncio.gather(*(asyncio.to_thread(ask, times) for times in (3, 7, 11)))

    asyncio.run(all_at_once())
    assert observed.counted() == {("GET", "/items/{item}", "200", ""): 21}


def test_a_function_is_returned_wrapped_and_has_no_templates() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        del scope, receive
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    observed = Observed(app)
    assert observed.app.app is app
    assert observed.again(observed.app).app is observed.app
    observed.call(("PUT", "/anything"))
    assert observed.counted() == {("PUT", "", "204", ""): 1}


def test_an_object_that_is_not_an_app() -> None:
    """`instrument()` raises an `InstrumentationError`"""
    with pytest.raises(InstrumentationError, match="instrument\\(\\) got 'app:app'; give the ASGI or WSGI app"):
        instrumentation.instrument("app:app")


# --- The page ---------------------------------------------------------------------------------------------------------


def test_the_500_of_every_known_route_exists_before_it_happens() -> None:
    """at 0, from the start of the app on"""
    observed = Observed(shop())
    observed.page()
    born = {row.labels for row in observed.store.series() if row.metric is HTTP_SERVER_REQUEST_DURATION}
    assert ("GET", "/v1/stores/{store}/shelves/{shelf}/boxes/{box}", "500", "500") in born
    assert observed.counted() == {}


def test_the_page_is_what_a_prometheus_client_can_parse() -> None:
    """a histogram whose bucket edges hold the thresholds"""
    observed = Observed(shop())
    observed.call(("GET", "/items/1"), ("GET", "/broken"))
    families = {family.name: family for family in text_string_to_metric_families(observed.page().text)}
    samples = families["http_server_request_duration_seconds"].samples
    counts = {
        sample.labels["http_route"]: sample.value
        for sample in samples
        if sample.name.endswith("_count") and sample.value
    }
    assert counts == {"/items/{item}": 1.0, "/broken": 1.0}
    edges = {sample.labels["le"] for sample in samples if sample.name.endswith("_bucket")}
    assert {"0.5", "1.0", "+Inf"} <= edges


def test_openmetrics_is_served_to_readers_that_accept_it() -> None:
    """otherwise the text format"""
    observed = Observed(shop())
    page = observed.page("application/openmetrics-text; version=1.0.0")
    assert page.headers["content-type"].startswith("application/openmetrics-text")
    assert page.text.endswith("# EOF\n")
    assert observed.page().headers["content-type"].startswith("text/plain")


def test_the_page_says_which_service_and_version_this_is() -> None:
    """`target_info`"""
    settings = parse_settings({"service": {"name": "shop", "version": "1.2.3", "environment": "staging"}})
    page = Observed(shop(), settings).page().text
    assert 'target_info{deployment_environment_name="staging",service_name="shop",service_version="1.2.3"} 1.0' in page


def test_your_own_metrics_are_on_the_same_page() -> None:
    """the metrics of prometheus_client's registry"""
    observed = Observed(shop())
    Counter("coffee_cups", "Cups.", registry=observed.registry).inc(7)
    assert "coffee_cups_total 7.0" in observed.page().text


def test_a_path_for_the_page_that_the_app_serves_itself() -> None:
    """not counted; the app's page stays"""
    app = FastAPI()
    app.add_api_route("/metrics", lambda: "mine")
    observed = Observed(app)
    assert observed.page().json() == "mine"
    assert observed.counted() == {}


def test_a_path_for_the_page_that_accepts_other_methods_than_get() -> None:
    """counted as any other route; the page is answered to GET"""
    app = FastAPI()
    app.add_api_route("/metrics", lambda: "taken", methods=["POST"])
    observed = Observed(app)
    assert observed.page().text.startswith("# HELP")
    observed.call(("POST", "/metrics"))
    assert observed.counted() == {("POST", "/metrics", "200", ""): 1}


def test_without_a_path_there_is_no_page() -> None:
    """the app answers, with `404` as a rule"""
    assert Observed(shop(), parse_settings({"metrics": {"path": None}})).page().status_code == 404


# --- Errors in Sidelight ----------------------------------------------------------------------------------------------


class Failing(LocalStore):
    """A store that has no room from some moment on."""

    is_full = False

    def place(self, metric: Metric, labels: tuple[str, ...], shard: int = 0) -> int:
        if self.is_full:
            raise MemoryError
        return super().place(metric, labels, shard)


class Unreadable:
    """What somebody put into a scope, and nobody can read."""

    def __getattr__(self, name: str) -> None:
        raise RuntimeError(name)


def test_a_request_that_cannot_be_counted(caplog: pytest.LogCaptureFixture) -> None:
    """logged once; what is answered does not change"""
    store = Failing()
    observed = Observed(shop(), store=store)
    observed.call(("GET", "/broken"))
    store.is_full = True
    with caplog.at_level(logging.ERROR, logger="instrumentation"):
        responses = observed.call(("GET", "/items/1"), ("GET", "/items/2"))
    assert [response.json() for response in responses] == [1, 2]
    assert len(caplog.records) == 1


def test_a_scope_that_cannot_be_read(caplog: pytest.LogCaptureFixture) -> None:
    """logged once; what is answered does not change"""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope["route"] = Unreadable()
        await PlainTextResponse("here")(scope, receive, send)

    with caplog.at_level(logging.ERROR, logger="instrumentation"):
        responses = Observed(app).call(("GET", "/"), ("GET", "/"))
    assert [response.text for response in responses] == ["here", "here"]
    assert len(caplog.records) == 1
