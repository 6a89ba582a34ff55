"""Checks of Prometheus rule files and PrometheusRule resources."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import promql_parser as promql

from alerts.checking.promql import check_tree, nodes
from instrumentation.settings import Duration
from sidelight.checks import expressions
from sidelight.checks.expressions import PERFORMANCE, SYNTAX, compares, function_of, parsed, problems
from sidelight.checks.finding import Check, Severity
from sidelight.checks.known_series import OpenWorld, normal, rules_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sidelight.checks.documents import Document, Place
    from sidelight.checks.finding import Finding
    from sidelight.checks.known_series import World

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
    severity=Severity.ERROR,
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
    severity=Severity.ERROR,
    finds="an alert, or one branch of its `or`, without a condition, or with one that `bool` makes always true",
    pint="alerts/comparison",
)
FOR = Check(
    name="alert/for",
    severity=Severity.WARNING,
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
    finds="a template that reads a label the expression does not return, or with unclosed braces",
    pint="alerts/template",
)
VALUE = Check(
    name="alert/value",
    severity=Severity.ERROR,
    finds="the value in a label: each evaluation starts a new alert, and `for` never elapses",
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
    severity=Severity.WARNING,
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

_GROUP_KEYS = {"name": str, "interval": str, "query_offset": str, "limit": int, "labels": dict, "rules": list,
               "partial_response_strategy": str}  # fmt: skip
_RULE_KEYS = {
    "record": str,
    "alert": str,
    "expr": str,
    "for": str,
    "keep_firing_for": str,
    "labels": dict,
    "annotations": dict,
}
_RECORD_KEYS = {"record", "expr", "labels"}
_TYPES = {str: "a string", int: "a number", dict: "a mapping", list: "a list"}
_ANNOTATIONS = ("summary", "description", "runbook_url")
_LONGEST_INTERVAL = 300  # seconds; Prometheus' lookback for samples
_DURATION = re.compile(r"(?:\d+(?:ms|[smhdwy]))+|0")
_LEVELLED = re.compile(r"\w*:\w+:\w+")
_CAMEL_CASE = re.compile(r"[A-Z][A-Za-z0-9]*")
_ACTION = re.compile(r"\{\{(?P<inside>.*?)\}\}", re.DOTALL)
_LABEL = re.compile(r"(?:\$labels|\.Labels)\.(\w+)")
_VALUE = re.compile(r"\$value|\.Value\b")
_ALWAYS = {"vector", "time"}  # a dead man's switch is meant to fire always
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
    """

    document: Document
    place: Place
    group: dict[str, Any]
    data: dict[str, Any]
    tree: Any

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


def find(document: Document, world: World) -> Iterator[Finding]:
    """All findings that no comment disables."""
    yield from filter(document.allows, _groups(document))
    rules = [
        Rule(document=document, place=place, group=group, data=data, tree=_tree(data))
        for _, group, place, data in rules_of(document)
    ]
    seen: dict[object, Rule] = {}
    for rule in rules:
        first, last = _span(rule)
        for of in (*_EACH, _duplicates_of(seen)):
            yield from (finding for finding in of(rule, world) if document.allows(finding, first, last))


def _tree(data: dict[str, Any]) -> Any:
    try:
        return promql.parse(str(data["expr"]))
    except (ValueError, KeyError):
        return None


def _span(rule: Rule) -> tuple[int, int]:
    """First and last line."""
    depth = len(rule.place)
    lines = [line for place, line in rule.document.lines.items() if place[:depth] == rule.place]
    return min(lines), max(lines)


def _groups(document: Document) -> Iterator[Finding]:
    seen: dict[object, Place] = {}
    places = {place: group for place, group, _, _ in rules_of(document)}
    for place, group in places.items():
        name = str(group.get("name", "a group without a name"))
        if name in seen:
            yield document.finding(SCHEMA, place, name, "two groups in this file have this name", "rename one")
        seen[name] = place
        for key, value in group.items():
            wanted = _GROUP_KEYS.get(key)
            if wanted is None:
                yield document.finding(
                    SCHEMA, (*place, key), name, f"unknown key {key} in a group", f"use one of {', '.join(_GROUP_KEYS)}"
                )
            elif not isinstance(value, wanted):
                yield document.finding(
                    SCHEMA, (*place, key), name, f"{key} is not {_TYPES[wanted]}", f"give {_TYPES[wanted]}"
                )
        interval = group.get("interval")
        if isinstance(interval, str) and _seconds(interval) > _LONGEST_INTERVAL:
            yield document.finding(
                INTERVAL, (*place, "interval"), name, f"is evaluated every {interval}", "use 5m or less"
            )


