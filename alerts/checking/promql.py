"""Checks that an expression reads only series and labels that exist; promtool checks only the grammar."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any

import promql_parser as promql

from instrumentation.catalog import HTTP_SERVER_REQUEST_DURATION, METRICS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


@dataclass(frozen=True)
class AllBut:
    """All labels except some: the labels of a series about which nothing is known.

    >>> "job" in AllBut(), "job" in AllBut(frozenset({"job"}))
    (True, False)
    >>> sorted(frozenset({"job", "le"}) & AllBut(frozenset({"le"})))
    ['job']
    """

    names: frozenset[str] = frozenset()

    def __contains__(self, label: object) -> bool:
        return label not in self.names

    def __or__(self, other: Labels) -> AllBut:
        return AllBut(self.names & other.names if isinstance(other, AllBut) else self.names - other)

    __ror__ = __or__

    def __and__(self, other: Labels) -> Labels:
        return AllBut(self.names | other.names) if isinstance(other, AllBut) else other - self.names

    __rand__ = __and__

    def __sub__(self, other: frozenset[str]) -> AllBut:
        return AllBut(self.names | other)


Labels = frozenset[str] | AllBut

# Series that Prometheus adds for every target, ALERTS of every rule, and the collectors' own metrics.
_FROM_PROMETHEUS: Mapping[str, tuple[str, ...]] = {
    "up": (),
    "scrape_duration_seconds": (),
    "scrape_samples_scraped": (),
    **dict.fromkeys(
        (
            "otelcol_exporter_queue_size",
            "otelcol_exporter_queue_capacity",
            "otelcol_exporter_enqueue_failed_spans",
            "otelcol_exporter_send_failed_spans",
            "otelcol_exporter_sent_spans",
            "otelcol_exporter_enqueue_failed_metric_points",
            "otelcol_exporter_send_failed_metric_points",
            "otelcol_exporter_sent_metric_points",
        ),
        ("exporter", "data_type"),
    ),
    "otelcol_receiver_accepted_spans": ("receiver", "transport"),
    "otelcol_receiver_refused_spans": ("receiver", "transport"),
    "otelcol_receiver_refused_metric_points": ("receiver", "transport"),
    "ALERTS": ("alertname", "alertstate", "severity", "service_version", "kind"),
    "ALERTS_FOR_STATE": ("alertname", "severity", "service_version", "kind"),
}
_TARGET_LABELS = ("job", "instance")
REPLICAS = ("prometheus_replica", "replica", "__replica__")
"""Labels in which the copies of a highly available pair of Prometheus servers differ, if a common store keeps both."""
_GRAFANA_INTERVAL = re.compile(r"\$(?:__rate_interval|__interval|__range)\b")
KEEP_EVERY_LABEL = {"topk", "bottomk", "limitk", "limit_ratio"}
_SET_OPERATORS = {"and", "or", "unless"}
_SCALARS = {"scalar", "time", "pi"}


def catalog_series(group_by: Iterable[str] = ("job",), request_labels: Iterable[str] = ()) -> dict[str, Labels]:
    """The label names of each series of the catalog and of Prometheus, including target labels.

    Args:
        group_by: Additional target labels.
        request_labels: Additional labels of request durations, as in ``http.labels``.
    """
    target = {*_TARGET_LABELS, *group_by}
    more = HTTP_SERVER_REQUEST_DURATION.extended(*request_labels)
    rows = [*_FROM_PROMETHEUS.items(), *(pair for metric in (*METRICS, more) for pair in metric.series.items())]
    return {name: frozenset({*labels, *target}) for name, labels in rows}


def faults(expression: str, series: Mapping[str, Labels]) -> list[str]:
    """The faults of an expression, one sentence each; empty if it is valid.

    Args:
        expression: PromQL, which may contain Grafana's interval variables.
        series: Every existing series with its labels, such as from ``catalog_series``.
    """
    return check(expression, series).faults


def check(expression: str, series: Mapping[str, Labels]) -> Checked:
    """Walk an expression; return the labels of its result and all faults."""
    try:
        tree = promql.parse(_GRAFANA_INTERVAL.sub("5m", expression))
    except ValueError as error:
        return Checked(faults=[f"is not PromQL: {error}"])
    checked = check_tree(tree, series)
    return Checked(labels=checked.labels, faults=[*_fragile(tree), *checked.faults])


def _fragile(tree: Any) -> Iterator[str]:
    for node, _ in nodes(tree):
        if is_without(node):
            yield "aggregates with 'without'; use 'by', so that a new label changes nothing"


def is_without(node: Any) -> bool:
    """Whether a node aggregates with ``without``."""
    modifier = getattr(node, "modifier", None)
    return (
        isinstance(node, promql.AggregateExpr)
        and modifier is not None
        and modifier.type == promql.AggModifierType.Without
    )


def check_tree(tree: Any, series: Mapping[str, Labels]) -> Checked:
    """Check that each step of a parsed expression finds the labels it needs."""
    walk = _Walk(series)
    return Checked(labels=walk.labels(tree), faults=walk.faults)


def nodes(node: Any, parents: tuple[Any, ...] = ()) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """The nodes of a syntax tree, each with the nodes around it, outermost first."""
    yield node, parents
    children = [getattr(node, name, None) for name in ("expr", "lhs", "rhs", "vector_selector")]
    for child in [*children, *(getattr(node, "args", None) or ())]:
        if child is not None:
            yield from nodes(child, (*parents, node))


@dataclass(frozen=True, kw_only=True)
class Checked:
    """The result of a check: the labels of the expression's result, and its faults."""

    labels: Labels = frozenset()
    faults: list[str] = field(default_factory=list)


