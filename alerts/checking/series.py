"""Checks that promtool does not make: whether the series and labels exist that rules and their sentences read."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, cast

from alerts.checking.promql import catalog_series, check
from alerts.model import AlertRule, RecordingRule

if TYPE_CHECKING:
    from collections.abc import Iterable

    from alerts.checking.promql import Labels
    from alerts.model import RuleGroup

_LABEL_IN_TEMPLATE = re.compile(r"\$labels\.(\w+)")


def series(
    groups: Iterable[RuleGroup], group_by: Iterable[str], request_labels: Iterable[str] = ()
) -> dict[str, Labels]:
    """The label names of each series of the catalog and of every recording rule; see ``catalog_series``."""
    groups = tuple(groups)
    known = catalog_series(group_by, request_labels, {metric for group in groups for metric in group.metrics})
    for rule in _rules(groups):
        if isinstance(rule, RecordingRule):
            known[rule.record] = check(rule.expr, known).labels
    return known


def faults(groups: Iterable[RuleGroup], group_by: Iterable[str], request_labels: Iterable[str] = ()) -> list[str]:
    """The faults of the rules, one sentence each, starting with the name of the rule."""
    groups = tuple(groups)
    known = series(groups, group_by, request_labels)
    return [f"{_name(rule)} {fault}" for rule in _rules(groups) for fault in _faults(rule, known)]


def kept_labels(groups: Iterable[RuleGroup], group_by: Iterable[str]) -> dict[tuple[str, str], frozenset[str]]:
    """The labels that the expressions of all rules of an alert return, by alert and severity."""
    groups = tuple(groups)
    known = series(groups, group_by)
    kept: dict[tuple[str, str], frozenset[str]] = {}
    for rule in _rules(groups):
        if isinstance(rule, AlertRule):
            labels = cast("frozenset[str]", check(rule.filled(rule.expr), known).labels)  # the catalog knows all labels
            key = rule.alert, rule.level
            kept[key] = kept.get(key, labels) & labels
    return kept


def _faults(rule: RecordingRule | AlertRule, known: dict[str, Labels]) -> list[str]:
    if isinstance(rule, RecordingRule):
        return check(rule.expr, known).faults
    checked = check(rule.filled(rule.expr), known)
    used = {label for text in rule.annotations.values() for label in _LABEL_IN_TEMPLATE.findall(text)}
    missing = sorted(label for label in used if label not in checked.labels)
    return checked.faults + [f"says $labels.{label}, which its expression does not return" for label in missing]


def _rules(groups: Iterable[RuleGroup]) -> list[RecordingRule | AlertRule]:
    return [rule for group in groups for rule in group.rules]


def _name(rule: RecordingRule | AlertRule) -> str:
    return rule.record if isinstance(rule, RecordingRule) else f"{rule.alert} ({rule.key})"
