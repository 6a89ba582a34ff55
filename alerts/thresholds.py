"""Decides which threshold applies to which service at which severity: the default, or that of an override."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from alerts.links import OPERATIONS_UID, urls
from alerts.model import AlertRule, Parameter
from instrumentation.catalog import Unit

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from instrumentation.settings import Override, Settings

SEVERITIES = ("critical", "warning")

OVERRIDDEN = {"override": "true"}
"""The label of alerts whose threshold comes from an override."""

# The labels that the measured series has in addition to those of its service.
_OTHER_LABELS: Mapping[str, tuple[str, ...]] = {
    "cpu_used_ratio": ("instance",),
    "memory_used_ratio": ("instance",),
    "disk_used_ratio": ("instance", "path"),
    "full_ratio": ("instance", "path"),
    "queue_depth": ("queue",),
    "queue_oldest_age_seconds": ("queue",),
    "workflow_failure_ratio": ("workflow",),
    "dependency_error_ratio": ("server_address",),
    "pool_used_ratio": ("instance", "db_client_connection_pool_name"),
}


@dataclass(frozen=True, kw_only=True)
class Limit:
    """What a rule compares with: the numbers for all services, or the recorded numbers of the overrides.

    An alert has at most two rules for each severity, however many overrides there are.

    Attributes:
        severity: critical or warning.
        numbers: Place, such as ``threshold``, to the number for all; empty in the rule for overrides.
        recorded: Place to the recorded series that holds the numbers of the overrides, and to the labels of that series.
        labels: Additional labels of the alerts.
    """

    severity: str
    numbers: Mapping[str, Parameter]
    recorded: Mapping[str, tuple[str, tuple[str, ...]]]
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The name of the rule among those of its alert."""
        return f"{self.severity}_overrides" if self.labels else self.severity

    def has(self, place: str) -> bool:
        """Whether there is anything to compare with at this place."""
        return place in self.numbers or place in self.recorded

    def of(self, series: str, place: str = "threshold") -> str:
        """The part of a series to which this limit applies.

        >>> own = {"threshold": ("own", ("job",))}
        >>> Limit(severity="critical", numbers={"threshold": Parameter(1.0)}, recorded=own).of("a")
        '(a unless own)'
        """
        return f"({series} unless {self.recorded[place][0]})" if self.numbers and place in self.recorded else series

    def than(self, place: str = "threshold") -> str:
        """What a value must exceed: a place that stands for a number, or the recorded series."""
        return f"[[{place}]]" if self.numbers else self.recorded[place][0]

    def said(self, place: str = "threshold", function: str = "") -> str:
        """The number in a sentence, as a Prometheus template.

        Args:
            place: Which number.
            function: The template function that formats it, such as ``humanizePercentage``.
        """
        formatted = f" | {function}" if function else ""
        if place in self.numbers:
            return f'{{{{ "[[{place}]]"{formatted} }}}}' if function else f"[[{place}]]"
        if place not in self.recorded or self.numbers:
            return "the limit for all"
        name, labels = self.recorded[place]
        matching = ",".join(f"{label}=%q" for label in labels)
        values = " ".join(f"$labels.{label}" for label in labels)
        looked_up = f'with printf "{name}{{{matching}}}" {values} | query'
        return (
            f"{{{{ {looked_up} }}}}{{{{ . | first | value{formatted} }}}}{{{{ else }}}}the limit for all{{{{ end }}}}"
        )


@dataclass(frozen=True, kw_only=True)
class Level:
    """One threshold at one severity for some services, as the settings give it.

    Attributes:
        severity: critical or warning.
        threshold: The number that the measured value must exceed.
        match: The labels of the override; empty for the threshold for all.
        before: The matches of earlier overrides; this level does not apply to their services.
        further: The other thresholds of the same alert, by name.
    """

    severity: str
    threshold: float
    match: Mapping[str, str]
    before: tuple[Mapping[str, str], ...]
    further: Mapping[str, float] = field(default_factory=dict)

    @property
    def limit(self) -> Limit:
        """A limit whose rule has the same texts and labels as the alert of a service at this level."""
        numbers = {place: Parameter(value) for place, value in {"threshold": self.threshold, **self.further}.items()}
        return Limit(severity=self.severity, numbers=numbers, recorded={}, labels=OVERRIDDEN if self.match else {})

    def applies_to(self, labels: Mapping[str, str]) -> bool:
        """Whether a series with these labels has this level."""
        return _is_within(labels, self.match) and not any(_is_within(labels, match) for match in self.before)


