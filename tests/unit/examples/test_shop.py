"""The shop sells, refuses with clear errors, and is measured by route template with two lines."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import httpx
import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from examples.shop.catalog import ITEMS
from examples.shop.main import app
from examples.shop.payments import BUSY, declines
from sidelight.demo.load import GONE, REQUESTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from instrumentation.http.middleware import Message

    Page = dict[tuple[str, ...], float]

ORDER = {"lines": [{"sku": "dimmer", "quantity": 3}, {"sku": "bulb-warm"}]}
NAMES = ("http_request_method", "http_route", "http_response_status_code", "workflow", "outcome")


def request(method: str, path: str, body: object = None) -> httpx.Response:
    async def run() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
            return await client.request(method, path, json=body)

    return asyncio.run(run())


def page() -> Page:
    """Every sample: its name and those of its labels that matter here, to its value."""
    samples = [
        sample
        for family in text_string_to_metric_families(request("GET", "/metrics").text)
        for sample in family.samples
    ]
    return {
        (sample.name, *(sample.labels[name] for name in NAMES if name in sample.labels)): sample.value
        for sample in samples
        if "le" not in sample.labels
    }


def added(action: Callable[[], object]) -> Page:
    """What an action adds to the counts on the page, creation times aside."""
    before = page()
    action()
    return {
        key: value - before.get(key, 0)
        for key, value in page().items()
        if value != before.get(key, 0) and key[0].startswith(("http_server_request_duration_seconds_count", "workflow"))
    }


def test_the_catalog_lists_everything_and_shows_each() -> None:
    listed = request("GET", "/catalog/items").json()
    assert len(listed) == 7
    assert [request("GET", f"/catalog/items/{item['sku']}").json() for item in listed] == listed


@pytest.mark.parametrize(("sku", "status"), [("sofa", 404), ("SOFA", 422), ("x" * 41, 422)])
def test_a_missing_item_is_not_found_and_an_invalid_one_is_refused(sku: str, status: int) -> None:
    assert request("GET", f"/catalog/items/{sku}").status_code == status


def test_a_search_finds_by_name_whatever_the_letter_case() -> None:
    assert [item["sku"] for item in request("GET", "/search?q=BULB").json()] == ["bulb-warm", "bulb-cold"]
    assert [item["sku"] for item in request("GET", "/search?q=bulb&limit=1").json()] == ["bulb-warm"]


@pytest.mark.parametrize("query", ["", "q=b", "q=bulb&limit=0", f"q={'b' * 51}"])
def test_an_invalid_search_is_refused(query: str) -> None:
    assert request("GET", f"/search?{query}").status_code == 422


def test_a_checkout_charges_every_line() -> None:
    answer = request("POST", "/checkout", ORDER)
    assert answer.status_code == 201
    assert answer.json()["total_cents"] == 3 * 1900 + 450


@pytest.mark.parametrize(
    ("order", "status"),
    [
        ({"lines": [{"sku": "sofa"}]}, 404),
        ({"lines": []}, 422),
        ({"lines": [{"sku": "dimmer", "quantity": 0}]}, 422),
        ({"lines": [{"sku": "dimmer", "quantity": 21}]}, 422),
        ({"lines": [{"sku": "dimmer"}], "coupon": "FREE"}, 422),
        (None, 422),
    ],
)
def test_an_order_that_cannot_be_filled_is_refused_and_not_charged(order: object, status: int) -> None:
    def refused() -> None:
        assert request("POST", "/checkout", order).status_code == status

    assert added(refused) == {("http_server_request_duration_seconds_count", "POST", "/checkout", str(status)): 1}


def test_requests_are_counted_by_the_template_of_their_route() -> None:
    def browse() -> None:
        for sku in ("dimmer", "lamp-brass", "cable-red"):
            request("GET", f"/catalog/items/{sku}")
        request("GET", "/search?q=lamp")
        request("GET", "/no/such/page")

    count = "http_server_request_duration_seconds_count"
    assert added(browse) == {
        (count, "GET", "/catalog/items/{sku}", "200"): 3,
        (count, "GET", "/search", "200"): 1,
        (count, "GET", "", "404"): 1,
    }


def test_a_checkout_is_a_workflow_with_its_cost() -> None:
    grown = added(lambda: request("POST", "/checkout", ORDER))
    assert grown[("workflows_created_total", "checkout")] == 1
    assert grown[("workflow_executions_total", "checkout", "success")] == 1
    assert grown[("workflow_cost_usd_total", "checkout")] == pytest.approx(0.30 + 0.029 * 61.50)


def own() -> dict[str, float]:
    """The shop's own signals, by name and label value."""
    samples = [
        sample
        for family in text_string_to_metric_families(request("GET", "/metrics").text)
        for sample in family.samples
        if family.name in {"orders_placed", "payment_attempts", "basket_items", "catalog_items"}
    ]
    return {
        " ".join((sample.name, *sample.labels.values())): sample.value
        for sample in samples
        if "le" not in sample.labels
    }


