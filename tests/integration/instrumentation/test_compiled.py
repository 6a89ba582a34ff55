"""Real servers run the compiled request path, also around a bare app, and notice clients that disconnect."""

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

from sidelight.toolchain import processes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidelight.toolchain.processes import Process

ROOT = Path(__file__).parents[3]
BIN = Path(sys.executable).parent
SECONDS = 30.0

APP = """
import instrumentation
from instrumentation.http.compiled import fastest

assert fastest().__module__ == "_sidelight_speedups"

async def bare(scope, receive, send):
    if scope["type"] != "http":
        raise RuntimeError("no lifespan")
    if scope["path"] not in ("/", "/wait"):
        await send({"type": "http.response.start", "status": 404, "headers": []})
        return await send({"type": "http.response.body"})
    message = await receive()
    while scope["path"] == "/wait" and message["type"] != "http.disconnect":
        message = await receive()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for part in (b"a", b"b"):
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b"c"})

app = instrumentation.instrument(bare)
"""

SERVERS: dict[str, tuple[str, ...]] = {
    "uvicorn": ("service:app", "--host", "127.0.0.1", "--port", "{port}"),
    "hypercorn": ("service:app", "-b", "127.0.0.1:{port}"),
    "granian": ("--interface", "asgi", "service:app", "--host", "127.0.0.1", "--port", "{port}"),
}


@pytest.fixture(params=SERVERS)
def service(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Process]:
    (tmp_path / "service.py").write_text(APP)
    port = processes.free_port()
    url = f"http://127.0.0.1:{port}"
    arguments = (part.format(port=port) for part in SERVERS[request.param])
    env = {"PYTHONPATH": os.pathsep.join((str(ROOT), str(tmp_path)))}
    with processes.start(
        (BIN / request.param, *arguments),
        log=tmp_path / "server.log",
        ready=f"{url}/metrics",
        url=url,
        env=env,
        cwd=tmp_path,
    ) as running:
        yield running


def counted(url: str) -> dict[str, float]:
    """Requests by status."""
    page = httpx.get(f"{url}/metrics", timeout=10, trust_env=False).text
    pattern = r'^http_server_request_duration_seconds_count{.*status_code="(\d+)".*} (\S+)$'
    return {status: float(count) for status, count in re.findall(pattern, page, re.MULTILINE) if float(count)}


def test_a_bare_app_answers_and_counts(service: Process) -> None:
    for _ in range(3):
        assert httpx.get(service.url, timeout=10, trust_env=False).text == "abc"
    assert counted(service.url) == {"200": 3}


def test_a_client_that_leaves_is_seen(service: Process) -> None:
    with socket.create_connection((httpx.URL(service.url).host, httpx.URL(service.url).port or 0)) as client:
        client.sendall(b"GET /wait HTTP/1.1\r\nhost: shop\r\n\r\n")
        wait_until_active(service.url)
    deadline = time.monotonic() + SECONDS
    while counted(service.url) != {"499": 1}:
        assert time.monotonic() < deadline, counted(service.url)
        time.sleep(0.05)


def wait_until_active(url: str) -> None:
    deadline = time.monotonic() + SECONDS
    while 'http_server_active_requests{http_request_method="GET"} 1.0' not in (
        page := httpx.get(f"{url}/metrics", timeout=10, trust_env=False).text
    ):
        assert time.monotonic() < deadline, page
        time.sleep(0.05)
