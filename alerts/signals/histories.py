"""Histories of signals for promtool: series with all labels, and how many samples a window holds."""

from __future__ import annotations

from math import gcd
from typing import TYPE_CHECKING

from alerts.model import number
from alerts.rule_tests.promtool import At, Firing, RuleTest, Series, Value
from alerts.rule_tests.threshold_tests import Measured, never, service_labels
from alerts.thresholds import matchers
from instrumentation import catalog
from instrumentation.catalog import OUTCOMES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from alerts.model import AlertRule
    from alerts.rule_tests.promtool import Clock
    from alerts.signals.subject import Subject
    from alerts.signals.thresholds import SignalLevel

    Judged = Sequence[tuple[SignalLevel, AlertRule]]
    History = Callable[[SignalLevel, Mapping[str, str], bool], Measured]

OLD = -1_000_000
"""The start time of a process that has run for long before the test begins."""


def own_labels(subject: Subject, level: SignalLevel | None = None) -> dict[str, str]:
    """The labels of the alert's series: those of a service and the parts, as an override has them."""
    parts = {label: "a" if label == "instance" else _values(subject, label)[0] for label in subject.parts}
    return {**parts, **service_labels(subject.settings, level)}


def labelled(subject: Subject, labels: Mapping[str, str], **more: str) -> dict[str, str]:
    """All labels of a series of the signal in an instance."""
    signal = {label: _values(subject, label)[0] for label in _labels(subject)}
    return {"instance": "a", **signal, **labels, **more}


def chosen(subject: Subject, labels: Mapping[str, str], *, is_chosen: bool) -> dict[str, str]:
    """The labels of a series that a ratio counts, or of one that it does not."""
    found = labelled(subject, labels)
    for place, (label, values) in enumerate(subject.selected().items()):
        others = [value for value in (*_values(subject, label), "another_value") if value not in values]
        found[label] = values[0] if is_chosen or place else others[0]
    return found


def _labels(subject: Subject) -> tuple[str, ...]:
    return ("outcome",) if subject.signal.kind == "job" else tuple(subject.signal.labels)


def _values(subject: Subject, label: str) -> tuple[str, ...]:
    if subject.signal.kind == "job":
        return OUTCOMES
    return subject.signal.closed.get(label, (f"some_{label}",))


def info(labels: Mapping[str, str], values: str, *, instance: str = "a") -> Series:
    """The series that shows that an instance exists."""
    return Series(name=catalog.TARGET_INFO.name, labels={**labels, "instance": instance}, values=values)


def process(labels: Mapping[str, str], start: str, *, instance: str = "a") -> Series:
    """The start time of the process of an instance, in promtool's notation."""
    return Series(name=catalog.PROCESS_START_TIME.name, labels={**labels, "instance": instance}, values=start)


class Grid:
    """The relative timing of samples and evaluations.

    Args:
        moments: The clock of a test.

    Attributes:
        step: Seconds between two samples.
        evaluation: Seconds between two evaluations.
        period: Seconds after which samples and evaluations meet as before.
    """

    def __init__(self, moments: Clock) -> None:
        self.step = moments.step
        self.evaluation = moments.settings.alerting.evaluation_interval.seconds
        self.period = self.step * self.evaluation // gcd(self.step, self.evaluation)

    def samples(self, window: int, at: int) -> int:
        """The samples whose increases a window holds that ends at the last evaluation until a moment."""
        last = at // self.evaluation * self.evaluation
        before = (last - window) // self.evaluation * self.evaluation
        return last // self.step - before // self.step

    def bounds(self, window: int) -> tuple[int, int]:
        """The least and the largest number of samples that a window holds, at any moment."""
        start = 2 * (window // self.period + 1) * self.period
        found = [self.samples(window, start + offset) for offset in range(0, self.period, self.evaluation)]
        return min(found), max(found)


def sides(  # noqa: PLR0913 - most by keyword
    subject: Subject,
    judged: Judged,
    history: History,
    *,
    moments: Clock,
    is_wrong: Callable[[SignalLevel, float], bool],
    place: str = "threshold",
    wrong: str = "above",
) -> Iterator[RuleTest]:
    """Tests just above and just below every threshold: on one side the alert fires and resolves.

    Args:
        subject: The alert.
        judged: Every level with its rule.
        history: Returns what is measured at a level, for labels and whether it is above.
        moments: The clock.
        is_wrong: Whether a value fires at a level.
        place: The place of the number.
        wrong: The side on which it fires.
    """
    settings = subject.settings
    early = min(rule.for_.seconds for _, rule in judged) - settings.alerting.evaluation_interval.seconds
    for level, rule in judged:
        for side in ("above", "below"):
            labels = own_labels(subject, level)
            measured = history(level, labels, side == "above")
            firing = tuple(
                Firing(rule=other, labels=labels, value=measured.value)
                for at, other in judged
                if at.applies_to(labels) and is_wrong(at, measured.value)
            )
            where = f" for {level.labels['override']}" if level.match else ""
            verdict = "fires and resolves" if side == wrong else "is silent"
            yield RuleTest(
                name=f"{rule.alert} {level.severity}{where}: just {side} {number(rule.parameters[place].value)} {verdict}",
                series=measured.series,
                alerts=(
                    *([At(seconds=early, alert=rule.alert)] if early >= 0 else []),
                    At(seconds=moments.fires, alert=rule.alert, firing=firing),
                    At(seconds=moments.resolved, alert=rule.alert),
                ),
            )


def silent(
    subject: Subject, stories: Mapping[str, Callable[[dict[str, str]], Sequence[Series]]], until: int
) -> RuleTest:
    """That an alert never fires in some histories, each of a service of its own.

    Args:
        subject: The alert.
        stories: What happens, as the name of a job, to its series by the labels of the alert.
        until: The end, in seconds from the start.
    """
    alert = subject.alert.alert
    series = [
        one for name, story in stories.items() for one in story({**own_labels(subject), "job": name.replace(" ", "-")})
    ]
    names = [name.replace(" ", "-") for name in stories]
    return RuleTest(
        name=f"{alert} is silent: {', '.join(stories)}",
        series=tuple(series),
        values=(never(alert, until, "job", names),),
    )


def is_firing(rule: AlertRule, at: int, *, expected: bool = True) -> Value:
    """Whether alerts of a rule fire at a moment, in seconds from the start."""
    labels = {"alertname": rule.alert, "alertstate": "firing", "severity": rule.severity, **rule.labels}
    alerts = f"count by (alertname) (ALERTS{matchers(labels)})"
    return Value(seconds=at, expr=alerts, labels={"alertname": rule.alert}, value=1 if expected else None)
