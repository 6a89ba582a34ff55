"""Mails to customers: a queue that a worker empties, with its depth reported to Prometheus."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from uuid import UUID

from fastapi import FastAPI

from instrumentation import queue, workflow

MAIL_SECONDS = 0.02
MOST = 10_000  # waiting mails; beyond that, the oldest are lost


class Mails:
    """Receipts waiting to be sent."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[float, UUID]] = deque(maxlen=MOST)
        self._arrived: asyncio.Event | None = None

    def send_later(self, order: UUID) -> None:
        """Put a receipt into the queue."""
        self._waiting.append((time.monotonic(), order))
        if self._arrived is not None:
            self._arrived.set()

    @asynccontextmanager
    async def sending(self, _app: FastAPI) -> AsyncIterator[None]:
        """Send waiting receipts while the shop runs."""
        self._arrived = asyncio.Event()
        watched = queue("mails", depth=lambda: len(self._waiting), oldest_age=self._oldest_age)
        worker = asyncio.create_task(self._send_all(self._arrived))
        try:
            yield
        finally:
            worker.cancel()
            watched.close()

    async def _send_all(self, arrived: asyncio.Event) -> None:
        while True:
            arrived.clear()
            while self._waiting:
                with workflow("receipt_mail") as run:
                    run.waited(time.monotonic() - self._waiting[0][0])
                    await asyncio.sleep(MAIL_SECONDS)
                self._waiting.popleft()
            await arrived.wait()

    def _oldest_age(self) -> float | None:
        with suppress(IndexError):
            return time.monotonic() - self._waiting[0][0]
        return None


mails = Mails()
