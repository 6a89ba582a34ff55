"""The dashboards show everything the documentation promises, for a service with a budget."""

from __future__ import annotations

from typing import Any

import pytest

from dashboards import DASHBOARDS, panels_of
from instrumentation.settings import parse_settings

SETTINGS = parse_settings({"budget": {"daily_usd": 7.0}})
PROMISED = {
    "operations": {
        "request rate": "Request rate",
        "error rate": "Error ratio",
        "p50, p95 and p99 with the threshold lines": "Latency",
        "active users": "Active users",
        "active connections": "Active connections",
        "queue depth": "Queue depth",
        "CPU": "CPU",
        "memory": "Memory",
        "disk": "Disk usage",
        "dependencies": "Dependency latency p95",
        "slowest routes": "Slowest routes",
        "most failing routes": "Most failing routes",
        "error budget": "Error budget left",
        "firing alerts": "Firing alerts",
    },
    "fleet": {
        "all services at a glance": "Services at a glance",
        "what fires": "Alerts firing",
        "the worst": "Worst error ratio",
    },
    "business": {
        "daily active users": "Daily active users",
        "workflows created": "Workflows created",
        "workflows executed": "Workflows executed",
        "success rate": "Success rate",
        "cost per execution": "Cost per execution",
        "cost today": "Cost today",
        "against budget": "Budget spent today",
        "workflow duration": "Workflow duration",
        "top workflows": "Top workflows",
    },
}


def panels(page: str) -> dict[str, Any]:
    dashboard: Any = DASHBOARDS[page](SETTINGS)
    return {panel["title"]: panel for panel in panels_of(dashboard)}


@pytest.mark.parametrize(("page", "title"), [(page, title) for page in PROMISED for title in PROMISED[page].values()])
def test_a_promised_panel_is_there(page: str, title: str) -> None:
    assert panels(page)[title]["targets"]


def test_latency_has_its_three_percentiles_and_a_line_at_each_threshold() -> None:
    latency = panels("operations")["Latency"]
    assert [target["legendFormat"].split()[-1] for target in latency["targets"]] == ["p50", "p95", "p99"]
    steps = latency["fieldConfig"]["defaults"]["thresholds"]["steps"]
    assert [step["value"] for step in steps if step.get("value")] == [0.5, 1.0]
    assert latency["fieldConfig"]["defaults"]["custom"]["thresholdsStyle"]["mode"] != "off"


@pytest.mark.parametrize("page", PROMISED)
def test_deployments_and_alerts_are_marked(page: str) -> None:
    dashboard: Any = DASHBOARDS[page](SETTINGS)
    assert [one["name"] for one in dashboard["annotations"]["list"][1:]] == ["Deployments", "Firing alerts"]
