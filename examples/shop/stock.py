"""The stock of each item, over a websocket and a stream of server-sent events that customers leave open."""

import asyncio
import json
from collections.abc import AsyncIterator
from itertools import count

from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from fastapi.responses import StreamingResponse

from .catalog import ITEMS

SECONDS = 0.5  # between two messages
MOST = 40  # of an item

router = APIRouter(tags=["stock"])


@router.websocket("/stock")
async def stock(socket: WebSocket) -> None:
    """Send the stock of one item after the other until the customer disconnects."""
    await socket.accept()
    try:
        async for change in changes():
            await socket.send_json(change)
    except WebSocketDisconnect:
        return


@router.get("/stock/events")
async def events() -> StreamingResponse:
    """Send the same changes as server-sent events."""

    async def events() -> AsyncIterator[str]:
        async for change in changes():
            yield f"data: {json.dumps(change)}\n\n"

    return StreamingResponse(events(), media_type="text/event-stream")


async def changes() -> AsyncIterator[dict[str, str | int]]:
    """Yield the stock of one item after the other, forever."""
    for turn in count():
        for sku in ITEMS:
            yield {"sku": sku, "left": MOST - turn % MOST}
            await asyncio.sleep(SECONDS)