Numbers = Callable[["Override | None", str], float | None]
"""Returns the number of an override at a severity, without an override the default; None if it is not set."""


def thresholds_of(settings: Settings, name: str) -> Numbers:
    """The numbers of a threshold in the settings, such as ``error_ratio``."""

    def number_of(override: Override | None, severity: str) -> float | None:
        return getattr(getattr(override or settings.thresholds, name), severity, None)

    return number_of


def disk_thresholds(settings: Settings) -> dict[str, Numbers]:
    """The threshold of disks and, for ``critical``, the share above which the alert fires whatever the trend.

    An override that allows a fuller disk than that raises both.
    """

    def full(override: Override | None, severity: str) -> float | None:
        own = (override or settings.thresholds).disk_used_ratio.critical
        return None if own is None or severity != "critical" else max(settings.thresholds.disk_full_ratio, own)

    return {"disk_used_ratio": thresholds_of(settings, "disk_used_ratio"), "full_ratio": full}


def override_series(settings: Settings, name: str, severity: str) -> tuple[str, tuple[str, ...]]:
    """The recorded series with the numbers that overrides have for a threshold, and its labels."""
    parts, service = _OTHER_LABELS.get(name, ()), settings.alerting.group_by
    return f"{'_'.join(('job', *parts))}:{name}_threshold:{severity}", (*service, *parts)


def override_numbers(settings: Settings, numbers: Numbers, severity: str) -> list[tuple[Mapping[str, str], float]]:
    """The overrides that set this threshold, with their numbers, in order: the first match applies."""
    overrides = settings.thresholds.overrides
    return [(one.match, value) for one in overrides if (value := numbers(one, severity)) is not None]


def limits(settings: Settings, *names: str) -> list[Limit]:
    """The limits of an alert: for each severity one for all services and, if there are overrides, one for these.

    Args:
        settings: The settings.
        names: The name of the threshold, such as ``error_ratio``, and of other thresholds that the alert reads.
    """
    return limits_from(settings, {name: thresholds_of(settings, name) for name in names})


def limits_from(settings: Settings, given: Mapping[str, Numbers]) -> list[Limit]:
    """The same for numbers that are not thresholds in the settings; the first is the one compared."""
    return [limit for severity in SEVERITIES for limit in _of_severity(settings, given, severity)]


def _of_severity(settings: Settings, given: Mapping[str, Numbers], severity: str) -> Iterator[Limit]:
    places = dict(zip(("threshold", *tuple(given)[1:]), given.items(), strict=True))
    for_all = {
        place: Parameter(value, _unit(name))
        for place, (name, of) in places.items()
        if (value := of(None, severity)) is not None
    }
    own = {
        place: override_series(settings, name, severity)
        for place, (name, of) in places.items()
        if override_numbers(settings, of, severity)
    }
    if for_all:
        yield Limit(severity=severity, numbers=for_all, recorded=own)
    if own:
        yield Limit(severity=severity, numbers={}, recorded=own, labels=OVERRIDDEN)


def _unit(name: str) -> Unit:
    """The unit of a threshold, which is the end of its name.

    >>> _unit("error_ratio").value, _unit("latency_p95_seconds").value, _unit("daily_usd").value, _unit("queue_depth").value
    ('ratio', 'seconds', 'US dollars', 'count')
    """
    units = {"ratio": Unit.RATIO, "seconds": Unit.SECONDS, "usd": Unit.USD, "depth": Unit.COUNT}
    return units[name.rpartition("_")[2]]


