"""On a real server, all log lines are JSON, each request has one access line, and no line is lost."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

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
        file: What the service wrote into a file of its own.
    """

    def __init__(self, text: str, file: str = "") -> None:
        self.text = text
        self.file = file

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines() if line.startswith("{")]

    def of(self, current: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line.get("correlation_id") == current]


def until_written(log: Path, text: str, why: str) -> None:
    """Wait until a text is in a log twice."""
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
    argv: list[str | Path] = [BIN / program, *(part.format(port=port) for part in arguments)]
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


def test_request_bodies_and_secrets_are_in_no_line(served: Served) -> None:
    assert "hunter2" not in served.text
    assert "/items/31" not in served.text


def test_what_the_server_says_of_an_exception_is_json(served: Served) -> None:
    assert any("xception" in line["event"] and line["level"] == "error" for line in served.lines)
    assert not any(line.startswith("Traceback") for line in served.text.splitlines())


def test_the_last_lines_of_every_worker_are_there(served: Served) -> None:
    last = ("Finished server process", "Stopping worker")  # of uvicorn, which ends by the signal itself; of granian
    assert sum(line["event"].startswith(last) for line in served.lines) == 2


# --- Websockets -------------------------------------------------------------------------------------------------------

WEBSOCKETS = """
from fastapi import FastAPI, WebSocket
import instrumentation

app = FastAPI()

@app.websocket("/rooms/{room}")
async def room(websocket: WebSocket, room: str) -> None:
    if room == "kitchen":
        await websocket.accept()
        await websocket.send_text("welcome")
        await websocket.receive_text()
    await websocket.close()

instrumentation.instrument(app)
"""
OPENED = {
    "uvicorn, websockets": ("uvicorn", "--ws", "websockets", "service:app", "--port", "{port}"),
    "uvicorn, sansio": ("uvicorn", "--ws", "websockets-sansio", "service:app", "--port", "{port}"),
    "uvicorn, wsproto": ("uvicorn", "--ws", "wsproto", "service:app", "--port", "{port}"),
    "hypercorn": ("hypercorn", "--access-logfile", "-", "-b", "127.0.0.1:{port}", "service:app"),
    "granian": ("granian", "--interface", "asgi", "--access-log", "--port", "{port}", "service:app"),
}


@pytest.mark.parametrize("program", OPENED)
def test_a_websocket_leaves_no_path_no_query_and_no_client(program: str, tmp_path: Path) -> None:
    (tmp_path / "service.py").write_text(WEBSOCKETS)
    port = processes.free_port()
    command, *arguments = OPENED[program]
    argv: list[str | Path] = [BIN / command, *(part.format(port=port) for part in arguments)]
    log, env = tmp_path / "server.log", {"PYTHONPATH": os.pathsep.join((str(ROOT), str(tmp_path)))}
    with processes.start(argv, log=log, ready=f"http://127.0.0.1:{port}/metrics", env=env, cwd=tmp_path):
        with connect(f"ws://127.0.0.1:{port}/rooms/kitchen?ticket=hunter2", proxy=None) as accepted:
            client = f"{accepted.local_address[0]}:{accepted.local_address[1]}"
            assert accepted.recv() == "welcome"
            accepted.send("thanks")
        with pytest.raises(InvalidStatus):
            connect(f"ws://127.0.0.1:{port}/rooms/attic?ticket=hunter2", proxy=None)
    text = log.read_text()
    found = [each for each in ("hunter2", "ticket", "/rooms", "kitchen", "attic", client) if each in text]
    assert found == [], text
    said = [json.loads(line)["event"] for line in text.splitlines() if '"WebSocket ' in line]
    assert said == (["WebSocket [accepted]", "WebSocket 403"] if command == "uvicorn" else [])


# --- An app that cannot be imported -----------------------------------------------------------------------------------

BROKEN = """
import instrumentation

async def app(scope, receive, send): ...
app = instrumentation.instrument(app)
raise ValueError("cannot use password=hunter2")
"""
LOADED = {
    "uvicorn": ("uvicorn", "service:app", "--port", "{port}"),
    "hypercorn": ("hypercorn", "-b", "127.0.0.1:{port}", "service:app"),
    "granian": ("granian", "--interface", "asgi", "--port", "{port}", "service:app"),
    "gunicorn": (*GUNICORN, "127.0.0.1:{port}", "service:app"),
}


@pytest.mark.parametrize("program", LOADED)
def test_an_app_that_cannot_be_imported_says_so_in_lines(program: str, tmp_path: Path) -> None:
    (tmp_path / "service.py").write_text(BROKEN)
    command, *arguments = LOADED[program]
    argv: list[str | Path] = [BIN / command, *(part.format(port=processes.free_port()) for part in arguments)]
    log, env = tmp_path / "server.log", {"PYTHONPATH": os.pathsep.join((str(ROOT), str(tmp_path)))}
    with processes.start(argv, log=log, env=env, cwd=tmp_path):
        deadline = time.monotonic() + SECONDS
        while "cannot use" not in log.read_text():
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(WAIT)
    text = log.read_text()
    said = [json.loads(line) for line in text.splitlines() if line.startswith("{") and '"exception"' in line]
    assert {line["exception"][-1]["exc_value"] for line in said} == {"cannot use password=***"}
    assert "Traceback" not in text
    if program != "gunicorn":  # which also prints the text of the exception by itself
        assert "hunter2" not in text


