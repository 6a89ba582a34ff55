"""``python -m benchmarks``: what instrumentation costs a request, variants side by side in one run."""

from __future__ import annotations

import asyncio
import statistics
import time
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from fastapi.responses import Response
from prometheus_client import CollectorRegistry

import instrumentation
from instrumentation.settings import Settings
from instrumentation.store import LocalStore

if TYPE_CHECKING:
    from collections.abc import Callable

    App = Callable[[Any, Any, Any], Any]

ROUNDS = 30
REQUESTS = 1_000
MICROSECONDS = 1e6


class PassThrough:
    """The least that a middleware which sees the status can do."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass everything on."""

        async def watched(message: Any) -> None:
            await send(message)

        await self._app(scope, receive, watched)


def service() -> FastAPI:
    """A service with one route that answers an empty response."""
    app = FastAPI()

    @app.get("/items/{item}")
    async def item(item: str) -> Response:
        del item
        return Response()

    return app


def variants() -> dict[str, App]:
    """Name to app."""
    registry, store = CollectorRegistry(), LocalStore()
    return {
        "bare": service(),
        "pass-through middleware": PassThrough(service()),
        "sidelight": instrumentation.instrument(service(), settings=Settings(), store=store, registry=registry),
    }


async def seconds_per_request(app: App) -> float:
    """The time of one request, over a round of many."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "path": "/items/7",
        "raw_path": b"/items/7",
        "root_path": "",
        "scheme": "http",
        "query_string": b"",
        "headers": [],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        del message

    began = time.perf_counter()
    for _ in range(REQUESTS):
        await app(dict(scope), receive, send)
    return (time.perf_counter() - began) / REQUESTS


async def measure() -> dict[str, list[float]]:
    """Seconds a request by variant, one number a round; the rounds of all variants are interleaved."""
    apps = variants()
    times: dict[str, list[float]] = {name: [] for name in apps}
    for _ in range(ROUNDS):
        for name, app in apps.items():
            times[name].append(await seconds_per_request(app))
    return {name: rounds[1:] for name, rounds in times.items()}  # the first round warms up


def main() -> None:
    """Print the table: medians, and medians of the differences from the bare app within the same round."""
    times = asyncio.run(measure())
    print(f"{'variant':<26}{'us a request':>14}{'added':>9}")  # noqa: T201 - the table is the output
    for name, rounds in times.items():
        added = statistics.median(one - bare for one, bare in zip(rounds, times["bare"], strict=True))
        line = f"{name:<26}{statistics.median(rounds) * MICROSECONDS:>14.1f}{added * MICROSECONDS:>9.1f}"
        print(line)  # noqa: T201


if __name__ == "__main__":
    main()