def test_the_shop_counts_its_own_signals() -> None:
    before = own()
    assert request("POST", "/checkout", ORDER).status_code == 201
    after = own()
    assert {name: value - before.get(name, 0) for name, value in after.items() if value != before.get(name, 0)} == {
        "orders_placed_total web": 1,
        "payment_attempts_total accepted": 1,
        "basket_items_count": 1,
        "basket_items_sum": 4,
    }
    assert after["catalog_items"] == len(ITEMS)


def test_a_declined_payment_is_refused_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(declines, "ratio", 1.0)
    before = own()
    answer = request("POST", "/checkout", ORDER)
    assert (answer.status_code, answer.json()["code"]) == (402, "payment_declined")
    assert own()["payment_attempts_total declined"] == before.get("payment_attempts_total declined", 0) + 1
    assert own().get("orders_placed_total web") == before.get("orders_placed_total web")


def test_health_answers_and_is_not_counted() -> None:
    def ask() -> None:
        assert request("GET", "/health").json() == {"status": "alive"}
        assert request("GET", "/ready").json()["checks"]["payments"]["status"] == "up"

    assert added(ask) == {}


def test_faults_are_off_by_default() -> None:
    assert request("PUT", "/faults", {"error_ratio": 1.0}).status_code == 404


def test_the_shop_has_what_the_demo_asks_of_it() -> None:
    for method, path, body in REQUESTS:
        assert request(method, path, body).status_code in ({404} if GONE in path else {200, 201}), path


def test_a_call_to_a_busy_payment_provider_is_retried() -> None:
    before = page().get(("retries_total",), 0)
    for _ in range(BUSY):
        assert request("POST", "/checkout", ORDER).status_code == 201
    assert page()[("retries_total",)] == before + 1


def test_the_stock_is_sent_until_the_customer_disconnects() -> None:
    with TestClient(app) as client:
        with client.websocket_connect("/stock") as socket:
            assert socket.receive_json() == {"sku": next(iter(ITEMS)), "left": 40}
        rows = client.get("/metrics").text
    assert 'websocket_server_connection_duration_seconds_count{http_route="/stock"} 1' in rows


def test_the_stock_is_a_stream_of_events_too() -> None:
    sent: list[Message] = []

    async def run() -> None:
        left = asyncio.Event()

        async def send(message: Message) -> None:
            sent.append(message)
            if len(sent) > 1:
                left.set()

        async def receive() -> Message:
            await left.wait()
            return {"type": "http.disconnect"}

        scope = {"type": "http", "method": "GET", "path": "/stock/events", "query_string": b"", "headers": []}
        await app(scope, receive, send)

    before = page()
    asyncio.run(run())
    assert json.loads(sent[1]["body"].removeprefix(b"data: ")) == {"sku": next(iter(ITEMS)), "left": 40}
    number = ("http_server_stream_duration_seconds_count", "/stock/events")
    assert page()[number] == before.get(number, 0) + 1
