"""From a panel one gets to the runbook, the logs and the traces of the service that it shows."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from alerts import ALERTS
from dashboards import DASHBOARDS, panels_of
from instrumentation.errors import SettingsError
from instrumentation.settings import Settings, parse_settings

RUNBOOKS = {"runbook_url": "https://wiki.example/{alert}.md?{labels}"}


def panels(page: str, alerting: dict[str, str] | None = None, **dashboards: str) -> dict[str, dict[str, Any]]:
    dashboard: Any = DASHBOARDS[page](parse_settings({"dashboards": dashboards, "alerting": alerting or {}}))
    return {panel["title"]: panel for panel in panels_of(dashboard)}


def of_line(panel: dict[str, Any]) -> dict[str, str]:
    return {link["title"]: link["url"] for link in panel["fieldConfig"]["defaults"].get("links", ())}


def of_cell(panel: dict[str, Any], heading: str) -> dict[str, str]:
    (found,) = (
        one["value"]
        for override in panel["fieldConfig"]["overrides"]
        for one in override["properties"]
        if (override["matcher"]["options"], one["id"]) == (heading, "links")
    )
    return {link["title"]: link["url"] for link in found}


def explored(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    assert parts.path == "/explore"
    (pane,) = json.loads(parse_qs(parts.query)["panes"][0]).values()
    return dict(pane)


def test_a_line_leads_to_its_services_logs_in_loki_and_its_failed_traces_in_tempo() -> None:
    urls = of_line(panels("operations", loki="logs-uid", loki_label="app", tempo="traces-uid")["Error ratio"])
    logs, traces = explored(urls["Logs of this service"]), explored(urls["Traces of this service"])
    assert logs["datasource"] == "logs-uid"
    assert logs["queries"][0]["expr"] == '{app="${__field.labels.job:percentencode}"}'
    assert logs["range"] == {"from": "${__from}", "to": "${__to}"}
    assert traces["queries"][0]["datasource"] == {"uid": "traces-uid"}
    assert traces["queries"][0]["query"] == (
        '{resource.service.name = "${__field.labels.job:percentencode}" && status = error}'
    )


def test_a_line_without_failures_leads_to_all_traces() -> None:
    url = of_line(panels("operations", tempo="traces-uid")["Request rate"])["Traces of this service"]
    assert "status" not in explored(url)["queries"][0]["query"]


def test_logs_and_traces_may_be_elsewhere() -> None:
    given = {
        "logs_url": "https://logs.example/#/q=app:{job}&t={from}-{to}",
        "traces_url": "https://traces.example/{job}",
    }
    assert of_line(panels("operations", **given)["Latency"]) == {
        "Logs of this service": "https://logs.example/#/q=app:${__field.labels.job:percentencode}&t=${__from}-${__to}",
        "Traces of this service": "https://traces.example/${__field.labels.job:percentencode}",
    }


def test_without_settings_a_line_leads_nowhere() -> None:
    assert of_line(panels("operations")["Error ratio"]) == {}


def test_a_service_in_a_table_leads_to_its_dashboard_logs_and_traces() -> None:
    given = {"loki": "l", "tempo": "t"}
    for panel, heading in (
        (panels("fleet", **given)["Services at a glance"], "Service"),
        (panels("operations", **given)["Firing alerts"], "Job"),
    ):
        assert list(of_cell(panel, heading)) == [
            *("Operations of this service", "Logs of this service", "Traces of this service")
        ]


def test_the_name_of_a_firing_alert_leads_to_its_runbook() -> None:
    urls = of_cell(panels("operations", RUNBOOKS)["Firing alerts"], "Alert")
    assert urls == {"Runbook": "https://wiki.example/${__value.raw:percentencode}.md?"}


def test_without_an_address_of_runbooks_no_panel_has_a_link_to_one() -> None:
    found = panels("operations")
    assert not [title for title, panel in found.items() if panel.get("links")]
    assert "runbook" not in json.dumps(found)


def test_a_panel_with_thresholds_leads_to_the_runbook_of_an_alert_that_exists() -> None:
    names = {alert.name for alert in ALERTS}
    linked = {
        title: panel["links"][0]["url"] for title, panel in panels("operations", RUNBOOKS).items() if panel.get("links")
    }
    assert {"Error ratio", "Latency", "Queue depth", "CPU usage", "Memory usage", "Disk usage"} <= set(linked)
    assert {url.rpartition("/")[2].removesuffix(".md?") for url in linked.values()} <= names


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"logs_url": "https://logs.example/{pod}"}, "{job}, {from} and {to}"),
        ({"traces_url": "traces.example/{job}"}, "http:// or https://"),
        ({"loki": "a", "logs_url": "https://logs.example/{job}"}, "give either loki or logs_url"),
    ],
)
def test_a_wrong_place_of_logs_is_refused(given: dict[str, str], sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence.replace("{", r"\{")):
        parse_settings({"dashboards": given})


def test_links_keep_time_range_and_data_source() -> None:
    url = of_cell(panels("fleet")["Services at a glance"], "Service")["Operations of this service"]
    assert url.endswith("&${datasource:queryparam}&${__url_time_range}")
    assert Settings().dashboards.loki is None
