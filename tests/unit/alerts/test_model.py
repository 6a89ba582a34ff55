"""Rules are derived only from settings and catalog."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from alerts import ALERTS, AlertRule, RuleGroup, generated, groups
from alerts.checking.series import faults
from alerts.model import RecordingRule, number
from alerts.recording.cost import cost_rules
from alerts.rule_tests.promtool import rendered
from instrumentation import catalog
from instrumentation.settings import Settings, parse_settings
from instrumentation.settings.faults import section_of

if TYPE_CHECKING:
    from collections.abc import Iterator

SEARCH_IS_SLOW = parse_settings(
    {
        "thresholds": {
            "overrides": [
                {"match": {"job": "search"}, "latency_p95_seconds": {"critical": 2.2, "warning": 1.3}},
                {"match": {"namespace": "batch"}, "error_ratio": {"critical": 0.2}},
                {"match": {"queue": "emails"}, "queue_depth": {"critical": 7000}},
                {"match": {"job": "agents"}, "daily_usd": 13.0},
            ]
        },
        "alerting": {"group_by": ["job", "namespace"]},
    }
)
BUDGET = parse_settings({"budget": {"daily_usd": 7.3}})  # with it there is every rule
BOTH = pytest.mark.parametrize("settings", [BUDGET, SEARCH_IS_SLOW], ids=["defaults", "overrides"])


def alert_rules(settings: Settings) -> list[AlertRule]:
    return [rule for group in groups(settings) for rule in group.rules if isinstance(rule, AlertRule)]


def rule(settings: Settings, alert: str, key: str) -> AlertRule:
    return next(rule for rule in alert_rules(settings) if (rule.alert, rule.key) == (alert, key))


@BOTH
def test_every_rule_reads_only_what_exists(settings: Settings) -> None:
    assert faults(groups(settings), settings.alerting.group_by) == []


def test_renaming_a_row_of_the_catalog_breaks_the_rules_that_read_it(monkeypatch: pytest.MonkeyPatch) -> None:
    made = groups(Settings())
    others = tuple(row for row in catalog.METRICS if row is not catalog.TARGET_INFO)
    renamed = replace(catalog.TARGET_INFO, name="renamed_info")
    monkeypatch.setattr("alerts.checking.promql.METRICS", (*others, renamed))
    told = "job_service_version:target_info:count reads 'target_info', which is in no catalog row and no recording rule"
    assert told in faults(made, ["job"])


def test_a_sentence_with_a_label_that_the_rule_drops_is_reported() -> None:
    down = replace(rule(Settings(), "ServiceDown", "critical"), description="{{ $labels.instance }} is down.")
    group = RuleGroup(name="x", interval=Settings().alerting.window, rules=(*groups(Settings())[1].rules, down))
    assert faults([group], ["job"]) == [
        "ServiceDown (critical) says $labels.instance, which its expression does not return"
    ]


@BOTH
def test_every_placeholder_has_its_number(settings: Settings) -> None:
    for made in alert_rules(settings):
        places = set(re.findall(r"\[\[(\w+)\]\]", made.expr + made.description))
        assert places == set(made.parameters), made.alert
        assert "[[" not in yaml.safe_dump(made.document())


@pytest.mark.parametrize(
    ("alert", "section"), [("HighErrorRate", "error_ratio"), ("HighLatencyP95", "latency_p95_seconds")]
)
def test_changing_a_threshold_changes_the_expression_and_the_sentence_together(alert: str, section: str) -> None:
    changed = rule(parse_settings({"thresholds": {section: {"critical": 0.73}}}), alert, "critical")
    assert "> 0.73\n" in changed.filled(changed.expr)
    sentence = rendered(changed.filled(changed.description), {"job": "shop"}, 0.9)
    assert {"HighErrorRate": "the limit is 73%.", "HighLatencyP95": "the limit is 730ms."}[alert] in sentence


def test_an_override_holds_for_its_service_and_for_no_other() -> None:
    own = rule(SEARCH_IS_SLOW, "HighLatencyP95", "critical_job_search")
    base = rule(SEARCH_IS_SLOW, "HighLatencyP95", "critical")
    p95 = "job_namespace:http_server_request_duration_seconds:p95_rate5m"
    assert own.expr.startswith(f'{p95}{{job="search"}} > [[threshold]]\n')
    assert own.parameters["threshold"] == 2.2
    assert base.expr.startswith(f'({p95} unless {p95}{{job="search"}}) > [[threshold]]\n')


def test_an_override_may_name_a_queue() -> None:
    own = rule(SEARCH_IS_SLOW, "QueueBacklogGrowing", "critical_queue_emails")
    base = rule(SEARCH_IS_SLOW, "QueueBacklogGrowing", "critical")
    depth = "job_namespace_queue:queue_depth:max"
    assert own.expr.startswith(f'{depth}{{queue="emails"}} > [[threshold]]\n')
    assert own.parameters == {"threshold": 7000, "queue_oldest_age_seconds": 3600}
    assert base.expr.startswith(f'({depth} unless {depth}{{queue="emails"}}) > [[threshold]]\n')


def test_a_budget_of_one_service_does_not_apply_to_others() -> None:
    keys = [made.key for made in alert_rules(SEARCH_IS_SLOW) if made.alert == "DailyCostOverBudget"]
    assert keys == ["critical_job_agents", "warning_job_agents"]
    assert rule(SEARCH_IS_SLOW, "DailyCostOverBudget", "warning_job_agents").parameters == {"threshold": 10.4}


def test_a_budget_for_all_and_one_of_a_service_are_shares_of_their_own() -> None:
    own = {"match": {"job": "agents"}, "daily_usd": 13.0}
    settings = parse_settings({"budget": {"daily_usd": 7.3}, "thresholds": {"overrides": [own]}})
    records = {rule.record: rule.expr for rule in cost_rules(settings)}
    today = "job:workflow_cost_usd:increase_today"
    assert records["job:workflow_cost_usd_per_budget:ratio_today"] == (
        f'{today}{{job="agents"}} / 13\nor\n({today} unless {today}{{job="agents"}}) / 7.3'
    )


def test_without_a_budget_nothing_of_the_cost_is_recorded() -> None:
    assert cost_rules(Settings()) == []


def test_a_disk_that_may_be_fuller_is_full_later_too() -> None:
    static = {"match": {"path": "/static"}, "disk_used_ratio": {"warning": 0.98, "critical": 0.99}}
    settings = parse_settings({"thresholds": {"overrides": [static]}})
    assert rule(settings, "DiskFillingUp", "critical_path__static").parameters["full_ratio"] == 0.99
    assert rule(settings, "DiskFillingUp", "critical").parameters["full_ratio"] == 0.95


def test_an_override_without_a_number_changes_no_rule() -> None:
    keys = [made.key for made in alert_rules(SEARCH_IS_SLOW) if made.alert == "HighErrorRate"]
    assert keys == ["critical_namespace_batch", "critical", "warning"]


def test_a_value_in_an_override_cannot_break_out_of_its_quotes() -> None:
    settings = parse_settings(
        {"thresholds": {"overrides": [{"match": {"job": 'a"} or vector(1) #'}, "error_ratio": {"critical": 0.5}}]}}
    )
    assert faults(groups(settings), ["job"]) == []
    assert 'job="a\\"} or vector(1) #"' in generated(settings)["rules.yaml"].replace("\\\\", "\\")


@BOTH
def test_every_alert_waits_and_every_condition_compares(settings: Settings) -> None:
    for made in alert_rules(settings):
        assert made.for_.seconds > 0
        assert made.alert == "Watchdog" or re.search(r"[<>]=?|==|unless", made.expr)
        assert "bool" not in made.expr


@BOTH
def test_no_two_rules_are_the_same(settings: Settings) -> None:
    rules = alert_rules(settings)
    assert len({(made.alert, made.key) for made in rules}) == len(rules)
    assert len({made.filled(made.expr) for made in rules}) == len(rules)


@BOTH
def test_every_alert_links_its_runbook_and_its_dashboard(settings: Settings) -> None:
    for made in alert_rules(settings):
        assert made.urls["runbook_url"] == f"https://sidelight.example/runbooks/{made.alert}.md"
        board = "business" if made.alert in {"WorkflowFailures", "DailyCostOverBudget"} else "operations"
        assert made.urls["dashboard_url"].partition("?")[0] == f"https://grafana.example/d/sidelight-{board}"


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ('{{ "0.7" | humanizeDuration }}', "700ms"),
        ('{{ "73" | humanizeDuration }}', "1m 13s"),
        ('{{ "3600" | humanizeDuration }}', "1h 0m 0s"),
        ('{{ "93784" | humanizeDuration }}', "1d 2h 3m 4s"),
        ('{{ $value | printf "%.0f" }}', "12345"),
        ('{{ $value | printf "%.2f" }}', "12345.00"),
    ],
)
def test_a_sentence_reads_as_prometheus_would_write_it(template: str, text: str) -> None:
    assert rendered(template, {}, 12345) == text


@BOTH
def test_the_summary_is_the_same_for_every_service(settings: Settings) -> None:
    assert all("{{" not in made.summary for made in alert_rules(settings))


def test_recorded_series_are_named_level_metric_operations() -> None:
    records = [
        made.record for group in groups(SEARCH_IS_SLOW) for made in group.rules if isinstance(made, RecordingRule)
    ]
    assert records
    assert all(re.fullmatch(r"job_namespace(_\w+)?:\w+:\w+", record) for record in records)


NUMBERS_THAT_MATTER = [
    ("thresholds.error_ratio.warning", 0.02),
    ("thresholds.error_ratio.critical", 0.1),
    ("thresholds.latency_p95_seconds.warning", 0.7),
    ("thresholds.latency_p95_seconds.critical", 2.0),
    ("thresholds.cpu_used_ratio.warning", 0.6),
    ("thresholds.cpu_used_ratio.critical", 0.9),
    ("thresholds.memory_used_ratio.warning", 0.6),
    ("thresholds.memory_used_ratio.critical", 0.9),
    ("thresholds.disk_used_ratio.warning", 0.6),
    ("thresholds.disk_used_ratio.critical", 0.85),
    ("thresholds.disk_full_ratio", 0.97),
    ("thresholds.queue_depth.warning", 200),
    ("thresholds.queue_depth.critical", 2000),
    ("thresholds.queue_oldest_age_seconds.warning", 1200.0),
    ("thresholds.queue_oldest_age_seconds.critical", 7200.0),
    ("thresholds.workflow_failure_ratio.warning", 0.1),
    ("thresholds.workflow_failure_ratio.critical", 0.4),
    ("budget.daily_usd", 14.6),
    ("budget.spent_ratio.warning", 0.4),
    ("budget.spent_ratio.critical", 2.0),
    ("alerting.window", "10m"),
    ("alerting.workflow_window", "2h"),
    ("alerting.trend.window", "1h"),
    ("alerting.trend.queue_drained_within", "2h"),
    ("alerting.trend.memory_full_within.warning", "8h"),
    ("alerting.trend.memory_full_within.critical", "2h"),
    ("alerting.trend.disk_window", "12h"),
    ("alerting.trend.disk_full_within.warning", "2d"),
    ("alerting.trend.disk_full_within.critical", "8h"),
    ("alerting.minimum_bad_events", 6),
    ("alerting.for.critical", "4m"),
    ("alerting.for.warning", "10m"),
    ("alerting.for.info", "2m"),
    ("alerting.keep_firing_for", "4m"),
    ("alerting.evaluation_interval", "60s"),
    ("alerting.deployment_lookback", "30m"),
    ("alerting.slow_scrape_seconds", 5.0),
    ("alerting.collector_queue_ratio", 0.8),
    ("alerting.notification.group_wait", "60s"),
    ("alerting.notification.group_interval", "10m"),
    ("alerting.notification.repeat_interval", "8h"),
    ("alerting.notification.watchdog_interval", "2m"),
    ("slo.availability", 0.99),
    ("slo.latency.ratio", 0.95),
    ("slo.latency.seconds", 0.25),
    ("slo.period", "28d"),
]


@pytest.mark.parametrize(("path", "value"), NUMBERS_THAT_MATTER, ids=[path for path, _ in NUMBERS_THAT_MATTER])
def test_every_number_is_used(path: str, value: object) -> None:
    changed: Any = {"budget": {"daily_usd": 7.3}}
    *sections, key = path.split(".")
    place = changed
    for section in sections:
        place = place.setdefault(section, {})
    place[key] = value
    was, now = generated(BUDGET), generated(parse_settings(changed))
    differing = {name for name in was if was[name] != now[name]}
    if path.startswith("alerting.notification"):
        assert differing == {"alertmanager.yaml"}
    else:
        assert "rules.yaml" in differing
        assert differing & {"rules_test.yaml", "rules_slow_test.yaml", "rules_slo_test.yaml"}


def test_no_number_is_left_out() -> None:
    others = {"group_by", "runbook_base_url", "receivers", "teams", "mute_times", "overrides"}
    found = {
        key
        for section in ("thresholds", "alerting", "budget", "slo")
        for key in leaves(Settings.model_fields[section].annotation, f"{section}.", others)
    }
    assert found == {path for path, _ in NUMBERS_THAT_MATTER}


def leaves(section: Any, prefix: str, others: set[str]) -> Iterator[str]:
    for name, field in section.model_fields.items():
        inner = section_of(field.annotation)
        if name not in others and inner is None:
            yield f"{prefix}{field.alias or name}"
        elif name not in others:
            yield from leaves(inner, f"{prefix}{field.alias or name}.", others)


def test_building_twice_gives_the_same_text() -> None:
    assert generated(SEARCH_IS_SLOW) == generated(SEARCH_IS_SLOW)


@pytest.mark.parametrize(("value", "text"), [(1.0, "1"), (0.05, "0.05"), (3, "3"), (0.1 + 0.2, "0.30000000000000004")])
def test_a_number_is_written_the_shortest_way(value: float, text: str) -> None:
    assert number(value) == text


def test_the_table_names_every_alert_once() -> None:
    names = [alert.name for alert in ALERTS]
    assert len(set(names)) == len(names)
    assert set(names) == {made.alert for made in alert_rules(BUDGET)}
