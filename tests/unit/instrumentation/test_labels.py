"""Additional labels of request durations: their sources, their bounds, and where they appear."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import _sidelight_speedups
import pytest
from fastapi import APIRouter, FastAPI, Request
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

import instrumentation
from alerts import groups
from alerts.checking.series import faults, series
from dashboards.pages import operations
from instrumentation.catalog import HTTP_SERVER_REQUEST_DURATION
from instrumentation.errors import InstrumentationError, SettingsError
from instrumentation.http import compiled
from instrumentation.http.labels import request_labels
from instrumentation.settings import parse_settings
from instrumentation.store import LocalStore
from tests.unit.instrumentation.test_http import Observed, shop
from tests.unit.instrumentation.test_shared_store import Workers

if TYPE_CHECKING:
    from pathlib import Path

    from instrumentation.settings import Settings


def settings(**labels: Any) -> Settings:
    return parse_settings(
        {
            "logging": {"enabled": False, "correlation_id": False},
            "http": {"labels": labels},
            "metrics": {"exemplars": False},
        }
    )


class Labelled(Observed):
    """An observed app with additional labels."""

    def __init__(self, app: Any, chosen: Settings, **functions: Any) -> None:
        self.store, self.registry = LocalStore(), CollectorRegistry()
        self.app = instrumentation.instrument(
            app, settings=chosen, store=self.store, registry=self.registry, labels=functions
        )

    def counts(self) -> dict[tuple[str, ...], int]:
        """(route, status, additional labels) to the number of requests."""
        rows = (row for row in self.store.series() if row.metric.name == HTTP_SERVER_REQUEST_DURATION.name)
        counts = {(row.labels[1], row.labels[2], *row.labels[4:]): int(sum(row.slots[:-1])) for row in rows}
        return {labels: count for labels, count in counts.items() if count}


# --- Sources --------------------------------------------------------------------------------------------------------------


def test_a_header_a_path_parameter_state_and_a_function_are_sources() -> None:
    app = FastAPI()
    router = APIRouter(prefix="/shops/{shop}")

    @router.get("/items")
    def items(shop: str, request: Request) -> str:
        request.state.plan = "gold"
        return shop

    app.include_router(router)
    observed = Labelled(
        app,
        settings(tenant={"header": "X-Tenant"}, shop={"path_parameter": "shop"}, plan={"state": "plan"}),
        big=lambda scope: scope["path"].endswith("7/items"),
    )
    observed.call(("GET", "/shops/7/items"), headers={"x-tenant": "acme"})
    observed.call(("GET", "/shops/3/items"), ("GET", "/nowhere"))
    route = "/shops/{shop}/items"
    assert observed.counts() == {
        (route, "200", "acme", "7", "gold", "True"): 1,
        (route, "200", "", "3", "gold", "False"): 1,
        ("", "404", "", "", "", "False"): 1,
    }


def test_state_may_be_an_object() -> None:
    labels = request_labels(settings(plan={"state": "plan"}), {})
    assert labels is not None
    assert labels({"state": SimpleNamespace(plan="gold")}) == ("gold",)
    assert labels({}) == ("",)


def test_a_declared_label_can_get_its_value_from_a_function() -> None:
    observed = Labelled(shop(), settings(tenant={"values": ["acme"]}), tenant=lambda _: "acme")
    observed.call(("GET", "/items/7"))
    assert observed.counts() == {("/items/{item}", "200", "acme"): 1}


def test_the_page_and_the_registry_have_the_labels() -> None:
    observed = Labelled(shop(), settings(tenant={"header": "x-tenant"}))
    observed.call(("GET", "/items/7"), headers={"x-tenant": 'a"c\\me\n'.encode("unicode_escape").decode()})
    families = {family.name: family for family in text_string_to_metric_families(observed.page().text)}
    samples = families[HTTP_SERVER_REQUEST_DURATION.name].samples
    assert {sample.labels["tenant"] for sample in samples} == {"", 'a"c\\\\me\\n'}
    found = observed.registry.get_sample_value(
        f"{HTTP_SERVER_REQUEST_DURATION.name}_count",
        {
            "http_request_method": "GET", "http_route": "/items/{item}", "http_response_status_code": "200",
            "error_type": "", "tenant": 'a"c\\\\me\\n',
        },
    )  # fmt: skip
    assert found == 1.0


def test_the_series_of_every_known_route_exists_at_0() -> None:
    observed = Labelled(shop(), settings(tenant={"header": "x-tenant"}))
    observed.page()
    born = {row.labels for row in observed.store.series() if row.metric.name == HTTP_SERVER_REQUEST_DURATION.name}
    assert ("GET", "/items/{item}", "500", "500", "") in born


def test_workers_read_each_others_labels(tmp_path: Path) -> None:
    workers = Workers(tmp_path / "family")
    first, second = workers.start(), workers.start()
    metric = HTTP_SERVER_REQUEST_DURATION.extended("tenant")
    for store in (first, second):
        store.declare(metric, (0.5, 1.0))
        place = store.place(metric, ("GET", "/", "200", "", "acme"))
        store.buffer[place] += 7.0
    (row,) = [row for row in second.series() if row.metric.name == metric.name]
    assert (row.metric.labels[-1], row.labels[-1], row.slots[0]) == ("tenant", "acme", 14.0)


# --- Bounds ---------------------------------------------------------------------------------------------------------------


def test_values_beyond_the_limit_are_one_overflow_value() -> None:
    observed = Labelled(shop(), settings(tenant={"header": "x-tenant", "limit": 3}))
    for tenant in ("a", "b", "c", "d", "e", "a"):
        observed.call(("GET", "/items/7"), headers={"x-tenant": tenant})
    route = ("/items/{item}", "200")
    assert observed.counts() == {(*route, "a"): 2, (*route, "b"): 1, (*route, "c"): 1, (*route, "_OVERFLOW"): 2}


def test_values_that_are_not_listed_are_one_other_value() -> None:
    observed = Labelled(shop(), settings(region={"header": "x-region", "values": ["eu", "us"]}))
    for region in ("eu", "mars", "us", "moon", ""):
        observed.call(("GET", "/items/7"), headers={"x-region": region})
    route = ("/items/{item}", "200")
    assert observed.counts() == {(*route, "eu"): 1, (*route, "us"): 1, (*route, "_OTHER"): 2, (*route, ""): 1}


def test_secrets_are_masked_and_long_values_overflow() -> None:
    observed = Labelled(shop(), settings(who={"header": "x-who"}))
    token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI3In0.c2lnbmF0dXJlLXNpZ25hdHVyZQ"  # noqa: S105 - no real one
    for who in ("joe@example.com", token, "x" * 101):
        observed.call(("GET", "/items/7"), headers={"x-who": who})
    assert [labels[-1] for labels in observed.counts()] == ["***", "_OVERFLOW"]


def test_the_series_limit_folds_the_additional_labels_too() -> None:
    assert HTTP_SERVER_REQUEST_DURATION.extended("tenant").folded == ("http_route", "tenant")


@pytest.mark.parametrize("kind", [ValueError, KeyError])
def test_a_function_that_raises_leaves_the_label_empty_and_is_logged_once(
    kind: type[Exception], caplog: pytest.LogCaptureFixture
) -> None:
    def find(_: Any) -> str:
        raise kind("joe@example.com")

    observed = Labelled(shop(), settings(), tenant=find)
    with caplog.at_level(logging.WARNING, "instrumentation"):
        answers = observed.call(("GET", "/items/7"), ("GET", "/items/8"))
    assert [answer.status_code for answer in answers] == [200, 200]
    assert observed.counts() == {("/items/{item}", "200", ""): 2}
    assert [record.getMessage() for record in caplog.records] == [
        f"the label tenant is empty because its function raises {kind.__name__}; this is logged once"
    ]


def test_with_labels_python_measures_requests_and_one_log_line_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("instrumentation.speedups.module", lambda: _sidelight_speedups)
    compiled._log_once.cache_clear()
    kinds = []
    with caplog.at_level(logging.INFO, "instrumentation"):
        for labels in ({}, {"tenant": {"header": "x-tenant"}}, {"tenant": {"header": "x-tenant"}}):
            app = shop()
            Labelled(app, settings(**labels))
            app.middleware_stack = app.build_middleware_stack()
            kinds.append(type(app.middleware_stack).__name__)
    assert kinds == ["Measured", "function", "function"]
    assert [record.getMessage() for record in caplog.records] == [
        "requests are measured in Python, because sidelight-speedups does not support http.labels"
    ]


# --- Mistakes ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        (
            {"http_route": {"header": "x"}},
            'http_route: got "http_route"; give a label name that request metrics and Prometheus do not use, such as tenant.',
        ),
        (
            {"tenant": {"header": "Authorization"}},
            'tenant.header: got "Authorization"; give the name of a header that holds no secret, such as x-tenant.',
        ),
        (
            {"tenant": {"header": "x-tenant", "state": "tenant"}},
            "tenant: got header and state; give one of header, path_parameter and state.",
        ),
        (
            {"tenant": {"headr": "x-tenant"}},
            "(did you mean header?); give one of header, path_parameter, state, values, limit, dashboard, rules.",
        ),
        (
            {"tenant": {"header": "x-tenant", "limit": 1000}},
            "tenant.limit: got 1000; give a whole number from 1 to 100.",
        ),
    ],
)  # fmt: skip
def test_a_mistake_in_the_settings_is_named(labels: Any, sentence: str) -> None:
    with pytest.raises(SettingsError) as caught:
        settings(**labels)
    assert str(caught.value).startswith("settings: http.labels.")
    assert str(caught.value).endswith(sentence)


def test_a_label_without_a_source_is_refused_at_the_start() -> None:
    with pytest.raises(SettingsError) as caught:
        Labelled(shop(), settings(tenant={}))
    assert str(caught.value) == (
        "settings: http.labels.tenant: has no source; give header, path_parameter or state, or pass a function in "
        "instrument(labels=...)."
    )


async def _async(_: Any) -> str:
    return "acme"


@pytest.mark.parametrize(
    ("functions", "sentence"),
    [
        (
            {"job": str},
            "instrument(): labels: got the name 'job'; give a label name that Sidelight and Prometheus do not use.",
        ),
        (
            {"a-b": str},
            "instrument(): labels: got the name 'a-b'; give a label name that Sidelight and Prometheus do not use.",
        ),
        (
            {"tenant": "acme"},
            "instrument(): labels['tenant']: got str; give a plain function of the ASGI scope that returns a text.",
        ),
        (
            {"tenant": _async},
            "instrument(): labels['tenant']: got an async function; give a plain function of the ASGI scope that returns a text.",
        ),
    ],
)
def test_a_function_that_cannot_be_used_is_named(functions: Any, sentence: str) -> None:
    with pytest.raises(InstrumentationError) as caught:
        Labelled(shop(), settings(), **functions)
    assert (caught.value.code, caught.value.message) == ("label_invalid", sentence)


def test_apps_of_one_process_must_have_the_same_labels() -> None:
    observed = Labelled(shop(), settings(tenant={"header": "x-tenant"}))
    with pytest.raises(InstrumentationError) as caught:
        instrumentation.instrument(shop(), settings=settings(), store=observed.store, registry=CollectorRegistry())
    assert caught.value.message == (
        "http.labels: got no additional labels, but another app of this process has tenant; give them the same labels."
    )


# --- Rules and dashboards -----------------------------------------------------------------------------------------------------


def records(chosen: Settings) -> list[str]:
    rules = [rule for group in groups(chosen) for rule in group.rules]
    return [rule.record for rule in rules if hasattr(rule, "record") and "tenant" in rule.record]


def titles(chosen: Settings) -> list[str]:
    return [row.title for row in operations.PAGE.rows(chosen) if "tenant" in row.title]


def test_rules_and_dashboards_have_a_label_only_if_asked() -> None:
    quiet = settings(tenant={"header": "x-tenant"})
    assert (records(quiet), titles(quiet)) == ([], [])
    shown = settings(tenant={"header": "x-tenant", "dashboard": True})
    assert (records(shown), titles(shown)) == ([], ["Requests by tenant"])
    ruled = settings(tenant={"header": "x-tenant", "rules": True})
    assert titles(ruled) == []
    assert records(ruled) == [
        "job_tenant_instance:http_server_requests:sum",
        "job_tenant_instance:http_server_request_errors:sum",
        "job_tenant_instance_le:http_server_request_duration_seconds_bucket:sum",
        "job_tenant:http_server_requests:increase",
        "job_tenant:http_server_request_errors:increase",
        "job_tenant_le:http_server_request_duration_seconds_bucket:increase",
        "job_tenant:http_server_requests:increase5m",
        "job_tenant:http_server_request_errors:increase5m",
        "job_tenant_le:http_server_request_duration_seconds_bucket:increase5m",
        "job_tenant:http_server_requests:rate5m",
        "job_tenant:http_server_request_errors_per_requests:ratio_rate5m",
        "job_tenant:http_server_request_duration_seconds:p95_rate5m",
    ]


def test_every_expression_with_a_label_reads_labels_that_exist() -> None:
    ruled = settings(tenant={"header": "x-tenant", "rules": True})
    every = groups(ruled)
    assert faults(every, ruled.alerting.group_by, ruled.http.labels) == []
    assert "aggregates by 'tenant'" in "".join(faults(every, ruled.alerting.group_by))
    assert "tenant" in series(every, ["job"], ["tenant"])["job_tenant:http_server_requests:rate5m"]
