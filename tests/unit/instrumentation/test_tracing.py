"""Without an endpoint OpenTelemetry is not loaded; missing packages stop the start; spans are bounded, masked and counted."""

from __future__ import annotations

import logging
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import FastAPI
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry

import instrumentation
from instrumentation import catalog
from instrumentation.errors import SettingsError
from instrumentation.redaction import Redactor
from instrumentation.settings import parse_settings
from instrumentation.store import LocalStore
from instrumentation.tracing.export import BoundedExport, BoundedProcessor

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).parents[3]
PROGRAM = """
import sys
from fastapi import FastAPI
from fastapi.testclient import TestClient
before = set(sys.modules)
import httpx, instrumentation
from instrumentation.settings import parse_settings
app = instrumentation.instrument(FastAPI(), settings=parse_settings({}))
instrumentation.instrument_client(httpx.Client())
with TestClient(app) as client:
    client.get("/ready")
print(*(name for name in set(sys.modules) - before if name.startswith(("opentelemetry.sdk", "opentelemetry.exporter",
    "opentelemetry.instrumentation", "opentelemetry.proto", "grpc", "requests"))))
"""


def test_without_an_endpoint_opentelemetry_is_not_loaded() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert ended.stdout.splitlines()[-1] == ""


@pytest.mark.parametrize(
    ("library", "protocol", "missing", "extra"),
    [
        ("sidelight", "http/protobuf", "opentelemetry.sdk.trace", "tracing"),
        ("contrib", "http/protobuf", "opentelemetry.instrumentation.asgi", "tracing"),
        ("sidelight", "grpc", "opentelemetry.exporter.otlp.proto.grpc.trace_exporter", "tracing-grpc"),
    ],
)
def test_missing_packages_are_named_at_the_start(
    library: str, protocol: str, missing: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    tracing = {"endpoint": "http://localhost:4318", "instrumentation": library, "protocol": protocol}
    settings = parse_settings({"tracing": tracing})
    with pytest.raises(SettingsError) as raised:
        instrumentation.instrument(FastAPI(), settings=settings, store=LocalStore(), registry=CollectorRegistry())
    assert str(raised.value) == (
        f"settings: tracing.endpoint: traces need {missing}, which is not installed; "
        f"install sidelight[{extra}], or remove the endpoint."
    )


class Exporter(InMemorySpanExporter):
    """Takes spans, or does not."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: Any = SpanExportResult.SUCCESS

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        if isinstance(self.answers, Exception):
            raise self.answers
        super().export(spans)
        return self.answers  # type: ignore[no-any-return]


class Sending:
    """A provider that sends spans only on request."""

    def __init__(self, most: int = 3) -> None:
        self.store, self.exporter = LocalStore(), Exporter()
        self.export = BoundedExport(self.exporter, Redactor(), self.store, most=most, where="http://collector.example")
        self.processor = BoundedProcessor(self.export, most)
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(self.processor)
        self.tracer = self.provider.get_tracer("shop")

    def spans(self, number: int) -> None:
        for _ in range(number):
            with self.tracer.start_as_current_span("asked"):
                pass

    def flush(self) -> None:
        self.processor.force_flush()

    @property
    def counted(self) -> dict[str, float]:
        rows = (row for row in self.store.series() if row.metric is catalog.SIDELIGHT_SPANS)
        return {row.labels[0]: row.slots[0] for row in rows}


@pytest.fixture
def sending(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr("instrumentation.tracing.export.BATCH_SECONDS", 600.0)  # nothing is sent before a flush
    monkeypatch.setattr("instrumentation.tracing.export.LARGEST_BATCH", 1000)
    made: list[Sending] = []

    def make(most: int = 1000) -> Sending:
        made.append(Sending(most))
        return made[-1]

    yield make
    for each in made:
        each.exporter.answers = SpanExportResult.SUCCESS
        each.processor.shutdown()


def test_counts_are_born_at_0(sending: Any) -> None:
    assert sending().counted == {"exported": 0.0, "failed": 0.0, "dropped": 0.0}


@pytest.mark.parametrize("answers", [SpanExportResult.FAILURE, ConnectionError("refused")], ids=["no", "a fault"])
def test_a_refused_batch_is_counted_and_logged_once_until_a_batch_is_accepted(
    sending: Any, answers: Any, caplog: pytest.LogCaptureFixture
) -> None:
    each = sending()
    with caplog.at_level(logging.INFO, "instrumentation"):
        each.exporter.answers = answers
        for _ in range(2):
            each.spans(3)
            each.flush()
        each.exporter.answers = SpanExportResult.SUCCESS
        each.spans(7)
        each.flush()
    assert each.counted == {"exported": 7.0, "failed": 6.0, "dropped": 0.0}
    assert caplog.messages == [
        "http://collector.example does not accept spans; they are lost, and counted in sidelight_spans_total",
        "http://collector.example accepts spans again",
    ]


def test_no_more_spans_wait_than_allowed_and_the_oldest_stay(sending: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    each = sending(most=1000)
    monkeypatch.setattr(each.export, "_most", 5)
    each.spans(12)
    assert (each.export.waiting, each.counted["dropped"]) == (5, 7.0)
    each.flush()
    assert (each.export.waiting, each.counted) == (0, {"exported": 5.0, "failed": 0.0, "dropped": 7.0})


def test_secrets_personal_data_and_queries_are_taken_out_of_names_attributes_events_and_status(sending: Any) -> None:
    each = sending()
    given = {
        "url.full": "https://other.example/a?token=hunter2",
        "url.query": "token=hunter2",
        "client.address": "192.0.2.7",
        "user_agent.original": "a browser",
        "url.path": "/users/joe@example.com",
        "db.password": "hunter2",
        "items": ("a", "password=hunter2"),
        "http.response.status_code": 200,
    }
    with (
        suppress(RuntimeError),
        each.tracer.start_as_current_span("login of joe@example.com", attributes=given) as span,
    ):
        span.add_event("tried", {"api_key": "hunter2"})
        raise RuntimeError("password=hunter2")
    each.flush()
    (sent,) = each.exporter.get_finished_spans()
    assert sent.name == "login of ***"
    assert dict(sent.attributes) == {
        "url.full": "https://other.example/a",
        "url.path": "***",
        "db.password": "***",
        "items": ("a", "password=***"),
        "http.response.status_code": 200,
    } | {"url.path": sent.attributes["url.path"]}
    assert "joe" not in sent.attributes["url.path"]
    said = [sent.status.description, *(str(dict(event.attributes)) for event in sent.events)]
    assert "hunter2" not in " ".join(said)
    assert [event.name for event in sent.events] == ["tried", "exception"]
    assert (sent.context, sent.resource) == (span.get_span_context(), each.provider.resource)
