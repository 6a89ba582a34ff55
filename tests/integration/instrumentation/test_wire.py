"""What a client received and what is counted agree for each request: before, during and after the response."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import struct
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from sidelight.toolchain import processes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidelight.toolchain.processes import Process

ROOT = Path(__file__).parents[3]
SECONDS = 30.0
TIMES = {"nothing": 8, "layers that wrap send and receive": 3}  # each exchange, by what is outside of Sidelight
AT_ONCE = 40

APP = """
import asyncio
import os
import sys
import warnings
from pathlib import Path

if os.environ["LAYER"] == "python":
    sys.modules["_sidelight_speedups"] = None

warnings.simplefilter("ignore")
from fastapi import BackgroundTasks, FastAPI, Request
from fastapi.responses import FileResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.middleware.wsgi import WSGIMiddleware

import instrumentation

FILE = Path(__file__).with_name("file.bin")
FILE.write_bytes(bytes(200_000))


def wsgi(environ, start_response):
    status = "500 Internal Server Error" if environ["PATH_INFO"] == "/fail" else "200 OK"
    start_response(status, [("content-type", "text/plain"), ("content-length", "7")])
    return [b"sev", b"en!!"]


def service():
    app = FastAPI()

    @app.get("/item")
    @app.head("/item")
    async def item():
        return PlainTextResponse("item")

    @app.get("/fail")
    async def fail():
        return PlainTextResponse("no database", 500)

    @app.get("/raise")
    async def broken():
        raise RuntimeError("broken")

    @app.get("/empty")
    async def empty():
        return Response(status_code=204)

    @app.get("/unchanged")
    async def unchanged():
        return Response(status_code=304)

    @app.get("/moved")
    async def moved():
        return RedirectResponse("/item")

    @app.get("/file")
    async def file():
        return FileResponse(FILE)

    @app.get("/later")
    async def later(tasks: BackgroundTasks):
        tasks.add_task(asyncio.sleep, 0.1)
        return "now"

    def parts(*, wait=0.0, end=0.02, fail=False):
        async def parts():
            yield b"first"
            await asyncio.sleep(wait)
            if fail:
                raise RuntimeError("broken off")
            yield b"other"
            await asyncio.sleep(end)  # the last message comes late
        return parts()

    SIZED = {"content-length": "10"}

    @app.get("/sized")
    async def sized():
        return StreamingResponse(parts(), headers=SIZED)

    @app.get("/sized-fail")
    async def sized_fail():
        return StreamingResponse(parts(), 503, headers=SIZED)

    @app.get("/chunked")
    async def chunked():
        return StreamingResponse(parts())

    @app.get("/chunked-fail")
    async def chunked_fail():
        return StreamingResponse(parts(), 503)

    @app.get("/events")
    async def events():
        return StreamingResponse(parts(wait=0.2), media_type="text/event-stream")

    @app.get("/slow")
    async def slow():
        return StreamingResponse(parts(wait=0.4), headers=SIZED)

    @app.get("/slow-chunked")
    async def slow_chunked():
        return StreamingResponse(parts(wait=0.4))

    @app.get("/slow-fail")
    async def slow_fail():
        return StreamingResponse(parts(wait=0.4), 503, headers=SIZED)

    @app.get("/breaks")
    async def breaks():
        return StreamingResponse(parts(fail=True))

    @app.get("/waits")
    async def waits(request: Request):
        for _ in range(20):
            if await request.is_disconnected():  # granian says so to who asks alone
                break
            await asyncio.sleep(0.02)
        return PlainTextResponse("at last")

    @app.get("/waits-to-fail")
    async def waits_to_fail(request: Request):
        await waits(request)
        raise RuntimeError("broken, but nobody hears it")

    @app.post("/upload")
    async def upload(request: Request):
        return PlainTextResponse(str(len(await request.body())))

    app.mount("/wsgi", WSGIMiddleware(wsgi))
    return app


def based():
    app = service()
    for _ in range(3):
        @app.middleware("http")
        async def middleware(request, call_next):
            return await call_next(request)
    return app


async def late(scope, receive, send):
    '''Gives its messages one by one, with a pause before each but the first.'''
    has_body = scope["method"] != "HEAD" and "empty" not in scope["path"]
    status = 503 if "fail" in scope["path"] else 200
    headers = iter([(b"Content-Length", b"0" if "empty" in scope["path"] else b"4")])
    await send({"type": "http.response.start", "status": status, "headers": headers})
    for part in (b"la", b"te") if has_body else ():
        await asyncio.sleep(0.02)
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await asyncio.sleep(0.02)
    await send({"type": "http.response.body"})


app = service()
app.mount("/based", based())
app.mount("/late", late)
instrumentation.instrument(app)

