"""Requests that uvicorn refuses are in the error rate, on each of its protocols."""

from __future__ import annotations

import os
import socket
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from sidelight.toolchain import processes

ROOT = Path(__file__).parents[3]
BIN = Path(sys.executable).parent
SECONDS = 60.0
LIMIT = 3
SERVICE = """
import instrumentation
from fastapi import FastAPI

app = FastAPI()

@app.get("/items")
async def items() -> str:
    return "items"

instrumentation.instrument(app)
other = instrumentation.instrument(FastAPI())
"""


@pytest.mark.parametrize("http", ["h11", "httptools"])
def test_every_refused_request_is_counted_once(http: str, tmp_path: Path) -> None:
    (tmp_path / "service.py").write_text(SERVICE)
    port = processes.free_port()
    url = f"http://127.0.0.1:{port}"
    argv = (BIN / "uvicorn", "service:app", "--port", str(port), "--http", http, "--limit-concurrency", str(LIMIT))
    env = {"PYTHONPATH": os.pathsep.join((str(ROOT), str(tmp_path)))}
    with processes.start(argv, log=tmp_path / "log", ready=f"{url}/ready", url=url, env=env, cwd=tmp_path):
        with ExitStack() as idle:
            for _ in range(LIMIT):
                idle.enter_context(socket.create_connection(("127.0.0.1", port)))
            answers = [get(f"{url}/items") for _ in range(17)]
        assert {answer.status_code for answer in answers} == {503}
        deadline = time.monotonic() + SECONDS
        while (page := get(f"{url}/metrics")).status_code == 503:  # until uvicorn has closed the idle connections
            answers.append(page)
            assert time.monotonic() < deadline
        lines = [
            line for line in page.text.splitlines() if 'http_response_status_code="503"' in line and "_count{" in line
        ]
    (line,) = lines
    assert line == (
        'http_server_request_duration_seconds_count{error_type="503",http_request_method="_OTHER",'
        f'http_response_status_code="503",http_route=""}} {len(answers)}.0'
    )


def get(url: str) -> httpx.Response:
    return httpx.get(url, timeout=SECONDS, trust_env=False)
