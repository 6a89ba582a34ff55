"""Compares what clients received with what the service counted, one by one."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import time
from collections import Counter
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

import httpx

from sidelight.toolchain import processes
from tests.support.wire.client import SECONDS, all_of, counts_as, exchanges
from tests.support.wire.service import APP

ROOT = Path(__file__).parents[3]
LAYERS = ("python", "compiled")
OUTSIDE = ("nothing", "layers that wrap send and receive")

UVICORN = ("uvicorn", "service:app", "--host", "127.0.0.1", "--port", "{port}", "--no-access-log", "--http")
SERVERS: dict[str, tuple[str, ...]] = {
    "uvicorn with h11": (*UVICORN, "h11"),
    "uvicorn with httptools": (*UVICORN, "httptools"),
    "hypercorn": ("hypercorn", "service:app", "-b", "127.0.0.1:{port}"),
    "granian": ("granian", "--interface", "asgi", "service:app", "--host", "127.0.0.1", "--port", "{port}"),
}


Series = tuple[str, ...]
"""Method, route, status and error type."""


@dataclass(frozen=True)
class Comparison:
    """What was received and what was counted, by method, route, status and error type."""

    received: Counter[Series]
    counted: Counter[Series]

    @property
    def differences(self) -> dict[Series, tuple[int, int]]:
        """What was received and counted where that differs."""
        keys = self.received.keys() | self.counted.keys()
        pairs = {key: (self.received[key], self.counted[key]) for key in sorted(keys)}
        return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}


def compare(server: str, layer: str, requests: int, folder: Path, outside: str = OUTSIDE[0]) -> Comparison:
    """Send requests of every kind to a server.

    Args:
        server: One of ``SERVERS``.
        layer: ``python`` or ``compiled``.
        requests: How many connections; a client that asks on sends two requests on one.
        folder: A folder for the service and the log of the server.
        outside: What is outside of Sidelight.
    """
    asked = list(islice(cycle(exchanges()), requests))
    (folder / "service.py").write_text(APP)
    port = processes.free_port()
    url = f"http://127.0.0.1:{port}"
    argv = (sys.executable, "-m", *(part.format(port=port) for part in SERVERS[server]))
    env = {"PYTHONPATH": os.pathsep.join((str(ROOT), str(folder))), "LAYER": layer, "OUTSIDE": outside}
    with processes.start(argv, log=folder / "server.log", ready=f"{url}/metrics", url=url, env=env, cwd=folder):
        answers = asyncio.run(all_of(asked, port))
        pairs = zip(asked, answers, strict=True)
        expected: Counter[Series] = Counter(
            counts_as(exchange, one) for exchange, received in pairs for one in received
        )
        return Comparison(expected, _counted_once_there(url, expected.total()))


def _counted_once_there(url: str, total: int) -> Counter[Series]:
    deadline = time.monotonic() + SECONDS
    while (found := _counted(url)).total() < total and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def _counted(url: str) -> Counter[Series]:
    page = httpx.get(f"{url}/metrics", timeout=10, trust_env=False).text
    rows = re.findall(r"^http_server_request_duration_seconds_count\{(.*)\} (\S+)$", page, re.MULTILINE)
    names = ("http_request_method", "http_route", "http_response_status_code", "error_type")
    labels = [(dict(re.findall(r'(\w+)="([^"]*)"', row)), int(float(count))) for row, count in rows]
    return +Counter({tuple(row[name] for name in names): count for row, count in labels})
