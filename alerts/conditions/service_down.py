"""ServiceDown: Prometheus cannot scrape some instances of a service (warning), or none of them (critical)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alerts.alert import Alert
from alerts.checking.promql import REPLICAS
from alerts.links import urls
from alerts.model import AlertRule
from alerts.recording.services import MEMORY, recorded
from alerts.rule_tests.promtool import At, Firing, RuleTest, Series, clock
from alerts.rule_tests.threshold_tests import service_labels
from instrumentation import catalog

if TYPE_CHECKING:
    from collections.abc import Sequence

    from instrumentation.settings import Settings

NAME = "ServiceDown"


def service_down(settings: Settings) -> list[AlertRule]:
    """Two rules. They apply to services that had Sidelight's series within the last day, not to other jobs."""
    by = recorded(settings).by
    return [
        _rule(
            settings,
            "critical",
            f"sum by ({by}) (up) == 0",
            "No instance can be scraped.",
            "No instance of {{ $labels.job }} can be scraped: the service is down, or Prometheus cannot reach it.",
        ),
        _rule(
            settings,
            "warning",
            f"count by ({by}) (max by ({by}, instance) (up) == 0) > 0",
            "Some instances cannot be scraped.",
            "{{ $value | humanize }} instances of {{ $labels.job }} cannot be scraped.",
        ),
    ]


def _rule(settings: Settings, severity: str, condition: str, summary: str, description: str) -> AlertRule:
    of = recorded(settings)
    return AlertRule(
        alert=NAME,
        key=severity,
        severity=getattr(settings.alerting.severities, severity),
        expr=f"{condition}\nand on ({of.by}) max_over_time({of.versions}[{MEMORY}])",
        for_=getattr(settings.alerting.for_, severity),
        keep_firing_for=settings.alerting.keep_firing_for,
        summary=summary,
        description=description,
        identity=settings.alerting.group_by,
        urls=urls(settings, NAME),
    )


def service_down_tests(settings: Settings) -> list[RuleTest]:
    """No instance up, one of two up, all up, and a job without Sidelight."""
    rules = service_down(settings)
    critical, warning = rules
    labels = service_labels(settings)
    moments = clock(settings, rules)

    def check(*firing: Firing) -> tuple[At, ...]:
        return (
            At(seconds=_too_early(settings), alert=NAME),
            At(seconds=moments.fires, alert=NAME, firing=firing),
            At(seconds=moments.resolved, alert=NAME),
        )

    def up(*busy: int) -> Sequence[Series]:
        return [
            Series(name="up", labels={**labels, "instance": f"{place}"}, values=moments.gauge(value, 1))
            for place, value in enumerate(busy)
        ]

    def pair(*busy: int) -> Sequence[Series]:
        return [
            Series(name=one.name, labels={**one.labels, REPLICAS[0]: replica}, values=one.values)
            for one in up(*busy)
            for replica in ("a", "b")
        ]

    seen = Series(
        name=catalog.TARGET_INFO.name,
        labels={**labels, "instance": "0", "service_version": "1.0.0"},
        values="1x3",
    )
    both = Firing(rule=critical, labels=labels, value=0), Firing(rule=warning, labels=labels, value=2)
    one = Firing(rule=warning, labels=labels, value=1)
    return [
        RuleTest(
            name="no instance is up: both severities fire, and resolve", series=(seen, *up(0, 0)), alerts=check(*both)
        ),
        RuleTest(name="one of two is down: warning fires, and resolves", series=(seen, *up(1, 0)), alerts=check(one)),
        RuleTest(
            name="one of two is down, says each Prometheus of a pair: counts it once",
            series=(seen, *pair(1, 0)),
            alerts=check(one),
        ),
        RuleTest(name="all instances are up: is silent", series=(seen, *up(1, 1)), alerts=check()),
        RuleTest(name="a job that is not instrumented is down: is silent", series=tuple(up(0, 0)), alerts=check()),
    ]


def _too_early(settings: Settings) -> int:
    for_ = settings.alerting.for_
    return min(for_.critical.seconds, for_.warning.seconds) - settings.alerting.evaluation_interval.seconds


SERVICE_DOWN = Alert(
    name=NAME,
    group="availability",
    meaning="some or all instances of a service cannot be scraped",
    rules=service_down,
    tests=service_down_tests,
)
