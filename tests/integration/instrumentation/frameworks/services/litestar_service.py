"""A Litestar service."""

from __future__ import annotations

from typing import TYPE_CHECKING

from litestar import Litestar, Response, Router, WebSocket, get, websocket
from litestar.response import Stream

import instrumentation

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@get("/items/{item:int}")
async def item(item: int) -> int:
    return item


@get("/items/{item:int}")
async def item_of_shop(shop: str, item: int) -> str:
    return f"{shop} {item}"


@get("/busy")
async def busy() -> Response[str]:
    return Response("busy", status_code=503)


@get("/broken")
async def broken() -> None:
    raise RuntimeError("broken")


@get("/conflict")
async def conflict() -> None:
    raise instrumentation.ConflictError("taken")


@get("/stream")
async def stream() -> Stream:
    async def parts() -> AsyncIterator[str]:
        for number in range(3):
            yield f"part{number} "

    return Stream(parts())


@websocket("/rooms/{room:str}")
async def room(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text(str(socket.path_params["room"]))
    await socket.close()


def made() -> Litestar:
    shops = Router("/shops/{shop:str}", route_handlers=[item_of_shop])
    handlers = [item, busy, broken, conflict, stream, room, shops]
    return Litestar(handlers, logging_config=None)  # else Litestar sets up logging, and its lines are there instead


app = instrumentation.instrument(instrumentation.instrument(made()))
