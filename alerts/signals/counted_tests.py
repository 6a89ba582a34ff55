"""promtool tests of the forms that count events."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

from alerts.model import number
from alerts.rule_tests.promtool import Clock, RuleTest, Series, clock
from alerts.rule_tests.threshold_tests import SAMPLES, Measured
from alerts.signals.histories import OLD, Grid, chosen, info, is_firing, labelled, own_labels, process, sides, silent
from instrumentation.catalog import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from alerts.model import AlertRule
    from alerts.signals.subject import Subject
    from alerts.signals.thresholds import SignalLevel

_NEAR = 0.002  # how far from a threshold a test is, as a share of it


def rate_tests(subject: Subject, rules: Sequence[AlertRule]) -> list[RuleTest]:
    """Above and below every number of events; services that are idle, new, restarted or not observed for a while."""
    per = subject.alert.rate.per.seconds if subject.alert.rate else 0
    is_below = subject.alert.direction == "below"
    moments = clock(subject.settings, rules, range_=per, memory=per)
    grid, judged = Grid(moments), list(zip(subject.levels, rules, strict=True))
    least, most = grid.bounds(per)

    def history(level: SignalLevel, labels: Mapping[str, str], above: bool) -> Measured:  # noqa: FBT001 - History
        wanted = level.threshold
        each = wanted * (1 + _NEAR) / least if above else wanted * (1 - _NEAR) / most
        if above and wanted == 0:
            each = 1.0
        good = 2 * max(one.threshold for one in subject.levels) / least if is_below else 0.0
        series = _counted(subject, labels, moments.counter(each, good))
        return Measured(series=(series,), value=each * grid.samples(per, moments.fires))

    def is_wrong(level: SignalLevel, value: float) -> bool:
        return value < level.threshold if is_below else value > level.threshold

    wrong = "below" if is_below else "above"
    at_threshold = sides(
        subject,
        judged,
        history,
        moments=moments,
        is_wrong=is_wrong,
        place="at_least" if is_below else "threshold",
        wrong=wrong,
    )
    return [*at_threshold, (_too_few_stories if is_below else _too_many_stories)(subject, moments)]


def _too_many_stories(subject: Subject, moments: Clock) -> RuleTest:
    steps, half = moments.fires // moments.step, moments.fires // moments.step // 2
    return silent(
        subject,
        {
            "idle with many events before": lambda own: [_counted(subject, own, f"7000000x{steps}")],
            "found with many events of an old process": lambda own: [
                process(own, f"_x{half} {OLD}x{half}"),
                _counted(subject, own, f"_x{half} 7000000x{half}"),
            ],
            "restarted": lambda own: [
                process(own, f"{OLD}x{half} {half * moments.step}x{half}"),
                _counted(subject, own, f"7000000x{half} 0x{half}"),
            ],
            "no series": lambda own: [info(own, f"1x{steps}")],
        },
        moments.fires,
    )


def _too_few_stories(subject: Subject, moments: Clock) -> RuleTest:
    per = moments.range_
    steps, known = moments.fires // moments.step, max(per * 8 // 10 // moments.step, 1)
    enough = 3 * max(level.threshold for level in subject.levels) / Grid(moments).bounds(per)[0]
    until = steps // 2
    away = max((400 + per // 10) // moments.step, 1)  # longer than Prometheus remembers, and than may be missing
    lasting = (
        {"away for a while": lambda own: [_counted(subject, own, _with_gap(enough, until, away, steps - until - away))]}
        if away < steps - until
        else {}
    )
    return silent(
        subject,
        {
            "new without events": lambda own: [_counted(subject, own, f"_x{steps - known} 0x{known}")],
            "gone": lambda own: [_counted(subject, own, f"0+{number(enough)}x{until} stale")],
            "restarted": lambda own: [
                process(own, f"{OLD}x{until} {until * moments.step}x{steps - until}"),
                _counted(subject, own, f"0+{number(enough)}x{until} 0+{number(enough)}x{steps - until}"),
            ],
            "no series": lambda own: [info(own, f"1x{steps}")],
            **lasting,
        },
        moments.fires,
    )


def _with_gap(each: float, before: int, gap: int, after: int) -> str:
    rising = f"0+{number(each)}x{before}"
    return f"{rising} _x{gap} {number(each * (before + gap + 1))}+{number(each)}x{after}"


def ratio_tests(subject: Subject, rules: Sequence[AlertRule]) -> list[RuleTest]:
    """Above and below every share; few events, services that are idle, new or restarted."""
    is_below = subject.alert.direction == "below"
    window = subject.window.seconds
    moments = clock(subject.settings, rules, range_=window, memory=window)
    judged = list(zip(subject.levels, rules, strict=True))

    def history(level: SignalLevel, labels: Mapping[str, str], above: bool) -> Measured:  # noqa: FBT001 - History
        exact = level.threshold * SAMPLES
        share = math.floor(exact + 1 + 1e-9) if above else math.ceil(exact - 1 - 1e-9)
        good = SAMPLES if is_below else 0
        return Measured(
            series=_shared(
                subject,
                labels,
                moments.counter(share, good),
                moments.counter(SAMPLES - share, SAMPLES - good),
                moments.counter(SAMPLES, SAMPLES),
            ),
            value=share / SAMPLES,
        )

    def is_wrong(level: SignalLevel, value: float) -> bool:
        return value < level.threshold if is_below else value > level.threshold

    at_threshold = sides(
        subject,
        judged,
        history,
        moments=moments,
        is_wrong=is_wrong,
        place="at_least" if is_below else "threshold",
        wrong="below" if is_below else "above",
    )
    return [*at_threshold, _ratio_stories(subject, moments), *_enough(subject, moments, rules)]


def _ratio_stories(subject: Subject, moments: Clock) -> RuleTest:
    steps, half = moments.fires // moments.step, moments.fires // moments.step // 2
    is_below, few = subject.alert.direction == "below", subject.minimum - 1

    def wrong(own: Mapping[str, str], values: str, other: str = f"0x{steps}") -> list[Series]:
        return [
            *(
                _shared(subject, own, other, values, values)
                if is_below
                else _shared(subject, own, values, other, values)
            )
        ]

    return silent(
        subject,
        {
            "idle with many events before": lambda own: wrong(own, f"7000000x{steps}"),
            "fewer events than needed": lambda own: [
                info(own, f"1x{steps}"),
                process(own, f"{OLD}x{steps}"),
                *wrong(own, f"0x{half} {few}x{half}"),
            ],
            "found with many events of an old process": lambda own: [
                process(own, f"_x{half} {OLD}x{half}"),
                *wrong(own, f"_x{half} 7000000x{half}", f"_x{half} 0x{half}"),
            ],
            "no series": lambda own: [info(own, f"1x{steps}")],
        },
        moments.fires,
    )


def _enough(subject: Subject, moments: Clock, rules: Sequence[AlertRule]) -> list[RuleTest]:
    """As many events as are needed, at once, where the window still holds them when the alert has waited."""
    own, at = own_labels(subject), moments.grace + 2 * moments.step
    waiting = [
        rule
        for level, rule in zip(subject.levels, rules, strict=True)
        if not level.match and rule.for_.seconds + moments.grace < subject.window.seconds
    ]
    if not waiting:
        return []
    end = at + max(rule.for_.seconds for rule in waiting) + moments.grace
    steps, rest = at // moments.step, end // moments.step
    events, born, none = f"0x{steps - 1} {subject.minimum}x{rest}", f"_x{steps} {subject.minimum}x{rest}", f"0x{rest}"
    if subject.alert.direction == "below":
        chosen_of_all = _shared(subject, own, none, events, events)
        stories = {"all of them of the other kind": chosen_of_all, "none ever of this kind": chosen_of_all[1:]}
    else:
        chosen_of_all = _shared(subject, own, events, none, events)
        first = replace(chosen_of_all[0], values=born)
        stories = {"all of this kind": chosen_of_all, "the first of this kind": (first, *chosen_of_all[1:])}
    return [
        RuleTest(
            name=f"{subject.alert.alert} fires: {subject.minimum} events at once, {name}",
            series=(info(own, f"1x{rest}"), *series),
            values=tuple(is_firing(rule, end) for rule in waiting),
        )
        for name, series in stories.items()
    ]


def quantile_tests(subject: Subject, rules: Sequence[AlertRule]) -> list[RuleTest]:
    """Above and below every threshold; few high values, and services that are idle, new or restarted."""
    window, q = subject.window.seconds, subject.alert.quantile.q if subject.alert.quantile else 0
    moments = clock(subject.settings, rules, range_=window, memory=window)
    judged = list(zip(subject.levels, rules, strict=True))
    edges, metric = subject.signal.edges, subject.metric(Kind.HISTOGRAM)

    def histogram(labels: Mapping[str, str], values: Mapping[float, str]) -> tuple[Series, ...]:
        own = labelled(subject, labels)
        buckets = [
            Series(name=f"{metric.name}_bucket", labels={**own, "le": _le(edge)}, values=text)
            for edge, text in values.items()
        ]
        return (*buckets, Series(name=f"{metric.name}_count", labels=own, values=values[math.inf]))

    def history(level: SignalLevel, labels: Mapping[str, str], above: bool) -> Measured:  # noqa: FBT001 - History
        high = round((1 - q) * SAMPLES) + (1 if above else -1)
        low = SAMPLES - high
        lower, upper = next((a, b) for a, b in pairwise((0.0, *edges)) if (a if above else b) == level.threshold)
        rank = q * SAMPLES  # histogram_quantile interpolates within the bucket that holds the quantile
        value = lower + (upper - lower) * ((rank - low) / high if above else rank / low)
        counts = {
            edge: 0 if edge < level.threshold else low if edge == level.threshold else SAMPLES
            for edge in (*edges, math.inf)
        }
        # What was observed before the alert resolves is low.
        return Measured(
            series=histogram(labels, {edge: moments.counter(count, SAMPLES) for edge, count in counts.items()}),
            value=value,
        )

    highest = max(level.threshold for level in subject.levels)
    steps, half = moments.fires // moments.step, moments.fires // moments.step // 2

    def wrong(own: Mapping[str, str], values: str, low: str = f"0x{steps}") -> Sequence[Series]:
        return histogram(own, {edge: values if edge > highest else low for edge in (*edges, math.inf)})

    stories = silent(
        subject,
        {
            "idle with many high values before": lambda own: wrong(own, f"7000000x{steps}"),
            "fewer high values than needed": lambda own: [
                info(own, f"1x{steps}"),
                process(own, f"{OLD}x{steps}"),
                *wrong(own, f"0x{half} {subject.minimum - 1}x{half}"),
            ],
            "found with many high values of an old process": lambda own: [
                process(own, f"_x{half} {OLD}x{half}"),
                *wrong(own, f"_x{half} 7000000x{half}", f"_x{half} 0x{half}"),
            ],
            "no series": lambda own: [info(own, f"1x{steps}")],
        },
        moments.fires,
    )
    return [
        *sides(subject, judged, history, moments=moments, is_wrong=lambda level, value: value > level.threshold),
        stories,
    ]


def _le(edge: float) -> str:
    return "+Inf" if math.isinf(edge) else str(float(edge))


def _counted(subject: Subject, labels: Mapping[str, str], values: str) -> Series:
    return Series(name=subject.counter, labels=labelled(subject, labels), values=values)


def _shared(subject: Subject, labels: Mapping[str, str], part: str, rest: str, whole: str) -> tuple[Series, ...]:
    """The events that a ratio counts and the others; or the events of two signals."""
    counted = Series(name=subject.counter, labels=chosen(subject, labels, is_chosen=True), values=part)
    to = subject.alert.ratio.to if subject.alert.ratio else None
    if to is not None:
        return counted, Series(name=f"{to}_total", labels={"instance": "a", **labels}, values=whole)
    return counted, Series(name=subject.counter, labels=chosen(subject, labels, is_chosen=False), values=rest)
