"""Sidelight adds its metrics to the app's own metrics page, for every library, in every order, without losses."""

from __future__ import annotations

import itertools
import logging
from typing import TYPE_CHECKING, Any

import prometheus_client
import pytest
import starlette_exporter
from fastapi import FastAPI
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource
from prometheus_client import CollectorRegistry, Counter, Gauge, make_asgi_app
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from prometheus_fastapi_instrumentator import Instrumentator
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

import instrumentation
from instrumentation import workflow
from instrumentation.exposition.formats import StoreCollector
from instrumentation.settings import parse_settings
from tests.unit.instrumentation.test_http import METRICS_ALONE, Observed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import httpx
    from prometheus_client.metrics_core import Metric as Family

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    """Remove the collectors of other tests from the process's registry, and restore it afterwards."""
    registry = prometheus_client.REGISTRY
    before = [one for one in registry._collector_to_names if isinstance(one, StoreCollector)]
    for collector in before:
        registry.unregister(collector)
    standard = {*registry._collector_to_names}
    yield
    for collector in [one for one in registry._collector_to_names if one not in standard]:
        registry.unregister(collector)
    for collector in before:
        registry.register(collector)
    starlette_exporter.PrometheusMiddleware._metrics.clear()


def families(page: httpx.Response) -> dict[str, Family]:
    """Metrics by name; each name may be there once."""
    assert page.status_code == 200
    is_openmetrics = page.headers["content-type"].startswith("application/openmetrics-text")
    found = list((parse_openmetrics if is_openmetrics else parse_text)(page.text))
    assert len({family.name for family in found}) == len(found)
    return {family.name: family for family in found}


def requests(page: httpx.Response, family: str, suffix: str) -> dict[str, float]:
    """Route template to the number of requests that a library counted."""
    samples = [sample for sample in families(page)[family].samples if sample.name == family + suffix]
    templates = {
        next(filter(None, (sample.labels.get(label) for label in ("http_route", "handler", "path"))), ""): sample.value
        for sample in samples
        if sample.value
    }
    return {template: count for template, count in templates.items() if template.startswith("/items")}


OURS = ("http_server_request_duration_seconds", "_count")


# --- Other libraries ----------------------------------------------------------------------------


def fastapi_app() -> FastAPI:
    app = FastAPI()
    app.add_api_route("/items/{item}", lambda item: item)
    return app


def instrumentator(app: Any, registry: CollectorRegistry, *, zipped: bool) -> None:
    Instrumentator(registry=registry).instrument(app).expose(app, should_gzip=zipped)


@pytest.mark.parametrize(
    ("first", "own_registry", "zipped"), list(itertools.product([True, False], [True, False], [True, False]))
)
def test_with_prometheus_fastapi_instrumentator_before_or_after(
    *, first: bool, own_registry: bool, zipped: bool
) -> None:
    app = fastapi_app()
    registry = CollectorRegistry() if own_registry else prometheus_client.REGISTRY
    if not first:
        instrumentator(app, registry, zipped=zipped)
    observed = Observed(app, registry=prometheus_client.REGISTRY)
    if first:
        instrumentator(app, registry, zipped=zipped)
    observed.call(*[("GET", "/items/1")] * 7)
    page = observed.page()
    assert requests(page, "http_requests", "_total") == {"/items/{item}": 7.0}
    assert requests(page, *OURS) == {"/items/{item}": 7.0}
    assert requests(observed.page(), *OURS) == {"/items/{item}": 7.0}


@pytest.mark.parametrize(
    ("first", "handler"),
    [*itertools.product([True, False], [starlette_exporter.handle_metrics, starlette_exporter.handle_openmetrics])],
)
def test_with_starlette_exporter_before_or_after(*, first: bool, handler: Callable[[Any], Response]) -> None:
    async def item(request: Any) -> PlainTextResponse:
        return PlainTextResponse(request.path_params["item"])

    app = Starlette(routes=[Route("/items/{item}", item)])

    def export() -> None:
        app.add_middleware(starlette_exporter.PrometheusMiddleware, group_paths=True)
        app.add_route("/metrics", handler)

    if not first:
        export()
    observed = Observed(app, registry=prometheus_client.REGISTRY)
    if first:
        export()
    observed.call(*[("GET", "/items/1")] * 3)
    page = observed.page()
    assert requests(page, "starlette_requests", "_total") == {"/items/{item}": 3.0}
    assert requests(page, *OURS) == {"/items/{item}": 3.0}


