"""Rules are derived from settings and catalog, and read nothing else."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
import yaml

from alerts import ALERTS, AlertRule, RuleGroup, generated, groups
from alerts.linting import faults
from alerts.rule_tests import rendered
from alerts.rules import RecordingRule, number
from instrumentation import catalog
from instrumentation.settings import Settings, parse_settings

SEARCH_IS_SLOW = parse_settings(
    {
        "thresholds": {
            "overrides": [
                {"match": {"job": "search"}, "latency_p95_seconds": {"critical": 2.2, "warning": 1.3}},
                {"match": {"namespace": "batch"}, "error_ratio": {"critical": 0.2}},
            ]
        },
        "alerting": {"group_by": ["job", "namespace"]},
    }
)
BOTH = pytest.mark.parametrize("settings", [Settings(), SEARCH_IS_SLOW], ids=["defaults", "overrides"])


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
    monkeypatch.setattr("alerts.promql.METRICS", (*others, renamed))
    assert (
        "job_service_version:target_info:count reads 'target_info', which is in no catalog row"
        in faults(made, ["job"])[0]
    )


def test_a_sentence_that_reads_a_label_the_rule_loses_is_told() -> None:
    down = replace(rule(Settings(), "ServiceDown", "critical"), description="{{ $labels.instance }} is down.")
    group = RuleGroup(name="x", interval=Settings().alerting.window, rules=(*groups(Settings())[1].rules, down))
    assert faults([group], ["job"]) == [
        "ServiceDown (critical) says $labels.instance, which its expression does not return"
    ]


@BOTH
def test_every_place_has_its_number(settings: Settings) -> None:
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
        assert made.urls["dashboard_url"].startswith("https://grafana.example/d/sidelight-operations")


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
    ("alerting.window", "10m"),
    ("alerting.minimum_bad_events", 6),
    ("alerting.for.critical", "4m"),
    ("alerting.for.warning", "10m"),
    ("alerting.for.info", "2m"),
    ("alerting.keep_firing_for", "4m"),
    ("alerting.evaluation_interval", "60s"),
    ("alerting.deployment_lookback", "30m"),
    ("alerting.notification.group_wait", "60s"),
    ("alerting.notification.group_interval", "10m"),
    ("alerting.notification.repeat_interval", "8h"),
    ("alerting.notification.watchdog_interval", "2m"),
]


@pytest.mark.parametrize(("path", "value"), NUMBERS_THAT_MATTER, ids=[path for path, _ in NUMBERS_THAT_MATTER])
def test_every_number_is_used(path: str, value: object) -> None:
    changed: object = value
    for key in reversed(path.split(".")):
        changed = {key: changed}
    was, now = generated(Settings()), generated(parse_settings(changed))
    if path.startswith("alerting.notification"):
        assert was["alertmanager.yaml"] != now["alertmanager.yaml"]
    else:
        assert was["rules.yaml"] != now["rules.yaml"]
        assert was["rules_test.yaml"] != now["rules_test.yaml"]


def test_building_twice_gives_the_same_text() -> None:
    assert generated(SEARCH_IS_SLOW) == generated(SEARCH_IS_SLOW)


@pytest.mark.parametrize(("value", "text"), [(1.0, "1"), (0.05, "0.05"), (3, "3"), (0.1 + 0.2, "0.30000000000000004")])
def test_a_number_is_written_the_shortest_way(value: float, text: str) -> None:
    assert number(value) == text


def test_the_table_names_every_alert_once() -> None:
    names = [alert.name for alert in ALERTS]
    assert len(set(names)) == len(names)
    assert set(names) == {made.alert for made in alert_rules(Settings())}
