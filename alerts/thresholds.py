"""Which threshold holds for which service at which severity: the thresholds for all, and the overrides."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from alerts.links import OPERATIONS_UID, urls
from alerts.model import AlertRule

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from instrumentation.settings import Override, Settings

SEVERITIES = ("critical", "warning")


@dataclass(frozen=True, kw_only=True)
class Level:
    """One threshold at one severity for some services.

    Attributes:
        severity: critical or warning.
        threshold: The number that the measured value must exceed.
        match: The labels of the override; empty for the threshold for all.
        before: What earlier overrides match, and this level therefore leaves out.
        further: Thresholds of the same alert beside the first, by name.
    """

    severity: str
    threshold: float
    match: Mapping[str, str]
    before: tuple[Mapping[str, str], ...]
    further: Mapping[str, float] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The name of the level among those of its alert.

        >>> Level(severity="critical", threshold=2.0, match={"job": "search"}, before=()).key
        'critical_job_search'
        """
        parts = [self.severity, *(part for pair in self.match.items() for part in pair)]
        return re.sub(r"\W+", "_", "_".join(parts))

    @property
    def labels(self) -> dict[str, str]:
        """What tells an override's alert from the others of its name and severity.

        >>> Level(severity="critical", threshold=2.0, match={"job": "search"}, before=()).labels
        {'override': 'job=search'}
        """
        return {"override": ", ".join(f"{name}={value}" for name, value in self.match.items())} if self.match else {}

    def of(self, series: str) -> str:
        """The series that this level judges.

        >>> Level(severity="critical", threshold=1.0, match={}, before=({"job": "search"},)).of("a")
        '(a unless a{job="search"})'
        """
        if not self.before:
            return series + matchers(self.match)
        left_out = [f"unless {series}{matchers(match)}" for match in self.before]
        return f"({' '.join([series + matchers(self.match), *left_out])})"

    def judges(self, labels: Mapping[str, str]) -> bool:
        """Whether a series with these labels is judged by this level."""
        return _is_within(labels, self.match) and not any(_is_within(labels, match) for match in self.before)


def levels(settings: Settings, *thresholds: str) -> list[Level]:
    """Every level of a threshold, overrides first since the first that matches counts.

    Args:
        settings: The settings.
        thresholds: The threshold's name, such as ``error_ratio``, and those of others that the alert reads beside it.
    """

    def numbers(override: Override | None, severity: str) -> dict[str, float]:
        holder = override or settings.thresholds
        given = {name: getattr(getattr(holder, name), severity) for name in thresholds}
        return {name: value for name, value in given.items() if value is not None}

    return levels_from(settings, numbers)


def levels_from(settings: Settings, numbers: Callable[[Override | None, str], dict[str, float]]) -> list[Level]:
    """Every level of what the settings do not hold as a threshold by itself.

    Args:
        settings: The settings.
        numbers: Gives the numbers, by name and the threshold first, of an override, or for all where it is None, at a
            severity; none where there is no threshold.
    """
    return [level for severity in SEVERITIES for level in _of_severity(settings, numbers, severity)]


def level_rule(  # noqa: PLR0913 - a rule has that many parts
    settings: Settings,
    level: Level,
    *,
    alert: str,
    expr: str,
    summary: str,
    description: str,
    parameters: Mapping[str, float] | None = None,
    on_edge: bool = False,
    dashboard: str = OPERATIONS_UID,
) -> AlertRule:
    """The rule of one level; its places are ``threshold`` and the parameters.

    Args:
        settings: The settings.
        level: The level.
        alert: The alert's name.
        expr: PromQL with places.
        summary: As in ``AlertRule``.
        description: As in ``AlertRule``.
        parameters: As in ``AlertRule``, beside the threshold.
        on_edge: Whether the threshold must be a bucket edge.
        dashboard: As in ``urls``.
    """
    return AlertRule(
        alert=alert,
        key=level.key,
        severity=level.severity,
        expr=expr,
        parameters={"threshold": level.threshold, **(parameters or {})},
        on_edge=("threshold",) if on_edge else (),
        for_=getattr(settings.alerting.for_, level.severity),
        keep_firing_for=settings.alerting.keep_firing_for,
        summary=summary,
        description=description,
        labels=level.labels,
        urls=urls(settings, alert, dashboard=dashboard),
    )


def _of_severity(
    settings: Settings, numbers: Callable[[Override | None, str], dict[str, float]], severity: str
) -> list[Level]:
    found: list[Level] = []
    for_all = numbers(None, severity)
    for override in (*settings.thresholds.overrides, None):
        own = numbers(override, severity)
        if own:
            (_, threshold), *further = {**for_all, **own}.items()
            match = override.match if override else {}
            before = tuple(level.match for level in found)
            level = Level(severity=severity, threshold=threshold, match=match, before=before, further=dict(further))
            found.append(level)
    return found


def matchers(match: Mapping[str, str], *more: str) -> str:
    """The labels of an override as they stand behind a series, and other matchers behind them.

    >>> matchers({"job": "search"}), matchers({}), matchers({"job": "search"}, 'le="+Inf"')
    ('{job="search"}', '', '{job="search", le="+Inf"}')
    """
    parts = [*(f"{label}={_quoted(value)}" for label, value in match.items()), *more]
    return f"{{{', '.join(parts)}}}" if parts else ""


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _is_within(labels: Mapping[str, str], match: Mapping[str, str]) -> bool:
    return all(labels.get(label) == value for label, value in match.items())
