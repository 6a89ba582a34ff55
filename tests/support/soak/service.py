"""The service under load; every response names its worker."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from fastapi import FastAPI
from fastapi.responses import PlainTextResponse, StreamingResponse

import instrumentation
from tests.support.soak import WORKER

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HEADERS = {WORKER: str(os.getpid())}

app = FastAPI()


@app.get("/items/{item}")
async def quick(item: int) -> PlainTextResponse:
    """Answer at once."""
    return PlainTextResponse(str(item), headers=HEADERS)


@app.get("/slow/{item}")
async def slow(item: int) -> PlainTextResponse:
    """Answer late, so that a kill interrupts requests."""
    await asyncio.sleep(0.02)
    return PlainTextResponse(str(item), headers=HEADERS)


@app.get("/broken/{item}")
async def broken(item: int) -> PlainTextResponse:
    """Answer with a server error."""
    return PlainTextResponse(str(item), status_code=503, headers=HEADERS)


@app.get("/stream/{item}")
async def stream(item: int) -> StreamingResponse:
    """Answer in chunks."""

    async def pieces() -> AsyncIterator[str]:
        for _ in range(10):
            yield f"{item}\n"
            await asyncio.sleep(0)

    return StreamingResponse(pieces(), headers=HEADERS)


instrumentation.instrument(app)
