"""Forms for gauges: the value itself, and its growth."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alerts.model import RecordingRule, number
from alerts.recording.counting import totals
from alerts.rule_tests.promtool import RuleTest, Series, clock
from alerts.rule_tests.threshold_tests import Measured
from alerts.rule_tests.trend_histories import line
from alerts.signals.form import Form
from alerts.signals.histories import Grid, info, labelled, sides, silent
from alerts.signals.subject import HIGH, LOW
from instrumentation.catalog import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from alerts.model import AlertRule
    from alerts.signals.subject import Subject
    from alerts.signals.thresholds import SignalLevel

_NEAR = 0.002


def _value_name(subject: Subject) -> str:
    return subject.series("value", subject.signal.combine or "max")


def _combined(subject: Subject) -> RecordingRule:
    """The value of a service, from those of its instances; of the copies of a pair of Prometheus servers, one counts."""
    parts = tuple(part for part in subject.parts if part != "instance")
    gauge, combine = subject.metric(Kind.GAUGE).name, subject.signal.combine or "max"
    each = totals(subject.settings, gauge, *parts) if combine == "sum" else gauge
    return RecordingRule(record=_value_name(subject), expr=f"{combine} by ({subject.by}) ({each})")


# --- value -----------------------------------------------------------------------------------------------------------


def _value_rules(subject: Subject) -> list[AlertRule]:
    name, signal = _value_name(subject), subject.signal.name
    direction = subject.alert.direction
    allowed = f"{subject.limit(LOW)} to {subject.limit(HIGH)}" if direction == "outside" else subject.limit()
    said = "allowed are" if direction == "outside" else "the limit is"
    adjective = {"above": "high", "below": "low", "outside": "far off"}[direction]

    def condition(level: SignalLevel) -> str:
        value = level.of(name)
        compared = {"above": f"{value} > [[{HIGH}]]", "below": f"{value} < [[{LOW}]]"}
        return compared.get(direction) or f"{compared['below']}\nor\n{compared['above']}"

    return [
        subject.rule(
            level,
            expr=condition(level),
            summary=f"{signal} is too {adjective}.",
            description=f"{signal} of {subject.where} is {subject.shown('$value')}; {said} {allowed}.",
        )
        for level in subject.levels
    ]


def _value_tests(subject: Subject) -> list[RuleTest]:
    rules, direction = _value_rules(subject), subject.alert.direction
    # A value is of one moment, so nothing is remembered.
    moments = clock(subject.settings, rules, range_=1, memory=1)
    judged = list(zip(subject.levels, rules, strict=True))
    lows = [level.further[LOW] for level in subject.levels if LOW in level.further]
    highs = [level.threshold for level in subject.levels] if direction != "below" else []
    good = {"above": min(highs, default=0) - 1, "below": max(lows, default=0) + 1}.get(direction)
    if good is None:
        good = (max(lows) + min(highs)) / 2

    def is_wrong(level: SignalLevel, value: float) -> bool:
        return (direction != "below" and value > level.threshold) or value < level.further.get(LOW, -float("inf"))

    def at(place: str) -> Callable[[SignalLevel, Mapping[str, str], bool], Measured]:
        def history(level: SignalLevel, labels: Mapping[str, str], above: bool) -> Measured:  # noqa: FBT001 - History
            exact = level.further[LOW] if place == LOW else level.threshold
            near = max(abs(exact) * _NEAR, 0.001)
            value = exact + near if above else exact - near
            series = tuple(
                _gauge(
                    subject,
                    labels,
                    moments.gauge(own, good if not instance or subject.signal.combine != "sum" else 0),
                    **instance,
                )
                for own, instance in _instances(subject, value)
            )
            return Measured(series=series, value=value)

        return history

    def tests(place: str, wrong: str) -> Iterator[RuleTest]:
        return sides(subject, judged, at(place), moments=moments, is_wrong=is_wrong, place=place, wrong=wrong)

    bad = highs[0] + 1 if highs else lows[0] - 1
    steps = moments.fires // moments.step
    quiet = silent(
        subject,
        {
            "no series": lambda own: [info(own, f"1x{steps}")],
            "one bad value": lambda own: [
                _gauge(subject, own, f"{number(good)}x{steps // 2} {number(bad)} {number(good)}x{steps}")
            ],
            "gone": lambda own: [_gauge(subject, own, f"{number(good)}x{steps // 2} stale")],
        },
        moments.fires,
    )
    return [
        *(tests(HIGH, "above") if direction != "below" else ()),
        *(tests(LOW, "below") if direction != "above" else ()),
        quiet,
    ]


def _instances(subject: Subject, value: float) -> list[tuple[float, dict[str, str]]]:
    """The values of two instances that combine to a value; one where the alert keeps instances apart."""
    if "instance" in subject.parts:
        return [(value, {})]
    other = {"sum": 7.0, "max": value - 7, "min": value + 7}[subject.signal.combine or "max"]
    return [(value - other if subject.signal.combine == "sum" else value, {}), (other, {"instance": "b"})]


def _gauge(subject: Subject, labels: Mapping[str, str], values: str, **more: str) -> Series:
    return Series(name=subject.metric(Kind.GAUGE).name, labels=labelled(subject, labels, **more), values=values)


VALUE = Form(
    recording=lambda subject: [_combined(subject)],
    rules=_value_rules,
    tests=_value_tests,
    value=_value_name,
    reach=lambda _: 0,
)


# --- growth ----------------------------------------------------------------------------------------------------------


def _growth_name(subject: Subject) -> str:
    return f"{subject.series('value', 'growth')}{subject.alert.growth.per if subject.alert.growth else ''}"


def _growth_recording(subject: Subject) -> list[RecordingRule]:
    value, per = _value_name(subject), subject.alert.growth.per if subject.alert.growth else ""
    now = f"{value}[{1000 * subject.window.seconds - 1}ms]"  # as in alerts.recording.counting.within
    # The lowest value now and the highest one then: neither a short peak now nor a short gap then is growth.
    expr = f"min_over_time({now}) - max_over_time({now} offset {per})"
    return [_combined(subject), RecordingRule(record=_growth_name(subject), expr=expr)]


def _growth_rules(subject: Subject) -> list[AlertRule]:
    per, signal = subject.alert.growth.per if subject.alert.growth else "", subject.signal.name
    return [
        subject.rule(
            level,
            expr=f"{level.of(_growth_name(subject))} > [[{HIGH}]]",
            summary=f"{signal} grows too fast.",
            description=f"{signal} of {subject.where} grew by {subject.shown('$value')} within {per} (limit "
            f"{subject.limit()}).",
        )
        for level in subject.levels
    ]


def _growth_tests(subject: Subject) -> list[RuleTest]:
    rules, per = _growth_rules(subject), subject.alert.growth.per.seconds if subject.alert.growth else 0
    window = subject.window.seconds
    moments = clock(subject.settings, rules, range_=per + window, memory=per + window)
    grid, judged = Grid(moments), list(zip(subject.levels, rules, strict=True))

    def steps_between(at: int) -> int:
        """The samples by which the first of the last window is later than the last of the earlier one."""
        last = at // grid.evaluation * grid.evaluation
        first_now = last - (window - 1) // grid.evaluation * grid.evaluation
        last_then = (last - per) // grid.evaluation * grid.evaluation
        return first_now // grid.step - last_then // grid.step

    found = [steps_between(at) for at in range(moments.fires - grid.period, moments.fires, grid.evaluation)]

    def history(level: SignalLevel, labels: Mapping[str, str], above: bool) -> Measured:  # noqa: FBT001 - History
        each = level.threshold * ((1 + _NEAR) / min(found) if above else (1 - _NEAR) / max(found))
        first, second = moments.fires // moments.step + 1, moments.resolved // moments.step
        is_sum = subject.signal.combine == "sum" and "instance" not in subject.parts
        instances = ("a", "b") if is_sum else ("a",)
        own = each / len(instances)
        values = f"0+{number(own)}x{first} {number(own * first)}x{second}"
        series = tuple(_gauge(subject, {**labels, "instance": instance}, values) for instance in instances)
        return Measured(series=series, value=each * steps_between(moments.fires))

    worst, steps = 9 * max(level.threshold for level in subject.levels), moments.fires // moments.step
    short, half = max(window // 2 // moments.step, 1), steps // 2
    quiet = silent(
        subject,
        {
            "always high": lambda own: [_gauge(subject, own, f"{number(worst)}x{steps}")],
            "a short peak": lambda own: [_gauge(subject, own, f"0x{half} {number(worst)}x{short} 0x{steps}")],
            "a short gap, as in a restart": lambda own: [
                _gauge(subject, own, f"{number(worst)}x{half} 0x{short} {number(worst)}x{steps}")
            ],
            "new and growing": lambda own: [
                _gauge(subject, own, f"_x{steps - per // 2 // moments.step} {line(per // moments.step, 0, worst)}")
            ],
            "shrinking": lambda own: [_gauge(subject, own, line(steps, worst, 0))],
        },
        moments.fires,
    )
    return [
        *sides(subject, judged, history, moments=moments, is_wrong=lambda level, value: value > level.threshold),
        quiet,
    ]


GROWTH = Form(
    recording=_growth_recording,
    rules=_growth_rules,
    tests=_growth_tests,
    value=_growth_name,
    reach=lambda subject: subject.alert.growth.per.seconds if subject.alert.growth else 0,
)
