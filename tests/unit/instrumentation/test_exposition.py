"""The metrics page shows the contents of the store, in both formats, whatever the user's own collectors do."""

from __future__ import annotations

import itertools
import logging
import re
import time
from math import inf, isnan, nan
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import choose_encoder
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from prometheus_client.samples import Exemplar

from instrumentation.catalog import (
    HTTP_SERVER_ACTIVE_REQUESTS,
    HTTP_SERVER_REQUEST_DURATION,
    SIDELIGHT_SCRAPE,
    TARGET_INFO,
    WORKFLOW_COST,
    WORKFLOW_DURATION,
    WORKFLOWS_CREATED,
)
from instrumentation.exposition.formats import Exposition, Page, register
from instrumentation.store import LocalStore, Series, add, observe
from instrumentation.store.shared_store import SharedStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from prometheus_client.metrics_core import Metric as Family

    from instrumentation.catalog import Metric

    Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]

OPENMETRICS = "application/openmetrics-text;version=1.0.0"
PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
    "application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,"
    "text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
)
BOTH = pytest.mark.parametrize("accept", ["", OPENMETRICS], ids=["text", "OpenMetrics"])
EDGES = (0.25, 1.0, 1e6)
ROUTES = [
    ("GET", f"/orders/{{order}}/{number}", status, "") for number in range(50) for status in ("200", "404", "409")
]


def a_store() -> LocalStore:
    store = LocalStore()
    store.declare(HTTP_SERVER_REQUEST_DURATION, EDGES)
    store.pin(TARGET_INFO, ("shop", "7.3.0", "test"), 1.0)
    for index, labels in enumerate(ROUTES[:3]):
        place = store.place(HTTP_SERVER_REQUEST_DURATION, labels)
        for slot in range(len(EDGES) + 2):
            store.buffer[place + slot] = float(7 * index + slot)
    add(store, HTTP_SERVER_ACTIVE_REQUESTS, ("GET",), 3.0)
    add(store, WORKFLOWS_CREATED, ("invoice_import",), 7.0)
    add(store, WORKFLOW_COST, ("invoice_import",), 0.1 + 0.2)
    observe(store, WORKFLOW_DURATION, ("nightly_report", "success"), 0.7)
    return store


class Given(LocalStore):
    """A store with given series."""

    def __init__(self, *series: Series) -> None:
        super().__init__()
        self.given = series

    def series(self) -> Iterator[Series]:
        return iter(self.given)


def counted(metric: Metric, labels: tuple[str, ...], *slots: float, edges: tuple[float, ...] = ()) -> Series:
    return Series(metric, labels, edges, slots, 1760000000.25)


def families(page: Page) -> list[Family]:
    text = page.body.decode()
    if page.content_type.startswith("application/openmetrics"):
        return list(parse_openmetrics(text))  # type: ignore[no-untyped-call]
    return list(parse_text(text))


def samples(found: Iterable[Family], *, without: str = "_created") -> Samples:
    every = [sample for family in found for sample in family.samples]
    kept = [sample for sample in every if not sample.name.endswith(without)]
    read = {(sample.name, frozenset(sample.labels.items())): sample.value for sample in kept}
    assert len(read) == len(kept), "a sample is there twice"
    return read


def page(
    store: LocalStore | SharedStore, accept: str = "", registry: CollectorRegistry | None = None, **options: Any
) -> Page:
    names = options.pop("names", ())
    return Exposition(store, registry or CollectorRegistry(), **options).page(accept, names)


# --- Content ------------------------------------------------------------------------------------------------------------


@BOTH
def test_a_page_says_what_prometheus_client_says_of_the_same_store(accept: str) -> None:
    store, registry = a_store(), CollectorRegistry()
    register(store, registry)
    encode, content_type = choose_encoder(accept)
    ours, theirs = page(store, accept), Page(encode(registry), content_type)
    assert ours.content_type == theirs.content_type
    assert samples(families(ours)) == samples(families(theirs))
    assert heads(ours) == heads(theirs)


def heads(made: Page) -> list[str]:
    return sorted(line for line in made.body.decode().split("\n") if line.startswith("#"))


