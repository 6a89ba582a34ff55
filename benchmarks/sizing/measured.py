"""Measures the size of a pod's metrics page, and Prometheus' memory per series."""

from __future__ import annotations

import json
import tempfile
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, NamedTuple

import httpx

from sidelight.data_files import examples_folder
from sidelight.demo.load import REQUESTS
from sidelight.toolchain import processes
from tests.support.errors import MeasurementError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidelight.toolchain.processes import Process

USERS = 200  # set a fifth of the registers, like one pod of many
_SECONDS = 60.0
_SERIES = (20_000, 120_000)  # series of two Prometheus servers, whose difference gives the memory per series
_TARGETS = 10
_SCRAPES = 40  # a second apart


class Page(NamedTuple):
    """The metrics page of one pod.

    Attributes:
        series: Number of series.
        plain: Bytes as text.
        packed: Bytes with gzip, as sent over the network.
    """

    series: int
    plain: int
    packed: int


def page() -> Page:
    """The page of the example shop, after requests to every kind of route and some users."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        env = {"SIDELIGHT_AUDIT_KEY": "7" * 64, "OTEL_SERVICE_NAME": "shop"}
        with (
            processes.uvicorn(
                "shop.main:app", log=folder / "log", cwd=examples_folder(), env=env, ready_path="/health"
            ) as shop,
            httpx.Client(base_url=shop.url, timeout=_SECONDS, trust_env=False) as client,
        ):
            for user in range(USERS):
                for request in REQUESTS:
                    client.request(
                        request.method, request.path, json=request.body, headers={"x-customer": f"user-{user}"}
                    )
            accept = "application/openmetrics-text; version=1.0.0"
            text = client.get("/metrics", headers={"accept": accept, "accept-encoding": "identity"}).text
            with client.stream("GET", "/metrics", headers={"accept": accept, "accept-encoding": "gzip"}) as packed:
                size = sum(len(chunk) for chunk in packed.iter_raw())
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return Page(series=len(lines), plain=len(text.encode()), packed=size)


def bytes_per_series() -> float:
    """Resident bytes of Prometheus per series in its head, from two servers that scrape different numbers of series."""
    few, many = (_resident(series) for series in _SERIES)
    return (many - few) / (_SERIES[1] - _SERIES[0])


def _resident(series: int) -> float:
    with tempfile.TemporaryDirectory() as name, _serving(series // _TARGETS) as address:
        folder = Path(name)
        targets = [f"{address}" for _ in range(_TARGETS)]
        jobs = [
            {
                "job_name": f"service-{number}",
                "scrape_interval": "1s",
                "scrape_timeout": "1s",
                "static_configs": [{"targets": [target]}],
            }
            for number, target in enumerate(targets)
        ]
        (folder / "prometheus.yml").write_text(json.dumps({"scrape_configs": jobs}))
        with processes.prometheus(folder / "prometheus.yml", folder / "data") as prometheus:
            _wait(prometheus, series)
            return _asked(prometheus, "process_resident_memory_bytes")


def _wait(prometheus: Process, series: int) -> None:
    deadline = time.monotonic() + 4 * _SECONDS
    while (
        _asked(prometheus, "prometheus_tsdb_head_series") < series
        or _asked(prometheus, "prometheus_tsdb_head_samples_appended_total") < _SCRAPES * series
    ):
        if time.monotonic() > deadline:
            raise MeasurementError("Prometheus did not scrape all series", code="not_scraped")
        time.sleep(1)


def _asked(prometheus: Process, name: str) -> float:
    text = httpx.get(f"{prometheus.url}/metrics", timeout=_SECONDS, trust_env=False).text
    return sum(
        float(line.rpartition(" ")[2]) for line in text.splitlines() if line.partition("{")[0].partition(" ")[0] == name
    )


@contextmanager
def _serving(series: int) -> Iterator[str]:
    """A target with a number of series, with labels as long as those of requests."""
    names = [
        f'http_server_request_duration_seconds_bucket{{http_request_method="GET",http_route="/things/{number}",'
        f'http_response_status_code="200",error_type="",le="0.5"}} '
        for number in range(series)
    ]

    class Handler(BaseHTTPRequestHandler):
        scrapes = 0

        def do_GET(self) -> None:
            type(self).scrapes += 1
            body = "".join(f"{name}{self.scrapes * 7}\n" for name in names).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name is Python's
            """Stay silent."""

    with ThreadingHTTPServer((processes.LOOPBACK, 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
        thread.start()
        try:
            yield f"{processes.LOOPBACK}:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
