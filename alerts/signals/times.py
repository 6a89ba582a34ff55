"""Forms for elapsed time: the age of a timestamp, a job that is late, a signal that is absent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alerts.model import RecordingRule
from alerts.rule_tests.promtool import At, Clock, Firing, RuleTest, Series
from alerts.signals.form import Form
from alerts.signals.histories import info, is_firing, labelled, own_labels, silent
from alerts.signals.subject import HIGH
from instrumentation.catalog import Kind
from instrumentation.settings import Duration

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from alerts.model import AlertRule
    from alerts.signals.subject import Subject
    from alerts.signals.thresholds import SignalLevel


def _memory(subject: Subject) -> Duration:
    """How far back a rule looks: far enough that a threshold can be raised to twice the highest without another rule."""
    return Duration.of(2 * (_until_due(subject) + max(int(level.threshold) for level in subject.levels)))


def _until_due(subject: Subject) -> int:
    """For how many seconds nothing can be due: the longest time between two runs, if the process says when they are due."""
    period = subject.signal.period if subject.alert.form == "late" and subject.signal.schedule else None
    return period.seconds if period else 0


def _age_name(subject: Subject) -> str:
    return subject.series("lateness" if _until_due(subject) else "age", "seconds")


def _series(subject: Subject) -> str:
    """The series whose value is a time, or whose presence counts."""
    if subject.alert.form == "late":
        return subject.metric(Kind.GAUGE, 2 if _until_due(subject) else 1).name
    return subject.metric(Kind.GAUGE).name if subject.alert.form == "age" else _any_series(subject)


def _any_series(subject: Subject) -> str:
    metric = subject.signal.metrics[0]
    return f"{metric.name}_count" if metric.kind is Kind.HISTOGRAM else metric.name


def _seen(subject: Subject) -> RecordingRule:
    """The time of each evaluation at which there was a series."""
    expr = f"0 * count by ({subject.by}) ({_series(subject)}) + time()"
    return RecordingRule(record=subject.series("seen", "time"), expr=expr)


# --- age and late ----------------------------------------------------------------------------------------------------


def _age_recording(subject: Subject) -> list[RecordingRule]:
    last, seen, memory = subject.series("last", "max"), _seen(subject), _memory(subject)
    newest, until_due = f"max by ({subject.by}) ({_series(subject)})", _until_due(subject)
    since = f"min_over_time({seen.record}[{memory}])"
    if until_due:
        # The one said last, not the highest: if the schedule has changed, the time of the old one may be far away.
        newest, due = f"{newest} > 0", f"last_over_time({last}[{memory}]) or ({since} + {until_due})"
    else:
        # Before the first success, and if a restart has forgotten it for longer than is remembered, the age counts from the first moment
        # at which the service is known.
        due = f"max_over_time({last}[{memory}]) > {since} or {since}"
    return [
        RecordingRule(record=last, expr=newest),
        seen,
        RecordingRule(record=_age_name(subject), expr=f"time() - ({due})"),
    ]


def _age_rules(subject: Subject) -> list[AlertRule]:
    name, is_job = subject.signal.name, subject.alert.form == "late"
    return [
        subject.rule(
            level,
            expr=f"{level.of(_age_name(subject))} > [[{HIGH}]]",
            summary=f"{name} is late." if is_job else f"{name} is too old.",
            description=f"{_what_is_old(subject)} (limit {subject.limit()}).",
        )
        for level in subject.levels
    ]


def _what_is_old(subject: Subject) -> str:
    name, where, value = subject.signal.name, subject.where, subject.shown("$value")
    if _until_due(subject):
        schedule = f"{subject.signal.cron} ({subject.signal.time_zone})"
        return f"{name} of {where} was due {value} ago and has not succeeded since then; its schedule is {schedule}"
    since = f"{value} ago, or there was none since then"
    if subject.alert.form == "late":
        return f"The last success of {name} of {where} was {since}; it runs every {subject.signal.every}"
    return f"{name} of {where} was last set {since}"


def _age_tests(subject: Subject) -> list[RuleTest]:
    rules = _age_rules(subject)
    return [
        *(
            test
            for level, rule in zip(subject.levels, rules, strict=True)
            for test in _grown_old(subject, level, rule, rules)
        ),
        _always_fresh(subject, rules),
    ]


def _grown_old(subject: Subject, level: SignalLevel, rule: AlertRule, rules: list[AlertRule]) -> Iterator[RuleTest]:
    """A time that is set once, or never: the alert fires when it is too old, not before, and resolves with the next one."""
    moments, labels = _moments(subject, rules), own_labels(subject, level)
    never = _until_due(subject)
    for when, what in ((never + 7 * moments.step, "one success, then none"), (never, "never a success")):
        crossed = int(level.threshold) + when
        fires = crossed + rule.for_.seconds + moments.grace
        back = fires + moments.step
        resolved = back + rule.keep_firing_for.seconds + 2 * moments.grace if rule.keep_firing_for else back
        later = (
            f"{when}x{back // moments.step} {back + never}x{(resolved - back) // moments.step + 1}"
            if when > never
            else f"0x{back // moments.step} {back + never}x{(resolved - back) // moments.step + 1}"
        )
        yield RuleTest(
            name=f"{rule.alert} {rule.key}, {what}: silent just before the limit, then fires, and resolves with the next",
            series=(Series(name=_series(subject), labels=labelled(subject, labels), values=later),),
            alerts=tuple(_sentences(subject, rules, labels, fires, when)),
            values=(
                is_firing(rule, crossed - moments.grace, expected=False),
                is_firing(rule, fires),
                is_firing(rule, resolved, expected=False),
            ),
        )


def _sentences(subject: Subject, rules: list[AlertRule], labels: Mapping[str, str], at: int, when: int) -> Iterator[At]:
    """The sentences of all rules that fire at a moment, unless one of them may do so a little earlier or later."""
    moments = _moments(subject, rules)
    last = (
        at
        // moments.settings.alerting.evaluation_interval.seconds
        * moments.settings.alerting.evaluation_interval.seconds
    )
    firing = []
    for level, rule in zip(subject.levels, rules, strict=True):
        due = when + int(level.threshold) + rule.for_.seconds
        if level.applies_to(labels) and due - moments.grace <= at < due + moments.grace and at < due:
            return
        if level.applies_to(labels) and at >= due:
            firing.append(Firing(rule=rule, labels=labels, value=last - when))
    yield At(seconds=at, alert=subject.alert.alert, firing=tuple(firing))


def _always_fresh(subject: Subject, rules: list[AlertRule]) -> RuleTest:
    moments = _moments(subject, rules)
    lowest, never = min(int(level.threshold) for level in subject.levels), _until_due(subject)
    until = never + int(lowest * 1.5) + moments.grace
    steps, half = until // moments.step, (never + int(lowest * 0.8)) // moments.step
    again = never + int(lowest * 0.7) + (moments.grace if never else 0)

    def set_again(own: dict[str, str]) -> list[Series]:
        return [_time(subject, own, f"0x{half} {again}x{steps - half}")]

    def restarted(own: dict[str, str]) -> list[Series]:
        # The process forgets the time at its restart; what was recorded before still counts.
        return [_time(subject, own, f"{again}x{half} 0x{steps - half}")]

    def new(own: dict[str, str]) -> list[Series]:
        return [_time(subject, own, f"_x{half} 0x{steps - half}")]

    stories = {
        "set again in time": set_again,
        "restarted": restarted,
        "new": new,
        "no series": lambda own: [info(own, f"1x{steps}")],
    }
    return silent(subject, stories, until)


def _time(subject: Subject, labels: Mapping[str, str], values: str) -> Series:
    return Series(name=_series(subject), labels=labelled(subject, labels), values=values)


def _moments(subject: Subject, rules: list[AlertRule]) -> Clock:
    return Clock(settings=subject.settings, longest_for=max(rule.for_.seconds for rule in rules), range_=0, memory=0)


AGE = Form(
    recording=_age_recording,
    rules=_age_rules,
    tests=_age_tests,
    value=_age_name,
    reach=lambda subject: _memory(subject).seconds,
)


# --- absent ----------------------------------------------------------------------------------------------------------


def _absent_recording(subject: Subject) -> list[RecordingRule]:
    seen = _seen(subject)
    last = f"time() - max_over_time({seen.record}[{_memory(subject)}])"
    return [seen, RecordingRule(record=_age_name(subject), expr=last)]


def _absent_rules(subject: Subject) -> list[AlertRule]:
    name, by = subject.signal.name, ", ".join(subject.settings.alerting.group_by)
    return [
        subject.rule(
            level,
            # If no target answers, that is ServiceDown.
            expr=f"{level.of(_age_name(subject))} > [[{HIGH}]]\nunless on ({by}) sum by ({by}) (up) == 0",
            summary=f"{name} is absent.",
            description=f"{subject.where} was last seen with {name} {subject.shown('$value')} ago (limit "
            f"{subject.limit()}).",
        )
        for level in subject.levels
    ]


def _absent_tests(subject: Subject) -> list[RuleTest]:
    rules = _absent_rules(subject)
    moments = _moments(subject, rules)
    until = max(int(level.threshold) for level in subject.levels) + 10 * moments.grace
    steps, few = until // moments.step, max(moments.grace // moments.step, 1)
    stories = {
        "there": lambda own: [_time(subject, own, f"0x{steps}")],
        "never there": lambda own: [info(own, f"1x{steps}"), _up(own, f"1x{steps}")],
        "down": lambda own: [_up(own, f"1x{few - 1} 0x{steps}"), _time(subject, own, f"0x{few - 1} stale")],
    }
    return [
        *(_gone(subject, level, rule, rules) for level, rule in zip(subject.levels, rules, strict=True)),
        silent(subject, stories, until),
    ]


def _gone(subject: Subject, level: SignalLevel, rule: AlertRule, rules: list[AlertRule]) -> RuleTest:
    moments, labels = _moments(subject, rules), own_labels(subject, level)
    evaluation = subject.settings.alerting.evaluation_interval.seconds
    gone = 2 * moments.grace // moments.step + 1  # the first sample that is missing
    last = (gone * moments.step - 1) // evaluation * evaluation  # the last evaluation with a series
    crossed = last + int(level.threshold)
    fires = crossed + rule.for_.seconds + moments.grace
    back = fires // moments.step + 1
    resolved = back * moments.step + (rule.keep_firing_for.seconds if rule.keep_firing_for else 0) + 2 * moments.grace
    values = f"1x{gone - 1} stale _x{back - gone - 1} 1x{resolved // moments.step - back + 2}"
    return RuleTest(
        name=f"{rule.alert} {rule.key}: silent just before the limit, then fires, and resolves once the signal is back",
        series=(_time(subject, labels, values), _up(labels, f"1x{resolved // moments.step + 1}")),
        alerts=tuple(_sentences(subject, rules, labels, fires, last)),
        values=(
            is_firing(rule, crossed - moments.grace, expected=False),
            is_firing(rule, fires),
            is_firing(rule, resolved, expected=False),
        ),
    )


def _up(labels: Mapping[str, str], values: str) -> Series:
    return Series(name="up", labels={"instance": "a", **labels}, values=values)


ABSENT = Form(
    recording=_absent_recording,
    rules=_absent_rules,
    tests=_absent_tests,
    value=_age_name,
    reach=lambda subject: _memory(subject).seconds,
)
