"""Health checks of real servers; and a graceful shutdown loses no accepted request, audit entry or count."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
import redis as redis_client
import redis.asyncio as async_redis_client
from sqlalchemy import NullPool, create_engine
from sqlalchemy.ext.asyncio import create_async_engine

from instrumentation.errors import InstrumentationError
from instrumentation.health.checks import http_check, redis_check, sqlalchemy_check, tcp_check
from instrumentation.health.monitor import Check, HealthChecks
from instrumentation.settings import Health
from sidelight.toolchain import processes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from instrumentation.health.monitor import Probe
    from sidelight.toolchain.processes import Process

ROOT = Path(__file__).parents[3]
BIN = Path(sys.executable).parent
SECONDS = 60.0
LOOPBACK = "127.0.0.1"
KEY = "the key of the shop, 32 bytes long"


def problems(**probes: Probe) -> dict[str, str]:
    checks = HealthChecks()
    checks.settle(Health(cache_seconds=0.0))
    for name, probe in probes.items():
        checks.add(Check(name, probe, SECONDS, is_required=True))
    return {result.check.name: result.problem for result in asyncio.run(checks.results())}


# --- Checks -------------------------------------------------------------------------------------------------------------


def test_postgresql_is_healthy_and_a_missing_one_is_not(postgres_url: str) -> None:
    url = postgres_url.replace("postgresql:", "postgresql+psycopg:")
    gone = f"postgresql+psycopg://shop@{LOOPBACK}:{processes.free_port()}/postgres"
    assert problems(
        plain=sqlalchemy_check(create_engine(url, poolclass=NullPool)),
        asynchronous=sqlalchemy_check(create_async_engine(url, poolclass=NullPool)),
        gone=sqlalchemy_check(create_engine(gone)),
        gone_async=sqlalchemy_check(create_async_engine(gone)),
    ) == {"plain": "", "asynchronous": "", "gone": "failed", "gone_async": "failed"}


def test_redis_is_healthy_and_a_stopped_one_is_not(redis: Process) -> None:
    client = redis_client.Redis.from_url(redis.url)

    async def asynchronous() -> object:
        async with async_redis_client.Redis.from_url(redis.url) as client:
            probe: Any = redis_check(client)
            return await probe()

    def found() -> dict[str, str]:
        return problems(plain=redis_check(client), asynchronous=asynchronous)

    assert found() == {"plain": "", "asynchronous": ""}
    redis.stop()
    assert found() == {"plain": "failed", "asynchronous": "failed"}
    client.close()


def test_addresses_and_ports(tmp_path: Path) -> None:
    with processes.start(
        (sys.executable, "-m", "http.server", port := str(processes.free_port()), "--bind", LOOPBACK),
        log=tmp_path / "log",
        ready=f"http://{LOOPBACK}:{port}/",
        cwd=tmp_path,
    ):
        url = f"http://{LOOPBACK}:{port}"
        checks = {"page": http_check(url), "none": http_check(f"{url}/none"), "port": tcp_check(LOOPBACK, int(port))}
        assert problems(**checks) == {"page": "", "none": "failed", "port": ""}
    assert problems(**checks) == {"page": "failed", "none": "failed", "port": "failed"}


@pytest.mark.parametrize("url", ["file:///etc/passwd", "https://user:hunter2@host/", "host"])
def test_an_invalid_address_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(InstrumentationError, match="give an http:// or https:// address") as raised:
        http_check(url)
    assert "hunter2" not in str(raised.value)


# --- The end ------------------------------------------------------------------------------------------------------------

APP = """
import asyncio, os
from fastapi import FastAPI
import instrumentation

app = FastAPI()

@app.get("/slow/{seconds}")
async def slow(seconds: float) -> int:
    await asyncio.sleep(seconds)
    instrumentation.audit("shop.asked", actor=str(os.getpid()), outcome="success")
    return os.getpid()

