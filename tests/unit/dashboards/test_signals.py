"""Panels of a team's own signals: one for each signal, with the limits of its alerts as lines."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from alerts import groups
from alerts.checking.promql import check
from alerts.checking.series import series
from dashboards import generated
from dashboards.model import Unit
from dashboards.pages.signals import own_pages, signal_rows
from instrumentation.errors import SettingsError
from instrumentation.settings import Settings, parse_settings
from tests.support.signals import DECLARED

if TYPE_CHECKING:
    from dashboards.model import Panel

SETTINGS = parse_settings({"signals": DECLARED})


def panels(settings: Settings, dashboard: str = "business") -> dict[str, Panel]:
    return {panel.title: panel for row in signal_rows(settings, dashboard) for panel in row.panels}


def one(signal: dict[str, Any], **dashboards: Any) -> Settings:
    return parse_settings({"signals": [signal], "dashboards": dashboards})


def test_each_signal_has_a_panel_and_each_alert_that_judges_something_else() -> None:
    assert list(panels(SETTINGS)) == [
        "orders_placed per hour",
        "OrdersStopped: orders_placed within 30m",
        "OrdersFlood: orders_placed within 10m",
        "payment_attempts per hour",
        "PaymentsFail: share of payment_attempts",
        "PaymentsAcceptedLow: share of payment_attempts",
        "PaymentsPerOrder: share of payment_attempts",
        "quote_seconds",
        "pool_connections",
        "PoolGrows: growth of pool_connections within 30m",
        "view_depth",
        "backup_timestamp_seconds",
        "BackupOld: age of backup_timestamp_seconds",
        "nightly_import: time since the last success",
        "ImportFails: share of nightly_import",
        "price_refresh: lateness",
    ]
    assert panels(SETTINGS, "operations") == {}


def test_panels_read_only_series_and_labels_that_exist() -> None:
    known = series(groups(SETTINGS), SETTINGS.alerting.group_by)
    queries = [query.expr for panel in panels(SETTINGS).values() for query in panel.queries]
    assert [fault for expr in queries for fault in check(expr, known).faults] == []


@pytest.mark.parametrize(
    ("title", "base", "above"),
    [
        ("OrdersStopped: orders_placed within 30m", "red", {1.0: "yellow", 10.0: "green"}),
        ("OrdersFlood: orders_placed within 10m", "green", {100.0: "yellow", 2000.0: "red"}),
        ("PaymentsPerOrder: share of payment_attempts", "green", {0.5: "yellow"}),
        ("quote_seconds", "green", {0.8: "yellow", 20.0: "red"}),
        ("nightly_import: time since the last success", "green", {2100.0: "yellow", 2700.0: "red"}),
        ("backup_timestamp_seconds", "text", {}),
    ],
)
def test_the_limits_of_alerts_are_lines(title: str, base: str, above: dict[float, str]) -> None:
    coloring = panels(SETTINGS)[title].coloring
    assert (coloring.base, dict(coloring.above)) == (base, above)


def test_values_outside_a_range_are_red_on_both_sides() -> None:
    alert = {"alert": "PoolOdd", "value": {"outside": {"warning": [10, 90], "critical": [5, 95]}}}
    settings = one({"name": "pool", "kind": "gauge", "combine": "sum", "alerts": [alert]})
    coloring = panels(settings)["pool"].coloring
    assert coloring.base == "red"
    assert dict(coloring.above) == {5.0: "yellow", 10.0: "green", 90.0: "yellow", 95.0: "red"}


def test_units_are_those_of_the_signals() -> None:
    assert panels(SETTINGS)["quote_seconds"].unit is Unit.SECONDS
    assert panels(SETTINGS)["PaymentsFail: share of payment_attempts"].unit is Unit.RATIO
    revenue = panels(one({"name": "revenue_usd", "kind": "counter"}))
    assert revenue["revenue_usd per hour"].unit is Unit.USD


def test_a_signal_is_shown_on_the_dashboard_that_it_names() -> None:
    settings = one({"name": "evictions", "kind": "counter", "dashboard": "operations"})
    assert list(panels(settings, "operations")) == ["evictions per second"]
    assert panels(settings) == {}
    assert '"evictions per second"' in generated(settings)["operations.json"]


def test_a_page_of_the_teams_own_shows_what_it_lists_and_business_the_rest() -> None:
    shown = [{"payment_attempts": {"by": "outcome"}}, "orders_placed"]
    settings = parse_settings(
        {"signals": DECLARED, "dashboards": {"pages": [{"title": "Check out", "panels": shown}], "owner": "shop"}}
    )
    made = generated(settings)
    assert list(made) == ["fleet.json", "operations.json", "business.json", "check-out.json"]
    document = json.loads(made["check-out.json"])
    assert (document["uid"], document["title"]) == ("sidelight-shop-check-out", "shop: Check out")
    assert [link["title"] for link in document["links"]][:3] == [
        "Fleet dashboard",
        "Operations dashboard",
        "Business dashboard",
    ]
    assert "Check out dashboard" in made["business.json"]
    [page] = own_pages(settings)
    [row] = page.rows(settings)
    assert row.panels[0].queries[0].expr.startswith("3600 * sum by (outcome) (rate(payment_attempts_total{")
    assert "orders_placed per hour" not in panels(settings)
    assert "quote_seconds" in panels(settings)


@pytest.mark.parametrize(
    ("page", "sentence"),
    [
        ({"title": "Business", "panels": ["orders"]}, 'pages.0.title: got "Business"; give a title of 1 to 19 letters'),
        ({"title": "Shop", "panels": []}, "pages.0.panels: got []; give a list of signals"),
        ({"title": "Shop", "panels": ["order"]}, 'pages.0.panels.0: got "order"; give one of orders'),
        (
            {"title": "Shop", "panels": [{"orders": {"by": "color"}}]},
            'pages.0.panels.0.by: got "color"; give one of channel',
        ),
        ({"title": "Shop", "panels": [{"orders": {"of": "x"}}]}, "pages.0.panels.0: got"),
    ],
)
def test_a_wrong_page_is_named_with_what_it_may_hold(page: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SettingsError) as caught:
        one({"name": "orders", "kind": "counter", "labels": {"channel": ["web"]}}, pages=[page])
    assert str(caught.value.faults[0]).startswith(f"settings: dashboards.{sentence}")


def test_without_signals_the_dashboards_are_as_before() -> None:
    assert list(generated(Settings())) == ["fleet.json", "operations.json", "business.json"]
    assert signal_rows(Settings(), "business") == ()
