"""Client calls over real sockets: failures, streams, proxies, and their metrics."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

import instrumentation
from instrumentation.store import LocalStore
from sidelight.toolchain import processes

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[3]
SECONDS = 30.0
Counted = dict[tuple[str, ...], int]


class Supplier(BaseHTTPRequestHandler):
    """Answers by path; asked for a whole URL, as a proxy is, it answers too."""

    protocol_version = "HTTP/1.1"
    go_on = threading.Event()

    def do_GET(self) -> None:
        path = self.path.rpartition("/")[2]
        if path == "silent":
            self.go_on.wait(SECONDS)
        elif path == "broken":
            self.close_connection = True
        else:
            self.send_response(200)
            self.send_header("Content-Length", "8")
            self.end_headers()
            self.wfile.write(b"part")
            self._rest(path)

    def _rest(self, path: str) -> None:
        if path == "short":
            self.close_connection = True
            return
        if path == "slow":
            self.go_on.wait(SECONDS)
        self.wfile.write(b"part")

    def log_message(self, *_: object) -> None:
        """Silence: the test's output is for the test."""


@pytest.fixture
def supplier() -> Iterator[str]:
    Supplier.go_on = threading.Event()
    with ThreadingHTTPServer(("127.0.0.1", 0), Supplier) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        Supplier.go_on.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def store() -> LocalStore:
    return LocalStore()


def counted(store: LocalStore) -> Counted:
    return {row.labels: int(sum(row.slots[:-1])) for row in store.series()}


def ask(kind: str, store: LocalStore, url: str, **options: Any) -> httpx.Response:
    if kind == "sync":
        with httpx.Client(trust_env=False, **options) as client:
            return instrumentation.instrument_client(client, store=store).get(url)

    async def run() -> httpx.Response:
        async with httpx.AsyncClient(trust_env=False, **options) as client:
            return await instrumentation.instrument_client(client, store=store).get(url)

    return asyncio.run(run())


KINDS = pytest.mark.parametrize("kind", ["sync", "async"])


@KINDS
def test_an_answer_counts_and_is_what_was_sent(kind: str, supplier: str, store: LocalStore) -> None:
    assert ask(kind, store, f"{supplier}/whole").content == b"partpart"
    assert counted(store) == {("127.0.0.1", "GET", "200", ""): 1}


@KINDS
@pytest.mark.parametrize(
    ("path", "error"), [("silent", httpx.ReadTimeout), ("broken", httpx.RemoteProtocolError)], ids=["silent", "broken"]
)
def test_a_server_that_does_not_respond(
    kind: str, path: str, error: type[Exception], supplier: str, store: LocalStore
) -> None:
    with pytest.raises(error):
        ask(kind, store, f"{supplier}/{path}", timeout=httpx.Timeout(SECONDS, read=0.2))
    assert counted(store) == {("127.0.0.1", "GET", "", error.__name__): 1}


@KINDS
def test_a_port_without_a_server(kind: str, store: LocalStore) -> None:
    with pytest.raises(httpx.ConnectError):
        ask(kind, store, f"http://127.0.0.1:{processes.free_port()}/")
    assert counted(store) == {("127.0.0.1", "GET", "", "ConnectError"): 1}


@KINDS
def test_a_body_that_breaks_off_is_the_status_that_came_and_raises_as_before(
    kind: str, supplier: str, store: LocalStore
) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        ask(kind, store, f"{supplier}/short")
    assert counted(store) == {("127.0.0.1", "GET", "200", ""): 1}


def test_a_stream_is_counted_while_its_body_is_still_to_come(supplier: str, store: LocalStore) -> None:
    with (
        instrumentation.instrument_client(httpx.Client(trust_env=False), store=store) as client,
        client.stream("GET", f"{supplier}/slow") as response,
    ):
        parts = response.iter_raw()
        assert next(parts) == b"part"
        assert counted(store) == {("127.0.0.1", "GET", "200", ""): 1}
        Supplier.go_on.set()
        assert b"".join(parts) == b"part"
    assert counted(store) == {("127.0.0.1", "GET", "200", ""): 1}


@KINDS
def test_through_a_proxy_the_address_is_that_of_the_service_called(kind: str, supplier: str, store: LocalStore) -> None:
    assert ask(kind, store, "http://suppliers.example/whole", proxy=supplier).content == b"partpart"
    assert counted(store) == {("suppliers.example", "GET", "200", ""): 1}


SERVICE = """
import os
import httpx
from fastapi import FastAPI
import instrumentation

app = FastAPI()
client = instrumentation.instrument_client(httpx.AsyncClient(trust_env=False))

@app.get("/order")
async def order() -> int:
    await client.get(os.environ["SUPPLIER"] + "/whole")
    return os.getpid()

instrumentation.instrument(app)
"""


def test_any_worker_serves_the_calls_of_all_workers(supplier: str, tmp_path: Path) -> None:
    (tmp_path / "service.py").write_text(SERVICE)
    port = processes.free_port()
    url = f"http://127.0.0.1:{port}"
    argv = (sys.executable, "-m", "uvicorn", "service:app", "--port", str(port), "--workers", "2")
    env = {"PYTHONPATH": os.pathsep.join((str(ROOT), str(tmp_path))), "SUPPLIER": supplier}
    with processes.start(argv, log=tmp_path / "log", ready=f"{url}/metrics", env=env, cwd=tmp_path):
        workers, asked = set[int](), 0
        deadline = time.monotonic() + SECONDS
        while len(workers) < 2 and time.monotonic() < deadline:
            workers.add(httpx.get(f"{url}/order", trust_env=False, timeout=SECONDS).json())
            asked += 1
        page = httpx.get(f"{url}/metrics", trust_env=False, timeout=SECONDS).text
    assert len(workers) == 2
    found = re.findall(r"^http_client_request_duration_seconds_count\{(.*)\} (\S+)$", page, re.MULTILINE)
    labels = 'error_type="",http_request_method="GET",http_response_status_code="200",server_address="127.0.0.1"'
    assert found == [(labels, str(float(asked)))]
