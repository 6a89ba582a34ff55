"""What a request counts as."""

from __future__ import annotations

import asyncio
import gc
import logging
import weakref
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from fastapi import APIRouter, BackgroundTasks, FastAPI, HTTPException
from fastapi.responses import PlainTextResponse, StreamingResponse
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route

import instrumentation
from instrumentation.catalog import HTTP_SERVER_REQUEST_DURATION
from instrumentation.errors import InstrumentationError
from instrumentation.settings import Settings, parse_settings
from instrumentation.store import LocalStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

Counted = dict[tuple[str, str, str, str], int]


class Observed:
    """An app instrumented with a store and a registry of its own, and a client that calls it."""

    def __init__(self, app: Any, settings: Settings | None = None) -> None:
        self.store = LocalStore()
        self.registry = CollectorRegistry()
        self.app = instrumentation.instrument(
            app, settings=settings or Settings(), store=self.store, registry=self.registry
        )

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

    @app.get("/teapot")
    def teapot() -> None:
        raise KeyError("teapot")

    @app.get("/unavailable")
    def unavailable() -> None:
        raise HTTPException(503)

    @app.exception_handler(KeyError)
    def answer(_: object, __: Exception) -> PlainTextResponse:
        return PlainTextResponse("teapot", 418)

    leaf = APIRouter(prefix="/shelves/{shelf}")

    @leaf.get("/boxes/{box}")
    async def box(shelf: int, box: int) -> int:
        return shelf + box

    branch = APIRouter(prefix="/stores/{store}")
    branch.include_router(leaf)
    app.include_router(branch, prefix="/v1")
    return app


CASES = {
    "a plain route": ("GET", "/items/7", 200, ("GET", "/items/{item}", "200", "")),
    "a nested router, every prefix": (
        "GET",
        "/v1/stores/1/shelves/2/boxes/3",
        200,
        ("GET", "/v1/stores/{store}/shelves/{shelf}/boxes/{box}", "200", ""),
    ),
    "input that does not validate": ("GET", "/items/seven", 422, ("GET", "/items/{item}", "422", "")),
    "an unhandled exception": ("GET", "/broken", 500, ("GET", "/broken", "500", "500")),
    "an exception with a handler: what the handler answers": ("GET", "/teapot", 418, ("GET", "/teapot", "418", "")),
    "an HTTPException: its status": ("GET", "/unavailable", 503, ("GET", "/unavailable", "503", "503")),
    "a path no route matches": ("GET", "/wp-login.php", 404, ("GET", "", "404", "")),
    "a method the route has not": ("DELETE", "/items/7", 405, ("DELETE", "/items/{item}", "405", "")),
    "a made-up method": ("BREW", "/items/7", 405, ("_OTHER", "/items/{item}", "405", "")),
}


@pytest.mark.parametrize(("method", "path", "status", "labels"), CASES.values(), ids=CASES)
def test_a_request_counts_once_as(method: str, path: str, status: int, labels: tuple[str, str, str, str]) -> None:
    observed = Observed(shop())
    (response,) = observed.call((method, path))
    assert response.status_code == status
    assert observed.counted() == {labels: 1}


def test_an_exception_handler_for_all_decides_what_is_counted() -> None:
    app = shop()

    @app.exception_handler(Exception)
    def answer(_: object, __: Exception) -> PlainTextResponse:
        return PlainTextResponse("not implemented", 501)

    observed = Observed(app)
    observed.call(("GET", "/broken"))
    assert observed.counted() == {("GET", "/broken", "501", "501"): 1}


