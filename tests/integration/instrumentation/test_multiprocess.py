"""A service's own prometheus_client metrics are correct on any worker's page with ``PROMETHEUS_MULTIPROC_DIR``."""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
from prometheus_client.parser import text_string_to_metric_families as parse

from sidelight.toolchain import processes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[3]
WORKERS = 2
SECONDS = 30.0

SERVICE = """
import os

from fastapi import FastAPI
from prometheus_client import REGISTRY, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily

import instrumentation

SALES = Counter("shop_sales", "Sales.", ["till"])
BASKET = Histogram("shop_basket", "Items.", buckets=(1, 7))
TILLS = Gauge("shop_open_tills", "Tills that are open.", multiprocess_mode="livesum")
TILLS.set(3)


class Answering:
    def collect(self):
        yield GaugeMetricFamily("shop_answering_pid", "Who answers.", os.getpid())


REGISTRY.register(Answering())
app = FastAPI()


@app.post("/sales")
async def sell() -> int:
    SALES.labels("3").inc()
    BASKET.observe(3)
    return os.getpid()


instrumentation.instrument(app)
"""


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    (folder / "service.py").write_text(SERVICE)
    files = folder / "files"
    files.mkdir()
    port = processes.free_port()
    url = f"http://127.0.0.1:{port}"
    argv = (sys.executable, "-m", "uvicorn", "service:app", "--port", str(port), "--workers", str(WORKERS))
    env = {"PYTHONPATH": os.pathsep.join((str(ROOT), str(folder))), "PROMETHEUS_MULTIPROC_DIR": str(files)}
    with processes.start(argv, log=folder / "log", ready=f"{url}/metrics", url=url, env=env, cwd=folder):
        yield url


def asked(method: str, url: str) -> httpx.Response:
    """On a connection of its own, so that any worker may take it; tried again where a worker died."""
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            return httpx.request(method, url, timeout=SECONDS, trust_env=False)
        except httpx.TransportError:
            assert time.monotonic() < deadline, "no worker answers"
            time.sleep(0.05)


def sell_until(condition: Callable[[set[int]], bool], url: str) -> tuple[set[int], int]:
    pids: set[int] = set()
    deadline = time.monotonic() + SECONDS
    times = 0
    while not condition(pids):
        assert time.monotonic() < deadline, f"{len(pids)} workers answered within {SECONDS:g} s"
        pids.add(int(asked("POST", f"{url}/sales").json()))
        times += 1
    return pids, times


def pages(url: str, workers: set[int]) -> list[dict[str, float]]:
    """A page of each worker: the user's samples, by name and labels."""
    found: dict[int, dict[str, float]] = {}
    deadline = time.monotonic() + SECONDS
    while found.keys() != workers:
        assert time.monotonic() < deadline, f"{found.keys()} answered, not {workers}"
        families = list(parse(asked("GET", f"{url}/metrics").text))
        names = [family.name for family in families]
        assert len(names) == len(set(names)), "a metric is there twice"
        assert "process_cpu_seconds" in names
        assert not any(name.startswith(("python_gc_objects", "python_gc_collections")) for name in names)
        read = {
            " ".join((sample.name, *sample.labels.values())): sample.value
            for family in families
            for sample in family.samples
            if sample.name.startswith(("shop_", "sidelight_workers"))
        }
        found[int(read.pop("shop_answering_pid"))] = read
    return list(found.values())


def sold(times: int) -> dict[str, float]:
    return {
        "shop_sales_total 3": times,
        "shop_basket_bucket 1.0": 0,
        "shop_basket_bucket 7.0": times,
        "shop_basket_bucket +Inf": times,
        "shop_basket_count": times,
        "shop_basket_sum": 3 * times,
        "shop_open_tills": 3 * WORKERS,
        "sidelight_workers": WORKERS,
    }


def test_any_workers_page_has_the_sum_of_all_also_after_one_was_killed(tmp_path: Path) -> None:
    with serving(tmp_path) as url:
        pids, times = sell_until(lambda pids: len(pids) == WORKERS, url)
        assert pages(url, pids) == [sold(times)] * WORKERS
        victim = pids.pop()
        os.kill(victim, signal.SIGKILL)
        others, more = sell_until(lambda others: len(others - {victim}) == WORKERS, url)
        assert pages(url, others - {victim}) == [sold(times + more)] * WORKERS
