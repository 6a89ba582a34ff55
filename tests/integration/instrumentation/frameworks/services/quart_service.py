"""A Quart service."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quart import Blueprint, Quart, websocket

import instrumentation

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

app = Quart(__name__)
instrumentation.instrument(app)
instrumentation.instrument(app)
shops = Blueprint("shops", __name__, url_prefix="/shops/<shop>")


@app.get("/items/<int:item>")
async def item(item: int) -> str:
    return str(item)


@shops.get("/items/<int:item>")
async def item_of_shop(shop: str, item: int) -> str:
    return f"{shop} {item}"


@app.get("/busy")
async def busy() -> tuple[str, int]:
    return "busy", 503


@app.get("/broken")
async def broken() -> str:
    raise RuntimeError("broken")


@app.get("/conflict")
async def conflict() -> str:
    raise instrumentation.ConflictError("taken")


@app.get("/stream")
async def stream() -> AsyncIterator[str]:
    async def parts() -> AsyncIterator[str]:
        for number in range(3):
            yield f"part{number} "

    return parts()


@app.websocket("/rooms/<room>")
async def room(room: str) -> None:
    await websocket.accept()
    await websocket.send(room)


app.register_blueprint(shops)
