"""The cases that tables of behaviours forget; docs/reference/behaviours.md is made from these names."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import PlainTextResponse, StreamingResponse
from fastapi.routing import APIRoute
from fastapi.staticfiles import StaticFiles
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.routing import Host, Mount, Route, Router

from tests.unit.instrumentation.test_http import Observed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


async def here(_: object) -> PlainTextResponse:
    return PlainTextResponse("here")


def deep() -> FastAPI:
    leaf = APIRouter(prefix="/c/{c}")
    leaf.add_api_route("/leaf", lambda: "leaf", methods=["GET", "POST"])
    branch = APIRouter(prefix="/b/{b}")
    branch.include_router(leaf)
    trunk = APIRouter(prefix="/a")
    trunk.include_router(branch)
    app = FastAPI()
    app.include_router(trunk, prefix="/v1")
    return app


def mounted() -> FastAPI:
    app = FastAPI()
    app.mount("/tenants/{tenant}", deep())
    return app


def starlette_mounted() -> Starlette:
    inner = Starlette(routes=[Route("/pages/{page:int}", here)])
    return Starlette(
        routes=[Mount("/sites/{site}", app=inner), Host("api.example", app=Router([Route("/x/{y}", here)]))]
    )


def added() -> FastAPI:
    app = FastAPI()
    app.add_route("/plain/{name}", here, methods=["GET", "HEAD", "OPTIONS"])
    app.add_api_route("/slash/", lambda: "slash")
    return app


def custom_route() -> FastAPI:
    class Timed(APIRoute):
        pass

    router = APIRouter(prefix="/timed", route_class=Timed)
    router.add_api_route("/{x}", lambda x: x)
    app = FastAPI()
    app.include_router(router)
    return app


class Copying:
    """A middleware that hands on a copy of the scope, as some do."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._app(dict(scope), receive, send)


class Refusing:
    """A middleware that answers by itself."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await PlainTextResponse("no", 401)(scope, receive, send)


class Failing:
    """A middleware with a fault."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        del scope, receive, send
        raise RuntimeError("middleware")


def within(middleware: type) -> FastAPI:
    app = deep()
    app.add_middleware(middleware)
    return app


def based() -> FastAPI:
    app = deep()

    async def dispatch(request: Request, call_next: Any) -> Any:
        return await call_next(request)

    app.add_middleware(BaseHTTPMiddleware, dispatch=dispatch)
    return app


DEEP = "/v1/a/b/{b}/c/{c}/leaf"
CASES: dict[str, tuple[Any, str, str, tuple[str, str, str, str]]] = {
    "five levels of routers: every prefix": (deep, "GET", "/v1/a/b/1/c/2/leaf", ("GET", DEEP, "200", "")),
    "another method of a nested route: 405 with its template": (
        deep, "DELETE", "/v1/a/b/1/c/2/leaf", ("DELETE", DEEP, "405", "")
    ),
    "a mounted app with a parameter in the mount's path": (
        mounted, "GET", "/tenants/acme/v1/a/b/1/c/2/leaf", ("GET", "/tenants/{tenant}" + DEEP, "200", "")
    ),
    "a path that no route of a mounted app matches: empty": (mounted, "GET", "/tenants/acme/none", ("GET", "", "404", "")),
    "Starlette in Starlette": (
        starlette_mounted, "GET", "/sites/7/pages/3", ("GET", "/sites/{site}/pages/{page}", "200", "")
    ),
    "a route added to FastAPI by add_route": (added, "GET", "/plain/x", ("GET", "/plain/{name}", "200", "")),
    "HEAD": (added, "HEAD", "/plain/x", ("HEAD", "/plain/{name}", "200", "")),
    "OPTIONS": (added, "OPTIONS", "/plain/x", ("OPTIONS", "/plain/{name}", "200", "")),
    "a redirect to the path with a slash: no route": (added, "GET", "/slash", ("GET", "", "307", "")),
    "a route class of the user's own": (custom_route, "GET", "/timed/7", ("GET", "/timed/{x}", "200", "")),
    "a middleware that copies the scope": (
        lambda: within(Copying), "GET", "/v1/a/b/1/c/2/leaf", ("GET", DEEP, "200", "")
    ),
    "a middleware that copies the scope, and no route": (lambda: within(Copying), "GET", "/x", ("GET", "", "404", "")),
    "a middleware that answers by itself": (
        lambda: within(Refusing), "POST", "/v1/a/b/1/c/2/leaf", ("POST", DEEP, "401", "")
    ),
    "an exception in a middleware": (
        lambda: within(Failing), "GET", "/v1/a/b/1/c/2/leaf", ("GET", DEEP, "500", "500")
    ),
    "BaseHTTPMiddleware": (based, "GET", "/v1/a/b/1/c/2/leaf", ("GET", DEEP, "200", "")),
}  # fmt: skip


