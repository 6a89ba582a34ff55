"""Tests of thresholds: just above every one its alert fires and later resolves, just below it is silent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from alerts.rule_tests import At, Clock, Firing, RuleTest, Value, clock
from alerts.rules import number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from alerts.levels import Level
    from alerts.rule_tests import Series
    from alerts.rules import AlertRule
    from instrumentation.settings import Settings

SAMPLES = 10_000  # requests a sample: fine enough for a share of 1 in 10,000


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A history and the value that a rule measures in it."""

    series: tuple[Series, ...]
    value: float


if TYPE_CHECKING:
    Judged = Sequence[tuple[Level, AlertRule]]
    History = Callable[[Clock, Level, Mapping[str, str], bool], Measured]
    Burst = Callable[[Mapping[str, str], int, Callable[[int], str]], tuple[Series, ...]]


def boundary_tests(settings: Settings, judged: Judged, history: History) -> Iterator[RuleTest]:
    """Two tests for every threshold.

    Args:
        settings: The settings the rules were made from.
        judged: Every level with its rule.
        history: Gives what is measured just above (True) or just below (False) a level, for a service's labels.
    """
    moments = clock(settings, [rule for _, rule in judged])
    for level, rule in judged:
        labels = service_labels(settings, level)
        for above in (True, False):
            measured = history(moments, level, labels, above)
            firing = tuple(
                Firing(rule=other, labels=labels, value=measured.value)
                for place, other in judged
                if place.judges(labels) and measured.value > place.threshold
            )
            yield RuleTest(
                name=_name(level, rule, above=above),
                series=measured.series,
                alerts=(
                    At(seconds=_too_early(settings, judged), alert=rule.alert),
                    At(seconds=moments.fires, alert=rule.alert, firing=firing),
                    At(seconds=moments.resolved, alert=rule.alert),
                ),
            )


def burst_tests(settings: Settings, rules: Sequence[AlertRule], what: str, burst: Burst) -> Iterator[RuleTest]:
    """Bad events within one scrape at an otherwise idle service, whose series were born at 0 before.

    Args:
        settings: The settings the rules were made from.
        rules: The rules of one alert.
        what: The bad events' name.
        burst: Gives the series of so many bad events, for a service's labels and a counter that jumps from 0.
    """
    critical = next(rule for rule in rules if rule.key == "critical")
    moments, least = clock(settings, rules), settings.alerting.minimum_bad_events
    labels = service_labels(settings)
    born = moments.grace // moments.step + 1
    at = born * moments.step + critical.for_.seconds + moments.grace
    remembered = settings.alerting.window.seconds > critical.for_.seconds + moments.grace
    firing = f'count by (alertname) (ALERTS{{alertname="{critical.alert}", alertstate="firing", severity="critical"}})'
    for bad, fires in ((least - 1, False), (least + 2, True), (600, True)):
        if fires and not remembered:  # the range forgets a burst before the alert's `for` is over
            continue
        check = Value(seconds=at, expr=firing, labels={"alertname": critical.alert}, value=1 if fires else None)
        yield RuleTest(
            name=f"{bad} of {bad} {what} at once, then quiet: {'fires' if fires else 'is silent'}",
            series=burst(labels, bad, lambda count: f"0x{born} {count}x{at // moments.step}"),
            values=(check,),
        )


def service_labels(settings: Settings, level: Level | None = None) -> dict[str, str]:
    """Labels of a service that a level judges: its override's, and plain values for the rest of group_by."""
    plain = {label: "shop" if label == "job" else f"some_{label}" for label in settings.alerting.group_by}
    return plain if level is None else {**plain, **level.match}


def _too_early(settings: Settings, judged: Judged) -> int:
    return min(rule.for_.seconds for _, rule in judged) - settings.alerting.evaluation_interval.seconds


def _name(level: Level, rule: AlertRule, *, above: bool) -> str:
    side, verdict = ("above", "fires and resolves") if above else ("below", "is silent")
    where = f" for {level.labels['override']}" if level.match else ""
    return f"just {side} {number(level.threshold)}{where}: {rule.alert} {level.severity} {verdict}"
