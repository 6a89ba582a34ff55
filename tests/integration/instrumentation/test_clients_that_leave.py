"""If the client of a real server disconnects, the request counts as 499 and not as an error, if the server knows."""

from __future__ import annotations

import os
import re
import socket
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.support.servers import SERVERS, serving

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[3]
SECONDS = 20.0

APP = """
import asyncio
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse
import instrumentation

app = FastAPI()

@app.get("/events")
async def events() -> StreamingResponse:
    async def endless():
        while True:
            yield "data: 7\\n\\n"
            await asyncio.sleep(0.01)
    return StreamingResponse(endless(), media_type="text/event-stream")

@app.get("/late")
async def late() -> str:
    await asyncio.sleep(0.5)
    return "late"

@app.post("/upload")
async def upload(request: Request) -> int:
    return len(await request.body())

instrumentation.instrument(app)
"""
EVENTS = b"GET /events HTTP/1.1\r\nHost: here\r\n\r\n"
LATE = b"GET /late HTTP/1.1\r\nHost: here\r\n\r\n"
UPLOAD = b"POST /upload HTTP/1.1\r\nHost: here\r\nContent-Length: 100\r\n\r\nabc"
WHERE_THE_SERVER_SAYS_SO = {"uvicorn": "499", "gunicorn": "499", "hypercorn": "499"}  # granian only to who listens


@pytest.mark.parametrize("server", SERVERS)
def test_a_client_that_leaves_before_the_response_during_it_and_during_its_own_upload(
    server: str, tmp_path: Path
) -> None:
    (tmp_path / "service.py").write_text(APP)
    paths = os.pathsep.join((str(ROOT), str(tmp_path), *filter(None, sys.path)))
    with serving(SERVERS[server], "service:app", workers=1, folder=tmp_path, env={"PYTHONPATH": paths}) as process:
        host, _, port = process.url.removeprefix("http://").partition(":")
        for request, read in ((EVENTS, True), (LATE, False), (UPLOAD, False)):
            with socket.create_connection((host, int(port))) as client:
                client.sendall(request)
                until(lambda: active(process.url))
                if read:
                    client.recv(1)
        until(lambda: not active(process.url))
        assert counted(process.url) == {
            ("GET", "/events", "200", ""),
            ("GET", "/late", WHERE_THE_SERVER_SAYS_SO.get(server, "200"), ""),
            ("POST", "/upload", "499", ""),
        }


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def page(url: str) -> str:
    return httpx.get(f"{url}/metrics", timeout=10, trust_env=False).text


def active(url: str) -> bool:
    return bool(re.search(r"^http_server_active_requests\{.*\} [1-9]", page(url), re.MULTILINE))


def counted(url: str) -> set[tuple[str, ...]]:
    rows = re.findall(r"^http_server_request_duration_seconds_count\{(.*)\} [1-9]", page(url), re.MULTILINE)
    names = ("http_request_method", "http_route", "http_response_status_code", "error_type")
    labels = [dict(re.findall(r'(\w+)="([^"]*)"', row)) for row in rows]
    return {tuple(row[name] for name in names) for row in labels}
