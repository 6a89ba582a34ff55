"""One alert of a team: its settings, its levels, the names of its recorded series, and its rules."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from alerts.links import BUSINESS_UID, urls
from alerts.model import AlertRule, Parameter
from alerts.signals.thresholds import SignalLevel
from alerts.thresholds import SEVERITIES, any_of
from instrumentation.catalog import Kind, Unit
from instrumentation.settings import Duration
from instrumentation.settings.signals import as_tuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from instrumentation.catalog import Metric
    from instrumentation.settings import Settings
    from instrumentation.settings.signal_alerts import SignalAlert
    from instrumentation.settings.signals import Signal

LOW, HIGH = "at_least", "threshold"
"""The places of numbers: the value must be at least the one, and at most the other."""

_OF_TIMES = {"age", "late", "absent"}


@dataclass(frozen=True, kw_only=True)
class Subject:
    """An alert of a team.

    Attributes:
        settings: The settings.
        signal: The signal that it is about.
        alert: Its declaration.
    """

    settings: Settings
    signal: Signal
    alert: SignalAlert

    @property
    def parts(self) -> tuple[str, ...]:
        """The labels that it keeps in addition to those of the service."""
        return self.alert.by

    @property
    def by(self) -> str:
        """All labels that it keeps, as they are in ``by (...)``."""
        return ", ".join((*self.settings.alerting.group_by, *self.parts))

    @property
    def window(self) -> Duration:
        """The window of ratios, quantiles and growth."""
        return self.alert.window or self.settings.alerting.window

    @property
    def minimum(self) -> int:
        """How many events it needs at least."""
        return self.alert.minimum_events or self.settings.alerting.minimum_bad_events

    def series(self, what: str, operation: str) -> str:
        """The name of a recorded series of services."""
        return f"{'_'.join((*self.settings.alerting.group_by, *self.parts))}:{self.alert.slug}_{what}:{operation}"

    def of_instances(self, what: str, operation: str, *parts: str) -> str:
        """The name of a recorded series of instances."""
        own = dict.fromkeys((*self.settings.alerting.group_by, "instance", *parts))
        return f"{'_'.join(own)}:{self.alert.slug}_{what}:{operation}"

    def metric(self, kind: Kind, number: int = 0) -> Metric:
        """The row of the catalog, of this kind, that the alert reads."""
        return [metric for metric in self.signal.metrics if metric.kind is kind][number]

    @property
    def counter(self) -> str:
        """The series that counts the signal's events."""
        if self.signal.kind == "histogram" or (self.signal.kind == "job" and self.alert.form == "quantile"):
            return f"{self.metric(Kind.HISTOGRAM).name}_count"
        return self.metric(Kind.COUNTER).name

    @property
    def unit(self) -> Unit:
        """The unit of the value that it compares."""
        form = self.alert.form
        if form == "ratio":
            return Unit.RATIO
        return Unit.SECONDS if form in _OF_TIMES else self.signal.unit

    @cached_property
    def levels(self) -> list[SignalLevel]:
        """Every level: overrides first, because the first match applies."""
        return [level for severity in SEVERITIES for level in self._of(severity)]

    def _of(self, severity: str) -> list[SignalLevel]:
        found: list[SignalLevel] = []
        holders: list[tuple[Mapping[str, str], Any]] = [(each.match, each.given) for each in self.alert.overrides]
        for match, given in (*holders, ({}, self.alert.levels.given)):
            if severity in given:
                low, high = self._numbers(given[severity])
                before = tuple(level.match for level in found)
                further = {} if low is None else {LOW: low}
                found.append(
                    SignalLevel(severity=severity, threshold=high, match=match, before=before, further=further)
                )
        return found

    def _numbers(self, given: Any) -> tuple[float | None, float]:
        """The lowest good value, if there is one, and the highest; one of them is the number that is compared."""
        if isinstance(given, tuple):
            return given
        if isinstance(given, Duration):
            return None, given.seconds + seconds_between_runs(self.signal, self.alert)
        return (given if self.alert.direction == "below" else None), given

    def rule(self, level: SignalLevel, *, expr: str, summary: str, description: str, **parameters: float) -> AlertRule:
        """The rule of one level; its places are those of its numbers and the parameters."""
        numbers = {
            **level.further,
            **({} if self.alert.direction == "below" else {HIGH: level.threshold}),
            **parameters,
        }
        return AlertRule(
            alert=self.alert.alert,
            key=level.key,
            severity=getattr(self.settings.alerting.severities, level.severity),
            expr=expr,
            parameters={place: self._parameter(place, value) for place, value in numbers.items()},
            identity=self.settings.alerting.group_by,
            for_=self.waits(level.severity),
            keep_firing_for=self.settings.alerting.keep_firing_for,
            summary=self.alert.summary or summary,
            description=self.alert.description or description,
            labels={**level.labels, **self.labels},
            urls=self.urls,
        )

    def _parameter(self, place: str, value: float) -> Parameter:
        is_compared = place in {LOW, HIGH}
        return Parameter(
            value,
            self.unit if is_compared else Unit.COUNT,
            edges=self.signal.edges[:-1] if self.alert.form == "quantile" and place == HIGH else (),
            is_signed=self.alert.form in {"value", "rate"},
        )

    def expression(self, level: SignalLevel, expr: str, summary: str) -> AlertRule:
        """The rule of an expression, which has no places."""
        description = (
            self.alert.description or f"{summary.removesuffix('.')}. The value is {{{{ $value | humanize }}}}."
        )
        rule = self.rule(level, expr=expr, summary=summary, description=description)
        return replace(rule, parameters={})

    def waits(self, severity: str) -> Duration:
        """How long the condition must hold. Ages and absences already contain a time, so they need none."""
        if self.alert.for_ is not None:
            return self.alert.for_
        alerting = self.settings.alerting
        waiting: Duration = getattr(alerting.for_, severity)
        return alerting.evaluation_interval if self.alert.form in _OF_TIMES else waiting

    @property
    def labels(self) -> dict[str, str]:
        """Labels of the alert that its declaration adds."""
        return {**({"team": self.alert.team} if self.alert.team else {}), **self.alert.labels}

    @property
    def urls(self) -> dict[str, str]:
        """runbook_url and dashboard_url."""
        found = urls(self.settings, self.alert.alert, dashboard=BUSINESS_UID)
        runbook = self.alert.runbook or ""
        return {**found, "runbook_url": runbook} if runbook.startswith(("http://", "https://")) else found

    @property
    def where(self) -> str:
        """Which service, and which part of it, as a template."""
        parts = ", ".join(f"{label} {{{{ $labels.{label} }}}}" for label in self.parts)
        return f"{{{{ $labels.job }}}}{f' ({parts})' if parts else ''}"

    def shown(self, operand: str) -> str:
        """A number in its unit, as a template.

        Args:
            operand: ``$value``, or a text in quotes.
        """
        function = {Unit.RATIO: "humanizePercentage", Unit.SECONDS: "humanizeDuration"}.get(self.unit, "humanize")
        return f"{{{{ {operand} | {function} }}}}"

    def limit(self, place: str = "") -> str:
        """The number that is compared, in its unit."""
        place = place or (LOW if self.alert.direction == "below" else HIGH)
        return self.shown(f'"[[{place}]]"')

    def selected(self) -> dict[str, tuple[str, ...]]:
        """The values of labels that a ratio counts."""
        chosen = self.alert.ratio.of if self.alert.ratio else {}
        return {label: as_tuple(values) for label, values in chosen.items()}


def seconds_between_runs(signal: Signal, alert: SignalAlert) -> int:
    """What is added to the limits of a late job: its age counts from the last success, unless a cron expression says when it is due."""
    return signal.every.seconds if alert.form == "late" and signal.every is not None else 0


def selecting(values: Mapping[str, tuple[str, ...]]) -> str:
    """Matchers of some values of labels.

    >>> selecting({"outcome": ("failed", "declined"), "channel": ("web",)})
    '{outcome=~"failed|declined", channel="web"}'
    """
    parts = [any_of(label, each) for label, each in values.items()]
    return f"{{{', '.join(parts)}}}" if parts else ""
