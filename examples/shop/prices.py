"""Updates the prices at regular times, as a job."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from .signals import PRICES

SECONDS = 600.0


@asynccontextmanager
async def updating(_app: FastAPI) -> AsyncIterator[None]:
    """Update the prices while the shop runs, first at its start."""
    worker = asyncio.create_task(_update_again())
    try:
        yield
    finally:
        worker.cancel()


async def _update_again() -> None:
    while True:
        await _update()
        await asyncio.sleep(SECONDS)


@PRICES
async def _update() -> None:
    await asyncio.sleep(0)  # where a real shop would ask its suppliers