@BOTH
def test_a_histogram_is_cumulative_and_whole(accept: str) -> None:
    labels = ("nightly_report", "success")
    read = samples(families(page(Given(counted(WORKFLOW_DURATION, labels, 3, 0, 7, 2, 12.5, edges=EDGES)), accept)))
    common = frozenset({("workflow", "nightly_report"), ("outcome", "success")})
    buckets = {
        dict(key)["le"]: value for (name, key), value in read.items() if name == "workflow_duration_seconds_bucket"
    }
    assert buckets == {"0.25": 3, "1.0": 3, "1e+06": 10, "+Inf": 12}
    assert read["workflow_duration_seconds_count", common] == 12
    assert read["workflow_duration_seconds_sum", common] == 12.5


@BOTH
def test_many_histograms_say_what_prometheus_client_says_also_where_their_edges_differ(accept: str) -> None:
    store = Given(
        counted(SIDELIGHT_SCRAPE, (), 3.0, 7.0, 12.5, edges=(0.5,)),
        *(
            counted(
                WORKFLOW_DURATION, (f"run {number}", "success"), *range(number, number + len(edges) + 2), edges=edges
            )
            for number in range(70)
            for edges in [EDGES if number % 7 else (0.5,)]
        ),
    )
    registry = CollectorRegistry()
    register(store, registry)
    encode, content_type = choose_encoder(accept)
    assert samples(families(page(store, accept))) == samples(families(Page(encode(registry), content_type)))


@BOTH
@given(values=st.tuples(st.text(), st.text()), seconds=st.floats(0, allow_nan=False), counts=st.integers(0, 2**53))
def test_any_label_value_and_any_number_are_read_back(
    accept: str, values: tuple[str, str], seconds: float, counts: int
) -> None:
    workflow, outcome = (value.encode("utf-8", "replace").decode() for value in values)
    store = Given(counted(WORKFLOW_DURATION, (workflow, outcome), float(counts), 0.0, seconds, edges=(0.5,)))
    read = samples(families(page(store, accept, names=["workflow_duration_seconds"])))
    common = frozenset({("workflow", workflow), ("outcome", outcome)})
    assert read == {
        ("workflow_duration_seconds_bucket", common | {("le", "0.5")}): counts,
        ("workflow_duration_seconds_bucket", common | {("le", "+Inf")}): counts,
        ("workflow_duration_seconds_count", common): counts,
        ("workflow_duration_seconds_sum", common): seconds,
    }


@BOTH
@pytest.mark.parametrize("value", [inf, -inf, nan, -0.0, 5e-324, 1.7976931348623157e308, 1e6, 0.1])
def test_a_gauge_may_be_any_float(accept: str, value: float) -> None:
    made = page(Given(counted(HTTP_SERVER_ACTIVE_REQUESTS, ("GET",), value)), accept)
    found = samples(families(made))["http_server_active_requests", frozenset({("http_request_method", "GET")})]
    assert found == value or (isnan(found) and isnan(value))


def test_values_that_are_not_finite_are_spelt_as_in_go() -> None:
    made = page(Given(*(counted(HTTP_SERVER_ACTIVE_REQUESTS, (str(value),), value) for value in (inf, -inf, nan))))
    assert {line.split()[1] for line in made.body.decode().split("\n") if "method=" in line} == {"+Inf", "-Inf", "NaN"}


def test_a_label_value_that_is_not_unicode_breaks_neither_the_page_nor_its_series() -> None:
    made = page(Given(counted(WORKFLOWS_CREATED, ("a\udc80b",), 7.0)))
    assert samples(families(made))["workflows_created_total", frozenset({("workflow", "a?b")})] == 7


def test_openmetrics_says_when_counters_and_histograms_began_and_text_does_not() -> None:
    store = Given(
        counted(WORKFLOWS_CREATED, ("a",), 7.0),
        counted(WORKFLOW_DURATION, ("a", "success"), 3.0, 1.5),
        counted(HTTP_SERVER_ACTIVE_REQUESTS, ("GET",), 3.0),
    )
    created = {
        sample.name: sample.value
        for family in families(page(store, OPENMETRICS))
        for sample in family.samples
        if sample.name.endswith("_created")
    }
    assert created == {"workflows_created_created": 1760000000.25, "workflow_duration_seconds_created": 1760000000.25}
    assert b"_created{" not in page(store).body


