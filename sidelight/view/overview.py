"""Alerts with their state and runbook, and the services that Prometheus knows."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from instrumentation import catalog

if TYPE_CHECKING:
    from collections.abc import Mapping

    from instrumentation.settings.alerting import Alerting
    from sidelight.view.prometheus import Prometheus
    from sidelight.view.request import DataRequest

MOST_INSTANCES = 200  # of one alert: a rule may fire for thousands

_STATES = ("firing", "pending", "inactive", "unknown")


@dataclass(frozen=True, kw_only=True)
class Alert:
    """One alert rule and its state.

    Attributes:
        name: The alert.
        state: ``firing``, ``pending``, ``inactive``, or ``unknown`` if Prometheus has not evaluated it yet.
        severity: Its severity.
        group: The group of rules.
        expression: Its PromQL.
        annotations: Its annotations with placeholders.
        error: The error of its last evaluation.
        instances: What it fires for or is pending for.
        left_out: How many instances are not listed.
    """

    name: str
    state: str
    severity: str
    group: str
    expression: str
    annotations: Mapping[str, str]
    error: str
    instances: list[Any]
    left_out: int


async def alerts(prometheus: Prometheus) -> list[Alert]:
    """All alert rules of Prometheus: firing ones first, then pending ones, each by name.

    Raises:
        PrometheusError: Prometheus does not answer.
    """
    found = [_alert(rule, group["name"]) for group in await prometheus.rules() for rule in group["rules"]]
    return sorted(found, key=lambda alert: (_STATES.index(alert.state), alert.name, alert.severity))


def _alert(rule: Mapping[str, Any], group: str) -> Alert:
    instances = sorted(rule.get("alerts", ()), key=lambda each: (_STATES.index(each["state"]), each["activeAt"]))
    state = rule.get("state", "unknown")
    return Alert(
        name=rule["name"],
        state=state if state in _STATES else "unknown",
        severity=rule.get("labels", {}).get("severity", ""),
        group=group,
        expression=rule["query"],
        annotations=rule.get("annotations", {}),
        error=rule.get("lastError", ""),
        instances=instances[:MOST_INSTANCES],
        left_out=max(0, len(instances) - MOST_INSTANCES),
    )


@dataclass(kw_only=True)
class Service:
    """A service that Prometheus scrapes.

    Attributes:
        identity: The labels of ``alerting.group_by``, as far as its series have them.
        observed: Whether it exports ``target_info``, as every service with Sidelight or OpenTelemetry does.
        versions: Its versions, with the number of instances.
        up: The number of instances that Prometheus can scrape.
        targets: The number of instances.
        alerts: Severity to the number of firing alerts.
    """

    identity: Mapping[str, str]
    observed: bool = False
    versions: dict[str, int] = field(default_factory=dict)
    up: int = 0
    targets: int = 0
    alerts: dict[str, int] = field(default_factory=dict)


async def services(request: DataRequest, prometheus: Prometheus, alerting: Alerting) -> list[Service]:
    """Everything that Prometheus scrapes, by service: observed ones first, then by name.

    Args:
        request: The time.
        prometheus: Where their data is.
        alerting: What identifies a service, and how severities are called.

    Raises:
        PrometheusError: Prometheus does not answer.
    """
    firing = f'ALERTS{{alertstate="firing",kind!="event",severity!="{alerting.severities.none}"}}'
    queries = ("up", catalog.TARGET_INFO.name, firing)
    answers = await asyncio.gather(*(prometheus.instant(query, request.window.end) for query in queries))
    up, info, alerts_of = ([(row["metric"], row["value"][1]) for row in answer["result"]] for answer in answers)
    found: dict[tuple[str, ...], Service] = {}

    def of(labels: Mapping[str, str]) -> Service:
        key = tuple(labels.get(name, "") for name in alerting.group_by)
        return found.setdefault(
            key, Service(identity={name: labels[name] for name in alerting.group_by if labels.get(name)})
        )

    for labels, value in up:
        service = of(labels)
        service.targets += 1
        service.up += value == "1"
    for labels, _ in info:
        service = of(labels)
        service.observed = True
        version = labels.get("service_version", "")
        service.versions[version] = service.versions.get(version, 0) + 1
    for labels, _ in alerts_of:
        if labels.get("job"):
            service, severity = of(labels), labels.get("severity", "")
            service.alerts[severity] = service.alerts.get(severity, 0) + 1
    return sorted(found.values(), key=lambda service: (not service.observed, service.identity.get("job", "")))
