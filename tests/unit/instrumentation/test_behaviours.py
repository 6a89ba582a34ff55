"""How each kind of request is counted: once, and without any change for the service.

docs/reference/behaviours.md is made from these names, by section; run ``make build`` after a change.
"""

from __future__ import annotations

import asyncio
import functools
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import FileResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse
from fastapi.routing import APIRoute
from fastapi.staticfiles import StaticFiles
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.endpoints import HTTPEndpoint
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.routing import Host, Mount, Route, Router

import instrumentation
from instrumentation.store import LocalStore
from tests.unit.instrumentation.test_http import Observed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping

HERE = Path(__file__)
RAN: list[str] = []
BROKEN = RuntimeError("broken")


def ran(what: str) -> str:
    RAN.append(what)
    return what


# One service, three times: on FastAPI, on Starlette without FastAPI, and without any framework.


async def item(request: Request) -> Response:
    del request
    return PlainTextResponse(ran("item"))


async def broken(request: Request) -> Response:
    del request
    ran("broken")
    raise BROKEN


async def gateway(request: Request) -> Response:
    del request
    return PlainTextResponse(ran("gateway"), HTTPStatus.BAD_GATEWAY)


async def moved(request: Request) -> Response:
    del request
    return RedirectResponse(ran("/items/1"))


async def parts(times: int) -> AsyncIterator[str]:
    for number in range(times):
        yield ran(f"data: {number}\n\n")
        await asyncio.sleep(0)


async def stream(request: Request) -> Response:
    del request
    return StreamingResponse(parts(3))


async def events(request: Request) -> Response:
    del request
    return StreamingResponse(parts(10**9), media_type="text/event-stream")


async def endless(request: Request) -> Response:
    del request
    return StreamingResponse(parts(10**9))


async def breaks(request: Request) -> Response:
    del request

    async def broken_off() -> AsyncIterator[str]:
        yield ran("part")
        raise BROKEN

    return StreamingResponse(broken_off())


async def later(request: Request) -> Response:
    del request

    async def fail() -> None:
        ran("task")
        raise BROKEN

    return PlainTextResponse("now", background=BackgroundTask(fail))


async def waits(request: Request) -> Response:
    del request
    ran("waits")
    await asyncio.Event().wait()
    raise AssertionError


async def upload(request: Request) -> Response:
    return PlainTextResponse(ran(f"{len(await request.body())} bytes"))


async def file(request: Request) -> Response:
    del request
    return FileResponse(HERE, background=BackgroundTask(ran, "file"))


ENDPOINTS = {
    "/items/{item}": item, "/broken": broken, "/gateway": gateway, "/moved": moved, "/stream": stream, "/events": events,
    "/endless": endless,
    "/breaks": breaks, "/later": later, "/waits": waits, "/upload": upload, "/file": file,
}  # fmt: skip


def fastapi_service() -> FastAPI:
    app = FastAPI()
    for template, endpoint in ENDPOINTS.items():
        app.add_api_route(template, endpoint, methods=["GET", "POST"])
    return app


def starlette_service() -> Starlette:
    return Starlette(routes=[Route(path, endpoint, methods=["GET", "POST"]) for path, endpoint in ENDPOINTS.items()])


def bare_service() -> Any:
    by_name = {template.split("/")[1]: endpoint for template, endpoint in ENDPOINTS.items()}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        endpoint = by_name.get(scope["path"].split("/")[1])
        response = PlainTextResponse("", 404) if endpoint is None else await endpoint(Request(scope, receive))
        await response(scope, receive, send)

    return app


SERVICES: dict[str, Callable[[], Any]] = {
    "FastAPI": fastapi_service, "Starlette": starlette_service, "a bare ASGI app": bare_service
}  # fmt: skip


# Apps for single cases.


async def here(_: object) -> PlainTextResponse:
    return PlainTextResponse(ran("here"))


def deep() -> FastAPI:
    leaf = APIRouter(prefix="/c/{c}")
    leaf.add_api_route("/leaf", lambda: ran("leaf"))
    branch = APIRouter(prefix="/b/{b}")
    branch.include_router(leaf)
    trunk = APIRouter(prefix="/a")
    trunk.include_router(branch)
    app = FastAPI()
    app.include_router(trunk, prefix="/v1")
    return app


def twice() -> FastAPI:
    router = APIRouter()
    router.add_api_route("/{what}", ran)
    app = FastAPI()
    app.include_router(router, prefix="/one")
    app.include_router(router, prefix="/two/{two}")
    return app


def mounted(inner: Any = None) -> FastAPI:
    app = FastAPI()
    app.mount("/tenants/{tenant}", inner or deep())
    return app


def sites() -> Starlette:
    pages = Starlette(routes=[Route("/pages/{page:int}", here), Route("/slash/", here)])
    rooms = Mount(
        "/rooms/{room}", routes=[Mount("/desks/{desk}", routes=[Route("/", here), Route("/pens/{pen}", here)])]
    )
    host = Host("api.example", app=Router([Route("/x/{y}", here)]))
    return Starlette(routes=[Mount("/sites/{site}", app=pages), rooms, host])