@BOTH
def test_target_info_comes_first_as_a_gauge_in_text_and_as_an_info_in_openmetrics(accept: str) -> None:
    store = Given(counted(WORKFLOWS_CREATED, ("a",), 7.0), *a_store().series())
    first = families(page(store, accept))[0]
    assert (first.name, first.type) == (("target", "info") if accept else ("target_info", "gauge"))
    assert [(sample.name, sample.value) for sample in first.samples] == [("target_info", 1)]


def test_the_store_says_how_full_it_is() -> None:
    store = LocalStore(series_limit=2)
    for name in "abc":
        add(store, WORKFLOWS_CREATED, (name,), 1.0)
    read = {name: value for (name, _), value in samples(families(page(store))).items() if name.startswith("sidelight")}
    assert read == {
        "sidelight_series": 3,
        "sidelight_series_limit": 2,
        "sidelight_series_folded_total": 1,
        "sidelight_workers": 1,
        "sidelight_store_bytes": 3 * 16,
    }


@BOTH
def test_several_workers_are_counted_and_the_fullest_is_compared_with_the_limit_of_each(
    accept: str, tmp_path: Path
) -> None:
    first, second, third = (
        SharedStore(tmp_path, series_limit=7, name=f"{number}-0", is_alive=lambda _: True) for number in range(3)
    )
    for store, names in ((first, "abc"), (second, "defgh"), (third, "")):
        for name in names:
            add(store, WORKFLOWS_CREATED, (name,), 1.0)
    for store in (first, second, third):
        read = {
            name: value
            for (name, _), value in samples(families(page(store, accept))).items()
            if name.startswith("sidelight")
        }
        size = sum(file.stat().st_size for file in tmp_path.iterdir())
        assert read == {
            "sidelight_series": 5,
            "sidelight_series_limit": 7,
            "sidelight_series_folded_total": 0,
            "sidelight_workers": 3,
            "sidelight_store_bytes": size,
        }


def test_the_number_of_merges_is_the_same_on_every_page_and_outlives_workers(tmp_path: Path) -> None:
    alive = {"1-0", "2-0", "3-0"}
    first, second, third = (
        SharedStore(tmp_path, series_limit=1, name=f"{number}-0", is_alive=alive.__contains__) for number in (1, 2, 3)
    )
    for store, names in ((first, "abc"), (second, "abcdefgh")):
        for name in names:
            add(store, WORKFLOWS_CREATED, (name,), 1.0)

    def folded(store: SharedStore) -> float:
        return samples(families(page(store)))["sidelight_series_folded_total", frozenset()]

    assert [folded(store) for store in (first, second, third)] == [2 + 7] * 3
    alive.remove("2-0")
    assert [folded(store) for store in (third, first, third)] == [2 + 7] * 3


def test_a_series_that_is_gone_is_forgotten() -> None:
    store = Given(*(counted(WORKFLOWS_CREATED, (str(name),), 1.0) for name in range(7)))
    made = Exposition(store, CollectorRegistry())
    made.page()
    store.given = store.given[:3]
    made.page()
    assert set(made._labels._known[WORKFLOWS_CREATED.name]) == {("0",), ("1",), ("2",)}


# --- The memory that is kept ---------------------------------------------------------------------------------------------


def test_a_page_has_nothing_of_a_longer_one_before_it() -> None:
    made = Exposition(a_store(), CollectorRegistry())
    long, short = made.page(), made.page("", ["workflows_created"])
    assert len(made._buffers) == 1
    assert short == page(a_store(), names=["workflows_created"])
    assert made.page() == long


def test_a_page_beside_another_does_not_write_into_it() -> None:
    class Asking:
        def describe(self) -> Iterator[Family]:
            return parse_text("# TYPE shop_asked gauge\nshop_asked 7\n")

        def collect(self) -> Iterator[Family]:
            assert made.page("", ["workflows_created"]) == page(a_store(), names=["workflows_created"])
            return self.describe()

    registry = CollectorRegistry()
    registry.register(Asking())
    made = Exposition(a_store(), registry)
    for _ in range(2):
        assert lines(made.page()) == [*lines(page(a_store())), "shop_asked 7.0"]


