"""The counted bytes are those that real servers send and receive."""

from __future__ import annotations

import os
import socket
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx
import pytest

from sidelight.toolchain import processes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidelight.toolchain.processes import Process

ROOT = Path(__file__).parents[3]
BIN = Path(sys.executable).parent
SECONDS = 30.0
FILE_SIZE = 300_000

SERVICE = """
import asyncio
from starlette.applications import Starlette
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse
from starlette.routing import Route
from instrumentation.http.sizes import counting_bytes

ended = {}

class Echo:
    async def __call__(self, scope, receive, send):
        messages = [await receive()]
        while messages[-1]["more_body"]:
            messages.append(await receive())
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for message in messages:
            await send({**message, "type": "http.response.body"})

async def known(request):
    return JSONResponse(ended.get(request.query_params["path"]))

class Left:
    \"\"\"Sends three parts, and seven more once the client has left, of which it hears or its server alone knows.\"\"\"

    def __init__(self, heard):
        self._heard = heard

    async def __call__(self, scope, receive, send):
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for part in range(10):
            if part == 3:
                while not (await receive())["type"] == "http.disconnect" if self._heard else not scope["cycle"].disconnected:
                    await asyncio.sleep(0.01)
            await send({"type": "http.response.body", "body": b"x" * 1000, "more_body": part < 9})

counting = counting_bytes(Starlette(routes=[
    Route("/echo", Echo(), methods=["POST"]),
    Route("/text", lambda request: PlainTextResponse("seven77")),
    Route("/file", lambda request: FileResponse("file")),
    Route("/heard", Left(True)),
    Route("/dropped", Left(False)),
    Route("/known", known),
]))

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return await counting(scope, receive, send)
    scope["sidelight"] = scope["cycle"] = getattr(send, "__self__", None)
    try:
        await counting(scope, receive, send)
    finally:
        moved = scope["sidelight"]
        ended[scope["method"] + " " + scope["path"]] = [moved.received, moved.sent]
"""

SERVERS: dict[str, tuple[str, ...]] = {
    "uvicorn, httptools": ("uvicorn", "service:app", "--host", "127.0.0.1", "--port", "{port}", "--http", "httptools"),
    "uvicorn, h11": ("uvicorn", "service:app", "--host", "127.0.0.1", "--port", "{port}", "--http", "h11"),
    "hypercorn": ("hypercorn", "service:app", "-b", "127.0.0.1:{port}"),
    "granian": ("granian", "--interface", "asgi", "service:app", "--host", "127.0.0.1", "--port", "{port}"),
}


@contextmanager
def serving(server: str, folder: Path) -> Iterator[Process]:
    (folder / "service.py").write_text(SERVICE)
    (folder / "file").write_bytes(b"x" * FILE_SIZE)
    port = processes.free_port()
    url = f"http://127.0.0.1:{port}"
    program, *arguments = (part.format(port=port) for part in SERVERS[server])
    env = {"PYTHONPATH": os.pathsep.join((str(ROOT), str(folder)))}
    argv = (BIN / program, *arguments)
    with processes.start(argv, log=folder / "log", ready=f"{url}/text", url=url, env=env, cwd=folder) as running:
        yield running


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    with serving(request.param, tmp_path_factory.mktemp("sizes")) as running:
        yield running


def moved(server: Process, request: str) -> list[int]:
    """What moved in a request, asked for until it has ended."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        found: list[int] | None = ask(server, "GET", "/known", params={"path": request}).json()
        if found is not None:
            return found
        time.sleep(0.02)
    raise AssertionError(f"{request} did not end within {SECONDS:g} s")


def ask(server: Process, method: str, path: str, **options: object) -> httpx.Response:
    with httpx.Client(base_url=server.url, trust_env=False, timeout=SECONDS) as client:
        return client.request(method, path, **options)  # type: ignore[arg-type]


def test_a_stream_in_and_out_is_counted_to_the_byte(server: Process) -> None:
    parts = [b"x" * size for size in (1, 70_000, 7)]
    assert ask(server, "POST", "/echo", content=iter(parts)).content == b"".join(parts)
    assert moved(server, "POST /echo") == [70_008, 70_008]


def test_head_moves_nothing_although_the_app_answers_as_to_get(server: Process) -> None:
    assert ask(server, "GET", "/text").content == b"seven77"
    response = ask(server, "HEAD", "/text")
    assert (response.content, response.headers["content-length"]) == (b"", "7")
    assert (moved(server, "GET /text"), moved(server, "HEAD /text")) == ([0, 7], [0, 0])


def test_the_size_of_a_file_is_counted_whether_app_or_server_sends_it(server: Process) -> None:
    assert len(ask(server, "GET", "/file").content) == FILE_SIZE
    assert moved(server, "GET /file") == [0, FILE_SIZE]


def leave(server: Process, path: str) -> None:
    """Read three parts and hang up."""
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname, address.port), timeout=SECONDS) as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: shop\r\n\r\n".encode())
        read = b""
        while read.count(b"x") < 3000:
            read += client.recv(65536)


def test_a_client_that_leaves_half_way_got_what_was_sent_until_then(server: Process) -> None:
    leave(server, "/heard")
    assert moved(server, "GET /heard") == [0, 3000]


@pytest.mark.parametrize("name", ["uvicorn, httptools", "uvicorn, h11"])
def test_bytes_that_uvicorn_drops_silently_were_not_sent(name: str, tmp_path: Path) -> None:
    with serving(name, tmp_path) as server:
        leave(server, "/dropped")
        assert moved(server, "GET /dropped") == [0, 3000]