def added() -> FastAPI:
    app = FastAPI()
    app.add_route("/plain/{name}", here, methods=["GET", "HEAD", "OPTIONS"])
    app.add_api_route("/slash/", lambda: ran("slash"))
    app.add_api_route("/files/{what:path}", ran)
    app.add_api_route("/größe/{what}", ran)
    app.add_api_route("/health", lambda: ran("up"))
    app.mount("/static", StaticFiles(directory=HERE.parent))
    return app


def files() -> Starlette:
    return Starlette(routes=[Mount("/static", StaticFiles(directory=HERE.parent))])


def root_mounted() -> FastAPI:
    app = FastAPI()
    app.add_api_route("/x", lambda: ran("x"))
    app.mount("/", StaticFiles(directory=HERE.parent))
    return app


def behind_a_prefix() -> FastAPI:
    app = added()
    app.root_path = "/api"
    return app


def custom_route() -> FastAPI:
    class Timed(APIRoute):
        def get_route_handler(self) -> Any:
            handler = super().get_route_handler()

            async def timed(request: Request) -> Response:
                ran("timed")
                return await handler(request)

            return timed

    router = APIRouter(prefix="/timed", route_class=Timed)
    router.add_api_route("/{what}", ran)
    app = FastAPI()
    app.include_router(router)
    return app


def classes() -> Starlette:
    class Page(HTTPEndpoint):
        async def get(self, request: Request) -> Response:
            return await here(request)

    return Starlette(routes=[Route("/a/{a}", Page), Route("/b/{b}", functools.partial(here)), Route("/c/{c}", here),
                             Route("/d/{d}", here)])  # fmt: skip


def own_router() -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope["route"] = type("MyRoute", (), {"path": "/mine/{x}"})()
        await (await here(None))(scope, receive, send)

    return app


def failing() -> FastAPI:
    app = FastAPI()
    app.add_api_route("/number/{n}", number)
    app.add_api_route("/unavailable", unavailable)
    app.add_api_route("/teapot", teapot)
    app.add_api_route("/refused", item, dependencies=[Depends(unavailable)])
    app.add_exception_handler(KeyError, lambda *_: PlainTextResponse(ran("handler"), 418))
    return app


def number(n: int) -> int:
    ran("number")
    return n


def unavailable() -> None:
    ran("unavailable")
    raise HTTPException(503)


def teapot() -> None:
    ran("teapot")
    raise KeyError("teapot")


def caught(make: Callable[[], Any] = fastapi_service) -> Any:
    app = make()
    app.add_exception_handler(Exception, lambda *_: PlainTextResponse(ran("handler"), 501))
    return app


class Copying:
    """A middleware that passes on a copy of the scope, as some do."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._app(dict(scope), receive, send)


class Rewriting(Copying):
    """A middleware that serves an old path too."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            scope["path"] = scope["path"].replace("/v0/", "/v1/")
        await self._app(scope, receive, send)


class Refusing(Copying):
    """A middleware that answers by itself."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse(ran("no"), 401)(scope, receive, send)


class Failing(Copying):
    """A middleware with a fault."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        del scope, receive, send
        ran("failing")
        raise BROKEN


class Based(BaseHTTPMiddleware):
    """A middleware in Starlette's own style."""

    async def dispatch(self, request: Request, call_next: Any) -> Any:
        ran("based")
        if "x-fail" in request.headers:
            raise BROKEN
        return await call_next(request)


def within(middleware: Any, make: Callable[[], Any] = deep, **options: Any) -> Any:
    app = make()
    app.add_middleware(middleware, **options)
    return app


def bare(*messages: dict[str, Any]) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        del scope, receive
        for message in messages:
            await send(dict(message))

    return app


def sized(length: bytes, *messages: dict[str, Any], name: bytes = b"content-length", status: int = 200) -> Any:
    """A bare app that promises how long its body is."""
    return bare({**START, "status": status, "headers": [(b"x", b"y"), (name, length)]}, *messages)


def raising(error: BaseException, app: Any) -> Any:
    """An app that raises at its end."""

    async def raises(scope: Any, receive: Any, send: Any) -> None:
        await app(scope, receive, send)
        raise error

    return raises


START = {"type": "http.response.start", "status": 200, "headers": []}
MORE = {"type": "http.response.body", "body": b"a", "more_body": True}
END = {"type": "http.response.body", "body": b"b"}
NOTHING = {"type": "http.response.body", "body": b""}
TRAILED = {**START, "trailers": True}
TRAILERS = {"type": "http.response.trailers", "headers": [(b"checksum", b"7")]}
PATHSEND = {"type": "http.response.pathsend", "path": "/x"}
ZEROCOPY = {"type": "http.response.zerocopysend", "file": 7}
HINT = {"type": "http.response.early_hint", "links": [b"</a.css>"]}
REQUEST = {"type": "http.request", "body": b"", "more_body": False}
PART = {"type": "http.request", "body": b"a", "more_body": True}
GONE = {"type": "http.disconnect"}

