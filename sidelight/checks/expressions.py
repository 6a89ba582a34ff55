"""Checks of PromQL expressions, in rules and in dashboards."""

from __future__ import annotations

import re
from datetime import timedelta
from difflib import get_close_matches
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import promql_parser as promql

from alerts.checking.promql import KEEP_EVERY_LABEL, check_tree, is_without, nodes
from sidelight.checks.finding import Check, Severity
from sidelight.checks.known_series import SERIES, OpenWorld

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sidelight.checks.known_series import World

SYNTAX = Check(
    name="promql/syntax",
    severity=Severity.ERROR,
    finds="an expression that is not valid PromQL",
    pint="promql/syntax",
    dashboard_linter="target-promql-rule",
)
IMPOSSIBLE = Check(
    name="promql/impossible",
    severity=Severity.ERROR,
    finds="a join or an aggregation by a label that its operand cannot have, so that it never returns anything",
    pint="promql/impossible, promql/vector_matching",
)
SERIES_NAME = Check(
    name="promql/series",
    severity=Severity.WARNING,
    finds="a name that is nearly that of a known series, or a recorded series that no rule records",
    pint="promql/series, rule/dependency",
)
REGEXP = Check(
    name="promql/regexp",
    severity=Severity.WARNING,
    finds="a regular expression that matches everything or only one value, or has anchors that Prometheus adds itself",
    pint="promql/regexp",
)
COUNTER = Check(
    name="promql/counter",
    severity=Severity.WARNING,
    finds="a counter outside rate() or increase(): its value depends on when the process started",
    pint="promql/counter",
    dashboard_linter="target-counter-agg-rule",
)
RATE = Check(
    name="promql/rate",
    severity=Severity.ERROR,
    finds="rate() of a gauge, of a sum of counters, which hides their resets, or over fewer than four scrapes",
    pint="promql/rate",
)
DIVISION = Check(
    name="promql/division",
    severity=Severity.WARNING,
    finds="a sum, average or deviation of a division by a value that may be zero: one idle instance makes all of it NaN",
    pint="promql/nan",
)
FRAGILE = Check(
    name="promql/fragile",
    severity=Severity.WARNING,
    finds="arithmetic with `without` on only one side: after a new label is added, nothing matches any more",
    pint="promql/fragile",
)
EDGE = Check(
    name="promql/edge",
    severity=Severity.WARNING,
    finds="a percentile compared with a number that is not a bucket edge, so that the comparison is only an estimate",
)
FEATURES = Check(
    name="promql/features",
    severity=Severity.WARNING,
    finds="a function that Prometheus only supports with --enable-feature",
    pint="promql/features",
)
PERFORMANCE = Check(
    name="promql/performance",
    severity=Severity.NOTE,
    finds="an aggregation that a recording rule already computes",
    pint="promql/performance",
)

_RATES = {"rate", "irate", "increase"}
_OF_COUNTERS = {
    *_RATES,
    "resets",
    "changes",
    "absent",
    "absent_over_time",
    "present_over_time",
    "count_over_time",
    "timestamp",
}
_COUNTING = {"count", "group", "count_values"}
_COMPARISONS = {"==", "!=", "<", ">", "<=", ">="}
_KEEP_THE_NAME = {
    "last_over_time",
    "first_over_time",
    "sort",
    "sort_desc",
    "sort_by_label",
    "sort_by_label_desc",
    "label_replace",
    "label_join",
    "info",
}
_BLENDING = {"sum", "avg", "stddev", "stdvar"}
_CLAMPS = {"clamp", "clamp_min", "clamp_max"}
_EXPERIMENTAL = {
    "mad_over_time", "sort_by_label", "sort_by_label_desc", "info", "double_exponential_smoothing", "limitk", "limit_ratio",
    "ts_of_max_over_time", "ts_of_min_over_time", "ts_of_last_over_time", "ts_of_first_over_time", "first_over_time",
}  # fmt: skip
_SETS = {"and", "or", "unless"}
_SCRAPES = 4
_ALIKE = 0.93  # from 0 to 1; below this similarity, names mean different things
_WINDOW = re.compile(r"\$\{?__(?:rate_interval|interval|range)(?:_\w+)?\}?|\[\s*\$\{?\w+(?::\w+)?\}?")
_VARIABLE = re.compile(r"\$\{\w+(?::\w+)?\}|\$\w+|\[\[\w+\]\]")
_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'|`[^`]*`')