def test_the_memory_of_a_huge_page_is_given_back() -> None:
    store = Given(*(counted(WORKFLOWS_CREATED, (f"{number:1000}",), 7.0) for number in range(1_100)))
    made = Exposition(store, CollectorRegistry())
    assert len(made.page().body) > 1 << 20
    assert made._buffers == []


def test_a_huge_page_lets_others_have_the_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    clock = itertools.count(0, 0.000_15)  # seconds: a batch takes less than the pace, and two take more
    monkeypatch.setattr(
        "instrumentation.exposition.formats.time", SimpleNamespace(sleep=slept.append, perf_counter=clock.__next__)
    )
    page(Given(*(counted(WORKFLOW_DURATION, (str(number), "a"), 3.0, 1.5) for number in range(7 * 32))))
    assert slept == [0] * 3


# --- Exemplars ----------------------------------------------------------------------------------------------------------


def test_an_exemplar_is_after_its_bucket_and_only_in_openmetrics() -> None:
    labels = ("a", 'say "7"')
    store = Given(counted(WORKFLOW_DURATION, labels, 3.0, 7.0, 12.5, edges=(0.5,)))
    exemplars = {
        (WORKFLOW_DURATION.name, labels, 0): Exemplar({"trace_id": "3f", "span_id": '"7"\\\n'}, 0.25, 1760000000.5),
        (WORKFLOW_DURATION.name, labels, 1): Exemplar({}, 7.0),
    }
    found = {
        sample.labels["le"]: sample.exemplar
        for family in families(page(store, OPENMETRICS, exemplars=exemplars))
        for sample in family.samples
        if sample.exemplar
    }
    assert found["0.5"].labels == {"trace_id": "3f", "span_id": '"7"\\\n'}
    assert (found["0.5"].value, float(found["0.5"].timestamp or 0)) == (0.25, 1760000000.5)
    assert (found["+Inf"].labels, found["+Inf"].value, found["+Inf"].timestamp) == ({}, 7.0, None)
    assert page(store, exemplars=exemplars) == page(store)


def test_an_exemplar_is_at_its_series_and_at_an_existing_bucket() -> None:
    rows = [counted(WORKFLOW_DURATION, (str(number), "success"), 3.0, 7.0, 12.5, edges=(0.5,)) for number in range(70)]
    exemplars = {
        (WORKFLOW_DURATION.name, (str(number), "success"), bucket): Exemplar({"trace_id": f"{number}.{bucket}"}, 0.25)
        for number, bucket in ((3, 0), (40, 1), (41, 2))
    }
    found = {
        (sample.labels["workflow"], sample.labels["le"]): sample.exemplar.labels["trace_id"]
        for family in families(page(Given(*rows), OPENMETRICS, exemplars=exemplars))
        for sample in family.samples
        if sample.exemplar
    }
    assert found == {("3", "0.5"): "3.0", ("40", "+Inf"): "40.1"}


def test_an_exemplar_that_openmetrics_does_not_allow_is_left_out() -> None:
    store = Given(counted(WORKFLOW_DURATION, ("a", "success"), 3.0, 7.0, 12.5, edges=(0.5,)))
    long = {(WORKFLOW_DURATION.name, ("a", "success"), 0): Exemplar({"trace_id": "7" * 121}, 0.25)}
    assert page(store, OPENMETRICS, exemplars=long) == page(store, OPENMETRICS)


# --- Which format -------------------------------------------------------------------------------------------------------

