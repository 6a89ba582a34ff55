"""Watchdog: always fires. If it stops arriving, alerting itself is broken."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alerts.alert import Alert
from alerts.links import urls
from alerts.model import AlertRule
from alerts.rule_tests.promtool import At, Firing, RuleTest, clock

if TYPE_CHECKING:
    from instrumentation.settings import Settings

NAME = "Watchdog"


def watchdog(settings: Settings) -> list[AlertRule]:
    """One rule."""
    return [
        AlertRule(
            alert=NAME,
            key="none",
            severity=settings.alerting.severities.none,
            expr="vector(1)",
            for_=settings.alerting.evaluation_interval,
            keep_firing_for=None,  # it never resolves
            summary="Alerting works.",
            description="This alert always fires. Send it to a dead man's switch that warns when it stops arriving.",
            urls=urls(settings, NAME, job=False),
        )
    ]


def watchdog_tests(settings: Settings) -> list[RuleTest]:
    """It fires without any series."""
    rules = watchdog(settings)
    firing = (Firing(rule=rules[0], labels={}, value=1),)
    at = At(seconds=clock(settings, rules).fires, alert=NAME, firing=firing)
    return [RuleTest(name="nothing is scraped: Watchdog fires all the same", series=(), alerts=(at,))]


WATCHDOG = Alert(
    name=NAME,
    group="meta",
    meaning="alerting works; if this alert stops arriving, alerting is broken",
    rules=watchdog,
    tests=watchdog_tests,
)
