"""Checks of PromQL expressions, in rules and in dashboards."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, NamedTuple

from alerts.checking.promql import KEEP_EVERY_LABEL, check_tree
from alerts.promql import (
    Aggregation,
    BinaryOperation,
    Call,
    MatrixSelector,
    Node,
    NumberLiteral,
    Parentheses,
    StringLiteral,
    Subquery,
    Type,
    Variable,
    VectorSelector,
    bare,
    nodes,
)
from alerts.promql.functions import COMPARISONS, EXPERIMENTAL, REMOVED, SETS
from alerts.promql.parser import regexp_fault
from sidelight.checks.finding import Check, Severity
from sidelight.checks.known_series import SERIES, SHORTEST_WORD, AnyLabels, frames_of
from sidelight.checks.trees import parsed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from alerts.checking.promql import Checked
    from sidelight.checks.known_series import KnownSeries

SYNTAX = Check(
    name="promql/syntax",
    severity=Severity.ERROR,
    finds="an expression that is not valid PromQL",
    pint="promql/syntax",
    dashboard_linter="target-promql-rule",
)
UNREAD = Check(
    name="promql/unread",
    severity=Severity.NOTE,
    finds="an expression that is not checked: it is nested more than 100 levels deep, or is MetricsQL in a VMRule",
)
IMPOSSIBLE = Check(
    name="promql/impossible",
    severity=Severity.WARNING,
    finds="a join or an aggregation by a label that its operand has lost, so that nothing matches",
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
    finds="rate() of a gauge of Sidelight's, or of a sum of counters, which hides their resets",
    pint="promql/rate",
)
WINDOW = Check(
    name="promql/window",
    severity=Severity.WARNING,
    finds="rate() over fewer than four scrapes: a single failed scrape leaves a gap",
    pint="promql/rate",
)
DIVISION = Check(
    name="promql/division",
    severity=Severity.WARNING,
    finds="a sum, average or deviation of a division by a value that may be zero, also of one that a rule records: one idle instance makes all of it NaN",
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
    finds="a function that Prometheus only supports with --enable-feature, or that Prometheus 3 has renamed",
    pint="promql/features",
)
LABEL_REPLACE = Check(
    name="promql/label-replace",
    severity=Severity.ERROR,
    finds="label_replace() with an invalid regular expression or label name, which fails at each evaluation",
)
GROUP_REFERENCE = Check(
    name="promql/group-reference",
    severity=Severity.WARNING,
    finds="label_replace() that inserts a group which its regular expression does not have: it inserts nothing",
)
OR_VECTOR = Check(
    name="promql/or-vector",
    severity=Severity.WARNING,
    finds="`or vector(...)` beside series with labels: it adds a series without labels and fills no gap",
)
PERFORMANCE = Check(
    name="promql/performance",
    severity=Severity.NOTE,
    finds="an aggregation that a recording rule already computes",
    pint="promql/performance",
)
FORMAT = Check(
    name="promql/format",
    severity=Severity.NOTE,
    finds="an expression on one line that `promtool promql format` writes differently",
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
_SCRAPES = 4
_HISTOGRAMS = {name.removesuffix("_bucket") for name in SERIES if name.endswith("_bucket")}
_ALIKE = 0.8  # from 0 to 1; below this similarity, words are different, and not misspelt
_GROUPS = re.compile(r"\$(?:(\d+)|\{(\d+)\})")
_META = re.compile(r"[.*+?()\[\]{}|\\^$]")
_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*", re.ASCII)


class Problem(NamedTuple):
    """A fault in an expression.

    Attributes:
        check: The check that found it.
        message: What is wrong.
        cure: How to fix it.
        start: The position of the part that is wrong, from 0.
        end: The position after it.
        fix: What to write there instead, if there is only one right answer.
    """

    check: Check
    message: str
    cure: str
    start: int
    end: int
    fix: str = ""


def _problem(check: Check, node: Node, message: str, cure: str) -> Problem:
    return Problem(check, message, cure, node.start, node.end)


def problems(tree: Node, known: KnownSeries, checked: Checked | None = None) -> Iterator[Problem]:
    """All faults in an expression.

    Args:
        tree: The syntax tree, as from ``parsed``.
        known: The known series and the settings.
        checked: What is impossible in it, if that is known already.
    """
    for fault in (checked or check_tree(tree, AnyLabels())).found:
        yield Problem(IMPOSSIBLE, fault.message, "use labels that both sides have", fault.start, fault.end)
    walked = list(nodes(tree))
    compared = {id(side) for node, _ in walked for side in _difference(node, known)}
    for node, around in walked:
        for find in _BY_NODE.get(type(node), ()):
            if not (find is _counters and id(node) in compared):
                yield from find(node, around, known)


def _difference(node: Node, known: KnownSeries) -> tuple[Node, ...]:
    """The counters of a difference, such as started and finished requests, which is the number of those in between."""
    if not isinstance(node, BinaryOperation) or node.op != "-":
        return ()
    sides = tuple(_without_aggregation(side) for side in (node.lhs, node.rhs))
    both = all(isinstance(side, VectorSelector) and known.is_counter(side.name) for side in sides)
    return sides if both else ()


def _without_aggregation(node: Node) -> Node:
    """What an operand counts: without aggregations, and without ``or vector(0)``."""
    while True:
        match node := bare(node):
            case Aggregation():
                node = node.expr
            case BinaryOperation(op="or", rhs=Call(function="vector")):
                node = node.lhs
            case _:
                return node


def compares(node: Node) -> bool:
    """Whether a node filters its operand: a comparison without ``bool``."""
    return isinstance(node, BinaryOperation) and node.op in COMPARISONS and not node.return_bool


def keeps_name(tree: Node) -> bool:
    """Whether the result of an expression may still have a metric name, which most of PromQL removes."""
    while True:
        match tree:
            case Parentheses():
                tree = tree.expr
            case Aggregation():
                if tree.op not in KEEP_EVERY_LABEL:
                    return False
                tree = tree.expr
            case BinaryOperation(op="or"):
                if keeps_name(tree.rhs):
                    return True
                tree = tree.lhs
            case BinaryOperation():
                if not compares(tree) and tree.op not in SETS:
                    return False
                tree = tree.lhs
            case Call():
                of_series = (isinstance(each, MatrixSelector) or keeps_name(each) for each in tree.args)
                return tree.function in _KEEP_THE_NAME and any(of_series)
            case _:
                return isinstance(tree, VectorSelector)


def function_of(node: Node) -> str:
    """The name of the function that a node calls; empty if it calls none."""
    return node.function if isinstance(node, Call) else ""


def _series_name(node: VectorSelector, around: tuple[Node, ...], known: KnownSeries) -> Iterator[Problem]:
    del around
    name = node.name
    if not name or "$" in name or known.is_known(name):
        return
    if ":" in name:
        if known.has_rules:
            yield _problem(
                SERIES_NAME,
                node,
                f"reads {name}, which no rule in these files records",
                "check its rule file in the same call, or correct the name",
            )
    elif alike := _meant(name, known):
        yield _problem(
            SERIES_NAME, node, f"reads {name}, which is not a known series", f"use {alike} if you meant that"
        )


def _meant(name: str, known: KnownSeries) -> str:
    if name not in known.meant:
        known.meant[name] = _misspelt(name, known)
    return known.meant[name]


def _misspelt(name: str, known: KnownSeries) -> str:
    """The known series whose name differs in the spelling of one word; empty if there is none."""
    if name in _HISTOGRAMS:
        return ""  # a native histogram has the name without a suffix
    for frame, word in frames_of(name):
        words = known.frames.get(frame)
        if words and len(word) > SHORTEST_WORD and (alike := get_close_matches(word, words, 1, _ALIKE)):
            return words[alike[0]]
    return ""


def _regexps(node: VectorSelector, around: tuple[Node, ...], known: KnownSeries) -> Iterator[Problem]:
    del around, known
    for matcher in node.matchers:
        value = matcher.value
        if not matcher.is_regexp or "$" in value.removesuffix("$"):
            continue
        written = f'{matcher.name}{matcher.operator}"{value}"'
        no = matcher.is_negative
        message = cure = fix = ""
        if value == ".*":
            message = f"{written} matches {'nothing' if no else 'everything'}"
            cure = "correct the expression, which now never returns anything" if no else "remove it"
        elif value == ".+":
            message, fix = f"{written} only checks whether there is a value", f'{matcher.name}{"=" if no else "!="}""'
        elif value.startswith("^") or (value.endswith("$") and not value.endswith(r"\$")):
            message, cure = f"{written} has anchors, which Prometheus adds itself", "remove ^ and $"
        elif not _META.search(value):
            message, fix = f"{written} matches only one value", f'{matcher.name}{"!=" if no else "="}"{value}"'
        if message:
            yield Problem(REGEXP, message, cure or f"write {fix}", matcher.start, matcher.end, fix)


def _counters(node: VectorSelector, around: tuple[Node, ...], known: KnownSeries) -> Iterator[Problem]:
    if not known.is_counter(node.name):
        return
    if any(isinstance(parent, Variable) for parent in around):
        return  # Grafana's variable may be rate
    inner = next((function_of(parent) for parent in reversed(around) if function_of(parent)), "")
    counted = any(isinstance(parent, Aggregation) and parent.op in _COUNTING for parent in around)
    still = any(isinstance(parent, Aggregation) and _is_each_instance(parent) for parent in around)
    only_presence = any(isinstance(parent, BinaryOperation) for parent in around)  # on the right of and, unless
    if inner not in _OF_COUNTERS and not counted and not still and not only_presence:
        yield _problem(
            COUNTER, node, f"reads the raw value of the counter {node.name}", "wrap it in rate() or increase()"
        )


def _rates(node: Call, around: tuple[Node, ...], known: KnownSeries) -> Iterator[Problem]:
    del around
    name = node.function
    if name not in _RATES:
        return
    of = node.args[0]
    if isinstance(of, Subquery) and _sums_counters(bare(of.expr), known):
        message = f"{name}() of a sum: a restart of one instance looks like a jump"
        yield _problem(RATE, node, message, "sum the rates instead")
    if not isinstance(of, MatrixSelector) or not isinstance(of.selector, VectorSelector):
        return
    series, least = of.selector.name, _SCRAPES * known.settings.metrics.scrape_interval.seconds
    if known.is_gauge(series):
        yield _problem(RATE, node, f"{name}() of {series}, which is a gauge", "use delta() or deriv()")
    if _is_sum(series, known):
        message = f"{name}() of {series}, a sum of counters, which hides their resets"
        yield _problem(RATE, node, message, "sum the rates instead")
    if of.range.seconds is not None and of.range.seconds < least:
        message = f"{name}() over {of.range.seconds:g} s covers fewer than {_SCRAPES} scrapes"
        yield _problem(WINDOW, of, message, f"use {least} s or more")


def _is_sum(series: str, known: KnownSeries) -> bool:
    """Whether a recorded series adds up counters of several instances."""
    return any(_sums_counters(bare(parsed(expression)), known) for expression in known.recorded.get(series, ()))


def _sums_counters(node: Node, known: KnownSeries) -> bool:
    if not isinstance(node, Aggregation) or node.op != "sum" or _is_each_instance(node):
        return False
    of = bare(node.expr)
    return isinstance(of, VectorSelector) and known.is_counter(of.name)


def _is_each_instance(aggregation: Aggregation) -> bool:
    """Whether an aggregation keeps the instance, so that a sum of counters is still a counter."""
    return not aggregation.without and bool({"instance", "pod"} & set(aggregation.labels or ()))


def _divisions(node: Aggregation, around: tuple[Node, ...], known: KnownSeries) -> Iterator[Problem]:
    del around
    if node.op not in _BLENDING:
        return
    inner = bare(node.expr)
    if _may_be_nan(inner):
        message = f"{node.op}() of a division by a value that may be zero"
        yield _problem(DIVISION, node, message, "aggregate before dividing, or divide by (... > 0)")
    elif isinstance(inner, VectorSelector) and _records_a_division(inner.name, known):
        message = f"{node.op}() of {inner.name}, which is recorded as a division by a value that may be zero"
        yield _problem(DIVISION, node, message, "divide by (... > 0) where it is recorded")


def _records_a_division(series: str, known: KnownSeries) -> bool:
    return any(_may_be_nan(bare(parsed(expression))) for expression in known.recorded.get(series, ()))


def _may_be_nan(node: Node) -> bool:
    return isinstance(node, BinaryOperation) and node.op in {"/", "%"} and _may_be_zero(node.rhs)


def _may_be_zero(node: Node) -> bool:
    guarded = any(compares(each) or function_of(each) in _CLAMPS for each, _ in nodes(node))
    return not guarded and not all(isinstance(each, NumberLiteral) for each in _operands(node))


def _operands(node: Node) -> Iterator[Node]:
    """The parts that arithmetic combines, such as the numbers of ``8 * 1024``."""
    return (each for each, _ in nodes(node) if not isinstance(each, BinaryOperation | Parentheses))


def _features(node: Node, around: tuple[Node, ...], known: KnownSeries) -> Iterator[Problem]:
    del around, known
    name = node.op if isinstance(node, Aggregation) else function_of(node)
    if name in EXPERIMENTAL:
        message = f"{name}() needs --enable-feature=promql-experimental-functions"
        yield _problem(FEATURES, node, message, "avoid it, or enable it wherever the expression is evaluated")
    elif name in REMOVED:
        yield _problem(FEATURES, node, f"{name}() does not exist in Prometheus 3", f"write {REMOVED[name]}()")


def _label_replacements(node: Call, around: tuple[Node, ...], known: KnownSeries) -> Iterator[Problem]:
    del around, known
    texts = [each.value if isinstance(each, StringLiteral) else "" for each in node.args[1:]]
    if node.function == "label_replace":
        label, replacement, _, pattern = texts
        if not label:
            yield _problem(LABEL_REPLACE, node.args[1], "label_replace() writes a label without a name", "name it")
        if fault := regexp_fault(pattern):
            message = f"label_replace() has an invalid regular expression: {fault}"
            yield _problem(LABEL_REPLACE, node.args[4], message, "correct it")
            return
        groups = re.sub(r"\\.|\[[^\]]*\]", "", pattern)
        count = len(re.findall(r"\((?!\?)|\(\?P?<", groups))
        for found in _GROUPS.finditer(replacement):
            number = int(found[1] or found[2])
            if number > count:
                message = f"label_replace() inserts ${number}, but its regular expression has {count} groups"
                yield _problem(GROUP_REFERENCE, node.args[2], message, "add the group, or correct the number")


def _or_vectors(node: BinaryOperation, around: tuple[Node, ...], known: KnownSeries) -> Iterator[Problem]:
    del known
    if node.op != "or" or node.matching.labels is not None or function_of(bare(node.rhs)) != "vector":
        return
    left = bare(node.lhs)
    if any(isinstance(each, Aggregation) and (each.labels is None and not each.without) for each in around):
        return  # a sum over everything adds the 0 as well
    if isinstance(left, Aggregation) and left.labels and not left.without and left.op not in KEEP_EVERY_LABEL:
        labels = ", ".join(left.labels)
        yield Problem(
            OR_VECTOR,
            f"`or vector(...)` never replaces a series with the labels {labels}",
            "remove it, or write `or on () vector(0)`, which is only there if nothing else is",
            node.op_start,
            node.end,
        )


def _fragile(node: BinaryOperation, around: tuple[Node, ...], known: KnownSeries) -> Iterator[Problem]:
    del around, known
    if node.op in SETS or node.matching.labels is not None:
        return
    if node.lhs.type is not Type.VECTOR or node.rhs.type is not Type.VECTOR:
        return
    sides = [_outer_without(side) for side in (node.lhs, node.rhs)]
    if sides[0] != sides[1]:
        yield Problem(
            FRAGILE,
            f"only one side of {node.op} aggregates with without()",
            "aggregate both with by (...)",
            node.op_start,
            node.op_start + len(node.op),
        )


def _outer_without(node: Node) -> bool:
    """Whether the outermost aggregation of a side keeps its labels with ``without``."""
    for each, _ in nodes(node):
        if isinstance(each, Aggregation):
            return each.without
    return False


def _edges(node: BinaryOperation, around: tuple[Node, ...], known: KnownSeries) -> Iterator[Problem]:
    del around
    limit = bare(node.rhs)
    if not compares(node) or not isinstance(limit, NumberLiteral) or limit.value <= 0:
        return
    for buckets in sorted(_quantiles_of(bare(node.lhs), known)):
        edges = known.edges[buckets]
        if limit.value not in edges[:-1]:
            near = " or ".join(f"{edge:g}" for edge in sorted(edges[:-1], key=lambda edge: abs(edge - limit.value))[:2])
            histogram = buckets.removesuffix("_bucket")
            yield _problem(
                EDGE,
                node,
                f"compares a percentile of {histogram} with {limit.value:g}, which is not a bucket edge",
                f"use an edge, such as {near}, or add this one as a threshold in sidelight.yaml",
            )


def _quantiles_of(node: Node, known: KnownSeries, depth: int = 3) -> set[str]:
    """Histograms with known edges of which a node is a quantile, also through a recording rule."""
    while compares(node) and isinstance(node, BinaryOperation):
        node = bare(node.lhs)
    if depth and isinstance(node, VectorSelector):
        found: set[str] = set()
        for expression in known.recorded.get(node.name, ()):
            found |= _quantiles_of(bare(parsed(expression)), known, depth - 1)
        return found
    if function_of(node) == "histogram_quantile":
        return {name for name in _selected(node, known) if name in known.edges}
    return set()


def _selected(node: Node, known: KnownSeries, depth: int = 3) -> Iterator[str]:
    for each, _ in nodes(node):
        if isinstance(each, VectorSelector) and each.name:
            yield each.name
            for expression in known.recorded.get(each.name, ()) if depth else ():
                yield from _selected(parsed(expression), known, depth - 1)


_BY_NODE: dict[type[Node], tuple[Callable[[Any, tuple[Node, ...], KnownSeries], Iterator[Problem]], ...]] = {
    VectorSelector: (_series_name, _regexps, _counters),
    Call: (_rates, _features, _label_replacements),
    Aggregation: (_divisions, _features),
    BinaryOperation: (_or_vectors, _fragile, _edges),
}
CHECKS = (
    SYNTAX, UNREAD, IMPOSSIBLE, SERIES_NAME, REGEXP, COUNTER, RATE, WINDOW, DIVISION, FRAGILE, EDGE, FEATURES, LABEL_REPLACE,
    GROUP_REFERENCE, OR_VECTOR, PERFORMANCE, FORMAT,
)  # fmt: skip
