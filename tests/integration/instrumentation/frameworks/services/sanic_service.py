"""A service of Sanic."""

from __future__ import annotations

from typing import Any

from sanic import Blueprint, Sanic, empty, text

import instrumentation

app = Sanic("shop")
instrumentation.instrument(app)
instrumentation.instrument(app)
shops = Blueprint("shops", url_prefix="/shops/<shop>")


@app.get("/items/<item:int>")
async def item(request: Any, item: int) -> Any:
    del request
    return text(str(item))


@shops.get("/items/<item:int>")
async def item_of_shop(request: Any, shop: str, item: int) -> Any:
    del request
    return text(f"{shop} {item}")


@app.get("/busy")
async def busy(request: Any) -> Any:
    del request
    return empty(503)


@app.get("/broken")
async def broken(request: Any) -> Any:
    del request
    raise RuntimeError("broken")


@app.get("/conflict")
async def conflict(request: Any) -> Any:
    del request
    raise instrumentation.ConflictError("taken")


@app.get("/stream")
async def stream(request: Any) -> None:
    response = await request.respond(content_type="text/plain")
    for number in range(3):
        await response.send(f"part{number} ")
    await response.eof()


@app.websocket("/rooms/<room>")
async def room(request: Any, socket: Any, room: str) -> None:
    del request
    await socket.send(room)


app.blueprint(shops)
