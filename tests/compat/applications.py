"""Serves real applications with Sidelight, sends requests, and compares the page with what was received."""

from __future__ import annotations

import os
import tempfile
import time
import tomllib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from instrumentation.http_methods import METHODS, OTHER_METHOD
from sidelight.toolchain import processes
from tests.compat.environments import environment, link_ours

HERE = Path(__file__).parent
CONCRETE = "7340033"
"""Part of the paths that must not become a label."""
SECONDS, READY = 30.0, 300.0
SERVERS = {
    "asgi": ("uvicorn", "--port", "{port}", "{module}:app"),
    "wsgi": ("gunicorn", "--bind", "127.0.0.1:{port}", "{module}:app"),
}
_JSON = {"accept": "application/json, text/event-stream", "content-type": "application/json"}
_CLIENT = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "compat", "version": "0"}}
BODIES = {
    "initialize": {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": _CLIENT},
    "invalid": {"jsonrpc": "2.0"},
    "experiments": {"max_results": 7},
    "filter": {},
    **{
        name: {"model": model, "messages": [{"role": "user", "content": "7340033"}], "stream": name == "stream"}
        for name, model in (("chat", "seven"), ("stream", "seven"), ("unknown", "eight"))
    },
}
"""What a request sends that ends with this word."""


@dataclass(frozen=True, kw_only=True)
class Application:
    """An application, as ``applications.toml`` has it.

    Attributes:
        name: Its name.
        package: Its name on PyPI.
        version: Its version.
        requests: Methods and paths.
        extra: The extra of the package that is installed.
        interface: ``asgi`` or ``wsgi``.
    """

    name: str
    package: str
    version: str
    requests: tuple[str, ...]
    extra: str = ""
    interface: str = "asgi"

    @property
    def wanted(self) -> tuple[str, ...]:
        """The requirements of its environment."""
        extra = f"[{self.extra}]" if self.extra else ""
        return f"{self.package}{extra}=={self.version}", "uvicorn", "gunicorn"


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What the page showed after the requests.

    Attributes:
        received: Method and status to the number of responses.
        counted: The same, as the page has it.
        routes: The templates of the page.
        concrete: Lines of the page with part of a concrete path.
    """

    received: Counter[tuple[str, str]]
    counted: Counter[tuple[str, str]]
    routes: tuple[str, ...]
    concrete: tuple[str, ...]

    @property
    def is_right(self) -> bool:
        """Whether every response is counted as it was received, and no concrete path is a label."""
        return self.received == self.counted and not self.concrete


def applications() -> list[Application]:
    """Every application of ``applications.toml``."""
    rows = tomllib.loads((HERE / "applications.toml").read_text("utf-8"))["applications"]
    return [Application(**{**row, "requests": tuple(row["requests"])}) for row in rows]


def drive(application: Application) -> Shown:
    """Serve an application, send its requests and read its page."""
    programs = environment(application.package, application.wanted)
    port = processes.free_port()
    module = f"{application.package.partition('.')[0]}_service"
    program, *arguments = (part.format(port=port, module=module) for part in SERVERS[application.interface])
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as folder:
        ours = Path(folder, "ours")
        ours.mkdir()
        link_ours(ours)
        env = {
            "PYTHONPATH": os.pathsep.join((str(ours), str(HERE / "services"))),
            "HOME": folder,
            "OTEL_SERVICE_NAME": application.package,
        }
        argv = (programs / program, *arguments)
        log = Path(folder, "log")
        with processes.start(argv, log=log, ready=f"{url}/metrics", timeout=READY, url=url, env=env, cwd=Path(folder)):
            received = Counter(_ask(url, request) for request in application.requests)
            return _shown(url, received)


def _ask(url: str, request: str) -> tuple[str, str]:
    method, path, *named = request.split()
    body = BODIES[named[0]] if named else None
    with httpx.stream(method, f"{url}{path}", json=body, headers=_JSON, timeout=SECONDS, trust_env=False) as response:
        if "event-stream" not in response.headers.get("content-type", ""):  # which may have no end
            response.read()
    return METHODS.get(method, OTHER_METHOD), str(response.status_code)


def _shown(url: str, received: Counter[tuple[str, str]]) -> Shown:
    deadline = time.monotonic() + SECONDS
    while True:
        page = httpx.get(f"{url}/metrics", timeout=SECONDS, trust_env=False).text
        series = [
            (sample.labels, int(sample.value))
            for family in text_string_to_metric_families(page)
            for sample in family.samples
            if sample.name == "http_server_request_duration_seconds_count"
        ]
        counted: Counter[tuple[str, str]] = Counter()
        for labels, count in series:
            counted[labels["http_request_method"], labels["http_response_status_code"]] += count
        if counted.total() >= received.total() or time.monotonic() > deadline:
            break
        time.sleep(0.1)
    routes = sorted({labels["http_route"] for labels, count in series if count})
    concrete = tuple(line for line in page.splitlines() if CONCRETE in line)
    return Shown(received=received, counted=+counted, routes=tuple(routes), concrete=concrete)