# --- An operator who configures the server's logging ------------------------------------------------------------------

FORMATS = {"short": {"format": "%(levelname)s %(name)s %(message)s"}}
HANDLERS = {
    "console": {"class": "logging.StreamHandler", "formatter": "short", "stream": "ext://sys.stdout"},
    "file": {"class": "logging.FileHandler", "formatter": "short", "filename": "operator.log"},
}
EVERYTHING = {"root": {"level": "INFO", "handlers": ["console", "file"]}, "loggers": {}}
SERVER_ALONE = {
    "loggers": {name: {"level": "INFO", "handlers": ["console"], "propagate": False} for name in ("uvicorn", "uvicorn.access")}
}  # fmt: skip
INI = """
[loggers]
keys=root
[handlers]
keys=console,file
[formatters]
keys=short
[logger_root]
level=INFO
handlers=console,file
[handler_console]
class=StreamHandler
args=(sys.stdout,)
formatter=short
[handler_file]
class=FileHandler
args=("operator.log",)
formatter=short
[formatter_short]
format=%(levelname)s %(name)s %(message)s
"""
CONFIGURED = {
    "uvicorn": ("uvicorn", "--log-config", "log.json", "service:app", "--port", "{port}"),
    "gunicorn": ("gunicorn", "-k", "uvicorn_worker.UvicornWorker", "--log-config", "log.ini", "-b", "127.0.0.1:{port}", "service:app"),
    "hypercorn": ("hypercorn", "--log-config", "log.ini", "-b", "127.0.0.1:{port}", "service:app"),
    "hypercorn, as it comes": ("hypercorn", "--access-logfile", "-", "-b", "127.0.0.1:{port}", "service:app"),
    "granian": ("granian", "--interface", "asgi", "--log-config", "log.json", "--port", "{port}", "service:app"),
}  # fmt: skip


def configured(
    program: str, folder: Path, config: dict[str, Any], app: str = APP, awaited: str = "of structlog"
) -> Served:
    """What is written where the server's logging is configured, with one request."""
    (folder / "service.py").write_text(app)
    common = {"version": 1, "disable_existing_loggers": False, "formatters": FORMATS, "handlers": HANDLERS}
    (folder / "log.json").write_text(json.dumps(common | config))
    (folder / "log.ini").write_text(INI)
    (folder / "operator.log").touch()
    port = str(processes.free_port())
    command, *arguments = CONFIGURED[program]
    argv: list[str | Path] = [BIN / command, *(part.format(port=port) for part in arguments)]
    url, log = f"http://127.0.0.1:{port}", folder / "server.log"
    env = {"PYTHONPATH": os.pathsep.join((str(ROOT), str(folder)))}
    with processes.start(argv, log=log, ready=f"{url}/metrics", url=url, env=env, cwd=folder):
        httpx.get(f"{url}/items/31", trust_env=False)
        deadline = time.monotonic() + SECONDS
        while awaited not in log.read_text():
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.02)
    return Served(log.read_text(), (folder / "operator.log").read_text())


@pytest.mark.parametrize("program", ["uvicorn", "gunicorn", "hypercorn", "granian"])
def test_an_operator_who_configures_all_logging_has_it_as_configured(program: str, tmp_path: Path) -> None:
    served = configured(program, tmp_path, EVERYTHING, awaited="settings: ")  # a moment after the start
    assert served.lines == []
    assert "INFO instrumentation settings: " in served.text
    assert served.text.count("WARNING shop of the standard library") == 1
    assert served.file.count("WARNING shop of the standard library") == 1
    assert served.text.count("WARNING instrumentation sidelight writes neither log lines nor access lines") == 1


def test_a_server_that_sets_up_its_logging_late_has_no_line_beside_ours(tmp_path: Path) -> None:
    served = configured("hypercorn, as it comes", tmp_path, EVERYTHING)
    assert [line for line in served.text.splitlines() if not line.startswith("{")] == []
    assert sum(line["event"].startswith("Running on http") for line in served.lines) == 1


def test_an_operator_who_configures_the_server_alone_has_both_and_nothing_twice(tmp_path: Path) -> None:
    served = configured("uvicorn", tmp_path, SERVER_ALONE)
    assert served.text.count("INFO uvicorn.error Application startup complete.") == 1
    assert served.text.count("Application startup complete.") == 1
    assert "INFO uvicorn.access 127.0.0.1" in served.text
    assert [line["event"] for line in served.lines if "route" in line or line["logger"] == "shop"] == [
        "of structlog", "of the standard library, password ***", "request",
    ]  # fmt: skip


def test_a_service_that_sets_up_logging_as_it_starts_has_its_own_and_the_servers_lines_back(tmp_path: Path) -> None:
    lifespan = """
@asynccontextmanager
async def started(app):
    logging.basicConfig(filename="operator.log", level="INFO", format="%(levelname)s %(name)s %(message)s")
    yield
"""
    app = APP.replace(
        "app = FastAPI()", f"from contextlib import asynccontextmanager\n{lifespan}\napp = FastAPI(lifespan=started)"
    )
    served = configured("uvicorn", tmp_path, {"loggers": {}}, app)
    assert "WARNING shop of the standard library" in served.file
    assert served.file.count("sidelight writes neither log lines nor access lines") == 1
    assert not [line for line in served.lines if line["logger"] in {"shop", "instrumentation.access"}]
