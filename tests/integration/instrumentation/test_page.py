"""The metrics page is valid for promtool, and works on a separate port with workers that start, stop and are killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram

from instrumentation.catalog import TARGET_INFO, WORKFLOW_DURATION, WORKFLOWS_CREATED
from instrumentation.errors import SettingsError
from instrumentation.exposition.formats import Exposition
from instrumentation.http.connections import Limits
from instrumentation.http.page import metrics_page
from instrumentation.http.server import MetricsPort, _Server, serve
from instrumentation.settings import Settings, parse_settings
from instrumentation.store import LocalStore, add, observe
from sidelight.toolchain import tool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[3]
SECONDS = 30.0
LOOPBACK = "127.0.0.1"


def a_store(name: str = "a") -> LocalStore:
    store = LocalStore()
    store.pin(TARGET_INFO, ("shop", "7.3.0", 'te"s\\t\n\N{SNOWMAN}'), 1.0)
    add(store, WORKFLOWS_CREATED, (name,), 7.0)
    observe(store, WORKFLOW_DURATION, (name, "success"), 0.3)
    return store


@pytest.mark.parametrize("promtool", ["promtool-oldest", "promtool"])
def test_promtool_finds_nothing_wrong_with_the_page(promtool: str) -> None:
    registry = CollectorRegistry()
    Counter("shop_sales", "Sales.", ["till"], registry=registry).labels("3").inc()
    Histogram("shop_basket_items", "Items.", registry=registry).observe(3)
    page = Exposition(a_store(), registry).page()
    checked = subprocess.run(
        [tool(promtool), "check", "metrics"], input=page.body, capture_output=True, timeout=60, check=False
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


def test_promtool_would_find_something() -> None:
    checked = subprocess.run(
        [tool("promtool"), "check", "metrics"], input=b"sales{\n", capture_output=True, timeout=60, check=False
    )
    assert checked.returncode != 0


# --- A port of its own ------------------------------------------------------------------------------------------------


@pytest.fixture
def opened() -> Iterator[list[MetricsPort]]:
    ports: list[MetricsPort] = []
    yield ports
    for port in ports:
        port.close()


def metrics_port(
    opened: list[MetricsPort],
    name: str = "a",
    *,
    port: int = 0,
    settings: Settings | None = None,
    limits: Limits | None = None,
) -> MetricsPort:
    page = metrics_page(a_store(name), CollectorRegistry(), settings or Settings())
    opened.append(serve(page, host=LOOPBACK, port=port, retry_seconds=0.05, limits=limits))
    return opened[-1]


def bound_server(own: MetricsPort) -> _Server:
    assert own._server is not None
    return own._server


def ask(port: int, path: str = "/metrics", method: str = "GET", **headers: str) -> httpx.Response:
    with httpx.Client(trust_env=False) as client:
        return client.request(method, f"http://{LOOPBACK}:{port}{path}", headers=headers, timeout=SECONDS)


def until(happened: Callable[[], object]) -> None:
    deadline = time.monotonic() + SECONDS
    while not happened():
        assert time.monotonic() < deadline, f"not within {SECONDS:g} s"
        time.sleep(0.01)


def answers(port: int) -> bool:
    try:
        return ask(port).status_code == 200
    except httpx.TransportError:
        return False


def free_port() -> int:
    with socket.create_server((LOOPBACK, 0)) as taken:
        return int(taken.getsockname()[1])


def test_the_port_answers_only_the_metrics_path(opened: list[MetricsPort]) -> None:
    port = metrics_port(opened).port
    answer = ask(port, "/metrics?name[]=workflows_created", accept="application/openmetrics-text")
    assert answer.status_code == 200
    assert answer.text.endswith("# EOF\n")
    assert 'workflows_created_total{workflow="a"} 7.0' in answer.text
    assert "sidelight_series" not in answer.text
    assert [ask(port, path).status_code for path in ("/", "/metrics/", "/metricsx", "/favicon.ico")] == [404] * 4


def test_head_gzip_and_other_methods_are_as_on_the_apps_port(opened: list[MetricsPort]) -> None:
    port = metrics_port(opened).port
    zipped, head = ask(port, **{"accept-encoding": "gzip"}), ask(port, method="HEAD", **{"accept-encoding": "gzip"})
    assert zipped.headers["content-encoding"] == "gzip"
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-encoding"] == "gzip"
    assert int(head.headers["content-length"]) == pytest.approx(
        int(zipped.headers["content-length"]), rel=0.1
    )  # it grows
    refused = ask(port, method="POST")
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")


def test_the_port_asks_for_the_token(opened: list[MetricsPort], tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("s7-3cret\n")
    port = metrics_port(opened, settings=parse_settings({"metrics": {"token_file": str(file)}})).port
    assert ask(port).status_code == 401
    assert ask(port, authorization="Bearer s7-3cret").status_code == 200


def test_serving_twice_is_serving_once(opened: list[MetricsPort]) -> None:
    port = free_port()
    assert metrics_port(opened, port=port) is metrics_port(opened, "b", port=port)
    assert 'workflow="a"' in ask(port).text


def test_a_closed_port_is_free_at_once_and_can_be_had_again(opened: list[MetricsPort]) -> None:
    port = free_port()
    first = metrics_port(opened, port=port)
    assert answers(port)
    first.close()
    socket.create_server((LOOPBACK, port)).close()
    assert metrics_port(opened, port=port) is not first
    assert answers(port)


def test_a_taken_port_is_taken_over_once_it_is_free(opened: list[MetricsPort]) -> None:
    with socket.create_server((LOOPBACK, 0)) as peer:
        port = int(peer.getsockname()[1])
        waiting = metrics_port(opened, port=port)
        time.sleep(0.2)
        assert not waiting.is_serving
        assert waiting.port == port
    until(lambda: answers(port))
    assert waiting.is_serving


def test_one_who_waits_for_a_port_can_be_closed(opened: list[MetricsPort]) -> None:
    with socket.create_server((LOOPBACK, 0)) as peer:
        waiting = metrics_port(opened, port=int(peer.getsockname()[1]))
        waiting.close()
        assert not waiting._thread.is_alive()


@pytest.mark.parametrize("host", ["192.0.2.7", "no-such-host.invalid"])
def test_an_address_that_is_not_the_machines_stops_the_start(host: str) -> None:
    page = metrics_page(a_store(), CollectorRegistry(), Settings())
    with pytest.raises(SettingsError, match=r"metrics\.port: this process cannot listen there"):
        serve(page, host=host, port=free_port())


# --- Clients that want to keep others out ------------------------------------------------------------------------------

DRIPPING = b"GET /metrics HTTP/1.1\r\nhost: x\r\nx-drip: "


@contextmanager
def dripping(port: int, connections: int) -> Iterator[list[socket.socket]]:
    """Clients that send a byte of a header now and then, and never finish."""
    clients = [socket.create_connection((LOOPBACK, port)) for _ in range(connections)]
    ended = threading.Event()

    def drip() -> None:
        while not ended.wait(0.02):
            for client in clients:
                with suppress(OSError):
                    client.sendall(b"a")

    for client in clients:
        with suppress(OSError):
            client.sendall(DRIPPING)
    thread = threading.Thread(target=drip)
    thread.start()
    try:
        yield clients
    finally:
        ended.set()
        thread.join()
        for client in clients:
            client.close()


def is_closed(connection: socket.socket) -> bool:
    connection.settimeout(SECONDS)
    with suppress(ConnectionError):
        return connection.recv(7) == b""
    return True


@pytest.mark.parametrize("connections", [16, 200])
def test_clients_that_drip_a_header_do_not_keep_prometheus_out(opened: list[MetricsPort], connections: int) -> None:
    port = metrics_port(opened).port
    with dripping(port, connections):
        assert [answers(port) for _ in range(20)] == [True] * 20


def test_a_request_has_a_time_limit_however_busy_its_client_is(
    opened: list[MetricsPort], caplog: pytest.LogCaptureFixture
) -> None:
    port = metrics_port(opened, limits=Limits(head_seconds=0.2)).port
    with dripping(port, 7) as clients:
        assert all(is_closed(client) for client in clients)
    (record,) = caplog.records
    assert record.getMessage() == (
        "the metrics port closed a connection from 127.0.0.1, because the client did not send its request or read the "
        "response in time; later ones are not logged"
    )


def test_a_client_that_does_not_read_the_answer_has_a_time_limit(opened: list[MetricsPort]) -> None:
    page = metrics_page(a_store("w" * 8_000_000), CollectorRegistry(), Settings())
    opened.append(serve(page, host=LOOPBACK, port=0, limits=Limits(answer_seconds=0.2)))
    connections = bound_server(opened[-1]).connections
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect((LOOPBACK, opened[-1].port))
        client.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        until(lambda: len(connections) == 1)
        until(lambda: len(connections) == 0)


def test_clients_without_the_token_do_not_take_places_from_one_that_has_it(
    opened: list[MetricsPort], tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text("s7-3cret\n")
    port = metrics_port(opened, settings=parse_settings({"metrics": {"token_file": str(file)}})).port
    with dripping(port, 40):
        assert ask(port).status_code == 401
        assert [ask(port, authorization="Bearer s7-3cret").status_code for _ in range(7)] == [200] * 7


@pytest.mark.parametrize(
    ("request_of_a_client", "answer"),
    [
        (b"GET /metrics HTTP/1.1\r\nx: " + b"a" * 20_000, b"HTTP/1.0 431"),
        (b"GET /metrics HTTP/1.1\r\n" + b"x: abcdefg\r\n" * 2_000, b"HTTP/1.0 431"),
        (b"GET /" + b"a" * 20_000, b""),
    ],
    ids=["a long header", "many headers", "a long address"],
)
def test_a_request_may_have_16_kib(opened: list[MetricsPort], request_of_a_client: bytes, answer: bytes) -> None:
    with socket.create_connection((LOOPBACK, metrics_port(opened).port), timeout=SECONDS) as client:
        received = b""
        with suppress(ConnectionError):
            client.sendall(request_of_a_client)
            received = client.recv(12)
    assert answer.startswith(received)  # or nothing, if the reset came before it was read


def test_a_closed_port_closes_its_connections(opened: list[MetricsPort]) -> None:
    own = metrics_port(opened)
    with socket.create_connection((LOOPBACK, own.port)) as client:
        until(lambda: len(bound_server(own).connections) == 1)
        own.close()
        assert is_closed(client)


def test_a_client_that_disconnects_is_not_an_error(opened: list[MetricsPort], caplog: pytest.LogCaptureFixture) -> None:
    port = metrics_port(opened).port
    for _ in range(3):
        with socket.create_connection((LOOPBACK, port)) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # a reset, not a farewell
            connection.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
    assert answers(port)
    assert caplog.records == []


WORKER = """
import os, sys, time
from prometheus_client import CollectorRegistry
from instrumentation.catalog import WORKFLOWS_CREATED
from instrumentation.http.page import metrics_page
from instrumentation.http.server import serve
from instrumentation.settings import Settings
from instrumentation.store import LocalStore, add

