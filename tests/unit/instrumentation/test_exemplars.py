"""A histogram bucket links to the trace of a request that fell into it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fastapi import FastAPI
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from instrumentation.http import exemplars
from instrumentation.http.exemplars import HttpExemplars
from instrumentation.settings import Settings, parse_settings
from tests.unit.instrumentation.test_http import Observed

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.sampling import Sampler

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


ON = parse_settings({"metrics": {"exemplars": True}})


def traced(
    sampler: Sampler, *, outside: bool = False, settings: Settings = ON
) -> tuple[Observed, InMemorySpanExporter]:
    spans = InMemorySpanExporter()
    provider = TracerProvider(sampler=sampler)
    provider.add_span_processor(SimpleSpanProcessor(spans))
    app = FastAPI()
    app.add_api_route("/items/{item}", lambda item: item)
    if not outside:
        FastAPIInstrumentor.instrument_app(app, tracer_provider=provider)
    observed = Observed(app, settings)
    if outside:
        FastAPIInstrumentor.instrument_app(app, tracer_provider=provider)
    return observed, spans


def linked(observed: Observed) -> list[dict[str, str]]:
    families = text_string_to_metric_families(observed.page(OPENMETRICS).text)
    return [
        dict(sample.exemplar.labels)
        for family in families
        for sample in family.samples
        if sample.exemplar and sample.name == "http_server_request_duration_seconds_bucket"
    ]


# --- The page ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("outside", [False, True], ids=["inside", "outside"])
def test_the_trace_of_a_sampled_request_is_linked(outside: bool) -> None:  # noqa: FBT001
    """with `metrics.exemplars`, in OpenMetrics: an exemplar of the bucket that the request fell into"""
    observed, spans = traced(ALWAYS_ON, outside=outside)
    observed.call(("GET", "/items/7"))
    (link,) = linked(observed)
    server = next(span for span in spans.get_finished_spans() if span.parent is None)
    assert link["trace_id"] == f"{server.context.trace_id:032x}"


# --- When there are none ----------------------------------------------------------------------------------------------


def test_without_the_setting_nothing_is_linked_and_tracing_works() -> None:
    observed, spans = traced(ALWAYS_ON, outside=True, settings=Settings())
    observed.call(("GET", "/items/7"))
    assert linked(observed) == []
    assert spans.get_finished_spans()


def test_a_request_that_is_not_sampled_links_nothing() -> None:
    observed, _ = traced(ALWAYS_OFF)
    observed.call(("GET", "/items/7"))
    assert linked(observed) == []


def test_the_last_trace_of_a_bucket_counts() -> None:
    observed, spans = traced(ALWAYS_ON)
    observed.call(*[("GET", "/items/7")] * 3)
    newest = spans.get_finished_spans()[-1].context.trace_id
    assert f"{newest:032x}" in {link["trace_id"] for link in linked(observed)}


def test_the_text_format_has_no_exemplars() -> None:
    observed, _ = traced(ALWAYS_ON)
    observed.call(("GET", "/items/7"))
    assert "trace_id" not in observed.page().text


def test_memory_stays_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exemplars, "_MOST", 3)
    kept = HttpExemplars(clock=lambda: 7.0)
    span = type("Span", (), {"trace_id": 1, "span_id": 2})
    for number in range(10):
        kept.keep(span, ("GET", f"/{number}", "200", ""), 0, 0.1)
    assert len(kept) <= 3
