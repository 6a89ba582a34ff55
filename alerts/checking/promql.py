"""Checks that an expression reads only series and labels that exist; promtool checks only the grammar."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, NamedTuple

from alerts.promql import (
    Aggregation,
    BinaryOperation,
    Call,
    MatrixSelector,
    Node,
    Parentheses,
    PromqlError,
    StringLiteral,
    Subquery,
    Type,
    UnaryOperation,
    Variable,
    VectorSelector,
    nodes,
    parse,
)
from instrumentation.catalog import HTTP_SERVER_REQUEST_DURATION, METRICS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from instrumentation.catalog import Metric


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

# Series that Prometheus adds for every target, ALERTS of every rule, and metrics of collectors and of kube-state-metrics.
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
    "kube_deployment_spec_replicas": ("namespace", "deployment"),
    "kube_statefulset_replicas": ("namespace", "statefulset"),
    "ALERTS": ("alertname", "alertstate", "severity", "service_version", "kind"),
    "ALERTS_FOR_STATE": ("alertname", "severity", "service_version", "kind"),
}
_TARGET_LABELS = ("job", "instance")
REPLICAS = ("prometheus_replica", "replica", "__replica__")
"""Labels in which the copies of a highly available pair of Prometheus servers differ, if a common store keeps both."""
KEEP_EVERY_LABEL = {"topk", "bottomk", "limitk", "limit_ratio"}
"""Aggregations that choose some of the series, with all their labels."""


def catalog_series(
    group_by: Iterable[str] = ("job",), request_labels: Iterable[str] = (), declared: Iterable[Metric] = ()
) -> dict[str, Labels]:
    """The label names of each series of the catalog and of Prometheus, including target labels.

    Args:
        group_by: Additional target labels.
        request_labels: Additional labels of request durations, as in ``http.labels``.
        declared: Metrics that a team has declared.
    """
    target = {*_TARGET_LABELS, *group_by}
    more = HTTP_SERVER_REQUEST_DURATION.extended(*request_labels)
    rows = [
        *_FROM_PROMETHEUS.items(),
        *(pair for metric in (*METRICS, more, *declared) for pair in metric.series.items()),
    ]
    return {name: frozenset({*labels, *target}) for name, labels in rows}


def faults(expression: str, series: Mapping[str, Labels]) -> list[str]:
    """The faults of an expression, one sentence each; empty if it is valid.

    Args:
        expression: PromQL, which may contain Grafana's variables.
        series: Every existing series with its labels, such as from ``catalog_series``.
    """
    return check(expression, series).faults


def check(expression: str, series: Mapping[str, Labels]) -> Checked:
    """Walk an expression; return the labels of its result and all faults."""
    try:
        tree = parse(expression, variables=True)
    except PromqlError as error:
        return Checked(found=[Fault(f"is not PromQL: {error}", error.start, error.start)])
    checked = check_tree(tree, series)
    return Checked(labels=checked.labels, found=[*_fragile(tree), *checked.found])


def _fragile(tree: Node) -> Iterator[Fault]:
    for node, _ in nodes(tree):
        if isinstance(node, Aggregation) and node.without:
            yield Fault(
                "aggregates with 'without'; use 'by', so that a new label changes nothing", node.start, node.end
            )


def check_tree(tree: Node, series: Mapping[str, Labels]) -> Checked:
    """Check that each step of a parsed expression finds the labels it needs."""
    walk = _Walk(series)
    for node, _ in reversed(list(nodes(tree))):  # what is inside comes first, so that no walk is as deep as the tree
        walk.visit(node)
    return Checked(labels=walk.labels(tree), found=sorted(walk.found, key=lambda fault: fault.end))


class Fault(NamedTuple):
    """A fault in an expression.

    Attributes:
        message: What is wrong, as the end of a sentence.
        start: The position of the part that is wrong, from 0.
        end: The position after it.
    """

    message: str
    start: int
    end: int


@dataclass(frozen=True, kw_only=True)
class Checked:
    """The result of a check: the labels of the expression's result, and its faults."""

    labels: Labels = frozenset()
    found: list[Fault] = field(default_factory=list)

    @property
    def faults(self) -> list[str]:
        """The faults, one sentence each."""
        return [fault.message for fault in self.found]


