"""Tests of thresholds: just above a threshold the alert fires and later resolves, just below it does not fire."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from alerts.model import number
from alerts.rule_tests.promtool import At, Clock, Firing, RuleTest, Series, Value, clock
from instrumentation import catalog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from alerts.model import AlertRule
    from alerts.thresholds import Level
    from instrumentation.settings import Settings

SAMPLES = 10_000  # requests per sample, for ratios as fine as 1 in 10,000


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Input series and the value that a rule measures in them."""

    series: tuple[Series, ...]
    value: float


if TYPE_CHECKING:
    LevelRules = Sequence[tuple[Level, AlertRule]]
    History = Callable[[Clock, Level, Mapping[str, str], bool], Measured]
    Burst = Callable[[Mapping[str, str], int, Callable[[int], str]], tuple[Series, ...]]


def threshold_tests(  # noqa: PLR0913 - most by keyword, and with a default
    settings: Settings,
    level_rules: LevelRules,
    history: History,
    *,
    moments: Clock | None = None,
    label: str = "",
    own: Mapping[str, str] | None = None,
    resolves: bool = True,
) -> Iterator[RuleTest]:
    """Tests just above and just below every threshold.

    Args:
        settings: The settings from which the rules were made.
        level_rules: Every level with its rule.
        history: Returns series just above (True) or just below (False) a level, for the labels of a service.
        moments: The clock; needed if the rules read further back than ``alerting.window``.
        label: The label that distinguishes the series of an alert within a service, such as ``queue``. Both sides of a
            threshold are then in one test, because each test takes promtool noticeable time.
        own: Additional labels of the alert's series.
        resolves: Whether the condition ends within the history.
    """
    moments = moments or clock(settings, [rule for _, rule in level_rules])
    for level, rule in level_rules:
        together = bool(label) and label not in level.match
        for sides in (("above", "below"),) if together else (("above",), ("below",)):
            found: list[tuple[Mapping[str, str], Measured]] = []
            for side in sides:
                labels = {**(own or {}), **service_labels(settings, level), **({label: side} if together else {})}
                found.append((labels, history(moments, level, labels, side == "above")))
            checks = (
                At(seconds=_too_early(settings, level_rules), alert=rule.alert),
                At(seconds=moments.fires, alert=rule.alert, firing=_firing(level_rules, found)),
                At(seconds=moments.resolved, alert=rule.alert),
            )
            yield RuleTest(
                name=_name(level, rule, sides, resolves=resolves),
                series=tuple(one for _, measured in found for one in measured.series),
                alerts=checks if resolves else checks[:-1],
            )


def _firing(level_rules: LevelRules, found: Iterable[tuple[Mapping[str, str], Measured]]) -> tuple[Firing, ...]:
    return tuple(
        Firing(rule=rule, labels=labels, value=measured.value)
        for labels, measured in found
        for level, rule in level_rules
        if level.applies_to(labels) and measured.value > level.threshold
    )