OM = "application/openmetrics-text; version=1.0.0; charset=utf-8"
TEXT = "text/plain; version=0.0.4; charset=utf-8"
TEXT_1 = "text/plain; version=1.0.0; charset=utf-8"


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("", TEXT),
        ("*/*", TEXT),
        ("text/html, image/png;q=0.7", TEXT),
        ("nonsense;;=, ;q=x", TEXT),
        (PROMETHEUS, f"{OM}; escaping=allow-utf-8"),
        ("application/openmetrics-text", OM),
        ("Application/OpenMetrics-Text; Version=1.0.0", f"{OM}; escaping=underscores"),
        ('application/openmetrics-text;version="1.0.0"', f"{OM}; escaping=underscores"),
        ("application/openmetrics-text;version=0.0.1", TEXT),
        ("application/openmetrics-text;version=1.x", TEXT),
        ("application/openmetrics-text;version=2.0.0,text/plain;version=1.0.0", f"{TEXT_1}; escaping=underscores"),
        ("application/openmetrics-text;q=0", TEXT),
        ("application/openmetrics-text;q=0.3, text/plain;q=0.7", TEXT),
        ("text/plain;q=0.3, application/openmetrics-text;q=0.7", OM),
        ("text/plain, application/openmetrics-text", OM),
        ("text/plain;version=1.0.0;escaping=dots", f"{TEXT_1}; escaping=underscores"),
        ("application/openmetrics-text;version=1.0.0;escaping=values", f"{OM}; escaping=underscores"),
    ],
)
def test_the_format_is_the_one_that_is_wanted_most(accept: str, content_type: str) -> None:
    made = page(a_store(), accept)
    assert made.content_type == content_type
    assert made.body.endswith(b"# EOF\n") == content_type.startswith("application/openmetrics")
    assert families(made)


MEDIA = ["*/*", "text/html", "text/plain", "text/plain;version=0.0.4", "application/openmetrics-text"]
MEDIA += [
    f"{media};version={version}{escaping}"
    for media, version in (("text/plain", "1.0.0"), ("application/openmetrics-text", "1.0.0"))
    for escaping in ("", ";escaping=underscores", ";escaping=allow-utf-8")
]


@given(st.lists(st.sampled_from(MEDIA)).map(",".join))
def test_without_q_the_choice_is_prometheus_clients(accept: str) -> None:
    assert page(LocalStore(), accept).content_type == choose_encoder(accept)[1]


# --- The user's own metrics ---------------------------------------------------------------------------------------------


@BOTH
def test_the_users_own_metrics_follow_and_sidelights_are_there_once(accept: str) -> None:
    store, registry = a_store(), CollectorRegistry()
    register(store, registry)
    register(store, registry)
    Counter("shop_sales", "Sales.", ["till"], registry=registry).labels('"3"\n').inc(7)
    Histogram("shop_basket", "Items.", registry=registry).observe(3)
    made = families(page(store, accept, registry))
    names = [family.name for family in made]
    assert len(names) == len(set(names))
    assert samples(made)["shop_sales_total", frozenset({("till", '"3"\n')})] == 7
    assert next(name for name in names if name.startswith("shop")) == names[names.index("sidelight_store_bytes") + 1]


def test_ours_appear_in_the_registry_whole_and_restricted() -> None:
    store, registry = a_store(), CollectorRegistry()
    register(store, registry)
    labels = {"workflow": "invoice_import"}
    assert registry.get_sample_value("workflows_created_total", labels) == 7
    assert registry.get_sample_value("target_info") is None
    restricted = generate_latest(registry.restricted_registry(["workflows_created_total", "target_info"]))
    assert set(samples(parse_text(restricted.decode()))) == {
        ("workflows_created_total", frozenset(labels.items())),
        (
            "target_info",
            frozenset(
                {("service_name", "shop"), ("service_version", "7.3.0"), ("deployment_environment_name", "test")}
            ),
        ),
    }


def test_metrics_of_the_registry_can_be_left_out_and_ours_stay() -> None:
    registry = CollectorRegistry()
    for name in ("process_open_fds", "shop_tills"):
        Gauge(name, "A gauge.", registry=registry).set(3)
    made = page(a_store(), "", registry, skip=lambda name: name.startswith(("process_", "workflow")))
    names = {family.name for family in families(made)}
    assert "process_open_fds" not in names
    assert {"shop_tills", "workflow_cost_usd"} <= names


def broken() -> float:
    raise ZeroDivisionError("till")


class Half:
    """A collector that gives one family and then fails."""

    def collect(self) -> Iterator[Family]:
        yield from parse_text("# TYPE shop_half gauge\nshop_half 7\n")
        raise ZeroDivisionError("till")


def of_no_number(registry: CollectorRegistry) -> None:
    Gauge("shop_wrong", "A gauge.", registry=registry).set_function(lambda: "seven")  # type: ignore[arg-type, return-value]


