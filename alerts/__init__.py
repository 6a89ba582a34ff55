"""From settings and catalog to recording rules, alert rules, their promtool tests and Alertmanager's configuration."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from alerts.alert import Alert
from alerts.alertmanager import messages
from alerts.alertmanager.configuration import to_alertmanager_config
from alerts.conditions.audit_trail import AUDIT_TRAIL_WENT_BACK
from alerts.conditions.collector_data import (
    COLLECTOR_DROPPING_DATA,
    COLLECTOR_MISSING,
    COLLECTOR_QUEUE_FILLING,
    collector_rules,
)
from alerts.conditions.connection_pool import CONNECTION_POOL_NEAR_LIMIT
from alerts.conditions.cpu import CPU_SATURATED
from alerts.conditions.daily_cost import DAILY_COST_OVER_BUDGET
from alerts.conditions.dependency import DEPENDENCY_FAILING
from alerts.conditions.deployment import DEPLOYMENT_COMPLETED
from alerts.conditions.disk import DISK_FILLING_UP
from alerts.conditions.error_budget import ERROR_BUDGET_BURN, bad_request_rules, slo_rules
from alerts.conditions.error_rate import HIGH_ERROR_RATE
from alerts.conditions.hanging_requests import REQUESTS_HANGING, active_request_rules
from alerts.conditions.health_checks import HEALTH_CHECK_FAILING
from alerts.conditions.latency import HIGH_LATENCY_P95
from alerts.conditions.losses import AUDIT_ENTRIES_LOST, LOG_LINES_LOST, QUEUE_READ_FAILING, loss_rules
from alerts.conditions.memory import MEMORY_NEAR_LIMIT
from alerts.conditions.queue_backlog import QUEUE_BACKLOG_GROWING
from alerts.conditions.repeated_queries import REPEATED_QUERIES_GROWING
from alerts.conditions.restarts import INSTANCE_RESTARTING
from alerts.conditions.self_monitoring import SCRAPES_SLOW, SERIES_LIMIT_REACHED, STORE_DEGRADED
from alerts.conditions.service_absent import SERVICE_ABSENT
from alerts.conditions.service_down import SERVICE_DOWN
from alerts.conditions.watchdog import WATCHDOG
from alerts.conditions.workflow_failures import WORKFLOW_FAILURES, WORKFLOW_KEEPS_FAILING
from alerts.left_out import without_left_out
from alerts.model import AlertRule, RecordingRule, RuleGroup, to_rule_file
from alerts.recording.cost import cost_rules
from alerts.recording.databases import database_rules
from alerts.recording.dependencies import dependency_rules
from alerts.recording.override_thresholds import override_threshold_rules
from alerts.recording.services import (
    deployment_rules,
    http_label_rules,
    http_rules,
    queue_rules,
    resource_rules,
    workflow_rules,
)
from alerts.recording.users import users_rules
from alerts.rule_tests.counting_tests import counting_tests
from alerts.rule_tests.label_tests import label_tests
from alerts.rule_tests.promtool import to_test_file
from alerts.rule_tests.users_tests import users_tests
from alerts.signals import signal_alerts, signal_groups
from alerts.thresholds import OVERRIDDEN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from alerts.rule_tests.promtool import RuleTest
    from instrumentation.settings import Settings

__all__ = ["ALERTS", "Alert", "AlertRule", "RecordingRule", "RuleGroup", "every_alert", "generated", "groups"]

ALERTS = (
    HIGH_ERROR_RATE,
    HIGH_LATENCY_P95,
    ERROR_BUDGET_BURN,
    DEPLOYMENT_COMPLETED,
    SERVICE_DOWN,
    SERVICE_ABSENT,
    INSTANCE_RESTARTING,
    REQUESTS_HANGING,
    HEALTH_CHECK_FAILING,
    QUEUE_BACKLOG_GROWING,
    CPU_SATURATED,
    MEMORY_NEAR_LIMIT,
    DISK_FILLING_UP,
    DEPENDENCY_FAILING,
    CONNECTION_POOL_NEAR_LIMIT,
    REPEATED_QUERIES_GROWING,
    WORKFLOW_FAILURES,
    WORKFLOW_KEEPS_FAILING,
    DAILY_COST_OVER_BUDGET,
    QUEUE_READ_FAILING,
    AUDIT_ENTRIES_LOST,
    AUDIT_TRAIL_WENT_BACK,
    LOG_LINES_LOST,
    SERIES_LIMIT_REACHED,
    SCRAPES_SLOW,
    STORE_DEGRADED,
    COLLECTOR_DROPPING_DATA,
    COLLECTOR_QUEUE_FILLING,
    COLLECTOR_MISSING,
    WATCHDOG,
)
"""All alerts. A new alert is a module in ``conditions`` and one line here."""

MOST_RULES = 20
"""The maximum number of rules in a group: the default limit of Grafana Mimir, ``ruler_max_rules_per_rule_group``."""

_NO_RUNBOOKS = "sidelight file/disable alert/annotation because alerting.runbook_url is not set"

# What each group records before its alerts. Prometheus evaluates groups independently, so a rule may read the series of another
# group one evaluation late. Series that must be read exactly once are recorded in the group that reads them.
_RECORDING: Mapping[str, Callable[[Settings], list[RecordingRule]]] = {
    "http": lambda settings: [*http_rules(settings), *bad_request_rules(settings)],
    "slo": slo_rules,
    "deployment": deployment_rules,
    "hanging": active_request_rules,
    "users": users_rules,
    "queues": queue_rules,
    "resources": resource_rules,
    "databases": database_rules,
    "dependencies": dependency_rules,
    "workflows": workflow_rules,
    "cost": cost_rules,
    "losses": loss_rules,
    "collector": collector_rules,
}


def groups(settings: Settings) -> list[RuleGroup]:
    """All rule groups. None has more than ``MOST_RULES`` rules."""
    names = dict.fromkeys([*(alert.group for alert in ALERTS), *_RECORDING])
    made = [*(_group(settings, name) for name in names), *_label_groups(settings), *_override_groups(settings)]
    every = without_left_out(settings, [*(group for group in made if group.rules), *signal_groups(settings)])
    labelled = (replace(group, rules=tuple(_labelled(settings, rule) for rule in group.rules)) for group in every)
    return [part for group in labelled for part in _parts(group)]


def _parts(group: RuleGroup) -> Iterator[RuleGroup]:
    """A group, or several with numbers: an alert on a signal has a rule for each override. What is recorded is in the first."""
    for number, start in enumerate(range(0, len(group.rules), MOST_RULES), start=1):
        name = group.name if number == 1 else f"{group.name}_{number}"
        yield replace(group, name=name, rules=group.rules[start : start + MOST_RULES])


def _labelled(settings: Settings, rule: RecordingRule | AlertRule) -> RecordingRule | AlertRule:
    """An alert with the labels of all alerts; its own take precedence."""
    return replace(rule, labels={**settings.alerting.labels, **rule.labels}) if isinstance(rule, AlertRule) else rule


def every_alert(settings: Settings) -> tuple[Alert, ...]:
    """Sidelight's own alerts, and those on the signals that a team has declared."""
    return (*ALERTS, *signal_alerts(settings))


