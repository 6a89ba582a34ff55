"""The measured services, one row each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, FastAPI
from fastapi.responses import Response, StreamingResponse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

ROUTES = 50
LEVELS = 5
CHUNKS = 100
STATUSES = (200, 404, 500)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A service and the request sent to it.

    Attributes:
        name: Its name for ``--case``.
        title: Its name in tables.
        build: Creates the service with keyword arguments for FastAPI.
        path: The requested path.
        template: The correct route label.
        requests: The number of requests timed together.
        units: The divisor for the time of one request.
    """

    name: str
    title: str
    build: Callable[..., FastAPI]
    path: str
    template: str
    requests: int = 100
    units: int = 1


def one_response(**arguments: Any) -> FastAPI:
    """One route that answers an empty response."""
    app = FastAPI(**arguments)
    _answer(app, "/items/{item}")
    return app


def one_json(**arguments: Any) -> FastAPI:
    """One route that answers a small JSON object."""
    app = FastAPI(**arguments)

    @app.get("/items/{item}")
    async def read(item: int) -> dict[str, int | str]:
        return {"item": item, "name": "kettle", "price": 7}

    return app


def flat(routes: int = ROUTES, **arguments: Any) -> FastAPI:
    """Many routes, side by side."""
    app = FastAPI(**arguments)
    for number in range(routes):
        _answer(app, f"/shelf{number}/{{item}}")
    return app


def nested(**arguments: Any) -> FastAPI:
    """Five nested routers, each with ten routes before the next router, and one route in the last."""
    app = FastAPI(**arguments)
    inner = APIRouter(prefix=f"/level{LEVELS}")
    _fill(inner)
    _answer(inner, "/last/{item}")
    for level in range(LEVELS - 1, 0, -1):
        outer = APIRouter(prefix=f"/level{level}/{{tenant}}" if level == 1 else f"/level{level}")
        _fill(outer)
        outer.include_router(inner)
        inner = outer
    app.include_router(inner)
    return app


def stream(**arguments: Any) -> FastAPI:
    """One route that streams its response."""
    app = FastAPI(**arguments)

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(CHUNKS):
            yield b"a chunk of a response\n"

    @app.get("/stream/{item}")
    async def read(item: str) -> StreamingResponse:
        del item
        return StreamingResponse(chunks())

    return app


def statuses(**arguments: Any) -> FastAPI:
    """Many routes, each answering with the requested status."""
    app = FastAPI(**arguments)
    for number in range(ROUTES):

        @app.get(f"/shelf{number}/{{status}}")
        async def read(status: int) -> Response:
            return Response(status_code=status)

    return app


def _answer(router: FastAPI | APIRouter, path: str) -> None:
    @router.get(path)
    async def read(item: str) -> Response:
        del item
        return Response()


def _fill(router: APIRouter) -> None:
    for number in range(ROUTES // LEVELS):
        _answer(router, f"/shelf{number}/{{item}}")


CASES = (
    Case(name="response", title="Response endpoint", build=one_response, path="/items/7", template="/items/{item}"),
    Case(name="json", title="JSON endpoint", build=one_json, path="/items/7", template="/items/{item}"),
    Case(
        name="routes",
        title=f"{ROUTES} routes, the last called",
        build=flat,
        path=f"/shelf{ROUTES - 1}/7",
        template=f"/shelf{ROUTES - 1}/{{item}}",
    ),
    Case(
        name="nested",
        title=f"{ROUTES + 1} routes in {LEVELS} nested routers, the last called",
        build=nested,
        path="/level1/acme/level2/level3/level4/level5/last/7",
        template="/level1/{tenant}/level2/level3/level4/level5/last/{item}",
        requests=25,
    ),
    Case(
        name="stream",
        title=f"stream, each of {CHUNKS} chunks",
        build=stream,
        path="/stream/7",
        template="/stream/{item}",
        requests=10,
        units=CHUNKS,
    ),
)

TRACES = Case(
    name="tracing",
    title="Response endpoint with metrics and traces",
    build=one_response,
    path="/items/7",
    template="/items/{item}",
)
LOGS = Case(
    name="logs",
    title="Response endpoint with metrics, correlation id and JSON access line",
    build=one_response,
    path="/items/7",
    template="/items/{item}",
)