class _Walk:
    """One pass over a syntax tree, from the selectors upwards."""

    def __init__(self, series: Mapping[str, Labels]) -> None:
        self.series = series
        self.found: list[Fault] = []
        self._labels: dict[int, Labels] = {}

    def visit(self, node: Node) -> None:
        match node:
            case VectorSelector():
                labels = self._of_selector(node)
            case MatrixSelector():
                labels = self.labels(node.selector)
            case Parentheses() | UnaryOperation() | Subquery():
                labels = self.labels(node.expr)
            case Aggregation():
                labels = self._of_aggregation(node)
            case Call():
                labels = self._of_call(node)
            case BinaryOperation():
                labels = self._of_operation(node)
            case Variable():
                labels = AllBut()
            case _:
                labels = frozenset()  # a number or a string has no labels
        self._labels[id(node)] = labels

    def labels(self, node: Node) -> Labels:
        return self._labels[id(node)]

    def _need(self, wanted: Iterable[str], have: Labels, place: str, node: Node) -> None:
        for label in wanted:
            if label not in have and "$" not in label:
                self.found.append(Fault(f"{place} {label!r}, which is not a label there", node.start, node.end))

    def _of_selector(self, node: VectorSelector) -> Labels:
        labels = self.series.get(node.name)
        if labels is None:
            message = f"reads {node.name!r}, which is in no catalog row and no recording rule"
            self.found.append(Fault(message, node.start, node.end))
            return frozenset()
        self._need((matcher.name for matcher in node.matchers), labels, f"{node.name}: matches", node)
        return labels

    def _of_aggregation(self, node: Aggregation) -> Labels:
        inner = self.labels(node.expr)
        if node.labels is None:
            kept: Labels = frozenset()
        elif node.without:
            kept = inner - frozenset(node.labels)
        else:
            wanted = frozenset(node.labels) - frozenset(REPLICAS)  # only some series have them
            self._need(sorted(wanted), inner, "aggregates by", node)
            kept = AllBut() if any("$" in label for label in wanted) else wanted
        if node.op == "count_values" and isinstance(node.param, StringLiteral):
            return kept | frozenset({node.param.value})
        return inner if node.op in KEEP_EVERY_LABEL else kept

    def _of_call(self, node: Call) -> Labels:
        nothing: Labels = frozenset()
        labels = reduce(or_, map(self.labels, node.args), nothing)
        if node.function == "histogram_quantile":
            if self._is_classic(node):
                self._need(["le"], labels, "histogram_quantile needs", node)
            return labels - frozenset({"le"})
        if node.function in {"label_replace", "label_join"} and isinstance(node.args[1], StringLiteral):
            return labels | frozenset({node.args[1].value})
        if node.function == "info":
            return AllBut()
        if node.function == "absent":
            return _of_absent(node)
        return frozenset() if node.type is Type.SCALAR else labels

    def _is_classic(self, node: Call) -> bool:
        """Whether a quantile is of buckets with the label ``le``, and not of native histograms."""
        read = [each for each, _ in nodes(node) if isinstance(each, VectorSelector)]
        known = [each for each in read if each.name.endswith("_bucket") or not isinstance(self.labels(each), AllBut)]
        return bool(read) and len(known) == len(read)

    def _of_operation(self, node: BinaryOperation) -> Labels:
        left, right = self.labels(node.lhs), self.labels(node.rhs)
        if Type.VECTOR is not node.lhs.type or Type.VECTOR is not node.rhs.type:
            return left | right
        matching, is_set = node.matching, node.op in {"and", "or", "unless"}
        if matching.labels is not None:
            if matching.on:
                self._need(matching.labels, left & right, "matches on", node)
        elif not isinstance(left, AllBut) and not isinstance(right, AllBut) and left != right and node.op != "or":
            differing = ", ".join(sorted(left ^ right))
            message = f"joins with {node.op!r} two sides that never match: only one has {differing}"
            self.found.append(Fault(message, node.op_start, node.op_start + len(node.op)))
        if node.op == "or":
            return left | right
        if matching.labels is None or is_set:
            return left
        return _joined(node, left, right)


def _of_absent(node: Call) -> Labels:
    """The labels of ``absent``: those that its selector sets with ``=``."""
    selector = node.args[0]
    if not isinstance(selector, VectorSelector):
        return frozenset()
    return frozenset(each.name for each in selector.matchers if each.operator == "=")


def _joined(node: BinaryOperation, left: Labels, right: Labels) -> Labels:
    matching = node.matching
    copied = frozenset(matching.include)
    if matching.group:
        return (left if matching.group == "group_left" else right) | copied
    listed = frozenset(matching.labels or ())
    return listed if matching.on else left - listed
