"""Rules for objectives with PromQL queries of their own: the share of bad events over each window, and two burn-rate alerts.

Source: the SRE workbook's multi-window burn rates, https://sre.google/workbook/alerting-on-slos/.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from alerts.conditions.error_budget import BURNS
from alerts.promql import Aggregation, Call, MatrixSelector, PromqlError, VectorSelector, bare, nodes, parse
from alerts.promql.tree import TooDeepError
from instrumentation.settings import Duration
from sidelight.objectives.documents import fault, leaving_out

if TYPE_CHECKING:
    from collections.abc import Iterable

    from alerts.conditions.error_budget import Burn
    from alerts.promql import Node
    from sidelight.objectives.documents import Condition, Objective, OpenSloError, Query

_WINDOW = re.compile(r"\{\{\s*\.window\s*\}\}|\$\{?window\}?")
_OPS = {"lt": "<", "lte": "<=", "gt": ">", "gte": ">="}
_SHORTEST = "1m"


def rules(objectives: Iterable[Objective], faults: list[OpenSloError] | None = None) -> dict[str, Any]:
    """A rule file for the objectives whose queries Prometheus can answer, one group each.

    Args:
        objectives: The objectives.
        faults: Gets the faults of objectives, which are then left out; None to raise the first.

    Raises:
        OpenSloError: A query is not PromQL, or an objective lacks what its method needs.
    """
    groups: list[dict[str, Any]] = []
    for objective in objectives:
        with leaving_out(faults):
            groups.append(_group(objective))
    return {"groups": groups}


def _group(objective: Objective) -> dict[str, Any]:
    labels = {"slo": objective.name, "service": objective.service}
    burns = _burns(objective)
    asked = [Duration.of(condition.window_seconds) for condition in objective.conditions]
    windows = {window.seconds: window for window in (*(w for burn in burns for w in (burn.short, burn.long)), *asked)}
    recorded = [
        {"record": _series(windows[each]), "expr": _bad_ratio(objective, str(windows[each])), "labels": dict(labels)}
        for each in sorted(windows)
    ]
    alerts = [_alert(objective, severity) for severity in dict.fromkeys(burn.severity for burn in burns)]
    alerts += [_of_condition(objective, condition) for condition in objective.conditions]
    return {"name": f"slo-{objective.name}", "rules": [*recorded, *alerts]}


def _burns(objective: Objective) -> list[Burn]:
    """The burn rates whose windows fit into the period."""
    return [burn for burn in BURNS if burn.long.seconds <= objective.period_days * 86_400] or [BURNS[0]]


def _series(window: Duration) -> str:
    return f"slo:bad_events:ratio_{window}"


def _alert(objective: Objective, severity: str) -> dict[str, Any]:
    period, selector = Duration.of(int(objective.period_days * 86_400)), _selector(objective)
    conditions = [
        f"({_series(burn.long)}{selector} > {burn.factor(period):g} * {_allowed(objective)}\n"
        f"  and {_series(burn.short)}{selector} > {burn.factor(period):g} * {_allowed(objective)})"
        for burn in _burns(objective)
        if burn.severity == severity
    ]
    return {
        "alert": "ObjectiveBurn",
        "expr": "\nor ".join(conditions),
        "for": "2m",
        "labels": {"severity": severity, "slo": objective.name},
        "annotations": _annotations(objective),
    }


def _of_condition(objective: Objective, condition: Condition) -> dict[str, Any]:
    """The alert of a condition of an alert policy."""
    series = f"{_series(Duration.of(condition.window_seconds))}{_selector(objective)}"
    return {
        "alert": "ObjectiveBurnAsAgreed",
        "expr": f"{series} > {condition.threshold:g} * {_allowed(objective)}",
        **({"for": str(Duration.of(condition.wait_seconds))} if condition.wait_seconds else {}),
        "labels": {"severity": condition.severity, "slo": objective.name, "condition": condition.name},
        "annotations": _annotations(objective),
    }


def _selector(objective: Objective) -> str:
    return f"{{slo={json.dumps(objective.name)}}}"


def _allowed(objective: Objective) -> str:
    return f"{1 - objective.target:.6g}"


def _annotations(objective: Objective) -> dict[str, str]:
    return {
        "summary": f"{objective.service} spends the error budget of {objective.name} too fast.",
        "description": f"{{{{ $value | humanizePercentage }}}} of the events are bad; the objective allows "
        f"{1 - objective.target:.4%} over {objective.period_days:g} days.",
        "runbook_url": "https://sre.google/workbook/alerting-on-slos/",
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
    if indicator is None or indicator.total is None:
        raise fault(objective.where, "ratioMetric", None, "give total, and good or bad")
    total = _expression(objective, indicator.total, window, counts=True)
    events = indicator.good or indicator.bad
    if events is None:
        raise fault(objective.where, "ratioMetric", None, "give total, and good or bad")
    counted = _expression(objective, events, window, counts=True)
    share = f"({counted} or 0 * {total}) / ({total} > 0)"  # before the first good, or bad, event, its series is missing
    return share if indicator.good is not None else f"1 - {share}"


def _expression(objective: Objective, query: Query, window: str, *, counts: bool) -> str:
    """A query over a window: its own placeholder, or each counter's increase, or the sum of what it returns."""
    text = _WINDOW.sub(window, query.text).strip()
    try:
        tree = parse(text)
    except (PromqlError, TooDeepError) as error:
        raise fault(objective.where, "query", query.text, f"give PromQL ({error})") from None
    indicator = objective.indicator
    if counts and not _is_one(tree):
        text = f"sum({text})"
        tree = parse(text)
    if query.text.strip() != _WINDOW.sub(window, query.text).strip() or not counts or indicator is None:
        return text
    ranged = any(isinstance(node, MatrixSelector) for node, _ in nodes(tree))
    if indicator.is_counter and not ranged:
        selectors = [node for node, _ in nodes(tree) if isinstance(node, VectorSelector)]
        for node in sorted(selectors, key=lambda each: each.start, reverse=True):
            text = f"{text[: node.start]}increase({text[node.start : node.end]}[{window}]){text[node.end :]}"
        return text
    return f"sum_over_time(({text})[{window}:{_SHORTEST}])"


def _is_one(tree: Node) -> bool:
    """Whether an expression returns groups that the query names, and not one series for each set of labels."""
    tree = bare(tree)
    if isinstance(tree, Call):
        return tree.function in {"scalar", "vector"}
    return isinstance(tree, Aggregation) and not tree.without
