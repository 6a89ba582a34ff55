"""The shop fails and slows down exactly as requested, the same every time."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

import instrumentation
from examples.shop.faults import Faults, InjectedError, install
from instrumentation.catalog import HTTP_SERVER_REQUEST_DURATION
from instrumentation.settings import Settings
from instrumentation.store import LocalStore


class Shop:
    """A service with one route and faults; sleeps are noted, not slept."""

    def __init__(self) -> None:
        self.app = FastAPI()
        self.app.get("/items/{sku}")(self.item)
        self.app.get("/health")(self.health)
        self.slept: list[float] = []
        install(self.app, sleep=self.sleep)

    async def item(self, sku: str) -> str:
        return sku

    async def health(self) -> str:
        return "ok"

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def request(self, *calls: tuple[str, str, Any]) -> list[httpx.Response]:
        async def run() -> list[httpx.Response]:
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
                return [await client.request(method, path, json=body) for method, path, body in calls]

        return asyncio.run(run())

    def suffer(self, **faults: float) -> int:
        return self.request(("PUT", "/faults", faults))[0].status_code

    def statuses(self, requests: int, path: str = "/items/7") -> list[int]:
        return [answer.status_code for answer in self.request(*[("GET", path, None)] * requests)]


@pytest.mark.parametrize(
    ("ratio", "requests", "failing"),
    [
        (0.02, 150, [50, 100, 150]),
        (0.08, 50, [13, 25, 38, 50]),
        (0.29, 7, [4, 7]),
        (1.0, 3, [1, 2, 3]),
        (0.0, 300, []),
    ],
)
def test_failures_are_evenly_spread(ratio: float, requests: int, failing: list[int]) -> None:
    faults = Faults(error_ratio=ratio)
    assert [number for number in range(1, requests + 1) if faults.fails(number)] == failing


@pytest.mark.parametrize("ratio", [0.02, 0.07, 0.08, 0.29, 0.57])
def test_of_every_hundred_requests_exactly_the_share_fails(ratio: float) -> None:
    faults = Faults(error_ratio=ratio)
    assert sum(map(faults.fails, range(1, 701))) == round(700 * ratio)


def test_without_faults_nothing_happens() -> None:
    shop = Shop()
    assert shop.statuses(100) == [200] * 100
    assert set(shop.slept) == {0}


def test_the_share_asked_for_fails_until_it_ends() -> None:
    shop = Shop()
    assert shop.suffer(error_ratio=0.25) == 200
    assert shop.statuses(8) == [200, 200, 200, 500] * 2
    assert shop.suffer() == 200
    assert shop.statuses(8) == [200] * 8


def test_every_request_takes_longer() -> None:
    shop = Shop()
    shop.suffer(latency_seconds=0.7)
    assert shop.statuses(3) == [200] * 3
    assert shop.slept == [0.7] * 3


def test_health_and_the_control_itself_stay_unharmed() -> None:
    shop = Shop()
    shop.suffer(error_ratio=1.0, latency_seconds=7)
    assert shop.statuses(1, "/health") == [200]
    assert shop.suffer() == 200
    assert shop.slept == []


def test_a_failure_is_an_exception_that_counts_for_the_route_the_router_chose() -> None:
    shop, store = Shop(), LocalStore()
    instrumentation.instrument(shop.app, settings=Settings(), store=store, registry=CollectorRegistry())
    shop.suffer(error_ratio=1.0)
    assert shop.statuses(3) == [500] * 3
    counted = {row.labels: sum(row.slots[:-1]) for row in store.series() if row.metric is HTTP_SERVER_REQUEST_DURATION}
    assert counted["GET", "/items/{sku}", "500", "500"] == 3


def test_a_failure_says_that_it_was_requested() -> None:
    async def run() -> None:
        shop = Shop()
        shop.app.state.faults = Faults(error_ratio=1.0)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(shop.app), base_url="http://shop") as client:
            await client.get("/items/7")

    with pytest.raises(InjectedError, match=r"100.0% of the requests fail on purpose, and this is one of them"):
        asyncio.run(run())


@pytest.mark.parametrize(
    "faults",
    [{"error_ratio": 1.01}, {"error_ratio": -0.01}, {"latency_seconds": 11}, {"latency_seconds": -1}, {"latency": 1}],
)
def test_impossible_faults_are_refused(faults: dict[str, float]) -> None:
    assert Shop().suffer(**faults) == 422