def _label_groups(settings: Settings) -> Iterator[RuleGroup]:
    """A group for each label in ``http.labels`` that has rules."""
    for label in (name for name, each in settings.http.labels.items() if each.rules):
        rules = tuple(http_label_rules(settings, label))
        yield RuleGroup(name=f"sidelight.http_{label}", interval=settings.alerting.evaluation_interval, rules=rules)


def _group(settings: Settings, name: str) -> RuleGroup:
    recording = _RECORDING[name](settings) if name in _RECORDING else []
    alerts = [
        rule for alert in ALERTS if alert.group == name for rule in alert.rules(settings) if not _is_of_override(rule)
    ]
    # Registers change once per window, so evaluating a day of them more often would not change the result.
    interval = settings.users_window if name == "users" else settings.alerting.evaluation_interval
    return RuleGroup(name=f"sidelight.{name}", interval=interval, rules=(*recording, *alerts))


def _override_groups(settings: Settings) -> Iterator[RuleGroup]:
    """The groups that overrides add: one for each overridden threshold, and one for all alerts of overrides."""
    interval = settings.alerting.evaluation_interval
    for name, rules in override_threshold_rules(settings).items():
        yield RuleGroup(name=f"sidelight.override_{name}", interval=interval, rules=tuple(rules))
    alerts = tuple(rule for alert in ALERTS for rule in alert.rules(settings) if _is_of_override(rule))
    if alerts:
        yield RuleGroup(name="sidelight.overrides", interval=interval, rules=alerts)


def _is_of_override(rule: AlertRule) -> bool:
    return rule.labels == OVERRIDDEN


def generated(settings: Settings, made: Sequence[RuleGroup] | None = None) -> dict[str, str]:
    """The text of every file that this package generates, by file name.

    Args:
        settings: The settings.
        made: Their rule groups, if they have been made already.
    """
    made = groups(settings) if made is None else made
    more = (*users_tests(settings), *counting_tests(settings), *label_tests(settings))
    return {
        "rules.yaml": to_rule_file(made, *([] if settings.alerting.runbook_url else [_NO_RUNBOOKS])),
        "rules_test.yaml": _test_file(settings, made, *more),
        "rules_slow_test.yaml": _test_file(settings, made, pace=DISK_FILLING_UP.pace),
        "rules_slo_test.yaml": _test_file(settings, made, pace=ERROR_BUDGET_BURN.pace),
        "alertmanager.yaml": to_alertmanager_config(settings, made),
        messages.FILE: messages.to_template_file(settings),
    }


def _test_file(
    settings: Settings,
    made: Sequence[RuleGroup],
    *more: RuleTest,
    pace: Callable[[Settings], Settings] | None = None,
) -> str:
    paced = pace(settings) if pace else settings
    tests = [test for alert in every_alert(settings) if alert.pace == pace for test in alert.tests(paced)]
    return to_test_file([*tests, *more], paced, "rules.yaml", [group.name for group in made])
