"""The table of the Fleet dashboard: one row per service, with a link to its Operations dashboard."""

from __future__ import annotations

from typing import Any

import pytest

from dashboards import DASHBOARDS
from instrumentation.settings import parse_settings

SETTINGS = parse_settings(
    {"thresholds": {"error_ratio": {"warning": 0.03, "critical": 0.07}}, "alerting": {"group_by": ["job", "namespace"]}}
)


@pytest.fixture(scope="module")
def table() -> dict[str, Any]:
    dashboard: Any = DASHBOARDS["fleet"](SETTINGS)
    (found,) = (panel for panel in dashboard["panels"] if panel["type"] == "table")
    return dict(found)


def _properties(table: dict[str, Any], heading: str) -> dict[str, Any]:
    (override,) = (
        override
        for override in table["fieldConfig"]["overrides"]
        if override["matcher"] == {"id": "byName", "options": heading}
    )
    return {each["id"]: each["value"] for each in override["properties"]}


def test_each_query_is_a_column_of_one_table(table: dict[str, Any]) -> None:
    merge, organize = table["transformations"]
    assert merge["id"] == "merge"
    headings = organize["options"]["renameByName"]
    assert [headings[f"Value #{target['refId']}"] for target in table["targets"]] == [
        *("Alerts", "Instances", "Requests", "Error ratio", "Latency p95", "Error budget left"),
    ]
    assert (headings["job"], headings["namespace"]) == ("Service", "Namespace")
    assert all((target["instant"], target["format"]) == (True, "table") for target in table["targets"])


def test_services_with_alerts_come_first(table: dict[str, Any]) -> None:
    assert table["options"]["sortBy"] == [{"displayName": "Alerts", "desc": True}]


def test_the_name_leads_to_the_services_operations_with_its_time_and_data_source(table: dict[str, Any]) -> None:
    (link,) = _properties(table, "Service")["links"]
    path, _, query = link["url"].partition("?")
    assert path == "/d/sidelight-operations"
    assert query.split("&") == [
        *(
            "var-job=${__data.fields.Service:percentencode}",
            "var-namespace=${__data.fields.Namespace:percentencode}",
            "${datasource:queryparam}",
            "${__url_time_range}",
        ),
    ]


def test_a_column_has_the_colours_of_its_alert_and_its_own_unit(table: dict[str, Any]) -> None:
    properties = _properties(table, "Error ratio")
    assert properties["unit"] == "percentunit"
    assert properties["custom.cellOptions"] == {"type": "color-text"}
    steps = properties["thresholds"]["steps"]
    assert [step["value"] for step in steps] == [None, 0.03, 0.07]
    assert len({step["color"] for step in steps}) == 3


def test_a_column_without_limits_has_no_colour(table: dict[str, Any]) -> None:
    assert _properties(table, "Instances")["custom.cellOptions"] == {"type": "auto"}
