"""The stock of each item, over a websocket that customers leave open."""

import asyncio
from itertools import count

from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from .catalog import ITEMS

SECONDS = 0.5  # between two messages
MOST = 40  # of an item

router = APIRouter(tags=["stock"])


@router.websocket("/stock")
async def stock(socket: WebSocket) -> None:
    """Send the stock of one item after the other until the customer disconnects."""
    await socket.accept()
    try:
        for turn in count():
            for sku in ITEMS:
                await socket.send_json({"sku": sku, "left": MOST - turn % MOST})
                await asyncio.sleep(SECONDS)
    except WebSocketDisconnect:
        return
