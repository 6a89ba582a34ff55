"""DiskFillingUp: a file system is nearly full and on course to fill up, or so full that the trend does not matter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alerts.alert import Alert
from alerts.recording.services import recorded
from alerts.rule_tests.promtool import Clock, RuleTest, Series, clock, slowed
from alerts.rule_tests.saturation_tests import saturation_tests
from alerts.rule_tests.threshold_tests import Story, story_test
from alerts.thresholds import disk_thresholds, level_rule, levels_from, limits_from
from alerts.trends import leads_beyond
from instrumentation import catalog

if TYPE_CHECKING:
    from collections.abc import Mapping

    from alerts.model import AlertRule
    from alerts.thresholds import Limit
    from instrumentation.settings import Settings

NAME = "DiskFillingUp"

_OWN = {"path": "/data"}


def disk_filling_up(settings: Settings) -> list[AlertRule]:
    """Rules for each severity, for all and for overrides."""
    return [_rule(settings, limit) for limit in limits_from(settings, disk_thresholds(settings))]


def _rule(settings: Settings, limit: Limit) -> AlertRule:
    of, trend = recorded(settings), settings.alerting.trend
    used, horizon = limit.of(of.disk_used), getattr(trend.disk_full_within, limit.severity)
    is_filling = f"{used} > {limit.than()}\nand {leads_beyond(of.disk_used, trend.disk_window, horizon, '1')}"
    said = (
        "The file system of {{ $labels.path }} on {{ $labels.instance }} of {{ $labels.job }} is "
        f"{{{{ $value | humanizePercentage }}}} full. The limit is {limit.said(function='humanizePercentage')} if the disk is on "
        f"course to fill within {horizon}"
    )
    if limit.severity == "warning":
        expr, description = is_filling, f"{said}."
    else:
        expr = f"{is_filling}\nor\n{limit.of(of.disk_used, 'full_ratio')} > {limit.than('full_ratio')}"
        description = f"{said}, otherwise {limit.said('full_ratio', 'humanizePercentage')}."
    return level_rule(
        settings,
        limit,
        alert=NAME,
        expr=expr,
        summary="A file system is nearly full.",
        description=description,
    )


def disk_filling_up_tests(settings: Settings) -> list[RuleTest]:
    """Above and below every threshold; a disk that stays nearly full; a disk that is too full to wait for a trend."""
    level_rules = [(level, _rule(settings, level.limit)) for level in levels_from(settings, disk_thresholds(settings))]
    trend, full = settings.alerting.trend, settings.thresholds.disk_full_ratio
    within = trend.disk_full_within
    soon = clock(settings, [rule for _, rule in level_rules])
    fuller = (full + 1) / 2

    def story(name: str, share: float, fires: tuple[str, ...] = ()) -> Story:
        return Story(
            name=name, series=lambda labels: _used(soon, labels, soon.gauge(share, share)), fires=fires, value=share
        )

    stories = (story("too-full-to-wait", fuller, ("critical",)), story("as-full-as-it-may-be", full))
    return [
        *saturation_tests(settings, level_rules, _used, window=trend.disk_window, within=within, own=_OWN, full=full),
        story_test(settings, level_rules, stories, moments=soon, label="instance", own=_OWN),
    ]


def _used(moments: Clock, labels: Mapping[str, str], share: str) -> tuple[Series, ...]:
    labels = {**_OWN, **labels}
    return (
        Series(name=catalog.DISK_USED.name, labels=labels, values=share),
        Series(name=catalog.DISK_SIZE.name, labels=labels, values=moments.gauge(1, 1)),
    )


DISK_FILLING_UP = Alert(
    name=NAME,
    group="resources",
    meaning="a file system is nearly full and on course to fill up, or is already too full",
    rules=disk_filling_up,
    tests=disk_filling_up_tests,
    pace=slowed,
)