store = LocalStore()
add(store, WORKFLOWS_CREATED, (str(os.getpid()),), 1.0)
serve(metrics_page(store, CollectorRegistry(), Settings()), host="127.0.0.1", port=int(sys.argv[1]), retry_seconds=0.05)
if sys.argv[2] == "fork" and os.fork():  # the child outlives the worker that served
    print("forked", flush=True)
sys.stdin.read()
"""


def worker(port: int, *, fork: bool = False) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, str(port), "fork" if fork else ""],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={key: value for key, value in os.environ.items() if not key.startswith("SIDELIGHT_")},
    )


def end(process: subprocess.Popen[str]) -> None:
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=SECONDS)


def test_a_killed_worker_is_followed_by_its_peer() -> None:
    port = free_port()
    siblings = {process.pid: process for process in (worker(port), worker(port), worker(port))}
    try:
        while siblings:
            until(lambda: answers(port))
            (serving,) = [pid for pid in siblings if f'workflow="{pid}"' in ask(port).text]
            end(siblings.pop(serving))
    finally:
        for process in siblings.values():
            end(process)
    assert not answers(port)


def test_a_forked_child_does_not_keep_the_port_of_a_worker_that_is_gone() -> None:
    port = free_port()
    parent = worker(port, fork=True)
    try:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "forked\n"
        until(lambda: answers(port))
        os.kill(parent.pid, signal.SIGKILL)
        until(lambda: not answers(port))
        socket.create_server((LOOPBACK, port)).close()
    finally:
        end(parent)


def test_a_connection_without_a_place_is_closed_at_once(
    opened: list[MetricsPort], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = metrics_port(opened)
    monkeypatch.setattr(bound_server(own).connections, "admit", lambda request, _: request)
    before = len(list(Path("/proc/self/fd").iterdir()))
    with socket.create_connection((LOOPBACK, own.port)) as client:
        assert is_closed(client)
        until(lambda: len(list(Path("/proc/self/fd").iterdir())) == before + 1)  # this end alone
