"""What the guide for those who come from another library says, on the libraries themselves and a real Prometheus."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support import other_libraries
from tests.support.other_libraries import SECONDS, SLOW, recording, samples
from tests.support.prometheus_history import Prometheus
from tests.unit.docs.test_pages import ROOT, Page

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import httpx

GUIDE = Page(ROOT, ROOT / "docs" / "how-to" / "move-from-another-library.md")
START, INTERVAL = 1_700_000_000, 60
END = START + INTERVAL * (other_libraries.PAGES - 1)
DURATION = "http_server_request_duration_seconds"

Values = dict[frozenset[str], float]


def pairs(library: str) -> list[tuple[str, str]]:
    """Each query of the library, and the next query of the page, which is Sidelight's."""
    ours = GUIDE.fences("promql")
    return [
        (theirs.text, next(fence.text for fence in ours if fence.line > theirs.line))
        for theirs in GUIDE.fences("promql", library)
    ]


@pytest.mark.parametrize("library", ["prometheus-fastapi-instrumentator", "starlette-exporter", "opentelemetry"])
def test_both_queries_of_the_guide_return_the_same(library: str, tmp_path: Path) -> None:
    prometheus = Prometheus(tmp_path)
    prometheus.take(
        f"{line} {START + INTERVAL * number}\n"
        for number, page in enumerate(recording(library).pages)
        for line in page.splitlines()
        if not line.startswith("#")
    )
    found = pairs(library)
    assert len(found) >= 4
    with prometheus.running() as client:
        for theirs, ours in found:
            expected, answered = values(client, theirs), values(client, ours)
            if is_of_durations(theirs):
                # The other routes take microseconds, which each library measures differently.
                slow = expected.keys() & {frozenset({"/slow"})} or expected.keys()
                assert {key: answered[key] for key in slow} == pytest.approx(
                    {key: expected[key] for key in slow}, rel=0.02
                )
            else:
                assert without_zeros(answered) == pytest.approx(without_zeros(expected), rel=1e-9), theirs
            assert any(expected.values()), theirs


def values(client: httpx.Client, query: str) -> Values:
    """The values by those of the labels; instrumentator writes ``none`` for a path without a route."""
    found: Any = client.get("/api/v1/query", params={"query": query, "time": END}).raise_for_status().json()
    return {frozenset(one["metric"].values()) - {"none"}: float(one["value"][1]) for one in found["data"]["result"]}


def is_of_durations(query: str) -> bool:
    return "duration" in query and ("quantile" in query or "_sum" in query)


def without_zeros(values: Values) -> Values:
    """Without the routes that nobody called; Sidelight has series for all of them."""
    return {key: value for key, value in values.items() if value}


# --- The table of differences -----------------------------------------------------------------------------------------

ROUTE = {"handler", "path", "http_target", "http_route"}


def of_route(library: str, name: str, **labels: str) -> dict[str, float]:
    """Route to the sum of a metric's values on the last page."""
    found: dict[str, float] = {}
    for sample in samples(recording(library).last):
        if sample.name == name and labels.items() <= sample.labels.items() and sample.value:
            route = next((value for label, value in sample.labels.items() if label in ROUTE), "")
            found[route] = found.get(route, 0.0) + sample.value
    return found


def seconds(library: str) -> dict[str, float]:
    name, unit = THEIRS[library]
    return {route: value / unit for route, value in of_route(library, f"{name}_sum").items()}


THEIRS: Mapping[str, tuple[str, float]] = {
    "prometheus-fastapi-instrumentator": ("http_request_duration_seconds", 1.0),
    "starlette-exporter": ("starlette_request_duration_seconds", 1.0),
    "opentelemetry": ("http_server_duration_milliseconds", 1000.0),
}
EVERY = pytest.mark.parametrize("library", THEIRS)


@EVERY
def test_background_tasks_are_in_the_duration_of_some_libraries(library: str) -> None:
    assert (seconds(library)["/background"] >= SECONDS) is (library != "starlette-exporter")
    assert of_route(library, f"{DURATION}_sum")["/background"] < SECONDS