GARBAGE = [(b"\xff\xfe", b"\x00\xe9"), (b"content-length", b"many"), (b"host", b"\xf0\x9f")]
PREFLIGHT = [(b"origin", b"https://a"), (b"access-control-request-method", b"GET")]


def scope(path: str, **more: Any) -> dict[str, Any]:
    return {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "path": path,
        "raw_path": path.encode(), "root_path": "", "scheme": "http", "query_string": b"", "headers": [],
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80), **more,
    }  # fmt: skip


class Client:
    """The other side of an ASGI app, which may go away.

    Attributes:
        sent: The messages that it was sent, until it went.
        heard: How often the app listened.
        error: What the app raised.
    """

    def __init__(self, *says: dict[str, Any], leaves: int | None = None) -> None:
        self.sent: list[dict[str, Any]] = []
        self.heard = 0
        self.error: BaseException | None = None
        self._says = list(says)
        self._leaves = leaves

    @property
    def is_gone(self) -> bool:
        return self._leaves is not None and len(self.sent) >= self._leaves

    @property
    def disconnected(self) -> bool:
        """What uvicorn knows of its client."""
        return self.is_gone

    async def receive(self) -> dict[str, Any]:
        self.heard += 1
        if self._says:
            return self._says.pop(0)
        if self._leaves is None:
            await asyncio.Event().wait()
        await until(lambda: self.is_gone)
        return GONE

    async def send(self, message: dict[str, Any]) -> None:
        if not self.is_gone:  # to a client that is gone nothing can be sent, and the server says nothing
            self.sent.append(message)

    def call(self, app: Any, asked: dict[str, Any], *, cancelled: bool = False) -> None:
        async def run() -> None:
            task = asyncio.ensure_future(app(asked, self.receive, self.send))
            if cancelled:
                await until(lambda: bool(RAN) and self.is_gone)
                task.cancel()
            await asyncio.wait_for(task, 60)  # only against a hang: a loaded machine may take seconds to open a file

        try:
            asyncio.run(run())
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - tests look at it
            self.error = error


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - what the app does sets no event
        await asyncio.sleep(0)


class SilentlyGone(Client):
    """A client whose server says only to who listens that it is gone, as granian does."""

    disconnected = None  # type: ignore[assignment]


class Closed(SilentlyGone):
    """A client of hypercorn: its stream is closed once the client is gone, and once all is sent, and says so at once."""

    @property
    def closed(self) -> bool:
        return self.is_gone or any(is_last(message) for message in self.sent)

    async def receive(self) -> dict[str, Any]:
        self.heard += 1
        await until(lambda: self.closed)
        return GONE

    async def send(self, message: dict[str, Any]) -> None:
        await super().send(message)
        for _ in range(7):  # who listens comes first, and cancels this
            await asyncio.sleep(0)


def is_last(message: dict[str, Any]) -> bool:
    return message["type"] == "http.response.body" and not message.get("more_body")


class Case(NamedTuple):
    """A request and how it is counted.

    Attributes:
        asked: Method and path.
        counted: Method, route, status and error_type; empty if the request is not counted.
        make: Makes the app; by default each of the SERVICES.
        scope: Changes to the usual scope.
        says: The messages that the client sends.
        leaves: The number of messages after which the client disconnects; None: it stays.
        silent: Whether the server reports the disconnect only when the app calls ``receive``.
        cancelled: Whether the request is cancelled when the client disconnects.
    """

    asked: str
    counted: tuple[str, ...]
    make: Callable[[], Any] | None = None
    scope: Mapping[str, Any] = {}
    says: tuple[dict[str, Any], ...] = (REQUEST,)
    leaves: int | None = None
    silent: bool = False
    cancelled: bool = False

    def ask(self, app: Any) -> Client:
        RAN.clear()
        method, _, path = self.asked.partition(" ")
        client = (SilentlyGone if self.silent else Client)(*self.says, leaves=self.leaves)
        client.call(app, scope(path, method=method, **self.scope), cancelled=self.cancelled)
        return client


