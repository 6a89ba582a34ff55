"""Forms that count events one by one: a rate, a ratio, a quantile. docs/decisions/0022-counting-events.md says how."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alerts.model import RecordingRule
from alerts.recording.counting import added, remembered, totals, within
from alerts.signals import counted_tests
from alerts.signals.form import Form
from alerts.signals.subject import HIGH, LOW, selecting
from instrumentation import catalog
from instrumentation.catalog import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alerts.model import AlertRule
    from alerts.signals.subject import Subject
    from alerts.signals.thresholds import SignalLevel
    from instrumentation.settings import Duration

COVERED = 0.9
"""The share of a window that must have been observed before too few events are an alert."""


def _by_instance(subject: Subject) -> tuple[str, ...]:
    return tuple(part for part in subject.parts if part != "instance")


def _known(subject: Subject, *, always: bool = False) -> list[RecordingRule]:
    """A total of each instance that is there before the first event of a part, of an open label or of a bucket."""
    name = subject.of_instances("known", "sum")
    if subject.signal.limits:
        by = ", ".join((*subject.settings.alerting.group_by, "instance"))
        return [RecordingRule(record=name, expr=f"0 * max by ({by}) ({catalog.TARGET_INFO.name})")]
    is_needed = always or _by_instance(subject)
    return [RecordingRule(record=name, expr=totals(subject.settings, subject.counter))] if is_needed else []


def _events(subject: Subject, what: str, counter: str, window: Duration, *, zero: str = "") -> list[RecordingRule]:
    """Three series: what each instance has counted, what was added to it, and what was added within the window."""
    settings, parts = subject.settings, _by_instance(subject)
    total, new = subject.of_instances(what, "sum", *parts), subject.series(what, "increase")
    known = subject.of_instances("known", "sum") if _known(subject) else ""
    return [
        RecordingRule(record=total, expr=totals(settings, counter, *parts) + (f"\nor\n0 * {zero}" if zero else "")),
        RecordingRule(record=new, expr=added(settings, total, *subject.parts, seen=known)),
        RecordingRule(record=f"{new}{window}", expr=within(new, window)),
    ]


# --- rate ------------------------------------------------------------------------------------------------------------


def _per(subject: Subject) -> Duration:
    assert subject.alert.rate is not None  # noqa: S101 - this form has one
    return subject.alert.rate.per


def _rate_recording(subject: Subject) -> list[RecordingRule]:
    return [*_known(subject), *_events(subject, "events", subject.counter, _per(subject)), *_observed(subject)]


def _observed(subject: Subject) -> Iterator[RecordingRule]:
    """For how many seconds of a window the events of a service were counted; only too few need this."""
    if subject.alert.direction == "below":
        total, seen = subject.of_instances("events", "sum", *_by_instance(subject)), subject.series("events", "time")
        observed = subject.series("observed", "seconds")
        memory = remembered(subject.settings)
        yield RecordingRule(record=seen, expr=f"0 * sum by ({subject.by}) ({total}) + time()")
        yield RecordingRule(record=observed, expr=f"idelta({seen}[{memory}]) and {seen}")
        yield RecordingRule(record=f"{observed}{_per(subject)}", expr=within(observed, _per(subject)))


def _rate_rules(subject: Subject) -> list[AlertRule]:
    per, name = _per(subject), subject.signal.name
    events = f"{subject.series('events', 'increase')}{per}"
    observed = f"{subject.series('observed', 'seconds')}{per}"

    def too_many(level: SignalLevel) -> AlertRule:
        return subject.rule(
            level,
            expr=f"{level.of(events)} > [[{HIGH}]]",
            summary=f"There are too many {name}.",
            description=f"{subject.where} counted {subject.shown('$value')} {name} in the last {per} (limit "
            f"{subject.limit()}).",
        )

    def too_few(level: SignalLevel) -> AlertRule:
        # What was not observed, as after a gap, is taken to be like the rest.
        return subject.rule(
            level,
            expr=f"{level.of(events)}\nand {events} / ({observed} / {per.seconds}) < [[{LOW}]]\n"
            f"and {observed} >= {COVERED * per.seconds:g}",
            summary=f"There are too few {name}.",
            description=f"{subject.where} counted only {subject.shown('$value')} {name} in the last {per} (limit "
            f"{subject.limit()}).",
        )

    return [(too_few if subject.alert.direction == "below" else too_many)(level) for level in subject.levels]


RATE = Form(
    recording=_rate_recording,
    rules=_rate_rules,
    tests=lambda subject: counted_tests.rate_tests(subject, _rate_rules(subject)),
    value=lambda subject: f"{subject.series('events', 'increase')}{_per(subject)}",
    reach=lambda subject: _per(subject).seconds,
)


# --- ratio -----------------------------------------------------------------------------------------------------------


def _all_events(subject: Subject) -> str:
    to = subject.alert.ratio.to if subject.alert.ratio else None
    return subject.counter if to is None else f"{to}_total"


def _ratio_recording(subject: Subject) -> list[RecordingRule]:
    window, parts = subject.window, _by_instance(subject)
    every = subject.of_instances("events", "sum", *parts)
    chosen = subject.counter + selecting(subject.selected())
    ratio = f"{subject.series('chosen', 'increase')}{window} / ({subject.series('events', 'increase')}{window} > 0)"
    return [
        *_known(subject),
        *_events(subject, "events", _all_events(subject), window),
        *_events(subject, "chosen", chosen, window, zero=every),
        RecordingRule(record=_ratio(subject), expr=ratio),
    ]


def _ratio(subject: Subject) -> str:
    return f"{subject.series('chosen_per_events', 'ratio_rate')}{subject.window}"


def _ratio_rules(subject: Subject) -> list[AlertRule]:
    is_below, window = subject.alert.direction == "below", subject.window
    enough = subject.series("events" if is_below else "chosen", "increase") + window
    chosen = ", ".join(f"{label} {' or '.join(values)}" for label, values in subject.selected().items())
    to = (subject.alert.ratio.to if subject.alert.ratio else None) or subject.signal.name
    what = f"{subject.signal.name}{f' with {chosen}' if chosen else ''}"
    return [
        subject.rule(
            level,
            expr=f"{level.of(_ratio(subject))} {'<' if is_below else '>'} [[{LOW if is_below else HIGH}]]\n"
            f"and {enough} >= [[minimum_events]]",
            summary=f"The share of {what} is too {'small' if is_below else 'large'}.",
            description=f"Of the {to} of {subject.where} in the last {window}, {subject.shown('$value')} are {what} (limit "
            f"{subject.limit()}).",
            minimum_events=subject.minimum,
        )
        for level in subject.levels
    ]


RATIO = Form(
    recording=_ratio_recording,
    rules=_ratio_rules,
    tests=lambda subject: counted_tests.ratio_tests(subject, _ratio_rules(subject)),
    value=_ratio,
    reach=lambda subject: subject.window.seconds,
)


# --- quantile --------------------------------------------------------------------------------------------------------


def _quantile(subject: Subject) -> str:
    return f"{subject.series('quantile', 'rate')}{subject.window}"


def _quantile_recording(subject: Subject) -> list[RecordingRule]:
    settings, parts, window = subject.settings, _by_instance(subject), subject.window
    total = subject.of_instances("buckets", "sum", "le", *parts)
    new = subject.series("buckets", "increase")
    histogram, q = subject.metric(Kind.HISTOGRAM), subject.alert.quantile.q if subject.alert.quantile else 0
    known = _known(subject, always=True)
    return [
        *known,
        RecordingRule(record=total, expr=totals(settings, f"{histogram.name}_bucket", "le", *parts)),
        RecordingRule(record=new, expr=added(settings, total, "le", *subject.parts, seen=known[0].record)),
        RecordingRule(record=f"{new}{window}", expr=within(new, window)),
        # Without observations the quantile is NaN, for which no comparison holds.
        RecordingRule(record=_quantile(subject), expr=f"histogram_quantile({q:g}, {new}{window}) >= 0"),
    ]


def _quantile_rules(subject: Subject) -> list[AlertRule]:
    buckets, name = f"{subject.series('buckets', 'increase')}{subject.window}", subject.metric(Kind.HISTOGRAM).name
    # Clients write the edge 1 as "1.0" or "1"; Prometheus 3 makes both "1.0", older ones keep what they were given.
    every, fast = (f"sum by ({subject.by}) ({buckets}{{{le}}})" for le in ('le="+Inf"', f'le=~"[[{HIGH}]](|.0)"'))
    share = f"{100 * subject.alert.quantile.q:g} %" if subject.alert.quantile else ""
    return [
        subject.rule(
            level,
            expr=f"{level.of(_quantile(subject))} > [[{HIGH}]]\nand\n{every} - {fast} >= [[minimum_events]]",
            summary=f"Too many values of {name} are high.",
            description=f"In the last {subject.window}, {share} of the values of {name} of {subject.where} were at most "
            f"{subject.shown('$value')} (limit {subject.limit()}).",
            minimum_events=subject.minimum,
        )
        for level in subject.levels
    ]


QUANTILE = Form(
    recording=_quantile_recording,
    rules=_quantile_rules,
    tests=lambda subject: counted_tests.quantile_tests(subject, _quantile_rules(subject)),
    value=_quantile,
    reach=lambda subject: subject.window.seconds,
)
