"""Paths and templates invented by clients or routers do not grow memory or the number of series."""

from __future__ import annotations

import asyncio
import functools
import gc
import random
import sys
import threading
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import APIRouter, FastAPI, WebSocket
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.routing import Route

from instrumentation.catalog import HTTP_SERVER_REQUEST_DURATION, WEBSOCKET_SERVER_ACTIVE_CONNECTIONS
from instrumentation.settings import parse_settings
from instrumentation.store import OVERFLOW
from tests.unit.instrumentation.test_http import Observed, shop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from instrumentation.catalog import Metric

pytestmark = pytest.mark.serial  # what other tests leave running would be counted as memory

MANY = 500_000  # on each of the two request paths: a million in all
SOME = 10_000  # where each costs more
WARM = 2_000
FEW = 500  # where every allocation is traced
LIMIT = 50
FEW_BLOCKS = 100  # of memory; one for each request would be thousands
FEW_BYTES = 10 * FEW

ASGI, SERVER = {"version": "3.0"}, ("127.0.0.1", 80)
START = {"type": "http.response.start", "status": 404, "headers": []}
END = {"type": "http.response.body", "body": b""}


async def bare_service(scope: Any, receive: Any, send: Any) -> None:
    del receive
    if scope["type"] == "http":
        await send(START)
        await send(END)
    else:
        await send({"type": "websocket.accept"})


def service() -> FastAPI:
    async def talk(socket: WebSocket) -> None:
        await socket.accept()

    rooms = APIRouter(prefix="/rooms/{room}")
    rooms.add_api_websocket_route("/talk", talk)
    app = shop()
    app.include_router(rooms)
    return app


class Page(HTTPEndpoint):
    """Known to an app, and never asked for."""


class OwnRouter:
    """A router that makes up what it leaves in a scope, from the path."""

    def __init__(self, leaves: Callable[[str], dict[str, Any]]) -> None:
        self._leaves = leaves

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        scope.update(self._leaves(scope["path"]))
        await bare_service(scope, receive, send)


class Made:
    def __init__(self, path: str) -> None:
        self.path = path


def made_up(times: int, kind: str = "http", path: str = "/{}") -> Iterator[dict[str, Any]]:
    """Requests of which none is like another: method, path, host, headers and client are random."""
    chance = random.Random(times)
    for _ in range(times):
        word = str(chance.getrandbits(64))
        some = word.encode()
        yield {
            "type": kind, "asgi": ASGI, "http_version": "1.1", "method": word, "path": path.format(word), "raw_path": some,
            "root_path": "", "scheme": "http", "query_string": some, "subprotocols": [],
            "headers": [(b"host", some), (some, some)], "client": (word, 1), "server": SERVER,
        }  # fmt: skip


async def receive() -> dict[str, Any]:
    return {"type": "http.request"}


async def connect() -> dict[str, Any]:
    return {"type": "websocket.connect"}


async def send(_: Any) -> None:
    pass


def ask(observed: Observed, scopes: Iterator[dict[str, Any]]) -> None:
    async def run() -> None:
        for scope in scopes:
            await observed.app(scope, connect if scope["type"] == "websocket" else receive, send)

    asyncio.run(run())


def blocks() -> int:
    gc.collect()
    return sys.getallocatedblocks()


def traced() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def held(observed: Observed) -> tuple[int, int]:
    """How many series there are, and how many numbers are kept for them."""
    return len(list(observed.store.series())), len(observed.store.buffer)  # type: ignore[arg-type]


def routes(observed: Observed, metric: Metric) -> set[str]:
    place = metric.labels.index("http_route")
    return {row.labels[place] for row in observed.store.series() if row.metric is metric}


def limited(app: Any) -> Observed:
    return Observed(app, parse_settings({"metrics": {"series_limit": LIMIT}}))


# --- Limits -----------------------------------------------------------------------------------------------------------


def test_a_million_requests_with_made_up_paths_methods_hosts_and_headers() -> None:
    """one series, `_OTHER "" 404`; memory stays where it was"""
    observed = Observed(bare_service)
    ask(observed, made_up(WARM))
    before, was = held(observed), blocks()
    ask(observed, made_up(MANY))
    assert blocks() - was < FEW_BLOCKS
    assert held(observed) == before
    assert observed.counted() == {("_OTHER", "", "404", ""): WARM + MANY}


