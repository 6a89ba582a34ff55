"""The rules that a real Helm renders equal the rules that Sidelight generates."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from alerts import generated, groups
from instrumentation.settings import Settings, parse_settings
from sidelight.toolchain import tool

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Chart

OWNER = {"sidelight": "monitoring/obs-sidelight"}
SEARCH = {
    "match": {"job": "search"},
    "error_ratio": {"critical": 0.3},
    "latency_p95_seconds": {"warning": 2.5, "critical": 7.5},
}
GROUPS = [group.name.removeprefix("sidelight.") for group in groups(Settings())]
BUDGET = {"budget": {"daily_usd": 7.3}}
SETTINGS = {
    "the defaults": {},
    "overrides": {"thresholds": {"overrides": [SEARCH, {"match": {"job": "on"}, "error_ratio": {"warning": 0.005}}]}},
    "other labels": {"alerting": {"group_by": ["cluster", "namespace", "job"], "for": {"critical": "1h30m"}}},
    "a tiny share": {"thresholds": {"error_ratio": {"warning": 0.00001, "critical": 0.000123}}},
    "one request in a million": {"thresholds": {"error_ratio": {"warning": 1e-06, "critical": 0.0001}}},
    "large seconds": {"thresholds": {"queue_oldest_age_seconds": {"warning": 0.8, "critical": 100000000}}},
    "odd seconds": {"thresholds": {"queue_oldest_age_seconds": {"warning": 2.5, "critical": 1234567.875}}},
    "large counts": {"alerting": {"minimum_bad_events": 100000000}, "thresholds": {"queue_depth": {"critical": 10**8}}},
    "a budget": {
        **BUDGET,
        "thresholds": {"overrides": [{**SEARCH, "daily_usd": 0.013, "cpu_used_ratio": {"warning": 0.7}}]},
    },
    "parts of a service": {
        "thresholds": {
            "overrides": [
                {
                    "match": {"queue": "e-mails"},
                    "queue_depth": {"warning": 7},
                    "queue_oldest_age_seconds": {"critical": 7e6},
                },
                {"match": {"path": "/var/lib"}, "disk_used_ratio": {"critical": 0.99}},
            ]
        }
    },
}


def without_owner(rules: dict[str, Any]) -> dict[str, Any]:
    """Rules without the label that says whose they are, which every alert of the chart has."""
    for group in rules["groups"]:
        for rule in group["rules"]:
            if "alert" in rule:
                assert rule["labels"].pop("sidelight") == "monitoring/obs-sidelight"
    return rules


@pytest.mark.parametrize("name", SETTINGS)
def test_rendered_rules_equal_the_generated_rules(name: str, build: Callable[..., Chart]) -> None:
    settings = parse_settings(SETTINGS[name])
    expected = yaml.safe_load(generated(settings)["rules.yaml"])
    (rule,) = build(settings).rendered()
    assert rule["kind"] == "PrometheusRule"
    assert without_owner(rule["spec"]) == expected


def test_the_config_map_holds_the_same_rules_and_promtool_accepts_them(chart: Chart, tmp_path: Path) -> None:
    (config_map,) = chart.rendered({"rules": {"kind": "ConfigMap"}})
    assert (config_map["kind"], config_map["metadata"]["name"]) == ("ConfigMap", "obs-sidelight-rules")
    ((name, text),) = config_map["data"].items()
    assert without_owner(yaml.safe_load(text)) == yaml.safe_load(generated(Settings())["rules.yaml"])
    file = tmp_path / name
    file.write_text(text)
    for promtool in ("promtool", "promtool-oldest"):
        command = [tool(promtool), "check", "rules", "--lint=all", "--lint-fatal", file]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_a_threshold_changes_expression_and_sentence_together(chart: Chart) -> None:
    values = {"alerts": {"HighErrorRate": {"critical": {"threshold": 0.07, "minimum_bad_events": 11}}}}
    before, after = chart.alerts("HighErrorRate"), chart.alerts("HighErrorRate", values)
    rule = after["critical"]
    assert "ratio_rate5m > 0.07\n" in rule["expr"]
    assert rule["expr"].endswith(">= 11")
    assert rule["annotations"]["description"].endswith('(limit {{ "0.07" | humanizePercentage }}).')
    assert "0.05" not in str(rule)
    assert after["warning"] == before["warning"]


def test_the_rule_for_overrides_can_be_disabled_alone(build: Callable[..., Chart]) -> None:
    chart = build(parse_settings(SETTINGS["overrides"]))
    values = {"alerts": {"HighErrorRate": {"critical_overrides": {"enabled": False}}}}
    before, after = (
        [rule["expr"] for group in made for rule in group["rules"]] for made in (chart.groups(), chart.groups(values))
    )
    (gone,) = set(before) - set(after)
    assert "> job:error_ratio_threshold:critical\n" in gone


def test_durations_severity_and_labels_can_be_changed(chart: Chart) -> None:
    rule = {"for": "7m", "keep_firing_for": "1h3m", "severity": "page"}
    values = {"alerts": {"HighErrorRate": {"labels": {"team": "checkout"}, "critical": rule}}}
    after = chart.alerts("HighErrorRate", values)
    assert (after["page"]["for"], after["page"]["keep_firing_for"]) == ("7m", "1h3m")
    assert after["page"]["labels"] == {"severity": "page", "team": "checkout", **OWNER}
    assert after["warning"]["labels"] == {"severity": "warning", "team": "checkout", **OWNER}


def test_an_alert_keeps_its_own_labels_beside_those_given(chart: Chart) -> None:
    values = {"alerts": {"DeploymentCompleted": {"labels": {"team": "{{ $labels.team }}"}}}}
    labels = chart.alerts("DeploymentCompleted", values)["info"]["labels"]
    assert labels == {"severity": "info", "kind": "event", "team": "{{ $labels.team }}", **OWNER}


def test_null_takes_keep_firing_for_away(chart: Chart) -> None:
    values = {"alerts": {"ServiceDown": {"critical": {"keep_firing_for": None}}}}
    after = chart.alerts("ServiceDown", values)
    assert "keep_firing_for" not in after["critical"]
    assert after["warning"]["keep_firing_for"] == "2m"


def test_one_severity_can_be_disabled(chart: Chart) -> None:
    values = {"alerts": {"HighErrorRate": {"warning": {"enabled": False}}}}
    assert list(chart.alerts("HighErrorRate", values)) == ["critical"]


def test_a_lower_critical_is_accepted_if_the_warning_is_disabled(chart: Chart) -> None:
    values = {"alerts": {"HighErrorRate": {"critical": {"threshold": 0.003}, "warning": {"enabled": False}}}}
    assert "> 0.003\n" in chart.alerts("HighErrorRate", values)["critical"]["expr"]


def test_a_disabled_alert_goes_with_what_only_it_reads(chart: Chart) -> None:
    groups = chart.groups({"alerts": {"CPUSaturated": {"enabled": False}}})
    (resources,) = (group for group in groups if group["name"] == "sidelight.resources")
    assert {rule["alert"] for rule in resources["rules"] if "alert" in rule} == {"MemoryNearLimit", "DiskFillingUp"}
    assert [rule["record"] for rule in resources["rules"] if "record" in rule] == [
        "job_instance:container_memory_used_per_limit:ratio",
        "job_instance_path:disk_used_per_size:ratio",
    ]


def test_a_recorded_series_stays_for_an_alert_of_another_group(chart: Chart) -> None:
    groups = chart.groups({"alerts": {"DeploymentCompleted": {"enabled": False}}})
    (deployment,) = (group for group in groups if group["name"] == "sidelight.deployment")
    assert "job_service_version:target_info:count" in [rule["record"] for rule in deployment["rules"]]
    assert not [rule for rule in deployment["rules"] if "alert" in rule]


def test_what_a_dashboard_shows_stays_without_its_alert(build: Callable[..., Chart]) -> None:
    chart = build(parse_settings(BUDGET))
    (cost,) = (
        group
        for group in chart.groups({"alerts": {"DailyCostOverBudget": {"enabled": False}}})
        if group["name"] == "sidelight.cost"
    )
    assert len([rule for rule in cost["rules"] if "record" in rule]) == len(cost["rules"]) == 5


def test_further_thresholds_of_an_alert_are_values_of_their_own(chart: Chart) -> None:
    values = {"alerts": {"QueueBacklogGrowing": {"critical": {"queue_oldest_age_seconds": 700}}}}
    rule = chart.alerts("QueueBacklogGrowing", values)["critical"]
    assert "queue_oldest_age_seconds:max > 700\n" in rule["expr"]
    assert '"700" | humanizeDuration' in rule["annotations"]["description"]


def test_a_disabled_group_is_left_out(chart: Chart) -> None:
    names = [group["name"] for group in chart.groups({"rules": {"groups": {"queues": False}}})]
    assert names == [f"sidelight.{group}" for group in GROUPS if group != "queues"]


def test_a_group_without_rules_is_left_out(chart: Chart) -> None:
    names = [group["name"] for group in chart.groups({"alerts": {"Watchdog": {"none": {"enabled": False}}}})]
    assert names == [f"sidelight.{group}" for group in GROUPS if group != "meta"]


@pytest.mark.parametrize("kind", ["PrometheusRule", "ConfigMap"])
def test_no_rules_make_no_object(kind: str, chart: Chart) -> None:
    off = dict.fromkeys(GROUPS, False)
    assert chart.rendered({"rules": {"kind": kind, "groups": off}}) == []
    assert chart.rendered({"rules": {"kind": kind, "enabled": False}}) == []


def test_a_changed_setting_changes_the_default_and_the_bucket_edges(build: Callable[..., Chart]) -> None:
    chart = build(parse_settings({"thresholds": {"latency_p95_seconds": {"critical": 0.8}}}))
    values = yaml.safe_load((chart.path / "values.yaml").read_text())
    assert values["alerts"]["HighLatencyP95"]["critical"]["threshold"] == 0.8
    assert 0.8 in values["bucketEdges"]
    assert "> 0.8\n" in chart.alerts("HighLatencyP95")["critical"]["expr"]


def test_a_latency_threshold_may_be_any_edge_but_the_highest(chart: Chart) -> None:
    values = {"alerts": {"HighLatencyP95": {"critical": {"threshold": 7.5}}}}
    assert 'le=~"7.5(|.0)"' in chart.alerts("HighLatencyP95", values)["critical"]["expr"]


def test_an_edge_added_to_the_chart_serves_as_threshold(chart: Chart) -> None:
    values = {"bucketEdges": [3, 0.7, 1, 0.5], "alerts": {"HighLatencyP95": {"critical": {"threshold": 0.7}}}}
    assert "> 0.7\n" in chart.alerts("HighLatencyP95", values)["critical"]["expr"]
