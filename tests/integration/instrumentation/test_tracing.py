"""Spans of real servers reach a real receiver, masked and well named; a missing or hanging one delays no request."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import httpx
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

from instrumentation.tracing.export import PERSONAL
from sidelight.demo.spans import Received, receiving, spans_in
from sidelight.toolchain import processes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sidelight.toolchain.processes import Process

ROOT = Path(__file__).parents[3]
BIN = Path(sys.executable).parent
SECONDS = 60.0
LOOPBACK = "127.0.0.1"
SECRET = "hunter2"  # noqa: S105 - no real one
APP = """
import os
import httpx
import structlog
from fastapi import APIRouter, FastAPI
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
import instrumentation

app = FastAPI()
async def stock(request):
    return PlainTextResponse("7")

other = Starlette(routes=[Route("/stock/{item}", stock)])
client = instrumentation.instrument_client(
    httpx.AsyncClient(transport=httpx.ASGITransport(other), base_url="http://other.example")
)


inner, outer = APIRouter(prefix="/inner/{b}"), APIRouter(prefix="/outer/{a}")

@inner.get("/leaf/{c}")
async def leaf(a: str, b: str, c: str) -> int:
    structlog.get_logger("shop").info("seen")
    await client.get("/stock/3?token=hunter2")
    return os.getpid()

outer.include_router(inner)
app.include_router(outer)

@app.get("/broken")
async def broken() -> None:
    raise RuntimeError("the password=hunter2 was wrong")

mounted = FastAPI()

@mounted.get("/rooms/{room}")
async def room(room: int) -> int:
    return room

app.mount("/mounted", mounted)
instrumentation.instrument(app)
instrumentation.problem_documents(app)

async def plain(request):
    return PlainTextResponse("a page")