@pytest.mark.parametrize(("make", "method", "path", "labels"), CASES.values(), ids=CASES)
def test_counted_once_as(make: Any, method: str, path: str, labels: tuple[str, str, str, str]) -> None:
    observed = Observed(make())
    observed.call((method, path))
    assert observed.counted() == {labels: 1}


def test_static_files_are_their_mount_never_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.css").write_text("a")
    app = FastAPI()
    app.mount("/static", StaticFiles(directory=tmp_path))
    observed = Observed(app)
    observed.call(("GET", "/static/a.css"), ("GET", "/static/none.css"), ("GET", "/none"))
    assert observed.counted() == {
        ("GET", "/static/{path}", "200", ""): 1,
        ("GET", "/static/{path}", "404", ""): 1,
        ("GET", "", "404", ""): 1,
    }


def test_a_route_added_while_the_service_runs_has_its_template() -> None:
    app = FastAPI()
    observed = Observed(app)
    observed.call(("GET", "/late/1"))
    app.add_api_route("/late/{x}", lambda x: x)
    observed.call(("GET", "/late/2"))
    assert observed.counted() == {("GET", "", "404", ""): 1, ("GET", "/late/{x}", "200", ""): 1}


def scope(path: str, **more: Any) -> dict[str, Any]:
    return {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "path": path,
        "raw_path": path.encode(), "root_path": "", "scheme": "http", "query_string": b"", "headers": [],
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80), **more,
    }  # fmt: skip


class Client:
    """The other side of an ASGI app, which may go away."""

    def __init__(self, *received: dict[str, Any], disconnected: bool = False) -> None:
        self.disconnected = disconnected  # as uvicorn's own send carries it
        self.sent: list[dict[str, Any]] = []
        self._received = list(received)

    async def receive(self) -> dict[str, Any]:
        if self._received:
            return self._received.pop(0)
        await asyncio.Event().wait()
        raise AssertionError

    async def send(self, message: dict[str, Any]) -> None:
        self.sent.append(message)

    def call(self, observed: Observed, asked: dict[str, Any]) -> None:
        asyncio.run(asyncio.wait_for(observed.app(asked, self.receive, self.send), 10))


REQUEST = {"type": "http.request", "body": b"", "more_body": False}
GONE = {"type": "http.disconnect"}


def test_a_client_that_goes_away_before_the_response_is_499_and_no_error() -> None:
    app = FastAPI()
    app.add_api_route("/", lambda: "too late")
    observed = Observed(app)
    Client(REQUEST, disconnected=True).call(observed, scope("/"))
    assert observed.counted() == {("GET", "/", "499", ""): 1}


def test_a_client_that_goes_away_during_a_stream_is_499_and_no_error() -> None:
    app = FastAPI()

    async def endless() -> AsyncIterator[str]:
        while True:
            yield "part"
            await asyncio.sleep(0)

    app.add_api_route("/", lambda: StreamingResponse(endless()))
    observed = Observed(app)
    Client(REQUEST, GONE).call(observed, scope("/"))
    assert observed.counted() == {("GET", "/", "499", ""): 1}


def test_a_client_that_goes_away_after_the_last_byte_has_been_answered() -> None:
    app = FastAPI()

    @app.get("/")
    async def read(request: Request) -> str:
        return str(await request.body())

    observed = Observed(app)
    Client(REQUEST, GONE).call(observed, scope("/"))
    assert observed.counted() == {("GET", "/", "200", ""): 1}


