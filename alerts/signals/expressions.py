"""The form for all other conditions: an expression that the team writes, with examples that become tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alerts.rule_tests.promtool import RuleTest, Series, Value
from alerts.signals.form import Form
from alerts.signals.thresholds import SignalLevel
from instrumentation.settings import Duration

if TYPE_CHECKING:
    from alerts.model import AlertRule
    from alerts.signals.subject import Subject

_EVERY = Duration("1m")  # between two values of an example


def _rules(subject: Subject) -> list[AlertRule]:
    alert = subject.alert
    level = SignalLevel(severity=alert.severity or "warning", threshold=0, match={}, before=())
    return [subject.expression(level, alert.expr or "", alert.summary or "")]


def _tests(subject: Subject) -> list[RuleTest]:
    name = subject.alert.alert
    firing = f'clamp_max(count by (alertname) (ALERTS{{alertname="{name}", alertstate="firing"}}), 1)'
    return [
        RuleTest(
            name=f"{name}, example {number}: {'fires' if example.fires else 'is silent'} at {example.at}",
            interval=_EVERY,
            series=tuple(Series.written(series, values) for series, values in example.series.items()),
            values=(
                Value(
                    seconds=example.at.seconds,
                    expr=firing,
                    labels={"alertname": name},
                    value=1 if example.fires else None,
                ),
            ),
        )
        for number, example in enumerate(subject.alert.examples, start=1)
    ]


EXPRESSION = Form(recording=lambda _: [], rules=_rules, tests=_tests, value=lambda _: "", reach=lambda _: 0)
