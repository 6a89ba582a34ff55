"""Inhibition: a critical alert inhibits its own warning and that of the same problem, and ServiceDown all other alerts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alerts.alertmanager.messages import IDENTITY
from alerts.checking.series import kept_labels
from alerts.conditions.deployment import NAME as DEPLOYMENT_COMPLETED
from alerts.conditions.error_budget import NAME as BUDGET
from alerts.conditions.error_budget import THRESHOLD_ALERTS
from alerts.conditions.service_down import NAME as SERVICE_DOWN
from alerts.conditions.watchdog import NAME as WATCHDOG
from alerts.conditions.workflow_failures import KEEPS_FAILING
from alerts.conditions.workflow_failures import NAME as WORKFLOW_FAILURES
from alerts.thresholds import SEVERITIES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from alerts.model import RuleGroup
    from instrumentation.settings import Settings


def inhibit_rules(settings: Settings, groups: Iterable[RuleGroup]) -> list[dict[str, object]]:
    """Alertmanager's ``inhibit_rules`` for all rules made from some settings."""
    # Alertmanager treats a label that both alerts lack as equal, so all labels of an identity can be in every ``equal``.
    service = tuple(dict.fromkeys([*settings.alerting.group_by, *IDENTITY]))
    kept = kept_labels(groups, settings.alerting.group_by)
    is_severity = {name: f'severity="{value}"' for name, value in settings.alerting.severities}
    return [
        *_own_warnings(kept, service, is_severity),
        *_same_trouble(service, is_severity),
        _rare(service),
        _rest_of_the_service(service, is_severity),
    ]


def _own_warnings(
    kept: Mapping[tuple[str, str], frozenset[str]], service: tuple[str, ...], is_severity: Mapping[str, str]
) -> Iterator[dict[str, object]]:
    """One rule for all alerts with the same labels, so that an alert on one queue does not inhibit that on another."""
    critical, warning = SEVERITIES
    alerts: dict[tuple[str, ...], list[str]] = {}
    for (name, severity), labels in kept.items():
        if severity == critical and (name, warning) in kept:
            own = (labels & kept[name, warning]).difference(service)
            alerts.setdefault(tuple(sorted(own)), []).append(name)
    for more, names in alerts.items():
        these = f'alertname=~"{"|".join(names)}"'
        yield {
            "source_matchers": [these, is_severity[critical]],
            "target_matchers": [these, is_severity[warning]],
            "equal": ["alertname", *service, *more],
        }


def _same_trouble(service: tuple[str, ...], is_severity: Mapping[str, str]) -> Iterator[dict[str, object]]:
    """A threshold and an error budget measure the same requests: if one pages, the warning of the other adds nothing."""
    for slo, alert in THRESHOLD_ALERTS.items():
        threshold, budget = [f'alertname="{alert}"'], [f'alertname="{BUDGET}"', f'slo="{slo}"']
        for source, target in ((threshold, budget), (budget, threshold)):
            yield {
                "source_matchers": [*source, is_severity["critical"]],
                "target_matchers": [*target, is_severity["warning"]],
                "equal": [*service],
            }


def _rare(service: tuple[str, ...]) -> dict[str, object]:
    """WorkflowFailures inhibits WorkflowKeepsFailing, because it has more detail about the same failures."""
    return {
        "source_matchers": [f'alertname="{WORKFLOW_FAILURES}"'],
        "target_matchers": [f'alertname="{KEEPS_FAILING}"'],
        "equal": [*service, "workflow"],
    }


def _rest_of_the_service(service: tuple[str, ...], is_severity: Mapping[str, str]) -> dict[str, object]:
    return {
        "source_matchers": [f'alertname="{SERVICE_DOWN}"', is_severity["critical"]],
        "target_matchers": [f'alertname!~"{SERVICE_DOWN}|{DEPLOYMENT_COMPLETED}|{WATCHDOG}"'],
        "equal": [*service],
    }