@EVERY
def test_only_sidelight_measures_a_stream_up_to_its_first_byte(library: str) -> None:
    assert seconds(library)["/stream"] >= SECONDS
    assert of_route(library, f"{DURATION}_sum")["/stream"] < SECONDS


@EVERY
def test_only_sidelight_measures_the_size_of_a_stream(library: str) -> None:
    size = len("data: first\n\ndata: last\n\n")
    assert of_route(library, "http_server_response_body_size_bytes_sum")["/stream"] == size
    names = (
        "http_response_size_bytes_sum",
        "starlette_response_body_bytes_total",
        "http_server_response_size_bytes_sum",
    )
    assert size not in [of_route(library, name).get("/stream") for name in names]


@EVERY
def test_templates_of_mounted_apps_and_nested_routers(library: str) -> None:
    full = {"/tenants/{tenant}/rooms/{room}", "/v1/shops/{shop}/items/{item}"}
    theirs = {"/tenants/acme/rooms/{room}", "/shops/{shop}/items/{item}"} if library == "opentelemetry" else full
    assert theirs <= seconds(library).keys()
    assert full <= of_route(library, f"{DURATION}_count").keys()


@EVERY
def test_paths_without_a_route(library: str) -> None:
    unmatched = {"prometheus-fastapi-instrumentator": {"none"}, "starlette-exporter": set(), "opentelemetry": {""}}
    assert of_route(library, f"{THEIRS[library][0]}_count").keys() & {"", "none"} == unmatched[library]
    assert of_route(library, f"{DURATION}_count")[""] == 4 * other_libraries.PAGES


@EVERY
def test_methods_without_a_handler(library: str) -> None:
    every = {"/items/{item}": other_libraries.PAGES}
    label = "http_method" if library == "opentelemetry" else "method"
    theirs = of_route(library, f"{THEIRS[library][0]}_count", **{label: "DELETE"})
    assert theirs == ({} if library == "starlette-exporter" else every)
    assert of_route(library, f"{DURATION}_count", http_request_method="DELETE") == every


@EVERY
def test_a_method_that_is_not_in_the_standards(library: str) -> None:
    name, _ = THEIRS[library]
    method = {"http_method": "_OTHER"} if library == "opentelemetry" else {"method": "PURGE"}
    assert of_route(library, f"{name}_count", **method) == {"/cache": 1}
    assert of_route(library, f"{DURATION}_count", http_request_method="_OTHER") == {"/cache": 1}


@EVERY
def test_only_the_other_library_counts_the_page_that_it_serves(library: str) -> None:
    name, _ = THEIRS[library]
    assert ("/metrics" in of_route(library, f"{name}_count")) is (library != "opentelemetry")
    assert "/metrics" not in of_route(library, f"{DURATION}_count")


@EVERY
def test_active_requests_are_those_that_are_in_progress(library: str) -> None:
    for page in recording(library).pages:
        assert sum(one.value for one in samples(page) if one.name == "http_server_active_requests") == SLOW


# --- OpenTelemetry ----------------------------------------------------------------------------------------------------


def test_with_the_stable_conventions_only_prefix_and_some_labels_differ() -> None:
    extra = {"network_protocol_version", "url_scheme"}
    ours, theirs = {}, {}
    for sample in samples(recording("opentelemetry-stable").last):
        labels = {name: value for name, value in sample.labels.items() if not name.startswith("otel_scope_")}
        if sample.name == f"{DURATION}_count":
            ours[frozenset(labels.items())] = sample.value
        elif sample.name == f"otel_{DURATION}_count" and "instrumentation" in sample.labels["otel_scope_name"]:
            assert labels.keys() >= extra
            theirs[frozenset((name, value) for name, value in labels.items() if name not in extra)] = sample.value
    same = [key for key in ours if key in theirs and ours[key] == theirs[key] > 0]
    assert {dict(key)["http_route"] for key in same} >= {"/items/{item}", "/broken", "/missing", "/slow"}
