"""Checks of Prometheus rule files and PrometheusRule resources."""

from __future__ import annotations

import math
import re
import sys
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from alerts.checking.promql import Checked, check_tree
from alerts.promql import (
    Aggregation,
    BinaryOperation,
    Matching,
    MatrixSelector,
    Node,
    NumberLiteral,
    Parentheses,
    PromqlError,
    Subquery,
    VectorSelector,
    bare,
    formatted,
    nodes,
)
from alerts.promql.durations import LONGEST, UNIT_SECONDS, seconds_of
from alerts.promql.functions import COMPARISONS
from alerts.promql.tree import TooDeepError
from sidelight.checks import expressions, templates
from sidelight.checks.expressions import FORMAT, PERFORMANCE, SYNTAX, UNREAD, compares, function_of, problems
from sidelight.checks.finding import Check, Severity
from sidelight.checks.known_series import AnyLabels, normal, rules_of, tree_of
from sidelight.checks.trees import is_logql, parsed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sidelight.checks.documents import Document
    from sidelight.checks.finding import Finding
    from sidelight.checks.known_series import KnownSeries
    from sidelight.checks.reading import Place

SCHEMA = Check(
    name="rule/schema",
    severity=Severity.ERROR,
    finds="a key that Prometheus does not know, a value of the wrong type, or an invalid duration",
    pint="yaml/parse",
)
NAME = Check(
    name="rule/name",
    severity=Severity.NOTE,
    finds="a recorded series that is not named level:metric:operations, or an alert that is not in CamelCase",
    pint="rule/name",
)
DUPLICATE = Check(
    name="rule/duplicate",
    severity=Severity.WARNING,
    finds="two rules with the same name, labels and expression",
    pint="rule/duplicate",
)
DEPENDENCY = Check(
    name="rule/dependency",
    severity=Severity.WARNING,
    finds="a recording rule that reads a series recorded by another group: it may read each value late or twice",
)
INTERVAL = Check(
    name="rule/interval",
    severity=Severity.WARNING,
    finds="a group evaluated less often than every 5 minutes: its series have gaps",
    pint="group/interval",
)
LABEL = Check(
    name="rule/label",
    severity=Severity.WARNING,
    finds="an alert without the label severity, which routing needs",
    pint="rule/label",
)
COMPARISON = Check(
    name="alert/comparison",
    severity=Severity.WARNING,
    finds="an alert, or one branch of its `or`, without a condition, or with one that is always true",
    pint="alerts/comparison",
)
FOR = Check(
    name="alert/for",
    severity=Severity.NOTE,
    finds="an alert that fires after a single evaluation",
    pint="alerts/for, rule/for",
)
ABSENT = Check(
    name="alert/absent",
    severity=Severity.WARNING,
    finds="absent() without `for`, which fires on every restart of Prometheus",
    pint="alerts/absent",
)
TEMPLATE = Check(
    name="alert/template",
    severity=Severity.ERROR,
    finds="a template that Prometheus refuses, or that reads a label which the expression does not return",
    pint="alerts/template",
)
VALUE = Check(
    name="alert/value",
    severity=Severity.WARNING,
    finds="the value in a label: whenever it changes, a new alert starts, and `for` never elapses",
    pint="alerts/template",
)
HUMANIZE = Check(
    name="alert/humanize",
    severity=Severity.NOTE,
    finds="a computed value shown with all its digits",
    pint="alerts/template",
)
ANNOTATION = Check(
    name="alert/annotation",
    severity=Severity.NOTE,
    finds="an alert without summary, description or runbook_url",
    pint="alerts/annotation",
)
UNSTABLE = Check(
    name="rule/unstable",
    severity=Severity.WARNING,
    finds="topk() or a similar function in a rule: when the order changes, one alert or series ends and another begins",
    pint="promql/fragile, rule/topk",
)

CHECKS = (
    SCHEMA, NAME, DUPLICATE, DEPENDENCY, INTERVAL, LABEL, COMPARISON, FOR, ABSENT, TEMPLATE, VALUE, HUMANIZE, ANNOTATION,
    UNSTABLE, *expressions.CHECKS,
)  # fmt: skip