class Problem(NamedTuple):
    """A fault in an expression."""

    check: Check
    message: str
    cure: str


def parsed(expression: str) -> Any:
    """The syntax tree of an expression, which may contain Grafana's variables.

    Raises:
        ValueError: The expression is not valid PromQL.
    """
    return promql.parse(_without_variables(expression))


def problems(tree: Any, world: World) -> Iterator[Problem]:
    """All faults in an expression.

    Args:
        tree: The syntax tree, as from ``parsed``.
        world: The known series and the settings.
    """
    for fault in check_tree(tree, OpenWorld()).faults:
        yield Problem(IMPOSSIBLE, fault, "use a label that exists")
    for node, parents in nodes(tree):
        for find in _BY_NODE:
            yield from find(node, parents, world)


def compares(node: Any) -> bool:
    """Whether a node filters its operand: a comparison without ``bool``."""
    modifier = getattr(node, "modifier", None)
    is_comparison = isinstance(node, promql.BinaryExpr) and str(node.op) in _COMPARISONS
    return is_comparison and not (modifier and modifier.return_bool)


def keeps_name(tree: Any) -> bool:
    """Whether the result of an expression may still have a metric name, which most of PromQL removes."""
    match tree:
        case promql.ParenExpr():
            return keeps_name(tree.expr)
        case promql.AggregateExpr():
            return str(tree.op) in KEEP_EVERY_LABEL and keeps_name(tree.expr)
        case promql.Call():
            of_series = (isinstance(each, promql.MatrixSelector) or keeps_name(each) for each in tree.args)
            return function_of(tree) in _KEEP_THE_NAME and any(of_series)
        case promql.BinaryExpr():
            chooses = compares(tree) or str(tree.op) in {"and", "or", "unless"}
            return (chooses and keeps_name(tree.lhs)) or (str(tree.op) == "or" and keeps_name(tree.rhs))
    return isinstance(tree, promql.VectorSelector)


def _without_variables(expression: str) -> str:
    """The expression with windows replaced by 5 minutes, and other variables outside strings by the number 1."""
    expression = _WINDOW.sub(lambda found: "[5m" if found[0].startswith("[") else "5m", expression)
    parts, end = [], 0
    for text in _TEXT.finditer(expression):
        parts += [_VARIABLE.sub("1", expression[end : text.start()]), text[0]]
        end = text.end()
    return "".join([*parts, _VARIABLE.sub("1", expression[end:])])


def _bare(node: Any) -> Any:
    while isinstance(node, promql.ParenExpr | promql.UnaryExpr):
        node = node.expr
    return node


def function_of(node: Any) -> str:
    """The name of the function that a node calls; empty if it calls none."""
    return str(node.func.name) if isinstance(node, promql.Call) else ""


def _series_name(node: Any, parents: tuple[Any, ...], world: World) -> Iterator[Problem]:
    del parents
    name = getattr(node, "name", None)
    if not isinstance(node, promql.VectorSelector) or not name or world.is_known(name):
        return
    if ":" in name:
        yield Problem(
            SERIES_NAME,
            f"reads {name}, which no rule records",
            "check its rule file in the same call, or correct the name",
        )
    elif alike := get_close_matches(name, {*SERIES, *world.kinds}, 1, _ALIKE):
        yield Problem(SERIES_NAME, f"reads {name}, which is not a known series", f"use {alike[0]} if you meant that")