@pytest.mark.parametrize("path", ["/{}", "/items/{}", "/v1/stores/{0}/shelves/{0}/boxes/{0}"])
def test_made_up_paths_of_fastapi(path: str) -> None:
    """one series for each template; memory stays where it was"""
    observed = Observed(service())
    ask(observed, made_up(WARM, path=path))
    before, was = held(observed), blocks()
    ask(observed, made_up(SOME // 3, path=path))
    assert blocks() - was < FEW_BLOCKS
    assert held(observed) == before


@pytest.mark.parametrize(
    ("make", "path", "route"),
    [(lambda: bare_service, "/{}", ""), (service, "/rooms/{}/talk", "/rooms/{room}/talk")],
    ids=["a bare app", "FastAPI"],
)
def test_websockets_on_made_up_paths(make: Callable[[], Any], path: str, route: str) -> None:
    """one series for each template; memory stays where it was"""
    observed = Observed(make())
    ask(observed, made_up(WARM, "websocket", path))
    before, was = held(observed), blocks()
    ask(observed, made_up(SOME // 4, "websocket", path))
    assert blocks() - was < FEW_BLOCKS
    assert held(observed) == before
    assert routes(observed, WEBSOCKET_SERVER_ACTIVE_CONNECTIONS) == {route}


@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_templates_that_a_router_of_your_own_makes_up(kind: str) -> None:
    """beyond `metrics.series_limit` one series of the route `_OVERFLOW`; `sidelight_series_folded_total` counts how often"""
    observed = limited(OwnRouter(lambda path: {"route": Made(path)}))
    ask(observed, made_up(WARM, kind))
    before, was, folded = held(observed), blocks(), observed.store.folded
    ask(observed, made_up(SOME, kind))
    assert blocks() - was < FEW_BLOCKS + 10 * LIMIT  # the recorder remembers the last templates
    assert held(observed) == before
    assert before[0] <= LIMIT + 2
    assert observed.store.folded - folded >= SOME
    assert f"sidelight_series_folded_total {observed.store.folded}.0" in observed.page().text
    metric = HTTP_SERVER_REQUEST_DURATION if kind == "http" else WEBSOCKET_SERVER_ACTIVE_CONNECTIONS
    assert OVERFLOW in routes(observed, metric)
    if kind == "http":
        assert sum(observed.counted().values()) == WARM + SOME


def test_endpoints_that_a_router_of_your_own_makes_up() -> None:
    """one series without a route; memory stays where it was"""
    observed = Observed(OwnRouter(lambda path: {"endpoint": functools.partial(bare_service, path)}))
    ask(observed, made_up(WARM))
    before, was = held(observed), blocks()
    ask(observed, made_up(SOME))
    assert blocks() - was < FEW_BLOCKS
    assert held(observed) == before


def test_a_great_many_routes_of_the_app() -> None:
    """their series at 0 take half of `metrics.series_limit` at most"""
    app = FastAPI()
    for number in range(2 * LIMIT):
        app.add_api_route(f"/{number}", lambda: None)
    observed = limited(app)
    observed.page()
    assert len(routes(observed, HTTP_SERVER_REQUEST_DURATION)) == LIMIT // 2


def test_hundreds_of_threads_one_after_the_other() -> None:
    """the memory of one thread: a new thread continues the counts of one that has ended"""
    observed, alone = Observed(bare_service), Observed(bare_service)
    ask(alone, made_up(1))
    idents = set()
    try:
        for number in range(300):
            threading.stack_size((number + 8) * 4096)  # otherwise the system reuses the ident too, which is an address
            thread = threading.Thread(target=ask, args=(observed, made_up(1)))
            thread.start()
            idents.add(thread.ident)
            thread.join()
    finally:
        threading.stack_size(0)
    assert len(idents) > 50
    assert observed.counted() == {("_OTHER", "", "404", ""): 300}
    assert held(observed)[0] == held(alone)[0]
    assert held(observed)[1] <= 3 * held(alone)[1]


def test_apps_that_are_deleted() -> None:
    """all their memory is freed"""
    first = Observed(bare_service)

    def come_and_go(times: int) -> None:
        for _ in range(times):  # not FastAPI, which itself remembers the functions that it has seen
            ask(first.again(Starlette(routes=[Route("/", Page)])), made_up(1))
        for thread in threading.enumerate():
            if thread.name == "sidelight-check":  # it looks through every module, if a test has made handles of signals
                thread.join(30)

    def growth() -> int:
        was = blocks()
        come_and_go(FEW_BLOCKS)
        return blocks() - was

    come_and_go(50)
    before = held(first)
    assert (
        min(growth(), growth()) < FEW_BLOCKS
    )  # a leak of one block for each app shows in both; caches fill in the first
    assert held(first) == before


def test_no_memory_is_kept_per_request() -> None:
    """the same number of bytes, with every allocation traced"""
    observed = Observed(service())
    ask(observed, made_up(WARM))
    tracemalloc.start()
    try:
        ask(observed, made_up(FEW))
        was = traced()
        ask(observed, made_up(FEW))
        assert traced() - was < FEW_BYTES
    finally:
        tracemalloc.stop()
