"""A Sanic service."""

from __future__ import annotations

from typing import Any

from sanic import Blueprint, Sanic, empty, text

import instrumentation

app = Sanic("shop")
instrumentation.instrument(app)
instrumentation.instrument(app)
shops = Blueprint("shops", url_prefix="/shops/<shop>")


@app.get("/items/<item:int>")
async def item(_: Any, item: int) -> Any:
    return text(str(item))


@shops.get("/items/<item:int>")
async def item_of_shop(_: Any, shop: str, item: int) -> Any:
    return text(f"{shop} {item}")


@app.get("/busy")
async def busy(_: Any) -> Any:
    return empty(503)


@app.get("/broken")
async def broken(_: Any) -> Any:
    raise RuntimeError("broken")


@app.get("/conflict")
async def conflict(_: Any) -> Any:
    raise instrumentation.ConflictError("taken")


@app.get("/stream")
async def stream(request: Any) -> None:
    response = await request.respond(content_type="text/plain")
    for number in range(3):
        await response.send(f"part{number} ")
    await response.eof()


@app.websocket("/rooms/<room>")
async def room(_: Any, socket: Any, room: str) -> None:
    await socket.send(room)


app.blueprint(shops)
