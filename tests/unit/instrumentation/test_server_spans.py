"""Spans of requests equal those of OpenTelemetry's instrumentation; a request that is not sampled has only a context."""

from __future__ import annotations

import inspect
import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import pytest
from fastapi import APIRouter, BackgroundTasks, FastAPI, HTTPException, WebSocket
from fastapi.responses import Response, StreamingResponse
from fastapi.telemetry import get_telemetry_data
from fastapi.testclient import TestClient
from opentelemetry import baggage, propagate, trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.instrumentation.propagators import TraceResponsePropagator, set_global_response_propagator
from opentelemetry.instrumentation.utils import suppress_http_instrumentation
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    Decision,
    ParentBased,
    Sampler,
    SamplingResult,
    StaticSampler,
    TraceIdRatioBased,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.routing import Route

import instrumentation
from instrumentation.settings import parse_settings
from instrumentation.store import LocalStore
from instrumentation.tracing import fastapi_apps
from instrumentation.tracing.sampling import Bounds, bounds_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
CALLER = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
UNSAMPLED = {"traceparent": f"00-{TRACE}-{PARENT}-00"}
SETTINGS: dict[str, Any] = {"logging": {"enabled": False}, "tracing": {"endpoint": "http://127.0.0.1:9"}}
OURS = {"correlation_id"}
"""Attributes that only Sidelight adds."""


def service() -> FastAPI:  # noqa: C901 - one function per route
    app = FastAPI()
    inner = APIRouter(prefix="/stock/{shelf}")

    @inner.get("/{item}")
    async def stock(shelf: str, item: int) -> str:
        with trace.get_tracer("shop").start_as_current_span("look"):
            return f"{shelf}{item}"

    app.include_router(inner)

    @app.post("/items/{item}")
    async def item(item: int) -> int:
        return item

    @app.get("/teapot")
    async def teapot() -> None:
        raise HTTPException(418)

    @app.get("/unavailable")
    async def unavailable() -> None:
        raise HTTPException(503)

    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError("the kettle is empty")

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        return StreamingResponse(chunks())

    @app.get("/breaks")
    async def breaks() -> StreamingResponse:
        return StreamingResponse(chunks(fails=True))

    @app.get("/moved")
    async def moved() -> Response:
        return Response(status_code=307, headers={"location": "/stream", "x-shelf": "7"})

    def brew() -> None:
        pass

    @app.get("/later")
    async def later(tasks: BackgroundTasks) -> int:
        tasks.add_task(brew)
        return 7

    @app.websocket("/chat/{room}")
    async def chat(socket: WebSocket, room: str) -> None:
        await socket.accept()
        await socket.send_text(room)
        await socket.close()

    return app


async def chunks(*, fails: bool = False) -> AsyncIterator[bytes]:
    yield b"first"
    if fails:
        raise ValueError("no more tea")
    yield b"last"


class Traced:
    """An app whose spans are kept.

    Args:
        sampler: Decides.
        build: Creates the app.
        contrib: Whether OpenTelemetry's instrumentation creates the spans.
    """

    def __init__(
        self, sampler: Sampler | None = None, build: Callable[[], Any] = service, *, contrib: bool = False
    ) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider(sampler=sampler or ParentBased(ALWAYS_ON), shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        trace._TRACER_PROVIDER = self.provider
        self.app = build()
        if contrib:
            FastAPIInstrumentor.instrument_app(
                self.app,
                tracer_provider=self.provider,
                meter_provider=NoOpMeterProvider(),
                exclude_spans=["receive", "send"],
            )
        else:
            settings = parse_settings(SETTINGS)
            self.app = instrumentation.instrument(
                self.app, settings=settings, store=LocalStore(), registry=CollectorRegistry()
            )
        self.client = TestClient(self.app, raise_server_exceptions=False)

    def spans(self, method: str = "GET", path: str = "/", **headers: str) -> list[Any]:
        self.exporter.clear()
        self.client.request(method, path, headers=headers, follow_redirects=False)
        return sorted(self.exporter.get_finished_spans(), key=lambda span: span.start_time)


@contextmanager
def traced(
    sampler: Sampler | None = None, build: Callable[[], Any] = service, *, contrib: bool = False
) -> Iterator[Traced]:
    """An app whose spans are kept; its instrumentation is reverted at the end."""
    each = Traced(sampler, build, contrib=contrib)
    try:
        yield each
    finally:
        if contrib:
            FastAPIInstrumentor.uninstrument_app(each.app)
        else:
            instrumentation.uninstrument(each.app)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)
    # Apps of other tests are still instrumented.
    monkeypatch.setattr(fastapi_apps, "_tasks", fastapi_apps._BackgroundTasks())
    monkeypatch.setattr(BackgroundTask, "__call__", inspect.unwrap(BackgroundTask.__call__))
    # So that the provider of the test is the service's own, and its exporter the only one.
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", "http")