if os.environ["OUTSIDE"] == "layers that wrap send and receive":
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider

    trace.set_tracer_provider(TracerProvider())  # FastAPI's own telemetry then wraps send outside of Sidelight
    inner = app

    async def app(scope, receive, send):
        async def received():
            return await receive()

        async def sending(message):
            await send(message)

        await inner(scope, received, sending)
"""

UVICORN = ("uvicorn", "service:app", "--host", "127.0.0.1", "--port", "{port}", "--no-access-log", "--http")
SERVERS: dict[str, tuple[str, ...]] = {
    "uvicorn with h11": (*UVICORN, "h11"),
    "uvicorn with httptools": (*UVICORN, "httptools"),
    "hypercorn": ("hypercorn", "service:app", "-b", "127.0.0.1:{port}"),
    "granian": ("granian", "--interface", "asgi", "service:app", "--host", "127.0.0.1", "--port", "{port}"),
}

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
        return self.request.partition(" ")[0]

    @property
    def path(self) -> str:
        return self.request.partition(" ")[2]

    def bytes(self) -> bytes:
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


@pytest.fixture(params=TIMES)
def outside(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["python", "compiled"])
def layer(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=SERVERS)
def service(request: pytest.FixtureRequest, layer: str, outside: str, tmp_path: Path) -> Iterator[Process]:
    (tmp_path / "service.py").write_text(APP)
    port = processes.free_port()
    url = f"http://127.0.0.1:{port}"
    arguments = (part.format(port=port) for part in SERVERS[request.param])
    env = {"PYTHONPATH": os.pathsep.join((str(ROOT), str(tmp_path))), "LAYER": layer, "OUTSIDE": outside}
    argv = (sys.executable, "-m", *arguments)
    with processes.start(
        argv, log=tmp_path / "server.log", ready=f"{url}/metrics", url=url, env=env, cwd=tmp_path
    ) as running:
        yield running


def test_counted_is_what_clients_received(service: Process, outside: str) -> None:
    asked = [exchange for exchange in exchanges() for _ in range(TIMES[outside])]
    received = asyncio.run(all_of(asked, httpx.URL(service.url).port or 0))
    expected = Counter(counts_as(exchange, one) for exchange, ones in zip(asked, received, strict=True) for one in ones)
    assert counted_once_there(service.url, expected.total()) == expected


def counts_as(exchange: Exchange, received: Received) -> tuple[str, str, str, str]:
    route = exchange.template or exchange.path
    status, error = "499", ""
    if received.is_cut_off:
        status, error = str(received.status), "response_aborted"
    elif received.is_complete or (received.status or 0) >= 500 or (received.status and "/events" in route):
        status = str(received.status)
    return exchange.method, route, status, status if status >= "500" else error


def counted_once_there(url: str, total: int) -> Counter[tuple[str, ...]]:
    deadline = time.monotonic() + SECONDS
    while (found := counted(url)).total() < total and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def counted(url: str) -> Counter[tuple[str, ...]]:
    page = httpx.get(f"{url}/metrics", timeout=10, trust_env=False).text
    rows = re.findall(r"^http_server_request_duration_seconds_count\{(.*)\} (\S+)$", page, re.MULTILINE)
    names = ("http_request_method", "http_route", "http_response_status_code", "error_type")
    labels = [(dict(re.findall(r'(\w+)="([^"]*)"', row)), int(float(count))) for row, count in rows]
    return +Counter({tuple(row[name] for name in names): count for row, count in labels})


# --- A client of raw sockets ------------------------------------------------------------------------------------------


async def all_of(asked: list[Exchange], port: int) -> list[list[Received]]:
    free = asyncio.Semaphore(AT_ONCE)

    async def one(exchange: Exchange, *, is_rude: bool) -> list[Received]:
        async with free, asyncio.timeout(SECONDS):
            return await ask(exchange, port, is_rude=is_rude)

    return await asyncio.gather(*(one(exchange, is_rude=number % 2 == 1) for number, exchange in enumerate(asked)))


async def ask(exchange: Exchange, port: int, *, is_rude: bool) -> list[Received]:
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
                received.append(await read_response(reader, exchange))
            if not received[-1].is_complete:
                break
        return received
    finally:
        if is_rude and exchange.client != BEFORE:  # a server may never see what was reset before it read it
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.close()


async def read_response(reader: asyncio.StreamReader, exchange: Exchange) -> Received:
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
            await read_chunks(reader)
    except asyncio.IncompleteReadError:
        return Received(status, is_cut_off=True)
    return Received(status, is_complete=True)


async def read_chunks(reader: asyncio.StreamReader) -> None:
    size = -1
    while size != 0:
        size = int(await reader.readuntil(b"\r\n"), 16)
        await reader.readexactly(size + 2)