def _seconds(text: str) -> float:
    try:
        return Duration(text).seconds
    except ValueError:
        return 0


def _schema(rule: Rule, world: World) -> Iterator[Finding]:
    del world
    if ("alert" in rule.data) == ("record" in rule.data):
        yield rule.finding(SCHEMA, (), "needs exactly one of alert and record", "give one of them")
    allowed = _RULE_KEYS if rule.is_alert else {key: _RULE_KEYS[key] for key in _RECORD_KEYS}
    for key, value in rule.data.items():
        if key not in allowed and key not in {"alert", "record"}:
            yield rule.finding(SCHEMA, (key,), f"unknown key {key}", f"use one of {', '.join(sorted(allowed))}")
        elif (
            key in allowed
            and not isinstance(value, allowed[key])
            and not (key == "expr" and isinstance(value, int | float))
        ):
            kind = _TYPES[allowed[key]]
            quotes = ", in quotes" if kind == _TYPES[str] else ""
            yield rule.finding(SCHEMA, (key,), f"{key} is not {kind}", f"give {kind}{quotes}")
    for section in ("labels", "annotations"):
        found = rule.data.get(section)
        for key, value in found.items() if isinstance(found, dict) else ():
            if isinstance(value, dict | list) or value is None:
                yield rule.finding(SCHEMA, (section, key), f"{key} is not a string", "give a string, in quotes")
    if "expr" not in rule.data:
        yield rule.finding(SCHEMA, (), "has no expr", "add one")


def _names(rule: Rule, world: World) -> Iterator[Finding]:
    del world
    if rule.is_alert and not _CAMEL_CASE.fullmatch(rule.name):
        yield rule.finding(
            NAME, ("alert",), "is not in CamelCase", "name it after its condition, such as HighErrorRate"
        )
    if "record" in rule.data and not _LEVELLED.fullmatch(rule.name):
        yield rule.finding(NAME, ("record",), "is not named level:metric:operations", "rename it")


def _duplicates_of(seen: dict[object, Rule]) -> Callable[[Rule, World], Iterator[Finding]]:
    def find(rule: Rule, world: World) -> Iterator[Finding]:
        del world
        expression = normal(rule.data.get("expr")) or rule.data.get("expr")
        key = (rule.name, str(expression), tuple(sorted(rule.texts("labels").items())))
        if key in seen:
            line = seen[key].document.line(seen[key].place)
            yield rule.finding(DUPLICATE, (), f"is the same as the rule on line {line}", "remove one of them")
        seen[key] = rule

    return find


def _dependencies(rule: Rule, world: World) -> Iterator[Finding]:
    if rule.is_alert or rule.tree is None:
        return
    own = str(rule.group.get("name"))
    for node, _ in nodes(rule.tree):
        others = world.groups.get(getattr(node, "name", None) or "", set())
        if others and own not in others:
            yield rule.finding(
                DEPENDENCY,
                ("expr",),
                f"reads {node.name}, which the group {min(others)} records",
                "put both into one group",
            )


def _severity(rule: Rule, world: World) -> Iterator[Finding]:
    del world
    if rule.is_alert and "severity" not in rule.texts("labels"):
        yield rule.finding(LABEL, ("labels",), "has no label severity", "set it to critical, warning or info")


def _expression(rule: Rule, world: World) -> Iterator[Finding]:
    if rule.tree is None:
        if isinstance(text := rule.data.get("expr"), str):
            try:
                parsed(text)
            except ValueError as error:
                yield rule.finding(SYNTAX, ("expr",), f"not valid PromQL: {_first_line(error)}", "fix the expression")
        return
    for problem in dict.fromkeys(problems(rule.tree, world)):
        yield rule.finding(problem.check, ("expr",), problem.message, problem.cure)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def _recorded_already(rule: Rule, world: World) -> Iterator[Finding]:
    names: dict[str, str] = {}
    for name, texts in world.recorded.items():
        names |= dict.fromkeys(texts, name)
    own = world.recorded.get(rule.name, [])
    for node, _ in nodes(rule.tree) if rule.tree is not None else ():
        if isinstance(node, promql.AggregateExpr) and (text := str(node.prettify())) in names and text not in own:
            yield rule.finding(PERFORMANCE, ("expr",), f"computes what {names[text]} records", "read that series")


def _conditions(rule: Rule, world: World) -> Iterator[Finding]:
    del world
    if not rule.is_alert or rule.tree is None:
        return
    for branch in _branches(rule.tree):
        if not _conditional(branch) and function_of(branch) not in _ALWAYS:
            text = " ".join(str(branch.prettify()).split())
            yield rule.finding(
                COMPARISON, ("expr",), f"fires whenever {text} exists", "compare it with a limit, without bool"
            )


