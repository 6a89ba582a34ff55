"""The clock and the series for tests of trends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alerts.rule_tests.promtool import clock

if TYPE_CHECKING:
    from collections.abc import Iterable

    from alerts.model import AlertRule
    from alerts.rule_tests.promtool import Clock
    from instrumentation.settings import Duration, Settings


def trend_clock(settings: Settings, rules: Iterable[AlertRule], window: Duration) -> Clock:
    """The clock for rules that read the trend of recorded rates."""
    return clock(settings, rules, range_=window.seconds + settings.alerting.window.seconds)


def line(steps: int, start: float, end: float) -> str:
    """A gauge that changes linearly from one value to another in a number of steps.

    >>> line(4, 7, 5)
    '7-0.5x4'
    """
    return f"{start}{(end - start) / steps:+.12g}x{steps}"
