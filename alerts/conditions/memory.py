"""MemoryNearLimit: a container uses nearly all of its memory limit and is on course to reach it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alerts.alert import Alert
from alerts.recording.services import recorded
from alerts.rule_tests.promtool import RuleTest, Series
from alerts.rule_tests.saturation_tests import saturation_tests
from alerts.thresholds import level_rule, levels, limits
from alerts.trends import leads_beyond
from instrumentation import catalog

if TYPE_CHECKING:
    from collections.abc import Mapping

    from alerts.model import AlertRule
    from alerts.rule_tests.promtool import Clock
    from alerts.thresholds import Limit
    from instrumentation.settings import Settings

NAME = "MemoryNearLimit"


def memory_near_limit(settings: Settings) -> list[AlertRule]:
    """Rules for each severity, for all and for overrides. They do not apply to containers without a limit."""
    return [_rule(settings, limit) for limit in limits(settings, "memory_used_ratio")]


def _rule(settings: Settings, limit: Limit) -> AlertRule:
    of, trend = recorded(settings), settings.alerting.trend
    horizon = getattr(trend.memory_full_within, limit.severity)
    return level_rule(
        settings,
        limit,
        alert=NAME,
        expr=(
            f"{limit.of(of.memory_used)} > {limit.than()}\n"
            f"and {leads_beyond(of.memory_used, trend.window, horizon, '1')}"
        ),
        summary="A container is about to run out of memory.",
        description=(
            "{{ $labels.instance }} of {{ $labels.job }} uses {{ $value | humanizePercentage }} of its memory limit "
            f"(threshold {limit.said(function='humanizePercentage')}) and is on course to be killed within {horizon}."
        ),
    )


def memory_near_limit_tests(settings: Settings) -> list[RuleTest]:
    """Above and below every threshold; memory usage that is high but not growing."""
    level_rules = [(level, _rule(settings, level.limit)) for level in levels(settings, "memory_used_ratio")]
    trend = settings.alerting.trend
    return list(saturation_tests(settings, level_rules, _used, window=trend.window, within=trend.memory_full_within))


def _used(moments: Clock, labels: Mapping[str, str], share: str) -> tuple[Series, ...]:
    return (
        Series(name=catalog.CONTAINER_MEMORY_WORKING_SET.name, labels=labels, values=share),
        Series(name=catalog.CONTAINER_MEMORY_LIMIT.name, labels=labels, values=moments.gauge(1, 1)),
    )


MEMORY_NEAR_LIMIT = Alert(
    name=NAME,
    group="resources",
    meaning="a container uses nearly all of its memory and is on course to run out",
    rules=memory_near_limit,
    tests=memory_near_limit_tests,
)