_GROUP_KEYS: dict[str, type] = {
    "name": str,
    "interval": str,
    "query_offset": str,
    "limit": int,
    "labels": dict,
    "rules": list,
    "partial_response_strategy": str,
}
_RULE_KEYS: dict[str, type] = {
    "record": str,
    "alert": str,
    "expr": str,
    "for": str,
    "keep_firing_for": str,
    "labels": dict,
    "annotations": dict,
}
_ALERT_DEFAULTS: dict[str, tuple[object, ...]] = {
    "for": (None, 0, "0", "0s"),
    "keep_firing_for": (None, 0, "0", "0s"),
    "annotations": (None, {}),
}
"""Values of an alert's keys that a recording rule may have too, because they change nothing."""
_RECORD_KEYS = {"record", "expr", "labels"}
_DURATION_KEYS = {"interval", "query_offset", "for", "keep_firing_for"}
_TYPES = {str: "a string", int: "a number", dict: "a mapping", list: "a list"}
_ANNOTATIONS = ("summary", "description", "runbook_url")
_LONGEST_INTERVAL = 300  # seconds; Prometheus' lookback for samples
_UNIT_WORDS = {
    word: unit
    for unit, words in {
        "ms": "ms msec msecs millisecond milliseconds",
        "s": "s sec secs second seconds",
        "m": "m min mins minute minutes",
        "h": "h hr hrs hour hours",
        "d": "d day days",
        "w": "w week weeks",
        "y": "y year years",
    }.items()
    for word in words.split()
}
_LEVELLED = re.compile(r"\w*:\w+:\w+")
_CAMEL_CASE = re.compile(r"[A-Z][A-Za-z0-9]*")
_KEPT_AS_WRITTEN = re.compile(r"[\n#@]|__name__|\{\s*[\"'`]")  # comments, line breaks, and names that are strings
_LONGEST_LINE = 100  # characters; promtool breaks longer ones
_LONGEST_QUOTE = 100  # characters
_ALWAYS = {"vector", "time"}  # a dead man's switch is meant to fire always
_NEVER_NEGATIVE = {"count_over_time", "rate", "irate", "increase", "changes", "resets", "abs", "histogram_count"}
_CHANGING = {"topk", "bottomk", "limitk", "limit_ratio"}
_COMPUTING = {"rate", "irate", "increase", "histogram_quantile", "avg_over_time", "deriv", "predict_linear"}


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule.

    Attributes:
        document: The file that contains it.
        place: Its position in the file.
        group: Its group's content.
        data: Its content.
        tree: Its parsed expression; None if it is invalid.
        span: Its first and last line.
    """

    document: Document
    place: Place
    group: dict[str, Any]
    data: dict[str, Any]
    tree: Node | None
    span: tuple[int, int]

    @cached_property
    def nodes(self) -> list[tuple[Node, tuple[Node, ...]]]:
        """The nodes of its tree, each with those around it."""
        return [] if self.tree is None else list(nodes(self.tree))

    @cached_property
    def checked(self) -> Checked:
        """The labels that its expression returns, and what is impossible in it."""
        return Checked() if self.tree is None else check_tree(self.tree, AnyLabels())

    @property
    def is_alert(self) -> bool:
        """Whether it is an alerting rule."""
        return "alert" in self.data

    @property
    def name(self) -> str:
        """The name of the alert or of the recorded series."""
        return str(self.data.get("alert") or self.data.get("record") or "a rule without a name")

    def texts(self, section: str) -> dict[str, str]:
        """Its labels or annotations."""
        found = self.data.get(section)
        return {key: str(value) for key, value in found.items()} if isinstance(found, dict) else {}

    def finding(self, check: Check, keys: Place, message: str, cure: str) -> Finding:
        """A finding about this rule."""
        return self.document.finding(check, (*self.place, *keys), self.name, message, cure)

    def finding_in(self, check: Check, key: Place, part: tuple[int, int], message: str, cure: str) -> Finding:
        """A finding about a part of one of its strings."""
        place = *self.place, *key
        return self.document.located(self.document.finding(check, place, self.name, message, cure), place, part)


def find(document: Document, known: KnownSeries) -> Iterator[Finding]:
    """All findings that no comment disables."""
    yield from filter(document.suppressions.allow, _groups(document))
    seen: dict[object, Rule] = {}
    for rule in rules(document):
        document.deadline.check()
        for of in (*_EACH, _duplicates_of(seen)):
            yield from (finding for finding in of(rule, known) if document.suppressions.allow(finding, *rule.span))


def rules(document: Document) -> Iterator[Rule]:
    """The rules of a document."""
    spans = _spans(document)
    for _, group, place, data in rules_of(document):
        tree = tree_of(data.get("expr"))
        yield Rule(document=document, place=place, group=group, data=data, tree=tree, span=spans[place])


def _spans(document: Document) -> dict[Place, tuple[int, int]]:
    """The first and last line of each rule."""
    spans: dict[Place, tuple[int, int]] = {}
    for place, line in document.source.lines.items():
        rule = place[:4]
        first, last = spans.get(rule, (line, line))
        spans[rule] = min(first, line), max(last, line)
    return spans


def _groups(document: Document) -> Iterator[Finding]:
    found = document.data.get("groups")
    if not isinstance(found, list) and (found is not None or not document.is_resource):
        yield document.finding(SCHEMA, ("groups",), "groups", "is not a list", "give a list of groups")
    for key in document.data if not document.is_resource else ():
        if key not in {"groups", "namespace"}:  # a namespace is Mimir's
            yield document.finding(SCHEMA, (key,), key, "unknown key in a rule file", "keep only groups")
    seen: set[object] = set()
    for number, group in enumerate(found if isinstance(found, list) else ()):
        place: Place = ("groups", number)
        if not isinstance(group, dict):
            yield document.finding(SCHEMA, place, f"group {number + 1}", "is not a mapping", "give a mapping")
            continue
        given = group.get("name") not in (None, "")
        name = str(group["name"]) if given else "a group without a name"
        if not given:
            yield document.finding(SCHEMA, place, name, "has no name", "add one")
        elif name in seen:
            yield document.finding(SCHEMA, place, name, "two groups in this file have this name", "rename one")
        seen.add(name)
        yield from _inside_group(document, place, name, group)


def _inside_group(document: Document, place: Place, name: str, group: dict[str, Any]) -> Iterator[Finding]:
    for key, value in group.items():
        for message, cure in _faults_of_value(document, key, value, _GROUP_KEYS, "a group"):
            yield _with_fix(
                document.finding(SCHEMA, (*place, key), name, message, cure), document, (*place, key), value
            )
    if isinstance(labels := group.get("labels"), dict) and "__name__" in labels:
        yield document.finding(SCHEMA, (*place, "labels"), name, "a label must not be named '__name__'", "rename it")
    for index, rule in enumerate(group["rules"] if isinstance(group.get("rules"), list) else ()):
        if not isinstance(rule, dict) and (rule is not None or document.is_resource):
            yield document.finding(SCHEMA, (*place, "rules", index), name, "a rule is not a mapping", "give a mapping")
    interval = group.get("interval")
    if isinstance(interval, str) and (seconds_of(interval) or 0) > _LONGEST_INTERVAL:
        yield document.finding(INTERVAL, (*place, "interval"), name, f"is evaluated every {interval}", "use 5m or less")


def _faults_of_value(
    document: Document, key: str, value: object, keys: dict[str, type], of: str
) -> Iterator[tuple[str, str]]:
    """What Prometheus, or Kubernetes in a resource, refuses about a key: message and cure."""
    wanted = keys.get(key)
    if wanted is None:
        if not document.is_metricsql:
            yield f"unknown key {key} in {of}", f"use one of {', '.join(sorted(keys))}"
    elif value is None and not document.is_resource:
        return  # an empty value is the default
    elif wanted is str and not isinstance(value, str):
        is_number = isinstance(value, int | float)
        if not is_number or (document.is_resource and key != "expr"):
            yield f"{key} is not a string", "give a string, in quotes"
        elif key in _DURATION_KEYS and value != 0:
            yield f"{key} is {value!r}", "give a duration, such as 5m"
    elif not isinstance(value, (int, float) if wanted is int else wanted) or (
        wanted is int and isinstance(value, bool)
    ):
        yield f"{key} is not {_TYPES[wanted]}", f"give {_TYPES[wanted]}"
    elif key in _DURATION_KEYS and isinstance(value, str) and seconds_of(value) is None:
        meant = meant_duration(value)
        yield f"{key} is {value!r}", f"write {meant}" if meant else "give a duration, such as 5m"


def _with_fix(finding: Finding, document: Document, place: Place, value: object) -> Finding:
    """The finding about a key, with what to write instead of a duration that can only mean one thing."""
    if place[-1] not in _DURATION_KEYS or not isinstance(value, str) or not (meant := meant_duration(value)):
        return finding
    return replace(document.located(finding, place, (0, len(value))), fix=meant)


def meant_duration(text: str) -> str:
    """What a duration that Prometheus refuses can only mean; empty if that is not clear.

    >>> meant_duration("5 minutes"), meant_duration("30m1h"), meant_duration("1.5h"), meant_duration("90"), meant_duration("5M")
    ('5m', '1h30m', '1h30m', '', '')
    """
    parts = re.findall(r"(\d+(?:\.\d+)?)\s*([A-Za-z]+)", text, re.ASCII)
    units = [_UNIT_WORDS.get(unit if unit == "M" else unit.lower(), "") for _, unit in parts]
    rest = re.sub(r"\d+(?:\.\d+)?\s*[A-Za-z]+|[\s,]|\band\b", "", text)
    if rest or not parts or not all(units) or len(set(units)) < len(units):
        return ""
    seconds = sum(float(number) * UNIT_SECONDS[unit] for (number, _), unit in zip(parts, units, strict=True))
    milliseconds = float(seconds * 1000)
    if not milliseconds.is_integer() or milliseconds > LONGEST * 1000:
        return ""
    written, left = "", int(milliseconds)
    for unit in ("d", "h", "m", "s", "ms"):
        number, left = divmod(left, int(UNIT_SECONDS[unit] * 1000))
        written += f"{number}{unit}" if number else ""
    return written or "0s"


def _schema(rule: Rule, known: KnownSeries) -> Iterator[Finding]:
    del known
    given = [rule.data.get(key) not in (None, "") for key in ("alert", "record")]
    if given[0] == given[1]:
        yield rule.finding(SCHEMA, (), "needs exactly one of alert and record", "give one of them")
    allowed = _RULE_KEYS if rule.is_alert else {key: _RULE_KEYS[key] for key in _RECORD_KEYS}
    for key, value in rule.data.items():
        is_default = key in _ALERT_DEFAULTS and value in _ALERT_DEFAULTS[key] and not rule.document.is_resource
        if (key not in {"alert", "record"} or key in allowed) and not (key not in allowed and is_default):
            for message, cure in _faults_of_value(rule.document, key, value, allowed, "a rule"):
                found = rule.finding(SCHEMA, (key,), message, cure)
                yield _with_fix(found, rule.document, (*rule.place, key), value)
    if "record" in rule.data and set("{}") & set(rule.name):
        yield rule.finding(SCHEMA, ("record",), "the name has braces", "give only a name")
    if rule.data.get("expr") in (None, ""):
        yield rule.finding(SCHEMA, (), "has no expr", "add one")
    yield from _sections(rule)


def _sections(rule: Rule) -> Iterator[Finding]:
    """What is refused about labels and annotations."""
    for section in ("labels", "annotations"):
        found = rule.data.get(section)
        for key, value in found.items() if isinstance(found, dict) else ():
            strict = rule.document.is_resource and not isinstance(value, str)
            if isinstance(value, dict | list) or strict:
                yield rule.finding(SCHEMA, (section, key), f"{key} is not a string", "give a string, in quotes")
            if not key or (key == "__name__" and section == "labels"):
                yield rule.finding(SCHEMA, (section, key), f"a label must not be named {key!r}", "rename it")


def _names(rule: Rule, known: KnownSeries) -> Iterator[Finding]:
    del known
    if rule.is_alert and not _CAMEL_CASE.fullmatch(rule.name):
        yield rule.finding(
            NAME, ("alert",), "is not in CamelCase", "name it after its condition, such as HighErrorRate"
        )
    if "record" in rule.data and not _LEVELLED.fullmatch(rule.name):
        yield rule.finding(NAME, ("record",), "is not named level:metric:operations", "rename it")


def _duplicates_of(seen: dict[object, Rule]) -> Callable[[Rule, KnownSeries], Iterator[Finding]]:
    def find(rule: Rule, known: KnownSeries) -> Iterator[Finding]:
        del known
        expression = normal(rule.data.get("expr")) or rule.data.get("expr")
        key = (rule.name, str(expression), tuple(sorted(rule.texts("labels").items())))
        if key in seen:
            line = seen[key].document.line(seen[key].place)
            yield rule.finding(DUPLICATE, (), f"is the same as the rule on line {line}", "remove one of them")
        seen[key] = rule

    return find


def _dependencies(rule: Rule, known: KnownSeries) -> Iterator[Finding]:
    if rule.is_alert or rule.tree is None:
        return
    own = str(rule.group.get("name"))
    for node, _ in rule.nodes:
        others = known.groups.get(node.name, set()) if isinstance(node, VectorSelector) else set()
        if others and own not in others and isinstance(node, VectorSelector):
            yield rule.finding_in(
                DEPENDENCY,
                ("expr",),
                (node.start, node.end),
                f"reads {node.name}, which the group {min(others)} records",
                "put both into one group",
            )


def _severity(rule: Rule, known: KnownSeries) -> Iterator[Finding]:
    del known
    if rule.is_alert and "severity" not in rule.texts("labels"):
        yield rule.finding(LABEL, ("labels",), "has no label severity", "set it to critical, warning or info")


def _expression(rule: Rule, known: KnownSeries) -> Iterator[Finding]:
    if rule.tree is None:
        text = rule.data.get("expr")
        if isinstance(text, str) and text:
            yield from _unparsed(rule, text)
        return
    for problem in dict.fromkeys(problems(rule.tree, known, rule.checked)):
        found = rule.finding_in(problem.check, ("expr",), (problem.start, problem.end), problem.message, problem.cure)
        yield replace(found, fix=problem.fix)


def _format(rule: Rule, known: KnownSeries) -> Iterator[Finding]:
    """Expressions on one line that promtool would write on one line too, with other spaces, or in another order."""
    del known
    text = rule.data.get("expr")
    if (
        rule.tree is None
        or not isinstance(text, str)
        or rule.document.is_metricsql
        or _KEPT_AS_WRITTEN.search(text.strip())
    ):
        return
    written, start = normal(text) or "", len(text) - len(text.lstrip())
    if len(written) <= _LONGEST_LINE and written != text.strip():
        part = start, len(text.rstrip())
        found = rule.finding_in(FORMAT, ("expr",), part, "is not formatted like other expressions", f"write {written}")
        yield replace(found, fix=written)


def _unparsed(rule: Rule, text: str) -> Iterator[Finding]:
    try:
        parsed(text)
    except TooDeepError as error:
        yield rule.finding(UNREAD, ("expr",), f"the expression {error}, and is not checked", "split it")
    except PromqlError as error:
        if rule.document.is_metricsql:
            message = f"the expression is not PromQL ({error}), and is not checked as MetricsQL"
            yield rule.finding(UNREAD, ("expr",), message, "check it with vmalert -dryRun")
        elif is_logql(text) and not rule.document.is_resource:
            message = "the expression is LogQL, and is not checked"
            yield rule.finding(UNREAD, ("expr",), message, "check it with lokitool")
        else:
            part = (error.start, error.start + 1)
            yield rule.finding_in(SYNTAX, ("expr",), part, f"not valid PromQL: {error}", "fix the expression")


def _recorded_already(rule: Rule, known: KnownSeries) -> Iterator[Finding]:
    if rule.tree is None:
        return
    own = known.recorded.get(rule.name, [])
    for node, _ in rule.nodes:
        if isinstance(node, Aggregation) and (node.op, node.labels) in known.aggregations:
            text = formatted(node, width=sys.maxsize)
            if text in known.recorded_as and text not in own:
                message = f"computes what {known.recorded_as[text]} records"
                yield rule.finding_in(PERFORMANCE, ("expr",), (node.start, node.end), message, "read that series")


def _conditions(rule: Rule, known: KnownSeries) -> Iterator[Finding]:
    del known
    if not rule.is_alert or rule.tree is None:
        return
    for branch in _branches(rule.tree):
        if not _conditional(branch) and function_of(branch) not in _ALWAYS:
            text = formatted(branch, width=sys.maxsize)
            text = text if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]} ..."
            message, part = f"fires whenever {text} exists", (branch.start, branch.end)
            yield rule.finding_in(COMPARISON, ("expr",), part, message, "compare it with a limit, without bool")
        elif _is_always_true(branch):
            text, part = formatted(branch, width=sys.maxsize)[:_LONGEST_QUOTE], (branch.start, branch.end)
            message = f"{text} is true whenever it has a value"
            yield rule.finding_in(COMPARISON, ("expr",), part, message, "compare it with a limit that it can miss")


def _is_always_true(node: Node) -> bool:
    """Whether a number that is never negative is compared with 0 or less."""
    if not isinstance(node, BinaryOperation) or not compares(node):
        return False
    left, limit = bare(node.lhs), bare(node.rhs)
    counts = (isinstance(left, Aggregation) and left.op == "count") or function_of(left) in _NEVER_NEGATIVE
    value = limit.value if isinstance(limit, NumberLiteral) and isinstance(node.rhs, NumberLiteral) else math.inf
    return counts and ((node.op == ">=" and value <= 0) or (node.op == ">" and value < 0))


def _branches(node: Node) -> Iterator[Node]:
    """The operands of ``or``, from left to right."""
    stack = [node]
    while stack:
        node = stack.pop()
        if isinstance(node, Parentheses):
            stack.append(node.expr)
        elif isinstance(node, BinaryOperation) and node.op == "or":
            stack += [node.rhs, node.lhs]
        else:
            yield node


def _conditional(node: Node) -> bool:
    """Whether an expression returns nothing as long as all is well."""
    return all(any(map(_filters, _sides(each))) for each in _branches(node))


def _sides(node: Node) -> Iterator[Node]:
    """The operands of a chain of arithmetic, ``and`` and ``unless``, one of which must filter."""
    while isinstance(node, BinaryOperation) and not (node.op in COMPARISONS or node.op in {"or", "</", ">/"}):
        if node.op == "unless":
            yield node
            return
        yield node.rhs
        node = node.lhs
    yield node


def _filters(node: Node) -> bool:
    if compares(node) or function_of(node).startswith("absent"):
        return True
    if isinstance(node, BinaryOperation):
        return node.op in {"unless", "</", ">/"} or (node.op not in COMPARISONS and _conditional(node))
    return any(_conditional(each) for each in node.children)


def _waits(rule: Rule, known: KnownSeries) -> Iterator[Finding]:
    del known
    if not rule.is_alert:
        return
    if seconds_of(str(rule.data.get("for") or "0")) == 0 and rule.tree is not None and _is_momentary(rule):
        yield rule.finding(FOR, ("for",), "fires after a single evaluation", "set for to a duration, such as 2m")
        if any(function_of(node) == "absent" for node, _ in rule.nodes):
            yield rule.finding(
                ABSENT, ("expr",), "uses absent() without for", "set for to at least two scrape intervals"
            )


def _is_momentary(rule: Rule) -> bool:
    """Whether a single sample can fulfil a condition: it is not read over a range, nor recorded by a rule."""
    if any(function_of(node) == "time" for node, _ in rule.nodes):
        return False  # it compares the age of something, which grows slowly
    for node, around in rule.nodes:
        over_range = any(isinstance(each, MatrixSelector | Subquery) for each in around)
        if isinstance(node, VectorSelector) and not over_range and ":" not in node.name and node.name != "ALERTS":
            return True
    return False


def _templates(rule: Rule, known: KnownSeries) -> Iterator[Finding]:
    del known
    if not rule.is_alert:
        return
    computed = rule.tree is not None and any(
        function_of(node) in _COMPUTING or (isinstance(node, BinaryOperation) and node.op == "/")
        for node, _ in rule.nodes
    )
    for section in ("labels", "annotations"):
        for key, text in rule.texts(section).items():
            if "{{" not in text:
                continue
            template, place = templates.read(text), (section, key)
            for fault in template.faults:
                part = (fault.start, fault.start + 1)
                yield rule.finding_in(TEMPLATE, place, part, f"{key} {fault.message}", "correct it")
            yield from _missing_labels(rule, place, key, template)
            yield from _queries(rule, place, key, template)
            yield from _values(rule, place, key, template, computed=computed)


def _missing_labels(rule: Rule, place: Place, key: str, template: templates.Template) -> Iterator[Finding]:
    if rule.tree is None or not template.labels:
        return
    returned, own = rule.checked.labels, {"alertname", *rule.texts("labels")}
    for label, start in dict(template.labels).items():
        if label not in returned and label not in own:
            message = f"{key} reads the label {label}, which the expression does not return"
            part = start, start + len(label)
            yield rule.finding_in(TEMPLATE, place, part, message, f"keep {label} with by (...)")


def _queries(rule: Rule, place: Place, key: str, template: templates.Template) -> Iterator[Finding]:
    for query, start in template.queries:
        try:
            parsed(query)
        except TooDeepError as error:
            yield rule.finding(UNREAD, place, f"the query in {key} {error}, and is not checked", "split it")
        except PromqlError as error:
            if "%" not in query and not rule.document.is_metricsql:  # printf has not filled it yet
                message = f"the query in {key} is not valid PromQL: {error}"
                yield rule.finding_in(SYNTAX, place, (start, start + len(query)), message, "fix the query")


def _values(rule: Rule, place: Place, key: str, template: templates.Template, *, computed: bool) -> Iterator[Finding]:
    for start, has_all_digits in template.printed:
        part = (start, start + len("$value"))
        if place[0] == "labels":
            message = f"the label {key} contains the value"
            yield rule.finding_in(VALUE, place, part, message, "move it to an annotation")
        elif computed and has_all_digits:
            yield rule.finding_in(
                HUMANIZE, place, part, f"{key} shows the value with all its digits",
                "pipe it into humanize, humanizePercentage or humanizeDuration",
            )  # fmt: skip


def _annotations(rule: Rule, known: KnownSeries) -> Iterator[Finding]:
    del known
    missing = [name for name in _ANNOTATIONS if name not in rule.texts("annotations")]
    if rule.is_alert and missing:
        yield rule.finding(
            ANNOTATION, ("annotations",), f"has no {' and no '.join(missing)}", "add what it means and what to do"
        )


def _unstable(rule: Rule, known: KnownSeries) -> Iterator[Finding]:
    del known
    for node in _deciding(rule.tree) if rule.tree is not None else ():
        if isinstance(node, Aggregation) and node.op in _CHANGING and not _removes_duplicates(node):
            message, part = f"depends on what {node.op}() selects", (node.start, node.end)
            yield rule.finding_in(UNSTABLE, ("expr",), part, message, "compare every series with a limit")


def _removes_duplicates(node: Aggregation) -> bool:
    """Whether it takes one of the series that differ only in labels that ``without`` has removed already."""
    inner = bare(node.expr)
    return bool(node.labels) and isinstance(inner, Aggregation) and inner.without


def _deciding(tree: Node) -> Iterator[Node]:
    """The nodes that decide which series an expression returns, and not only their values or further labels."""
    stack = [tree]
    while stack:
        node = stack.pop()
        yield node
        match node:
            case BinaryOperation(matching=Matching(group="group_left")) | BinaryOperation(op="and" | "unless"):
                stack.append(node.lhs)
            case BinaryOperation(matching=Matching(group="group_right")):
                stack.append(node.rhs)
            case Aggregation() if node.op not in _CHANGING:
                pass  # it returns the same series, whichever are selected inside
            case _:
                stack += node.children


_EACH: tuple[Callable[[Rule, KnownSeries], Iterator[Finding]], ...] = (
    _schema,
    _names,
    _dependencies,
    _severity,
    _expression,
    _format,
    _recorded_already,
    _conditions,
    _waits,
    _templates,
    _annotations,
    _unstable,
)
