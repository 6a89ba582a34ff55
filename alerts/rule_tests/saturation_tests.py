"""Tests of saturation alerts, such as on memory and disks: histories of a usage between 0 and 1."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from alerts.rule_tests.promtool import Clock, RuleTest
from alerts.rule_tests.threshold_tests import SAMPLES, Measured, never, service_labels, threshold_tests
from alerts.rule_tests.trend_histories import line, trend_clock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from alerts.rule_tests.promtool import Series
    from alerts.rule_tests.threshold_tests import LevelRules
    from alerts.thresholds import Level
    from instrumentation.settings import Ahead, Duration, Settings

    Used = Callable[[Clock, Mapping[str, str], str], tuple[Series, ...]]


def saturation_tests(  # noqa: PLR0913 - most by keyword
    settings: Settings,
    level_rules: LevelRules,
    used: Used,
    *,
    window: Duration,
    within: Ahead,
    own: Mapping[str, str] | None = None,
    full: float = 1,
) -> Iterator[RuleTest]:
    """Tests just above and below every threshold, and of usage that is high but not growing.

    Args:
        settings: The settings from which the rules were made.
        level_rules: Every level with its rule.
        used: Returns the series of a usage, for a clock, the labels of an instance and a gauge from 0 to 1.
        window: The window of the trend.
        within: How far ahead the trend is extrapolated.
        own: Labels of the alert's series in addition to those of the service and the instance.
        full: The usage above which the alert fires whatever the trend.
    """
    moments = trend_clock(settings, [rule for _, rule in level_rules], window)

    def history(moments: Clock, level: Level, labels: Mapping[str, str], above: bool) -> Measured:  # noqa: FBT001 - History
        value, values = _growing(moments, level, within, above=above)
        return Measured(series=used(moments, labels, values), value=value)

    high = (max(level.threshold for level, _ in level_rules if not level.match) + full) / 2
    yield from threshold_tests(settings, level_rules, history, moments=moments, label="instance", own=own)
    yield _quiet_test(settings, level_rules, used, moments, window, high)


def _growing(moments: Clock, level: Level, within: Ahead, *, above: bool) -> tuple[float, str]:
    """A usage that grows until it is just above a level for long enough, or just below it; then it is 0.

    Its slope is 1.5 times the one needed to be full in time, and stays constant while the alert is checked.
    """
    slope = 1.5 * (1 - level.threshold) / within.critical.seconds
    exact = level.threshold * SAMPLES
    beyond = slope * moments.longest_for * SAMPLES
    end = (math.floor(exact + beyond + 1 + 1e-9) if above else math.ceil(exact - 1 - 1e-9)) / SAMPLES
    stands, grows = moments.grace // moments.step, (moments.fires - moments.grace) // moments.step
    rise = line(grows, end - slope * grows * moments.step, end)
    return end, f"{rise} {end}x{stands} 0x{moments.resolved // moments.step}"


def _quiet_test(  # noqa: PLR0913, PLR0917 - as saturation_tests
    settings: Settings, level_rules: LevelRules, used: Used, moments: Clock, window: Duration, high: float
) -> RuleTest:
    steps = moments.fires // moments.step
    less, more = (window.seconds * tenths // 10 // moments.step for tenths in (4, 7))  # than half of the window
    stories = {
        "always": f"{high}x{steps}",
        "at-once": f"{high / 4}x{steps - more} {high}x{more}",
        "new": f"_x{steps - less} {line(less, 0, high)}",
    }
    labels, alert = service_labels(settings), level_rules[0][1].alert
    return RuleTest(
        name=f"nearly full always, nearly full at once, and a new instance that fills fast: {alert} is silent",
        series=tuple(
            one for name, values in stories.items() for one in used(moments, {**labels, "instance": name}, values)
        ),
        values=(never(alert, moments.fires, "instance", stories),),
    )
