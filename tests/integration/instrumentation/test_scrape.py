"""The series of the example service in a real Prometheus match the catalog."""

from __future__ import annotations

import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
import yaml
from websockets.sync.client import connect

from examples.shop.payments import BUSY
from examples.shop.signals import DECLARED
from instrumentation.catalog import METRICS
from sidelight.demo.load import EVENTS, STOCK
from sidelight.toolchain import processes, tool

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidelight.toolchain.processes import Process

ROOT = Path(__file__).parents[3]
NOT_IN_THE_SHOP = (
    "container_",
    "sidelight_spans_",
    "database_migrations_",  # the shop's database has none
    *("cache_evictions_", "cache_read_failures_"),  # lru_cache does not tell, and always answers
)
OF_THE_SHOP = [metric for signal in DECLARED.signals for metric in signal.metrics]
OURS = {
    name: labels
    for metric in (*METRICS, *OF_THE_SHOP)
    for name, labels in metric.series.items()
    if not name.startswith(NOT_IN_THE_SHOP)
}
ADDED = {"__name__", "job", "instance"}
SECONDS = 30.0


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    folder = tmp_path_factory.mktemp("shop")
    (folder / "sidelight.yaml").write_text(
        yaml.safe_dump(
            {
                "audit": {"path": str(folder / "audit.log")},
                "http": {"body_sizes": True, "active_requests_by_route": True},
            }
        )
    )
    env = {
        "OTEL_SERVICE_NAME": "shop",
        "OTEL_RESOURCE_ATTRIBUTES": "service.version=7.3.0",
        "SIDELIGHT_CONFIG": str(folder / "sidelight.yaml"),
        "SIDELIGHT_AUDIT_KEY": "the key of the shop, 32 bytes long",
    }
    with processes.uvicorn("examples.shop.main:app", log=folder / "shop.log", env=env, cwd=ROOT) as process:
        with httpx.Client(base_url=process.url, trust_env=False, headers={"x-customer": "7"}) as client:
            for path in ("/catalog/items", "/catalog/items/sofa", "/search?q=so", "/wp-login.php", "/ready"):
                client.get(path)
            sku = client.get("/catalog/items").json()[0]["sku"]
            for _ in range(BUSY):
                assert client.post("/checkout", json={"lines": [{"sku": sku}]}).status_code == 201
        with connect(f"ws{process.url.removeprefix('http')}{STOCK}", proxy=None) as websocket:
            websocket.recv()
        with httpx.stream("GET", process.url + EVENTS, trust_env=False) as events:
            next(events.iter_raw())
        yield process


@contextmanager
def scraping(binary: str, target: Process, folder: Path) -> Iterator[httpx.Client]:
    config = folder / "prometheus.yml"
    job = {
        "job_name": "shop",
        "scrape_interval": "1s",
        "static_configs": [{"targets": [target.url.removeprefix("http://")]}],
    }
    config.write_text(yaml.safe_dump({"scrape_configs": [job]}))
    with (
        processes.prometheus(config, folder / "data", binary=tool(binary)) as process,
        httpx.Client(base_url=process.url, trust_env=False) as client,
    ):
        yield client


def stored(client: httpx.Client, selector: str) -> list[dict[str, str]]:
    """The series a selector finds, asked for until there are some."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        found: list[dict[str, str]] = client.get("/api/v1/series", params={"match[]": selector}).json()["data"]
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"no series for {selector} within {SECONDS:g} s")


@pytest.mark.parametrize("binary", ["prometheus-oldest", "prometheus"])
def test_prometheus_stores_every_row_with_its_labels_and_no_other(binary: str, shop: Process, tmp_path: Path) -> None:
    with scraping(binary, shop, tmp_path) as client:
        found = stored(
            client,
            '{job="shop",__name__!~"up|scrape_.*|python_info|python_gc_(objects|collections).*|stamina_.*|container_.*"}',
        )
    created = [series for series in found if series["__name__"].endswith("_created")]  # OpenMetrics' own
    found = [series for series in found if series not in created]
    names = {series["__name__"] for series in found}
    assert (sorted(names - set(OURS)), sorted(set(OURS) - names)) == ([], [])
    for series in found:  # Prometheus keeps no empty label
        assert set(series) - ADDED <= set(OURS[series["__name__"]])


def test_routes_are_templates_and_errors_have_their_series(shop: Process, tmp_path: Path) -> None:
    with scraping("prometheus", shop, tmp_path) as client:
        found = stored(client, "http_server_request_duration_seconds_count")
    routes = {series.get("http_route", "") for series in found}
    assert "/catalog/items/{sku}" in routes
    assert "" in routes
    assert not any("wp-login" in route for route in routes)
    born = {(series.get("http_route", ""), series.get("error_type", "")) for series in found}
    assert ("/checkout", "500") in born


def test_the_version_is_seen_through_target_info(shop: Process, tmp_path: Path) -> None:
    with scraping("prometheus", shop, tmp_path) as client:
        (series,) = stored(client, "target_info")
    assert series["service_name"] == "shop"
    assert series["service_version"] == "7.3.0"