@pytest.mark.parametrize("path", ["/metrics/", "/metrics"])
def test_with_a_mounted_page_of_prometheus_client(path: str) -> None:
    app = fastapi_app()
    registry = CollectorRegistry()
    Counter("coffee_cups", "Cups.", registry=registry).inc(7)
    observed = Observed(app)
    app.mount("/metrics", make_asgi_app(registry))
    observed.call(("GET", "/items/1"))
    (page,) = observed.call(("GET", path), follow_redirects=True)
    assert families(page)["coffee_cups"].samples[0].value == 7.0
    assert requests(page, *OURS) == {"/items/{item}": 1.0}
    assert observed.counted() == {("GET", "/items/{item}", "200", ""): 1}


# --- By hand ----------------------------------------------------------------------------------------------------------------


def answering(body: bytes | str, **options: Any) -> FastAPI:
    app = fastapi_app()
    app.add_api_route("/metrics", lambda: Response(body, **{"media_type": "text/plain", **options}), methods=["GET"])
    return app


TEXT = "# HELP coffee_cups_total Cups.\n# TYPE coffee_cups_total counter\ncoffee_cups_total 7.0\n"


def test_a_page_without_the_version_of_its_format() -> None:
    page = Observed(answering(TEXT)).page()
    assert families(page)["coffee_cups"].samples[0].value == 7.0
    assert "target_info" in page.text
    assert page.headers["content-type"] == "text/plain; charset=utf-8"


def test_the_apps_other_headers_stay() -> None:
    headers = {"cache-control": "no-store", "etag": '"7"', "set-cookie": "seen=7"}
    page = Observed(answering(TEXT, headers=headers)).page()
    assert (page.headers["cache-control"], page.headers["set-cookie"]) == ("no-store", "seen=7")
    assert "etag" not in page.headers  # of another body
    assert len(page.headers.get_list("content-type")) == 1


def test_a_page_that_does_not_end_with_a_line_and_one_without_a_head() -> None:
    page = Observed(answering("coffee_cups 7.0\n" + TEXT.rstrip(), media_type="text/plain; version=0.0.4")).page()
    assert "\ncoffee_cups_total 7.0\n# HELP" in page.text
    assert page.text.startswith("coffee_cups 7.0\n# HELP coffee_cups_total")


def test_an_empty_page_becomes_ours() -> None:
    page = Observed(answering("", media_type="text/plain; version=0.0.4")).page()
    assert "target_info" in families(page)


def test_an_openmetrics_page_stays_one_and_ends_once() -> None:
    text = "# HELP coffee_cups Cups.\n# TYPE coffee_cups counter\ncoffee_cups_total 7.0\n# EOF\n"
    observed = Observed(answering(text, media_type="application/openmetrics-text; version=0.0.1"))
    observed.call(("GET", "/items/1"))
    page = observed.page("text/plain")
    assert page.text.count("# EOF") == 1
    assert {"coffee_cups", "http_server_request_duration_seconds", "target"} <= families(page).keys()


def test_a_page_in_parts_is_one() -> None:
    app = fastapi_app()
    app.add_api_route("/metrics", lambda: StreamingResponse(iter([TEXT[:7], TEXT[7:]]), media_type="text/plain"))
    assert {"coffee_cups", "target_info"} <= families(Observed(app).page()).keys()