CASES: dict[str, Case] = {
    # --- Routes -------------------------------------------------------------------------------------------------------
    "a route with a parameter": Case("GET /items/7", ("GET", "/items/{item}", "200", "")),
    "nested routers: every prefix, with its parameters": Case(
        "GET /v1/a/b/1/c/2/leaf", ("GET", "/v1/a/b/{b}/c/{c}/leaf", "200", ""), deep
    ),
    "a router that is included twice: each time its prefix": Case(
        "GET /two/2/x", ("GET", "/two/{two}/{what}", "200", ""), twice
    ),
    "a mounted app, the mount's path with a parameter": Case(
        "GET /tenants/acme/v1/a/b/1/c/2/leaf", ("GET", "/tenants/{tenant}/v1/a/b/{b}/c/{c}/leaf", "200", ""), mounted
    ),
    "a mounted app without a matching route": Case("GET /tenants/acme/none", ("GET", "", "404", ""), mounted),
    "a mounted app with a middleware that copies the scope": Case(
        "GET /tenants/acme/v1/a/b/1/c/2/leaf", ("GET", "/tenants/{tenant}/v1/a/b/{b}/c/{c}/leaf", "200", ""),
        lambda: mounted(within(Copying)),
    ),
    "a mounted app without routes: its mount, never the path below": Case(
        "GET /tenants/acme/any/thing", ("GET", "/tenants/{tenant}/{path}", "200", ""), lambda: mounted(bare(START, END))
    ),
    "Starlette mounted in Starlette": Case("GET /sites/7/pages/3", ("GET", "/sites/{site}/pages/{page}", "200", ""), sites),
    "a mount in a mount": Case(
        "GET /rooms/1/desks/2/pens/3", ("GET", "/rooms/{room}/desks/{desk}/pens/{pen}", "200", ""), sites
    ),
    "the root of a mount in a mount": Case("GET /rooms/1/desks/2/", ("GET", "/rooms/{room}/desks/{desk}/", "200", ""), sites),
    "a route that belongs to a host": Case(
        "GET /x/1", ("GET", "/x/{y}", "200", ""), sites, {"headers": [(b"host", b"api.example")]}
    ),
    "a route added to FastAPI by add_route": Case("GET /plain/x", ("GET", "/plain/{name}", "200", ""), added),
    "a parameter for the rest of the path": Case("GET /files/a/b/c", ("GET", "/files/{what}", "200", ""), added),
    "StaticFiles: their mount, never the file": Case(
        "GET /static/test_http.py", ("GET", "/static/{path}", "200", ""), added
    ),
    "StaticFiles, no such file": Case("GET /static/none.css", ("GET", "/static/{path}", "404", ""), added),
    "StaticFiles, on Starlette alone": Case("GET /static/test_http.py", ("GET", "/static/{path}", "200", ""), files),
    "StaticFiles mounted at the root": Case("GET /test_http.py", ("GET", "/{path}", "200", ""), root_mounted),
    "a custom route class": Case("GET /timed/7", ("GET", "/timed/{what}", "200", ""), custom_route),
    "an endpoint that is a class": Case("GET /a/1", ("GET", "/a/{a}", "200", ""), classes),
    "an endpoint that is a partial": Case("GET /b/1", ("GET", "/b/{b}", "200", ""), classes),
    "an endpoint of two routes": Case("GET /d/1", ("GET", "/d/{d}", "200", ""), classes),
    "a custom router that puts its route into the scope": Case("GET /mine/7", ("GET", "/mine/{x}", "200", ""), own_router),
    "a middleware that copies the scope": Case(
        "GET /v1/a/b/1/c/2/leaf", ("GET", "/v1/a/b/{b}/c/{c}/leaf", "200", ""), lambda: within(Copying)
    ),
    "a middleware of the constructor that copies the scope": Case(
        "GET /x/1", ("GET", "/x/{x}", "200", ""),
        lambda: Starlette(routes=[Route("/x/{x}", here)], middleware=[Middleware(Copying)]),
    ),
    "a middleware that copies the scope, and no route": Case("GET /x", ("GET", "", "404", ""), lambda: within(Copying)),
    "a middleware that changes the path: the route that answered": Case(
        "GET /v0/a/b/1/c/2/leaf", ("GET", "/v1/a/b/{b}/c/{c}/leaf", "200", ""), lambda: within(Rewriting)
    ),
    "BaseHTTPMiddleware": Case("GET /v1/a/b/1/c/2/leaf", ("GET", "/v1/a/b/{b}/c/{c}/leaf", "200", ""), lambda: within(Based)),
    "a middleware that copies the scope, on Starlette alone": Case(
        "GET /items/7", ("GET", "/items/{item}", "200", ""), lambda: within(Copying, starlette_service)
    ),
    "BaseHTTPMiddleware, on Starlette alone": Case(
        "GET /items/7", ("GET", "/items/{item}", "200", ""), lambda: within(Based, starlette_service)
    ),
    "a root path that is part of the path": Case(
        "GET /api/v1/a/b/1/c/2/leaf", ("GET", "/v1/a/b/{b}/c/{c}/leaf", "200", ""), deep, {"root_path": "/api"}
    ),
    "a root path that the proxy has removed": Case(
        "GET /v1/a/b/1/c/2/leaf", ("GET", "/v1/a/b/{b}/c/{c}/leaf", "200", ""), deep, {"root_path": "/api"}
    ),
    "a root path set in the app": Case("GET /plain/x", ("GET", "/plain/{name}", "200", ""), behind_a_prefix),
    "a root path and a mount": Case("GET /api/static/test_http.py", ("GET", "/static/{path}", "200", ""), behind_a_prefix),
    "a path that is not ASCII": Case("GET /größe/日本", ("GET", "/größe/{what}", "200", ""), added),
    "a path of control characters": Case("GET /plain/\x00\n\x7f", ("GET", "/plain/{name}", "200", ""), added),
    "no path": Case("GET ", ("GET", "", "404", ""), deep),
    # --- Statuses and errors ------------------------------------------------------------------------------------------
    "a path that no route matches": Case("GET /wp-login.php", ("GET", "", "404", "")),
    "a method that the route does not allow": Case("PUT /items/7", ("PUT", "/items/{item}", "405", ""), fastapi_service),
    "a method that a route in nested routers does not allow": Case(
        "DELETE /v1/a/b/1/c/2/leaf", ("DELETE", "/v1/a/b/{b}/c/{c}/leaf", "405", ""), deep
    ),
    "a method that a route of Starlette does not allow": Case(
        "PUT /items/7", ("PUT", "/items/{item}", "405", ""), starlette_service
    ),
    "a method that does not exist": Case("BREW /items/7", ("_OTHER", "/items/{item}", "405", ""), fastapi_service),
    "HEAD": Case("HEAD /plain/x", ("HEAD", "/plain/{name}", "200", ""), added),
    "HEAD, on Starlette alone": Case("HEAD /items/7", ("HEAD", "/items/{item}", "200", ""), starlette_service),
    "OPTIONS, on Starlette alone": Case("OPTIONS /items/7", ("OPTIONS", "/items/{item}", "405", ""), starlette_service),
    "OPTIONS": Case("OPTIONS /plain/x", ("OPTIONS", "/plain/{name}", "200", ""), added),
    "a preflight that CORSMiddleware responds to": Case(
        "OPTIONS /v1/a/b/1/c/2/leaf", ("OPTIONS", "/v1/a/b/{b}/c/{c}/leaf", "200", ""),
        lambda: within(CORSMiddleware, allow_origins=["*"]), {"headers": PREFLIGHT},
    ),
    "a redirect by the handler": Case("GET /moved", ("GET", "/moved", "307", "")),
    "a redirect to the path with a slash: no route": Case("GET /slash", ("GET", "", "307", ""), added),
    "a redirect to the path with a slash in a mounted app": Case("GET /sites/7/slash", ("GET", "", "307", ""), sites),
    "a status given as an enum": Case("GET /gateway", ("GET", "/gateway", "502", "502")),
    "invalid input": Case("GET /number/seven", ("GET", "/number/{n}", "422", ""), failing),
    "an HTTPException": Case("GET /unavailable", ("GET", "/unavailable", "503", "503"), failing),
    "an HTTPException in a dependency": Case("GET /refused", ("GET", "/refused", "503", "503"), failing),
    "an exception without a handler": Case("GET /broken", ("GET", "/broken", "500", "500")),
    "an exception with a handler: the handler's response": Case("GET /teapot", ("GET", "/teapot", "418", ""), failing),
    "an exception with a handler for all: the handler's response": Case("GET /broken", ("GET", "/broken", "501", "501"), caught),
    "an exception with a handler for all, on Starlette alone": Case(
        "GET /broken", ("GET", "/broken", "501", "501"), lambda: caught(starlette_service)
    ),
    "an exception in a middleware, on Starlette alone": Case(
        "GET /items/7", ("GET", "/items/{item}", "500", "500"), lambda: within(Failing, starlette_service)
    ),
    "an exception in a middleware around a bare ASGI app": Case(
        "GET /items/7", ("GET", "", "500", "500"), lambda: Failing(bare_service())
    ),
    "an exception in a middleware": Case(
        "GET /v1/a/b/1/c/2/leaf", ("GET", "/v1/a/b/{b}/c/{c}/leaf", "500", "500"), lambda: within(Failing)
    ),
    "an exception in a BaseHTTPMiddleware": Case(
        "GET /v1/a/b/1/c/2/leaf", ("GET", "/v1/a/b/{b}/c/{c}/leaf", "500", "500"), lambda: within(Based),
        {"headers": [(b"x-fail", b"1")]},
    ),
    "a middleware that responds itself": Case(
        "POST /v1/a/b/1/c/2/leaf", ("POST", "/v1/a/b/{b}/c/{c}/leaf", "401", ""), lambda: within(Refusing)
    ),
    "no response: the server responds with 500": Case("GET /", ("GET", "", "500", "500"), bare),
    "a background task that fails: the response was sent": Case("GET /later", ("GET", "/later", "200", "")),
    "headers of the request that are invalid": Case(
        "GET /items/7", ("GET", "/items/{item}", "200", ""), scope={"headers": GARBAGE}
    ),
    "five thousand headers": Case(
        "GET /items/7", ("GET", "/items/{item}", "200", ""), scope={"headers": [(b"x", b"y" * 99)] * 5000}
    ),
    "headers of the response that are invalid": Case(
        "GET /", ("GET", "", "200", ""), lambda: bare({**START, "headers": [(b"content-length", b"\xff")]}, END)
    ),
    # --- Clients that disconnect --------------------------------------------------------------------------------------
    "gone before the response": Case("GET /items/7", ("GET", "/items/{item}", "499", ""), leaves=0),
    "gone before the response, and the request is cancelled": Case(
        "GET /waits", ("GET", "/waits", "499", ""), leaves=0, cancelled=True
    ),
    "gone before the response, and the server does not say so": Case(
        "GET /items/7", ("GET", "/items/{item}", "200", ""), leaves=0, silent=True
    ),
    "gone in the middle of an upload": Case(
        "POST /upload", ("POST", "/upload", "499", ""), says=(PART,), leaves=0, silent=True
    ),
    "gone during a response in parts": Case("GET /endless", ("GET", "/endless", "499", ""), leaves=4, silent=True),
    "gone during a response in parts, and the request is cancelled": Case(
        "GET /endless", ("GET", "/endless", "499", ""), leaves=4, cancelled=True
    ),
    "gone during a response in parts within BaseHTTPMiddleware": Case(
        "GET /endless", ("GET", "/endless", "499", ""), lambda: within(Based, fastapi_service), leaves=4
    ),
    "gone during a response in parts of a bare app that does not listen": Case(
        "GET /", ("GET", "", "499", ""), lambda: bare(START, MORE, MORE, END), leaves=2
    ),
    "gone during server-sent events: the normal end of a stream": Case(
        "GET /events", ("GET", "/events", "200", ""), leaves=4, silent=True
    ),
    "gone during server-sent events, and the request is cancelled": Case(
        "GET /events", ("GET", "/events", "200", ""), leaves=4, cancelled=True
    ),
    "gone during server-sent events within BaseHTTPMiddleware": Case(
        "GET /events", ("GET", "/events", "200", ""), lambda: within(Based, fastapi_service), leaves=4
    ),
    "gone after the last byte": Case("GET /upload", ("GET", "/upload", "200", ""), leaves=2),
    "gone once all bytes of the content-length were sent, before the last message": Case(
        "GET /", ("GET", "", "200", ""), lambda: sized(b"2", MORE, MORE, NOTHING), leaves=3
    ),
    "gone before all bytes of the content-length were sent": Case(
        "GET /", ("GET", "", "499", ""), lambda: sized(b"2", MORE, MORE, NOTHING), leaves=2
    ),
    "gone once all was sent, before the last messages of three BaseHTTPMiddleware": Case(
        "GET /items/7", ("GET", "/items/{item}", "200", ""),
        lambda: within(Based, lambda: within(Based, lambda: within(Based, fastapi_service))), leaves=2,
    ),
    "a content-length in capitals": Case(
        "GET /", ("GET", "", "200", ""), lambda: sized(b"1", MORE, NOTHING, name=b"Content-Length"), leaves=2
    ),
    "a content-length that is not a number: the last message decides": Case(
        "GET /", ("GET", "", "499", ""), lambda: sized(b"one", MORE, NOTHING), leaves=2
    ),
    "a content-length and trailers: the last trailer decides": Case(
        "GET /", ("GET", "", "499", ""),
        lambda: bare({**TRAILED, "headers": [(b"content-length", b"1")]}, MORE, END, TRAILERS), leaves=3,
    ),
    "gone once the headers of a HEAD were sent": Case(
        "HEAD /", ("HEAD", "", "200", ""), lambda: sized(b"7", NOTHING), leaves=1
    ),
    "gone once a 204 was sent": Case("GET /", ("GET", "", "204", ""), lambda: bare({**START, "status": 204}, NOTHING), leaves=1),
    "gone once a 304 was sent": Case(
        "GET /", ("GET", "", "304", ""), lambda: sized(b"7", NOTHING, status=304), leaves=1
    ),
    "gone once a redirect without a body was sent": Case(
        "GET /", ("GET", "", "307", ""), lambda: sized(b"0", NOTHING, status=307), leaves=1
    ),
    "gone during a response of status 500 or above": Case(
        "GET /", ("GET", "", "503", "503"), lambda: bare({**START, "status": 503}, MORE, END), leaves=1
    ),
    "gone during a response of status 500 or above, and the request is cancelled": Case(
        "GET /", ("GET", "", "503", "503"),
        lambda: raising(asyncio.CancelledError(), bare({**START, "status": 503}, MORE)), leaves=2,
    ),
    "gone before a 500 was sent": Case("GET /broken", ("GET", "/broken", "499", ""), leaves=0),
    "gone before the response, and the app raises instead": Case(
        "GET /", ("GET", "", "499", ""), lambda: raising(BROKEN, bare()), leaves=0
    ),
    "cancelled by the app itself while the client waits: the server responds with 500": Case(
        "GET /", ("GET", "", "500", "500"), lambda: raising(asyncio.CancelledError(), bare())
    ),
    # --- Streams ------------------------------------------------------------------------------------------------------
    "a stream": Case("GET /stream", ("GET", "/stream", "200", "")),
    "a stream that is aborted: the status that was sent, and an error": Case(
        "GET /breaks", ("GET", "/breaks", "200", "response_aborted")
    ),
    "a start without a body: aborted": Case("GET /", ("GET", "", "200", "response_aborted"), lambda: bare(START)),
    "a body without its end: aborted": Case("GET /", ("GET", "", "200", "response_aborted"), lambda: bare(START, MORE)),
    "an exception after all bytes of the content-length: the response was sent": Case(
        "GET /", ("GET", "", "200", ""), lambda: raising(BROKEN, sized(b"1", MORE))
    ),
    "trailers end a response": Case("GET /", ("GET", "", "200", ""), lambda: bare(TRAILED, MORE, END, TRAILERS)),
    "trailers in two parts": Case(
        "GET /", ("GET", "", "200", ""), lambda: bare(TRAILED, END, {**TRAILERS, "more_trailers": True}, TRAILERS)
    ),
    "announced trailers that are never sent: aborted": Case(
        "GET /", ("GET", "", "200", "response_aborted"), lambda: bare(TRAILED, END)
    ),
    "a FileResponse, sent by the server": Case(
        "GET /file", ("GET", "/file", "200", ""), scope={"extensions": {"http.response.pathsend": {}}}
    ),
    "a FileResponse": Case("GET /file", ("GET", "/file", "200", "")),
    "a file that the server sends (pathsend)": Case("GET /", ("GET", "", "200", ""), lambda: bare(START, PATHSEND)),
    "a file that the server sends, then trailers": Case(
        "GET /", ("GET", "", "200", ""), lambda: bare(TRAILED, PATHSEND, TRAILERS)
    ),
    "a file in two parts that the server sends (zerocopysend)": Case(
        "GET /", ("GET", "", "200", ""), lambda: bare(START, {**ZEROCOPY, "more_body": True}, ZEROCOPY)
    ),
    "early hints before the response": Case("GET /", ("GET", "", "200", ""), lambda: bare(HINT, START, END)),
    # --- Requests that are not counted --------------------------------------------------------------------------------
    "a route of http.excluded_routes, such as /health": Case("GET /health", (), added),
    "the same behind a root path": Case("GET /api/health", (), behind_a_prefix),
}  # fmt: skip


