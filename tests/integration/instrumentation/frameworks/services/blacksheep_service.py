"""A BlackSheep service."""

from __future__ import annotations

from typing import TYPE_CHECKING

from blacksheep import Application, Response, Router, StreamedContent, WebSocket, text

import instrumentation

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

app = Application(router=Router())
instrumentation.instrument(app)
instrumentation.instrument(app)
shops = Application(router=Router())


@app.router.get("/items/{int:item}")
async def item(item: int) -> Response:
    return text(str(item))


@shops.router.get("/items/:item")
async def item_of_shop(item: int) -> Response:
    return text(str(item))


@app.router.get("/busy")
async def busy() -> Response:
    return Response(503)


@app.router.get("/broken")
async def broken() -> Response:
    raise RuntimeError("broken")


@app.router.get("/conflict")
async def conflict() -> Response:
    raise instrumentation.ConflictError("taken")


@app.router.get("/stream")
async def stream() -> Response:
    async def parts() -> AsyncIterator[bytes]:
        for number in range(3):
            yield f"part{number} ".encode()

    return Response(200, content=StreamedContent(b"text/plain", parts))


@app.router.ws("/rooms/{room}")
async def room(socket: WebSocket, room: str) -> None:
    await socket.accept()
    await socket.send_text(room)
    await socket.close()


app.mount_registry.auto_events = True
app.mount("/shops", shops)
