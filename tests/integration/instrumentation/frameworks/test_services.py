"""Services of other frameworks on real servers: each request is counted by its route and the status that was sent."""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families as parse
from websockets.sync.client import connect

from tests.integration.instrumentation.frameworks.environments import Service, services, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sidelight.toolchain.processes import Process

Counted = dict[tuple[str, str, str, str], float]
SECONDS = 20.0
LABELS = ("http_request_method", "http_route", "http_response_status_code", "error_type")
CONCRETE = re.compile(r"7340033|acme-3b|attic-5f|nowhere")
ID = "7d-of-a-test"


def page(url: str) -> str:
    return httpx.get(f"{url}/metrics", timeout=10, trust_env=False).text


def series(text: str) -> Counted:
    family = next(each for each in parse(text) if each.name == "http_server_request_duration_seconds")
    counts = (each for each in family.samples if each.name.endswith("_count"))
    return {tuple(each.labels[name] for name in LABELS): each.value for each in counts}  # type: ignore[misc]


def counted(url: str, number: int) -> Counted:
    """What was counted, once it is all there: a count follows its answer."""
    deadline = time.monotonic() + SECONDS
    while True:
        found = {labels: count for labels, count in series(page(url)).items() if count}
        if sum(found.values()) == number:
            return found
        assert time.monotonic() < deadline, f"{found}, not {number} requests"
        time.sleep(0.05)


@pytest.fixture(scope="module", params=services(), ids=str)
def service(request: pytest.FixtureRequest) -> Service:
    found: Service = request.param
    return found


@pytest.fixture(scope="module")
def process(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    with serving(service, tmp_path_factory.mktemp("service")) as running:
        yield running


def test_each_request_counts_once_as_it_was_answered_by_its_template(service: Service, process: Process) -> None:
    assert_counted(service, process)


def test_a_websocket_counts_by_its_template(service: Service, process: Process) -> None:
    if service.room is None:
        assert service.interface == "wsgi"
        return
    path, template = service.room
    with connect(process.url.replace("http", "ws") + path, proxy=None) as socket:
        assert socket.recv() == "attic-5f"
    deadline = time.monotonic() + SECONDS
    ended = f'websocket_server_connection_duration_seconds_count{{http_route="{template}"}} 1.0'
    while ended not in (text := page(process.url)):
        assert time.monotonic() < deadline, [line for line in text.splitlines() if line.startswith("websocket")]
        time.sleep(0.05)
    assert not CONCRETE.search(text)


@pytest.mark.parametrize("interface", ["asgi", "wsgi"])
def test_the_layer_in_python_counts_as_the_one_in_c(interface: str, tmp_path: Path) -> None:
    """The compiled layer does not support exemplars."""
    (tmp_path / "sidelight.yaml").write_text("metrics: {exemplars: true}")
    last = [each for each in services() if each.interface == interface][-1]
    with serving(last, tmp_path) as process:
        assert_counted(last, process)


def assert_counted(service: Service, process: Process) -> None:
    item, nested = service.item, service.nested
    zeros = series(page(process.url))
    assert zeros["GET", item[1], "500", "500"] == 0
    assert zeros["GET", nested[1], "500", "500"] == 0
    paths = (item[0], nested[0], "/busy", "/broken", "/conflict", "/stream", "/nowhere/7")
    with httpx.Client(base_url=process.url, timeout=10, trust_env=False, headers={"x-correlation-id": ID}) as client:
        answers = {path: client.get(path) for path in paths}
        refused = client.post(item[0])
        assert client.get("/health").json() == {"status": "alive"}
        assert client.get("/ready").json()["status"] == "ready"
    assert counted(process.url, 8) == {
        ("GET", item[1], "200", ""): 1,
        ("GET", nested[1], "200", ""): 1,
        ("GET", "/busy", "503", "503"): 1,
        ("GET", "/broken", "500", "500"): 1,
        ("GET", "/conflict", "409", ""): 1,
        ("GET", "/stream", "200", ""): 1,
        ("GET", "", "404", ""): 1,
        ("POST", service.wrong_method[1], str(service.wrong_method[0]), ""): 1,
    }
    assert not CONCRETE.search(page(process.url))
    assert [answer.status_code for answer in answers.values()] == [200, 200, 503, 500, 409, 200, 404]
    assert refused.status_code == service.wrong_method[0]
    assert {answer.headers["x-correlation-id"] for answer in answers.values()} == {ID}
    assert answers["/stream"].text == "part0 part1 part2 "
    document = answers["/conflict"]
    assert document.headers["content-type"] == "application/problem+json"
    assert document.json()["correlation_id"] == ID
    assert_access_lines(service, process)


def assert_access_lines(service: Service, process: Process) -> None:
    lines = [json.loads(line) for line in process.log.read_text().splitlines() if line.startswith("{")]
    access = [line for line in lines if line["logger"] == "instrumentation.access"]
    assert len(access) == 8
    assert [service.item[1], 200, ID] in [
        [line[name] for name in ("route", "status", "correlation_id")] for line in access
    ]
    assert not any(CONCRETE.search(json.dumps(line)) for line in access)
