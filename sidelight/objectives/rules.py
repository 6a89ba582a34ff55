"""Rules for objectives with PromQL queries of their own: the share of bad events over each window, and two burn-rate alerts.

Source: the SRE workbook's multi-window burn rates, https://sre.google/workbook/alerting-on-slos/.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from alerts.conditions.error_budget import BURNS
from alerts.promql import MatrixSelector, PromqlError, VectorSelector, nodes, parse
from alerts.promql.tree import TooDeepError
from instrumentation.settings import Duration
from sidelight.objectives.documents import fault

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sidelight.objectives.documents import Objective, Query

_WINDOW = re.compile(r"\{\{\s*\.window\s*\}\}|\$\{?window\}?")
_OPS = {"lt": "<", "lte": "<=", "gt": ">", "gte": ">="}
_SHORTEST = "1m"


def rules(objectives: Iterable[Objective]) -> dict[str, Any]:
    """A rule file for the objectives whose queries Prometheus can answer, one group each.

    Raises:
        OpenSloError: A query is not PromQL, or an objective lacks what its method needs.
    """
    return {"groups": [_group(objective) for objective in objectives]}


def _group(objective: Objective) -> dict[str, Any]:
    labels = {"slo": objective.name, "service": objective.service}
    windows = dict.fromkeys(
        sorted((w for burn in BURNS for w in (burn.short, burn.long)), key=lambda each: each.seconds)
    )
    recorded = [
        {"record": _series(window), "expr": _bad_ratio(objective, str(window)), "labels": dict(labels)}
        for window in windows
    ]
    alerts = [_alert(objective, severity) for severity in dict.fromkeys(burn.severity for burn in BURNS)]
    return {"name": f"slo-{objective.name}", "rules": [*recorded, *alerts]}


def _series(window: Duration) -> str:
    return f"slo:bad_events:ratio_{window}"


def _alert(objective: Objective, severity: str) -> dict[str, Any]:
    period, selector = Duration.of(int(objective.period_days * 86_400)), f'{{slo="{objective.name}"}}'
    allowed = f"{1 - objective.target:.6g}"
    conditions = [
        f"({_series(burn.long)}{selector} > {burn.factor(period):g} * {allowed}\n"
        f"  and {_series(burn.short)}{selector} > {burn.factor(period):g} * {allowed})"
        for burn in BURNS
        if burn.severity == severity
    ]
    return {
        "alert": "ObjectiveBurn",
        "expr": "\nor ".join(conditions),
        "for": "2m",
        "labels": {"severity": severity, "slo": objective.name},
        "annotations": {
            "summary": f"{objective.service} spends the error budget of {objective.name} too fast.",
            "description": f"{{{{ $value | humanizePercentage }}}} of the events are bad; the objective allows "
            f"{float(allowed):.4%} over {objective.period_days:g} days.",
            "runbook_url": "https://sre.google/workbook/alerting-on-slos/",
        },
    }


def _bad_ratio(objective: Objective, window: str) -> str:
    """The share of bad events within a window: counted, or over slices of time."""
    indicator = objective.indicator
    if indicator is None:
        raise fault(objective.where, "the indicator", None, "give one with PromQL queries")
    is_sliced = objective.method != "Occurrences"
    if indicator.threshold is not None:
        return _over_time(objective, f"({_value(objective)})", window)
    if is_sliced and objective.method == "RatioTimeslices":
        return _over_time(objective, _good_ratio(objective, _slice(objective)), window)
    if is_sliced:
        target = objective.slice_target
        if target is None:
            raise fault(
                objective.where, "timeSliceTarget", None, "give the share of good events that makes a slice good"
            )
        return _over_time(objective, f"({_good_ratio(objective, _slice(objective))}) >= bool {target:g}", window)
    return f"1 - ({_good_ratio(objective, window)})"


def _over_time(objective: Objective, good: str, window: str) -> str:
    """The share of bad slices; ``good`` is from 0 to 1 at each point in time."""
    resolution = _slice(objective) if objective.slice_seconds else _SHORTEST
    return f"1 - avg_over_time(({good})[{window}:{resolution}])"


def _slice(objective: Objective) -> str:
    return str(Duration.of(int(objective.slice_seconds)))


def _value(objective: Objective) -> str:
    """1 while the value keeps to its limit, otherwise 0."""
    indicator = objective.indicator
    if objective.limit is None or not objective.op or indicator is None or indicator.threshold is None:
        raise fault(objective.where, "op and value", None, "give both, because the indicator is a threshold")
    return f"({_expression(objective, indicator.threshold, _SHORTEST, counts=False)}) {_OPS[objective.op]} bool {objective.limit:g}"


def _good_ratio(objective: Objective, window: str) -> str:
    indicator = objective.indicator
    if indicator is not None and indicator.raw is not None:
        ratio = _expression(objective, indicator.raw, window, counts=False)
        return ratio if indicator.raw_is_good else f"1 - ({ratio})"
    if indicator is None or indicator.total is None or (indicator.good is None and indicator.bad is None):
        raise fault(objective.where, "ratioMetric", None, "give total, and good or bad")
    total = _expression(objective, indicator.total, window, counts=True)
    if indicator.good is not None:
        return f"({_expression(objective, indicator.good, window, counts=True)}) / ({total} > 0)"
    if indicator.bad is None:
        raise fault(objective.where, "ratioMetric", None, "give total, and good or bad")
    return f"1 - ({_expression(objective, indicator.bad, window, counts=True)}) / ({total} > 0)"


def _expression(objective: Objective, query: Query, window: str, *, counts: bool) -> str:
    """A query over a window: its own placeholder, or each counter's increase, or the sum of what it returns."""
    text = _WINDOW.sub(window, query.text).strip()
    try:
        tree = parse(text)
    except (PromqlError, TooDeepError) as error:
        raise fault(objective.where, "query", query.text, f"give PromQL ({error})") from None
    indicator = objective.indicator
    if text != query.text.strip() or not counts or indicator is None:
        return text
    ranged = any(isinstance(node, MatrixSelector) for node, _ in nodes(tree))
    if indicator.is_counter and not ranged:
        selectors = [node for node, _ in nodes(tree) if isinstance(node, VectorSelector)]
        for node in sorted(selectors, key=lambda each: each.start, reverse=True):
            text = f"{text[: node.start]}increase({text[node.start : node.end]}[{window}]){text[node.end :]}"
        return text
    return f"sum_over_time(({text})[{window}:{_SHORTEST}])"