# --- Each of them -----------------------------------------------------------------------------------------------------


def everywhere() -> Iterator[Any]:
    for name, case in CASES.items():
        if case.make:
            yield pytest.param(case, case.make, id=name)
        else:
            for kind, make in SERVICES.items():
                method, route, *more = case.counted
                counted = (method, "" if make is bare_service else route, *more)
                yield pytest.param(case._replace(counted=counted), make, id=f"{name}, on {kind}")


@pytest.mark.parametrize(("case", "make"), [*everywhere()])
def test_counted_once_as(case: Case, make: Callable[[], Any]) -> None:
    observed = Observed(make())
    client = case.ask(observed.app)
    assert observed.counted() == ({case.counted: 1} if case.counted else {}), client.error
    assert set(observed.active().values()) <= {0.0}


@pytest.mark.parametrize(("case", "make"), [*everywhere()])
def test_nothing_changes_for_server_app_and_client(case: Case, make: Callable[[], Any]) -> None:
    assert outcome(case, Observed(make()).app) == outcome(case, make())


def outcome(case: Case, app: Any) -> tuple[object, ...]:
    """Every message that was sent, how often the app listened, what ran, and how it ended."""
    client = case.ask(app)
    return client.sent, client.heard, tuple(RAN), chain(client.error)


