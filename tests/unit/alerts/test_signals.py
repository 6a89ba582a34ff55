"""Alerts on a team's signals: what their rules read, say and carry."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from alerts import ALERTS, AlertRule, every_alert, generated, groups
from alerts.checking.series import faults
from alerts.signals import subjects
from instrumentation.errors import SettingsError
from instrumentation.settings import parse_settings
from instrumentation.settings.signal_alerts import OURS
from tests.support.signals import DECLARED

SETTINGS = parse_settings({"signals": DECLARED})


def rules(settings: Any, alert: str) -> list[AlertRule]:
    return [
        rule
        for group in groups(settings)
        for rule in group.rules
        if isinstance(rule, AlertRule) and rule.alert == alert
    ]


def declared(alert: dict[str, Any], **signal: Any) -> Any:
    kind = signal.pop("kind", "counter")
    return parse_settings({"signals": [{"name": "orders", "kind": kind, **signal, "alerts": [alert]}]})


def test_the_names_of_our_own_alerts_are_refused() -> None:
    assert {alert.name for alert in ALERTS} == OURS


def test_rules_read_only_series_and_labels_that_exist() -> None:
    assert faults(groups(SETTINGS), SETTINGS.alerting.group_by) == []


def test_no_group_is_larger_than_rulers_allow() -> None:
    assert max(len(group.rules) for group in groups(SETTINGS) if group.metrics) <= 20


def test_no_series_is_recorded_twice() -> None:
    names = [rule.record for group in groups(SETTINGS) for rule in group.rules if not isinstance(rule, AlertRule)]
    assert sorted(set(names)) == sorted(names)


def test_settings_without_signals_have_the_rules_that_they_had() -> None:
    ours = [group.name for group in groups(parse_settings({}))]
    assert [group.name for group in groups(SETTINGS)][: len(ours)] == ours
    assert every_alert(parse_settings({})) == ALERTS


def test_one_number_changes_rule_sentence_and_test() -> None:
    def made(number: float) -> dict[str, str]:
        return generated(declared({"alert": "OrdersStopped", "rate": {"below": {"critical": number}, "per": "1h"}}))

    before, after = made(17.25), made(19.75)
    assert before["rules.yaml"].replace("17.25", "19.75") == after["rules.yaml"] != before["rules.yaml"]
    assert before["rules_test.yaml"] != after["rules_test.yaml"]
    assert "(limit 19.75)" in after["rules_test.yaml"]
    [rule] = rules(declared({"alert": "OrdersStopped", "rate": {"below": {"critical": 19}}}), "OrdersStopped")
    assert "/ 3600) < 19" in rule.filled(rule.expr)
    assert rule.filled(rule.description).endswith('(limit {{ "19" | humanize }}).')


def test_team_labels_texts_and_address_are_those_of_the_declaration() -> None:
    alert = {
        "alert": "OrdersStopped",
        "rate": {"above": {"warning": 7}},
        "team": "shop",
        "labels": {"area": "checkout"},
        "summary": "Nobody orders.",
        "description": "Only {{ $value }}.",
        "runbook": "https://wiki.example/orders",
        "for": "7m",
    }
    [rule] = rules(declared(alert), "OrdersStopped")
    assert rule.labels == {"team": "shop", "area": "checkout"}
    assert (rule.summary, rule.description, rule.for_) == ("Nobody orders.", "Only {{ $value }}.", "7m")
    assert rule.urls["runbook_url"] == "https://wiki.example/orders"


def test_an_override_has_a_rule_of_its_own_and_is_left_out_of_the_others() -> None:
    [critical, of_app, *_] = sorted(rules(SETTINGS, "OrdersFlood"), key=lambda rule: rule.key)
    assert (critical.key, of_app.key) == ("critical", "critical_channel_app")
    assert '_job_channel:orders_flood_events:increase10m{channel="app"}' in critical.expr
    assert of_app.labels == {"override": "channel=app"}
    assert {place: each.value for place, each in of_app.parameters.items()} == {"threshold": 700.0}


def test_a_threshold_of_a_quantile_is_a_bucket_edge_and_not_the_last() -> None:
    alert = {"alert": "OrdersSlow", "quantile": {"above": {"warning": 0.33, "critical": 70}}}
    settings = declared(alert, kind="histogram", buckets=[0.1, 1])
    assert settings.signals[0].metrics[0].buckets == (0.1, 0.33, 1, 70, 140)
    [critical, warning] = rules(settings, "OrdersSlow")
    assert [rule.parameters["threshold"].edges for rule in (critical, warning)] == 2 * [(0.1, 0.33, 1, 70)]


def test_a_late_job_is_late_after_its_interval() -> None:
    [critical, warning] = rules(SETTINGS, "ImportMissing")
    assert [rule.parameters["threshold"].value for rule in (critical, warning)] == [45 * 60, 35 * 60]
    assert critical.for_ == SETTINGS.alerting.evaluation_interval


@pytest.mark.parametrize(
    ("alert", "sentence"),
    [
        ({"alert": "Orders"}, "alerts.0: got none of the forms; give exactly one of rate, ratio"),
        (
            {"alert": "Orders", "rate": {"below": {"warning": 1}}, "age": {"warning": "1h"}},
            "alerts.0.age: got rate and age",
        ),
        ({"alert": "orders"}, 'alerts.0.alert: got "orders"; give a name such as OrdersStopped'),
        ({"alert": "ServiceDown"}, 'alerts.0.alert: got "ServiceDown"; give another name'),
        ({"alert": "Orders", "rate": {}}, "alerts.0.rate.above: got nothing; give a threshold for warning"),
        ({"alert": "Orders", "rate": {"below": {"warning": 0}}}, "alerts.0.rate.below: got 0; give a number above 0"),
        (
            {"alert": "Orders", "rate": {"below": {"warning": "2h"}}},
            'alerts.0.rate.below.warning: got "2h"; give a number',
        ),
        (
            {"alert": "Orders", "rate": {"below": {"warning": 1, "critical": 7}}},
            "alerts.0.rate.below: got warning 1.0 and critical 7.0; give a warning that comes before critical",
        ),
        (
            {"alert": "Orders", "rate": {"above": {"warning": 1}, "below": {"warning": 7}}},
            "alerts.0.rate: got above and below; give one of them",
        ),
        (
            {"alert": "Orders", "value": {"above": {"warning": 1}}},
            "alerts.0.value: got a form that does not fit a counter",
        ),
        ({"alert": "Orders", "ratio": {"above": {"warning": 0.1}}}, "alerts.0.ratio: got a ratio of all events to all"),
        (
            {"alert": "Orders", "ratio": {"of": {"outcome": "fax"}, "above": {"warning": 0.1}}},
            'alerts.0.ratio.of.outcome: got "fax"; give some of good, bad',
        ),
        (
            {"alert": "Orders", "ratio": {"of": {"color": "red"}, "above": {"warning": 0.1}}},
            'alerts.0.ratio.of: got "color"; give one of outcome',
        ),
        (
            {"alert": "Orders", "ratio": {"to": "carts", "above": {"warning": 0.1}}},
            'alerts.0.ratio.to: got "carts"; give the name of a counter: orders',
        ),
        (
            {"alert": "Orders", "rate": {"above": {"warning": 1}}, "by": ["color"]},
            'alerts.0.by.0: got "color"; give one of',
        ),
        (
            {
                "alert": "Orders",
                "rate": {"above": {"warning": 1}},
                "overrides": [{"match": {"outcome": "bad"}, "warning": 7}],
            },
            "alerts.0.overrides.0.match.outcome: got a label that the alert does not keep; give one of cluster, namespace, environment, job, or add it to by",
        ),
        (
            {"alert": "Orders", "rate": {"above": {"warning": 1}}, "minimum_events": 7},
            "alerts.0.minimum_events: got a key that the form rate does not use; leave it out",
        ),
        (
            {"alert": "Orders", "rate": {"above": {"warning": 1}}, "summary": "{{ query }}"},
            'alerts.0.summary: got the template "query"; give {{ $labels.job }}',
        ),
        (
            {"alert": "Orders", "rate": {"above": {"warning": 1}}, "description": "{{ $labels.pod }}"},
            "alerts.0.description: got $labels.pod, which the alert does not keep; give one of cluster, namespace, environment, job, or add it to by",
        ),
        ({"alert": "Orders", "expr": "a > 1"}, "alerts.0.severity: got nothing; give critical, warning or info"),
    ],
)
def test_a_wrong_alert_is_named_with_what_it_may_hold(alert: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SettingsError) as caught:
        declared(alert, labels={"outcome": ["good", "bad"]})
    assert str(caught.value.faults[0]).startswith(f"settings: signals.0.{sentence}")


def test_an_expression_needs_an_example_that_fires_and_one_that_does_not() -> None:
    example = {"series": {"a": "1x10"}, "at": "5m", "fires": True}
    alert = {"alert": "Orders", "expr": "a > 1", "severity": "info", "summary": "A."}
    with pytest.raises(SettingsError, match="examples: got 1 examples; give at least one example that fires"):
        declared({**alert, "examples": [example]})
    settings = declared({**alert, "examples": [example, {**example, "fires": False}]})
    tests = yaml.safe_load(generated(settings)["rules_test.yaml"])["tests"]
    assert [test["name"] for test in tests if test["name"].startswith("Orders")] == [
        "Orders, example 1: fires at 5m",
        "Orders, example 2: is silent at 5m",
    ]


def test_two_alerts_have_two_names() -> None:
    alerts = [{"alert": name, "rate": {"above": {"warning": 1}}} for name in ("HTTPFails", "HttpFails")]
    with pytest.raises(
        SettingsError, match=r"alerts\.1\.alert: got \"HttpFails\" and HTTPFails; give each alert another"
    ):
        parse_settings({"signals": [{"name": "orders", "kind": "counter", "alerts": alerts}]})


def test_every_alert_of_the_team_has_tests() -> None:
    made = generated(SETTINGS)
    text = made["rules_test.yaml"] + made["rules_slow_test.yaml"]
    for subject in subjects(SETTINGS):
        assert f"name: '{subject.alert.alert}" in text or f"name: {subject.alert.alert}" in text
