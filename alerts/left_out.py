"""Services that some alerts leave out, as ``alerting.left_out`` says."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from alerts.checking.series import kept_labels
from alerts.model import AlertRule
from instrumentation.errors import InstrumentationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from alerts.model import RecordingRule, RuleGroup
    from instrumentation.settings import Settings


def without_left_out(settings: Settings, groups: Sequence[RuleGroup]) -> list[RuleGroup]:
    """The same groups, whose alerts do not fire for the services that the settings leave out.

    Raises:
        InstrumentationError: ``left_out_unknown``: an alert does not exist, or its alerts do not have a label.
    """
    if not settings.alerting.left_out:
        return list(groups)
    _check(settings, groups)
    return [replace(group, rules=tuple(_without(settings, rule) for rule in group.rules)) for group in groups]


def _without(settings: Settings, rule: RecordingRule | AlertRule) -> RecordingRule | AlertRule:
    if not isinstance(rule, AlertRule):
        return rule
    matches = [one.match for one in settings.alerting.left_out if rule.alert in one.alerts]
    return replace(rule, expr="\n".join([f"({rule.expr})", *map(_unless, matches)])) if matches else rule


def _unless(match: Mapping[str, str]) -> str:
    """Removes what has these labels, from whatever an expression returns.

    >>> _unless({"job": "nightly"})
    'unless on (job) label_replace(vector(1), "job", "nightly", "", "")'
    """
    series = "vector(1)"
    for label, value in match.items():
        text = value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$")
        series = f'label_replace({series}, "{label}", "{text}", "", "")'
    return f"unless on ({', '.join(match)}) {series}"


def _check(settings: Settings, groups: Sequence[RuleGroup]) -> None:
    labels: dict[str, frozenset[str]] = {}
    for (alert, _), kept in kept_labels(groups, settings.alerting.group_by).items():
        labels[alert] = labels.get(alert, kept) | kept
    for index, one in enumerate(settings.alerting.left_out):
        for alert in one.alerts:
            if alert not in labels:
                raise _fault(f"{index}.alerts", alert, f"give one of {', '.join(sorted(labels))}")
            for label in one.match:
                if label not in labels[alert]:
                    allowed = ", ".join(sorted(labels[alert])) or "none, because it is about no service"
                    raise _fault(f"{index}.match", label, f"{alert} has these labels: {allowed}")


def _fault(place: str, given: str, allowed: str) -> InstrumentationError:
    return InstrumentationError(
        f"alerting.left_out.{place}: got {given!r}; {allowed}.", code="left_out_unknown", details={"given": given}
    )