def chain(error: BaseException | None) -> tuple[type[BaseException], ...]:
    """The kind of an exception and of those it came from."""
    return () if error is None else (type(error), *chain(error.__cause__ or error.__context__))


@pytest.mark.parametrize("make", SERVICES.values(), ids=SERVICES)
def test_the_exception_that_leaves_the_app_is_the_one_that_was_raised(make: Callable[[], Any]) -> None:
    case = CASES["an exception without a handler"]
    assert case.ask(Observed(make()).app).error is BROKEN
    assert RAN == ["broken"]


def test_the_app_gets_the_scope_of_the_server_itself() -> None:
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        del receive, send
        seen.append(scope)

    asked = scope("/")
    Client().call(Observed(app).app, asked)
    assert seen[0] is asked


# --- Routes -----------------------------------------------------------------------------------------------------------


def test_a_route_added_while_the_service_runs() -> None:
    app = FastAPI()
    observed = Observed(app)
    observed.call(("GET", "/late/1"))
    app.add_api_route("/late/{x}", lambda x: x)
    observed.call(("GET", "/late/2"))
    assert observed.counted() == {("GET", "", "404", ""): 1, ("GET", "/late/{x}", "200", ""): 1}


# --- Clients that disconnect ------------------------------------------------------------------------------------------