@BOTH
@pytest.mark.parametrize(
    "break_it",
    [
        lambda registry: Gauge("shop_wrong", "A gauge.", registry=registry).set_function(broken),
        lambda registry: registry.register(Half()),
        of_no_number,
    ],
)
def test_a_broken_collector_is_left_out_and_logged_once(
    accept: str, break_it: Callable[[CollectorRegistry], object], caplog: pytest.LogCaptureFixture
) -> None:
    store, registry = a_store(), CollectorRegistry()
    break_it(registry)
    Gauge("shop_tills", "A gauge.", registry=registry).set(3)
    exposition = Exposition(store, registry)
    with caplog.at_level(logging.WARNING, "instrumentation"):
        made = [exposition.page(accept), exposition.page(accept)][1]
    names = {family.name for family in families(made)}
    assert "shop_tills" in names
    assert not names & {"shop_wrong", "shop_half"}
    assert len(caplog.records) == 1
    assert "are missing" in caplog.text


# --- name[] -------------------------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize(
    ("name", "found"),
    [
        (
            "workflow_duration_seconds",
            {"workflow_duration_seconds" + suffix for suffix in ("_bucket", "_count", "_sum")},
        ),
        ("workflow_duration_seconds_count", {"workflow_duration_seconds_count"}),
        ("workflows_created", {"workflows_created_total"}),
        ("workflows_created_total", {"workflows_created_total"}),
        ("sidelight_series", {"sidelight_series"}),
        ("shop_basket", {"shop_basket" + suffix for suffix in ("_bucket", "_count", "_sum")}),
        ("shop_basket_bucket", {"shop_basket_bucket"}),
        ("shop_sales_total", {"shop_sales_total"}),
        ("nothing_of_that_name", set()),
    ],
)
def test_a_name_gives_its_family_or_its_sample_alone(accept: str, name: str, found: set[str]) -> None:
    registry = CollectorRegistry()
    Histogram("shop_basket", "Items.", registry=registry).observe(3)
    Counter("shop_sales", "Sales.", registry=registry).inc(7)
    store = a_store()
    every = lines(page(store, accept, registry))
    assert lines(page(store, accept, registry, names=[name])) == [
        line for line in every if re.split("[{ ]", line)[0] in found
    ]


def lines(made: Page) -> list[str]:
    """Without ``_created``; a part of a histogram is more than prometheus_client's strict parser takes."""
    return [line for line in made.body.decode().split("\n") if re.match(r"\w+(?<!_created)[{ ]", line)]


def test_what_a_collector_keeps_is_not_cut_down() -> None:
    class Keeping:
        families = tuple(parse_text("# TYPE shop_kept summary\nshop_kept_sum 7\nshop_kept_count 3\n"))

        def collect(self) -> Iterable[Family]:
            return self.families

    registry = CollectorRegistry()
    registry.register(Keeping())
    assert lines(page(LocalStore(), "", registry, names=["shop_kept_sum"])) == ["shop_kept_sum 7.0"]
    assert lines(page(LocalStore(), "", registry))[-2:] == ["shop_kept_sum 7.0", "shop_kept_count 3.0"]


def test_a_collector_that_is_not_wanted_is_not_called() -> None:
    registry, asked = CollectorRegistry(), iter((3.0, 7.0))
    Gauge("shop_slow", "A gauge.", registry=registry).set_function(lambda: next(asked))
    page(a_store(), "", registry, names=["workflows_created_total"])
    assert next(asked) == 3.0


# --- What it costs ------------------------------------------------------------------------------------------------------


@BOTH
def test_a_series_costs_a_fifth_of_prometheus_clients_at_most(accept: str) -> None:
    slots = [float(7 * number) for number in range(16)]
    edges = tuple(number / 8 for number in range(1, 16))
    store = Given(*(counted(HTTP_SERVER_REQUEST_DURATION, labels, *slots, 12.5, edges=edges) for labels in ROUTES))
    registry = CollectorRegistry()
    register(store, registry)
    encode, _ = choose_encoder(accept)
    ours = Exposition(store, CollectorRegistry())
    rounds = [(spent(lambda: ours.page(accept)), spent(lambda: encode(registry))) for _ in range(5)]
    assert 5 * min(own for own, _ in rounds) < min(theirs for _, theirs in rounds)


def spent(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began
