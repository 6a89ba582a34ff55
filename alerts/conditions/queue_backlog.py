"""QueueBacklogGrowing: a queue is long, or its oldest item is old, and it is not draining."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alerts.alert import Alert
from alerts.recording.services import recorded
from alerts.rule_tests.promtool import Clock, RuleTest, Series
from alerts.rule_tests.threshold_tests import Measured, Story, story_test, threshold_tests
from alerts.rule_tests.trend_histories import line, trend_clock
from alerts.thresholds import SEVERITIES, level_rule, levels, limits
from alerts.trends import ahead, halves, leads_beyond
from instrumentation import catalog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from alerts.model import AlertRule
    from alerts.thresholds import Level, Limit
    from instrumentation.settings import Settings

NAME = "QueueBacklogGrowing"

_AGE = "queue_oldest_age_seconds"


def queue_backlog_growing(settings: Settings) -> list[AlertRule]:
    """Rules for each severity, for all and for overrides."""
    return [_rule(settings, limit) for limit in limits(settings, "queue_depth", _AGE)]


def _levels(settings: Settings) -> list[Level]:
    return levels(settings, "queue_depth", _AGE)


def _rule(settings: Settings, limit: Limit) -> AlertRule:
    of, trend = recorded(settings), settings.alerting.trend
    horizon = trend.queue_drained_within
    recent, _ = halves(of.queue_age, trend.window)
    conditions: dict[str, Callable[[str], str]] = {
        "threshold": lambda than: (
            f"{limit.of(of.queue_depth)} > {than}\nand {leads_beyond(of.queue_depth, trend.window, horizon, than)}"
        ),
        # An age already says for how long the queue has been stuck, so the earlier half is not needed.
        _AGE: lambda than: (
            f"{of.queue_depth}\nand {limit.of(of.queue_age, _AGE)} > {than}\nand {ahead(recent, horizon)} > {than}"
        ),
    }
    return level_rule(
        settings,
        limit,
        alert=NAME,
        expr="\nor\n".join(says(limit.than(place)) for place, says in conditions.items() if limit.has(place)),
        summary="A queue is long and is not draining.",
        description=(
            "The queue {{ $labels.queue }} of {{ $labels.job }} is not draining: it has "
            f'{{{{ $value | printf "%.0f" }}}} items. In {horizon} it is on course to still have more than {limit.said()} items, '
            f"or an item that has waited longer than {limit.said(_AGE, 'humanizeDuration')}."
        ),
    )


def queue_backlog_growing_tests(settings: Settings) -> list[RuleTest]:
    """Above and below every depth; old items; queues that are long but draining."""
    level_rules = [(level, _rule(settings, level.limit)) for level in _levels(settings)]
    moments = trend_clock(settings, [rule for _, rule in level_rules], settings.alerting.trend.window)
    stories = list(_stories(settings, moments))
    return [
        *threshold_tests(settings, level_rules, _history, moments=moments, label="queue"),
        story_test(settings, level_rules, stories, moments=moments, label="queue"),
    ]


def _history(moments: Clock, level: Level, labels: Mapping[str, str], above: bool) -> Measured:  # noqa: FBT001 - History
    items = level.threshold + (1 if above else -1)
    return Measured(series=(_depth(labels, moments.gauge(items, 0)),), value=items)


def _stories(settings: Settings, moments: Clock) -> Iterator[Story]:
    trend, base = settings.alerting.trend, [level for level in _levels(settings) if not level.match]
    shortest, longest = min(level.threshold for level in base), 2 * max(level.threshold for level in base)
    oldest = 2 * max(level.further[_AGE] for level in base)
    half = trend.queue_drained_within.seconds // 2  # a queue that drains is empty by then

    def since(seconds: int, before: str, start: float, end: float) -> str:
        """A constant, then a line that ends when the alert fires."""
        steps = seconds // moments.step
        return f"{before}x{moments.fires // moments.step - steps - 1} {line(steps, start, end)}"

    def aging(name: str, ages: str, fires: tuple[str, ...] = ()) -> Story:
        def series(labels: Mapping[str, str]) -> tuple[Series, Series]:
            return _depth(labels, moments.gauge(1, 1)), _age(labels, ages)

        return Story(name=name, series=series, fires=fires, value=1)

    def long(name: str, *depths: str) -> Story:
        def series(labels: Mapping[str, str]) -> list[Series]:
            return [_depth(labels, depth, str(place)) for place, depth in enumerate(depths)]

        return Story(name=name, series=series)

    started, loaded, new = min(half, moments.fires // 2), trend.window.seconds * 6 // 10, trend.window.seconds * 4 // 10
    yield aging("few-that-nobody-takes", since(moments.fires // 2, "0", 0, oldest + moments.fires), SEVERITIES)
    yield aging("old-at-the-start-and-draining", since(started, "_", oldest * (1 + started / half), oldest))
    yield long("many-at-once-and-draining", since(loaded, "0", longest * (1 + loaded / half), longest))
    yield long("new-and-long", since(new, "_", longest, longest))
    yield long("seen-by-two-instances", *2 * [moments.gauge(shortest, shortest)])


def _depth(labels: Mapping[str, str], values: str, instance: str = "a") -> Series:
    return Series(name=catalog.QUEUE_DEPTH.name, labels={**labels, "instance": instance}, values=values)


def _age(labels: Mapping[str, str], values: str) -> Series:
    return Series(name=catalog.QUEUE_OLDEST_AGE.name, labels={**labels, "instance": "a"}, values=values)


QUEUE_BACKLOG_GROWING = Alert(
    name=NAME,
    group="queues",
    meaning="a queue is long, or its oldest item is old, and it is not draining",
    rules=queue_backlog_growing,
    tests=queue_backlog_growing_tests,
)
