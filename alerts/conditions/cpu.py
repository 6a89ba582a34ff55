"""CPUSaturated: an instance has used nearly all of its CPU for a sustained period, and still does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alerts.alert import Alert
from alerts.model import number
from alerts.recording.services import recorded
from alerts.rule_tests.promtool import At, Clock, Firing, RuleTest, Series
from alerts.rule_tests.threshold_tests import SAMPLES, Measured, Story, service_labels, story_test, threshold_tests
from alerts.rule_tests.trend_histories import trend_clock
from alerts.thresholds import SEVERITIES, level_rule, levels, limits
from alerts.trends import halves
from instrumentation import catalog
from instrumentation.settings import Duration

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from alerts.model import AlertRule
    from alerts.thresholds import Level, Limit
    from instrumentation.settings import Settings

NAME = "CPUSaturated"

_CORES = 2


def cpu_saturated(settings: Settings) -> list[AlertRule]:
    """Rules for each severity, for all and for overrides.

    CPU usage cannot exceed its limit, so it is not extrapolated: the alert requires that it stays high. An instance that is too
    young for that is compared with the median of its service.
    """
    return [_rule(settings, limit) for limit in limits(settings, "cpu_used_ratio")]


def _rule(settings: Settings, limit: Limit) -> AlertRule:
    of, alerting, window = recorded(settings), settings.alerting, settings.alerting.trend.window
    recent, earlier = halves(of.cpu_used, window)
    used, than = limit.of(of.cpu_used), limit.than()
    # A young instance has no past of its own, and rate() reads too little at its start. If instances are replaced again and again, none
    # ever has a past. Then the median instance of the service tells whether this lasts, if the service is older.
    reach = Duration.of(window.seconds + alerting.window.seconds)
    was_there = f"max_over_time({of.service_cpu_used}[{alerting.window}] offset {reach})"
    is_young = f"and on ({of.by}) {was_there} unless {of.cpu_used} offset {reach}"
    service = (
        f"0 * {of.cpu_used} + on ({of.by}) group_left () quantile_over_time(0.5, {half}) > {than}"
        for half in halves(of.service_cpu_used, window)
    )
    return level_rule(
        settings,
        limit,
        alert=NAME,
        expr=(
            f"{used} > {than}\n"
            f"and avg_over_time({recent}) > {than}\n"
            f"and avg_over_time({earlier}) > {than}\n"
            f"or\n"
            f"{used} > {than} and {' and '.join(service)}\n"
            f"{is_young}"
        ),
        summary="An instance uses nearly all of its CPU.",
        description=(
            "{{ $labels.instance }} of {{ $labels.job }} uses {{ $value | humanizePercentage }} of its available CPU, and has "
            f"done so for most of the last {window} (limit {limit.said(function='humanizePercentage')})."
        ),
    )


def cpu_saturated_tests(settings: Settings) -> list[RuleTest]:
    """Above and below every threshold; peaks; an instance without metrics of its container."""
    level_rules = [(level, _rule(settings, level.limit)) for level in levels(settings, "cpu_used_ratio")]
    moments = trend_clock(settings, [rule for _, rule in level_rules], settings.alerting.trend.window)
    stories = list(_stories(settings, moments))
    return [
        *threshold_tests(settings, level_rules, _history, moments=moments, label="instance"),
        story_test(settings, level_rules, stories, moments=moments, label="instance"),
        _replaced_test(settings, level_rules, moments),
    ]


def _replaced_test(settings: Settings, level_rules: Sequence[tuple[Level, AlertRule]], moments: Clock) -> RuleTest:
    """All instances of a service are busy, and none of them lives for as long as the trend looks back."""
    labels, busy = service_labels(settings), _CORES * moments.step
    waits = moments.longest_for + settings.alerting.window.seconds + moments.grace
    end = (moments.fires + waits) // moments.step
    young = waits // moments.step
    lives = {"old": f"{_counter((busy, end - young))} stale", "young": f"_x{end - young} {_counter((busy, young + 1))}"}
    firing = tuple(
        Firing(rule=rule, labels={**labels, "instance": "young"}, value=1)
        for level, rule in level_rules
        if not level.match
    )
    return RuleTest(
        name=f"{NAME} fires for a young instance that takes the place of a busy one",
        series=tuple(
            one
            for name, seconds in lives.items()
            for one in (
                Series(name=catalog.CONTAINER_CPU_USAGE.name, labels={**labels, "instance": name}, values=seconds),
                Series(name=catalog.CPU_AVAILABLE.name, labels={**labels, "instance": name}, values=f"{_CORES}x{end}"),
            )
        ),
        alerts=(At(seconds=end * moments.step, alert=NAME, firing=firing),),
    )


def _history(moments: Clock, level: Level, labels: Mapping[str, str], above: bool) -> Measured:  # noqa: FBT001 - History
    used = level.threshold + (1 if above else -1) / SAMPLES
    grows = used * _CORES * moments.step
    return Measured(series=_container(labels, moments.counter(grows, 0), moments), value=used)


def _stories(settings: Settings, moments: Clock) -> Iterator[Story]:
    least = min(level.threshold for level in levels(settings, "cpu_used_ratio") if not level.match)
    window, steps = settings.alerting.trend.window.seconds // moments.step, moments.fires // moments.step + 1
    peak, busy, calm = window * 4 // 10, _CORES * moments.step, least / 2 * _CORES * moments.step
    again = ((0, window * 3 // 20), (busy, window // 4))
    earlier = min(window * 17 // 20, steps - sum(length for _, length in again) - 2)
    pause = ((busy, earlier), *again)

    def container(name: str, seconds: str) -> Story:
        # In a service of its own, since the others of a service tell whether it lasts.
        return Story(name=name, series=lambda labels: _container({**labels, "job": name}, seconds, moments))

    def process(labels: Mapping[str, str]) -> tuple[Series, Series]:
        seconds = _counter((busy, steps))
        return Series(name=catalog.PROCESS_CPU.name, labels=labels, values=seconds), _cores(labels, moments)

    yield Story(name="busy-without-a-container", series=process, fires=SEVERITIES, value=1)
    yield container("a-peak", _counter((calm, steps - peak), (busy, peak)))
    if least > 0.75:  # noqa: PLR2004 - otherwise being busy for three quarters of the time is enough
        yield container("again-after-a-pause", _counter((calm, steps - sum(length for _, length in pause)), *pause))
    yield container("just-started", f"_x{steps - peak} {_counter((busy, peak))}")
    yield container("restarted", f"{_counter((calm, steps - peak))} {_counter((calm, peak))}")


def _counter(*phases: tuple[float, int]) -> str:
    """A counter with phases, each with a growth per sample and a number of samples."""
    total, parts = 0.0, []
    for grows, samples in phases:
        parts.append(f"{number(total + grows)}+{number(grows)}x{samples - 1}")
        total += grows * samples
    return " ".join(parts)


def _container(labels: Mapping[str, str], seconds: str, moments: Clock) -> tuple[Series, Series]:
    return Series(name=catalog.CONTAINER_CPU_USAGE.name, labels=labels, values=seconds), _cores(labels, moments)


def _cores(labels: Mapping[str, str], moments: Clock) -> Series:
    values = moments.gauge(_CORES, _CORES)
    return Series(name=catalog.CPU_AVAILABLE.name, labels=labels, values=values)


CPU_SATURATED = Alert(
    name=NAME,
    group="resources",
    meaning="an instance has used nearly all of its CPU for a sustained period",
    rules=cpu_saturated,
    tests=cpu_saturated_tests,
)