def test_the_exception_goes_on_as_before() -> None:
    observed = Observed(shop())

    async def run() -> None:
        transport = httpx.ASGITransport(observed.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
            await client.get("/broken")

    with pytest.raises(RuntimeError, match="broken"):
        asyncio.run(run())


def test_instrumenting_twice_counts_once() -> None:
    observed = Observed(Observed(shop()).app)
    again = instrumentation.instrument(observed.app, store=observed.store, registry=observed.registry)
    assert again is observed.app
    first = Observed(shop())
    instrumentation.instrument(first.app, store=first.store, registry=first.registry)
    first.call(("GET", "/items/1"))
    assert first.counted() == {("GET", "/items/{item}", "200", ""): 1}


def test_an_instrumented_app_mounted_in_an_instrumented_one_counts_once_by_its_full_template() -> None:
    outer = FastAPI()
    observed = Observed(outer)
    inner = instrumentation.instrument(shop(), settings=Settings(), store=observed.store, registry=observed.registry)
    outer.mount("/tenants/{tenant}", inner)
    observed.call(("GET", "/tenants/acme/items/7"), ("GET", "/tenants/acme/none"))
    assert observed.counted() == {
        ("GET", "/tenants/{tenant}/items/{item}", "200", ""): 1,
        ("GET", "", "404", ""): 1,
    }


def test_two_apps_in_one_process_are_summed() -> None:
    store, registry = LocalStore(), CollectorRegistry()
    apps = [Observed(shop()) for _ in range(2)]
    for place, observed in enumerate(apps):
        fresh = instrumentation.instrument(shop(), settings=Settings(), store=store, registry=registry)
        observed.app, observed.store = fresh, store
        observed.call(*[("GET", "/items/1")] * (place + 3))
    assert apps[0].counted() == {("GET", "/items/{item}", "200", ""): 7}


def test_an_app_that_was_built_already_can_be_instrumented() -> None:
    app = shop()
    asyncio.run(_get(app, "/items/1"))
    observed = Observed(app)
    observed.call(("GET", "/items/1"))
    assert observed.counted() == {("GET", "/items/{item}", "200", ""): 1}


def test_an_instrumented_app_is_still_what_it_was() -> None:
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


def test_an_app_that_is_thrown_away_is_collected() -> None:
    app = shop()
    Observed(app).call(("GET", "/items/1"))
    gone = weakref.ref(app)
    del app
    gc.collect()
    assert gone() is None


async def _get(app: Any, path: str) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://shop") as client:
        return await client.get(path)


def test_starlette_alone_has_templates_too() -> None:
    async def page(_: object) -> PlainTextResponse:
        return PlainTextResponse("here")

    observed = Observed(Starlette(routes=[Route("/pages/{page}", page)]))
    observed.call(("GET", "/pages/7"), ("POST", "/pages/7"))
    assert observed.counted() == {
        ("GET", "/pages/{page}", "200", ""): 1,
        ("POST", "/pages/{page}", "405", ""): 1,
    }


def test_any_asgi_app_is_counted_without_a_template() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        del scope, receive
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    observed = Observed(app)
    assert observed.app.app is app
    observed.call(("PUT", "/anything"))
    assert observed.counted() == {("PUT", "", "204", ""): 1}


def test_background_tasks_are_no_latency() -> None:
    app = FastAPI()
    finished = []

    async def later() -> None:
        await asyncio.sleep(0.2)
        finished.append(True)

    @app.get("/")
    async def now(tasks: BackgroundTasks) -> str:
        tasks.add_task(later)
        return "now"

    observed = Observed(app)
    observed.call(("GET", "/"))
    assert finished
    assert observed.seconds() < 0.1


def test_a_stream_is_timed_to_its_last_byte() -> None:
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


def test_a_stream_that_breaks_off_is_an_error_with_the_status_that_was_sent() -> None:
    app = FastAPI()

    async def parts() -> AsyncIterator[str]:
        yield "part"
        raise RuntimeError("broken off")

    @app.get("/")
    def stream() -> StreamingResponse:
        return StreamingResponse(parts())

    observed = Observed(app)
    observed.call(("GET", "/"))
    assert observed.counted() == {("GET", "/", "200", "response_aborted"): 1}


def test_a_request_that_is_cancelled_is_499_and_no_error() -> None:
    app = FastAPI()
    started = asyncio.Event()

    @app.get("/")
    async def slow() -> None:
        started.set()
        await asyncio.Event().wait()

    observed = Observed(app)

    async def run() -> None:
        task = asyncio.ensure_future(_get(observed.app, "/"))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    assert observed.counted() == {("GET", "/", "499", ""): 1}


def test_active_requests_rise_and_fall() -> None:
    app = FastAPI()
    during = []

    @app.get("/")
    async def look() -> None:
        during.append(active())

    observed = Observed(app)

    def active() -> dict[str, float]:
        rows = (row for row in observed.store.series() if row.metric.name == "http_server_active_requests")
        return {row.labels[0]: row.slots[0] for row in rows}

    observed.call(("GET", "/"))
    assert during == [{"GET": 1.0}]
    assert active() == {"GET": 0.0}


def test_the_500_of_every_known_route_exists_before_it_happens() -> None:
    observed = Observed(shop())
    observed.page()
    born = {row.labels for row in observed.store.series() if row.metric is HTTP_SERVER_REQUEST_DURATION}
    assert ("GET", "/v1/stores/{store}/shelves/{shelf}/boxes/{box}", "500", "500") in born
    assert observed.counted() == {}


def test_a_great_many_routes_leave_half_of_the_series_limit_free() -> None:
    app = FastAPI()
    for number in range(30):
        app.add_api_route(f"/{number}", lambda: None)
    observed = Observed(app, parse_settings({"metrics": {"series_limit": 20}}))
    observed.page()
    assert sum(row.metric is HTTP_SERVER_REQUEST_DURATION for row in observed.store.series()) == 10


def test_a_million_paths_are_one_series() -> None:
    observed = Observed(shop())
    observed.call(*[("GET", f"/{number}/x") for number in range(300)])
    assert observed.counted() == {("GET", "", "404", ""): 300}


@pytest.mark.parametrize("path", ["/metrics", "/health"])
def test_what_watches_the_service_is_not_counted(path: str) -> None:
    app = shop()
    app.add_api_route("/health", lambda: "up")
    observed = Observed(app)
    observed.call(("GET", path))
    assert observed.counted() == {}


def test_an_excluded_template_is_not_counted_and_leaves_no_active_request() -> None:
    observed = Observed(shop(), parse_settings({"http": {"excluded_routes": ["/items/{item}"]}}))
    observed.call(("GET", "/items/1"))
    assert observed.counted() == {}
    assert 'http_server_active_requests{http_request_method="GET"} 0.0' in observed.page().text


def test_the_page_is_what_a_prometheus_client_can_parse() -> None:
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


def test_open_metrics_is_given_to_who_asks_for_it() -> None:
    observed = Observed(shop())
    page = observed.page("application/openmetrics-text; version=1.0.0")
    assert page.headers["content-type"].startswith("application/openmetrics-text")
    assert page.text.endswith("# EOF\n")
    assert observed.page().headers["content-type"].startswith("text/plain")


def test_the_page_says_which_service_and_version_this_is() -> None:
    settings = parse_settings({"service": {"name": "shop", "version": "1.2.3", "environment": "staging"}})
    page = Observed(shop(), settings).page().text
    assert 'target_info{deployment_environment_name="staging",service_name="shop",service_version="1.2.3"} 1.0' in page


def test_metrics_of_the_users_own_stand_on_the_same_page() -> None:
    observed = Observed(shop())
    Counter("coffee_cups", "Cups.", registry=observed.registry).inc(7)
    assert "coffee_cups_total 7.0" in observed.page().text


def test_a_path_that_the_app_serves_itself_is_refused() -> None:
    app = FastAPI()
    app.add_api_route("/metrics", lambda: "mine")
    with pytest.raises(InstrumentationError, match=r"^metrics\.path: /metrics is a route of the app already"):
        Observed(app)


def test_without_a_path_there_is_no_page() -> None:
    assert Observed(shop(), parse_settings({"metrics": {"path": None}})).page().status_code == 404


def test_what_is_no_app_is_refused() -> None:
    with pytest.raises(InstrumentationError, match="instrument\\(\\) got str; give an ASGI app"):
        instrumentation.instrument("app:app")


def test_a_fault_of_ours_is_logged_once_and_changes_nothing(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    observed = Observed(shop())

    monkeypatch.setattr("instrumentation.http.recorder.HttpRecorder.duration", None)
    with caplog.at_level(logging.ERROR, logger="instrumentation"):
        responses = observed.call(("GET", "/items/1"), ("GET", "/items/2"))
    assert [response.status_code for response in responses] == [200, 200]
    assert len(caplog.records) == 1


def test_an_inner_middleware_sees_its_own_messages_unchanged() -> None:
    seen = []

    class Watching:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            seen.append(scope["type"])
            await self.app(scope, receive, send)

    app = Starlette(routes=[Route("/", lambda _: PlainTextResponse("x"))], middleware=[Middleware(Watching)])
    Observed(app).call(("GET", "/"))
    assert seen == ["http"]
