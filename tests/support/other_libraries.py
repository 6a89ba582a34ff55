"""An app that another library and Sidelight measure at the same time, and the pages that it serves meanwhile."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import httpx
from fastapi import APIRouter, BackgroundTasks, FastAPI, HTTPException
from fastapi.responses import StreamingResponse
from prometheus_client.parser import text_string_to_metric_families

import instrumentation
from instrumentation.settings import parse_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping

ROOT = Path(__file__).parents[2]
PAGES = 8
"""So many that a window of five minutes lies after the first requests, if there is a page a minute."""
SLOW = 5
"""How many requests of ``/slow`` are in progress while a page is read."""

REQUESTS = {
    ("GET", "/items/3"): 7,
    ("POST", "/items/3"): 3,
    ("GET", "/broken"): 2,
    ("GET", "/missing"): 1,
    ("GET", "/nope"): 4,
    ("DELETE", "/items/3"): 1,
}
SPECIAL = ("/background", "/stream", "/v1/shops/3/items/7", "/tenants/acme/rooms/3")
"""Requests that libraries measure differently. They are sent once, after the pages but the last."""

SECONDS = 0.3
"""The duration of ``/slow``, of the background task and of the stream."""


class Recording(NamedTuple):
    """What the app served.

    Attributes:
        pages: The metrics pages, each read after the same requests.
        last: The page after ``SPECIAL``, and after a request with the method PURGE.
    """

    pages: tuple[str, ...]
    last: str


@cache
def recording(library: str) -> Recording:
    """Run the app in a process of its own, with a library of ``LIBRARIES`` and with Sidelight."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "SIDELIGHT_"))}
    argv = (sys.executable, "-m", __name__, library)
    done = subprocess.run(argv, cwd=ROOT, env=kept, capture_output=True, text=True, timeout=120, check=True)
    found = json.loads(done.stdout)
    return Recording(tuple(found["pages"]), found["last"])


def series(library: str) -> dict[str, frozenset[str]]:
    """Name to labels of the series on the last page, with the labels that Prometheus adds."""
    found: dict[str, frozenset[str]] = {}
    for sample in samples(recording(library).last):
        found[sample.name] = found.get(sample.name, frozenset(("job", "instance"))) | sample.labels.keys()
    return found


class Sample(NamedTuple):
    """A line of a page."""

    name: str
    labels: Mapping[str, str]
    value: float


def samples(page: str) -> Iterable[Sample]:
    """The lines of a page, without comments."""
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            yield Sample(sample.name, sample.labels, sample.value)


# --- The libraries ----------------------------------------------------------------------------------------------------


def _prometheus_fastapi_instrumentator(app: FastAPI) -> None:
    from prometheus_fastapi_instrumentator import Instrumentator  # noqa: PLC0415 - one library in a process

    Instrumentator(should_instrument_requests_inprogress=True, inprogress_labels=True).instrument(app).expose(app)


def _starlette_exporter(app: FastAPI) -> None:
    from starlette_exporter import PrometheusMiddleware, handle_metrics  # noqa: PLC0415 - one library in a process
    from starlette_exporter.optional_metrics import (  # noqa: PLC0415 - one library in a process
        request_body_size,
        response_body_size,
    )

    app.add_middleware(PrometheusMiddleware, optional_metrics=[response_body_size, request_body_size])
    app.add_route("/metrics", handle_metrics)


def _opentelemetry(app: FastAPI, prefix: str = "", dropped: Iterable[str] = ("http.server.active_requests",)) -> None:
    from opentelemetry import metrics  # noqa: PLC0415 - one library in a process
    from opentelemetry.exporter.prometheus import PrometheusMetricReader  # noqa: PLC0415 - one library in a process
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor  # noqa: PLC0415 - one library in a process
    from opentelemetry.sdk.metrics import MeterProvider  # noqa: PLC0415 - one library in a process
    from opentelemetry.sdk.metrics.view import DropAggregation, View  # noqa: PLC0415 - one library in a process

    reader = PrometheusMetricReader(disable_target_info=True, prefix=prefix)
    views = [View(instrument_name=name, aggregation=DropAggregation()) for name in dropped]
    metrics.set_meter_provider(MeterProvider([reader], views=views))
    FastAPIInstrumentor.instrument_app(app)