instrumentation.instrument(app)
"""
GUNICORN = ("gunicorn", "service:app", "-k", "uvicorn_worker.UvicornWorker", "-w", "2", "-b", f"{LOOPBACK}:{{port}}")
SERVERS = {
    "uvicorn": ("uvicorn", "service:app", "--host", LOOPBACK, "--port", "{port}", "--workers", "2"),
    "gunicorn": GUNICORN,
    "gunicorn, app loaded before the fork": (*GUNICORN, "--preload"),
}
ALONE = ("uvicorn", "service:app", "--host", LOOPBACK, "--port", "{port}")


@contextmanager
def serving(argv: tuple[str, ...], folder: Path, **health: float) -> Iterator[Process]:
    (folder / "service.py").write_text(APP)
    (folder / "sidelight.yaml").write_text(json.dumps({"audit": {"path": "audit.log"}, "health": health}))
    port = processes.free_port()
    url = f"http://{LOOPBACK}:{port}"
    program, *arguments = (part.format(port=port) for part in argv)
    env = {"PYTHONPATH": os.pathsep.join((str(ROOT), str(folder))), "SIDELIGHT_AUDIT_KEY": KEY}
    with processes.start(
        (BIN / program, *arguments), log=folder / "log", ready=f"{url}/ready", url=url, env=env, cwd=folder
    ) as running:
        yield running


class Load:
    """Clients that ask without a pause, each request on a connection of its own.

    Attributes:
        answered: Worker to the requests that it answered.
        unanswered: Connections that a worker closed before it took a request.
    """

    def __init__(self, url: str) -> None:
        self.answered: Counter[int] = Counter()
        self.unanswered = 0
        self._url = url
        self._ended = threading.Event()
        self._lock = threading.Lock()

    @contextmanager
    def running(self, clients: int = 6) -> Iterator[None]:
        with ThreadPoolExecutor(clients) as pool:
            asking = [pool.submit(self._ask) for _ in range(clients)]
            try:
                yield
            finally:
                self._ended.set()
        for each in asking:
            each.result()

    def _ask(self) -> None:
        while not self._ended.is_set():
            try:
                worker = httpx.get(f"{self._url}/slow/0.02", timeout=SECONDS, trust_env=False).raise_for_status().json()
            except httpx.TransportError:
                with self._lock:
                    self.unanswered += 1
            else:
                with self._lock:
                    self.answered[worker] += 1

    def until(self, workers: int, each: int) -> None:
        """Wait until so many workers have answered so often."""
        deadline = time.monotonic() + SECONDS
        while sum(count >= each for count in self.answered.values()) < workers:
            assert time.monotonic() < deadline, self.answered
            time.sleep(0.01)


def counted(url: str) -> float:
    page = httpx.get(f"{url}/metrics", timeout=SECONDS, trust_env=False).text
    found = re.findall(r'^http_server_request_duration_seconds_count{.*"/slow/{seconds}"} (\S+)$', page, re.MULTILINE)
    return sum(map(float, found))


def audited(folder: Path) -> int:
    return (folder / "audit.log").read_text().count('"event":"shop.asked"')


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log").read_text().splitlines() if line.startswith("{")]


@pytest.mark.parametrize("server", SERVERS)
def test_a_shutdown_of_a_worker_under_load_loses_no_count(server: str, tmp_path: Path) -> None:
    with serving(SERVERS[server], tmp_path) as running:
        load = Load(running.url)
        with load.running():
            load.until(workers=2, each=20)
            ended = next(iter(load.answered))
            os.kill(ended, signal.SIGTERM)
            load.until(workers=3, each=20)  # another has taken its place
        answered = sum(load.answered.values())
        assert counted(running.url) == answered
        assert audited(tmp_path) == answered
        said = [line["event"] for line in lines(tmp_path) if line["event"].startswith("shut down")]
        assert len(said) == 1
        assert re.fullmatch(r"shut down \d+ ms after SIGTERM", said[0])


def test_after_sigterm_it_is_not_ready_at_once_and_answers_all_requests_during_the_drain(
    tmp_path: Path,
) -> None:
    with serving(ALONE, tmp_path, drain_seconds=1.5) as running, ThreadPoolExecutor(1) as pool:
        begun = pool.submit(httpx.get, f"{running.url}/slow/2", timeout=SECONDS, trust_env=False)
        deadline = time.monotonic() + SECONDS
        while (
            "http_server_active_requests"
            not in (page := httpx.get(f"{running.url}/metrics", timeout=SECONDS, trust_env=False).text)
            or 'http_server_active_requests{http_request_method="GET"} 1.0' not in page
        ):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        running.send(signal.SIGTERM)
        while (ready := httpx.get(f"{running.url}/ready", timeout=SECONDS, trust_env=False)).status_code == 200:
            assert time.monotonic() < deadline
        assert (ready.status_code, ready.json()) == (503, {"status": "shutting down"})
        late = httpx.get(f"{running.url}/slow/0", timeout=SECONDS, trust_env=False)
        assert (late.status_code, begun.result().status_code) == (200, 200)
        running.wait(SECONDS)
    assert audited(tmp_path) == 2
    *_, before, last = (line for line in lines(tmp_path) if line["logger"].startswith("instrumentation"))
    assert re.fullmatch(r"shut down \d+ ms after SIGTERM", last["event"])
    assert last["duration_ms"] >= 1500
    assert before["event"].startswith("audit trail")
