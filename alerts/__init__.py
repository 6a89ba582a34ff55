"""From settings and catalog to recording rules, alert rules, their promtool tests and Alertmanager's configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alerts.alertmanager import to_alertmanager_config
from alerts.deployment import DEPLOYMENT_COMPLETED
from alerts.error_rate import HIGH_ERROR_RATE
from alerts.latency import HIGH_LATENCY_P95
from alerts.recording import deployment_rules, http_rules
from alerts.rule_tests import to_test_file
from alerts.rules import Alert, AlertRule, RecordingRule, RuleGroup, to_rule_file
from alerts.service_down import SERVICE_DOWN
from alerts.watchdog import WATCHDOG

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from instrumentation.settings import Settings

__all__ = ["ALERTS", "Alert", "AlertRule", "RecordingRule", "RuleGroup", "generated", "groups"]

ALERTS = (HIGH_ERROR_RATE, HIGH_LATENCY_P95, DEPLOYMENT_COMPLETED, SERVICE_DOWN, WATCHDOG)
"""Every alert. Adding one is a module and a line here."""

# What each group records before its alerts; ServiceDown reads what the deployment group recorded over a day.
_RECORDING: Mapping[str, Callable[[Settings], list[RecordingRule]]] = {
    "http": http_rules,
    "deployment": deployment_rules,
}


def groups(settings: Settings) -> list[RuleGroup]:
    """Every rule group: an alert stands in one group with what it reads, so both are of one moment."""
    names = dict.fromkeys(alert.group for alert in ALERTS)
    return [_group(settings, name) for name in names]


def _group(settings: Settings, name: str) -> RuleGroup:
    recording = _RECORDING[name](settings) if name in _RECORDING else []
    alerts = [rule for alert in ALERTS if alert.group == name for rule in alert.rules(settings)]
    interval = settings.alerting.evaluation_interval
    return RuleGroup(name=f"sidelight.{name}", interval=interval, rules=(*recording, *alerts))


def generated(settings: Settings) -> dict[str, str]:
    """File name to text, of all that this package writes."""
    tests = [test for alert in ALERTS for test in alert.tests(settings)]
    return {
        "rules.yaml": to_rule_file(groups(settings)),
        "rules_test.yaml": to_test_file(tests, settings, "rules.yaml"),
        "alertmanager.yaml": to_alertmanager_config(settings),
    }