def _branches(node: Any) -> Iterator[Any]:
    if isinstance(node, promql.ParenExpr):
        yield from _branches(node.expr)
    elif isinstance(node, promql.BinaryExpr) and str(node.op) == "or":
        yield from _branches(node.lhs)
        yield from _branches(node.rhs)
    else:
        yield node


def _conditional(node: Any) -> bool:
    if compares(node) or function_of(node).startswith("absent"):
        return True
    if isinstance(node, promql.BinaryExpr):
        operator = str(node.op)
        if operator in {"==", "!=", "<", ">", "<=", ">="}:
            return False  # with bool
        if operator == "or":
            return _conditional(node.lhs) and _conditional(node.rhs)
        return operator == "unless" or _conditional(node.lhs) or _conditional(node.rhs)
    inner = [getattr(node, "expr", None), *(getattr(node, "args", None) or ())]
    return any(_conditional(each) for each in inner if each is not None)


def _waits(rule: Rule, world: World) -> Iterator[Finding]:
    del world
    if not rule.is_alert:
        return
    for key in ("for", "keep_firing_for"):
        given = rule.data.get(key)
        if isinstance(given, str) and not _DURATION.fullmatch(given):
            yield rule.finding(SCHEMA, (key,), f"{key} is {given!r}", "give a duration, such as 5m")
    wait = str(rule.data.get("for", "0"))
    if _DURATION.fullmatch(wait) and not re.search(r"[1-9]", wait):
        yield rule.finding(FOR, ("for",), "fires after a single evaluation", "set for to a duration, such as 2m")
        if rule.tree is not None and any(function_of(node).startswith("absent") for node, _ in nodes(rule.tree)):
            yield rule.finding(
                ABSENT, ("expr",), "uses absent() without for", "set for to at least two scrape intervals"
            )


def _templates(rule: Rule, world: World) -> Iterator[Finding]:
    del world
    if not rule.is_alert:
        return
    returned = check_tree(rule.tree, OpenWorld()).labels if rule.tree is not None else None
    own = {"alertname", *rule.texts("labels")}
    for section in ("labels", "annotations"):
        for key, text in rule.texts(section).items():
            if len(re.findall(r"\{\{", text)) != len(_ACTION.findall(text)) or "}}" in _ACTION.sub("", text):
                yield rule.finding(TEMPLATE, (section, key), f"{key} has unclosed braces", "write {{ ... }}")
            inside = " ".join(_ACTION.findall(text))
            for label in dict.fromkeys(_LABEL.findall(inside)):
                if returned is not None and label not in returned and label not in own:
                    yield rule.finding(
                        TEMPLATE,
                        (section, key),
                        f"{key} reads the label {label}, which the expression does not return",
                        f"keep {label} with by (...)",
                    )
    yield from _values(rule)


def _values(rule: Rule) -> Iterator[Finding]:
    for key, text in rule.texts("labels").items():
        if _VALUE.search(" ".join(_ACTION.findall(text))):
            yield rule.finding(
                VALUE, ("labels", key), f"the label {key} contains the value", "move it to an annotation"
            )
    computed = rule.tree is not None and any(
        function_of(node) in _COMPUTING or (isinstance(node, promql.BinaryExpr) and str(node.op) == "/")
        for node, _ in nodes(rule.tree)
    )
    for key, text in rule.texts("annotations").items():
        for action in _ACTION.findall(text):
            if computed and _VALUE.fullmatch(action.strip("- ")):
                yield rule.finding(
                    HUMANIZE, ("annotations", key), f"{key} shows the value with all its digits",
                    "pipe it into humanize, humanizePercentage or humanizeDuration",
                )  # fmt: skip


def _annotations(rule: Rule, world: World) -> Iterator[Finding]:
    del world
    missing = [name for name in _ANNOTATIONS if name not in rule.texts("annotations")]
    if rule.is_alert and missing:
        yield rule.finding(
            ANNOTATION, ("annotations",), f"has no {' and no '.join(missing)}", "add what it means and what to do"
        )


def _unstable(rule: Rule, world: World) -> Iterator[Finding]:
    del world
    for node, _ in nodes(rule.tree) if rule.tree is not None else ():
        if isinstance(node, promql.AggregateExpr) and str(node.op) in _CHANGING:
            yield rule.finding(
                UNSTABLE, ("expr",), f"depends on what {node.op}() selects", "compare every series with a limit"
            )


_EACH: tuple[Callable[[Rule, World], Iterator[Finding]], ...] = (
    _schema,
    _names,
    _dependencies,
    _severity,
    _expression,
    _recorded_already,
    _conditions,
    _waits,
    _templates,
    _annotations,
    _unstable,
)
