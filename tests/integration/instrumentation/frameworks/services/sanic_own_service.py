"""A Sanic service with pages of its own, for Sanic's own server."""

from __future__ import annotations

import asyncio
from typing import Any

from sanic import Sanic, text

import instrumentation
from instrumentation.settings import parse_settings

app = Sanic("shop")
app.config.RESPONSE_TIMEOUT = 1
instrumentation.instrument(app, settings=parse_settings({"http": {"body_sizes": True}, "service": {"name": "shop"}}))


@app.get("/items/<item:int>")
async def item(_: Any, item: int) -> Any:
    return text(str(item))


@app.head("/items/<item:int>")
async def head(_: Any, item: int) -> Any:
    return text(str(item))


@app.get("/slow")
async def slow(_: Any) -> Any:
    await asyncio.sleep(60)
    return text("late")


@app.get("/events")
async def events(request: Any) -> None:
    response = await request.respond(content_type="text/event-stream")
    while True:
        await response.send("data: 7\n\n")
        await asyncio.sleep(0.02)


@app.post("/upload")
async def upload(request: Any) -> Any:
    return text(str(len(request.body)))


@app.get("/failing")
async def failing(request: Any) -> None:
    response = await request.respond(content_type="text/plain")
    await response.send("a part")
    raise RuntimeError("broken")


@app.get("/health")
async def health(_: Any) -> Any:
    return text("no database", 503)


@app.get("/metrics")
async def metrics(_: Any) -> Any:
    return text(
        "# HELP own_things Things.\n# TYPE own_things gauge\nown_things 7\n", content_type="text/plain; version=0.0.4"
    )
