"""Alerts on the signals that a team declares: from each declaration rules, recorded series and tests."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from alerts.alert import Alert
from alerts.model import RuleGroup
from alerts.rule_tests.promtool import slowed
from alerts.signals.counted import QUANTILE, RATE, RATIO
from alerts.signals.expressions import EXPRESSION
from alerts.signals.measured import GROWTH, VALUE
from alerts.signals.subject import Subject
from alerts.signals.times import ABSENT, AGE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from alerts.model import AlertRule, RecordingRule
    from alerts.rule_tests.promtool import RuleTest
    from alerts.signals.form import Form
    from instrumentation.settings import Settings

FORMS: Mapping[str, Form] = {
    "rate": RATE,
    "ratio": RATIO,
    "value": VALUE,
    "quantile": QUANTILE,
    "growth": GROWTH,
    "age": AGE,
    "late": AGE,
    "absent": ABSENT,
    "expr": EXPRESSION,
}
"""Every form by its key in the settings."""

_LONG = 3600  # seconds; tests that last for longer are evaluated less often


def subjects(settings: Settings) -> list[Subject]:
    """All alerts on signals, in the order of their declarations."""
    return [
        Subject(settings=settings, signal=signal, alert=alert) for signal in settings.signals for alert in signal.alerts
    ]


def signal_alerts(settings: Settings) -> list[Alert]:
    """All alerts on signals as rows like Sidelight's own."""
    return [
        Alert(
            name=subject.alert.alert,
            group=subject.alert.slug,
            meaning=_meaning(subject),
            rules=partial(_rules, subject),
            tests=partial(_tests, subject),
            pace=slowed if FORMS[subject.alert.form].reach(subject) > _LONG else None,
        )
        for subject in subjects(settings)
    ]


def signal_groups(settings: Settings) -> list[RuleGroup]:
    """A group for each alert: what it reads, then its rules."""
    metrics = tuple(metric for signal in settings.signals for metric in signal.metrics)
    return [
        RuleGroup(
            name=f"sidelight.{subject.alert.slug}",
            interval=settings.alerting.evaluation_interval,
            rules=(*_recording(subject), *FORMS[subject.alert.form].rules(subject)),
            metrics=metrics,
        )
        for subject in subjects(settings)
    ]


def judged_series(subject: Subject) -> str:
    """The recorded series that an alert compares with its thresholds, and that its panel shows; empty for an expression."""
    return FORMS[subject.alert.form].value(subject)


def _recording(subject: Subject) -> list[RecordingRule]:
    shown = judged_series(subject)
    return [
        replace(rule, shown=True) if rule.record == shown else rule
        for rule in FORMS[subject.alert.form].recording(subject)
    ]


def _meaning(subject: Subject) -> str:
    summary = FORMS[subject.alert.form].rules(subject)[0].summary
    return summary.removesuffix(".")


def _at(subject: Subject, settings: Settings) -> Subject:
    """The same alert with other settings, such as those of slower tests."""
    return Subject(settings=settings, signal=subject.signal, alert=subject.alert)


def _rules(subject: Subject, settings: Settings) -> list[AlertRule]:
    return FORMS[subject.alert.form].rules(_at(subject, settings))


def _tests(subject: Subject, settings: Settings) -> list[RuleTest]:
    return FORMS[subject.alert.form].tests(_at(subject, settings))
