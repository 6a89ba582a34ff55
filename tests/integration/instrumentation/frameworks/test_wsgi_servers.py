"""A WSGI service on its servers: any worker serves the sum of all, and counts match what was sent."""

from __future__ import annotations

import json
import os
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families as parse

from tests.integration.instrumentation.frameworks import environments
from tests.integration.instrumentation.frameworks.environments import services, serving
from tests.integration.instrumentation.frameworks.test_services import counted as counted_by_labels
from tests.integration.instrumentation.frameworks.test_services import page
from tests.integration.instrumentation.test_workers import all_counted, ask_until, counted, kill

if TYPE_CHECKING:
    from sidelight.toolchain.processes import Process

WORKERS = 3
UWSGI = (
    "uwsgi", "--http-socket", "127.0.0.1:{port}", "--module", "{app}", "--master", "--processes", str(WORKERS),
    "--lazy-apps", "--enable-threads", "--die-on-term",
)  # fmt: skip
KINDS = {
    "sync": ("--worker-class", "sync"),
    "gthread": ("--worker-class", "gthread", "--threads", "4"),
    "sync, app loaded before the fork": ("--worker-class", "sync", "--preload"),
}
FLASK = next(each for each in reversed(services()) if each.framework == "Flask")
PYUWSGI = next(row["versions"] for row in environments.TABLE["wsgi_servers"] if row["server"] == "uWSGI")
SERVICE = environments.Service(**{**vars(FLASK), "app": "pid_service:app"})


@pytest.mark.parametrize("kind", [*KINDS, "uWSGI"])
def test_any_worker_shows_the_sum_also_of_one_that_was_killed(kind: str, tmp_path: Path) -> None:
    if kind == "uWSGI":
        service = environments.Service(**{**vars(SERVICE), "versions": {**SERVICE.versions, **PYUWSGI}})
        server = serving(service, tmp_path, command=UWSGI)
    else:
        server = serving(SERVICE, tmp_path, "--workers", str(WORKERS), *KINDS[kind])
    with server as running:
        pids, asked = ask_until(lambda pids: len(pids) == WORKERS, running.url)
        all_counted(running.url, asked)
        assert {counted(running.url) for _ in range(3 * WORKERS)} == {asked}
        victim = pids.pop()
        kill(victim, running.url, asked)
        _, more = ask_until(lambda others: bool(others - pids - {victim}), running.url)
        all_counted(running.url, asked + more)
        assert {counted(running.url) for _ in range(3 * WORKERS)} == {asked + more}
    assert not [*Path(f"/dev/shm/sidelight-{os.getuid()}").glob(f"*/{victim}-*")]  # noqa: S108 - where workers meet


def test_an_exception_of_a_request_on_uwsgi_is_logged_once_and_does_not_end_the_process(tmp_path: Path) -> None:
    service = environments.Service(**{**vars(SERVICE), "versions": {**SERVICE.versions, **PYUWSGI}})
    with serving(service, tmp_path, command=UWSGI) as running:
        httpx.get(
            f"{running.url}/breaks", trust_env=False
        )  # uWSGI ends a response that broke off as if it were complete
        assert counted_by_labels(running.url, 1) == {("GET", "/breaks", "200", "response_aborted"): 1}
    lines = [json.loads(line) for line in running.log.read_text().splitlines() if line.startswith("{")]
    reported = [line["event"] for line in lines if line["logger"] == "instrumentation.uncaught"]
    assert reported == ["the server reports an exception that the app did not catch"]


@pytest.mark.parametrize("kind", ["sync", "gthread"])
def test_a_response_is_timed_to_its_last_part_and_counts_as_it_ended(kind: str, tmp_path: Path) -> None:
    with serving(SERVICE, tmp_path, *KINDS[kind]) as running:
        assert httpx.get(f"{running.url}/slow", trust_env=False).text == "partpartpart"
        assert httpx.get(f"{running.url}/file", trust_env=False).text.startswith('"""A Flask service')
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.get(f"{running.url}/breaks", trust_env=False)
        leave_while_it_streams(running)
        assert counted_by_labels(running.url, 4) == {
            ("GET", "/slow", "200", ""): 1,
            ("GET", "/file", "200", ""): 1,
            ("GET", "/breaks", "200", "response_aborted"): 1,
            ("GET", "/endless", "499", ""): 1,
        }
        assert seconds(running.url, "/slow") >= 0.3


@pytest.mark.parametrize("server", environments.TABLE["wsgi_servers"], ids=lambda row: row["server"])
def test_concurrent_requests_are_counted_and_logged_one_by_one(server: dict[str, Any], tmp_path: Path) -> None:
    service = environments.Service(**{**vars(SERVICE), "versions": {**SERVICE.versions, **server["versions"]}})
    with serving(service, tmp_path, command=server["command"]) as running:
        with ThreadPoolExecutor(12) as pool:
            answers = list(pool.map(lambda _: httpx.get(f"{running.url}/nap", trust_env=False).text, range(36)))
        assert answers == ["awake"] * 36
        assert counted_by_labels(running.url, 36) == {("GET", "/nap", "200", ""): 36}
    lines = [json.loads(line) for line in running.log.read_text().splitlines() if line.startswith("{")]
    access = [line for line in lines if line["logger"] == "instrumentation.access"]
    assert {line["route"] for line in access} == {"/nap"}
    assert len({line["correlation_id"] for line in access}) == 36
    assert not [line["event"] for line in lines if "sidelight could not" in line["event"]]


def leave_while_it_streams(process: Process) -> None:
    host, _, port = process.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=10) as client:
        client.sendall(b"GET /endless HTTP/1.1\r\nHost: here\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 200")


def seconds(url: str, route: str) -> float:
    family = next(each for each in parse(page(url)) if each.name == "http_server_request_duration_seconds")
    sums = (each for each in family.samples if each.name.endswith("_sum"))
    return sum(each.value for each in sums if each.labels["http_route"] == route)
