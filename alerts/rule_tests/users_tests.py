"""Tests of the estimates of active users."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alerts.recording.users import active_users, daily_active_users, lookback
from alerts.rule_tests.promtool import RuleTest, Series, Value
from alerts.rule_tests.threshold_tests import service_labels
from instrumentation import catalog

if TYPE_CHECKING:
    from instrumentation.settings import Settings


def users_tests(settings: Settings) -> list[RuleTest]:
    """Tests with few users, for which the estimate is exact."""
    labels, step = service_labels(settings), settings.metrics.scrape_interval.seconds
    window, evaluation = settings.users_window.seconds, settings.alerting.evaluation_interval.seconds
    shown = 2 * window // step
    remembered = shown * step + lookback(settings)
    forgotten = remembered + window + step + 2 * evaluation

    def register(pod: str, place: int, values: str) -> Series:
        return Series(
            name=catalog.ACTIVE_USER_REGISTER.name,
            labels={**labels, "instance": pod, "register": str(place)},
            values=values,
        )

    def users(seconds: int, active: int, daily: int) -> tuple[Value, ...]:
        expected = {active_users(settings): active, daily_active_users(settings): daily}
        return tuple(Value(seconds=seconds, expr=name, labels=labels, value=users) for name, users in expected.items())

    always = register("a", 0, f"0x{forgotten // step + 1}")
    return [
        RuleTest(
            name="four users, one of them on two pods, and one on a pod that is scraped once: 4, 3, 0, and 4 of the day",
            series=(
                always,
                register("a", 1, f"1x{shown}"),
                register("a", 2, f"3x{shown}"),
                register("b", 2, f"2x{shown} stale"),
                register("b", 0, f"1x{shown} stale"),
                register("c", 5, "_ 1 stale"),
            ),
            values=(*users(step + evaluation, 4, 4), *users(remembered, 3, 4), *users(forgotten, 0, 4)),
        ),
        RuleTest(name="nobody: 0 users", series=(always,), values=users(remembered, 0, 0)),
    ]