def seen(span: Any) -> dict[str, Any]:
    """What a backend sees of a span, but for ids, times, and the library's name."""
    return {
        "name": span.name,
        "kind": span.kind,
        "attributes": {key: value for key, value in span.attributes.items() if key not in OURS},
        "status": (span.status.status_code, span.status.description),
        "events": [
            (event.name, {key: value for key, value in event.attributes.items() if key != "exception.stacktrace"})
            for event in span.events
        ],
        "links": span.links,
        "parent": span.parent and (span.parent.is_remote, dict(span.parent.trace_state)),
        "flags": span.context.trace_flags,
        "state": dict(span.context.trace_state),
        "schema": span.instrumentation_scope.schema_url,
    }


REQUESTS: dict[str, tuple[str, str, dict[str, str]]] = {
    "a nested route": ("GET", "/stock/a/7", {}),
    "a post": ("POST", "/items/7?token=3", {"user-agent": "a browser"}),
    "a bot": ("POST", "/items/7", {"user-agent": "Googlebot/2.1"}),
    "a caller": ("POST", "/items/7", {**CALLER, "tracestate": "vendor=7", "baggage": "tenant=acme"}),
    "another host": ("POST", "/items/7", {"host": "shop.example:8443"}),
    "not valid": ("POST", "/items/kettle", {}),
    "no route": ("GET", "/nope", {}),
    "another method": ("DELETE", "/items/7", {}),
    "a lower case method": ("post", "/items/7", {}),
    "handled": ("GET", "/teapot", {}),
    "handled, a server error": ("GET", "/unavailable", {}),
    "a redirect": ("GET", "/moved", {}),
    "a stream": ("GET", "/stream", {}),
    "a background task": ("GET", "/later", {}),
    "an exception": ("GET", "/broken", {}),
}


@pytest.mark.parametrize("request_of", REQUESTS.values(), ids=REQUESTS)
def test_a_sampled_request_has_the_spans_of_opentelemetry_s_instrumentation(
    request_of: tuple[str, str, dict[str, str]],
) -> None:
    method, path, headers = request_of
    with traced(contrib=True) as library:
        theirs = [seen(span) for span in library.spans(method, path, **headers)]
    with traced() as ours:
        assert [seen(span) for span in ours.spans(method, path, **headers)] == theirs
    assert theirs


def test_headers_that_opentelemetry_s_variables_name_are_attributes_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST", "x-shelf,authorization")
    monkeypatch.setenv("OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_RESPONSE", "x-.*")
    monkeypatch.setenv("OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SANITIZE_FIELDS", "authorization")
    headers = {"x-shelf": "7", "authorization": "Bearer hunter2"}
    with traced(contrib=True) as library:
        theirs = [seen(span) for span in library.spans("GET", "/moved", **headers)]
    with traced() as ours:
        (span,) = [seen(span) for span in ours.spans("GET", "/moved", **headers)]
    correlated = span["attributes"].pop("http.response.header.x_correlation_id", None)
    assert [span] == theirs
    assert correlated is None  # Sidelight adds the header outside of the span
    assert span["attributes"]["http.request.header.authorization"] == ("[REDACTED]",)
    assert span["attributes"]["http.response.header.x_shelf"] == ("7",)


def test_what_differs_from_opentelemetry_s_instrumentation() -> None:
    with traced(contrib=True) as library:
        (theirs,) = [seen(span) for span in library.spans("GET", "/breaks")]
        (their_chat, *_) = chat(library)
        library.client.base_url = "http://shop.example:8000"
        (at_port,) = library.spans("GET", "/stream")
    with traced() as each:
        (ours,) = [seen(span) for span in each.spans("GET", "/breaks")]
        (our_chat, *_) = chat(each)
        each.client.base_url = "http://shop.example:8000"
        (span,) = each.spans("GET", "/stream", **{"x-correlation-id": "order-7"})
    # An exception after the response has begun is recorded once.
    assert [len(theirs.pop("events")), len(ours.pop("events"))] == [2, 1]
    assert ours == theirs
    assert our_chat.pop("name") == "WEBSOCKET /chat/{room}"
    assert their_chat.pop("name") == "HTTP /chat/{room}"
    assert our_chat == their_chat
    assert (at_port.attributes["server.address"], span.attributes["server.address"]) == (
        "shop.example:8000",
        "shop.example",
    )
    assert span.attributes["server.port"] == at_port.attributes["server.port"] == 8000
    assert span.attributes["correlation_id"] == "order-7"
    assert span.instrumentation_scope.name == "sidelight"


