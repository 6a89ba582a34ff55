"""Puts a service under load over loopback, and records for every request whether it was answered."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.support.soak import WORKER

CONNECTIONS = 16
PER_CONNECTION = 60  # requests per connection, so that a new worker gets its share
PAUSE = 0.004  # seconds between two requests of a connection, so that the machine is not fully loaded
ANSWER_SECONDS = 15.0
FAULTS = (OSError, EOFError, asyncio.IncompleteReadError, ValueError)


class Kind(NamedTuple):
    """A kind of request, as it is counted.

    Attributes:
        route: The template.
        status: What the service answers.
    """

    route: str
    status: int


KINDS = (
    Kind("/items/{item}", 200),
    Kind("/slow/{item}", 200),
    Kind("/broken/{item}", 503),
    Kind("/stream/{item}", 200),
)


@dataclass(frozen=True, kw_only=True)
class Cut:
    """A request that was sent and not answered.

    Attributes:
        kind: Its kind.
        worker: The process that answered before on this connection, if any.
        reason: What happened to the connection.
    """

    kind: Kind
    worker: int | None
    reason: str


@dataclass(kw_only=True)
class Tally:
    """The outcome of the requests.

    Attributes:
        answered: The number of completely answered requests of each kind.
        cut: Requests that were sent and not answered.
        other: Responses with an unexpected status.
    """

    answered: Counter[Kind] = field(default_factory=Counter)
    cut: list[Cut] = field(default_factory=list)
    other: list[str] = field(default_factory=list)

    @property
    def sent(self) -> int:
        """The number of requests sent."""
        return self.answered.total() + len(self.cut) + len(self.other)


class Load:
    """Connections that send one request after the other until they are stopped.

    Args:
        host: The server's host.
        port: The server's port.
        limit: The maximum number of requests.
    """

    def __init__(self, host: str, port: int, limit: int) -> None:
        self._host = host
        self._port = port
        self._limit = limit
        self._stopped = asyncio.Event()
        self.tally = Tally()

    def stop(self) -> None:
        """End every connection after its current request."""
        self._stopped.set()

    async def run(self) -> None:
        """Send requests until stopped or until the limit is reached."""
        async with asyncio.TaskGroup() as group:
            for seed in range(CONNECTIONS):
                group.create_task(self._ask_on(random.Random(seed)))

    @property
    def _is_over(self) -> bool:
        return self._stopped.is_set() or self.tally.sent >= self._limit

    async def _ask_on(self, chance: random.Random) -> None:
        while not self._is_over:
            with suppress(OSError):  # nothing was sent, so nothing is lost
                reader, writer = await asyncio.open_connection(self._host, self._port)
                try:
                    await self._one_connection(reader, writer, chance)
                finally:
                    writer.close()
            await asyncio.sleep(PAUSE)

    async def _one_connection(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, chance: random.Random
    ) -> None:
        worker: int | None = None
        for _ in range(PER_CONNECTION):
            if self._is_over:
                return
            kind = chance.choice(KINDS)
            try:
                writer.write(_request(kind, chance.randrange(10**6)))
                async with asyncio.timeout(ANSWER_SECONDS):
                    status, worker = await _answer(reader)
            except (*FAULTS, TimeoutError) as error:
                self.tally.cut.append(Cut(kind=kind, worker=worker, reason=type(error).__name__))
                return
            self._count(kind, status)
            await asyncio.sleep(PAUSE)

    def _count(self, kind: Kind, status: int) -> None:
        if status == kind.status:
            self.tally.answered[kind] += 1
        else:
            self.tally.other.append(f"{kind.route} answered {status}")


def _request(kind: Kind, item: int) -> bytes:
    path = kind.route.replace("{item}", str(item))
    return f"GET {path} HTTP/1.1\r\nHost: loopback\r\n\r\n".encode()


async def _answer(reader: asyncio.StreamReader) -> tuple[int, int]:
    """The status and the worker of a response, which is read to its end."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.rstrip().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    if "content-length" in headers:
        await reader.readexactly(int(headers["content-length"]))
    else:
        await _skip_chunks(reader)
    return int(first.split()[1]), int(headers[WORKER])


async def _skip_chunks(reader: asyncio.StreamReader) -> None:
    size = -1
    while size:
        size = int(await reader.readuntil(b"\r\n"), 16)
        await reader.readexactly(size + 2)  # the chunk and the line break after it