def test_headers_that_a_framework_gives_as_an_iterator_are_read_once() -> None:
    """So does Sanic."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        del receive
        has_page = scope["path"] == "/metrics"
        headers = iter([(b"content-type", b"text/plain; version=0.0.4")])
        await send({"type": "http.response.start", "status": 200 if has_page else 404, "headers": headers})
        await send({"type": "http.response.body", "body": TEXT.encode()})

    page = Observed(app).page()
    assert {"coffee_cups", "target_info"} <= families(page).keys()
    assert page.headers["content-type"] == "text/plain; version=0.0.4"


def test_a_metric_that_the_app_already_has_is_not_shown_twice(caplog: pytest.LogCaptureFixture) -> None:
    text = "# TYPE http_server_request_duration_seconds gauge\nhttp_server_request_duration_seconds 7.0\n"
    observed = Observed(answering(text))
    with caplog.at_level(logging.WARNING, "instrumentation"):
        pages = [observed.page() for _ in range(3)]
    assert families(pages[2])["http_server_request_duration_seconds"].samples[0].value == 7.0
    (warning,) = warnings_of(caplog)
    assert warning == (
        "on the app's own metrics page, another library has the metric http_server_request_duration_seconds, so "
        "Sidelight's metric is not shown"
    )


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


@pytest.mark.parametrize("accept", ["text/plain", OPENMETRICS])
def test_metrics_that_two_libraries_have_in_one_registry_are_logged_once(
    accept: str, caplog: pytest.LogCaptureFixture
) -> None:
    app, registry = fastapi_app(), CollectorRegistry()
    others = MeterProvider([PrometheusMetricReader(registry=registry)], resource=Resource({"service.name": "shop"}))
    others.get_meter("shop").create_counter("workflow.executions").add(7, {"workflow": "import"})
    others.get_meter("shop").create_counter("coffee.cups").add(3)
    app.mount("/metrics", make_asgi_app(registry))
    observed = Observed(app, registry=registry)
    with workflow("import", store=observed.store):
        pass
    with caplog.at_level(logging.WARNING, "instrumentation"):
        pages = [observed.call(("GET", "/metrics/"), headers={"accept": accept})[0].text for _ in range(3)]
    counts = [line.split()[-1] for line in pages[2].splitlines() if line.startswith("workflow_executions_total{")]
    assert counts[:2] == ["7.0", "1.0"]
    assert warnings_of(caplog) == [
        f"on the app's own metrics page, another library has the metric {name}, so Sidelight's alerts count both"
        for name in ("workflow_executions_total", "target_info")
    ]


def test_a_collector_that_is_in_both_registries_is_called_once() -> None:
    registry, asked = CollectorRegistry(), []
    Gauge("coffee_beans", "Beans.", registry=registry).set_function(
        lambda: float(len(asked)) if asked.append(1) else 7.0
    )
    Counter("tea_cups", "Cups.", registry=registry).inc(3)
    app = fastapi_app()
    theirs = CollectorRegistry()
    theirs.register(next(one for one, names in registry._collector_to_names.items() if "coffee_beans" in names))
    app.mount("/metrics", make_asgi_app(theirs))
    (page,) = Observed(app, registry=registry).call(("GET", "/metrics/"))
    assert {"coffee_beans", "tea_cups"} <= families(page).keys()
    assert len(asked) == 1


@pytest.mark.parametrize("options", [{"media_type": "text/html"}, {"headers": {"content-encoding": "br"}}])
def test_a_response_that_is_not_a_metrics_page_does_not_change_and_is_logged_once(
    options: Any, caplog: pytest.LogCaptureFixture
) -> None:
    observed = Observed(answering(b"# HELP yourself", **options))
    with caplog.at_level(logging.WARNING, "instrumentation"):
        assert [observed.page().content for _ in range(3)] == [b"# HELP yourself"] * 3
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert warning.startswith(
        "the app's response at /metrics is not a metrics page, so Sidelight's metrics are not added"
    )


@pytest.mark.parametrize(("status", "method"), [(503, "GET"), (200, "HEAD")])
def test_errors_and_head_responses_do_not_change(status: int, method: str) -> None:
    app = fastapi_app()
    app.add_api_route(
        "/metrics", lambda: Response(TEXT, status, media_type="text/plain; version=0.0.4"), methods=["GET", "HEAD"]
    )
    (answer,) = Observed(app).call((method, "/metrics"))
    assert (answer.status_code, answer.headers["content-length"]) == (status, str(len(TEXT)))


def test_a_reader_without_the_token_gets_only_the_metrics_of_the_app(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("s7")
    settings = parse_settings({"logging": {"enabled": False}, "metrics": {"token_file": str(token)}})
    observed = Observed(answering(TEXT), settings)
    without, with_token = (
        observed.call(("GET", "/metrics"), headers=headers)[0] for headers in ({}, {"authorization": "Bearer s7"})
    )
    assert without.text == TEXT
    assert with_token.text.startswith(TEXT + "# HELP target_info")


def test_the_page_is_compressed_if_the_client_accepts_it() -> None:
    observed = Observed(answering(TEXT))
    plain, zipped = (
        observed.call(("GET", "/metrics"), headers={"accept-encoding": encoding})[0]
        for encoding in ("identity", "gzip")
    )
    assert zipped.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert families(zipped).keys() == families(plain).keys()


def test_process_metrics_cover_all_workers() -> None:
    text = "# HELP process_open_fds Open.\n# TYPE process_open_fds gauge\nprocess_open_fds 777.0\n" + TEXT
    app = answering(text)
    instrumentation.instrument(app, settings=METRICS_ALONE)  # with the store of the process, which has its numbers
    page = Observed.call(_Client(app), ("GET", "/metrics"))[0]
    assert families(page)["process_open_fds"].samples[0].value != 777.0
    assert "coffee_cups" in families(page)


class _Client(Observed):
    def __init__(self, app: Any) -> None:
        self.app = app


def test_a_query_for_names_applies_to_the_added_metrics() -> None:
    (page,) = Observed(answering("", media_type="text/plain; version=0.0.4")).call(
        ("GET", "/metrics?name[]=target_info")
    )
    assert families(page).keys() == {"target_info"}