def _opentelemetry_stable(app: FastAPI) -> None:
    os.environ["OTEL_SEMCONV_STABILITY_OPT_IN"] = "http"
    _opentelemetry(app, prefix="otel", dropped=())


LIBRARIES: Mapping[str, Callable[[FastAPI], None]] = {
    "prometheus-fastapi-instrumentator": _prometheus_fastapi_instrumentator,
    "starlette-exporter": _starlette_exporter,
    "opentelemetry": _opentelemetry,
    "opentelemetry-stable": _opentelemetry_stable,  # with the names of the stable semantic conventions
}


# --- The app ----------------------------------------------------------------------------------------------------------


class _Gate:
    """Keeps requests of ``/slow`` in progress until a page has been read."""

    def __init__(self) -> None:
        self.waiting = 0
        self.is_full = asyncio.Event()
        self.opened = asyncio.Event()

    async def wait(self) -> None:
        self.waiting += 1
        if self.waiting == SLOW:
            self.is_full.set()
        await asyncio.sleep(SECONDS)
        await self.opened.wait()


def _app(gates: list[_Gate]) -> FastAPI:
    app = FastAPI()

    @app.get("/items/{item}")
    async def item(item: int) -> int:
        return item

    @app.post("/items/{item}", status_code=201)
    async def add(item: int) -> int:
        return item

    @app.get("/slow")
    async def slow() -> str:
        await gates[-1].wait()
        return "slow"

    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError("broken")

    @app.get("/missing")
    async def missing() -> None:
        raise HTTPException(404)

    @app.get("/background")
    async def background(tasks: BackgroundTasks) -> str:
        tasks.add_task(asyncio.sleep, SECONDS)
        return "later"

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        async def events() -> AsyncIterator[str]:
            yield "data: first\n\n"
            await asyncio.sleep(SECONDS)
            yield "data: last\n\n"

        return StreamingResponse(events(), media_type="text/event-stream")

    @app.api_route("/cache", methods=["PURGE"])
    async def purge() -> str:
        return "purged"

    app.include_router(_nested(), prefix="/v1")
    app.mount("/tenants/{tenant}", _tenants())
    return app


def _nested() -> APIRouter:
    shops, outer = APIRouter(prefix="/shops/{shop}"), APIRouter()

    @shops.get("/items/{item}")
    async def item(item: int) -> int:
        return item

    outer.include_router(shops)
    return outer


def _tenants() -> FastAPI:
    tenants = FastAPI()

    @tenants.get("/rooms/{room}")
    async def room(room: int) -> int:
        return room

    return tenants


async def _pages(app: FastAPI, gates: list[_Gate]) -> dict[str, list[str] | str]:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:

        async def page() -> str:
            return (await client.get("/metrics")).raise_for_status().text

        pages = []
        for _ in range(PAGES):
            for (method, path), count in REQUESTS.items():
                for _ in range(count):
                    await client.request(method, path)
            gates.append(gate := _Gate())
            slow = [asyncio.create_task(client.get("/slow")) for _ in range(SLOW)]
            await gate.is_full.wait()
            pages.append(await page())
            gate.opened.set()
            await asyncio.gather(*slow)
        for path in SPECIAL:
            await client.get(path)
        await client.request("PURGE", "/cache")
        return {"pages": pages, "last": await page()}


def main(library: str) -> None:
    """Print the pages as JSON."""
    gates: list[_Gate] = []
    app = _app(gates)
    LIBRARIES[library](app)
    settings = parse_settings({"http": {"body_sizes": True}, "logging": {"enabled": False}})
    instrumentation.instrument(app, settings=settings)
    json.dump(asyncio.run(_pages(app, gates)), sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1])
