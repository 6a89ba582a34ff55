"""Measures whether a service becomes slower when its collector is slow, stuck or missing, side by side in one run."""

from __future__ import annotations

import time
from contextlib import ExitStack
from statistics import median
from typing import TYPE_CHECKING

import httpx

from sidelight.demo.spans import receiving
from sidelight.toolchain import processes
from tests.support.collectors import running

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

APP = """\
from fastapi import FastAPI
import instrumentation

app = FastAPI()

@app.get("/items/{item}")
async def item(item: int) -> int:
    return item

instrumentation.instrument(app)
"""
WELL = "everything is well"
BROKEN = ("the gateway is away", "each answer of the gateway takes two seconds", "there is no sidecar")
_ROUNDS, _EACH, _WARM = 60, 10, 100  # requests


def latencies(folder: Path) -> dict[str, float]:
    """Median request duration in seconds by fault; all services run at once and are called in turn."""
    with ExitStack() as stack:
        well = stack.enter_context(receiving())
        slow = stack.enter_context(receiving(answers_after=2.0))
        away = f"http://{processes.LOOPBACK}:{processes.free_port()}"
        ends = {WELL: well.url, BROKEN[0]: away, BROKEN[1]: slow.url}
        sidecars = {
            name: stack.enter_context(running("sidecar", folder / f"sidecar-{number}", url)).http
            for number, (name, url) in enumerate(ends.items())
        }
        sidecars[BROKEN[2]] = f"http://{processes.LOOPBACK}:{processes.free_port()}"
        clients = {
            name: _service(stack, folder / f"service-{index}", url)
            for index, (name, url) in enumerate(sidecars.items())
        }
        return _measured(clients)


def _service(stack: ExitStack, folder: Path, endpoint: str) -> httpx.Client:
    folder.mkdir()
    (folder / "service.py").write_text(APP)
    (folder / "sidelight.yaml").write_text(f"tracing: {{endpoint: '{endpoint}'}}\n")
    process = stack.enter_context(processes.uvicorn("service:app", log=folder / "log", cwd=folder))
    return stack.enter_context(httpx.Client(base_url=process.url, timeout=30, trust_env=False))


def _measured(clients: Mapping[str, httpx.Client]) -> dict[str, float]:
    seconds: dict[str, list[float]] = {name: [] for name in clients}
    for round_ in range(_ROUNDS):
        for name, client in clients.items():
            for number in range(_EACH):
                began = time.perf_counter()
                client.get(f"/items/{number}").raise_for_status()
                if round_ * _EACH >= _WARM:
                    seconds[name].append(time.perf_counter() - began)
    return {name: median(taken) for name, taken in seconds.items()}