def test_hypercorn_which_first_reports_that_all_is_sent_to_an_app_that_listens() -> None:
    """`GET /stream 200`"""
    observed = Observed(fastapi_service())
    Closed(REQUEST).call(observed.app, scope("/stream"))
    assert observed.counted() == {("GET", "/stream", "200", ""): 1}


def test_gone_before_the_response_of_an_app_that_does_not_listen_on_hypercorn() -> None:
    """`GET "" 499`"""
    observed = Observed(bare(START, END))
    Closed(leaves=0).call(observed.app, scope("/"))
    assert observed.counted() == {("GET", "", "499", ""): 1}


def test_headers_that_can_be_read_only_once_reach_the_server() -> None:
    """their content-length counts"""
    headers = [(b"x", b"7"), (b"content-length", b"1")]
    observed = Observed(bare({**START, "headers": iter(headers)}, MORE, NOTHING))
    client = Client(leaves=2)
    client.call(observed.app, scope("/"))
    assert list(client.sent[0]["headers"]) == headers
    assert observed.counted() == {("GET", "", "200", ""): 1}


class Holding(Client):
    """A client of granian, whose send is a builtin and which sends the start with the first part of the body."""

    def call(self, app: Any, asked: dict[str, Any], *, cancelled: bool = False) -> None:
        async def held(scope: Any, receive: Any, _: Any) -> None:
            await app(scope, receive, sending.send)

        sending = self._sending()
        next(sending)
        super().call(held, asked, cancelled=cancelled)

    def _sending(self) -> Any:
        result = None
        while True:
            message = yield result
            result = super().send(message)