def _regexps(node: Any, parents: tuple[Any, ...], world: World) -> Iterator[Problem]:
    del parents, world
    if not isinstance(node, promql.VectorSelector):
        return
    for matcher in node.matchers.matchers:
        operator, value = str(matcher.op), matcher.value
        if "Re" not in operator or "$" in value.removesuffix("$"):
            continue
        written, equal = (
            f'{matcher.name}{"!~" if "Not" in operator else "=~"}"{value}"',
            "!=" if "Not" in operator else "=",
        )
        if value == ".*":
            yield Problem(REGEXP, f"{written} matches {'nothing' if 'Not' in operator else 'everything'}", "remove it")
        elif value == ".+" and "Not" not in operator:
            yield Problem(REGEXP, f"{written} only checks whether there is a value", f'write {matcher.name}!=""')
        elif value.startswith("^") or (value.endswith("$") and not value.endswith(r"\$")):
            yield Problem(REGEXP, f"{written} has anchors, which Prometheus adds itself", "remove ^ and $")
        elif re.escape(value).replace("\\", "") == value and not re.search(r"[.*+?()\[\]{}|\\^$]", value):
            yield Problem(REGEXP, f"{written} matches only one value", f'write {matcher.name}{equal}"{value}"')


def _counters(node: Any, parents: tuple[Any, ...], world: World) -> Iterator[Problem]:
    if not isinstance(node, promql.VectorSelector) or not world.is_counter(node.name or ""):
        return
    inner = next((function_of(parent) for parent in reversed(parents) if function_of(parent)), "")
    counted = any(isinstance(parent, promql.AggregateExpr) and str(parent.op) in _COUNTING for parent in parents)
    still = any(isinstance(parent, promql.AggregateExpr) and _is_each_instance(parent) for parent in parents)
    if inner not in _OF_COUNTERS and not counted and not still and not _is_presence(node, parents):
        yield Problem(COUNTER, f"reads the raw value of the counter {node.name}", "wrap it in rate() or increase()")


def _is_presence(node: Any, parents: tuple[Any, ...]) -> bool:
    """Whether only its presence matters, as on the right side of ``and`` and ``unless``."""
    around = [*parents, node]
    return any(
        isinstance(parent, promql.BinaryExpr) and str(parent.op) in {"and", "unless"} and child is parent.rhs
        for parent, child in pairwise(around)
    )


def _rates(node: Any, parents: tuple[Any, ...], world: World) -> Iterator[Problem]:
    del parents
    name = function_of(node)
    if name not in _RATES:
        return
    of = node.args[0]
    if isinstance(of, promql.SubqueryExpr) and isinstance(_bare(of.expr), promql.AggregateExpr):
        yield Problem(RATE, f"{name}() of a sum: a restart of one instance looks like a jump", "sum the rates instead")
    if not isinstance(of, promql.MatrixSelector):
        return
    series, least = of.vector_selector.name or "", _SCRAPES * world.settings.metrics.scrape_interval.seconds
    if world.is_gauge(series):
        yield Problem(RATE, f"{name}() of {series}, which is a gauge", "use delta() or deriv()")
    if _is_sum(series, world):
        yield Problem(
            RATE, f"{name}() of {series}, a sum of counters, which hides their resets", "sum the rates instead"
        )
    if of.range < timedelta(seconds=least):
        seconds = of.range.total_seconds()
        yield Problem(
            RATE, f"{name}() over {seconds:g} s covers fewer than {_SCRAPES} scrapes", f"use {least} s or more"
        )


def _is_sum(series: str, world: World) -> bool:
    """Whether a recorded series adds up counters of several instances."""
    for expression in world.recorded.get(series, ()):
        top = _bare(promql.parse(expression))
        if isinstance(top, promql.AggregateExpr) and str(top.op) == "sum":
            of = _bare(top.expr)
            counts = isinstance(of, promql.VectorSelector) and world.is_counter(of.name or "")
            if counts and not _is_each_instance(top):
                return True
    return False


def _is_each_instance(aggregation: Any) -> bool:
    """Whether an aggregation keeps the instance, so that a sum of counters is still a counter."""
    kept = () if aggregation.modifier is None or is_without(aggregation) else aggregation.modifier.labels
    return bool({"instance", "pod"} & set(kept))