def burst_tests(settings: Settings, rules: Sequence[AlertRule], what: str, burst: Burst) -> Iterator[RuleTest]:
    """Tests of bad events within one scrape at an otherwise idle service, whose series were 0 before, or did not exist.

    Args:
        settings: The settings from which the rules were made.
        rules: The rules of one alert.
        what: The name of the bad events.
        burst: Returns the series of a number of bad events, for the labels of a service and a counter that jumps to a number.
    """
    critical = next(rule for rule in rules if rule.key == "critical")
    moments, least = clock(settings, rules), settings.alerting.minimum_bad_events
    labels = service_labels(settings)
    change = moments.grace // moments.step + 2
    at = change * moments.step + critical.for_.seconds + moments.grace
    remembered = settings.alerting.window.seconds > critical.for_.seconds + moments.grace
    which = f'alertname="{critical.alert}", alertstate="firing", severity="{critical.severity}"'
    firing = f"count by (alertname) (ALERTS{{{which}}})"
    known = Series(name=catalog.TARGET_INFO.name, labels={**labels, "instance": "a"}, values=f"1x{at // moments.step}")
    for bad, fires in ((least - 1, False), (least, True), (600, True)):
        if fires and not remembered:  # the burst leaves the range before the alert's `for` is over
            continue
        check = Value(seconds=at, expr=firing, labels={"alertname": critical.alert}, value=1 if fires else None)
        for before, born in (
            (f"0x{change - 1}", "on a series that was 0"),
            (f"_x{change}", "on a series that they begin"),
        ):
            yield RuleTest(
                name=f"{bad} of {bad} {what} at once, {born}, then quiet: {'fires' if fires else 'is silent'}",
                series=(known, *burst(labels, bad, _jump(before, at // moments.step))),
                values=(check,),
            )


def _jump(before: str, after: int) -> Callable[[int], str]:
    return lambda count: f"{before} {count}x{after}"


@dataclass(frozen=True, kw_only=True)
class Story:
    """Input series, and the severities at which an alert fires for them.

    Attributes:
        name: Describes what happens, in words joined by -; it is the value of the label that distinguishes the stories.
        series: Returns the series until ``Clock.fires``, for the labels of the story.
        fires: The severities that fire at the end; if empty, the alert never fires.
        value: The value of the alert if it fires.
    """

    name: str
    series: Callable[[Mapping[str, str]], Iterable[Series]]
    fires: tuple[str, ...] = ()
    value: float = 0


def story_test(  # noqa: PLR0913 - most by keyword
    settings: Settings,
    level_rules: LevelRules,
    stories: Sequence[Story],
    *,
    moments: Clock,
    label: str,
    own: Mapping[str, str] | None = None,
) -> RuleTest:
    """One test with all stories of an alert; no override matches any of them.

    Args:
        settings: The settings from which the rules were made.
        level_rules: Every level with its rule.
        stories: The stories.
        moments: The clock.
        label: The label that distinguishes the stories.
        own: Additional labels of the alert's series.
    """
    labels = {story.name: {**(own or {}), **service_labels(settings), label: story.name} for story in stories}
    alert = level_rules[0][1].alert
    firing = tuple(
        Firing(rule=rule, labels=labels[story.name], value=story.value)
        for story in stories
        for level, rule in level_rules
        if not level.match and level.severity in story.fires
    )
    silent = [story.name for story in stories if not story.fires]
    fires = [story.name for story in stories if story.fires]
    return RuleTest(
        name=f"{alert} fires for {', '.join(fires) or 'none'}, and never for {', '.join(silent)}",
        series=tuple(one for story in stories for one in story.series(labels[story.name])),
        alerts=(At(seconds=moments.fires, alert=alert, firing=firing),),
        values=(never(alert, moments.fires, label, silent),),
    )


def never(alert: str, seconds: int, label: str, names: Iterable[str]) -> Value:
    """A check that an alert has not fired before a time, in seconds from the start, for some values of a label."""
    ever = f'ALERTS{{alertname="{alert}", alertstate="firing", {label}=~"{"|".join(names)}"}}[{seconds}s]'
    return Value(seconds=seconds, expr=f"count_over_time({ever})", labels={}, value=None)


def service_labels(settings: Settings, level: Level | None = None) -> dict[str, str]:
    """Labels of a service to which a level applies: those of its override, and default values for the rest of ``group_by``."""
    job = "shop"
    while any(one.match.get("job") == job for one in settings.alerting.left_out):
        job += "_"
    plain = {label: job if label == "job" else f"some_{label}" for label in settings.alerting.group_by}
    return plain if level is None else {**plain, **level.match}


def _too_early(settings: Settings, level_rules: LevelRules) -> int:
    return min(rule.for_.seconds for _, rule in level_rules) - settings.alerting.evaluation_interval.seconds


def _name(level: Level, rule: AlertRule, sides: Sequence[str], *, resolves: bool) -> str:
    verdicts = {"above": "fires and resolves" if resolves else "fires", "below": "is silent"}
    said = ", ".join(f"just {side} {number(level.threshold)} {verdicts[side]}" for side in sides)
    where = f" for {', '.join(f'{name}={value}' for name, value in level.match.items())}" if level.match else ""
    return f"{rule.alert} {level.severity}{where}: {said}"
