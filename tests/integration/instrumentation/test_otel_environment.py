"""A service that is configured only with OpenTelemetry's variables, and a collector that records its requests."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from sidelight.demo.spans import spans_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidelight.demo.spans import Received

ROOT = Path(__file__).parents[3]
SERVICE = """
import os, sys
from fastapi import FastAPI
from fastapi.testclient import TestClient
import instrumentation

app = FastAPI()

@app.get("/items/{item}")
def item(item: int) -> int:
    return item

@app.get("/quiet/{item}")
def quiet(item: int) -> int:
    return item

if "own" in sys.argv:
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor

    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    FastAPIInstrumentor.instrument_app(app, exclude_spans=["receive", "send"])

instrumentation.instrument(app)
with TestClient(app) as client:
    for number in range(7):
        client.get(f"/items/{number}", headers={"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"})
    client.get("/quiet/7")
    client.get("/health")
    print(client.get("/metrics").text)
print("loaded", "opentelemetry.sdk" in sys.modules)
"""


class Asked:
    """The requests that the collector received."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.paths: set[str] = set()
        self.headers: dict[str, str] = {}
        self.spans: list[Received] = []


@contextmanager
def collector() -> Iterator[Asked]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            asked.paths.add(self.path)
            asked.headers.update({name.lower(): value for name, value in self.headers.items()})
            asked.spans.extend(spans_in(ExportTraceServiceRequest.FromString(body)))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        asked = Asked(f"http://127.0.0.1:{server.server_address[1]}")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield asked
        server.shutdown()


def run(folder: Path, *arguments: str, **environ: str) -> str:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    done = subprocess.run(
        [sys.executable, "-c", SERVICE, *arguments], cwd=folder, env={**kept, "PYTHONPATH": str(ROOT), **environ},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def lines(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines() if line.startswith("{")]


def test_endpoint_headers_compression_attributes_and_excluded_urls(tmp_path: Path) -> None:
    with collector() as asked:
        output = run(
            tmp_path,
            OTEL_EXPORTER_OTLP_ENDPOINT=f"{asked.url}/otlp/",
            OTEL_EXPORTER_OTLP_HEADERS="api-key=s7,tenant=north",
            OTEL_EXPORTER_OTLP_COMPRESSION="gzip",
            OTEL_SERVICE_NAME="shop",
            OTEL_RESOURCE_ATTRIBUTES="team=pay,service.namespace=north,k8s.pod.name=shop-7",
            OTEL_PYTHON_FASTAPI_EXCLUDED_URLS="quiet",
            OTEL_METRICS_EXPORTER="otlp",
        )
    assert asked.paths == {"/otlp/v1/traces"}
    assert (asked.headers["api-key"], asked.headers["tenant"]) == ("s7", "north")
    assert asked.headers["content-encoding"] == "gzip"
    assert [span.name for span in asked.spans] == ["GET /items/{item}"] * 7
    resource = asked.spans[0].resource
    assert (resource["service.name"], resource["team"], resource["service.namespace"]) == ("shop", "pay", "north")
    assert (
        'k8s_pod_name="shop-7",service_name="shop",service_namespace="north",service_version="0",team="pay"} 1.0'
        in output
    )
    (access, *_) = [line for line in lines(output) if line["logger"] == "instrumentation.access"]
    assert (access["team"], access["service_namespace"], "k8s_pod_name" in access) == ("pay", "north", False)
    assert any("not supported and have no effect: OTEL_METRICS_EXPORTER" in line["event"] for line in lines(output))


def test_the_variable_for_traces_takes_precedence_and_is_used_unchanged(tmp_path: Path) -> None:
    with collector() as asked:
        run(
            tmp_path,
            OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9",
            OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=f"{asked.url}/spans",
            OTEL_EXPORTER_OTLP_TRACES_HEADERS="api-key=s3",
            OTEL_EXPORTER_OTLP_HEADERS="api-key=s7",
        )
    assert asked.paths == {"/spans"}
    assert asked.headers["api-key"] == "s3"
    assert len(asked.spans) == 8


@pytest.mark.parametrize(
    ("sampler", "expected"),
    [
        ({"OTEL_TRACES_SAMPLER": "always_off"}, 0),
        ({"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0"}, 0),
        ({"OTEL_TRACES_SAMPLER": "parentbased_always_off"}, 7),
        ({"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "1.0"}, 8),
    ],
)
def test_the_sampler_decides_in_place_of_the_ratio(sampler: dict[str, str], expected: int, tmp_path: Path) -> None:
    (tmp_path / "sidelight.yaml").write_text("tracing: {sample_ratio: 0.5}\n")
    with collector() as asked:
        run(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=asked.url, **sampler)
    assert len(asked.spans) == expected


def test_without_a_propagator_the_callers_trace_is_not_continued(tmp_path: Path) -> None:
    with collector() as asked:
        run(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=asked.url, OTEL_PROPAGATORS="none")
    assert "0af7651916cd43dd8448eb211c80319c" not in {span.trace_id for span in asked.spans}
    assert len({span.trace_id for span in asked.spans}) == 8


def test_without_tracing_nothing_is_sent_and_opentelemetry_is_not_loaded(tmp_path: Path) -> None:
    (tmp_path / "sidelight.yaml").write_text("tracing: {endpoint: 'http://127.0.0.1:9'}\n")
    with collector() as asked:
        output = run(tmp_path, OTEL_TRACES_EXPORTER="none", OTEL_EXPORTER_OTLP_ENDPOINT=asked.url)
    assert asked.spans == []
    assert "loaded False" in output


def test_a_service_that_has_set_up_opentelemetry_itself_sends_each_span_once(tmp_path: Path) -> None:
    with collector() as asked:
        run(tmp_path, "own", OTEL_EXPORTER_OTLP_ENDPOINT=asked.url)
    items = [span for span in asked.spans if "/items/" in span.name]
    assert len(items) == 7
    assert len({span.span_id for span in items}) == 7


def test_an_exporter_that_cannot_be_made_stops_no_start(tmp_path: Path) -> None:
    output = run(
        tmp_path,
        OTEL_EXPORTER_OTLP_ENDPOINT="http://user:hunter2@127.0.0.1:9",
        OTEL_EXPORTER_OTLP_PROTOCOL="grpc",
        OTEL_EXPORTER_OTLP_COMPRESSION="brotli",
    )
    (line,) = [line["event"] for line in lines(output) if "no spans are sent" in line["event"]]
    assert line.startswith(
        "no spans are sent to http://***@127.0.0.1:9, since OpenTelemetry's exporter says: Invalid value"
    )
    assert "hunter2" not in output