def _divisions(node: Any, parents: tuple[Any, ...], world: World) -> Iterator[Problem]:
    del parents, world
    if isinstance(node, promql.AggregateExpr) and str(node.op) in _BLENDING:
        inner = _bare(node.expr)
        if isinstance(inner, promql.BinaryExpr) and str(inner.op) in {"/", "%"} and _may_be_zero(inner.rhs):
            yield Problem(
                DIVISION,
                f"{node.op}() of a division by a value that may be zero",
                "aggregate before dividing, or divide by (... > 0)",
            )


def _features(node: Any, parents: tuple[Any, ...], world: World) -> Iterator[Problem]:
    del parents, world
    name = str(node.op) if isinstance(node, promql.AggregateExpr) else function_of(node)
    if name in _EXPERIMENTAL:
        yield Problem(FEATURES, f"{name}() needs --enable-feature=promql-experimental-functions", "avoid it")


def _may_be_zero(node: Any) -> bool:
    inner = _bare(node)
    guarded = any(compares(each) or function_of(each) in _CLAMPS for each, _ in nodes(inner))
    return not isinstance(inner, promql.NumberLiteral) and not guarded


def _fragile(node: Any, parents: tuple[Any, ...], world: World) -> Iterator[Problem]:
    del parents, world
    if not isinstance(node, promql.BinaryExpr) or str(node.op) in _SETS:
        return
    sides = [any(is_without(each) for each, _ in nodes(side)) for side in (node.lhs, node.rhs)]
    if sides[0] != sides[1] and not any(isinstance(_bare(side), promql.NumberLiteral) for side in (node.lhs, node.rhs)):
        yield Problem(FRAGILE, f"only one side of {node.op} aggregates with without()", "aggregate both with by (...)")


def _edges(node: Any, parents: tuple[Any, ...], world: World) -> Iterator[Problem]:
    del parents
    if not compares(node) or not isinstance(_bare(node.rhs), promql.NumberLiteral):
        return
    limit = _bare(node.rhs).val
    for buckets in _quantiles_of(_bare(node.lhs), world):
        edges = world.edges[buckets]
        if limit not in edges[:-1] and limit > 0:
            near = " or ".join(f"{edge:g}" for edge in sorted(edges[:-1], key=lambda edge: abs(edge - limit))[:2])
            yield Problem(
                EDGE,
                f"compares a percentile of {buckets.removesuffix('_bucket')} with {limit:g}, which is not a bucket edge",
                f"use an edge, such as {near}, or add this one as a threshold in sidelight.yaml",
            )


def _quantiles_of(node: Any, world: World, depth: int = 3) -> set[str]:
    """Histograms with known edges of which a node is a quantile, also through a recording rule."""
    if depth and isinstance(node, promql.VectorSelector):
        found: set[str] = set()
        for expression in world.recorded.get(node.name or "", ()):
            found |= _quantiles_of(_bare(promql.parse(expression)), world, depth - 1)
        return found
    if compares(node):
        return _quantiles_of(_bare(node.lhs), world, depth)
    if function_of(node) == "histogram_quantile":
        return {name for name in _selected(node, world) if name in world.edges}
    return set()


def _selected(node: Any, world: World, depth: int = 3) -> Iterator[str]:
    for each, _ in nodes(node):
        if isinstance(each, promql.VectorSelector) and each.name:
            yield each.name
            for expression in world.recorded.get(each.name, ()) if depth else ():
                yield from _selected(promql.parse(expression), world, depth - 1)


_BY_NODE: tuple[Callable[[Any, tuple[Any, ...], World], Iterator[Problem]], ...] = (
    _series_name,
    _regexps,
    _counters,
    _rates,
    _divisions,
    _fragile,
    _edges,
    _features,
)
CHECKS = (SYNTAX, IMPOSSIBLE, SERIES_NAME, REGEXP, COUNTER, RATE, DIVISION, FRAGILE, EDGE, FEATURES, PERFORMANCE)
