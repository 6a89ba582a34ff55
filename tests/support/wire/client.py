"""A client of raw sockets that records what it really received, and leaves before, during or after the response."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SECONDS = 30.0
AT_ONCE = 40
_SERVER_ERROR = 500

WHOLE, KEPT, BEFORE, DURING = "reads it all", "reads it all and asks on", "leaves before", "leaves during"


@dataclass(frozen=True)
class Exchange:
    """A request, and what its client does.

    Attributes:
        request: Method and path.
        client: What it does.
        template: The route template, if it is not the path.
        sends: How much of the body of 100 bytes that it announces; None for no body.
    """

    request: str
    client: str = WHOLE
    template: str = ""
    sends: int | None = None

    @property
    def method(self) -> str:
        """The method of the request."""
        return self.request.partition(" ")[0]

    @property
    def path(self) -> str:
        """The path of the request."""
        return self.request.partition(" ")[2]

    def bytes(self) -> bytes:
        """What the client sends."""
        length = "" if self.sends is None else "content-length: 100\r\n"
        return f"{self.method} {self.path} HTTP/1.1\r\nhost: here\r\n{length}\r\n".encode() + bytes(self.sends or 0)


@dataclass(frozen=True)
class Received:
    """What came over the wire: the status of a response, whether it was complete, and whether the server ended it."""

    status: int | None = None
    is_complete: bool = False
    is_cut_off: bool = False


ANSWERED = (
    "GET /item", "HEAD /item", "GET /fail", "GET /empty", "GET /unchanged", "GET /moved", "GET /file", "GET /later",
    "GET /sized", "GET /sized-fail", "GET /chunked", "GET /chunked-fail", "GET /slow", "GET /waits",
    "GET /events",
)  # fmt: skip
RAISED = ("GET /raise", "GET /breaks")  # uvicorn then ends the connection
LEFT = (
    ("GET /events", DURING), ("GET /slow", DURING), ("GET /slow-chunked", DURING), ("GET /slow-fail", DURING), ("GET /waits", BEFORE),
    ("GET /waits-to-fail", BEFORE),
)  # fmt: skip


def exchanges() -> Iterator[Exchange]:
    """Every kind of request, with every kind of client."""
    for prefix in ("", "/based"):
        for request in ANSWERED:
            for client in (WHOLE, KEPT):
                yield Exchange(request.replace(" ", f" {prefix}"), client)
        for request, client in (*LEFT, *((request, WHOLE) for request in RAISED)):
            yield Exchange(request.replace(" ", f" {prefix}"), client)
        for path in ("ok", "fail"):
            yield Exchange(f"GET {prefix}/wsgi/{path}", template=f"{prefix}/wsgi/{{path}}")
        yield Exchange(f"POST {prefix}/upload", sends=100)
        yield Exchange(f"POST {prefix}/upload", BEFORE, sends=7)
    for request in ("GET /late/ok", "GET /late/fail", "HEAD /late/ok", "HEAD /late/fail", "GET /late/empty"):
        yield Exchange(request, template="/late/{path}")


def counts_as(exchange: Exchange, received: Received) -> tuple[str, str, str, str]:
    """Method, route, status and error type under which a request must be counted."""
    route = exchange.template or exchange.path
    status, error = "499", ""
    if received.is_cut_off:
        status, error = str(received.status), "response_aborted"
    elif received.is_complete or (received.status or 0) >= _SERVER_ERROR or (received.status and "/events" in route):
        status = str(received.status)
    return exchange.method, route, status, status if status >= "500" else error


async def all_of(asked: Sequence[Exchange], port: int) -> list[list[Received]]:
    """Send requests, up to 40 at once, and return what each client received; every other client ends by a reset."""
    free = asyncio.Semaphore(AT_ONCE)

    async def one(exchange: Exchange, *, is_rude: bool) -> list[Received]:
        async with free, asyncio.timeout(SECONDS):
            return await _ask(exchange, port, is_rude=is_rude)

    return await asyncio.gather(*(one(exchange, is_rude=number % 2 == 1) for number, exchange in enumerate(asked)))


async def _ask(exchange: Exchange, port: int, *, is_rude: bool) -> list[Received]:
    """Ask over one connection, twice where it is kept; rude clients end it by a reset."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    received: list[Received] = []
    try:
        for _ in range(2 if exchange.client == KEPT else 1):
            writer.write(exchange.bytes())
            if exchange.client == BEFORE:
                await asyncio.sleep(0.1)
                received.append(Received())
            else:
                received.append(await _read_response(reader, exchange))
            if not received[-1].is_complete:
                break
        return received
    finally:
        if is_rude and exchange.client != BEFORE:  # a server may never see what was reset before it read it
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.close()


async def _read_response(reader: asyncio.StreamReader, exchange: Exchange) -> Received:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    status = int(head.split()[1])
    length = re.search(r"^content-length: (\d+)", head, re.MULTILINE)
    try:
        if exchange.client == DURING:
            await reader.readexactly(1)
            return Received(status)
        if exchange.method == "HEAD" or status in {204, 304}:
            pass
        elif length is not None:
            await reader.readexactly(int(length[1]))
        else:
            await _read_chunks(reader)
    except asyncio.IncompleteReadError:
        return Received(status, is_cut_off=True)
    return Received(status, is_complete=True)


async def _read_chunks(reader: asyncio.StreamReader) -> None:
    size = -1
    while size != 0:
        size = int(await reader.readuntil(b"\r\n"), 16)
        await reader.readexactly(size + 2)
