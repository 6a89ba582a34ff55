"""A service that the settings leave out of an alert never has that alert, and every other service still does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from alerts import AlertRule, groups
from alerts.checking.series import faults
from instrumentation.errors import InstrumentationError, SettingsError
from instrumentation.settings import Settings, parse_settings

if TYPE_CHECKING:
    from collections.abc import Mapping


def left_out(alert: str, match: Mapping[str, str]) -> Settings:
    return parse_settings({"alerting": {"left_out": [{"alerts": [alert], "match": dict(match)}]}})


def expressions(settings: Settings) -> dict[tuple[str, str], str]:
    rules = [rule for group in groups(settings) for rule in group.rules if isinstance(rule, AlertRule)]
    return {(rule.alert, rule.key): rule.expr for rule in rules}


def test_only_the_alert_that_is_named_leaves_the_service_out() -> None:
    before, after = expressions(Settings()), expressions(left_out("ServiceAbsent", {"job": "nightly"}))
    changed = {key: after[key] for key in before if before[key] != after[key]}
    unless = 'unless on (job) label_replace(vector(1), "job", "nightly", "", "")'
    assert changed == {("ServiceAbsent", "warning"): f"({before['ServiceAbsent', 'warning']})\n{unless}"}


def test_a_part_of_a_service_can_be_left_out() -> None:
    settings = left_out("QueueBacklogGrowing", {"job": 'a"b', "queue": "spam"})
    critical = expressions(settings)["QueueBacklogGrowing", "critical"]
    assert critical.endswith(
        'unless on (job, queue) label_replace(label_replace(vector(1), "job", "a\\"b", "", ""), "queue", "spam", "", "")'
    )
    assert faults(groups(settings), settings.alerting.group_by) == []


@pytest.mark.parametrize(
    ("alert", "match", "sentence"),
    [
        ("ServiceAbsnt", {"job": "a"}, "alerting.left_out.0.alerts: got 'ServiceAbsnt'; give one of AuditEntriesLost,"),
        (
            "ServiceAbsent",
            {"queue": "a"},
            "alerting.left_out.0.match: got 'queue'; ServiceAbsent has these labels: cluster,",
        ),
        ("Watchdog", {"job": "a"}, "got 'job'; Watchdog has these labels: none, because it is about no service."),
    ],
)
def test_what_would_leave_out_nothing_is_refused(alert: str, match: dict[str, str], sentence: str) -> None:
    with pytest.raises(InstrumentationError) as refusal:
        groups(left_out(alert, match))
    assert sentence in str(refusal.value)


# --- Services that are scaled to zero --------------------------------------------------------------------------------


def test_the_job_of_a_workload_can_be_written_in_another_way_or_not_at_all() -> None:
    def asleep(pattern: str | None) -> str:
        settings = parse_settings({"alerting": {"workload_job": pattern}})
        assert faults(groups(settings), settings.alerting.group_by) == []
        return expressions(settings)["ServiceAbsent", "warning"]

    assert 'label_replace(kube_statefulset_replicas, "job", "x-${1}", "statefulset", "(.+)")' in asleep("x-{workload}")
    assert '"/", "deployment", "namespace"), "job", "${1}$$\\"@${2}", "job", "(.+)/(.+)")' in asleep(
        '{workload}$"@{namespace}'
    )
    assert "kube_" not in asleep(None)


@pytest.mark.parametrize("given", ["shop", "{workload}/{workload}", "{pod}", "{namespace}", "{workload}-{cluster}"])
def test_a_job_without_the_workload_or_with_something_else_is_refused(given: str) -> None:
    with pytest.raises(SettingsError, match=r"alerting\.workload_job: got .* in which \{workload\} stands for"):
        parse_settings({"alerting": {"workload_job": given}})