@pytest.mark.parametrize(
    ("app", "counted"),
    [
        (raising(BROKEN, bare(START)), ("500", "500")),
        (raising(BROKEN, bare(START, MORE)), ("200", "response_aborted")),
        (bare(START, MORE, END), ("200", "")),
        (sized(b"0", NOTHING), ("200", "")),
    ],
)
def test_a_response_that_breaks_off_before_its_body_on_granian(app: Any, counted: tuple[str, str]) -> None:
    """`GET "" 500`, error `500`; once the body began, the status that was sent"""
    observed = Observed(app)
    client = Holding()
    client.call(observed.app, scope("/"))
    assert observed.counted() == {("GET", "", *counted): 1}


@pytest.mark.parametrize(("messages", "status"), [([MORE, NOTHING], "503"), ([NOTHING], "499")])
def test_gone_during_a_response_of_status_500_on_granian(messages: list[Any], status: str) -> None:
    """the status, once the body began; `499` before"""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        del scope
        await send({**START, "status": 503})
        for message in messages[:-1]:
            await send(message)
        await receive()
        await send(messages[-1])

    observed = Observed(app)
    Holding(leaves=len(messages)).call(observed.app, scope("/"))
    assert observed.counted() == {("GET", "", status, "503" if status == "503" else ""): 1}


# --- Streams ----------------------------------------------------------------------------------------------------------


def test_server_sent_events_while_they_flow_and_once_their_client_has_left() -> None:
    """one active request while they flow; then none, and `GET /events 200`"""
    during = []

    async def events() -> AsyncIterator[str]:
        while True:
            during.append(observed.active())
            yield "data: 7\n\n"
            await asyncio.sleep(0)

    app = FastAPI()
    app.add_api_route("/events", lambda: StreamingResponse(events(), media_type="text/event-stream"))
    observed = Observed(app)
    client = Client(REQUEST, leaves=1000)
    client.call(observed.app, scope("/events"))
    assert len(client.sent) == 1000
    assert during[:999] == [{"GET": 1.0}] * 999
    assert observed.active() == {"GET": 0.0}
    assert observed.counted() == {("GET", "/events", "200", ""): 1}


# --- Requests that are not counted ------------------------------------------------------------------------------------


def test_what_a_starlette_app_raises_at_its_start_is_raised_to_the_server() -> None:
    """nothing: the server learns that the app did not start"""

    class Broken:
        def __init__(self, app: Any) -> None: ...

        async def __call__(self, *_: Any) -> None:
            raise RuntimeError("no database")

    for app in (Starlette(middleware=[Middleware(Broken)]), FastAPI(middleware=[Middleware(Broken)])):
        instrumentation.instrument(app, store=LocalStore(), registry=CollectorRegistry())
        with pytest.raises(RuntimeError, match="no database"):
            asyncio.run(app({"type": "lifespan"}, None, None))  # type: ignore[arg-type]


def test_websocket_and_lifespan_scopes_are_not_requests() -> None:
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        del receive, send
        seen.append(scope["type"])

    observed = Observed(app)
    life = ({"type": "lifespan.startup"}, {"type": "lifespan.shutdown"})
    for kind, says in (("lifespan", life), ("websocket", ())):
        client = Client(*says)
        client.call(observed.app, {"type": kind, "path": "/"})
        assert client.error is None
    assert seen == ["lifespan", "websocket"]
    assert observed.counted() == {}


# --- The page ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/api/metrics", "/metrics"])
def test_the_page_behind_a_root_path_whether_the_proxy_cuts_it_off_or_not(path: str) -> None:
    """nothing; Sidelight answers `200`"""
    observed = Observed(deep())
    client = Client(REQUEST)
    client.call(observed.app, scope(path, root_path="/api", headers=GARBAGE))
    assert client.sent[0]["status"] == 200
    assert b"http_server_request_duration" in client.sent[1]["body"]
    assert observed.counted() == {}