def levels(settings: Settings, *names: str) -> list[Level]:
    """The levels that are tested: the defaults, and the first override with each set of labels.

    All overrides with the same labels are evaluated alike, so one test is enough for a thousand of them.

    Args:
        settings: The settings.
        names: As for ``limits``.
    """
    return levels_from(settings, {name: thresholds_of(settings, name) for name in names})


def levels_from(settings: Settings, given: Mapping[str, Numbers]) -> list[Level]:
    """The same for numbers that are not thresholds in the settings."""
    found: list[Level] = []
    (_, first), *others = given.items()
    for severity in SEVERITIES:
        own = override_numbers(settings, first, severity)
        seen: set[frozenset[str]] = set()
        for index, (match, value) in enumerate(own):
            if frozenset(match) not in seen:
                seen.add(frozenset(match))
                before = tuple(earlier for earlier, _ in own[:index])
                further = _further(settings, others, severity, match)
                found.append(Level(severity=severity, threshold=value, match=match, before=before, further=further))
        if (for_all := first(None, severity)) is not None:
            further = {name: number for name, of in others if (number := of(None, severity)) is not None}
            every = tuple(match for match, _ in own)
            found.append(Level(severity=severity, threshold=for_all, match={}, before=every, further=further))
    return found


def _further(
    settings: Settings, others: Iterable[tuple[str, Numbers]], severity: str, match: Mapping[str, str]
) -> dict[str, float]:
    own = {name: override_numbers(settings, of, severity) for name, of in others}
    return {name: value for name, pairs in own.items() for where, value in pairs if where == match}


def level_rule(  # noqa: PLR0913 - a rule has that many parts
    settings: Settings,
    limit: Limit,
    *,
    alert: str,
    expr: str,
    summary: str,
    description: str,
    parameters: Mapping[str, Parameter] | None = None,
    on_edge: bool = False,
    dashboard: str = OPERATIONS_UID,
) -> AlertRule:
    """The rule for one limit. Its places are those of the limit and the parameters.

    Args:
        settings: The settings.
        limit: The limit.
        alert: The alert's name.
        expr: PromQL with places.
        summary: As in ``AlertRule``.
        description: As in ``AlertRule``.
        parameters: As in ``AlertRule``, in addition to those of the limit.
        on_edge: Whether the threshold must be a bucket edge.
        dashboard: As in ``urls``.
    """
    own = {**limit.numbers, **(parameters or {})}
    if on_edge and limit.numbers:
        own["threshold"] = replace(own["threshold"], on_edge=True)
    return AlertRule(
        alert=alert,
        key=limit.key,
        severity=getattr(settings.alerting.severities, limit.severity),
        expr=expr,
        parameters=own,
        for_=getattr(settings.alerting.for_, limit.severity),
        keep_firing_for=settings.alerting.keep_firing_for,
        summary=summary,
        description=description,
        labels=limit.labels,
        identity=settings.alerting.group_by,
        urls=urls(settings, alert, dashboard=dashboard),
    )


def matchers(match: Mapping[str, str], *more: str) -> str:
    """The labels of an override as matchers after a series name, followed by other matchers.

    >>> matchers({"job": "search"}), matchers({}), matchers({"job": "search"}, 'le="+Inf"')
    ('{job="search"}', '', '{job="search", le="+Inf"}')
    """
    parts = [*(f"{label}={_quoted(value)}" for label, value in match.items()), *more]
    return f"{{{', '.join(parts)}}}" if parts else ""


def any_of(label: str, values: Iterable[str]) -> str:
    r"""A matcher for any of some values.

    >>> any_of("job", ["a"]), any_of("job", ["a", "b.c"])
    ('job="a"', 'job=~"a|b\\\\.c"')
    """
    values = list(values)
    if len(values) == 1:
        return f"{label}={_quoted(values[0])}"
    return f"{label}=~{_quoted('|'.join(map(re.escape, values)))}"


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _is_within(labels: Mapping[str, str], match: Mapping[str, str]) -> bool:
    return all(labels.get(label) == value for label, value in match.items())
