"""An alert is held back only by what is about the same thing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from alerts import groups
from alerts.alertmanager.inhibition import inhibit_rules
from alerts.model import AlertRule, RuleGroup
from instrumentation.settings import Settings, parse_settings

SETTINGS = parse_settings(
    {
        "alerting": {"group_by": ["job", "region"]},
        "thresholds": {"overrides": [{"match": {"queue": "emails"}, "queue_depth": {"critical": 7000}}]},
        "budget": {"daily_usd": 7.0},
    }
)


def compared(settings: Settings, made: list[RuleGroup]) -> dict[str, list[str]]:
    """Alert to the labels that must be equal for its critical to hold back its warning."""
    rules: Any = inhibit_rules(settings, made)
    return {
        name: rule["equal"]
        for rule in rules
        if rule["source_matchers"][0] == rule["target_matchers"][0]
        for name in rule["source_matchers"][0].removeprefix('alertname=~"').rstrip('"').split("|")
    }


def test_every_alert_with_two_severities_compares_the_labels_of_what_it_is_about() -> None:
    service = ["alertname", "job", "region", "cluster", "namespace", "environment"]
    assert compared(SETTINGS, groups(SETTINGS)) == {
        "HighErrorRate": service,
        "HighLatencyP95": service,
        "ServiceDown": service,
        "RequestsHanging": service,
        "DailyCostOverBudget": service,
        "ErrorBudgetBurn": [*service, "slo"],
        "QueueBacklogGrowing": [*service, "queue"],
        "WorkflowFailures": [*service, "workflow"],
        "CPUSaturated": [*service, "instance"],
        "MemoryNearLimit": [*service, "instance"],
        "DiskFillingUp": [*service, "instance", "path"],
        "DependencyFailing": [*service, "server_address"],
        "ConnectionPoolNearLimit": [*service, "db_client_connection_pool_name", "instance"],
    }


def test_a_workflow_that_fails_too_often_inhibits_that_it_keeps_failing() -> None:
    rules: Any = inhibit_rules(SETTINGS, groups(SETTINGS))
    (rare,) = (rule for rule in rules if rule["target_matchers"] == ['alertname="WorkflowKeepsFailing"'])
    assert rare["source_matchers"] == ['alertname="WorkflowFailures"']
    assert rare["equal"][-1] == "workflow"


def test_an_alert_that_keeps_another_label_compares_it_too() -> None:
    by_instance = {
        "job_region_queue:queue_depth:max": "job_region_instance_queue:queue_depth:max",
        "by (job, region, queue)": "by (job, region, instance, queue)",
    }

    def changed(rule: Any) -> Any:
        for old, new in by_instance.items():
            rule = replace(rule, expr=rule.expr.replace(old, new))
        return rule if isinstance(rule, AlertRule) else replace(rule, record=by_instance.get(rule.record, rule.record))

    made = [replace(group, rules=tuple(map(changed, group.rules))) for group in groups(SETTINGS)]
    assert compared(SETTINGS, made)["QueueBacklogGrowing"][-2:] == ["instance", "queue"]


def test_a_threshold_and_a_budget_inhibit_each_others_warning_about_the_same_requests() -> None:
    rules: Any = inhibit_rules(SETTINGS, groups(SETTINGS))
    pairs = {
        (" ".join(rule["source_matchers"]), " ".join(rule["target_matchers"]))
        for rule in rules
        if rule["equal"][0] != "alertname" and 'severity="warning"' in rule["target_matchers"]
    }
    errors, slow = 'alertname="HighErrorRate"', 'alertname="HighLatencyP95"'
    budget = 'alertname="ErrorBudgetBurn"'
    critical, warning = 'severity="critical"', 'severity="warning"'
    assert pairs == {
        (f"{errors} {critical}", f'{budget} slo="availability" {warning}'),
        (f'{budget} slo="availability" {critical}', f"{errors} {warning}"),
        (f"{slow} {critical}", f'{budget} slo="latency" {warning}'),
        (f'{budget} slo="latency" {critical}', f"{slow} {warning}"),
    }
