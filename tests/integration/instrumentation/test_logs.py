"""Under a real server, what the service and the server say is JSON, each request has one access line, and no word is lost."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from sidelight.toolchain import processes

ROOT = Path(__file__).parents[3]
BIN = Path(sys.executable).parent
SECONDS = 30.0
APP = """
import logging
import structlog
from fastapi import FastAPI
import instrumentation

app = FastAPI()

@app.get("/items/{item}")
async def item(item: int) -> None:
    structlog.get_logger("shop").info("of structlog", password="hunter2")
    logging.getLogger("shop").warning("of the standard library, password %s", "hunter2")

@app.get("/broken")
async def broken() -> None:
    raise RuntimeError("password=hunter2")

instrumentation.instrument(app)
"""
GUNICORN = ("gunicorn", "-k", "uvicorn_worker.UvicornWorker", "-w", "2", "--access-logfile", "-", "-b")
SERVERS: dict[str, tuple[str, ...]] = {
    "uvicorn": ("uvicorn", "--workers", "2", "service:app", "--port"),
    "gunicorn": (*GUNICORN, "127.0.0.1:{port}", "service:app"),
    "gunicorn, app loaded before the fork": (*GUNICORN, "127.0.0.1:{port}", "--preload", "service:app"),
    "granian": ("granian", "--interface", "asgi", "--workers", "2", "--access-log", "service:app", "--port"),
}
WAIT = 0.05


class Served:
    """What was written while a server ran.

    Attributes:
        text: All of it, of stdout and stderr.
    """

    def __init__(self, text: str) -> None:
        self.text = text

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines() if line.startswith("{")]

    def of(self, current: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line.get("correlation_id") == current]


def until_written(log: Path, text: str, why: str) -> None:
    """Wait until a text stands in a log twice."""
    deadline = time.monotonic() + SECONDS
    while log.read_text().count(text) < 2:
        assert time.monotonic() < deadline, f"{text}, {why}: {log.read_text()}"
        time.sleep(WAIT)


@pytest.fixture(scope="module", params=SERVERS)
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Served:
    folder = tmp_path_factory.mktemp("service")
    (folder / "service.py").write_text(APP)
    port = str(processes.free_port())
    program, *arguments = SERVERS[request.param]
    argv = [BIN / program, *(part.format(port=port) for part in arguments)]
    argv += [port] if arguments[-1] == "--port" else []
    url = f"http://127.0.0.1:{port}"
    env = {"PYTHONPATH": os.pathsep.join((str(ROOT), str(folder)))}
    log = folder / "server.log"
    with processes.start(argv, log=log, ready=f"{url}/metrics", url=url, env=env, cwd=folder):
        with httpx.Client(base_url=url, trust_env=False) as client:
            for path, current in (("/items/31?token=hunter2", "abc-7"), ("/broken", "abc-8")):
                answer = client.get(path, headers={"x-correlation-id": current})
                assert answer.headers["x-correlation-id"] == current
        until_written(log, "abc-8", "of the access line and of the server")
        until_written(
            log, "Started worker-" if program == "granian" else "Application startup complete", "of each worker"
        )
    return Served(log.read_text())


def test_each_request_has_one_access_line(served: Served) -> None:
    access = [line for line in served.lines if line["logger"] == "instrumentation.access"]
    found = [(line["correlation_id"], line["route"], line["status"], line["level"]) for line in access]
    assert found == [("abc-7", "/items/{item}", 200, "info"), ("abc-8", "/broken", 500, "error")]


def test_what_the_service_says_has_the_id(served: Served) -> None:
    events = [line["event"] for line in served.of("abc-7")]
    assert events == ["of structlog", "of the standard library, password ***", "request"]


def test_what_was_sent_and_what_is_secret_stands_nowhere(served: Served) -> None:
    assert "hunter2" not in served.text
    assert "/items/31" not in served.text


def test_what_the_server_says_of_an_exception_is_json(served: Served) -> None:
    assert any("xception" in line["event"] and line["level"] == "error" for line in served.lines)
    assert not any(line.startswith("Traceback") for line in served.text.splitlines())


def test_the_last_words_of_every_worker_are_there(served: Served) -> None:
    last = ("Finished server process", "Stopping worker")  # of uvicorn, which ends by the signal itself; of granian
    assert sum(line["event"].startswith(last) for line in served.lines) == 2