class _Walk:
    """One pass over a syntax tree, from the selectors upwards."""

    def __init__(self, series: Mapping[str, Labels]) -> None:
        self.series = series
        self.faults: list[str] = []

    def labels(self, node: Any) -> Labels:
        handler = getattr(self, f"_{type(node).__name__}", None)
        return handler(node) if handler else frozenset()  # a number or a string has no labels

    def _need(self, wanted: Iterable[str], have: Labels, place: str) -> None:
        self.faults += [f"{place} {label!r}, which is not a label there" for label in wanted if label not in have]

    def _VectorSelector(self, node: Any) -> Labels:  # noqa: N802 - named after the node
        labels = self.series.get(node.name)
        if labels is None:
            self.faults.append(f"reads {node.name!r}, which is in no catalog row and no recording rule")
            return frozenset()
        self._need((matcher.name for matcher in node.matchers.matchers), labels, f"{node.name}: matches")
        return labels

    def _MatrixSelector(self, node: Any) -> Labels:  # noqa: N802
        return self.labels(node.vector_selector)

    def _ParenExpr(self, node: Any) -> Labels:  # noqa: N802
        return self.labels(node.expr)

    _UnaryExpr = _SubqueryExpr = _ParenExpr

    def _AggregateExpr(self, node: Any) -> Labels:  # noqa: N802
        inner = self.labels(node.expr)
        if node.modifier is None:
            kept: Labels = frozenset()
        elif is_without(node):
            kept = inner - frozenset(node.modifier.labels)
        else:
            wanted = frozenset(node.modifier.labels) - frozenset(REPLICAS)  # only some series have them
            self._need(sorted(wanted), inner, "aggregates by")
            kept = wanted
        if str(node.op) == "count_values":
            return kept | frozenset({node.param.val})
        return inner if str(node.op) in KEEP_EVERY_LABEL else kept

    def _Call(self, node: Any) -> Labels:  # noqa: N802
        nothing: Labels = frozenset()
        labels = reduce(or_, map(self.labels, node.args), nothing)
        name = node.func.name
        if name == "histogram_quantile":
            self._need(["le"], labels, "histogram_quantile needs")
            return labels - frozenset({"le"})
        if name in {"label_replace", "label_join"}:
            return labels | frozenset({node.args[1].val})
        return frozenset() if name == "scalar" else labels

    def _BinaryExpr(self, node: Any) -> Labels:  # noqa: N802
        left, right = self.labels(node.lhs), self.labels(node.rhs)
        if _is_scalar(node.lhs) or _is_scalar(node.rhs):
            return left | right
        matching = node.modifier.matching if node.modifier else None
        if matching is not None:
            if _is_on(matching):
                self._need(matching.labels, left & right, "matches on")
        elif not isinstance(left, AllBut) and not isinstance(right, AllBut) and left != right and str(node.op) != "or":
            differing = ", ".join(sorted(left ^ right))
            self.faults.append(f"joins with {str(node.op)!r} two sides that never match: only one has {differing}")
        if matching is None or str(node.op) in _SET_OPERATORS:
            return left
        return _joined(node.modifier, left, right)


def _is_scalar(node: Any) -> bool:
    if isinstance(node, promql.ParenExpr | promql.UnaryExpr):
        return _is_scalar(node.expr)
    if isinstance(node, promql.BinaryExpr):
        return _is_scalar(node.lhs) and _is_scalar(node.rhs)
    return isinstance(node, promql.NumberLiteral) or (isinstance(node, promql.Call) and node.func.name in _SCALARS)


def _joined(modifier: Any, left: Labels, right: Labels) -> Labels:
    copied = frozenset(modifier.group_labels or ())
    if modifier.card == promql.VectorMatchCardinality.ManyToOne:
        return left | copied
    if modifier.card == promql.VectorMatchCardinality.OneToMany:
        return right | copied
    listed = frozenset(modifier.matching.labels)
    return listed if _is_on(modifier.matching) else left - listed


def _is_on(matching: Any) -> bool:
    return bool(matching.type == promql.LabelModifierType.Include)