def test_the_root_path_of_a_proxy_is_no_part_of_the_template_and_the_page_is_found() -> None:
    observed = Observed(deep())
    client = Client(REQUEST)
    client.call(observed, scope("/api/v1/a/b/1/c/2/leaf", root_path="/api"))
    assert observed.counted() == {("GET", DEEP, "200", ""): 1}
    page = Client(REQUEST)
    page.call(observed, scope("/api/metrics", root_path="/api"))
    assert page.sent[0]["status"] == 200
    assert b"http_server_request_duration" in page.sent[1]["body"]


def bare(*messages: dict[str, Any], error: BaseException | None = None) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        del scope, receive
        for message in messages:
            await send(dict(message))
        if error is not None:
            raise error

    return app


START = {"type": "http.response.start", "status": 200, "headers": []}
MORE = {"type": "http.response.body", "body": b"a", "more_body": True}
END = {"type": "http.response.body", "body": b"b"}
RAW: dict[str, tuple[tuple[dict[str, Any], ...], tuple[str, str]]] = {
    "a whole response": ((START, MORE, END), ("200", "")),
    "no response at all: the server answers 500": ((), ("500", "500")),
    "a start and no body: broken off": ((START,), ("200", "response_aborted")),
    "a body without its end: broken off": ((START, MORE), ("200", "response_aborted")),
    "trailers end a response": (
        ({**START, "trailers": True}, END, {"type": "http.response.trailers", "headers": []}), ("200", "")
    ),
    "announced trailers that never come: broken off": (({**START, "trailers": True}, END), ("200", "response_aborted")),
    "a file sent by the server": ((START, {"type": "http.response.pathsend", "path": "/x"}), ("200", "")),
    "early hints before the response": (
        ({"type": "http.response.debug"}, START, END), ("200", "")
    ),
    "a status given as an enum": (({**START, "status": HTTPStatus.BAD_GATEWAY}, END), ("502", "502")),
    "headers that are no headers": (({**START, "headers": [(b"content-length", b"many")]}, END), ("200", "")),
}  # fmt: skip


@pytest.mark.parametrize(("messages", "labels"), RAW.values(), ids=RAW)
def test_messages_of_a_bare_app_count_as(messages: tuple[dict[str, Any], ...], labels: tuple[str, str]) -> None:
    observed = Observed(bare(*messages))
    client = Client()
    client.call(observed, scope("/"))
    assert observed.counted() == {("GET", "", *labels): 1}
    assert client.sent == list(messages)


def test_a_fault_after_the_response_is_not_the_responses() -> None:
    observed = Observed(bare(START, END, error=ValueError("background")))
    with pytest.raises(ValueError, match="background"):
        Client().call(observed, scope("/"))
    assert observed.counted() == {("GET", "", "200", ""): 1}


def test_websocket_and_lifespan_are_no_requests() -> None:
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        del receive, send
        seen.append(scope["type"])

    observed = Observed(app)
    for kind in ("lifespan", "websocket"):
        Client().call(observed, {"type": kind, "path": "/"})
    assert seen == ["lifespan", "websocket"]
    assert observed.counted() == {}


def test_another_threads_requests_are_in_the_sum() -> None:
    observed = Observed(deep())

    def ask(times: int) -> None:
        observed.call(*[("GET", "/v1/a/b/1/c/2/leaf")] * times)

    async def both() -> None:
        await asyncio.gather(*(asyncio.to_thread(ask, times) for times in (3, 7, 11)))

    asyncio.run(both())
    assert observed.counted() == {("GET", DEEP, "200", ""): 21}


def test_an_instance_of_middleware_in_the_constructor_is_inside_too() -> None:
    app = Starlette(routes=[Route("/x/{y}", here)], middleware=[Middleware(Copying)])
    observed = Observed(app)
    observed.call(("GET", "/x/1"))
    assert observed.counted() == {("GET", "/x/{y}", "200", ""): 1}