def chat(each: Traced) -> list[dict[str, Any]]:
    each.exporter.clear()
    with each.client.websocket_connect("/chat/tea") as socket:
        assert socket.receive_text() == "tea"
    return [seen(span) for span in each.exporter.get_finished_spans()]


def test_an_exception_that_starlette_answers_is_recorded() -> None:
    async def broken(_: Any) -> None:
        raise RuntimeError("the kettle is empty")

    with traced(build=lambda: Starlette(routes=[Route("/broken", broken)])) as each:
        (span,) = each.spans("GET", "/broken")
    assert (span.name, span.attributes["http.response.status_code"]) == ("GET /broken", 500)
    assert [event.attributes["exception.message"] for event in span.events] == ["the kettle is empty"]


def test_contrib_leaves_the_spans_to_opentelemetry_s_instrumentation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SETTINGS, "tracing", {"endpoint": "http://127.0.0.1:9", "instrumentation": "contrib"})
    with traced() as each:
        (span,) = each.spans("GET", "/moved")
    assert (span.name, span.instrumentation_scope.name) == ("GET /moved", "opentelemetry.instrumentation.fastapi")


def test_other_names_than_the_stable_ones_are_refused_aloud(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", "http/dup")
    with traced() as each, each.client:
        pass
    assert [record.message for record in caplog.records if "semantic conventions" in record.message] == [
        (
            "spans of requests have the names of the stable semantic conventions, although OTEL_SEMCONV_STABILITY_OPT_IN is "
            "http/dup; set tracing.instrumentation: contrib to have others"
        )
    ]


def test_a_service_may_remove_the_variable_that_sidelight_has_set(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with traced() as each:
        monkeypatch.delenv("OTEL_SEMCONV_STABILITY_OPT_IN")
        with each.client:
            assert [span.name for span in each.spans("GET", "/moved")] == ["GET /moved"]
    assert [record.message for record in caplog.records if record.levelno >= logging.WARNING] == []


SAMPLERS = {
    "none": ParentBased(ALWAYS_OFF),
    "hardly any": ParentBased(TraceIdRatioBased(1e-12)),
    "none, whatever the caller says": ALWAYS_OFF,
}


@pytest.mark.parametrize("sampler", SAMPLERS.values(), ids=SAMPLERS)
@pytest.mark.parametrize("headers", [{}, UNSAMPLED], ids=["no caller", "a caller"])
def test_an_unsampled_request_has_one_trace_for_its_spans_its_calls_and_its_log_lines(
    sampler: Sampler, headers: dict[str, str]
) -> None:
    found: dict[str, Any] = {}

    def build() -> FastAPI:
        app = service()

        @app.get("/look")
        async def look() -> None:
            found["outer"] = trace.get_current_span()
            found["baggage"] = baggage.get_baggage("tenant")
            with trace.get_tracer("shop").start_as_current_span("own") as own:
                found["own"] = own
                found["sent"] = {}
                propagate.inject(found["sent"])

        return app

    with traced(sampler, build) as each:
        assert each.spans("GET", "/look", **headers, tracestate="vendor=7", baggage="tenant=acme") == []
        assert each.spans("GET", "/look", **headers) == []
        assert trace.get_current_span() is trace.INVALID_SPAN
    outer, own = found["outer"].get_span_context(), found["own"].get_span_context()
    assert not found["own"].is_recording()
    assert own.is_valid
    assert own.trace_id == outer.trace_id
    assert not own.trace_flags.sampled
    assert found["sent"]["traceparent"].split("-")[1] == f"{outer.trace_id:032x}"
    assert found["sent"]["traceparent"][-2:] in {"00", "02"}  # the second bit says that the id is random
    if headers:
        assert f"{outer.trace_id:032x}" == TRACE
        assert f"{outer.span_id:016x}" != PARENT


@pytest.mark.parametrize("headers", [UNSAMPLED, CALLER], ids=["not sampled", "sampled"])
def test_baggage_and_trace_state_of_a_caller_are_passed_on(headers: dict[str, str]) -> None:
    sent: dict[str, str] = {}

    def build() -> FastAPI:
        app = service()

        @app.get("/look")
        async def look() -> None:
            propagate.inject(sent)

        return app

    with traced(build=build) as each:
        each.spans("GET", "/look", **headers, tracestate="vendor=7", baggage="tenant=acme")
    assert sent["traceparent"].startswith(f"00-{TRACE}-")
    assert sent["traceparent"].endswith(headers["traceparent"][-3:])
    assert (sent["tracestate"], sent["baggage"]) == ("vendor=7", "tenant=acme")


@pytest.mark.parametrize("propagator", [None, W3CBaggagePropagator()], ids=["by default", "only baggage"])
def test_baggage_in_several_headers_is_read_whole(propagator: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    found: dict[str, Any] = {}

    def build() -> FastAPI:
        app = service()
        app.get("/look")(lambda: found.update(baggage.get_all()))
        return app

    if propagator:
        monkeypatch.setattr(propagate, "_HTTP_TEXT_FORMAT", propagator)
    with traced(build=build) as each:
        each.client.get("/look", headers=[*CALLER.items(), ("baggage", "tenant=acme"), ("baggage", "shop=7")])
    assert found == {"tenant": "acme", "shop": "7"}


@pytest.mark.parametrize("sampler", [ParentBased(ALWAYS_ON), ParentBased(ALWAYS_OFF)], ids=["sampled", "not sampled"])
def test_data_of_fastapi_s_own_telemetry_is_still_there(sampler: Sampler) -> None:
    meter = MeterProvider(shutdown_on_exit=False)
    found: list[str] = []

    def build() -> FastAPI:
        app = FastAPI(telemetry={"meter_provider": meter})

        @app.get("/look")
        def look() -> None:
            data = get_telemetry_data()
            assert data is not None
            assert data.request is not None
            found.append(data.request.url.path)

        return app

    with traced(sampler, build) as each:
        each.spans("GET", "/look")
        each.spans("GET", "/look", **CALLER)
    assert found == ["/look", "/look"]


def test_a_trace_that_begins_here_has_the_id_that_was_sampled_and_each_trace_its_own() -> None:
    with traced(ParentBased(TraceIdRatioBased(0.5))) as each:
        ids = [span.context.trace_id for _ in range(40) for span in each.spans("GET", "/stream")]
    bound = TraceIdRatioBased(0.5).bound
    assert 0 < len(ids) < 40
    assert all(trace_id & TraceIdRatioBased.TRACE_ID_LIMIT < bound for trace_id in ids)
    assert len({*ids}) == len(ids)


def test_a_sampler_of_the_service_is_asked_with_the_attributes_of_the_request() -> None:
    class OnlyPosts(Sampler):
        def should_sample(self, *_: Any, attributes: Any = None, **__: Any) -> Any:
            decision = Decision.RECORD_AND_SAMPLE if attributes["http.request.method"] == "POST" else Decision.DROP
            return SamplingResult(decision, attributes)

        def get_description(self) -> str:
            return "OnlyPosts"

    with traced(ParentBased(OnlyPosts())) as each:
        assert each.spans("GET", "/stream") == []
        assert [span.name for span in each.spans("POST", "/items/7")] == ["POST /items/{item}"]


def test_a_sampler_that_fails_leaves_requests_without_spans(caplog: pytest.LogCaptureFixture) -> None:
    class Failing(Sampler):
        def should_sample(self, *_: Any, **__: Any) -> Any:
            raise RuntimeError("no decision")

        def get_description(self) -> str:
            return "Failing"

    with traced(Failing()) as each:
        assert [each.client.get("/moved", follow_redirects=False).status_code for _ in range(3)] == [307] * 3
    assert [record.message.startswith("a request has no span") for record in caplog.records] == [True]


def test_a_processor_sees_the_attributes_when_a_span_starts() -> None:
    started: list[dict[str, Any]] = []

    class Watching(SpanProcessor):
        def on_start(self, span: Any, parent_context: Any = None) -> None:  # noqa: ARG002 - OpenTelemetry's
            started.append(dict(span.attributes))

    with traced() as each:
        each.provider.add_span_processor(Watching())
        each.spans("GET", "/moved?shelf=7")
    assert started[0].items() >= {"url.path": "/moved", "url.query": "shelf=7", "http.request.method": "GET"}.items()


def test_a_request_within_another_has_an_internal_span() -> None:
    with traced() as each:
        with trace.get_tracer("shop").start_as_current_span("outer") as outer:
            call(each.app, "/stream")
        inner = next(span for span in each.exporter.get_finished_spans() if span.name == "GET /stream")
    assert (inner.kind, inner.parent) == (trace.SpanKind.INTERNAL, outer.get_span_context())


def test_no_span_where_instrumentation_is_suppressed() -> None:
    with traced() as each:
        with suppress_http_instrumentation():
            call(each.app, "/stream")
        assert each.exporter.get_finished_spans() == ()


def call(app: Any, path: str) -> None:
    """Call an app within the context of the caller."""

    async def send() -> None:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://shop.example") as client:
            await client.get(path)

    anyio.run(send)


@pytest.mark.parametrize("sampler", [ParentBased(ALWAYS_ON), ParentBased(ALWAYS_OFF)], ids=["sampled", "not sampled"])
def test_the_service_s_propagator_adds_the_trace_to_responses(sampler: Sampler) -> None:
    set_global_response_propagator(TraceResponsePropagator())
    try:
        with traced(sampler) as each:
            response = each.client.get("/stream", headers={"traceparent": UNSAMPLED["traceparent"]})
    finally:
        set_global_response_propagator(None)
    assert response.headers["traceresponse"].split("-")[1] == TRACE


@pytest.mark.parametrize(
    ("propagator", "joins"),
    [
        (CompositePropagator([TraceContextTextMapPropagator()]), True),
        (TraceContextTextMapPropagator(), True),
        (W3CBaggagePropagator(), False),
    ],
    ids=["traceparent", "traceparent alone", "only baggage"],
)
def test_the_service_s_propagator_decides_which_headers_count(
    propagator: Any,
    joins: bool,  # noqa: FBT001 - a parameter
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with traced() as each:
        monkeypatch.setattr(propagate, "_HTTP_TEXT_FORMAT", propagator)  # after instrument()
        (span,) = each.spans("GET", "/stream", **CALLER)
    assert (f"{span.context.trace_id:032x}" == TRACE) is joins


@pytest.mark.parametrize(
    "value",
    [
        "nonsense",
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{PARENT}-01-7",
    ],
)
def test_a_malformed_traceparent_begins_a_new_trace(value: str) -> None:
    with traced() as each:
        (span,) = each.spans("GET", "/stream", traceparent=value)
    assert (f"{span.context.trace_id:032x}" != TRACE, span.parent) == (True, None)


def test_excluded_paths_and_urls_have_no_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_PYTHON_FASTAPI_EXCLUDED_URLS", "stream$,items/3")
    with traced() as each:
        assert each.spans("GET", "/stream") == each.spans("POST", "/items/3") == each.spans("GET", "/metrics") == []
        assert len(each.spans("POST", "/items/7")) == 1


def test_uninstrument_leaves_nothing() -> None:
    before = BackgroundTask.__call__
    with traced() as each:
        assert BackgroundTask.__call__ is not before
    assert BackgroundTask.__call__ is before
    assert each.spans("GET", "/moved") != []  # FastAPI's own telemetry again, since the service has set a provider
    assert each.exporter.get_finished_spans()[0].instrumentation_scope.name == "fastapi"


@pytest.mark.parametrize(
    ("sampler", "bounds"),
    [
        (ALWAYS_ON, (1 << 64, 1 << 64, 1 << 64)),
        (TraceIdRatioBased(0.25), (1 << 62, 1 << 62, 1 << 62)),
        (ParentBased(TraceIdRatioBased(0.25)), (1 << 62, 1 << 64, 0)),
        (ParentBased(ALWAYS_OFF, remote_parent_not_sampled=ALWAYS_ON), (0, 1 << 64, 1 << 64)),
        (StaticSampler(Decision.RECORD_ONLY), None),
        (ParentBased(StaticSampler(Decision.RECORD_ONLY)), None),
    ],
)
def test_the_bounds_of_opentelemetry_s_samplers(sampler: Sampler, bounds: tuple[int, int, int] | None) -> None:
    assert bounds_of(sampler) == (None if bounds is None else Bounds(*bounds))
