"""The contents of the chart's files, without Helm."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml

from alerts import ALERTS, groups
from instrumentation.settings import Duration, Settings, parse_settings
from sidelight.chart import CONFIGMAP_BYTES, ChartError, chart_files, dashboard_files

BUDGET = parse_settings({"budget": {"daily_usd": 7.3}})  # with it there is every rule
VALUES = "values.yaml"
SCHEMA = "values.schema.json"


def values(settings: Settings) -> Any:
    return yaml.safe_load(chart_files(settings)[VALUES])


def rules_file(settings: Settings) -> Any:
    return yaml.safe_load(chart_files(settings)["files/rules.yaml"])


def objects(schema: Any) -> list[dict[str, Any]]:
    """Every schema of an object within a schema."""
    inner = schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ()
    own = [schema] if isinstance(schema, dict) and schema.get("type") == "object" else []
    return own + [found for part in inner for found in objects(part)]


def test_every_alert_and_every_rule_has_its_values() -> None:
    found = values(BUDGET)["alerts"]
    assert list(found) == [alert.name for alert in ALERTS]
    for alert in ALERTS:
        assert set(found[alert.name]) == {
            "enabled",
            "labels",
            "annotations",
            *(rule.key for rule in alert.rules(BUDGET)),
        }


def test_an_alert_without_a_rule_has_no_values() -> None:
    assert set(values(BUDGET)["alerts"]) - set(values(Settings())["alerts"]) == {"DailyCostOverBudget"}
    assert "cost" not in values(Settings())["rules"]["groups"]


def test_every_group_has_its_switch() -> None:
    names = [group.name for group in groups(Settings())]
    assert [f"sidelight.{key}" for key in values(Settings())["rules"]["groups"]] == names


def test_every_placeholder_has_a_number_in_the_values() -> None:
    for alert in ALERTS:
        for rule in alert.rules(Settings()):
            own = values(Settings())["alerts"][alert.name][rule.key]
            numbers = {place: parameter.value for place, parameter in rule.parameters.items()}
            assert {place: own[place] for place in rule.parameters} == numbers


def test_a_latency_threshold_is_marked_as_one_that_must_be_an_edge() -> None:
    rules = [rule for alert in ALERTS for rule in alert.rules(Settings())]
    marked = {
        (rule.alert, parameter.value) for rule in rules for parameter in rule.parameters.values() if parameter.on_edge
    }
    assert {alert for alert, _ in marked} == {"HighLatencyP95"}
    assert {edge for _, edge in marked} <= set(Settings().duration_edges)


def test_placeholders_stay_in_the_rules() -> None:
    settings = parse_settings({"thresholds": {"error_ratio": {"critical": 0.0537}}})
    text = chart_files(settings)["files/rules.yaml"]
    rules = [rule for alert in ALERTS for rule in alert.rules(settings) if "threshold" in rule.parameters]
    assert text.count("> [[threshold]]") >= len(rules) == 21
    assert "0.0537" not in text


def test_a_recorded_series_names_the_alerts_that_read_it_by_way_of_others() -> None:
    rules = {rule.get("record"): rule for group in rules_file(Settings())["groups"] for rule in group["rules"]}
    assert rules["job_slo:error_budget_burn:ratio_rate30m"]["readers"] == ["ErrorBudgetBurn.critical"]
    assert rules["job:target_info:time_replaced"]["shown"]  # Operations shows it, so it is always recorded
    assert sorted(rules["job_instance_workflow:workflow_failures:sum"]["readers"]) == [
        "WorkflowFailures.critical",
        "WorkflowFailures.warning",
        "WorkflowKeepsFailing.warning",
    ]


def test_what_a_dashboard_shows_is_recorded_whatever_becomes_of_the_alerts() -> None:
    rules = {rule.get("record"): rule for group in rules_file(BUDGET)["groups"] for rule in group["rules"]}
    for record in (
        "job:workflow_cost_usd:increase_today",
        "job_instance:workflow_cost_usd_total:sum",
        "job:http_server_requests:rate5m",
    ):
        assert rules[record]["shown"]


def test_only_the_switch_and_the_globals_of_a_parent_chart_are_allowed_without_a_default() -> None:
    schema = json.loads(chart_files(Settings())[SCHEMA])
    assert set(schema["properties"]) - set(values(Settings())) == {"global", "enabled"}


def test_the_schema_closes_every_object_but_a_parents_globals() -> None:
    schema = json.loads(chart_files(Settings())[SCHEMA])
    still_open = [one for one in objects(schema) if one.get("additionalProperties") is not False]
    assert still_open == [{"type": "object"}]


def test_the_schema_asks_for_every_default_but_keep_firing_for() -> None:
    schema = json.loads(chart_files(Settings())[SCHEMA])
    critical = schema["properties"]["alerts"]["properties"]["HighErrorRate"]["properties"]["critical"]
    assert set(critical["properties"]) - set(critical["required"]) == {"keep_firing_for"}


@pytest.mark.parametrize("given", ["7s", "1h30m", "2d", "0s", "", "5", "5 m", "1m1h", "-3m", "0h0m"])
def test_the_schemas_durations_are_those_of_the_settings(given: str) -> None:
    duration = json.loads(chart_files(Settings())[SCHEMA])["definitions"]["duration"]
    patterns = [duration["pattern"], *(part["pattern"] for part in duration["allOf"])]
    assert all(re.search(pattern, given) for pattern in patterns) == (Duration(given).seconds > 0)


def test_every_section_of_the_values_has_a_comment() -> None:
    lines = chart_files(Settings())[VALUES].splitlines()
    sections = [number for number, line in enumerate(lines) if line and line[0] not in "# "]
    assert len(sections) == 14
    assert all(lines[number - 1].startswith("# ") for number in sections)


def test_comments_do_not_run_wide() -> None:
    assert max(map(len, chart_files(Settings())[VALUES].splitlines())) <= 110


@pytest.mark.parametrize(
    ("setting", "path", "expected"),
    [
        ({"thresholds": {"error_ratio": {"critical": 0.07}}}, "alerts.HighErrorRate.critical.threshold", 0.07),
        ({"alerting": {"minimum_bad_events": 7}}, "alerts.HighLatencyP95.warning.minimum_bad_events", 7),
        ({"alerting": {"for": {"warning": "7m"}}}, "alerts.ServiceDown.warning.for", "7m"),
        ({"alerting": {"keep_firing_for": "3m"}}, "alerts.ServiceDown.critical.keep_firing_for", "3m"),
        ({"dashboards": {"folder": "Shop"}}, "dashboards.folder", "Shop"),
        ({"metrics": {"path": "/m"}}, "podMonitor.path", "/m"),
        ({"metrics": {"path": None}}, "podMonitor.path", "/metrics"),
        ({"metrics": {"scrape_interval": "7s"}}, "podMonitor.interval", "7s"),
        ({"http": {"duration_buckets": [0.3, 3]}}, "bucketEdges", [0.3, 0.5, 1.0, 3.0]),
    ],
)
def test_a_setting_changes_the_chart_default(setting: dict[str, Any], path: str, expected: object) -> None:
    found: Any = values(parse_settings(setting))
    for key in path.split("."):
        found = found[key]
    assert found == expected


def test_overrides_have_one_block_of_values_without_a_threshold() -> None:
    matches = [{"match": {"job": name}, "error_ratio": {"critical": 0.3}} for name in ("a-b", "a.b", "search")]
    settings = parse_settings({"thresholds": {"overrides": matches}})
    found = values(settings)["alerts"]["HighErrorRate"]
    assert "threshold" not in found["critical_overrides"]
    assert found["critical_overrides"]["for"] == "2m"
    assert "warning_overrides" not in found
    assert {"alert": "HighErrorRate", "critical": "critical", "warning": "warning"} in rules_file(settings)["order"]


def test_a_rule_that_no_object_of_kubernetes_holds_is_refused() -> None:
    def chart(count: int) -> object:
        own = [
            {"match": {"job": f"service-{number:05}"}, "error_ratio": {"critical": 0.1 + number / 100_000}}
            for number in range(count)
        ]
        return chart_files(parse_settings({"thresholds": {"overrides": own}}))

    assert chart(1000)
    with pytest.raises(ChartError, match=r"the rule job:error_ratio_threshold:critical got \d{3},\d{3} characters"):
        chart(4000)


def test_a_dashboard_goes_where_the_template_looks() -> None:
    assert dashboard_files({"a.json": "{}"}) == {"files/dashboards/a.json": "{}"}


def test_a_dashboard_as_large_as_a_config_map_is_taken_and_a_byte_more_is_refused() -> None:
    largest = "é" * ((CONFIGMAP_BYTES - len("a.json")) // 2)
    assert dashboard_files({"a.json": largest})
    with pytest.raises(
        ChartError, match=r"^a\.json: is 1048577 bytes with its name, but a ConfigMap holds at most 1048576; split"
    ):
        dashboard_files({"a.json": largest + "x"})


def test_the_files_are_the_same_every_time() -> None:
    assert chart_files(Settings()) == chart_files(Settings())
