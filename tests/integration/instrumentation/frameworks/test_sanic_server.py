"""Sanic's own server, which does not use ASGI: requests are counted as they were answered."""

from __future__ import annotations

import re
import socket
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.integration.instrumentation.frameworks.environments import Service, services, serving
from tests.integration.instrumentation.frameworks.test_services import SECONDS, counted, page

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sidelight.toolchain.processes import Process


def newest() -> Service:
    found = [each for each in services() if each.interface == "sanic"]
    return Service(**{**vars(found[-1]), "app": "sanic_own_service:app"})


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    with serving(newest(), tmp_path_factory.mktemp("service"), ready="/ready") as running:
        yield running


def leave(process: Process, path: str, *, after: bytes | None) -> None:
    """Close the connection once something was received; None: at once."""
    with socket.create_connection(("127.0.0.1", int(process.url.rpartition(":")[2])), SECONDS) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: shop\r\n\r\n".encode())
        received = b""
        while after is not None and after not in received:
            received += connection.recv(65536)


def test_each_request_counts_as_the_client_received_it(process: Process) -> None:
    with httpx.Client(base_url=process.url, timeout=SECONDS, trust_env=False) as client:
        answers = [client.get("/items/7"), client.head("/items/7"), client.post("/upload", content=b"x" * 5000)]
        late = client.get("/slow")
        assert [answer.status_code for answer in answers] == [200, 200, 200]
        assert (answers[2].text, late.status_code) == ("5000", 503)
        assert all("x-correlation-id" in answer.headers for answer in (*answers, late))
        assert client.get("/failing").text == "a part"  # Sanic ends it as if it were whole
    leave(process, "/events", after=b"data: 7")
    leave(process, "/slow", after=None)
    assert counted(process.url, 7) == {
        ("GET", "/items/<item:int>", "200", ""): 1,
        ("HEAD", "/items/<item:int>", "200", ""): 1,
        ("POST", "/upload", "200", ""): 1,
        ("GET", "/slow", "503", "503"): 1,
        ("GET", "/failing", "200", "response_aborted"): 1,
        ("GET", "/events", "200", ""): 1,
        ("GET", "/slow", "499", ""): 1,
    }
    shown = page(process.url)
    for size in (
        'http_server_request_body_size_bytes_sum{.*route="/upload"',
        'http_server_response_body_size_bytes_sum{.*"HEAD"',
    ):
        (line,) = re.findall(f"{size}.*", shown)
        assert line.endswith(" 5000.0" if "upload" in size else " 0.0")
    assert 'http_server_active_requests{http_request_method="GET"} 0.0' in shown
    assert 'http_server_active_streams{http_route="/events"} 0.0' in shown


def test_the_pages_of_the_app_stay_and_its_metrics_page_has_ours_too(process: Process) -> None:
    health = httpx.get(f"{process.url}/health", trust_env=False)
    assert (health.status_code, health.text) == (503, "no database")
    shown = page(process.url)
    assert "own_things 7" in shown
    assert "http_server_request_duration_seconds_bucket" in shown


def test_workers_count_together(tmp_path: Path) -> None:
    command = ("sanic", "{app}", "--port", "{port}", "--workers", "2")
    with serving(newest(), tmp_path, command=command, ready="/ready") as process:
        for number in range(40):
            httpx.get(f"{process.url}/items/{number}", trust_env=False)
        shown = [counted(process.url, 40) for _ in range(10)]
        assert "\nsidelight_workers 2.0\n" in page(process.url)
    assert shown == [{("GET", "/items/<item:int>", "200", ""): 40}] * 10