starlette = instrumentation.instrument(Starlette(routes=[Route("/pages/{page}", plain)]))
"""
GUNICORN = ("gunicorn", "service:app", "-k", "uvicorn_worker.UvicornWorker", "-w", "2", "-b", f"{LOOPBACK}:{{port}}")
UVICORN = ("uvicorn", "service:app", "--host", LOOPBACK, "--port", "{port}")
SERVERS = {
    "uvicorn": UVICORN,
    "uvicorn, two workers": (*UVICORN, "--workers", "2"),
    "gunicorn": GUNICORN,
    "gunicorn, app loaded before the fork": (*GUNICORN, "--preload"),
}
LEAF = "/outer/acme/inner/7/leaf/joe@example.com"
TEMPLATE = "/outer/{a}/inner/{b}/leaf/{c}"


@contextmanager
def serving(argv: tuple[str, ...], folder: Path, endpoint: str, **tracing: Any) -> Iterator[Process]:
    (folder / "service.py").write_text(APP)
    document = {"service": {"name": "shop", "version": "7.3.0"}, "tracing": {"endpoint": endpoint, **tracing}}
    (folder / "sidelight.yaml").write_text(json.dumps(document))
    port = processes.free_port()
    url = f"http://{LOOPBACK}:{port}"
    program, *arguments = (part.format(port=port) for part in argv)
    env = {"PYTHONPATH": os.pathsep.join((str(ROOT), str(folder)))}
    with processes.start(
        (BIN / program, *arguments), log=folder / "log", ready=f"{url}/ready", url=url, env=env, cwd=folder
    ) as running:
        yield running


def get(running: Process, path: str, **headers: str) -> httpx.Response:
    return httpx.get(f"{running.url}{path}", headers=headers, timeout=SECONDS, trust_env=False)


def status_of(running: Process, path: str, *headers: bytes) -> bytes:
    """The status of a response to headers that no client library sends."""
    address = running.url.removeprefix("http://").partition(":")
    with socket.create_connection((address[0], int(address[2])), timeout=SECONDS) as connection:
        connection.sendall(b"\r\n".join((f"GET {path} HTTP/1.1".encode(), b"connection: close", *headers, b"", b"")))
        return connection.makefile("rb").readline().split()[1]


def until(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + SECONDS
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log").read_text().splitlines() if line.startswith("{")]


def counted(running: Process) -> dict[str, float]:
    page = get(running, "/metrics").text.splitlines()
    rows = (line.rpartition(" ") for line in page if line.startswith("sidelight_spans_total{"))
    return {name.split('"')[1]: float(value) for name, _, value in rows}


@pytest.mark.parametrize("server", SERVERS)
def test_a_request_its_call_its_log_lines_and_its_answer_are_of_one_trace(server: str, tmp_path: Path) -> None:
    caller = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    with receiving() as spans, serving(SERVERS[server], tmp_path, spans.url) as running:
        answer = get(running, f"{LEAF}?password={SECRET}", traceparent=caller, **{"x-correlation-id": "order-7"})
        get(running, "/ready")
        get(running, "/metrics")
        until(lambda: len(list(spans)) >= 2)
        request, call = sorted(spans, key=lambda span: span.name != f"GET {TEMPLATE}")
        assert until(lambda: counted(running)["exported"] == 2)
    assert answer.headers["x-correlation-id"] == "order-7"
    assert (request.name, request.trace_id, request.parent_id) == (f"GET {TEMPLATE}", caller[3:35], caller[36:52])
    assert (call.trace_id, call.parent_id) == (request.trace_id, request.span_id)
    assert request.resource.items() >= {
        "service.name": "shop", "service.version": "7.3.0", "deployment.environment.name": "development",
    }.items()  # fmt: skip
    assert request.attributes.items() >= {
        "http.route": TEMPLATE, "http.request.method": "GET", "http.response.status_code": 200, "correlation_id": "order-7",
    }.items()  # fmt: skip
    assert f"http://{request.attributes['server.address']}:{request.attributes['server.port']}" == running.url
    assert call.attributes["url.full"] == "http://other.example/stock/3"
    said = {line["event"]: (line["trace_id"], line["span_id"]) for line in lines(tmp_path) if "trace_id" in line}
    assert said == dict.fromkeys(("seen", "request"), (request.trace_id, request.span_id))
    everything = repr([request, call])
    for planted in (SECRET, "joe@example.com", "python-httpx"):
        assert planted not in everything, planted
    assert not PERSONAL & {*request.attributes, *call.attributes}


def test_an_unhandled_exception_is_recorded_without_secrets_and_the_document_names_its_trace_s_request(
    tmp_path: Path,
) -> None:
    with receiving() as spans, serving(UVICORN, tmp_path, spans.url) as running:
        document = get(running, "/broken").json()
        (span,) = until(lambda: list(spans))
    assert document["correlation_id"] == span.attributes["correlation_id"]
    assert span.attributes["http.response.status_code"] == 500
    ((name, event), *_) = span.events
    assert (name, event["exception.message"]) == ("exception", "the password=*** was wrong")
    assert SECRET not in repr(span)


def test_an_app_that_is_mounted_makes_no_span_of_its_own(tmp_path: Path) -> None:
    with receiving() as spans, serving(UVICORN, tmp_path, spans.url) as running:
        get(running, "/mounted/rooms/7")
        (span,) = until(lambda: list(spans))
        until(lambda: counted(running)["exported"] == 1)
    assert (span.name, span.attributes["http.route"]) == ("GET /mounted/rooms/{room}", "/mounted/rooms/{room}")


def test_starlette_s_requests_are_traced_too(tmp_path: Path) -> None:
    argv = tuple(part.replace("service:app", "service:starlette") for part in UVICORN)
    with receiving() as spans, serving(argv, tmp_path, spans.url) as running:
        get(running, "/pages/7")
        get(running, "/none")
        until(lambda: len(list(spans)) == 2)
    assert sorted(span.name for span in spans) == ["GET", "GET /pages/{page}"]
    assert {span.attributes.get("http.route") for span in spans} == {"/pages/{page}", None}


@pytest.mark.parametrize(
    ("name", "creates_spans"), [("app", "sidelight"), ("app", "contrib"), ("starlette", "contrib")]
)
def test_no_bytes_of_a_client_make_a_traced_request_fail(name: str, creates_spans: str, tmp_path: Path) -> None:
    argv = tuple(part.replace("service:app", f"service:{name}") for part in UVICORN)
    strange = [header + b": \xff\\" for header in (b"traceparent", b"tracestate", b"baggage", b"user-agent", b"x-any")]
    with receiving() as spans, serving(argv, tmp_path, spans.url, instrumentation=creates_spans) as running:
        answered = [status_of(running, "/none", b"host: x", header) for header in strange]
        assert [*answered, status_of(running, "/none", b"host: \xff\\")] == [b"404"] * 6
        until(lambda: len(list(spans)) == 6)


class Service(trace_service_pb2_grpc.TraceServiceServicer):
    """A receiver over gRPC."""

    def __init__(self) -> None:
        self.spans: list[Received] = []

    def Export(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
        del context
        self.spans.extend(spans_in(request))
        return trace_service_pb2.ExportTraceServiceResponse()


def test_over_grpc(tmp_path: Path) -> None:
    service, server = Service(), grpc.server(ThreadPoolExecutor(2))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(service, server)
    port = server.add_insecure_port(f"{LOOPBACK}:0")
    server.start()
    try:
        with serving(UVICORN, tmp_path, f"http://{LOOPBACK}:{port}", protocol="grpc") as running:
            get(running, LEAF)
            until(lambda: len(service.spans) == 2)
    finally:
        server.stop(None).wait(SECONDS)
    assert f"GET {TEMPLATE}" in {span.name for span in service.spans}


def test_what_is_not_sampled_is_not_sent_and_a_caller_decides_for_its_own(tmp_path: Path) -> None:
    with receiving() as spans, serving(UVICORN, tmp_path, spans.url, sample_ratio=0.0) as running:
        for _ in range(20):
            get(running, LEAF)
        get(running, LEAF, traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        until(lambda: len(list(spans)) == 2)
        assert counted(running) == {"exported": 2.0, "failed": 0.0, "dropped": 0.0}


@pytest.mark.parametrize("server", ["uvicorn, two workers", "gunicorn"])
def test_a_shutdown_under_load_loses_no_sampled_span(server: str, tmp_path: Path) -> None:
    with receiving() as spans:
        with serving(SERVERS[server], tmp_path, spans.url) as running:
            with ThreadPoolExecutor(4) as pool:
                answers = list(pool.map(lambda _: get(running, LEAF).status_code, range(200)))
            running.stop(SECONDS)
        assert answers == [200] * 200
        assert len([span for span in spans if span.name == f"GET {TEMPLATE}"]) == 200


@contextmanager
def hanging() -> Iterator[str]:
    """An address where connections are taken and nothing is ever said."""
    with socket.create_server((LOOPBACK, 0)) as server:
        taken: list[socket.socket] = []

        def take() -> None:
            while True:
                try:
                    taken.append(server.accept()[0])
                except OSError:
                    return

        thread = threading.Thread(target=take, daemon=True)
        thread.start()
        try:
            yield f"http://{LOOPBACK}:{server.getsockname()[1]}"
        finally:
            server.shutdown(socket.SHUT_RDWR)
            for each in taken:
                each.close()
            thread.join(SECONDS)


@contextmanager
def gone() -> Iterator[str]:
    """An address at which no process listens."""
    yield f"http://{LOOPBACK}:{processes.free_port()}"


@pytest.mark.parametrize(("collector", "dropped"), [(hanging, 20), (gone, 0)], ids=["hangs", "is gone"])
def test_a_missing_collector_delays_no_request_and_lost_spans_are_counted(
    collector: Any, dropped: int, tmp_path: Path
) -> None:
    with collector() as endpoint, serving(UVICORN, tmp_path, endpoint, queue_size=10, timeout_seconds=0.5) as running:
        assert {get(running, LEAF).status_code for _ in range(60)} == {200}
        lost = until(lambda: (spans := counted(running))["failed"] + spans["dropped"] >= 110 and spans)
        assert lost["exported"] == 0.0
        assert lost["dropped"] >= dropped  # of 120 spans no more than ten wait for one that hangs
        running.send(signal.SIGTERM)
        running.wait(SECONDS)
    said = [line["event"] for line in lines(tmp_path) if "accept spans" in line["event"]]
    assert said == [f"{endpoint} does not accept spans; they are lost, and counted in sidelight_spans_total"]
    assert not [line for line in lines(tmp_path) if line["logger"].startswith("opentelemetry")]
